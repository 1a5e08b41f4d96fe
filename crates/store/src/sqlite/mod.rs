//! The store in one SQLite file, for a server of one process. It owns the file alone: a lock beside it
//! keeps a second process out, so the writer may remember what the file says instead of asking it.
//!
//! - `writer`: one thread, one connection, one transaction for all that waited (group commit);
//! - `transaction`: the rows of a batch as one text of SQL;
//! - `reader`: questions, on a small pool of connections of their own;
//! - `schema`: tables and numbered migrations.
//!
//! Registrations of nodes are kept in memory only: they die with the one process that can hold the
//! file. Who held which shard under which epoch is durable.

mod file;
mod lookup;
mod pace;
mod reader;
mod schema;
mod transaction;
mod writer;

use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use sqlx::SqlitePool;
use sqlx::sqlite::SqlitePoolOptions;
use tokio::sync::{mpsc, oneshot};

use crate::clock::Clock;
use crate::leases::Leases;
use crate::letters::Letters;
use crate::metrics::StoreMetrics;
use crate::{
    Agenda, AgendaItem, Commit, Directory, Entry, Key, Lease, Micros, NodeRow, Post, Read, Record, Result,
    Shard, Shards, Snapshot, Snapshots, StoreError, Streams,
};

use crate::batch::{Change, Queued};
pub(crate) use file::failed;
pub use schema::{SCHEMA_VERSION, migrate};
use writer::{Order, Writer};

/// How a store is opened.
#[derive(Debug, Clone)]
pub struct SqliteOptions {
    /// Whether a commit waits for the disk.
    pub synchronous: Synchronous,
    /// Whether `open` brings an older schema up to date (and makes a new file's); otherwise it refuses.
    pub migrate: bool,
    /// Connections for reads.
    pub readers: u32,
    /// Changes that may wait for the writer; callers beyond that wait for a place.
    pub queue: usize,
    /// Changes that share one transaction at most.
    pub batch: usize,
    /// Bytes of bodies after which a transaction takes no further change.
    pub batch_bytes: usize,
    /// Bytes to which the file may grow; beyond that commits fail with [`StoreError::Full`].
    pub max_bytes: Option<u64>,
    /// How long `open` waits for a process that is just about to let go of the file.
    pub lock_wait: Duration,
    /// Where to count.
    pub metrics: Option<StoreMetrics>,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::Full,
            migrate: true,
            readers: 4,
            queue: 4_096,
            batch: 512,
            batch_bytes: 4 << 20,
            max_bytes: None,
            lock_wait: Duration::from_secs(2),
            metrics: None,
        }
    }
}

/// Whether a commit waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Synchronous {
    /// Each transaction is synced before it is answered: it survives a power cut.
    #[default]
    Full,
    /// Nothing is ever synced: a power cut loses what was acknowledged and may damage the file. It is
    /// here only for tests that show that syncing matters.
    Off,
}

/// Opens a file that nobody else has open, for as long as the lock that is answered lives.
pub(crate) async fn open_alone(
    path: &Path,
    options: &SqliteOptions,
) -> Result<(sqlx::SqliteConnection, std::fs::File)> {
    if !path.exists() {
        return Err(StoreError::Unavailable(format!("{} is not there", path.display())));
    }
    let lock = file::lock(path, options.lock_wait).await?;
    let mut connection = file::connect(file::write_options(path, options)).await?;
    schema::prepare(&mut connection, true).await?;
    Ok((connection, lock))
}

/// A store in one SQLite file. Clones are handles of the same store; when the last one is dropped, the
/// writer finishes what was queued and lets go of the file. [`close`](Self::close) waits for that.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    queue: mpsc::Sender<Queued<Order>>,
    pool: SqlitePool,
    /// Where the pool's connections live: questions are asked there, for a thread that ends in the middle
    /// of one can't give its connection back.
    runtime: tokio::runtime::Handle,
    leases: Arc<Mutex<Leases>>,
    letters: Letters,
    clock: Clock,
}

impl SqliteStore {
    /// Opens the store, making the file if it is not there. Nobody is registered in an opened store,
    /// and all shards are free to be taken: their holders were in the process that had the file before.
    ///
    /// # Errors
    /// [`StoreError::Schema`] when the file's schema is newer than this program (or older, and
    /// migrating is off), [`StoreError::Damaged`] when it is no store, [`StoreError::Unavailable`] when
    /// another process has it open or it can't be opened.
    pub async fn open(path: impl AsRef<Path>, options: SqliteOptions) -> Result<Self> {
        let path = path.as_ref();
        let lock = file::lock(path, options.lock_wait).await?;
        let mut connection = file::connect(file::write_options(path, &options)).await?;
        schema::prepare(&mut connection, options.migrate).await?;
        file::sync_directory(path)?;

        let pool = SqlitePoolOptions::new()
            .max_connections(options.readers.max(1))
            .min_connections(1)
            .acquire_timeout(Duration::from_secs(10))
            .idle_timeout(None)
            .max_lifetime(None)
            // A connection to a file does not go stale; asking each time costs two thread switches.
            .test_before_acquire(false)
            .connect_with(file::read_options(path))
            .await
            .map_err(file::failed)?;

        let clock = Clock::monotonic();
        let leases = Arc::new(Mutex::new(Leases::default()));
        let (queue, waiting) = mpsc::channel(options.queue.max(1));
        let writer = Writer::new(path, options, lock, connection, leases.clone(), clock.clone()).await?;
        writer.spawn(waiting)?;
        Ok(Self {
            queue,
            pool,
            runtime: tokio::runtime::Handle::current(),
            leases,
            letters: Letters::default(),
            clock,
        })
    }

