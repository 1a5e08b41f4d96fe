//! Files that come in parts, over connections that break and perhaps through several nodes.
//!
//! The file says from where on it goes: who writes takes its turn, and only who has it gets further, from where the
//! file is. Parts of one size go where the whole comes together; what ends within a part is kept beside as a *tail*,
//! and becomes a part with what comes after it.

mod decide;
#[cfg(test)]
mod tests;

pub(super) use decide::Parts;

use super::{Begun, Blob, Content};
use levee_proto::attrs::{FileAttrs, UserAttrs};
use levee_proto::{Id, Text};
use serde::{Deserialize, Serialize};

/// A file that somebody may send, as it was said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// Whose it will be.
    pub owner: Id,
    /// The channel or dialogue that it is for.
    pub conversation: Id,
    /// The other user, if that is a dialogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Id>,
    /// What it is called, cleaned.
    pub name: Text,
    /// How many bytes it shall have, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
}

/// How a file comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// The other user, if it is for a dialogue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Id>,
    /// How many bytes it shall have, once that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// How many every part has but the last.
    pub part: u64,
    /// For how long it waits for more, in microseconds.
    pub patience: u64,
}

/// What others order of a file that comes in parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum PartsOrder {
    /// Begin, if it has not begun; answers with its [`Standing`].
    Start {
        /// Whose it is, and where it goes.
        begun: Begun,
        /// How it comes.
        terms: Terms,
    },
    /// Say how far it is: a [`Standing`]. Who writes has lost the turn, for who asks wants to go on.
    Offset,
    /// Give somebody the turn; answers with what it takes: [`Turn`].
    Write {
        /// A name for the turn.
        turn: Id,
        /// From where on.
        from: u64,
        /// How many bytes there shall be, if that is said only now.
        length: Option<u64>,
    },
    /// Bytes are durable; answers with a [`Standing`].
    Advance(Advance),
    /// Bytes are on their way.
    Progress {
        /// Whose turn it is.
        turn: Id,
        /// How far they will lead.
        offset: u64,
    },
    /// The bytes are one now.
    Joined {
        /// What was found out about them.
        content: Content,
        /// What may be known of its owner.
        card: UserAttrs,
        /// What may be known of the other user of a dialogue.
        peer: Option<UserAttrs>,
    },
    /// It comes to nothing.
    End {
        /// Why.
        ended: Ended,
    },
}

/// Why a file that came in parts comes no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It is all there, and a message has it.
    Completed,
    /// Who sends it does not want to any more.
    Cancelled,
    /// Nobody went on with it.
    Expired,
    /// It is not wanted, or can't be kept.
    Refused,
}

/// The word for it on the wire.
pub fn word(ended: Ended) -> &'static str {
    match ended {
        Ended::Completed => "completed",
        Ended::Cancelled => "cancelled",
        Ended::Expired => "expired",
        Ended::Refused => "refused",
    }
}

/// How far a file has got at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advance {
    /// Whose turn it was.
    pub turn: Id,
    /// From where.
    pub from: u64,
    /// To where.
    pub to: u64,
    /// Tags of the parts that are whole now; what was beside is in the first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Text>,
    /// The state of SHA-256 after them, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Text::is_empty")]
    pub hash: Text,
    /// How many bytes are kept beside, under the name of the turn.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tail: u64,
    /// Whether what was beside before is in them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub whole: bool,
    /// Whether the turn is over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ends: bool,
}

/// Bytes that are kept beside, for they don't fill a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tail {
    /// The name of their blob.
    pub key: Text,
    /// How many there are.
    pub size: u64,
}

/// How far a file is that comes in parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Whose it is.
    #[serde(default)]
    pub owner: Id,
    /// How many bytes of it are durable.
    pub offset: u64,
    /// How many it shall have, if that is known.
    pub length: Option<u64>,
    /// When it is given up, microseconds since 1970.
    pub expires: u64,
    /// Whether a message has it.
    pub posted: bool,
    /// Whether the order was in vain: it is elsewhere, or the turn is another's.
    #[serde(default)]
    pub missed: bool,
}

/// What somebody needs who writes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// How far it is, and whether the turn was given.
    pub standing: Standing,
    /// Where the whole comes together.
    pub blob: Blob,
    /// How many bytes every part has but the last.
    pub part: u64,
    /// How many parts are whole.
    pub parts: u32,
    /// The state of SHA-256 after them; empty for none.
    pub hash: Text,
    /// What is beside, in its order.
    pub tails: Vec<Tail>,
}

/// What it takes to make one of a file's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// Where.
    pub blob: Blob,
    /// Their tags.
    pub tags: Vec<Text>,
    /// The state of SHA-256 after them; empty for none.
    pub hash: Text,
    /// What is beside, in its order, and is to be the last part.
    pub tails: Vec<Tail>,
    /// How many bytes there are.
    pub size: u64,
    /// Whose the file is.
    pub owner: Id,
    /// The other user of a dialogue.
    pub peer: Option<Id>,
}

/// A file on its way, as its conversation tells of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct News {
    /// The file.
    pub file: Id,
    /// Who sends it.
    pub owner: Id,
    /// What may be known of it.
    pub attrs: FileAttrs,
    /// How far it is.
    pub offset: u64,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// What happens to a file that comes in parts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartsRecord {
    /// It began.
    Started {
        /// Whose it is, and where it goes.
        begun: Begun,
        /// How it comes.
        terms: Terms,
    },
    /// The turn is somebody else's, or nobody's.
    Turned {
        /// Whose.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        turn: Option<Id>,
        /// How many bytes it shall have, if that was said now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        length: Option<u64>,
        /// When it is given up, microseconds since 1970.
        expires: u64,
    },
    /// It has got further.
    Advanced {
        /// How far, and by what.
        advance: Advance,
        /// When it is given up, microseconds since 1970.
        expires: u64,
    },
}

/// The name of what a turn keeps beside: next to where the whole comes together.
pub fn tail_key(whole: &str, turn: &str) -> Text {
    let folder = whole.rsplit_once('/').map_or(whole, |(folder, _)| folder);
    compact_str::format_compact!("{folder}/{turn}")
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}
