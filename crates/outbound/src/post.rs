//! One attempt to deliver a webhook: a connection to an address that was checked, one request, one bounded answer.

use crate::reach::{Reach, Unreachable};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER, USER_AGENT};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// How long it may take to find the server and to connect, with TLS.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an attempt may take as a whole.
const WHOLE: Duration = Duration::from_secs(10);
/// How much of an answer's body is read, in bytes.
const ANSWER: usize = 16 * 1024;

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
        let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
        further.into_iter().try_for_each(|certificate| roots.add(certificate))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        Ok(Self { reach, tls: Arc::new(tls), whole: WHOLE })
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
        let connecting = async {
            let stream = connect(&self.reach.addresses(&url).await?).await?;
            if url.scheme() == "http" {
                return Ok(Connected::Plain(stream));
            }
            let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
            let name = ServerName::try_from(name).map_err(|_| Unreachable::Url)?;
            let stream = TlsConnector::from(self.tls.clone()).connect(name, stream).await;
            stream.map(|stream| Connected::Tls(Box::new(stream))).map_err(not_connected)
        };
        let late = |_| Failed::Connect("it takes too long".into());
        match timeout(CONNECT, connecting).await.map_err(late)?? {
            Connected::Plain(stream) => exchange(stream, request).await,
            Connected::Tls(stream) => exchange(*stream, request).await,
        }
    }
}

enum Connected {
    Plain(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, Failed> {
    TcpStream::connect(addresses).await.map_err(not_connected)
}

fn not_connected(error: std::io::Error) -> Failed {
    Failed::Connect(error.to_string())
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answered, Failed>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let failed = |error: hyper::Error| Failed::Answer(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
    let answering = async {
        let response = sender.send_request(request).await.map_err(failed)?;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        let mut answered = Answered {
            status: response.status().as_u16(),
            retry_after: header(RETRY_AFTER).and_then(|text| text.trim().parse().ok()),
            content_type: header(CONTENT_TYPE).unwrap_or_default().to_owned(),
            body: None,
        };
        let body = Limited::new(response.into_body(), ANSWER).collect().await;
        answered.body = body.ok().map(|body| body.to_bytes());
        Ok(answered)
    };
    // Both end together: nothing of an attempt goes on after it.
    tokio::pin!(connection, answering);
    tokio::select! {
        biased;
        answered = &mut answering => answered,
        _ = &mut connection => answering.await,
    }
}

#[cfg(test)]
mod tests;