    /// Finishes what was queued, writes the log back into the file and lets go of it. Further calls of
    /// this or any other handle answer [`StoreError::Unavailable`].
    pub async fn close(&self) {
        self.pool.close().await;
        // An error says that the writer is gone already.
        let _ = self.change(Order::Close).await;
    }

    /// Queues a change and waits until it is on the disk. Once queued it is carried out even if the
    /// caller stops waiting.
    async fn change(&self, change: Order) -> Result<()> {
        let gone = || StoreError::Unavailable("the store is closed".into());
        let (answer, answered) = oneshot::channel();
        let queued = Queued { change, answer, since: Instant::now() };
        self.queue.send(queued).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    fn with_leases<T>(&self, ask: impl FnOnce(&mut Leases, Micros) -> T) -> T {
        let now = self.clock.now();
        ask(&mut self.leases.lock().unwrap_or_else(PoisonError::into_inner), now)
    }
}

impl SqliteStore {
    async fn ask<T, F>(&self, question: impl FnOnce(SqlitePool) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let asked = self.runtime.spawn(question(self.pool.clone())).await;
        asked.map_err(|error| StoreError::Unavailable(error.to_string()))?
    }
}

#[async_trait]
impl Streams for SqliteStore {
    async fn commit(&self, commit: Commit) -> Result<()> {
        self.change(Order::Write(Change::Commit(commit))).await
    }

    async fn read(&self, query: Read) -> Result<Vec<Record>> {
        self.ask(|pool| async move { reader::read(&pool, &query).await }).await
    }

    async fn head(&self, stream: &str) -> Result<u64> {
        let stream = Key::from(stream);
        self.ask(|pool| async move { reader::head(&pool, &stream).await }).await
    }

    async fn heads(&self, streams: &[Key]) -> Result<Vec<u64>> {
        let streams = streams.to_vec();
        self.ask(|pool| async move {
            let mut heads = Vec::with_capacity(streams.len());
            for stream in &streams {
                heads.push(reader::head(&pool, stream).await?);
            }
            Ok(heads)
        })
        .await
    }

    async fn positions(&self) -> Result<Vec<u64>> {
        Ok(self.with_leases(|leases, _| leases.positions()))
    }
}

#[async_trait]
impl Post for SqliteStore {
    async fn post(&self, from: &str, letters: Vec<(Key, Bytes)>) -> Result<()> {
        self.letters.post(from, letters)
    }

    async fn collect(&self, node: &str, limit: usize) -> Result<Vec<(Key, Bytes)>> {
        Ok(self.letters.collect(node, limit))
    }
}

#[async_trait]
impl Snapshots for SqliteStore {
    async fn load(&self, stream: &str) -> Result<Option<Snapshot>> {
        let stream = Key::from(stream);
        self.ask(|pool| async move { reader::snapshot(&pool, &stream).await }).await
    }

    async fn save(&self, stream: &str, snapshot: Snapshot) -> Result<()> {
        self.change(Order::Write(Change::Save { stream: stream.into(), snapshot })).await
    }
}

#[async_trait]
impl Directory for SqliteStore {
    async fn get(&self, namespace: &str, key: &str) -> Result<Option<Entry>> {
        let (namespace, key) = (Key::from(namespace), Key::from(key));
        self.ask(|pool| async move { reader::entry(&pool, &namespace, &key).await }).await
    }

    async fn list(&self, namespace: &str, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>> {
        let (namespace, prefix, after) = (Key::from(namespace), Key::from(prefix), Key::from(after));
        self.ask(|pool| async move { reader::list(&pool, &namespace, &prefix, &after, limit).await }).await
    }
}

#[async_trait]
impl Agenda for SqliteStore {
    async fn due(
        &self,
        shard: Shard,
        within: RangeInclusive<Micros>,
        limit: usize,
    ) -> Result<Vec<AgendaItem>> {
        self.ask(|pool| async move { reader::due(&pool, shard, within, limit).await }).await
    }

    async fn open(&self, stream: &str) -> Result<Vec<AgendaItem>> {
        let stream = Key::from(stream);
        self.ask(|pool| async move { reader::open(&pool, &stream).await }).await
    }

    async fn done(&self, items: Vec<(Shard, Key, Key)>) -> Result<()> {
        self.change(Order::Write(Change::Done(items))).await
    }
}

#[async_trait]
impl Shards for SqliteStore {
    async fn heartbeat(&self, node: NodeRow, ttl_ms: u64) -> Result<Vec<NodeRow>> {
        Ok(self.with_leases(|leases, now| leases.heartbeat(now, node, ttl_ms)))
    }

    async fn take(&self, node: &str, shards: &[Shard]) -> Result<Vec<Lease>> {
        self.change(Order::Take { node: node.into(), shards: shards.to_vec() }).await?;
        Ok(self.with_leases(|leases, now| shards.iter().filter_map(|&at| leases.lease(now, at)).collect()))
    }

    async fn release(&self, node: &str, shards: &[Shard]) -> Result<()> {
        self.change(Order::Release { node: node.into(), shards: shards.to_vec() }).await
    }

    async fn leases(&self) -> Result<Vec<Lease>> {
        Ok(self.with_leases(|leases, now| leases.all(now)))
    }

    async fn leave(&self, node: &str) -> Result<()> {
        self.change(Order::Leave { node: node.into() }).await
    }
}
