//! The one writer: a thread that takes everything that waits, writes it in one transaction, and only
//! then answers. What arrives during the sync is the next batch; where the disk syncs so fast that this
//! is hardly more than one change, a pace keeps it from syncing for each.
//!
//! A transaction that fails as a whole is never taken for done: all of it is answered with the error,
//! the connection is made anew and everything remembered is read again.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::batch::{Batch, Known};
use super::pace::Pace;
use super::transaction::Text;
use super::{SqliteOptions, file, lookup};
use crate::clock::Clock;
use crate::leases::Leases;
use crate::metrics::StoreMetrics;
use crate::{AgendaChange, Commit, Key, Result, Shard, Snapshot, StoreError};

/// What can be asked of the writer.
#[derive(Debug)]
pub(super) enum Change {
    Commit(Commit),
    Save {
        stream: Key,
        snapshot: Snapshot,
    },
    Done(Vec<(Shard, Key, Key)>),
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

impl Change {
    /// Bytes that it will put into the file, roughly.
    fn weight(&self) -> usize {
        match self {
            Self::Commit(commit) => {
                let agenda = commit.agenda.iter().map(|change| match change {
                    AgendaChange::Put { body, .. } => body.len(),
                    AgendaChange::Remove { .. } => 0,
                });
                commit.records.iter().map(|record| record.body.len()).sum::<usize>()
                    + commit
                        .directory
                        .iter()
                        .filter_map(|row| row.value.as_ref())
                        .map(|v| v.len())
                        .sum::<usize>()
                    + agenda.sum::<usize>()
                    + commit.snapshot.as_ref().map_or(0, |body| body.len())
            }
            Self::Save { snapshot, .. } => snapshot.body.len(),
            _ => 0,
        }
    }
}

/// A change and who waits for it.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) change: Change,
    pub(super) answer: oneshot::Sender<Result<()>>,
    pub(super) since: Instant,
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
    pub(super) fn spawn(self, waiting: mpsc::Receiver<Queued>) -> Result<()> {
        let failed = |error: std::io::Error| StoreError::Unavailable(error.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(failed)?;
        std::thread::Builder::new()
            .name("levee-store".into())
            .spawn(move || runtime.block_on(self.run(waiting)))
            .map_err(failed)?;
        Ok(())
    }

    async fn run(mut self, mut waiting: mpsc::Receiver<Queued>) {
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
            if queued.iter().any(|queued| matches!(queued.change, Change::Close)) {
                waiting.close();
            }
            let (closing, queued): (Vec<_>, Vec<_>) =
                queued.into_iter().partition(|queued| matches!(queued.change, Change::Close));
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
    async fn write(&mut self, queued: Vec<Queued>) {
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

    fn answer(&self, queued: impl IntoIterator<Item = Queued>, results: Vec<Result<()>>) {
        let mut commits = 0;
        for (Queued { change, answer, since }, result) in queued.into_iter().zip(results) {
            if let (Change::Commit(commit), Some(metrics)) = (change, &self.metrics) {
                commits += 1;
                metrics.answered(result.as_ref().copied(), commit.records.len(), since.elapsed());
            }
            // Whoever asked may have stopped waiting.
            let _ = answer.send(result);
        }
        if let Some(metrics) = &self.metrics {
            metrics.batch(commits);
        }
    }

    /// One transaction over all of them: how each fared, or why none was carried out.
    async fn attempt(&mut self, queued: &[Queued]) -> Result<Vec<Result<()>>, Failure> {
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
        queued: &[Queued],
    ) -> Result<Vec<Result<()>>, Failure> {
        let changes = || queued.iter().map(|queued| &queued.change);
        lookup::look_up(connection, changes(), &mut self.known).await?;
        let (text, results) = {
            let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.clock.now();
            let (batch, results) = Batch::stage(changes(), &mut self.known, &mut leases, now);
            if batch.is_empty() {
                return Ok(results);
            }
            (Text::transaction(&batch), results)
        };
        if let Some(metrics) = &self.metrics {
            metrics.transaction();
        }
        let written = async {
            let (sql, arguments) = text?.finish();
            sqlx::query_with(sql, arguments).execute(connection).await
        };
        match written.await {
            Ok(_) => Ok(results),
            Err(error) => {
                let blames_a_row = file::blames_a_row(&error);
                Err(Failure { error: file::failed(error), blames_a_row })
            }
        }
    }
}
