//! The console, the widget and the demo shop.

use crate::Shared;
use actix_web::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};

/// Answers `GET /console/…`.
pub(crate) async fn console(
    context: web::Data<Shared>,
    request: HttpRequest,
    path: web::Path<String>,
) -> HttpResponse {
    let path = if path.is_empty() { "index.html" } else { path.as_str() };
    let mut response = file(&request, &format!("console/{path}"));
    let headers = response.headers_mut();
    let policy = console_policy(&context.options.files_origin);
    for (name, value) in [
        ("content-security-policy", policy.as_str()),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
    ] {
        if let (Ok(name), Ok(value)) = (name.parse::<actix_web::http::header::HeaderName>(), value.parse()) {
            headers.insert(name, value);
        }
    }
    response
}

/// What the console may load and do: of elsewhere, files and pictures alone, and nobody may frame it.
fn console_policy(files: &str) -> String {
    format!(
        "default-src 'self'; img-src 'self' data: blob: https: {files}; connect-src 'self' ws: wss: {files}; \
         object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'"
    )
}

/// Answers `GET /widget.js`, which any page may load.
pub(crate) async fn widget(request: HttpRequest) -> HttpResponse {
    file(&request, "widget.js")
}

/// Answers `GET /widget/…`: what the widget loads later. Those are modules, which a browser takes from another
/// origin only if that says so.
pub(crate) async fn widget_part(request: HttpRequest, path: web::Path<String>) -> HttpResponse {
    let mut response = file(&request, &format!("widget/{path}"));
    response.headers_mut().insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    response
}

/// Answers `GET /demo/`: the shop page, with the demo's realm.
pub(crate) async fn shop(context: web::Data<Shared>) -> HttpResponse {
    let Some(realm) = &context.options.demo_realm else { return HttpResponse::NotFound().finish() };
    match levee_web::page("demo/shop.html") {
        Some(page) => {
            let text = String::from_utf8_lossy(&page.body).replace("{{realm_id}}", realm);
            HttpResponse::Ok()
                .content_type(page.content_type)
                .insert_header(("cache-control", "no-store"))
                .body(text)
        }
        None => HttpResponse::NotFound().finish(),
    }
}

fn file(request: &HttpRequest, path: &str) -> HttpResponse {
    let Some(page) = levee_web::page(path) else { return HttpResponse::NotFound().finish() };
    let (mut response, is_known) = tagged(request, &page.etag);
    let caching = if page.immutable { "public, max-age=31536000, immutable" } else { "no-cache" };
    response.insert_header(("cache-control", caching)).insert_header(("x-content-type-options", "nosniff"));
    if is_known {
        return response.finish();
    }
    response.content_type(page.content_type).body(page.body.into_owned())
}

/// Begins to answer with something that has a tag, and whether the client has it already: then it is not sent.
pub(crate) fn tagged(request: &HttpRequest, tag: &str) -> (HttpResponseBuilder, bool) {
    let etag = format!("\"{tag}\"");
    let known = request.headers().get("if-none-match");
    let is_known = known.is_some_and(|value| value.as_bytes() == etag.as_bytes());
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header(("etag", etag));
    (response, is_known)
}
