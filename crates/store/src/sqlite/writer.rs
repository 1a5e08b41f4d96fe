//! The one writer: a thread that takes everything that waits, writes it in one transaction, and only
//! then answers. What arrives during the sync is the next batch; where the disk syncs so fast that this
//! is hardly more than one change, a pace keeps it from syncing for each.
//!
//! A transaction that fails as a whole is never taken for done: all of it is answered with the error,
//! the connection is made anew and everything remembered is read again.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::mpsc;

use super::pace::Pace;
use super::transaction::Text;
use super::{SqliteOptions, file, lookup};
use crate::batch::{Batch, Change, Known, Queued};
use crate::clock::Clock;
use crate::leases::{Holder, Leases};
use crate::metrics::StoreMetrics;
use crate::{Key, Micros, Result, Shard, StoreError};

/// What can be asked of the writer.
#[derive(Debug)]
pub(super) enum Order {
    Write(Change),
    Take {
        node: Key,
        shards: Vec<Shard>,
    },
    Release {
        node: Key,
        shards: Vec<Shard>,
    },
    Leave {
        node: Key,
    },
    /// Nothing after it is taken; answered when the file is let go.
    Close,
}

impl Order {
    fn weight(&self) -> usize {
        if let Self::Write(change) = self { change.weight() } else { 0 }
    }

    /// How many records it appends, if it is a commit.
    fn records(&self) -> Option<usize> {
        if let Self::Write(Change::Commit(commit)) = self { Some(commit.records.len()) } else { None }
    }
}

/// What a batch writes, the holders of shards included, and how each of its orders fared.
struct Staged<'a> {
    batch: Batch<'a>,
    shards: Vec<(Shard, Holder)>,
    results: Vec<Result<()>>,
}

impl<'a> Staged<'a> {
    /// Stages the orders, each after those before it.
    fn new(
        orders: impl Iterator<Item = &'a Order>,
        known: &mut Known,
        leases: &mut Leases,
        now: Micros,
    ) -> Self {
        let mut batch = Batch::default();
        let mut moved = BTreeSet::new();
        let results = orders
            .map(|order| {
                match order {
                    Order::Write(change) => {
                        batch.stage(change, known, &|shard, epoch| leases.fence(shard, epoch))?;
                    }
                    Order::Take { node, shards } => moved.extend(leases.take(now, node, shards)),
                    Order::Release { node, shards } => moved.extend(leases.release(node, shards)),
                    Order::Leave { node } => moved.extend(leases.leave(node)),
                    Order::Close => {}
                }
                Ok(())
            })
            .collect();
        let shards = moved.into_iter().map(|shard| (shard, leases.holder(shard))).collect();
        Self { batch, shards, results }
    }
}

pub(super) struct Writer {
    connect: SqliteConnectOptions,
    /// `None` after a failure, until the file could be opened again.
    connection: Option<SqliteConnection>,
    known: Known,
    leases: Arc<Mutex<Leases>>,
    clock: Clock,
    batch: usize,
    batch_bytes: usize,
    metrics: Option<StoreMetrics>,
    pace: Pace,
    lock: File,
}

/// Why no change of a batch was carried out.
struct Failure {
    error: StoreError,
    /// Whether one change may be to blame for all.
    blames_a_row: bool,
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self { error, blames_a_row: false }
    }
}

impl Writer {
    pub(super) async fn new(
        path: &Path,
        options: SqliteOptions,
        lock: File,
        mut connection: SqliteConnection,
        leases: Arc<Mutex<Leases>>,
        clock: Clock,
    ) -> Result<Self> {
        let mut known = Known::new();
        let holders = lookup::reload(&mut connection, &mut known).await?;
        leases.lock().unwrap_or_else(PoisonError::into_inner).load(holders);
        Ok(Self {
            connect: file::write_options(path, &options),
            connection: Some(connection),
            known,
            leases,
            clock,
            batch: options.batch.max(1),
            batch_bytes: options.batch_bytes,
            metrics: options.metrics,
            pace: Pace::new(),
            lock,
        })
    }

    /// Starts the thread. It has a runtime of its own: an actor that holds up its thread does not hold
    /// up everybody's commits.
    pub(super) fn spawn(self, waiting: mpsc::Receiver<Queued<Order>>) -> Result<()> {
        let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
        std::thread::Builder::new()
            .name("levee-store".into())
            .spawn(move || runtime.block_on(self.run(waiting)))
            .map_err(failed)?;
        Ok(())
    }

