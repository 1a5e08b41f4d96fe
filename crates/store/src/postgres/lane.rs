//! A lane: one connection that takes everything that waits for it, writes it in one transaction, and only
//! then answers. What arrives meanwhile is the next batch.
//!
//! A transaction that fails as a whole is never taken for done: all of it is answered with the error. The
//! connection is made anew then.

use std::sync::Arc;

use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use tokio::sync::mpsc;

use super::transaction::{self, Failure};
use super::{PostgresOptions, connection};
use crate::batch::{Change, Queued};
use crate::{Result, StoreError};

/// How often a transaction is tried when somebody else was faster.
const TRIES: usize = 8;

pub(super) struct Lane {
    connect: PgConnectOptions,
    options: Arc<PostgresOptions>,
    /// `None` before the first batch and after a failure.
    connection: Option<PgConnection>,
}

impl Lane {
    pub(super) fn new(connect: PgConnectOptions, options: Arc<PostgresOptions>) -> Self {
        Self { connect, options, connection: None }
    }

    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Queued<Change>>) {
        while let Some(first) = waiting.recv().await {
            let mut bytes = first.change.weight();
            let mut queued = vec![first];
            while queued.len() < self.options.batch.max(1) && bytes < self.options.batch_bytes {
                let Ok(next) = waiting.try_recv() else { break };
                bytes += next.change.weight();
                queued.push(next);
            }
            self.write(queued).await;
        }
        if let Some(connection) = self.connection {
            connection::close(connection).await;
        }
    }

    /// Carries out a batch and answers everyone in it.
    async fn write(&mut self, queued: Vec<Queued<Change>>) {
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
                tracing::error!(error = %failure.error, changes = queued.len(), "a transaction failed");
                let results = vec![Err(failure.error); queued.len()];
                self.answer(queued, results);
            }
        }
    }

    fn answer(&self, queued: impl IntoIterator<Item = Queued<Change>>, results: Vec<Result<()>>) {
        let mut commits = 0;
        for (queued, result) in queued.into_iter().zip(results) {
            let records =
                if let Change::Commit(commit) = &queued.change { Some(commit.records.len()) } else { None };
            commits += usize::from(records.is_some());
            queued.answer(result, records, self.options.metrics.as_ref());
        }
        if let Some(metrics) = &self.options.metrics {
            metrics.batch(commits);
        }
    }

    /// One transaction over all of them: how each fared, or why none was carried out.
    async fn attempt(&mut self, queued: &[Queued<Change>]) -> Result<Vec<Result<()>>, Failure> {
        for _ in 1..TRIES {
            match self.once(queued).await {
                Err(failure) if failure.again => {}
                outcome => return outcome,
            }
        }
        self.once(queued).await
    }

    async fn once(&mut self, queued: &[Queued<Change>]) -> Result<Vec<Result<()>>, Failure> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => connection::connect(&self.connect, self.options.patience).await?,
        };
        if let Some(metrics) = &self.options.metrics {
            metrics.transaction();
        }
        let writing = transaction::write(&mut connection, queued.iter().map(|queued| &queued.change));
        let outcome = tokio::time::timeout(self.options.patience, writing).await;
        let outcome = outcome.unwrap_or_else(|_| {
            let error = format!("a transaction was not done within {:?}", self.options.patience);
            Err(StoreError::Unavailable(error).into())
        });
        match &outcome {
            Ok(_) => self.connection = Some(connection),
            // It is rolled back already, and the connection is as good as before.
            Err(failure) if failure.again || failure.blames_a_row => {
                match transaction::roll_back(&mut connection).await {
                    Ok(()) => self.connection = Some(connection),
                    Err(_) => connection::close(connection).await,
                }
            }
            // Whatever state the failure left, the server rolls back what a lost connection had begun.
            Err(_) => connection::close(connection).await,
        }
        outcome
    }
}
