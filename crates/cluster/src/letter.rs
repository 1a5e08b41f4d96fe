//! Letters: all that travels between hubs, within a node as it is, between nodes as bincode.

use bytes::Bytes;
use levee_domain::machine::Actor;
use levee_domain::session::Numbered;
use levee_domain::view::{Stream, View, roles::Roles};
use levee_proto::{Action, Body, Id, Object, Rejection, Text, events};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// Where a hub is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seat {
    /// The node.
    pub node: Id,
    /// The arbiter's number on it.
    pub arbiter: u16,
}

/// Who waits for the answer to an action: a session, or a call without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asker {
    /// Where they are.
    pub seat: Seat,
    /// The session's digest, or the call's token.
    pub id: Id,
    /// The session's number for the action.
    pub action_id: Option<u64>,
}

/// A client's action on its way to its owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Act {
    /// Who waits for the answer.
    pub asker: Asker,
    /// Who acts.
    #[serde(with = "as_json")]
    pub actor: Actor,
    /// The action's name.
    pub name: Text,
    /// The header as it came, from which another node decodes the action.
    pub header: Bytes,
    /// The payload.
    pub parts: Vec<Bytes>,
    /// Replies up to this action are acknowledged.
    pub settled: u64,
    /// The last of the session's actions before this one that is kept in the same stream and has no
    /// reply yet: it must not be overtaken.
    pub after: Option<u64>,
    /// The action, on the node where it came in.
    #[serde(skip)]
    pub action: Option<Action>,
}

/// An answer to an action.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Outcome {
    /// Events, each with what is left of a history.
    Events(Vec<(Arc<Body>, Option<u64>)>),
    /// A value for the cluster itself.
    Value(#[serde(with = "as_json")] Value),
    /// A refusal.
    Rejected(Rejection),
    /// An event, and that the session may follow a stream from the record after this one on.
    Followed(Stream, u64, Arc<Body>),
}

/// What followers of a stream see of one record, or of something that is not stored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Publish {
    /// Which stream.
    pub stream: Stream,
    /// The record's sequence; 0 for what is not stored.
    pub seq: u64,
    /// What there is to see.
    pub views: Arc<Vec<View>>,
    /// The command that caused it.
    pub command: Option<levee_domain::Command>,
    /// Who waits for it as an answer.
    pub asker: Option<Asker>,
}

/// How a session begins to follow a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attach {
    /// The hub of the session.
    pub seat: Seat,
    /// The session's digest.
    pub session: Id,
    /// The session's user.
    pub user: Id,
}

/// What the owner of a stream answers to [`Attach`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attached {
    /// The stream.
    pub stream: Stream,
    /// Whom it is for.
    pub session: Id,
    /// The stream's last sequence.
    pub head: u64,
    /// The user's roles; 0 if they may not follow.
    pub roles: Roles,
    /// What `session_created` says of it.
    #[serde(with = "as_json")]
    pub summary: Object,
    /// The event that tells that one entered it.
    pub entry: Option<Arc<Body>>,
    /// The latest value for whoever was away.
    pub latest: Option<Arc<Body>>,
}

/// A queue's line on its way to the followers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LineUp {
    /// The queue's stream.
    pub stream: Stream,
    /// Whether everybody is to hear of it, or the first ones and the members only.
    pub full: bool,
    /// Who waits.
    pub users: Vec<Id>,
    /// For members.
    pub members: Arc<Body>,
    /// For the member whose doing it was.
    pub own: Option<(Id, Arc<Body>)>,
    /// For those who look from outside.
    pub watchers: Arc<Body>,
    /// For those who wait, without the position.
    #[serde(with = "as_json")]
    pub waiting: events::QueueUpdated,
}

/// What an entity gets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Job {
    /// An action.
    Act(Box<Act>),
    /// An order whose answer somebody waits for.
    Ask {
        /// Where.
        seat: Seat,
        /// Which question.
        token: u64,
        /// The order.
        #[serde(with = "as_json")]
        order: Value,
    },
    /// An order of another entity, to be confirmed.
    Forward {
        /// The other entity.
        from: Stream,
        /// The order's name there.
        key: Id,
        /// The order.
        #[serde(with = "as_json")]
        order: Value,
    },
    /// An order that may be lost.
    Tell(#[serde(with = "as_json")] Value),
    /// A session begins to follow.
    Attach(Attach),
    /// A forward of this entity has arrived.
    Confirmed {
        /// Where it went.
        to: Stream,
        /// Its name here.
        key: Id,
    },
    /// A timer of this entity rings. Who gets its shard meanwhile has it on the agenda.
    Ring(levee_domain::machine::Timer),
    /// Something may be on the agenda: load, and go on with it.
    Wake,
}

/// A letter.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Letter {
    /// To an entity.
    Job(Stream, Job),
    /// To whoever asked an entity something.
    Asked(u64, AskedOutcome),
    /// To whoever waits for an answer.
    Answer(Asker, Outcome),
    /// To the followers of a stream.
    Publish(Publish),
    /// To a session that begins to follow.
    Attached(Attached),
    /// To the followers of a queue.
    Line(LineUp),
    /// A hub follows a stream no more.
    Detach(Stream, Seat),
    /// A session is wanted on another node: it leaves this one, and `token` is answered.
    Park {
        /// Where it is wanted.
        seat: Seat,
        /// The question.
        token: u64,
        /// The session's digest.
        session: Id,
        /// The shard of its id.
        shard: u16,
        /// Its life that is meant, and those before: a letter that comes late must not end a newer one.
        life: u64,
    },
    /// A request of a client for a session on another node.
    Relay {
        /// Where the client is.
        seat: Seat,
        /// The question.
        token: u64,
        /// The session's digest.
        session: Id,
        /// The shard of its id.
        shard: u16,
        /// The request.
        what: Relayed,
    },
    /// The answer to [`Letter::Relay`]; `None` if the session is not there.
    Relayed(u64, Option<Vec<Numbered>>),
    /// An action came to a node that does not own its stream, or before one that it must follow: who
    /// asked sends it again.
    Moved(Asker),
    /// A node has given up its shards: look who is there now.
    Left,
}

impl Letter {
    /// The shard whose arbiter gets it on the node that it goes to; `None` for a letter to a certain hub.
    pub(crate) fn shard(&self) -> Option<u16> {
        match self {
            Self::Job(stream, _) => Some(stream.shard()),
            Self::Park { shard, .. } | Self::Relay { shard, .. } => Some(*shard),
            _ => None,
        }
    }
}

/// A request of a client that does not stay connected.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Relayed {
    /// An action: its header, and its payload.
    Act(Bytes, Vec<Bytes>),
    /// It waits for events, and has received those up to this one.
    Poll(Option<u64>),
}

/// The answer to a question of the cluster to an entity.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum AskedOutcome {
    /// It is done.
    Done(#[serde(with = "as_json")] Value),
    /// It is refused.
    Refused(Rejection),
}

/// Values that bincode can't carry (optional fields, any JSON) travel as JSON text.
pub mod as_json {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};

    /// Writes a value as text.
    pub fn serialize<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serde_json::to_string(value).map_err(serde::ser::Error::custom)?.serialize(serializer)
    }

    /// Reads a value from text.
    pub fn deserialize<'de, T: DeserializeOwned, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        serde_json::from_str(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
