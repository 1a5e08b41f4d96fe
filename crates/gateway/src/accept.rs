//! The accept loop: each socket goes to one arbiter, where HTTP is spoken and WebSockets live on.
//!
//! actix-web's own server keeps HTTP/1 buffers for as long as a connection lives. Here actix-http's
//! service hands an upgraded socket out, and the buffers go.

use crate::{Context, GatewayOptions, Metrics, Shared, http, websocket};
use actix_http::HttpService;
use actix_service::{Service, ServiceFactory, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::{App, web};
use levee_cluster::Node;
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

/// How long a client may take for a request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle HTTP connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Why a gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The address can't be listened on.
    #[error("can't listen on {0}: {1}")]
    Listen(String, std::io::Error),
    /// A figure is registered already.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    /// An arbiter did not start its part.
    #[error("an arbiter did not start serving")]
    Arbiter,
}

/// A running gateway.
pub struct Gateway {
    address: SocketAddr,
    stop: watch::Sender<bool>,
}

impl Gateway {
    /// Listens and serves on the node's arbiters.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn start(
        node: Node,
        listen: &str,
        tls: Option<Arc<ServerConfig>>,
        options: GatewayOptions,
    ) -> Result<Self, GatewayError> {
        let failed = |error| GatewayError::Listen(listen.to_owned(), error);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let metrics = Metrics::new(&options.registry)?;
        let permits = Arc::new(Semaphore::new(options.max_connections.max(1)));
        let context =
            Arc::new(Context { node: node.clone(), options, metrics, next_connection: AtomicU64::new(1) });
        let mut lanes = Vec::new();
        for (number, arbiter) in node.arbiters().iter().enumerate() {
            let (sender, receiver) = mpsc::channel(256);
            let (context, tls) = (context.clone(), tls.clone());
            if !arbiter.spawn_fn(move || {
                actix::spawn(serve(context, number as u16, tls, receiver));
            }) {
                return Err(GatewayError::Arbiter);
            }
            lanes.push(sender);
        }
        let (stop, stopped) = watch::channel(false);
        actix::spawn(accept(listener, lanes, permits, context, stopped));
        Ok(Self { address, stop })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts nothing more.
    pub fn stop(&self) {
        let _ = self.stop.send(true);
    }
}

/// A socket on its way to its arbiter. Dropping the permit lets the next one in.
struct Accepted {
    socket: TcpStream,
    peer: SocketAddr,
    permit: OwnedSemaphorePermit,
}

async fn accept(
    listener: TcpListener,
    lanes: Vec<mpsc::Sender<Accepted>>,
    permits: Arc<Semaphore>,
    context: Shared,
    mut stopped: watch::Receiver<bool>,
) {
    let mut turn = 0;
    loop {
        let Ok(permit) = permits.clone().acquire_owned().await else { return };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stopped.wait_for(|stopped| *stopped) => return,
        };
        match accepted {
            Ok((socket, peer)) => {
                let _ = socket.set_nodelay(true);
                turn = (turn + 1) % lanes.len();
                if lanes[turn].send(Accepted { socket, peer, permit }).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // Out of file descriptors, most likely: those that close make room.
                tracing::warn!(%error, "a connection was not accepted");
                context.metrics.closed.with_label_values(&["accept_error"]).inc();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves the sockets of one arbiter.
async fn serve(
    context: Shared,
    arbiter: u16,
    tls: Option<Arc<ServerConfig>>,
    sockets: mpsc::Receiver<Accepted>,
) {
    match tls {
        None => serve_with(context, arbiter, sockets, |socket| async { Ok(socket) }).await,
        Some(config) => {
            let acceptor = tokio_rustls::TlsAcceptor::from(config);
            serve_with(context, arbiter, sockets, move |socket| acceptor.accept(socket)).await;
        }
    }
}

async fn serve_with<I, F, Fut>(
    context: Shared,
    arbiter: u16,
    mut sockets: mpsc::Receiver<Accepted>,
    handshake: F,
) where
    I: AsyncRead + AsyncWrite + Unpin + 'static,
    F: Fn(TcpStream) -> Fut + Clone + 'static,
    Fut: Future<Output = io::Result<I>>,
{
    let here = websocket::Arbiter::start(context.clone(), arbiter);
    let routes_context = context.clone();
    let app = App::new().configure(move |config: &mut web::ServiceConfig| {
        http::routes(config, routes_context.clone(), arbiter);
    });
    let factory = HttpService::build()
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(Duration::from_secs(5))
        // A request ends with its client: what it found out later, nobody would be told.
        .h1_allow_half_closed(false)
        .upgrade(fn_service(move |(request, framed)| {
            let here = here.clone();
            async move {
                websocket::upgrade(here, request, framed).await;
                Ok::<_, actix_web::Error>(())
            }
        }))
        .h1(map_config(app, |()| AppConfig::default()));
    let service = match factory.new_service(()).await {
        Ok(service) => std::rc::Rc::new(service),
        Err(()) => {
            tracing::error!("the HTTP service did not start");
            return;
        }
    };
    while let Some(Accepted { socket, peer, permit }) = sockets.recv().await {
        let (service, handshake, metrics) = (service.clone(), handshake.clone(), context.metrics.clone());
        actix::spawn(async move {
            let place = Place::taken(metrics.connections, permit);
            match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake(socket)).await {
                Ok(Ok(io)) => {
                    if let Err(error) = service.call((Placed { io, _place: place }, Some(peer))).await {
                        tracing::debug!(%error, %peer, "a connection failed");
                    }
                }
                Ok(Err(error)) => tracing::debug!(%error, %peer, "a TLS handshake failed"),
                Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
            }
        });
    }
}

/// A connection's place among those that may be open: given back when the last who holds the socket
/// lets go of it, which may be another task than the one that accepted it.
struct Place {
    open: prometheus::IntGauge,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn taken(open: prometheus::IntGauge, permit: OwnedSemaphorePermit) -> Self {
        open.inc();
        Self { open, _permit: permit }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.open.dec();
    }
}

/// A socket with its place.
struct Placed<I> {
    io: I,
    _place: Place,
}

impl<I: AsyncRead + Unpin> AsyncRead for Placed<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Placed<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
