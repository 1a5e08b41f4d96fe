//! Decides in memory which changes of a batch hold, and gathers the rows of those that do. Each change
//! sees those before it; one that fails leaves no row behind. It never talks to a database: those that
//! speak SQL share it.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::amend::Amendments;
use crate::cache::Cache;
use crate::metrics::StoreMetrics;
use crate::{AgendaChange, Commit, Epoch, Key, Micros, NewRecord, Result, Shard, Snapshot, StoreError};

/// What is written in batches.
#[derive(Debug)]
pub(crate) enum Change {
    Commit(Commit),
    Save { stream: Key, snapshot: Snapshot },
    Done(Vec<(Shard, Key, Key)>),
}

impl Change {
    /// Bytes that it will put into the database, roughly.
    pub(crate) fn weight(&self) -> usize {
        match self {
            Self::Commit(commit) => {
                let agenda = commit.agenda.iter().map(|change| match change {
                    AgendaChange::Put { body, .. } => body.len(),
                    AgendaChange::Remove { .. } => 0,
                });
                let rows = commit.directory.iter().filter_map(|row| row.value.as_ref()).map(Bytes::len);
                let amended = commit.amend.iter().filter_map(|change| change.body.as_ref()).map(Bytes::len);
                commit.records.iter().map(|record| record.body.len()).sum::<usize>()
                    + rows.sum::<usize>()
                    + amended.sum::<usize>()
                    + agenda.sum::<usize>()
                    + commit.snapshot.as_ref().map_or(0, Bytes::len)
            }
            Self::Save { snapshot, .. } => snapshot.body.len(),
            Self::Done(_) => 0,
        }
    }

    /// The streams and the rows of the directory that it names: they must be known before it is staged.
    pub(crate) fn names<'a>(
        &'a self,
        mut stream: impl FnMut(&'a Key),
        mut row: impl FnMut(&'a Key, &'a Key),
    ) {
        match self {
            Self::Commit(commit) => {
                let Commit { records, amend, agenda, snapshot, .. } = commit;
                if !(records.is_empty() && amend.is_empty() && agenda.is_empty() && snapshot.is_none()) {
                    stream(&commit.stream);
                }
                commit.directory.iter().for_each(|change| row(&change.namespace, &change.key));
            }
            Self::Save { stream: name, .. } => stream(name),
            Self::Done(items) => items.iter().for_each(|(_, name, _)| stream(name)),
        }
    }
}

/// Something to write, and who waits for it.
#[derive(Debug)]
pub(crate) struct Queued<C> {
    pub(crate) change: C,
    pub(crate) answer: oneshot::Sender<Result<()>>,
    pub(crate) since: Instant,
}

impl<C> Queued<C> {
    /// Answers and counts it.
    pub(crate) fn answer(self, result: Result<()>, commit: Option<usize>, metrics: Option<&StoreMetrics>) {
        if let (Some(records), Some(metrics)) = (commit, metrics) {
            metrics.answered(result.as_ref().copied(), records, self.since.elapsed());
        }
        // Whoever asked may have stopped waiting.
        let _ = self.answer.send(result);
    }
}

/// SQL's integers are signed. What is beyond them stands for "never" and "no limit".
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Records of one stream at most: a record's place, `stream << 32 | seq`, has 32 bits for the sequence.
pub(crate) const MAX_SEQ: u64 = u32::MAX as u64;

/// What is known of the database. Everything that a batch names is looked up before the batch
/// is staged; what is still missing then is not there.
#[derive(Debug)]
pub(crate) struct Known {
    /// Streams by name.
    pub(crate) heads: Cache<Key, Head>,
    /// Versions of the directory's rows by [`row_name`]; 0 for no row.
    pub(crate) versions: Cache<Key, u64>,
    /// The id that the next new stream gets.
    pub(crate) next_stream: i64,
}

/// A stream's number and where it ends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Head {
    /// Its number; 0 while it is not in the database.
    pub(crate) id: i64,
    /// Its last sequence.
    pub(crate) seq: u64,
}

impl Known {
    pub(crate) fn new() -> Self {
        Self { heads: Cache::new(100_000), versions: Cache::new(100_000), next_stream: 1 }
    }

    pub(crate) fn clear(&mut self) {
        self.heads.clear();
        self.versions.clear();
    }

    pub(crate) fn turn(&mut self) {
        self.heads.turn();
        self.versions.turn();
    }

    fn head(&mut self, stream: &str) -> Head {
        self.heads.get_mut(stream).copied().unwrap_or_default()
    }

    fn version(&mut self, row: &str) -> u64 {
        self.versions.get_mut(row).copied().unwrap_or_default()
    }
}

/// One name for a row of the directory. The length keeps apart what only concatenates alike.
pub(crate) fn row_name(namespace: &str, key: &str) -> Key {
    compact_str::format_compact!("{}:{namespace}{key}", namespace.len())
}

