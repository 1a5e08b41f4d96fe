//! Uploads by tus 1.0: creation, checksum, expiration and termination, by pages of any origin.
//!
//! What leads to an upload is in its address: a ticket to begin it, then an address of its own. Nothing goes by cookies.

use super::safe;
use crate::Shared;
use actix_http::header::HeaderMap;
use actix_web::http::header::HttpDate;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use levee_cluster::files::upload::{Checksum, Chunk, Refusal, Standing, UploadLink, Wish};
use levee_proto::Id;
use levee_proto::limits::MAX_INTEGER;
use std::time::{Duration, SystemTime};
use tokio::sync::mpsc;

const VERSION: &str = "1.0.0";
const EXTENSIONS: &str = "creation,creation-defer-length,checksum,expiration,termination";
const CHECKSUMS: &str = "sha1,sha256";
/// The media type of what is written.
const BYTES: &str = "application/offset+octet-stream";
/// What a page of another origin may send.
const SENT: &str = "content-type, tus-resumable, upload-checksum, upload-defer-length, upload-length, upload-metadata, \
                    upload-offset, x-http-method-override, x-request-id, x-requested-with";
/// What a page of another origin may read.
const READ: &str = "location, tus-checksum-algorithm, tus-extension, tus-max-size, tus-resumable, tus-version, \
                    upload-defer-length, upload-expires, upload-length, upload-offset";
/// How many chunks may be on their way from the socket: the rest waits in it.
const CHUNKS: usize = 2;
/// The status of a checksum that is not right.
const MISMATCH: u16 = 460;

/// Registers where uploads begin and go on.
pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/files/upload/{ticket}").default_service(web::to(begin)))
        .service(web::resource("/files/upload/{file}/{secret}").default_service(web::to(go_on)));
}

/// Where uploads begin.
async fn begin(
    context: web::Data<Shared>,
    arbiter: web::Data<u16>,
    request: HttpRequest,
    path: web::Path<String>,
) -> HttpResponse {
    let head = Head::of(&request);
    if let Some(response) = head.at_once() {
        return response;
    }
    if head.method != Method::POST {
        return said(StatusCode::METHOD_NOT_ALLOWED, "an upload begins by POST");
    }
    let length = match (head.number("upload-length"), head.text("upload-defer-length")) {
        (Some(Ok(length)), None) => Some(length),
        (None, Some("1")) => None,
        _ => return said(StatusCode::BAD_REQUEST, "Upload-Length is missing, or no length"),
    };
    let ticket = path.into_inner();
    let started =
        context.node.on(**arbiter, move |hub| async move { hub.begin_upload(&ticket, length).await }).await;
    match started {
        Some(Ok(started)) => {
            let mut response = response(StatusCode::CREATED);
            stands(&mut response, &started.standing).insert_header(("location", started.path));
            response.finish()
        }
        Some(Err(refusal)) => refused(&refusal),
        None => refused(&Refusal::Later),
    }
}

/// Where they go on.
async fn go_on(
    context: web::Data<Shared>,
    arbiter: web::Data<u16>,
    request: HttpRequest,
    path: web::Path<(Id, String)>,
    body: web::Payload,
) -> HttpResponse {
    let head = Head::of(&request);
    if let Some(response) = head.at_once() {
        return response;
    }
    let (file, secret) = path.into_inner();
    let link = UploadLink { file, secret };
    if head.method == Method::PATCH {
        return write(&context, **arbiter, &head, link, body).await;
    }
    if head.method == Method::HEAD {
        let standing = context
            .node
            .on(**arbiter, move |hub| async move { hub.upload_standing(&link).await })
            .await
            .unwrap_or(Err(Refusal::Later));
        return match standing {
            Ok(standing) => stands(&mut response(StatusCode::OK), &standing).finish(),
            Err(refusal) => refused(&refusal),
        };
    }
    if head.method == Method::DELETE {
        let cancelled = context
            .node
            .on(**arbiter, move |hub| async move { hub.cancel_upload(&link).await })
            .await
            .unwrap_or(Err(Refusal::Later));
        return match cancelled {
            Ok(()) => response(StatusCode::NO_CONTENT).finish(),
            Err(refusal) => refused(&refusal),
        };
    }
    said(StatusCode::METHOD_NOT_ALLOWED, "an upload goes on by HEAD, PATCH or DELETE")
}

