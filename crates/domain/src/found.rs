//! What was found out for an action before it is decided, for machines look nothing up and draw no lots.

use levee_proto::attrs::{QueueAttrs, UserAttrs};
use levee_proto::{ErrorType, Id, Object, Rejection, Text};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::access::Sendable;
use crate::account::Reservation;
use crate::file::Described;
use crate::machine::{Claim, Emit};
use crate::puppet::Puppet;
use crate::site::Asked;

/// The namespace of nonces in the directory: of what may be used once. Keys begin with the time at which a nonce
/// expires, so that those which did can be removed.
pub const NONCES: &str = "nonce";

/// What was found out.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub enum Found {
    /// The other user whom an action is about, and what may be known of them.
    Peer(Id, Arc<UserAttrs>),
    /// A secret, drawn by lot.
    Secret(Text),
    /// Whether the user has an identity that was verified.
    Verified(bool),
    /// A signature or a token was right.
    Granted(Granted),
    /// Metadata was encrypted with a master key.
    Secure(Authority, Object, Option<Text>),
    /// What an action about access keys or identities takes.
    Brought(Box<Brought>),
    /// What answers to a site's questions come to; beside that, what encrypted metadata says.
    Asked(Box<Asked>, Option<Box<Found>>),
    /// A file was taken in; for a dialogue also the other user, and what may be known of them.
    File(Box<Described>, Option<(Id, Arc<UserAttrs>)>),
    /// A picture was taken in as the user's icon, which is at this address.
    Icon(Box<Described>, Text),
    /// A file was not taken in: this is the answer, unless the action took effect before.
    Refused(Box<Rejection>),
    /// Whether the user may read the message that a file came with.
    Reads(bool),
    /// How far the user has read a conversation.
    Reading(Reading),
    /// What is about to be made was reserved in an account.
    Reserved(Vec<Reservation>),
    /// How many there may be.
    Limit(u64),
    /// What is left in the account of a realm's owner.
    Account(Object),
}

/// What actions about access keys and identities take; each uses its part.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Brought {
    /// A new secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Id>,
    /// The user whom a key is for, and what may be known of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<(Id, Arc<UserAttrs>)>,
    /// Whose puppet the other user is, if they are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub puppet: Option<Puppet>,
    /// What an access key opens that is to be sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Sendable>,
    /// The attributes of the queue that an audience came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueAttrs>,
    /// The hash of a new password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// The digest of the hash that a password was checked against, if it was right.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proven: Option<Id>,
    /// The realms of the one who acts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub realms: Vec<Id>,
}

/// Secrets are not shown: they must not get into a log.
impl std::fmt::Debug for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Peer(..) => "Peer",
            Self::Secret(_) => "Secret",
            Self::Verified(_) => "Verified",
            Self::Granted(_) => "Granted",
            Self::Secure(..) => "Secure",
            Self::Brought(_) => "Brought",
            Self::Asked(..) => "Asked",
            Self::File(..) => "File",
            Self::Icon(..) => "Icon",
            Self::Refused(_) => "Refused",
            Self::Reads(_) => "Reads",
            Self::Reading(_) => "Reading",
            Self::Reserved(_) => "Reserved",
            Self::Limit(_) => "Limit",
            Self::Account(_) => "Account",
        })
    }
}

impl Found {
    /// The secret.
    pub fn secret(&self) -> Option<&Text> {
        match self {
            Self::Secret(secret) => Some(secret),
            _ => None,
        }
    }

    /// The other user.
    pub fn peer(&self) -> Option<(&Id, &Arc<UserAttrs>)> {
        match self {
            Self::Peer(id, card) => Some((id, card)),
            Self::Brought(brought) => brought.peer.as_ref().map(|(id, card)| (id, card)),
            Self::File(_, peer) => peer.as_ref().map(|(id, card)| (id, card)),
            _ => None,
        }
    }

    /// What was brought for an action about access keys or identities.
    pub fn brought(&self) -> Option<&Brought> {
        match self {
            Self::Brought(brought) => Some(brought),
            _ => None,
        }
    }

    /// What encrypted metadata says, in whose name, and what it calls the customer.
    pub fn secure(&self) -> Option<(&Authority, &Object, Option<&Text>)> {
        match self {
            Self::Secure(authority, metadata, name) => Some((authority, metadata, name.as_ref())),
            Self::Asked(_, Some(beside)) => beside.secure(),
            _ => None,
        }
    }

    /// How far the user has read a conversation.
    pub fn reading(&self) -> Option<&Reading> {
        match self {
            Self::Reading(reading) => Some(reading),
            _ => None,
        }
    }

    /// What was reserved.
    pub fn reserved(&self) -> &[Reservation] {
        match self {
            Self::Reserved(reservations) => reservations,
            _ => &[],
        }
    }

    /// How many there may be.
    pub fn limit(&self) -> Option<u64> {
        match self {
            Self::Limit(limit) => Some(*limit),
            _ => None,
        }
    }

    /// What is left in the account of a realm's owner.
    pub fn account(&self) -> Option<&Object> {
        match self {
            Self::Account(account) => Some(account),
            _ => None,
        }
    }

    /// What answers to a site's questions come to.
    pub fn asked(&self) -> Option<&Asked> {
        match self {
            Self::Asked(asked, _) => Some(asked),
            _ => None,
        }
    }

    /// What a signature or a token grants.
    pub fn granted(&self) -> Option<&Granted> {
        match self {
            Self::Granted(granted) => Some(granted),
            _ => None,
        }
    }
}

/// How far a user has read a conversation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The last record that was read, if any.
    pub read: Option<u64>,
    /// Whether something after that has one of the user's words.
    pub highlighted: bool,
}

impl Reading {
    /// What is told of a conversation with this last message; nothing if that was read.
    pub fn status(self, last: u64) -> Option<&'static str> {
        let unread = self.read.is_none_or(|read| read < last);
        unread.then_some(if self.highlighted { "highlight" } else { "unread" })
    }
}

/// In whose name a master key speaks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Authority {
    /// The key's owner.
    pub owner: Id,
    /// The realm that the key is for; without one it is for all that is the owner's.
    pub realm: Option<Id>,
}

impl Authority {
    /// Whether it may speak for something of a realm or an owner.
    pub fn is_over(&self, realm: Option<&Id>, owner: Option<&Id>) -> bool {
        match &self.realm {
            Some(_) => self.realm.as_ref() == realm,
            None => owner == Some(&self.owner),
        }
    }
}

/// What a signature or a token grants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Granted {
    /// In whose name.
    pub authority: Authority,
    /// What makes it usable once; tokens have none.
    pub nonce: Option<Nonce>,
}

/// What may be used once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Nonce {
    /// Whose, and which.
    pub digest: Id,
    /// When it expires, in microseconds since 1970.
    pub expires: u64,
}

impl Nonce {
    /// Spends it: of two who do, one is refused.
    pub fn spent(&self, refusal: ErrorType) -> Emit {
        Emit::Claim(Claim {
            namespace: NONCES,
            key: compact_str::format_compact!("{}:{}", Self::until(self.expires), self.digest),
            value: Some(bytes::Bytes::new()),
            absent: true,
            refusal: Rejection::new(refusal),
        })
    }

    /// How keys begin of those that expire at a time.
    pub fn until(time: u64) -> Text {
        compact_str::format_compact!("{time:020}")
    }
}
