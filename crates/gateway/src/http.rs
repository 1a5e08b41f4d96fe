//! The routes of plain HTTP.

use crate::poll::{bad_callback, respond};
use crate::{Shared, files, keys, pages, poll, sessionless, sites};
use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use levee_proto::limits;
use prometheus::Encoder;
use serde::Deserialize;
use serde_json::json;

/// Registers the routes of one arbiter.
pub(crate) fn routes(config: &mut web::ServiceConfig, context: Shared, arbiter: u16) {
    let files_host = context.options.files_host.clone();
    config.app_data(web::Data::new(context)).app_data(web::Data::new(arbiter));
    files::routes(config, files_host);
    config
        .app_data(web::PayloadConfig::new(limits::HEADER_BYTES + limits::PAYLOAD_BYTES))
        .route("/v2/endpoint", web::get().to(endpoint))
        .route("/v2/poll", web::get().to(poll::get))
        .route("/v2/poll", web::post().to(poll::post))
        .route("/v2/call", web::get().to(sessionless::get))
        .route("/v2/call", web::post().to(sessionless::post))
        .route(
            "/v2/socket",
            web::get().to(|| async {
                HttpResponse::UpgradeRequired()
                    .insert_header(("upgrade", "websocket"))
                    .body("this is for WebSockets\n")
            }),
        )
        // A key has no dot: what else is beneath that path has one.
        .route("/config/{key:[a-z0-9-]+}", web::get().to(sites::configuration))
        .route("/config/keys.json", web::get().to(keys::keys))
        .route("/v2/{any}", web::method(Method::OPTIONS).to(preflight))
        .route("/healthz", web::get().to(|| async { HttpResponse::Ok().body("alive\n") }))
        .route("/readyz", web::get().to(ready))
        .route("/metrics", web::get().to(metrics))
        .route("/widget.js", web::get().to(pages::widget))
        .route("/widget/{path:.*}", web::get().to(pages::widget_part))
        .route("/demo", web::get().to(|| redirect("/demo/")))
        .route("/demo/", web::get().to(pages::shop))
        .route("/console", web::get().to(|| redirect("/console/")))
        .route("/console/{path:.*}", web::get().to(pages::console))
        .route("/", web::get().to(|| redirect("/console/")));
}

async fn redirect(to: &'static str) -> HttpResponse {
    HttpResponse::Found().insert_header(("location", to)).finish()
}

/// A browser asks whether a page of another origin may call: any may, for nothing here goes by cookies,
/// and official clients add headers of their own.
async fn preflight(request: HttpRequest) -> HttpResponse {
    let mut response = HttpResponse::NoContent();
    if let Some(wanted) = request.headers().get("access-control-request-headers") {
        response.insert_header(("access-control-allow-headers", wanted.clone()));
    }
    response
        .insert_header(("access-control-allow-origin", "*"))
        .insert_header(("access-control-allow-methods", "GET, POST"))
        .insert_header(("access-control-max-age", "86400"))
        .insert_header(("vary", "access-control-request-headers"))
        .finish()
}

#[derive(Deserialize)]
struct EndpointQuery {
    callback: Option<String>,
}

/// Answers `GET /v2/endpoint`: where clients shall connect to.
async fn endpoint(
    context: web::Data<Shared>,
    request: HttpRequest,
    query: web::Query<EndpointQuery>,
) -> HttpResponse {
    if let Some(response) = bad_callback(query.callback.as_deref()) {
        return response;
    }
    let mut hosts = context.options.public_addresses.clone();
    hosts.extend(context.node.endpoints().into_iter().map(String::from));
    let mut named = std::collections::HashSet::new();
    hosts.retain(|host| named.insert(host.clone()));
    if hosts.is_empty() {
        // Without a setting, the address by which the client came is one that it can reach.
        let host = request.headers().get("host").and_then(|value| value.to_str().ok());
        hosts.extend(host.map(str::to_owned));
    }
    respond(&json!({ "hosts": hosts }).to_string(), query.callback.as_deref())
}

async fn ready(context: web::Data<Shared>) -> HttpResponse {
    if context.node.is_ready() {
        HttpResponse::Ok().body(match context.node.degraded() {
            Some(why) => format!("ready, degraded: {why}\n"),
            None => "ready\n".to_owned(),
        })
    } else {
        HttpResponse::ServiceUnavailable().body(format!("not ready: {}\n", context.node.unready()))
    }
}

async fn metrics(context: web::Data<Shared>) -> HttpResponse {
    let mut text = Vec::new();
    let encoder = prometheus::TextEncoder::new();
    match encoder.encode(&context.options.registry.gather(), &mut text) {
        Ok(()) => HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(text),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}
