//! Decides in memory which changes of a batch hold, and gathers the rows of those that do. Each change
//! sees those before it; one that fails leaves no row behind. It never talks to SQLite.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;

use super::cache::Cache;
use super::writer::Change;
use crate::leases::{Holder, Leases};
use crate::{AgendaChange, Commit, Key, Micros, NewRecord, Result, Shard, Snapshot, StoreError};

/// Records of one stream at most: a record's place, `stream << 32 | seq`, has 32 bits for the sequence.
pub(super) const MAX_SEQ: u64 = u32::MAX as u64;

/// What the writer remembers of the file. Everything that a batch names is looked up before the batch
/// is staged; what is still missing then is not in the file.
#[derive(Debug)]
pub(super) struct Known {
    /// Streams by name.
    pub(super) heads: Cache<Key, Head>,
    /// Versions of the directory's rows by [`row_name`]; 0 for no row.
    pub(super) versions: Cache<Key, u64>,
    /// The id that the next new stream gets.
    pub(super) next_stream: i64,
}

/// A stream's number and where it ends.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Head {
    /// Its number; 0 while it is not in the file.
    pub(super) id: i64,
    /// Its last sequence.
    pub(super) seq: u64,
}

impl Known {
    pub(super) fn new() -> Self {
        Self { heads: Cache::new(100_000), versions: Cache::new(100_000), next_stream: 1 }
    }

    pub(super) fn clear(&mut self) {
        self.heads.clear();
        self.versions.clear();
    }

    pub(super) fn turn(&mut self) {
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
pub(super) fn row_name(namespace: &str, key: &str) -> Key {
    compact_str::format_compact!("{}:{namespace}{key}", namespace.len())
}

/// The rows to write, each table's key at most once.
#[derive(Debug, Default)]
pub(super) struct Batch<'a> {
    pub(super) streams: Vec<(i64, &'a Key)>,
    /// Each with its place.
    pub(super) records: Vec<(i64, &'a NewRecord)>,
    pub(super) snapshots: HashMap<i64, (u64, &'a Bytes)>,
    pub(super) directory: HashMap<Key, DirectoryRow<'a>>,
    pub(super) agenda: HashMap<(i64, &'a Key), Option<AgendaRow<'a>>>,
    pub(super) shards: Vec<(Shard, Holder)>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct DirectoryRow<'a> {
    pub(super) namespace: &'a Key,
    pub(super) key: &'a Key,
    pub(super) version: u64,
    /// `None` removes the row.
    pub(super) value: Option<&'a Bytes>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct AgendaRow<'a> {
    pub(super) shard: Shard,
    pub(super) due: Micros,
    pub(super) body: &'a Bytes,
}

impl<'a> Batch<'a> {
    /// Stages the changes in their order and answers how each fared.
    pub(super) fn stage(
        changes: impl Iterator<Item = &'a Change>,
        known: &mut Known,
        leases: &mut Leases,
        now: Micros,
    ) -> (Self, Vec<Result<()>>) {
        let mut batch = Self::default();
        let mut moved = BTreeSet::new();
        let results = changes
            .map(|change| {
                match change {
                    Change::Commit(commit) => batch.commit(commit, known, leases)?,
                    Change::Save { stream, snapshot } => batch.save(stream, snapshot, known),
                    Change::Done(items) => {
                        for (_, stream, key) in items {
                            batch.remove_agenda(known.head(stream).id, key);
                        }
                    }
                    Change::Take { node, shards } => moved.extend(leases.take(now, node, shards)),
                    Change::Release { node, shards } => moved.extend(leases.release(node, shards)),
                    Change::Leave { node } => moved.extend(leases.leave(node)),
                    Change::Close => {}
                }
                Ok(())
            })
            .collect();
        batch.shards = moved.into_iter().map(|shard| (shard, leases.holder(shard))).collect();
        (batch, results)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.streams.is_empty()
            && self.records.is_empty()
            && self.snapshots.is_empty()
            && self.directory.is_empty()
            && self.agenda.is_empty()
            && self.shards.is_empty()
    }

    fn commit(&mut self, commit: &'a Commit, known: &mut Known, leases: &Leases) -> Result<()> {
        leases.fence(commit.shard, commit.epoch)?;
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
        // A stream that is not in the file has nothing on the agenda.
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
