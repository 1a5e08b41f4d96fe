//! Why a call of the store failed.

use crate::types::{Epoch, Key, Shard};

/// Why a call of the store failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// The shard has another epoch: its owner changed. The writer must stop writing to it.
    #[error("shard {shard} is owned by another node (current epoch {current})")]
    Fenced {
        /// The shard.
        shard: Shard,
        /// The epoch that is current.
        current: Epoch,
    },
    /// The stream does not end where the writer thought.
    #[error("stream {stream} ends at {head}")]
    Conflict {
        /// The stream.
        stream: Key,
        /// Its last sequence.
        head: u64,
    },
    /// A directory row is not as expected.
    #[error("{namespace}/{key} is not as expected")]
    Taken {
        /// The row's namespace.
        namespace: Key,
        /// The row's key.
        key: Key,
    },
    /// No room is left on the disk.
    #[error("the store's disk is full")]
    Full,
    /// The store can't be reached or broke off; whether a commit was applied is not known.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What was read makes no sense.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// The schema is newer than this program, or not there.
    #[error("the store's schema is version {found}, this program speaks {supported}: {advice}")]
    Schema {
        /// The version that was found.
        found: i64,
        /// The version that this program speaks.
        supported: i64,
        /// What to do.
        advice: &'static str,
    },
}
