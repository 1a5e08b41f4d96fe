//! What the followers of a stream get to see: bodies encoded once, each with whom it is for.

use levee_proto::{Body, Id, Text, events};
use std::sync::Arc;

/// What kind of entity a stream belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub enum Kind {
    /// A user.
    User,
    /// A realm.
    Realm,
    /// A queue.
    Queue,
    /// A channel or a dialogue.
    Conversation,
    /// A file.
    File,
}

/// An entity's stream.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Stream {
    /// The kind of its entity.
    pub kind: Kind,
    /// The entity's id.
    pub id: Id,
}

impl Stream {
    /// A stream by its parts.
    pub fn new(kind: Kind, id: impl Into<Id>) -> Self {
        Self { kind, id: id.into() }
    }
    /// A user's.
    pub fn user(id: &Id) -> Self {
        Self::new(Kind::User, id.clone())
    }
    /// A realm's.
    pub fn realm(id: &Id) -> Self {
        Self::new(Kind::Realm, id.clone())
    }
    /// A queue's.
    pub fn queue(id: &Id) -> Self {
        Self::new(Kind::Queue, id.clone())
    }
    /// A conversation's.
    pub fn conversation(id: &Id) -> Self {
        Self::new(Kind::Conversation, id.clone())
    }
    /// A file's.
    pub fn file(id: &Id) -> Self {
        Self::new(Kind::File, id.clone())
    }
    /// The shard of its entity; 0 for an id that can't be ours, which no entity has.
    pub fn shard(&self) -> u16 {
        levee_proto::ids::shard(&self.id).unwrap_or_default()
    }
    /// Its name in the store.
    pub fn key(&self) -> Id {
        let letter = match self.kind {
            Kind::User => 'u',
            Kind::Realm => 'r',
            Kind::Queue => 'q',
            Kind::Conversation => 'c',
            Kind::File => 'f',
        };
        levee_proto::types::Text::from_iter([letter, '/']) + &self.id
    }
    /// The stream of a name in the store.
    pub fn from_key(key: &str) -> Option<Self> {
        let kind = match key.get(..2)? {
            "u/" => Kind::User,
            "r/" => Kind::Realm,
            "q/" => Kind::Queue,
            "c/" => Kind::Conversation,
            "f/" => Kind::File,
            _ => return None,
        };
        Some(Self::new(kind, &key[2..]))
    }
}

impl std::fmt::Display for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.key())
    }
}

/// Roles of a follower within a stream, as bits.
pub mod roles {
    /// Bits.
    pub type Roles = u8;
    /// A member: of a conversation, a realm, or one who serves a queue.
    pub const MEMBER: Roles = 1;
    /// Sees hidden messages.
    pub const MODERATOR: Roles = 2;
    /// Looks from outside: waits in a queue, watches a realm's queues, or reads a channel without joining it.
    pub const WATCHER: Roles = 4;
    /// An operator of the realm.
    pub const OPERATOR: Roles = 8;
}

/// For whom a view is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum To {
    /// Every follower.
    All,
    /// These users.
    Only(Vec<Id>),
    /// Everybody but this user.
    Except(Id),
    /// Members but this user.
    Peers(Id),
    /// Whoever has one of these roles.
    Roles(roles::Roles),
    /// Whoever has one of these roles, and this user.
    RolesOr(roles::Roles, Id),
    /// This session.
    Session(Id),
    /// All sessions of this user but one.
    Others(Id),
}

impl To {
    /// Whether a follower is meant.
    pub fn means(&self, user: &Id, session: &Id, has: roles::Roles) -> bool {
        match self {
            Self::All => true,
            Self::Only(users) => users.contains(user),
            Self::Except(other) => other != user,
            Self::Peers(other) => has & roles::MEMBER != 0 && other != user,
            Self::Roles(wanted) => wanted & has != 0,
            Self::RolesOr(wanted, other) => wanted & has != 0 || other == user,
            Self::Session(only) => only == session,
            Self::Others(but) => but != session,
        }
    }
}

/// What a view does to the follower who gets it, beside showing an event.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Effect {
    /// Nothing.
    #[default]
    None,
    /// Follow a stream from a sequence on, and show how one entered it: what its owner says of that, or if one is out
    /// again by then, the view's own event.
    Follow {
        /// Which.
        stream: Stream,
        /// The record by which the user entered it.
        from: u64,
        /// The command that caused it, if it was one of the user's own.
        command: Option<super::Command>,
    },
    /// Stop following the stream that this view is of.
    Leave,
    /// Follow a stream no more, unless as a member.
    Quit {
        /// Which.
        stream: Stream,
    },
    /// The user is not in the stream any more, and its owner has told how that came: forget how far it was read.
    Left {
        /// Which.
        stream: Stream,
    },
    /// Have these roles in the stream from now on.
    Become(roles::Roles),
    /// The session has ended.
    End,
    /// Follow the stream that this view is of, from the next record on, without being in it.
    LookOn,
}

/// One event for some of the followers of a stream.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct View {
    /// For whom.
    pub to: To,
    /// The event; none if there is only an effect.
    pub body: Option<Arc<Body>>,
    /// The message's type, for sessions that want some types only.
    pub message_type: Option<Text>,
    /// What else it does.
    pub effect: Effect,
    /// Whether this is what answers the command, for a session that does not follow the stream.
    pub answers: bool,
    /// The command that this answers, where it is not the record's own.
    pub command: Option<crate::Command>,
}

impl View {
    /// A view of an event that answers its command.
    pub fn new<E: events::Event>(to: To, event: &E) -> Self {
        Self {
            to,
            body: Some(Arc::new(Body::new(event))),
            message_type: None,
            effect: Effect::None,
            answers: true,
            command: None,
        }
    }
    /// A view that only has an effect.
    pub fn effect(to: To, effect: Effect) -> Self {
        Self { to, body: None, message_type: None, effect, answers: false, command: None }
    }
    /// Adds an effect.
    #[must_use]
    pub fn with(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }
    /// Marks it as no answer to the command.
    #[must_use]
    pub fn aside(mut self) -> Self {
        self.answers = false;
        self
    }
}

/// A queue's line as it stands: the latest value is all that anybody needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Who waits, first to last.
    pub users: Vec<Id>,
    /// What members get.
    pub members: Arc<Body>,
    /// The member whose doing it was, and what they get instead.
    pub own: Option<(Id, Arc<Body>)>,
    /// What those get who look from outside and don't wait.
    pub watchers: Arc<Body>,
    /// What a waiting customer gets, without the position.
    pub waiting: events::QueueUpdated,
}
