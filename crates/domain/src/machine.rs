//! The shape of a machine: what goes in, what a decision is.

mod emit;

pub use emit::{Due, Emit, Timer};
pub(crate) use emit::{entry_after, header};

use crate::found::{Brought, Found};
use crate::past::{Past, Wanted};
use crate::puppet::Puppet;
use crate::view::{Line, View, roles::Roles};
use bytes::Bytes;
use levee_proto::attrs::UserAttrs;
use levee_proto::{Action, Body, ErrorType, Id, Object, Rejection, Text};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::sync::Arc;

/// A client's command: it takes effect at most once.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Command {
    /// The session's digest.
    pub session: Id,
    /// The session's number for the action.
    pub action_id: u64,
}

/// Who acts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Actor {
    /// The user.
    pub user: Id,
    /// The master, if the user is a puppet through whom it acts: the session is the master's then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<Id>,
    /// The session's digest; empty for a call without a session.
    pub session: Id,
    /// The session's number for the action, if it wants a reply.
    pub action_id: Option<u64>,
    /// What others may know of the user.
    pub card: Arc<UserAttrs>,
    /// Whose puppet the user is, if they are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub puppet: Option<Puppet>,
    /// The message types that the session takes.
    pub message_types: Arc<[Text]>,
    /// Where the action came from, if it is one that asks for an audience: an address and what is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Object>,
    /// What was found out for the action.
    #[serde(default)]
    pub found: Option<Found>,
}

impl Actor {
    /// What was brought for an action about access keys or identities.
    pub fn brought(&self) -> Option<&Brought> {
        self.found.as_ref().and_then(Found::brought)
    }

    /// The new secret for the access key that the action makes.
    ///
    /// # Errors
    /// `internal` when there is none.
    pub fn secret(&self) -> Result<&Id, Rejection> {
        let secret = self.brought().and_then(|brought| brought.secret.as_ref());
        secret.ok_or_else(|| Rejection::new(ErrorType::Internal).because("no secret was drawn"))
    }

    /// The user, and what they are called.
    pub fn named(&self) -> (Id, Option<Text>) {
        (self.user.clone(), self.card.name.clone())
    }

    /// Whose session it is: they hear what comes of the action later.
    pub fn listener(&self) -> &Id {
        self.master.as_ref().unwrap_or(&self.user)
    }

    /// The answer to an action by which the user comes into something. A session of the user gives it itself when it
    /// follows that; a master's session does not follow, and a call has none.
    pub fn enters<M: Machine>(&self, it: &M, at: &Moment<'_>, records: &[M::Record]) -> Option<Emit> {
        if self.session.is_empty() {
            let entry = entry_after(it, at, records, &self.user)?;
            return Some(Emit::Answer(Answer::Event(entry)));
        }
        Emit::entered(it, at, records, (self.master.as_ref()?, &self.user), &self.command()?)
    }

    /// The command, if the action is one that can be retried.
    pub fn command(&self) -> Option<Command> {
        let action_id = self.action_id?;
        (!self.session.is_empty()).then(|| Command { session: self.session.clone(), action_id })
    }
}

/// When and for whom a decision is made.
#[derive(Debug)]
pub struct Moment<'a> {
    /// Microseconds since 1970, never before the entity's last record.
    pub now: u64,
    /// The entity's id.
    pub id: &'a Id,
    /// The sequence of the entity's last record.
    pub seq: u64,
    /// The realm that the entity belongs to, as far as is known here.
    pub realm: Option<&'a crate::realm::Realm>,
    /// What was read for the decision, if its input [wants](Machine::wants) something.
    pub past: Option<&'a Past>,
}

/// Something to decide.
#[derive(Debug, Clone)]
pub enum Input<O> {
    /// A client's action, with its payload.
    Action(Actor, Action, Vec<Bytes>),
    /// What another entity, or the cluster, asks for. Must be harmless when it arrives twice.
    Order(O),
}

/// A decision: records to append, and what to do once they are durable.
#[derive(Debug, Clone, PartialEq)]
pub struct Step<R> {
    /// What happens.
    pub records: Vec<R>,
    /// What follows from it.
    pub emits: Vec<Emit>,
}

impl<R> Default for Step<R> {
    fn default() -> Self {
        Self { records: Vec::new(), emits: Vec::new() }
    }
}

impl<R> Step<R> {
    /// Appends one record.
    pub fn record(record: R) -> Self {
        Self { records: vec![record], emits: Vec::new() }
    }
    /// Appends nothing and does this.
    pub fn emit(emit: Emit) -> Self {
        Self { records: Vec::new(), emits: vec![emit] }
    }
    /// Nothing at all: what was asked for is so already.
    pub fn nothing() -> Self {
        Self::default()
    }
    /// Adds something to do.
    #[must_use]
    pub fn and(mut self, emit: Emit) -> Self {
        self.emits.push(emit);
        self
    }
}

/// A row of the directory that must be as expected for the decision to hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The namespace.
    pub namespace: &'static str,
    /// The key.
    pub key: Id,
    /// The value; `None` removes the row.
    pub value: Option<Bytes>,
    /// Whether there must be no row yet.
    pub absent: bool,
    /// What to answer if the row is not as expected.
    pub refusal: Rejection,
}