/// Takes in what comes. It is written by somebody else, so that what has come is kept if this request breaks off.
async fn write(
    context: &Shared,
    arbiter: u16,
    head: &Head<'_>,
    link: UploadLink,
    body: web::Payload,
) -> HttpResponse {
    if head.text("content-type") != Some(BYTES) {
        return said(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Content-Type is application/offset+octet-stream");
    }
    let wish = match wish(head) {
        Ok(wish) => wish,
        Err(why) => return said(StatusCode::BAD_REQUEST, why),
    };
    let (sender, chunks) = mpsc::channel(CHUNKS);
    let written =
        context.node.on(arbiter, move |hub| async move { hub.write_upload(&link, wish, chunks).await });
    let mut written = std::pin::pin!(written);
    let outcome = tokio::select! {
        biased;
        outcome = &mut written => outcome,
        () = pass_on(body, sender) => written.await,
    };
    match outcome.unwrap_or(Err(Refusal::Later)) {
        Ok(standing) => stands(&mut response(StatusCode::NO_CONTENT), &standing).finish(),
        Err(refusal) => refused(&refusal),
    }
}

/// Passes on what comes, no faster than it is stored. What breaks off ends without a word.
async fn pass_on(mut body: web::Payload, sender: mpsc::Sender<Chunk>) {
    while let Some(chunk) = body.next().await {
        let Ok(bytes) = chunk else { return };
        if sender.send(Chunk::Bytes(bytes)).await.is_err() {
            // Nobody takes it: the answer is there.
            return;
        }
    }
    let _ = sender.send(Chunk::End).await;
}

/// What a request is about to write, or what makes no sense about it.
fn wish(head: &Head<'_>) -> Result<Wish, &'static str> {
    let from = head.number("upload-offset").and_then(Result::ok);
    let length = head.number("upload-length").transpose();
    let checksum = match head.text("upload-checksum") {
        Some(text) => Some(checksum(text).ok_or("Upload-Checksum is sha1 or sha256 and a digest")?),
        None => None,
    };
    Ok(Wish {
        from: from.ok_or("Upload-Offset is missing, or no offset")?,
        length: length.map_err(|()| "Upload-Length is no length")?,
        coming: head.number("content-length").and_then(Result::ok),
        checksum,
    })
}

/// Reads a checksum: its name, and a digest in base 64.
fn checksum(text: &str) -> Option<Checksum> {
    let (name, digest) = text.split_once(' ')?;
    let digest = STANDARD.decode(digest.trim()).ok()?;
    match (name, digest.len()) {
        ("sha1", 20) => Some(Checksum::Sha1(digest)),
        ("sha256", 32) => Some(Checksum::Sha256(digest)),
        _ => None,
    }
}

/// What a request says in its head.
struct Head<'a> {
    method: Method,
    headers: &'a HeaderMap,
}

impl<'a> Head<'a> {
    fn of(request: &'a HttpRequest) -> Self {
        let mut head = Self { method: request.method().clone(), headers: request.headers() };
        // For those whose network lets nothing else pass.
        if let Some(method) = head.text("x-http-method-override").filter(|_| head.method == Method::POST) {
            head.method = Method::from_bytes(method.as_bytes()).unwrap_or(head.method);
        }
        head
    }

    /// What is answered before anything is looked at.
    fn at_once(&self) -> Option<HttpResponse> {
        if self.method == Method::OPTIONS {
            return Some(options());
        }
        let wrong = self.text("tus-resumable") != Some(VERSION);
        wrong.then(|| {
            response(StatusCode::PRECONDITION_FAILED).insert_header(("tus-version", VERSION)).finish()
        })
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A number that every client can hold; an error if it is none.
    fn number(&self, name: &str) -> Option<Result<u64, ()>> {
        let text = self.text(name)?;
        let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        Some(number.filter(|number| *number <= MAX_INTEGER).ok_or(()))
    }
}

/// What the server can do, and what pages of other origins may.
fn options() -> HttpResponse {
    response(StatusCode::NO_CONTENT)
        .insert_header(("tus-version", VERSION))
        .insert_header(("tus-extension", EXTENSIONS))
        .insert_header(("tus-checksum-algorithm", CHECKSUMS))
        .insert_header(("access-control-allow-methods", "POST, HEAD, PATCH, DELETE, OPTIONS"))
        .insert_header(("access-control-allow-headers", SENT))
        .insert_header(("access-control-max-age", "86400"))
        .finish()
}

fn response(status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    safe(&mut response)
        .insert_header(("tus-resumable", VERSION))
        .insert_header(("cache-control", "no-store"))
        .insert_header(("access-control-allow-origin", "*"))
        .insert_header(("access-control-expose-headers", READ));
    response
}

/// Says how far an upload is.
fn stands<'a>(response: &'a mut HttpResponseBuilder, standing: &Standing) -> &'a mut HttpResponseBuilder {
    let expires = SystemTime::UNIX_EPOCH + Duration::from_micros(standing.expires);
    response
        .insert_header(("upload-offset", standing.offset))
        .insert_header(("upload-expires", HttpDate::from(expires)));
    match standing.length {
        Some(length) => response.insert_header(("upload-length", length)),
        None => response.insert_header(("upload-defer-length", "1")),
    }
}

