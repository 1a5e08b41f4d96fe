//! HTTP and WebSocket in front of the cluster.
//!
//! This crate turns frames and requests into actions for sessions, and events back into frames. It
//! holds no chat logic, and never touches the store or the bus.

mod accept;
mod client_address;
mod files;
mod http;
mod keys;
mod pages;
mod poll;
mod sessionless;
mod sites;
mod websocket;

pub use accept::{Gateway, GatewayError};

pub use levee_web::is_built as pages_are_built;

use actix_http::header::HeaderMap;
use ipnetwork::IpNetwork;
use levee_cluster::Node;
use levee_proto::Text;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A gateway's settings.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// What `/v2/endpoint` answers: host and port of this node. Empty means what the client asked for.
    pub public_addresses: Vec<String>,
    /// How many connections may be open at a time; further ones wait in the kernel.
    pub max_connections: usize,
    /// Proxies that are believed whom they name in `X-Forwarded-For`.
    pub trusted_proxies: Vec<IpNetwork>,
    /// Where pages may come from that talk to the console's endpoints, beside this server itself.
    pub allowed_origins: Vec<String>,
    /// The host, with its port, that serves files and nothing else; without one, files are served beside all else.
    pub files_host: Option<String>,
    /// Where links to files lead; empty if they are relative. The console may load from there and send there.
    pub files_origin: String,
    /// The demo's realm: its shop page is served then.
    pub demo_realm: Option<String>,
    /// The registry that `/metrics` shows.
    pub registry: prometheus::Registry,
}

/// What every request needs.
pub(crate) struct Context {
    pub(crate) node: Node,
    pub(crate) options: GatewayOptions,
    pub(crate) metrics: Metrics,
    next_connection: AtomicU64,
}

impl Context {
    /// The address of whoever sent a request.
    pub(crate) fn client_address(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Text {
        client_address::of(peer, headers, &self.options.trusted_proxies)
    }

    /// Whether a request is for the host that has files only.
    pub(crate) fn is_files_host(&self, headers: &HeaderMap) -> bool {
        self.options.files_host.as_ref().is_some_and(|host| files::is_host(headers, host))
    }

    /// A number for a connection, unlike any other's.
    pub(crate) fn connection_number(&self) -> u64 {
        self.next_connection.fetch_add(1, Ordering::Relaxed)
    }
}

pub(crate) type Shared = Arc<Context>;

/// The gateway's figures.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) connections: prometheus::IntGauge,
    pub(crate) frames_in: prometheus::IntCounter,
    pub(crate) frames_out: prometheus::IntCounter,
    pub(crate) closed: prometheus::IntCounterVec,
}

impl Metrics {
    fn new(registry: &prometheus::Registry) -> prometheus::Result<Self> {
        let frames = prometheus::IntCounterVec::new(
            prometheus::Opts::new("levee_frames_total", "WebSocket frames by direction."),
            &["direction"],
        )?;
        registry.register(Box::new(frames.clone()))?;
        let metrics = Self {
            connections: prometheus::IntGauge::new("levee_connections", "Open TCP connections.")?,
            // Looked up once: there are several frames to a message.
            frames_in: frames.with_label_values(&["in"]),
            frames_out: frames.with_label_values(&["out"]),
            closed: prometheus::IntCounterVec::new(
                prometheus::Opts::new(
                    "levee_sockets_closed_total",
                    "WebSockets that were closed, by reason.",
                ),
                &["reason"],
            )?,
        };
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.closed.clone()))?;
        Ok(metrics)
    }
}
