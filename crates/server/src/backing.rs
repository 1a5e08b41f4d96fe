//! What a node stands on, as it is configured: its store, and its way to the other nodes.

use crate::config::{Blobs, Config, Store};
use crate::scan;
use anyhow::{Context, Result};
use levee_bus::memory::MemoryNetwork;
use levee_bus::metrics::BusMetrics;
use levee_bus::redis::{Address, RedisBus};
use levee_bus::{Bus, Inbox};
use levee_cluster::{FileOptions, NodeOptions};
use levee_store::blobs::local::LocalBlobs;
use levee_store::blobs::s3::S3Blobs;
use levee_store::memory::MemoryStore;
use levee_store::metrics::StoreMetrics;
use levee_store::postgres::{PostgresOptions, PostgresStore};
use levee_store::sqlite::{SqliteOptions, SqliteStore, Synchronous};
use prometheus::Registry;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// One node on a store of its own is alone by the store's lock: its lease need not be short.
const ALONE: Duration = Duration::from_secs(24 * 3600);

/// After how long an upload is of no use that nobody went on with: longer than a file waits for its bytes.
const UNUSED: Duration = Duration::from_secs(40 * 86_400);
/// How often it is looked for such.
const SWEEP_EVERY: Duration = Duration::from_secs(6 * 3600);

/// An open store.
pub(crate) struct Backing {
    pub(crate) store: Arc<dyn levee_store::Store>,
    /// The same, if it has to be closed at the end.
    pub(crate) sqlite: Option<SqliteStore>,
}

/// The database's path; its folder is made.
pub(crate) fn database(config: &Config) -> Result<PathBuf> {
    std::fs::create_dir_all(&config.data_dir)
        .with_context(|| format!("data_dir: {} can't be made", config.data_dir.display()))?;
    Ok(config.data_dir.join("levee.sqlite"))
}

/// Opens the store.
pub(crate) async fn open(config: &Config, registry: &Registry) -> Result<Backing> {
    Ok(match &config.store {
        Store::Memory => Backing { store: Arc::new(MemoryStore::default()), sqlite: None },
        Store::Sqlite => {
            let path = database(config)?;
            let options = SqliteOptions {
                synchronous: if config.sqlite_synchronous { Synchronous::Full } else { Synchronous::Off },
                metrics: Some(StoreMetrics::register(registry)?),
                ..SqliteOptions::default()
            };
            let store = SqliteStore::open(&path, options)
                .await
                .with_context(|| format!("the store {} can't be opened", path.display()))?;
            Backing { store: Arc::new(store.clone()), sqlite: Some(store) }
        }
        Store::Postgres { url, .. } => {
            let options = PostgresOptions {
                metrics: Some(StoreMetrics::register(registry)?),
                ..PostgresOptions::default()
            };
            let store =
                PostgresStore::open(url, options).await.context("the store in PostgreSQL can't be opened")?;
            Backing { store: Arc::new(store), sqlite: None }
        }
    })
}

/// Opens the store of files, if there is one.
pub(crate) async fn files(config: &Config) -> Result<FileOptions> {
    let blobs: Option<Arc<dyn levee_store::blobs::Blobs>> = match &config.blobs {
        Blobs::Folder(folder) => {
            let opened = LocalBlobs::open(folder).await;
            let blobs = opened.with_context(|| format!("blobs: {} can't be used", folder.display()))?;
            sweep(blobs.clone());
            Some(Arc::new(blobs.sparing(config.blobs_spare_bytes)))
        }
        Blobs::S3(settings) => Some(Arc::new(S3Blobs::new(settings).context("blobs")?)),
        Blobs::Nowhere => {
            tracing::warn!("blobs is not set: no files can be sent");
            None
        }
    };
    Ok(FileOptions {
        blobs,
        max_bytes: (config.file_bytes_max > 0).then_some(config.file_bytes_max),
        expire_after: Duration::from_secs(config.file_expire_s),
        origin: files_origin(config),
        scanner: scan::way(config)?,
        scan_timeout: Duration::from_secs(config.file_scan_timeout_s),
    })
}

/// Where links to files lead; empty if they are relative.
pub(crate) fn files_origin(config: &Config) -> String {
    if !config.files_origin.is_empty() {
        return config.files_origin.clone();
    }
    config.public_address.first().map(|host| format!("https://{host}")).unwrap_or_default()
}

/// Has a folder rid of uploads that nobody goes on with, for as long as the node runs.
fn sweep(blobs: LocalBlobs) {
    actix_rt::spawn(async move {
        loop {
            match blobs.sweep(UNUSED).await {
                Ok(0) => {}
                Ok(swept) => tracing::info!(swept, "uploads that nobody went on with were removed"),
                Err(error) => tracing::warn!(%error, "uploads that nobody goes on with were not removed"),
            }
            actix_rt::time::sleep(SWEEP_EVERY).await;
        }
    });
}

/// Connects a node to the others.
pub(crate) async fn connect(
    config: &Config,
    node: &str,
    registry: &Registry,
) -> Result<(Arc<dyn Bus>, Box<dyn Inbox>)> {
    Ok(match &config.store {
        Store::Memory | Store::Sqlite => {
            let (bus, inbox) = MemoryNetwork::default().join(node);
            (Arc::new(bus), Box::new(inbox))
        }
        Store::Postgres { redis, .. } => {
            let address: Address = redis.parse().context("redis_url")?;
            let (bus, inbox) = RedisBus::start(node, address, BusMetrics::register(registry)?).await?;
            (Arc::new(bus), Box::new(inbox))
        }
    })
}

/// For how long a node holds its shards, how often it renews that, and over how long it leaves.
pub(crate) fn pace(config: &Config, options: NodeOptions) -> NodeOptions {
    match config.store {
        Store::Memory | Store::Sqlite => NodeOptions { lease: ALONE, renew: ALONE / 4, ..options },
        Store::Postgres { .. } => {
            let lease = Duration::from_secs(config.lease_s);
            let drain_over = Duration::from_secs(config.drain_s);
            NodeOptions { lease, renew: lease / 5, drain_over, ..options }
        }
    }
}