fn refused(refusal: &Refusal) -> HttpResponse {
    let (status, why) = match refusal {
        Refusal::Absent => (StatusCode::NOT_FOUND, "there is no such upload"),
        Refusal::Gone => (StatusCode::GONE, "the upload is over"),
        Refusal::Denied => (StatusCode::FORBIDDEN, "files can't be sent there"),
        Refusal::Elsewhere => (StatusCode::CONFLICT, "the upload is at another offset"),
        Refusal::TooLarge(why) => (StatusCode::PAYLOAD_TOO_LARGE, why.as_str()),
        Refusal::Taken => (StatusCode::LOCKED, "another request writes the upload"),
        Refusal::Silent => (StatusCode::REQUEST_TIMEOUT, "nothing came for a while"),
        Refusal::Mismatch => {
            (StatusCode::from_u16(MISMATCH).unwrap_or(StatusCode::BAD_REQUEST), "the checksum is another one")
        }
        Refusal::NoRoom => (StatusCode::INSUFFICIENT_STORAGE, "no room is left for files"),
        Refusal::Busy => (StatusCode::TOO_MANY_REQUESTS, "too much at once; try again"),
        Refusal::Malformed(why) => (StatusCode::BAD_REQUEST, why.as_str()),
        Refusal::Later => (StatusCode::SERVICE_UNAVAILABLE, "files can't be kept now; try again"),
    };
    said(status, why)
}

fn said(status: StatusCode, why: &str) -> HttpResponse {
    response(status).content_type("text/plain; charset=utf-8").body(format!("{why}\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_read_and_nonsense_is_not() {
        let sha1 = STANDARD.encode([1; 20]);
        let sha256 = STANDARD.encode([2; 32]);
        assert_eq!(checksum(&format!("sha1 {sha1}")), Some(Checksum::Sha1(vec![1; 20])));
        assert_eq!(checksum(&format!("sha256 {sha256}")), Some(Checksum::Sha256(vec![2; 32])));
        for wrong in ["", "sha1", "sha1 ", "sha1 x", &format!("md5 {sha1}"), &format!("sha256 {sha1}")] {
            assert_eq!(checksum(wrong), None, "{wrong}");
        }
    }
}
