//! Durable truth behind small traits.
//!
//! The store keeps *streams* of records, *snapshots* of what streams add up to, a *directory* of
//! versioned rows, an *agenda* of what must still happen, the leases of *shards*, and *post* that the bus
//! could not carry. It never knows what a record means: bodies are opaque bytes, and the few columns that can
//! be asked (kind, author, flags, time) mean whatever the floors above agree on. Beside all that, and apart
//! from it, [`blobs`] keeps the bytes of attachments.
//!
//! Invariants that every backend keeps, shown by [`conformance`]:
//! - a [`Commit`] is applied whole or not at all, and is synced before `commit` returns;
//! - a commit under an epoch that is not its shard's current one fails with [`StoreError::Fenced`];
//! - sequences of a stream start at 1 and have no holes;
//! - what a record is changes by an [`Amendment`] only, and then for every reader at once;
//! - a failing commit never fails another one that happened to share its transaction.

mod amend;
mod batch;
pub mod blobs;
mod cache;
mod clock;
mod error;
mod leases;
mod letters;
mod pattern;
mod types;

#[doc(hidden)]
pub mod conformance;
pub mod memory;
pub mod metrics;
pub mod postgres;
pub mod sqlite;
mod transfer;

pub use error::StoreError;
pub use transfer::{Moved, transfer};
pub use types::*;

use async_trait::async_trait;
use bytes::Bytes;
use std::ops::RangeInclusive;

/// What every call answers.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// Append-only logs, the truth of every entity.
#[async_trait]
pub trait Streams: Send + Sync {
    /// Applies a commit whole or not at all, and returns once it would survive a power cut.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] when the shard's epoch is another one, [`StoreError::Conflict`] when the
    /// stream does not end at `after`, [`StoreError::Taken`] when a directory expectation fails,
    /// [`StoreError::Full`] when the disk is full, [`StoreError::Unavailable`] when the outcome is not
    /// known (the commit may or may not have been applied). A caller that stops waiting does not stop
    /// the commit.
    async fn commit(&self, commit: Commit) -> Result<()>;

    /// Reads records of one stream: a range, filtered, in either direction, at most `limit`.
    async fn read(&self, query: Read) -> Result<Vec<Record>>;

    /// The last sequence of a stream; 0 when it has no records.
    async fn head(&self, stream: &str) -> Result<u64>;

    /// The last sequences of several streams, in the order asked.
    async fn heads(&self, streams: &[Key]) -> Result<Vec<u64>>;

    /// A number per shard, by its number, that changes whenever records were appended under the shard.
    /// Only a comparison with what was answered before means something.
    async fn positions(&self) -> Result<Vec<u64>>;
}

/// States saved so that an entity need not be replayed from its first record.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// The newest snapshot of a stream, if any.
    async fn load(&self, stream: &str) -> Result<Option<Snapshot>>;

    /// Saves a snapshot unless a newer one is there; one of the same sequence is replaced. Losing it
    /// costs time, never truth.
    async fn save(&self, stream: &str, snapshot: Snapshot) -> Result<()>;
}

/// Versioned rows under (namespace, key): unique names, sessions, what belongs to whom.
/// Rows are written by commits only.
#[async_trait]
pub trait Directory: Send + Sync {
    /// One row.
    async fn get(&self, namespace: &str, key: &str) -> Result<Option<Entry>>;

    /// Rows whose key starts with `prefix`, in order of their keys, after `after` (exclusive; empty
    /// for the first page), at most `limit`.
    async fn list(&self, namespace: &str, prefix: &str, after: &str, limit: usize) -> Result<Vec<Entry>>;
}

/// What must still happen: open forwards and timers, written by the commit that causes them.
#[async_trait]
pub trait Agenda: Send + Sync {
    /// Everything of one shard that is due within a time, soonest first, at most `limit`: who wants more goes on from
    /// the last one's time, and sees what is due at that very time once more.
    async fn due(
        &self,
        shard: Shard,
        within: RangeInclusive<Micros>,
        limit: usize,
    ) -> Result<Vec<AgendaItem>>;

    /// Everything that is open for one stream, soonest first.
    async fn open(&self, stream: &str) -> Result<Vec<AgendaItem>>;

    /// Removes rows (shard, stream, key) that were confirmed. Removing twice is harmless; may be
    /// lost in a crash, then the item happens again and is recognised by its owner.
    async fn done(&self, items: Vec<(Shard, Key, Key)>) -> Result<()>;
}

/// Who owns which shard. Time is the store's, never a node's.
#[async_trait]
pub trait Shards: Send + Sync {
    /// Registers a node or renews it for `ttl_ms` and answers all live nodes, itself included.
    async fn heartbeat(&self, node: NodeRow, ttl_ms: u64) -> Result<Vec<NodeRow>>;

    /// Takes those of `shards` that nobody live holds (or that `node` already holds, which keeps
    /// their epoch), and answers the leases of all shards asked for, whoever holds them now. A node
    /// that is not registered, or no longer, takes nothing. Numbers from [`SHARDS`] on are left out.
    async fn take(&self, node: &str, shards: &[Shard]) -> Result<Vec<Lease>>;

    /// Gives up shards that `node` holds; their next taker gets a new epoch at once. Until then the
    /// epoch stays current: who releases must have stopped writing.
    async fn release(&self, node: &str, shards: &[Shard]) -> Result<()>;

    /// The leases of all shards that were ever taken, in order, expired ones included (`live` tells).
    async fn leases(&self) -> Result<Vec<Lease>>;

    /// Removes a node's registration: it left in good order. Its shards are released.
    async fn leave(&self, node: &str) -> Result<()>;
}

/// Letters from node to node while the bus does not carry them. Slower, and no more to be trusted: a
/// database that stops may lose them.
#[async_trait]
pub trait Post: Send + Sync {
    /// Leaves letters for nodes, in this order.
    async fn post(&self, from: &str, letters: Vec<(Key, Bytes)>) -> Result<()>;

    /// Takes at most `limit` letters out that were left for a node, each with its sender, those of one
    /// sender in their order.
    async fn collect(&self, node: &str, limit: usize) -> Result<Vec<(Key, Bytes)>>;
}

/// Everything together, as the floors above take it.
pub trait Store: Streams + Snapshots + Directory + Agenda + Shards + Post {}
impl<T: Streams + Snapshots + Directory + Agenda + Shards + Post> Store for T {}
