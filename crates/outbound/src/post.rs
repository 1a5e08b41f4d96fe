//! One attempt to deliver a webhook: a connection to an address that was checked, one request, one bounded answer.

use crate::exchange::{connect, exchange, trusting};
use crate::reach::{Reach, Unreachable};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// How long an attempt may take as a whole.
const WHOLE: Duration = Duration::from_secs(10);

/// Why an attempt failed without an answer. None of it tells what was sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failed {
    /// It may not go there, or there is no such place.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// No connection in time.
    #[error("the receiver can't be connected to: {0}")]
    Connect(String),
    /// No answer, or none in time.
    #[error("the receiver did not answer: {0}")]
    Answer(String),
}

/// What a receiver answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Answered {
    /// The status code.
    pub status: u16,
    /// After how many seconds it wants to be asked again.
    pub retry_after: Option<u64>,
    /// The type of the body.
    pub content_type: String,
    /// The body; `None` if it is too long, or did not come.
    pub body: Option<Bytes>,
}

/// Posts documents to receivers.
#[derive(Debug, Clone)]
pub struct Poster {
    reach: Reach,
    tls: Arc<ClientConfig>,
    whole: Duration,
}

impl Poster {
    /// A way to what may be reached; further certificates are trusted beside those that browsers trust.
    ///
    /// # Errors
    /// When one of them can't be used, or TLS can't be set up.
    pub fn new(reach: Reach, further: Vec<CertificateDer<'static>>) -> Result<Self, rustls::Error> {
        Ok(Self { reach, tls: trusting(further)?, whole: WHOLE })
    }

    /// Posts JSON with some headers beside. Redirects are answers like any other: nothing follows them.
    ///
    /// # Errors
    /// See [`Failed`].
    pub async fn post(&self, url: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Answered, Failed> {
        let late = |_| Failed::Answer("it takes too long".into());
        timeout(self.whole, self.attempt(url, headers, body)).await.map_err(late)?
    }

    async fn attempt(&self, url: &str, headers: &[(&str, &str)], body: Bytes) -> Result<Answered, Failed> {
        let url = self.reach.url(url)?;
        let mut request = Request::post(&url[url::Position::BeforePath..])
            .header(HOST, &url[url::Position::BeforeHost..url::Position::AfterPort])
            .header(USER_AGENT, concat!("ninchat-webhook/1 (levee/", env!("CARGO_PKG_VERSION"), ")"))
            .header(CONTENT_TYPE, "application/json; charset=utf-8");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(|error| Failed::Connect(error.to_string()))?;
        let addresses = async { Ok(self.reach.addresses(&url).await?) };
        exchange(connect(&url, addresses, &self.tls).await?, request).await
    }
}

#[cfg(test)]
mod tests;
