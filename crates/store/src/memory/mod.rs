//! The store in memory: for tests, and for several nodes in one process. It keeps every rule of the
//! traits but one: nothing survives the process.

mod agenda;

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;

use crate::clock::Clock;
use crate::leases::Leases;
use crate::letters::Letters;
use crate::metrics::StoreMetrics;
use crate::pattern::Pattern;
use crate::{
    Agenda, AgendaChange, AgendaItem, Commit, Directory, Entry, Expect, Key, Lease, Micros, NewRecord,
    NodeRow, Post, Read, Record, Result, Shard, Shards, Snapshot, Snapshots, StoreError, Streams,
};

/// A store in memory. Clones are handles of the same store.
#[derive(Debug, Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    letters: Letters,
    clock: Clock,
    metrics: Option<StoreMetrics>,
}

#[derive(Debug, Default)]
struct State {
    /// Sequence n is at index n - 1: a stream has no holes.
    streams: HashMap<Key, Vec<NewRecord>>,
    snapshots: HashMap<Key, Snapshot>,
    directory: BTreeMap<(Key, Key), Row>,
    agenda: agenda::Items,
    leases: Leases,
}

#[derive(Debug, Clone)]
struct Row {
    version: u64,
    value: Bytes,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self { state: Arc::default(), letters: Letters::default(), clock: Clock::monotonic(), metrics: None }
    }

    /// An empty store whose leases expire by the given clock (microseconds; it must never step back).
    pub fn with_clock(now: impl Fn() -> Micros + Send + Sync + 'static) -> Self {
        Self { clock: Clock::new(now), ..Self::new() }
    }

    /// Counts commits into `metrics`.
    #[must_use]
    pub fn with_metrics(mut self, metrics: StoreMetrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics between two changes of one commit, so what a poisoned lock guards is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn head(&self, stream: &str) -> u64 {
        self.streams.get(stream).map_or(0, |records| records.len() as u64)
    }

    /// Checks everything before it changes anything: a failing commit leaves no trace.
    fn commit(&mut self, commit: Commit) -> Result<()> {
        self.leases.fence(commit.shard, commit.epoch)?;
        let head = self.head(&commit.stream);
        if !commit.records.is_empty() && head != commit.after {
            return Err(StoreError::Conflict { stream: commit.stream, head });
        }
        let rows = self.stage(&commit)?;

        if let Some(records) = self.streams.get_mut(&commit.stream) {
            commit.amend.iter().for_each(|amendment| amendment.make(records));
        }
        let seq = head + commit.records.len() as u64;
        if !commit.records.is_empty() {
            self.leases.advance(commit.shard);
            self.streams.entry(commit.stream.clone()).or_default().extend(commit.records);
        }
        for (key, row) in rows {
            match row {
                Some(row) => self.directory.insert(key, row),
                None => self.directory.remove(&key),
            };
        }
        for change in commit.agenda {
            match change {
                AgendaChange::Put { key, due, body } => {
                    let (shard, stream) = (commit.shard, commit.stream.clone());
                    self.agenda.put(AgendaItem { shard, stream, key, due, body });
                }
                AgendaChange::Remove { key } => {
                    self.agenda.remove(&commit.stream, &key);
                }
            }
        }
        if let Some(body) = commit.snapshot {
            self.save(&commit.stream, Snapshot { seq, body });
        }
        Ok(())
    }

    /// What the directory's rows become, each change seeing those before it.
    fn stage(&self, commit: &Commit) -> Result<BTreeMap<(Key, Key), Option<Row>>> {
        let mut staged = BTreeMap::new();
        for change in &commit.directory {
            let key = (change.namespace.clone(), change.key.clone());
            let found = match staged.get(&key) {
                Some(row) => Option::as_ref(row),
                None => self.directory.get(&key),
            };
            let version = found.map_or(0, |row| row.version);
            if !change.expect.holds(version) {
                let (namespace, key) = key;
                return Err(StoreError::Taken { namespace, key });
            }
            let row = change.value.clone().map(|value| Row { version: version + 1, value });
            staged.insert(key, row);
        }
        Ok(staged)
    }

    fn save(&mut self, stream: &str, snapshot: Snapshot) {
        if self.snapshots.get(stream).is_none_or(|present| present.seq <= snapshot.seq) {
            self.snapshots.insert(stream.into(), snapshot);
        }
    }
}

impl Expect {
    /// Whether the expectation holds for a row's version; 0 stands for no row.
    pub(crate) fn holds(self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => version == 0,
            // No row has version 0, so `Version(0)` holds never, not even for an absent row.
            Self::Version(expected) => version > 0 && version == expected,
        }
    }
}

#[async_trait]
impl Streams for MemoryStore {
    async fn commit(&self, commit: Commit) -> Result<()> {
        let started = Instant::now();
        let records = commit.records.len();
        let result = self.state().commit(commit);
        // As in any other store, something can come in between a commit and its answer.
        tokio::task::yield_now().await;
        if let Some(metrics) = &self.metrics {
            metrics.answered(result.as_ref().copied(), records, started.elapsed());
        }
        result
    }

