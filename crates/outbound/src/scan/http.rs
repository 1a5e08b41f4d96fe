//! A server to which a file is posted, and which says by its status what it found.

use super::Contents;
use crate::exchange::{connect, exchange};
use crate::post::Failed;
use futures_util::TryStreamExt as _;
use http_body_util::StreamBody;
use hyper::Request;
use hyper::body::Frame;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use rustls::ClientConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use url::{Position, Url};

/// What a status says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Says {
    Clean,
    Refused,
    Nothing,
}

pub(super) fn says(status: u16) -> Says {
    match status {
        200..=299 => Says::Clean,
        // It had no time, or too much to do.
        408 | 429 => Says::Nothing,
        400..=499 => Says::Refused,
        _ => Says::Nothing,
    }
}

pub(super) async fn scan(
    url: &Url,
    tls: &Arc<ClientConfig>,
    size: u64,
    contents: Contents,
) -> Result<bool, String> {
    let sent = Arc::new(AtomicU64::new(0));
    let sending = sent.clone();
    let frames = contents.map_ok(move |chunk| {
        sending.fetch_add(chunk.len() as u64, Ordering::Relaxed);
        Frame::data(chunk)
    });
    let request = Request::post(&url[Position::BeforePath..])
        .header(HOST, &url[Position::BeforeHost..Position::AfterPort])
        .header(USER_AGENT, concat!("levee/", env!("CARGO_PKG_VERSION")))
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, size)
        .body(StreamBody::new(frames))
        .map_err(|error| error.to_string())?;
    let addresses = async {
        let failed = |error: std::io::Error| Failed::Connect(error.to_string());
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let port = url.port_or_known_default().unwrap_or_default();
        Ok(tokio::net::lookup_host((host, port)).await.map_err(failed)?.collect())
    };
    let wire = connect(url, addresses, tls).await.map_err(|error| error.to_string())?;
    let status = exchange(wire, request).await.map_err(|error| error.to_string())?.status;
    match says(status) {
        Says::Clean if sent.load(Ordering::Relaxed) < size => {
            Err(format!("it answered {status} before it had everything"))
        }
        Says::Clean => Ok(true),
        Says::Refused => Ok(false),
        Says::Nothing => Err(format!("it answered {status}")),
    }
}