/// An answer to whoever asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// An event.
    Event(Arc<Body>),
    /// Messages of the past.
    History(History),
    /// Statistics, with what is written down of them.
    Stats(crate::queue::stats::Wanted),
    /// A conversation as a whole.
    Transcript(Box<Transcript>),
    /// A value, to the cluster itself.
    Value(Value),
    /// An event, and that the session may follow the entity from the record after this one on.
    Followed(u64, Arc<Body>),
}

impl Answer {
    /// An event as an answer.
    pub fn event<E: levee_proto::events::Event>(event: &E) -> Emit {
        Emit::Answer(Self::Event(Arc::new(Body::new(event))))
    }
}

/// Which messages of the past were asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Types of messages.
    pub types: Vec<Text>,
    /// After this sequence.
    pub after: u64,
    /// Before this sequence.
    pub before: u64,
    /// Not before this time, microseconds since 1970.
    pub since: u64,
    /// Folded ones only.
    pub fold: bool,
    /// Hidden ones too.
    pub hidden: bool,
    /// The latest ones that fit, even if the oldest of them come first.
    pub latest: bool,
    /// Newest first.
    pub descending: bool,
    /// How many at most.
    pub limit: usize,
    /// A property of the payload and a text that it must contain.
    pub filter: Option<(Text, Text)>,
    /// For whom: messages to some members only are shown to them.
    pub user: Id,
    /// The other user, if this is a dialogue.
    pub peer: Option<Id>,
}

/// Which transcript was asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Transcript {
    /// What the answer says beside the messages.
    pub head: levee_proto::events::TranscriptContents,
    /// The messages.
    pub messages: History,
    /// Not after this time, microseconds since 1970.
    pub until: u64,
    /// Messages to some members only, too.
    pub whole: bool,
}

/// What a user sees of an entity when a session begins to follow it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Glance {
    /// The user's roles in it; 0 means that they may not follow it.
    pub roles: Roles,
    /// What `session_created` says of it.
    pub summary: Object,
    /// The event that tells that one entered it.
    pub entry: Option<Arc<Body>>,
    /// The latest value that a session that was away needs.
    pub latest: Option<Arc<Body>>,
}

/// A record as it is stored: with the command that caused it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry<R> {
    /// The format's version.
    pub v: u8,
    /// The command.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// What happened.
    #[serde(rename = "r")]
    pub record: R,
}

/// The columns of a record that history can be asked by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// The record's kind, or the message's type.
    pub kind: Text,
    /// The author.
    pub author: Id,
    /// See [`levee_proto::messages::flags`].
    pub flags: u32,
}

/// A state machine that is the fold of its records.
pub trait Machine: Default + Clone + Serialize + DeserializeOwned + Send + Unpin + 'static {
    /// What other entities may order.
    type Order: Serialize + DeserializeOwned + Clone + std::fmt::Debug + Send + 'static;
    /// What can happen.
    type Record: Serialize + DeserializeOwned + Clone + std::fmt::Debug + Send + 'static;

    /// Whether this is anything yet.
    fn exists(&self) -> bool;

    /// What an input means, now.
    ///
    /// # Errors
    /// The rejection that the actor gets; nothing happens then.
    fn decide(&self, at: &Moment<'_>, input: Input<Self::Order>) -> Result<Step<Self::Record>, Rejection>;

    /// Lets a record happen.
    fn apply(&mut self, seq: u64, time: u64, record: &Self::Record);

    /// Takes in what is not recorded: presence, typing. Called after the input was decided.
    fn absorb(&mut self, _now: u64, _input: &Input<Self::Order>) {}

    /// Whether an input may be one that `absorb` takes in: the others need not be kept for it.
    fn absorbs(_input: &Input<Self::Order>) -> bool {
        false
    }

    /// What followers see of a record. Must depend on the record alone, for whoever was away gets it
    /// from the store.
    fn views(id: &Id, seq: u64, time: u64, entry: &Entry<Self::Record>) -> Vec<View>;

    /// The columns of a record.
    fn columns(record: &Self::Record) -> Columns;

    /// What a user sees who begins to follow.
    fn glance(&self, at: &Moment<'_>, user: &Id) -> Glance;

    /// What is ordered when a timer rings.
    fn rings(_timer: Timer) -> Option<Self::Order> {
        None
    }

    /// The line of those who wait, for a queue; `cause` tells what changed it.
    fn line(&self, _at: &Moment<'_>) -> Option<Line> {
        None
    }

    /// Whether it holds something that is to be recorded soon, and would be lost if it left memory.
    fn is_counting(&self) -> bool {
        false
    }

    /// Whether a record may have changed the line.
    fn moves_line(_record: &Self::Record) -> bool {
        true
    }

    /// The realm that this belongs to, whose members decide over it.
    fn realm(&self) -> Option<&Id> {
        None
    }

    /// What has to be read for the decision of an input. Must not depend on the time, for it is asked again
    /// once that was read.
    fn wants(&self, _at: &Moment<'_>, _input: &Input<Self::Order>) -> Option<Wanted> {
        None
    }

    /// Takes into a record what amendments have made of its flags since it was written.
    fn amended(_record: &mut Self::Record, _flags: u32) {}

    /// The realm that the decision of an input looks at.
    fn wants_realm<'a>(&'a self, _input: &'a Input<Self::Order>) -> Option<&'a Id> {
        self.realm()
    }
}

#[cfg(test)]
mod tests;