/// The rows to write, each table's key at most once.
#[derive(Debug, Default)]
pub(crate) struct Batch<'a> {
    pub(crate) streams: Vec<(i64, &'a Key)>,
    /// Each with its place.
    pub(crate) records: Vec<(i64, &'a NewRecord)>,
    /// To be made after `records` are there: they name those of this batch that they concern.
    pub(crate) amendments: Amendments<'a>,
    pub(crate) snapshots: HashMap<i64, (u64, &'a Bytes)>,
    pub(crate) directory: HashMap<Key, DirectoryRow<'a>>,
    pub(crate) agenda: HashMap<(i64, &'a Key), Option<AgendaRow<'a>>>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct DirectoryRow<'a> {
    pub(crate) namespace: &'a Key,
    pub(crate) key: &'a Key,
    pub(crate) version: u64,
    /// `None` removes the row.
    pub(crate) value: Option<&'a Bytes>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct AgendaRow<'a> {
    pub(crate) shard: Shard,
    pub(crate) due: Micros,
    pub(crate) body: &'a Bytes,
}

impl<'a> Batch<'a> {
    /// Stages a change after those before it. `fence` refuses an epoch that is not its shard's.
    pub(crate) fn stage(
        &mut self,
        change: &'a Change,
        known: &mut Known,
        fence: &impl Fn(Shard, Epoch) -> Result<()>,
    ) -> Result<()> {
        match change {
            Change::Commit(commit) => {
                fence(commit.shard, commit.epoch)?;
                self.commit(commit, known)?;
            }
            Change::Save { stream, snapshot } => self.save(stream, snapshot, known),
            Change::Done(items) => {
                for (_, stream, key) in items {
                    self.remove_agenda(known.head(stream).id, key);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.streams.is_empty()
            && self.records.is_empty()
            && self.amendments.is_empty()
            && self.snapshots.is_empty()
            && self.directory.is_empty()
            && self.agenda.is_empty()
    }

    fn commit(&mut self, commit: &'a Commit, known: &mut Known) -> Result<()> {
        let head = known.head(&commit.stream);
        let seq = head.seq + commit.records.len() as u64;
        if !commit.records.is_empty() {
            if head.seq != commit.after {
                return Err(StoreError::Conflict { stream: commit.stream.clone(), head: head.seq });
            }
            if seq > MAX_SEQ {
                return Err(StoreError::Unavailable(format!("stream {} is full", commit.stream)));
            }
        }
        self.change_directory(commit, known)?;

        // From here on nothing fails.
        for amendment in &commit.amend {
            self.amendments.push(head, amendment);
        }
        if !commit.records.is_empty() {
            let id = self.stream(&commit.stream, known);
            let first = (id << 32) + 1 + head.seq as i64;
            self.records.extend((first..).zip(&commit.records));
            known.heads.insert(commit.stream.clone(), Head { id, seq });
        }
        for change in &commit.agenda {
            match change {
                AgendaChange::Put { key, due, body } => {
                    let id = self.stream(&commit.stream, known);
                    self.agenda.insert((id, key), Some(AgendaRow { shard: commit.shard, due: *due, body }));
                }
                AgendaChange::Remove { key } => self.remove_agenda(known.head(&commit.stream).id, key),
            }
        }
        if let Some(body) = &commit.snapshot {
            let id = self.stream(&commit.stream, known);
            self.keep_snapshot(id, seq, body);
        }
        Ok(())
    }

    /// Checks all expectations, each change seeing those before it, and only then keeps the rows.
    fn change_directory(&mut self, commit: &'a Commit, known: &mut Known) -> Result<()> {
        let mut staged: Vec<(Key, DirectoryRow<'a>)> = Vec::with_capacity(commit.directory.len());
        for change in &commit.directory {
            let name = row_name(&change.namespace, &change.key);
            let before = match staged.iter().rev().find(|(staged, _)| *staged == name) {
                Some((_, row)) => row.value.map_or(0, |_| row.version),
                None => known.version(&name),
            };
            if !change.expect.holds(before) {
                let (namespace, key) = (change.namespace.clone(), change.key.clone());
                return Err(StoreError::Taken { namespace, key });
            }
            let value = change.value.as_ref();
            let row =
                DirectoryRow { namespace: &change.namespace, key: &change.key, version: before + 1, value };
            staged.push((name, row));
        }
        for (name, row) in staged {
            known.versions.insert(name.clone(), row.value.map_or(0, |_| row.version));
            self.directory.insert(name, row);
        }
        Ok(())
    }

    fn save(&mut self, stream: &'a Key, snapshot: &'a Snapshot, known: &mut Known) {
        let id = self.stream(stream, known);
        self.keep_snapshot(id, snapshot.seq, &snapshot.body);
    }

    fn keep_snapshot(&mut self, stream: i64, seq: u64, body: &'a Bytes) {
        if self.snapshots.get(&stream).is_none_or(|(present, _)| *present <= seq) {
            self.snapshots.insert(stream, (seq, body));
        }
    }

    fn remove_agenda(&mut self, stream: i64, key: &'a Key) {
        // A stream that is not in the database has nothing on the agenda.
        if stream > 0 {
            self.agenda.insert((stream, key), None);
        }
    }

    /// The number of a stream, a new one if it has none.
    fn stream(&mut self, name: &'a Key, known: &mut Known) -> i64 {
        let head = known.head(name);
        if head.id > 0 {
            return head.id;
        }
        let id = known.next_stream;
        known.next_stream += 1;
        known.heads.insert(name.clone(), Head { id, ..head });
        self.streams.push((id, name));
        id
    }
}
