//! The rows and questions of the store. Bodies are opaque bytes.

use bytes::Bytes;
use compact_str::CompactString;

/// A short name: a stream, a namespace, a key, a node.
pub type Key = CompactString;
/// A shard's number, 0 to 1,023.
pub type Shard = u16;
/// How many shards there are.
pub const SHARDS: Shard = 1024;
/// A lease's generation: only a new holder raises it, the first one to 1. Nobody holds anything under
/// epoch 0.
pub type Epoch = u64;
/// Microseconds since 1970-01-01 UTC. Backends may keep 63 bits: what is beyond comes back as
/// `i64::MAX`.
pub type Micros = u64;

/// One atomic change.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// The shard whose lease fences this commit.
    pub shard: Shard,
    /// The epoch under which the writer holds the shard.
    pub epoch: Epoch,
    /// The stream of `records` and `agenda`.
    pub stream: Key,
    /// The sequence after which `records` are appended; not looked at when there are none.
    pub after: u64,
    /// Records to append, getting the sequences `after + 1`, `after + 2`, …
    pub records: Vec<NewRecord>,
    /// Changes of records that are in `stream` already, each after those before it. They never touch
    /// `records`.
    pub amend: Vec<Amendment>,
    /// Rows of the directory to write or remove, each with what it expects to find; each sees those
    /// before it.
    pub directory: Vec<DirectoryChange>,
    /// Rows of the agenda to write or remove for `stream`.
    pub agenda: Vec<AgendaChange>,
    /// The state after the last of `records` (at the stream's head when there are none), if it shall be
    /// kept.
    pub snapshot: Option<Bytes>,
}

/// A record that has no sequence yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// When it happened.
    pub time: Micros,
    /// What it is; reads can ask for kinds and prefixes of kinds.
    pub kind: Key,
    /// Whose it is; empty for nobody's.
    pub author: Key,
    /// Bits that reads can ask for.
    pub flags: u32,
    /// The content.
    pub body: Bytes,
}

/// A change of records that are in the stream already: what they were is gone. Sequences, times, kinds and
/// authors never change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amendment {
    /// Only records with a sequence greater than this.
    pub after: u64,
    /// Only records with a sequence less than this.
    pub before: u64,
    /// Only records with all of these bits.
    pub with_flags: u32,
    /// Only records of this author, if given.
    pub author: Option<Key>,
    /// Bits that they get.
    pub set_flags: u32,
    /// Bits that they lose; those that are in `set_flags` too stay.
    pub clear_flags: u32,
    /// A new content, if given.
    pub body: Option<Bytes>,
}

/// A record of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its place in the stream, from 1.
    pub seq: u64,
    /// What was appended.
    pub record: NewRecord,
}

/// A question to a stream.
#[derive(Debug, Clone)]
pub struct Read {
    /// Which stream.
    pub stream: Key,
    /// Only records with a sequence greater than this.
    pub after: u64,
    /// Only records with a sequence less than this.
    pub before: u64,
    /// Only these kinds; a pattern that ends with `*` matches prefixes. Empty means all.
    pub kinds: Vec<Key>,
    /// Only records with all of these bits.
    pub with_flags: u32,
    /// Only records with none of these bits.
    pub without_flags: u32,
    /// Only records of this author, if given.
    pub author: Option<Key>,
    /// Newest first.
    pub descending: bool,
    /// How many at most.
    pub limit: usize,
}

impl Read {
    /// All records of a stream after a sequence, oldest first, at most `limit`.
    pub fn after(stream: impl Into<Key>, after: u64, limit: usize) -> Self {
        Self {
            stream: stream.into(),
            after,
            before: u64::MAX,
            kinds: Vec::new(),
            with_flags: 0,
            without_flags: 0,
            author: None,
            descending: false,
            limit,
        }
    }
}

/// A saved state of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The last sequence that it contains.
    pub seq: u64,
    /// The state.
    pub body: Bytes,
}

/// A change of one row of the directory.
#[derive(Debug, Clone)]
pub struct DirectoryChange {
    /// The row's namespace.
    pub namespace: Key,
    /// The row's key.
    pub key: Key,
    /// What must be there for the commit to hold.
    pub expect: Expect,
    /// The new value; `None` removes the row.
    pub value: Option<Bytes>,
}

/// What a directory change expects to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Anything or nothing.
    Any,
    /// No row.
    Absent,
    /// A row with exactly this version.
    Version(u64),
}

/// A row of the directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its key.
    pub key: Key,
    /// 1 when it was made, one more at each change. A row made anew starts at 1 again.
    pub version: u64,
    /// Its value.
    pub value: Bytes,
}

/// A change of the agenda of the commit's stream.
#[derive(Debug, Clone)]
pub enum AgendaChange {
    /// Adds an item or replaces the one with the same key.
    Put {
        /// The item's name within its stream.
        key: Key,
        /// When it is to happen.
        due: Micros,
        /// What is to happen.
        body: Bytes,
    },
    /// Removes an item; absent is fine.
    Remove {
        /// The item's name within its stream.
        key: Key,
    },
}

/// Something that must still happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgendaItem {
    /// The shard of its stream.
    pub shard: Shard,
    /// Its stream.
    pub stream: Key,
    /// Its name within the stream.
    pub key: Key,
    /// When it is to happen.
    pub due: Micros,
    /// What is to happen.
    pub body: Bytes,
}

/// A node's registration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeRow {
    /// The node's name, one per incarnation.
    pub node: Key,
    /// What `/v2/endpoint` answers for it.
    pub public_address: Key,
    /// Whether it takes new sessions and shards (a draining node does not).
    pub ready: bool,
    /// The version of what it says to other nodes.
    pub speaks: u32,
    /// Whether it hears itself on the bus. One that does not gets its letters by the store.
    pub heard: bool,
}

/// A shard's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The shard.
    pub shard: Shard,
    /// The last holder; empty when it was released or never taken.
    pub node: Key,
    /// Its generation.
    pub epoch: Epoch,
    /// Whether the holder is registered and not expired.
    pub live: bool,
}
