//! `serve` and `migrate`: opens the store, starts the node and the gateway, and waits for the end.

use crate::config::{Config, Store};
use crate::{logs, tls};
use anyhow::{Context, Result};
use levee_bus::memory::MemoryNetwork;
use levee_cluster::metrics::Metrics;
use levee_cluster::{Bounds, Node, NodeOptions};
use levee_gateway::{Gateway, GatewayOptions};
use levee_store::memory::MemoryStore;
use levee_store::metrics::StoreMetrics;
use levee_store::sqlite::{SqliteOptions, SqliteStore, Synchronous};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// One node on the embedded store is alone by the store's lock: its lease need not be short.
const ALONE: Duration = Duration::from_secs(24 * 3600);

/// A node with its gateway.
pub(crate) struct Running {
    node: Node,
    gateway: Gateway,
    sqlite: Option<SqliteStore>,
}

/// Runs a node until SIGTERM or SIGINT.
pub(crate) fn run(config: Config) -> Result<()> {
    logs::start(&config);
    actix_rt::System::new().block_on(async {
        let running = start(&config, None).await?;
        let scheme = if config.tls == crate::config::Tls::Off { "http" } else { "https" };
        tracing::info!(address = %running.address(), scheme, store = ?config.store, "serving");
        stop_signal().await?;
        tracing::info!("stopping");
        running.stop().await;
        Ok(())
    })
}

/// Brings the store's schema up to date.
pub(crate) fn migrate(config: Config) -> Result<()> {
    logs::start(&config);
    if config.store == Store::Memory {
        println!("the store is in memory: nothing to migrate");
        return Ok(());
    }
    actix_rt::System::new().block_on(async {
        let path = database(&config)?;
        let from = levee_store::sqlite::migrate(&path).await.context("migrating")?;
        let to = levee_store::sqlite::SCHEMA_VERSION;
        if from == to {
            println!("{}: schema version {to}, nothing to do", path.display());
        } else {
            println!("{}: schema version {from} → {to}", path.display());
        }
        Ok(())
    })
}

/// Waits for SIGTERM or SIGINT.
pub(crate) async fn stop_signal() -> Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// The database's path; its folder is made.
fn database(config: &Config) -> Result<PathBuf> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("data_dir: {} can't be made", config.data_dir.display()))?;
    Ok(config.data_dir.join("levee.sqlite"))
}

/// Starts a node and its gateway.
pub(crate) async fn start(config: &Config, demo_realm: Option<String>) -> Result<Running> {
    let registry = prometheus::Registry::new();
    let (store, sqlite): (Arc<dyn levee_store::Store>, _) = match config.store {
        Store::Memory => (Arc::new(MemoryStore::default()), None),
        Store::Sqlite => {
            let path = database(config)?;
            let options = SqliteOptions {
                synchronous: if config.sqlite_synchronous { Synchronous::Full } else { Synchronous::Off },
                metrics: Some(StoreMetrics::register(&registry)?),
                ..SqliteOptions::default()
            };
            let store = SqliteStore::open(&path, options)
                .await
                .with_context(|| format!("the store {} can't be opened", path.display()))?;
            (Arc::new(store.clone()), Some(store))
        }
    };
    // A name per incarnation, so that nobody takes this node for its predecessor.
    let name = format!("node-{:08x}", rand::random::<u32>());
    let (bus, inbox) = MemoryNetwork::default().join(name.as_str());
    let options = NodeOptions {
        arbiters: config.workers,
        lease: ALONE,
        renew: ALONE / 4,
        session_ttl: Duration::from_secs(config.session_ttl_s),
        passivate_after: Duration::from_secs(config.idle_passivate_s),
        session_bounds: Bounds { events: config.session_buffer_events, bytes: config.session_buffer_bytes },
        public_address: config.public_address.first().map(String::as_str).unwrap_or_default().into(),
        ..NodeOptions::default()
    };
    let metrics = Metrics::new(&registry)?;
    let node = Node::start(&name, store, (Arc::new(bus), Box::new(inbox)), metrics, options)
        .await
        .context("starting the node")?;
    let gateway = Gateway::start(
        node.clone(),
        &config.listen.to_string(),
        tls::load(config)?,
        GatewayOptions {
            public_addresses: config.public_address.clone(),
            max_connections: config.max_connections,
            allowed_origins: config.allowed_origins.clone(),
            demo_realm,
            registry,
        },
    )
    .await?;
    Ok(Running { node, gateway, sqlite })
}

impl Running {
    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.gateway.address()
    }

    /// Stops in good order: nothing that was acknowledged is lost anyway, and clients come back sooner.
    pub(crate) async fn stop(self) {
        self.gateway.stop();
        self.node.shut_down().await;
        if let Some(sqlite) = self.sqlite {
            sqlite.close().await;
        }
    }
}
