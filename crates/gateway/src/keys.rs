//! `GET /config/keys.json`: the keys by which receivers verify what webhooks tell them.

use crate::Shared;
use actix_web::{HttpResponse, web};

/// How long the keys may be kept without asking again, in seconds: well below the time that a new one is shown before
/// it signs.
const CACHED: &str = "public, max-age=60";

pub(crate) async fn keys(context: web::Data<Shared>, arbiter: web::Data<u16>) -> HttpResponse {
    let keys = context.node.on(**arbiter, move |hub| async move { hub.webhook_keys().await }).await;
    let (mut response, body) = match keys {
        Some(Ok(Some(keys))) => {
            let mut response = HttpResponse::Ok();
            response.insert_header(("cache-control", CACHED));
            (response, keys.to_string())
        }
        Some(Ok(None)) => (HttpResponse::NotFound(), String::new()),
        Some(Err(_)) | None => {
            let mut response = HttpResponse::ServiceUnavailable();
            response.insert_header(("retry-after", "1"));
            (response, String::new())
        }
    };
    response
        .content_type("application/json")
        .insert_header(("access-control-allow-origin", "*"))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(body)
}
