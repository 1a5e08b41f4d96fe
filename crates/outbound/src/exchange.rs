//! One request to a server, over a connection of its own, and one bounded answer.

use crate::post::{Answered, Failed};
use crate::reach::Unreachable;
use bytes::Buf;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
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
use url::Url;

/// How long it may take to find the server and to connect, with TLS.
const CONNECT: Duration = Duration::from_secs(5);
/// How much of an answer's body is read, in bytes.
pub(crate) const ANSWER: usize = 16 * 1024;

/// What bytes are sent and received over.
pub(crate) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// How TLS is spoken: further certificates are trusted beside those that browsers trust.
///
/// # Errors
/// When one of them can't be used, or TLS can't be set up.
pub(crate) fn trusting(further: Vec<CertificateDer<'static>>) -> Result<Arc<ClientConfig>, rustls::Error> {
    let mut roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    further.into_iter().try_for_each(|certificate| roots.add(certificate))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(Arc::new(tls.with_root_certificates(roots).with_no_client_auth()))
}

/// Connects to the server of a URL, at one of the addresses that are found for it.
pub(crate) async fn connect(
    url: &Url,
    addresses: impl Future<Output = Result<Vec<SocketAddr>, Failed>>,
    tls: &Arc<ClientConfig>,
) -> Result<Box<dyn Wire>, Failed> {
    let connecting = async {
        let stream = TcpStream::connect(&*addresses.await?).await.map_err(not_connected)?;
        if url.scheme() == "http" {
            return Ok(Box::new(stream) as Box<dyn Wire>);
        }
        let name = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let name = ServerName::try_from(name).map_err(|_| Unreachable::Url)?;
        let stream = TlsConnector::from(tls.clone()).connect(name, stream).await.map_err(not_connected)?;
        Ok(Box::new(stream) as Box<dyn Wire>)
    };
    let late = |_| Failed::Connect("it takes too long".into());
    timeout(CONNECT, connecting).await.map_err(late)?
}

fn not_connected(error: std::io::Error) -> Failed {
    Failed::Connect(error.to_string())
}

/// Sends a request and takes in the answer.
pub(crate) async fn exchange<B>(wire: Box<dyn Wire>, request: Request<B>) -> Result<Answered, Failed>
where
    B: Body<Data: Buf + Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>> + Send + 'static,
{
    let failed = |error: hyper::Error| Failed::Answer(error.to_string());
    let (mut sender, connection) = http1::handshake(TokioIo::new(wire)).await.map_err(failed)?;
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
