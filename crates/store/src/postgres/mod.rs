//! The store in PostgreSQL, for any number of nodes.
//!
//! - `lane`: a connection that writes, one transaction for all that waited in it (group commit);
//! - `transaction`: the rows of a batch as statements over arrays;
//! - `amend`: changes of records that are there already;
//! - `reader`: questions, on a pool of connections of their own;
//! - `leases`: registrations and holders of shards, by the database's clock;
//! - `post`: letters between nodes while the bus does not carry them;
//! - `connection`: how connections are made, and what their errors mean;
//! - `schema`: tables and numbered migrations.
//!
//! A commit locks its shard's row and compares the epoch there, so a writer that lost the shard can
//! never write, whatever it believes. Commits of one shard go through one lane: their order is kept, and
//! a shard's position counts them.

mod amend;
mod connection;
mod lane;
mod leases;
mod post;
mod reader;
mod schema;
mod transaction;

use std::future::Future;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::PgPool;
use tokio::sync::{mpsc, oneshot};

use crate::batch::{Change, Queued};
use crate::metrics::StoreMetrics;
use crate::{
    Agenda, AgendaItem, Commit, Directory, Entry, Key, Lease, Micros, NodeRow, Post, Read, Record, Result,
    Shard, Shards, Snapshot, Snapshots, StoreError, Streams,
};

pub(crate) use connection::failed;
pub(crate) use schema::connect_migrated;
pub use schema::{SCHEMA_VERSION, migrate};

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// Whether `open` brings an older schema up to date (and makes an empty database's); otherwise it
    /// refuses.
    pub migrate: bool,
    /// Connections that write.
    pub lanes: usize,
    /// Connections for reads.
    pub readers: u32,
    /// Changes that may wait for a lane; callers beyond that wait for a place.
    pub queue: usize,
    /// Changes that share one transaction at most.
    pub batch: usize,
    /// Bytes of bodies after which a transaction takes no further change.
    pub batch_bytes: usize,
    /// How long a connection, a transaction or a question may take before it is given up.
    pub patience: Duration,
    /// Where to count.
    pub metrics: Option<StoreMetrics>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            migrate: true,
            lanes: 4,
            readers: 8,
            queue: 4_096,
            batch: 512,
            batch_bytes: 4 << 20,
            patience: Duration::from_secs(4),
            metrics: None,
        }
    }
}

/// A store in PostgreSQL. Clones are handles of the same store.
#[derive(Debug, Clone)]
pub struct PostgresStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    lanes: Vec<mpsc::Sender<Queued<Change>>>,
    readers: PgPool,
    /// Leases and letters don't wait behind reads.
    own: PgPool,
    patience: Duration,
    /// Threads of its own: an actor that holds up its thread does not hold up everybody's commits.
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl PostgresStore {
    /// Opens the store in the database at `url` (`postgres://user:password@host:port/database`).
    ///
    /// # Errors
    /// [`StoreError::Schema`] when the schema is newer than this program (or older, and migrating is
    /// off), [`StoreError::Unavailable`] when the server can't be reached, turns the login away, or does
    /// not sync what it commits.
    pub async fn open(url: &str, options: PostgresOptions) -> Result<Self> {
        let options = Arc::new(options);
        let connect = connection::options(url)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("levee-store")
            .enable_all()
            .build()
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let opening = {
            let options = options.clone();
            async move {
                let mut first = connection::connect(&connect, options.patience).await?;
                connection::check(&mut first).await?;
                schema::prepare(&mut first, options.migrate).await?;
                connection::close(first).await;
                let readers = connection::pool(&connect, options.readers, &options);
                let own = connection::pool(&connect, 2, &options);
                let lanes = (0..options.lanes.max(1))
                    .map(|_| {
                        let (sender, waiting) = mpsc::channel(options.queue.max(1));
                        tokio::spawn(lane::Lane::new(connect.clone(), options.clone()).run(waiting));
                        sender
                    })
                    .collect();
                Ok::<_, StoreError>((readers, own, lanes))
            }
        };
        let opened = runtime.spawn(opening).await.map_err(|e| StoreError::Unavailable(e.to_string()))?;
        let patience = options.patience;
        match opened {
            Ok((readers, own, lanes)) => {
                Ok(Self(Arc::new(Inner { lanes, readers, own, patience, runtime: Some(runtime) })))
            }
            Err(error) => {
                runtime.shutdown_background();
                Err(error)
            }
        }
    }

    /// Queues a change and waits until it is durable. Once queued it is carried out even if the caller
    /// stops waiting.
    async fn change(&self, lane: usize, change: Change) -> Result<()> {
        let gone = || StoreError::Unavailable("the store is closed".into());
        let (answer, answered) = oneshot::channel();
        let queued = Queued { change, answer, since: Instant::now() };
        let lane = &self.0.lanes[lane % self.0.lanes.len()];
        lane.send(queued).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    async fn on<T, F>(&self, pool: &PgPool, question: impl FnOnce(PgPool) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let gone = |error: &dyn std::fmt::Display| StoreError::Unavailable(error.to_string());
        let Some(runtime) = &self.0.runtime else { return Err(gone(&"the store is closed")) };
        let asked = runtime.spawn(tokio::time::timeout(self.0.patience, question(pool.clone())));
        match asked.await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(gone(&format!("no answer within {:?}", self.0.patience))),
            Err(error) => Err(gone(&error)),
        }
    }

    /// Asks on a connection for reads; once more if that one turned out to be dead.
    async fn ask<T, F>(&self, question: impl Fn(PgPool) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        match self.on(&self.0.readers, &question).await {
            Err(StoreError::Unavailable(_)) => self.on(&self.0.readers, &question).await,
            answer => answer,
        }
    }
}