    async fn run(mut self, mut waiting: mpsc::Receiver<Queued<Order>>) {
        let mut closers = Vec::new();
        while let Some(first) = waiting.recv().await {
            self.pace.keep();
            let mut bytes = first.change.weight();
            let mut queued = vec![first];
            while queued.len() < self.batch && bytes < self.batch_bytes {
                let Ok(next) = waiting.try_recv() else { break };
                bytes += next.change.weight();
                queued.push(next);
            }
            if queued.iter().any(|queued| matches!(queued.change, Order::Close)) {
                waiting.close();
            }
            let (closing, queued): (Vec<_>, Vec<_>) =
                queued.into_iter().partition(|queued| matches!(queued.change, Order::Close));
            closers.extend(closing);
            self.pace.begin(queued.len());
            self.write(queued).await;
        }
        if let Some(connection) = self.connection.take()
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the store was not closed in good order; it recovers when it is opened");
        }
        drop(self.lock);
        for closer in closers {
            // Whoever closed the store may have stopped waiting.
            let _ = closer.answer.send(Ok(()));
        }
    }

    /// Carries out a batch and answers everyone in it.
    async fn write(&mut self, queued: Vec<Queued<Order>>) {
        match self.attempt(&queued).await {
            Ok(results) => self.answer(queued, results),
            Err(failure) if failure.blames_a_row && queued.len() > 1 => {
                // One of them can't be written. Alone, each fails only itself.
                for queued in queued {
                    let one = [queued];
                    let results = self.attempt(&one).await.unwrap_or_else(|failure| vec![Err(failure.error)]);
                    self.answer(one, results);
                }
            }
            Err(failure) => {
                let results = vec![Err(failure.error); queued.len()];
                self.answer(queued, results);
            }
        }
    }

    fn answer(&self, queued: impl IntoIterator<Item = Queued<Order>>, results: Vec<Result<()>>) {
        let mut commits = 0;
        for (queued, result) in queued.into_iter().zip(results) {
            let records = queued.change.records();
            commits += usize::from(records.is_some());
            queued.answer(result, records, self.metrics.as_ref());
        }
        if let Some(metrics) = &self.metrics {
            metrics.batch(commits);
        }
    }

    /// One transaction over all of them: how each fared, or why none was carried out.
    async fn attempt(&mut self, queued: &[Queued<Order>]) -> Result<Vec<Result<()>>, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reconnect().await?,
        };
        let outcome = self.transact(&mut connection, queued).await;
        match &outcome {
            Ok(_) => self.connection = Some(connection),
            Err(failure) => {
                tracing::error!(error = %failure.error, changes = queued.len(), "a transaction failed");
                // Whatever state the failure left, a closed connection rolls it back.
                let _ = connection.close().await;
                match self.reconnect().await {
                    Ok(connection) => self.connection = Some(connection),
                    Err(error) => tracing::error!(%error, "the store can't be opened again yet"),
                }
            }
        }
        outcome
    }

    async fn reconnect(&mut self) -> Result<SqliteConnection> {
        let mut connection = file::connect(self.connect.clone()).await?;
        let holders = lookup::reload(&mut connection, &mut self.known).await?;
        self.leases.lock().unwrap_or_else(PoisonError::into_inner).load(holders);
        Ok(connection)
    }

    async fn transact(
        &mut self,
        connection: &mut SqliteConnection,
        queued: &[Queued<Order>],
    ) -> Result<Vec<Result<()>>, Failure> {
        let orders = || queued.iter().map(|queued| &queued.change);
        lookup::look_up(connection, orders(), &mut self.known).await?;
        let (text, results) = {
            let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.clock.now();
            let staged = Staged::new(orders(), &mut self.known, &mut leases, now);
            if staged.batch.is_empty() && staged.shards.is_empty() {
                return Ok(staged.results);
            }
            (Text::transaction(&staged.batch, &staged.shards), staged.results)
        };
        if let Some(metrics) = &self.metrics {
            metrics.transaction();
        }
        let written = async {
            let (sql, arguments) = text?.finish();
            sqlx::query_with(sql, arguments).execute(connection).await
        };
        match written.await {
            Ok(_) => {
                let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
                for (queued, _) in queued.iter().zip(&results).filter(|(_, result)| result.is_ok()) {
                    if let Order::Write(Change::Commit(commit)) = &queued.change
                        && !commit.records.is_empty()
                    {
                        leases.advance(commit.shard);
                    }
                }
                Ok(results)
            }
            Err(error) => {
                let blames_a_row = file::blames_a_row(&error);
                Err(Failure { error: file::failed(error), blames_a_row })
            }
        }
    }
}