    async fn read(&self, query: Read) -> Result<Vec<Record>> {
        let kinds: Vec<Pattern<'_>> = query.kinds.iter().map(|kind| Pattern::parse(kind)).collect();
        let wanted = |record: &Record| {
            let NewRecord { kind, author, flags, .. } = &record.record;
            (kinds.is_empty() || kinds.iter().any(|pattern| pattern.matches(kind)))
                && flags & query.with_flags == query.with_flags
                && flags & query.without_flags == 0
                && query.author.as_ref().is_none_or(|wanted| wanted == author)
        };
        let state = self.state();
        let Some(records) = state.streams.get(&query.stream) else { return Ok(Vec::new()) };
        let from = usize::try_from(query.after).unwrap_or(usize::MAX).min(records.len());
        let to = usize::try_from(query.before.saturating_sub(1)).unwrap_or(usize::MAX).min(records.len());
        let range = (from..to.max(from)).map(|at| Record { seq: at as u64 + 1, record: records[at].clone() });
        Ok(if query.descending {
            range.rev().filter(wanted).take(query.limit).collect()
        } else {
            range.filter(wanted).take(query.limit).collect()
        })
    }

    async fn head(&self, stream: &str) -> Result<u64> {
        Ok(self.state().head(stream))
    }

    async fn heads(&self, streams: &[Key]) -> Result<Vec<u64>> {
        let state = self.state();
        Ok(streams.iter().map(|stream| state.head(stream)).collect())
    }

    async fn positions(&self) -> Result<Vec<u64>> {
        Ok(self.state().leases.positions())
    }
}

#[async_trait]
impl Post for MemoryStore {
    async fn post(&self, from: &str, letters: Vec<(Key, Bytes)>) -> Result<()> {
        self.letters.post(from, letters)
    }

    async fn collect(&self, node: &str, limit: usize) -> Result<Vec<(Key, Bytes)>> {
        Ok(self.letters.collect(node, limit))
    }
}

#[async_trait]
impl Snapshots for MemoryStore {
    async fn load(&self, stream: &str) -> Result<Option<Snapshot>> {
        Ok(self.state().snapshots.get(stream).cloned())
    }

    async fn save(&self, stream: &str, snapshot: Snapshot) -> Result<()> {
        self.state().save(stream, snapshot);
        Ok(())
    }
}

#[async_trait]
impl Directory for MemoryStore {
    async fn get(&self, namespace: &str, key: &str) -> Result<Option<Entry>> {
        let id = (Key::from(namespace), Key::from(key));
        let state = self.state();
        Ok(state.directory.get(&id).map(|row| Entry {
            key: id.1.clone(),
            version: row.version,
            value: row.value.clone(),
        }))
    }

    async fn list(&self, namespace: &str, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>> {
        let start = (Key::from(namespace), Key::from(prefix.max(after)));
        let state = self.state();
        let rows = state.directory.range(start..);
        Ok(rows
            .take_while(|((space, key), _)| space == namespace && key.starts_with(prefix))
            // The empty key is a key too, but `after` being empty means the first page.
            .filter(|((_, key), _)| after.is_empty() || key.as_str() > after)
            .take(limit)
            .map(|((_, key), row)| Entry { key: key.clone(), version: row.version, value: row.value.clone() })
            .collect())
    }
}

#[async_trait]
impl Agenda for MemoryStore {
    async fn due(
        &self,
        shard: Shard,
        within: RangeInclusive<Micros>,
        limit: usize,
    ) -> Result<Vec<AgendaItem>> {
        Ok(self.state().agenda.due(shard, within, limit))
    }

    async fn open(&self, stream: &str) -> Result<Vec<AgendaItem>> {
        Ok(self.state().agenda.open(stream))
    }

    async fn done(&self, items: Vec<(Shard, Key, Key)>) -> Result<()> {
        let mut state = self.state();
        for (_, stream, key) in items {
            state.agenda.remove(&stream, &key);
        }
        Ok(())
    }
}

#[async_trait]
impl Shards for MemoryStore {
    async fn heartbeat(&self, node: NodeRow, ttl_ms: u64) -> Result<Vec<NodeRow>> {
        let now = self.clock.now();
        Ok(self.state().leases.heartbeat(now, node, ttl_ms))
    }

    async fn take(&self, node: &str, shards: &[Shard]) -> Result<Vec<Lease>> {
        let now = self.clock.now();
        let mut state = self.state();
        state.leases.take(now, node, shards);
        Ok(shards.iter().filter_map(|&shard| state.leases.lease(now, shard)).collect())
    }

    async fn release(&self, node: &str, shards: &[Shard]) -> Result<()> {
        self.state().leases.release(node, shards);
        Ok(())
    }

    async fn leases(&self) -> Result<Vec<Lease>> {
        let now = self.clock.now();
        Ok(self.state().leases.all(now))
    }

    async fn leave(&self, node: &str) -> Result<()> {
        self.state().leases.leave(node);
        Ok(())
    }
}
