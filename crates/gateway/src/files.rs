//! `GET /files/…` and `GET /icons/…`: files, served so that nothing in them can run.
//!
//! A browser must not take a file for a page of ours, whatever its sender made of it: only pictures that look like
//! pictures are shown, all else is saved; types are not guessed; and what is shown after all has no rights.

mod head;
mod tus;

use crate::Shared;
use actix_web::body::SizedStream;
use actix_web::guard::GuardContext;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use futures_util::StreamExt as _;
use head::Wanted;
use levee_cluster::files::{Download, Link};
use levee_proto::{ErrorType, Id, Rejection};
use serde::Deserialize;
use std::ops::Range;

/// Registers the routes of files; with an origin of their own, on that one alone, where there is nothing else.
pub(crate) fn routes(config: &mut web::ServiceConfig, own_host: Option<String>) {
    fn read_only(path: &str) -> actix_web::Resource {
        web::resource(path).default_service(web::to(|| async { HttpResponse::MethodNotAllowed().finish() }))
    }
    let files = read_only("/files/{file}/{name}").route(web::get().to(file)).route(web::head().to(file));
    let icons = read_only("/icons/{file}").route(web::get().to(icon)).route(web::head().to(icon));
    let Some(host) = own_host else {
        config.configure(tus::routes).service(files).service(icons);
        return;
    };
    let scope = web::scope("")
        .guard(actix_web::guard::fn_guard(move |at: &GuardContext<'_>| is_host(at.head().headers(), &host)))
        .configure(tus::routes)
        .service(files)
        .service(icons)
        .default_service(web::to(|| async { HttpResponse::NotFound().finish() }));
    config.service(scope);
}

/// Whether a request is for a host.
pub(crate) fn is_host(headers: &actix_http::header::HeaderMap, host: &str) -> bool {
    let asked = headers.get("host").and_then(|value| value.to_str().ok());
    asked.is_some_and(|asked| asked.eq_ignore_ascii_case(host))
}

#[derive(Deserialize)]
struct Query {
    expires: u64,
    user: Id,
    #[serde(default)]
    thumbnail: bool,
    signature: String,
}

async fn file(
    context: web::Data<Shared>,
    arbiter: web::Data<u16>,
    request: HttpRequest,
    path: web::Path<(Id, String)>,
) -> HttpResponse {
    // What is no link of ours is nothing, whatever is wrong with it.
    let Ok(query) = web::Query::<Query>::from_query(request.query_string()) else { return absent() };
    let Query { expires, user, thumbnail, signature } = query.into_inner();
    let link = Link { file: path.into_inner().0, user, expires, thumbnail, signature };
    let found = context.node.on(**arbiter, move |hub| async move { hub.download(link).await }).await;
    found_or_not(&context, &request, found).await
}

async fn icon(
    context: web::Data<Shared>,
    arbiter: web::Data<u16>,
    request: HttpRequest,
    path: web::Path<Id>,
) -> HttpResponse {
    let found = context.node.on(**arbiter, move |hub| async move { hub.icon(path.into_inner()).await }).await;
    found_or_not(&context, &request, found).await
}

async fn found_or_not(
    context: &Shared,
    request: &HttpRequest,
    found: Option<Result<Option<Download>, Rejection>>,
) -> HttpResponse {
    match found {
        Some(Ok(Some(file))) => answer(context, request, &file).await,
        Some(Ok(None)) => absent(),
        Some(Err(_)) | None => later(),
    }
}

async fn answer(context: &Shared, request: &HttpRequest, file: &Download) -> HttpResponse {
    let etag = format!("\"{}\"", file.tag);
    let range = match head::wanted(request.headers(), file.size, &etag) {
        Wanted::Nothing => return begin(StatusCode::NOT_MODIFIED, file, &etag).finish(),
        Wanted::Unsatisfiable => {
            return begin(StatusCode::RANGE_NOT_SATISFIABLE, file, &etag)
                .insert_header(("content-range", format!("bytes */{}", file.size)))
                .finish();
        }
        Wanted::All => None,
        Wanted::Part(range) => Some(range),
    };
    let mut response =
        begin(if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK }, file, &etag);
    if let Some(Range { start, end }) = &range {
        response.insert_header(("content-range", format!("bytes {start}-{}/{}", end - 1, file.size)));
    }
    let range = range.unwrap_or(0..file.size);
    let size = range.end - range.start;
    response.content_type(head::served_type(&file.media_type));
    if *request.method() == Method::HEAD {
        return response.body(SizedStream::new(size, futures_util::stream::empty::<std::io::Result<_>>()));
    }
    match context.node.read_file(file, range).await {
        Ok(bytes) => response.body(SizedStream::new(size, bytes.boxed_local())),
        Err(rejection) if rejection.error_type == ErrorType::FileNotFound => absent(),
        Err(_) => later(),
    }
}

/// What every answer about a file says.
fn begin(status: StatusCode, file: &Download, etag: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    let who = if file.public { "public" } else { "private" };
    safe(&mut response)
        .insert_header(("etag", etag))
        .insert_header(("accept-ranges", "bytes"))
        .insert_header(("cache-control", format!("{who}, max-age={}", file.holds_s)))
        .insert_header(("content-disposition", head::disposition(&file.name, &file.media_type)));
    response
}

/// Whatever a browser takes this for, it has no rights.
fn safe(response: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    response
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("content-security-policy", "sandbox; default-src 'none'"))
        .insert_header(("referrer-policy", "no-referrer"))
        // Widgets on pages of others show pictures; the signature is what lets them.
        .insert_header(("cross-origin-resource-policy", "cross-origin"))
}

/// What is not there, not to be seen, or not linked to by us.
fn absent() -> HttpResponse {
    safe(&mut HttpResponse::NotFound()).insert_header(("cache-control", "no-store")).finish()
}

fn later() -> HttpResponse {
    safe(&mut HttpResponse::ServiceUnavailable())
        .insert_header(("cache-control", "no-store"))
        .insert_header(("retry-after", "1"))
        .finish()
}
