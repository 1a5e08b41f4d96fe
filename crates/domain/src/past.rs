//! What is read for a decision that looks at more than the state, and how earlier records are changed.

use bytes::Bytes;
use levee_proto::Id;

/// What is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Earlier records of the entity's own stream.
    Records(Records),
    /// Rows of the directory.
    Rows(Rows),
}

/// Which rows: each of these ranges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    /// Their namespace.
    pub namespace: &'static str,
    /// The ranges.
    pub ranges: Vec<Range>,
}

/// Rows that follow one another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// What their keys begin with.
    pub prefix: Id,
    /// After this key.
    pub after: Id,
    /// How many at most.
    pub limit: usize,
}

/// Which records, the latest that fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    /// After this sequence.
    pub after: u64,
    /// Before this sequence.
    pub before: u64,
    /// Not later than this, microseconds since 1970.
    pub until: u64,
    /// With all of these flags.
    pub with_flags: u32,
    /// With none of these flags.
    pub without_flags: u32,
    /// Of this author, if given.
    pub author: Option<Id>,
    /// Whether their bodies are looked at, too.
    pub bodies: bool,
    /// How many at most.
    pub limit: usize,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            after: 0,
            before: u64::MAX,
            until: u64::MAX,
            with_flags: 0,
            without_flags: 0,
            author: None,
            bodies: false,
            limit: usize::MAX,
        }
    }
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    /// Records, in their order.
    pub records: Vec<PastRecord>,
    /// The last sequence that is not later than what was asked.
    pub through: u64,
    /// Rows, range after range: the key of each and its value.
    pub rows: Vec<(Id, Bytes)>,
}

/// An earlier record.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PastRecord {
    /// Its place in the stream.
    pub seq: u64,
    /// Its flags, as they are now.
    pub flags: u32,
    /// Its body, if that was wanted.
    pub body: Option<Bytes>,
}

/// A change of records that are in the stream already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Amend {
    /// After this sequence.
    pub after: u64,
    /// Before this sequence.
    pub before: u64,
    /// With all of these flags.
    pub with_flags: u32,
    /// Of this author, if given.
    pub author: Option<Id>,
    /// Flags that they get.
    pub set_flags: u32,
    /// Flags that they lose.
    pub clear_flags: u32,
    /// A new body, if given: what the old one said is gone, from the saved state too.
    pub body: Option<Bytes>,
}
