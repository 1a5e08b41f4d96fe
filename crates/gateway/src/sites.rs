//! `GET /config/KEY`: the configuration of a site, from which widgets and apps start.

use crate::Shared;
use crate::pages::tagged;
use actix_web::{HttpRequest, HttpResponse, web};
use levee_proto::ids;
use serde_json::Value;

/// How long a configuration may be kept without asking again, in seconds.
const CACHED: &str = "public, max-age=60";

/// Answers with a site's configuration, to pages of any origin. What is disabled looks as if it were not there.
pub(crate) async fn configuration(
    context: web::Data<Shared>,
    arbiter: web::Data<u16>,
    request: HttpRequest,
    key: web::Path<String>,
) -> HttpResponse {
    let key = key.into_inner();
    let site = context.node.on(**arbiter, move |hub| async move { hub.site(&key).await }).await;
    let (mut response, body) = match site {
        Some(Ok(Some(config))) => {
            let body = Value::Object(config).to_string();
            let (mut response, is_known) = tagged(&request, &ids::digest(&body));
            response.insert_header(("cache-control", CACHED));
            (response, (!is_known).then_some(body))
        }
        Some(Ok(None)) => (HttpResponse::NotFound(), None),
        Some(Err(_)) | None => {
            let mut response = HttpResponse::ServiceUnavailable();
            response.insert_header(("retry-after", "1"));
            (response, None)
        }
    };
    response
        .insert_header(("access-control-allow-origin", "*"))
        .insert_header(("x-content-type-options", "nosniff"));
    match body {
        Some(body) => response.content_type("application/json").body(body),
        None => response.finish(),
    }
}
