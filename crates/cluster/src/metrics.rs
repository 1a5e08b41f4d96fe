//! The cluster's figures, for Prometheus.

use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

/// The figures of one node.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Sessions that live on this node.
    pub sessions: IntGauge,
    /// Entities that are loaded.
    pub entities: IntGauge,
    /// Actions by name.
    pub actions: IntCounterVec,
    /// Errors that clients got, by type.
    pub errors: IntCounterVec,
    /// Things that were dropped or refused at a limit, by reason.
    pub dropped: IntCounterVec,
    /// Inputs that one commit carried.
    pub batch: Histogram,
    /// Jobs that waited in an entity's inbox when it began a batch.
    pub inbox: Histogram,
    /// Reads from the store because a publish was missed.
    pub catch_up: IntCounter,
    /// Letters to other nodes.
    pub letters: IntCounter,
    /// Letters that went by the store, for the bus was away.
    pub posted: IntCounter,
    /// Actions that were sent again, for their reply did not come.
    pub sent_again: IntCounter,
    /// Sessions that left this node with all their state.
    pub parked: IntCounter,
    /// Timers of entities that rang.
    pub timers: IntCounter,
    /// Shards that this node took or lost.
    pub shard_moves: IntCounterVec,
    /// Mails, by what became of them.
    pub mails: IntCounterVec,
    /// Files that were to be taken in, by what became of them.
    pub uploads: IntCounterVec,
    /// Bytes of files, by direction.
    pub file_bytes: IntCounterVec,
    /// What was said of files that were looked at.
    pub scans: IntCounterVec,
    /// Bytes of files that could not be removed.
    pub removals_failed: IntCounter,
    /// What webhooks were told, by what became of it.
    pub hooks: IntCounterVec,
    /// Conversations of which a webhook is still to be told something, each for each webhook.
    pub hooks_waiting: IntGauge,
    /// For how many seconds the oldest of those waits, by thread.
    pub hooks_oldest: IntGaugeVec,
    /// Commits that met another writer, by kind of conflict.
    pub conflicts: IntCounterVec,
}

impl Metrics {
    /// Makes the figures and registers them.
    ///
    /// # Errors
    /// When a figure of that name is registered already.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let metrics = Self {
            sessions: IntGauge::new("levee_sessions", "Sessions that live on this node.")?,
            entities: IntGauge::new(
                "levee_entities",
                "Entities (users, realms, queues, conversations) in memory.",
            )?,
            actions: IntCounterVec::new(Opts::new("levee_actions_total", "Actions by name."), &["action"])?,
            errors: IntCounterVec::new(
                Opts::new("levee_errors_total", "Errors that clients got, by type."),
                &["type"],
            )?,
            dropped: IntCounterVec::new(
                Opts::new(
                    "levee_dropped_total",
                    "Things that were dropped or refused at a limit, by reason.",
                ),
                &["reason"],
            )?,
            batch: Histogram::with_opts(
                HistogramOpts::new("levee_commit_inputs", "Inputs of one entity that one commit carried.")
                    .buckets(vec![1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0]),
            )?,
            inbox: Histogram::with_opts(
                HistogramOpts::new(
                    "levee_entity_inbox_jobs",
                    "Jobs that waited in an entity's inbox when it began to commit a batch.",
                )
                .buckets(vec![0.0, 1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0]),
            )?,
            catch_up: IntCounter::new(
                "levee_catch_up_reads_total",
                "Reads from the store because a publish was missed.",
            )?,
            letters: IntCounter::new(
                "levee_bus_letters_total",
                "Letters that went to other nodes, by the bus or by the store.",
            )?,
            posted: IntCounter::new(
                "levee_post_letters_total",
                "Letters that went to other nodes by the store, for the bus was away.",
            )?,
            sent_again: IntCounter::new(
                "levee_actions_sent_again_total",
                "Actions that were sent to their owner again, for no reply came.",
            )?,
            parked: IntCounter::new(
                "levee_sessions_handed_over_total",
                "Sessions that left this node with all their state.",
            )?,
            timers: IntCounter::new("levee_timers_total", "Timers of entities that rang.")?,
            shard_moves: IntCounterVec::new(
                Opts::new("levee_shard_moves_total", "Shards that this node took or lost."),
                &["way"],
            )?,
            mails: IntCounterVec::new(
                Opts::new("levee_mails_total", "Mails that were sent, deferred or given up."),
                &["outcome"],
            )?,
            uploads: IntCounterVec::new(
                Opts::new("levee_uploads_total", "Files that were taken in, refused, or failed."),
                &["outcome"],
            )?,
            file_bytes: IntCounterVec::new(
                Opts::new("levee_file_bytes_total", "Bytes of files, by direction."),
                &["direction"],
            )?,
            scans: IntCounterVec::new(
                Opts::new(
                    "levee_file_scans_total",
                    "Times that a file was looked at, by what was said of it.",
                ),
                &["result"],
            )?,
            removals_failed: IntCounter::new(
                "levee_file_removals_failed_total",
                "Times that bytes of a file could not be removed; it is tried again.",
            )?,
            hooks: IntCounterVec::new(
                Opts::new(
                    "levee_webhook_deliveries_total",
                    "What webhooks were told, were to be told and were not told, by outcome.",
                ),
                &["outcome"],
            )?,
            hooks_waiting: IntGauge::new(
                "levee_webhooks_waiting",
                "Conversations with something that a webhook is still to be told, for each webhook.",
            )?,
            hooks_oldest: IntGaugeVec::new(
                Opts::new(
                    "levee_webhooks_oldest_seconds",
                    "For how long the oldest of them waits, by thread.",
                ),
                &["arbiter"],
            )?,
            conflicts: IntCounterVec::new(
                Opts::new("levee_commit_conflicts_total", "Commits that met another writer, by kind."),
                &["kind"],
            )?,
        };
        registry.register(Box::new(metrics.sessions.clone()))?;
        registry.register(Box::new(metrics.entities.clone()))?;
        registry.register(Box::new(metrics.actions.clone()))?;
        registry.register(Box::new(metrics.errors.clone()))?;
        registry.register(Box::new(metrics.dropped.clone()))?;
        registry.register(Box::new(metrics.batch.clone()))?;
        registry.register(Box::new(metrics.inbox.clone()))?;
        registry.register(Box::new(metrics.catch_up.clone()))?;
        registry.register(Box::new(metrics.letters.clone()))?;
        registry.register(Box::new(metrics.posted.clone()))?;
        registry.register(Box::new(metrics.sent_again.clone()))?;
        registry.register(Box::new(metrics.parked.clone()))?;
        registry.register(Box::new(metrics.timers.clone()))?;
        registry.register(Box::new(metrics.shard_moves.clone()))?;
        registry.register(Box::new(metrics.mails.clone()))?;
        registry.register(Box::new(metrics.uploads.clone()))?;
        registry.register(Box::new(metrics.file_bytes.clone()))?;
        registry.register(Box::new(metrics.scans.clone()))?;
        registry.register(Box::new(metrics.removals_failed.clone()))?;
        registry.register(Box::new(metrics.hooks.clone()))?;
        registry.register(Box::new(metrics.hooks_waiting.clone()))?;
        registry.register(Box::new(metrics.hooks_oldest.clone()))?;
        registry.register(Box::new(metrics.conflicts.clone()))?;
        Ok(metrics)
    }

    /// Counts something that was dropped or refused at a limit.
    pub fn drop(&self, reason: &str) {
        self.dropped.with_label_values(&[reason]).inc();
    }
}
