//! `serve` and `migrate`: opens the store, starts the node and the gateway, and waits for the end.

use crate::backing::{self, Backing};
use crate::config::{Config, Store};
use crate::{logs, mail, tls, webhooks};
use anyhow::{Context, Result};
use levee_cluster::metrics::Metrics;
use levee_cluster::places::Places;
use levee_cluster::{Bounds, Node, NodeOptions};
use levee_gateway::{Gateway, GatewayOptions};
use levee_store::sqlite::SqliteStore;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

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
    actix_rt::System::new().block_on(async {
        let (place, from, to) = match &config.store {
            Store::Memory => {
                println!("the store is in memory: nothing to migrate");
                return Ok(());
            }
            Store::Sqlite => {
                let path = backing::database(&config)?;
                let from = levee_store::sqlite::migrate(&path).await.context("migrating")?;
                (path.display().to_string(), from, levee_store::sqlite::SCHEMA_VERSION)
            }
            Store::Postgres { url, .. } => {
                let from = levee_store::postgres::migrate(url).await.context("migrating")?;
                ("PostgreSQL".to_owned(), from, levee_store::postgres::SCHEMA_VERSION)
            }
        };
        if from == to {
            println!("{place}: schema version {to}, nothing to do");
        } else {
            println!("{place}: schema version {from} → {to}");
        }
        Ok(())
    })
}

/// Moves what a SQLite file holds into PostgreSQL.
pub(crate) fn transfer(config: &Config, from: &Path, to: Option<&str>) -> Result<()> {
    logs::start(config);
    let to = match (to, &config.store) {
        (Some(to), _) => to,
        (None, Store::Postgres { url, .. }) => url,
        (None, _) => anyhow::bail!("where to? Say --to, or set store = \"postgres\" and postgres_url"),
    };
    let mut shown = ("", std::time::Instant::now());
    let told = |table: &'static str, rows: u64| {
        if shown.0 != table || shown.1.elapsed() > Duration::from_secs(1) {
            shown = (table, std::time::Instant::now());
            println!("{table}: {rows} …");
        }
    };
    let moving = levee_store::transfer(from, to, told);
    let moved = actix_rt::System::new().block_on(moving).context("nothing was moved")?;
    println!(
        "moved {} streams with {} records, {} snapshots, {} directory rows and {} agenda rows",
        moved.streams, moved.records, moved.snapshots, moved.directory, moved.agenda
    );
    Ok(())
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

/// Starts a node and its gateway.
pub(crate) async fn start(config: &Config, demo_realm: Option<String>) -> Result<Running> {
    let registry = prometheus::Registry::new();
    let Backing { store, sqlite } = backing::open(config, &registry).await?;
    // A name per incarnation, so that nobody takes this node for its predecessor.
    let name = format!("node-{:08x}", rand::random::<u32>());
    let bus = backing::connect(config, &name, &registry).await?;
    let options = NodeOptions {
        arbiters: config.workers,
        session_ttl: Duration::from_secs(config.session_ttl_s),
        agent_timeout: Duration::from_secs(config.agent_timeout_s),
        ice: levee_cluster::IceServers {
            urls: config.ice_urls.clone(),
            secret: config.turn_secret.0.clone(),
            ttl_s: config.turn_ttl_s,
        },
        jitsi: levee_cluster::Jitsi {
            domain: config.jitsi_domain.clone(),
            app_id: config.jitsi_app_id.clone(),
            secret: config.jitsi_secret.0.clone(),
        },
        mailer: mail::way(config)?,
        caller: Some(webhooks::way(config)?),
        hook_give_up: Duration::from_secs(config.webhook_give_up_s),
        places: places(config)?,
        files: backing::files(config).await?,
        quotas: config.quotas,
        passivate_after: Duration::from_secs(config.idle_passivate_s),
        session_bounds: Bounds { events: config.session_buffer_events, bytes: config.session_buffer_bytes },
        public_address: config.public_address.first().map(String::as_str).unwrap_or_default().into(),
        ..NodeOptions::default()
    };
    let options = backing::pace(config, options);
    let metrics = Metrics::new(&registry)?;
    let node = Node::start(&name, store, bus, metrics, options).await.context("starting the node")?;
    let gateway = Gateway::start(
        node.clone(),
        &config.listen.to_string(),
        tls::load(config)?,
        GatewayOptions {
            public_addresses: config.public_address.clone(),
            max_connections: config.max_connections,
            trusted_proxies: config.trusted_proxies.clone(),
            allowed_origins: config.allowed_origins.clone(),
            files_host: files_host(config),
            files_origin: backing::files_origin(config),
            demo_realm,
            registry,
        },
    )
    .await?;
    Ok(Running { node, gateway, sqlite })
}

/// The host that has files and nothing else.
fn files_host(config: &Config) -> Option<String> {
    config.files_origin.split_once("://").map(|(_, host)| host.to_owned())
}

/// The file of places. Without it customers have an address and no place.
fn places(config: &Config) -> Result<Option<Arc<Places>>> {
    let Some(path) = &config.geoip_database else { return Ok(None) };
    if !path.exists() {
        tracing::warn!(path = %path.display(), "geoip_database is not there: customers have an address and no place");
        return Ok(None);
    }
    let places = Places::open(path).with_context(|| format!("reading geoip_database {}", path.display()))?;
    Ok(Some(Arc::new(places)))
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