/// Which lane takes what has no shard: streams' names spread well enough.
fn lane_of(stream: &str) -> usize {
    stream.bytes().fold(0usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)))
}

#[async_trait]
impl Streams for PostgresStore {
    async fn commit(&self, commit: Commit) -> Result<()> {
        self.change(usize::from(commit.shard), Change::Commit(commit)).await
    }

    async fn read(&self, query: Read) -> Result<Vec<Record>> {
        self.ask(|pool| {
            let query = query.clone();
            async move { reader::read(&pool, &query).await }
        })
        .await
    }

    async fn head(&self, stream: &str) -> Result<u64> {
        Ok(self.heads(&[stream.into()]).await?.first().copied().unwrap_or_default())
    }

    async fn heads(&self, streams: &[Key]) -> Result<Vec<u64>> {
        let streams: Arc<[Key]> = streams.into();
        self.ask(|pool| {
            let streams = streams.clone();
            async move { reader::heads(&pool, &streams).await }
        })
        .await
    }

    async fn positions(&self) -> Result<Vec<u64>> {
        self.ask(|pool| async move { reader::positions(&pool).await }).await
    }
}

#[async_trait]
impl Snapshots for PostgresStore {
    async fn load(&self, stream: &str) -> Result<Option<Snapshot>> {
        let stream = Key::from(stream);
        self.ask(|pool| {
            let stream = stream.clone();
            async move { reader::snapshot(&pool, &stream).await }
        })
        .await
    }

    async fn save(&self, stream: &str, snapshot: Snapshot) -> Result<()> {
        self.change(lane_of(stream), Change::Save { stream: stream.into(), snapshot }).await
    }
}

#[async_trait]
impl Directory for PostgresStore {
    async fn get(&self, namespace: &str, key: &str) -> Result<Option<Entry>> {
        let (namespace, key) = (Key::from(namespace), Key::from(key));
        self.ask(|pool| {
            let (namespace, key) = (namespace.clone(), key.clone());
            async move { reader::entry(&pool, &namespace, &key).await }
        })
        .await
    }

    async fn list(&self, namespace: &str, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>> {
        let (namespace, prefix, after) = (Key::from(namespace), Key::from(prefix), Key::from(after));
        self.ask(|pool| {
            let (namespace, prefix, after) = (namespace.clone(), prefix.clone(), after.clone());
            async move { reader::list(&pool, &namespace, &prefix, &after, limit).await }
        })
        .await
    }
}

#[async_trait]
impl Agenda for PostgresStore {
    async fn due(
        &self,
        shard: Shard,
        within: RangeInclusive<Micros>,
        limit: usize,
    ) -> Result<Vec<AgendaItem>> {
        self.ask(|pool| {
            let within = within.clone();
            async move { reader::due(&pool, shard, within, limit).await }
        })
        .await
    }

    async fn open(&self, stream: &str) -> Result<Vec<AgendaItem>> {
        let stream = Key::from(stream);
        self.ask(|pool| {
            let stream = stream.clone();
            async move { reader::open(&pool, &stream).await }
        })
        .await
    }

    async fn done(&self, items: Vec<(Shard, Key, Key)>) -> Result<()> {
        // By lane, so that none waits for another's lock.
        let mut lanes: Vec<Vec<_>> = vec![Vec::new(); self.0.lanes.len()];
        for item in items {
            lanes[usize::from(item.0) % self.0.lanes.len()].push(item);
        }
        for (lane, items) in lanes.into_iter().enumerate().filter(|(_, items)| !items.is_empty()) {
            self.change(lane, Change::Done(items)).await?;
        }
        Ok(())
    }
}

#[async_trait]
impl Shards for PostgresStore {
    async fn heartbeat(&self, node: NodeRow, ttl_ms: u64) -> Result<Vec<NodeRow>> {
        self.on(&self.0.own, |pool| async move { leases::heartbeat(&pool, &node, ttl_ms).await }).await
    }

    async fn take(&self, node: &str, shards: &[Shard]) -> Result<Vec<Lease>> {
        let (node, shards) = (Key::from(node), shards.to_vec());
        self.on(&self.0.own, |pool| async move { leases::take(&pool, &node, &shards).await }).await
    }

    async fn release(&self, node: &str, shards: &[Shard]) -> Result<()> {
        let (node, shards) = (Key::from(node), shards.to_vec());
        self.on(&self.0.own, |pool| async move { leases::release(&pool, &node, &shards).await }).await
    }

    async fn leases(&self) -> Result<Vec<Lease>> {
        self.on(&self.0.own, |pool| async move { leases::all(&pool).await }).await
    }

    async fn leave(&self, node: &str) -> Result<()> {
        let node = Key::from(node);
        self.on(&self.0.own, |pool| async move { leases::leave(&pool, &node).await }).await
    }
}

#[async_trait]
impl Post for PostgresStore {
    async fn post(&self, from: &str, letters: Vec<(Key, Bytes)>) -> Result<()> {
        let from = Key::from(from);
        self.on(&self.0.own, |pool| async move { post::send(&pool, &from, &letters).await }).await
    }

    async fn collect(&self, node: &str, limit: usize) -> Result<Vec<(Key, Bytes)>> {
        let node = Key::from(node);
        self.on(&self.0.own, |pool| async move { post::collect(&pool, &node, limit).await }).await
    }
}
