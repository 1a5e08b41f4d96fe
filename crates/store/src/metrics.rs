//! What the store tells about itself: `levee_store_*`.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry};

use crate::StoreError;

/// The store's metrics. Handles are shared: clones count into the same series.
#[derive(Debug, Clone)]
pub struct StoreMetrics {
    applied: IntCounter,
    commits: IntCounterVec,
    batch: Histogram,
    latency: Histogram,
    records: IntCounter,
    transactions: IntCounter,
}

impl StoreMetrics {
    /// Makes the metrics and registers them.
    ///
    /// # Errors
    /// When the registry already has metrics of these names.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self::new()?;
        registry.register(Box::new(metrics.commits.clone()))?;
        registry.register(Box::new(metrics.batch.clone()))?;
        registry.register(Box::new(metrics.latency.clone()))?;
        registry.register(Box::new(metrics.records.clone()))?;
        registry.register(Box::new(metrics.transactions.clone()))?;
        Ok(metrics)
    }

    /// Metrics that are counted but not shown by any registry.
    ///
    /// # Errors
    /// Never in practice: names and buckets are fixed.
    pub fn new() -> prometheus::Result<Self> {
        let commits = IntCounterVec::new(
            Opts::new("levee_store_commits_total", "Commits answered, by outcome."),
            &["outcome"],
        )?;
        // All outcomes are there from the start, so that a rate over them never misses the first.
        for outcome in OUTCOMES {
            commits.with_label_values(&[outcome]);
        }
        Ok(Self {
            applied: commits.with_label_values(&["applied"]),
            commits,
            batch: Histogram::with_opts(
                HistogramOpts::new("levee_store_batch_commits", "Commits that shared one transaction.")
                    .buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]),
            )?,
            latency: Histogram::with_opts(
                HistogramOpts::new(
                    "levee_store_commit_seconds",
                    "Seconds from the call of commit to its answer, waiting and syncing included.",
                )
                .buckets(vec![
                    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
                    5.0,
                ]),
            )?,
            records: IntCounter::new("levee_store_records_total", "Records appended to streams.")?,
            transactions: IntCounter::new(
                "levee_store_transactions_total",
                "Transactions synced to the disk (attempts included).",
            )?,
        })
    }

    /// Transactions so far.
    pub fn transactions(&self) -> u64 {
        self.transactions.get()
    }

    /// Commits applied so far.
    pub fn applied(&self) -> u64 {
        self.applied.get()
    }

    /// Records appended so far.
    pub fn records(&self) -> u64 {
        self.records.get()
    }

    pub(crate) fn transaction(&self) {
        self.transactions.inc();
    }

    pub(crate) fn batch(&self, commits: usize) {
        if commits > 0 {
            self.batch.observe(commits as f64);
        }
    }

    pub(crate) fn answered(&self, result: Result<(), &StoreError>, records: usize, took: Duration) {
        match result {
            Ok(()) => {
                self.applied.inc();
                self.records.inc_by(records as u64);
            }
            Err(error) => self.commits.with_label_values(&[outcome(error)]).inc(),
        }
        self.latency.observe(took.as_secs_f64());
    }
}

const OUTCOMES: [&str; 7] = ["applied", "fenced", "conflict", "taken", "full", "unavailable", "damaged"];

fn outcome(error: &StoreError) -> &'static str {
    match error {
        StoreError::Fenced { .. } => "fenced",
        StoreError::Conflict { .. } => "conflict",
        StoreError::Taken { .. } => "taken",
        StoreError::Full => "full",
        StoreError::Unavailable(_) => "unavailable",
        StoreError::Damaged(_) | StoreError::Schema { .. } => "damaged",
    }
}
