//! How requests get to S3: over HTTP/1.1, TLS by *ring* and the usual authorities. Every wait has a limit: for a
//! connection, for an answer, and for the next bytes of one.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use hyper::Method;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector as Connect, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use tokio::time::Sleep;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an answer may take to begin, and its next bytes to come.
const ANSWER: Duration = Duration::from_secs(5);
/// How much longer an answer may take for each byte that is sent: a way of 1 MB/s is fast enough.
const PER_BYTE: Duration = Duration::from_micros(1);
/// How long the answer to finishing an upload may take to begin: some servers first put the blob together.
const FINISH: Duration = Duration::from_secs(30);
/// How long a connection that nobody uses is kept.
const IDLE: Duration = Duration::from_secs(20);

/// Makes clients.
#[derive(Debug)]
pub(super) struct Connector {
    /// Whether requests without TLS are sent too.
    pub(super) plain: bool,
}

impl Connect for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let mut tcp = HttpConnector::new();
        tcp.set_connect_timeout(Some(CONNECT));
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let provider = rustls::crypto::ring::default_provider();
        let tls = HttpsConnectorBuilder::new().with_provider_and_webpki_roots(provider);
        let tls = tls.map_err(|error| object_store::Error::Generic { store: "S3", source: error.into() })?;
        let tls = if self.plain { tls.https_or_http() } else { tls.https_only() };
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(tls.enable_http1().wrap_connector(tcp));
        Ok(HttpClient::new(Http(client)))
    }
}

/// A client with its connections.
#[derive(Debug)]
struct Http(Client<HttpsConnector<HttpConnector>, HttpRequestBody>);

#[async_trait]
impl HttpService for Http {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = tokio::time::timeout(limit(&request), self.0.request(request)).await;
        let answer = answer.map_err(|_| late())?.map_err(|error| {
            let kind = if error.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Interrupted };
            HttpError::new(kind, error)
        })?;
        Ok(answer.map(|body| HttpResponseBody::new(Answer { body, limit: None })))
    }
}

/// How long the answer to a request may take to begin.
fn limit(request: &HttpRequest) -> Duration {
    let query = request.uri().query().unwrap_or_default();
    if request.method() == Method::POST && query.starts_with("uploadId=") {
        return FINISH;
    }
    let sent = u32::try_from(request.body().content_length()).unwrap_or(u32::MAX);
    ANSWER + PER_BYTE * sent
}

/// An answer's body, whose next bytes are waited for so long and no longer. Time in which nobody asks for them
/// does not count.
struct Answer {
    body: Incoming,
    limit: Option<Pin<Box<Sleep>>>,
}

impl Body for Answer {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            self.limit = None;
            return Poll::Ready(
                frame.map(|frame| frame.map_err(|error| HttpError::new(HttpErrorKind::Interrupted, error))),
            );
        }
        let limit = self.limit.get_or_insert_with(|| Box::pin(tokio::time::sleep(ANSWER)));
        limit.as_mut().poll(context).map(|()| Some(Err(late())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn late() -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))
}
