//! What follows from a decision once it is durable: answers, publishes, orders to other entities, timers.

use super::{Answer, Claim, Command, Machine, Moment};
use crate::hook::Hook;
use crate::mail::Mail;
use crate::past::Amend;
use crate::view::{Stream, View};
use levee_proto::{Body, Id, Rejection};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;

/// What follows from a decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Emit {
    /// Answer who asked.
    Answer(Answer),
    /// Show something that is not stored.
    Publish(Vec<View>),
    /// Order something of another entity, for certain: kept on the agenda until it is confirmed.
    Forward(Stream, Value),
    /// The same, but not before all that was forwarded to the third is confirmed: what it learns by this
    /// order's receiver comes after what it was told itself.
    ForwardAfter(Stream, Value, Stream),
    /// Tell another entity something that may be lost.
    Tell(Stream, Value),
    /// Write a row of the directory in the same commit.
    Claim(Claim),
    /// Send a mail, for certain: kept on the agenda until it has gone out.
    Mail(Mail),
    /// Tell a webhook, for certain: kept on the agenda until it was told, or for too long.
    Hook(Hook),
    /// Count something that was left out at a limit, without telling.
    Drop(&'static str),
    /// Change earlier records in the same commit.
    Amend(Amend),
    /// Have a timer ring; kept on the agenda.
    Wait(Timer, Due),
    /// A timer need not ring any more.
    Unwait(Timer),
    /// Remove a file's bytes. May be lost: whoever emits it has a timer that does so again.
    Discard(crate::file::Blob),
    /// Make one of a file's parts. May be lost: whoever emits it has a timer that does so again.
    Join(Box<crate::file::parts::Join>),
}

/// When a timer rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// After as long as an agent may be gone, which is a setting of the node's.
    AgentTimeout,
    /// At this time, microseconds since 1970.
    At(u64),
}

/// What an entity does after a while, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Timer {
    /// See whether somebody still serves an audience: an agent may vanish without a word.
    Agent,
    /// Open or close according to the schedule.
    Schedule,
    /// Record the visits that were counted.
    Visits,
    /// Unset what was set for members until now.
    Member,
    /// Erase a transcript, or go on erasing many.
    Transcript,
    /// Give up a file that came to nothing, or try again to remove bytes.
    File,
}

impl Timer {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Agent, Self::Schedule, Self::Visits, Self::Member, Self::Transcript, Self::File];

    /// Its name, as the agenda keeps it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agent => "agent",
            Self::Schedule => "schedule",
            Self::Visits => "visits",
            Self::Member => "member",
            Self::Transcript => "transcript",
            Self::File => "file",
        }
    }
}

impl Emit {
    /// What it orders of another entity for certain, and of which.
    pub fn forwarded(&self) -> Option<(&Stream, &Value)> {
        match self {
            Self::Forward(to, order) | Self::ForwardAfter(to, order, _) => Some((to, order)),
            Self::Answer(_)
            | Self::Publish(_)
            | Self::Tell(..)
            | Self::Claim(_)
            | Self::Mail(_)
            | Self::Hook(_)
            | Self::Drop(_)
            | Self::Amend(_)
            | Self::Wait(..)
            | Self::Unwait(_)
            | Self::Discard(_)
            | Self::Join(_) => None,
        }
    }

    /// Answers a command that another entity has passed on: through the user's own stream, so that the
    /// answer is as durable as what it tells of.
    pub fn told<E: levee_proto::events::Event>(user: &Id, command: &Command, event: &E) -> Self {
        Self::tell(user, command, &Body::new(event))
    }

    /// Refuses a command that another entity has passed on.
    pub fn refused(user: &Id, command: &Command, refusal: &Rejection) -> Self {
        Self::tell(user, command, &Body::error(refusal))
    }

    /// Answers a command by which a master had its puppet come into something.
    pub fn entered<M: Machine>(
        it: &M,
        at: &Moment<'_>,
        records: &[M::Record],
        (master, puppet): (&Id, &Id),
        command: &Command,
    ) -> Option<Self> {
        Some(Self::tell(master, command, &*entry_after(it, at, records, puppet)?))
    }

    /// Answers such a command by which the puppet came into two things, in one: `first` tells of the other.
    pub fn entered_both<M: Machine>(
        it: &M,
        at: &Moment<'_>,
        records: &[M::Record],
        (master, puppet): (&Id, &Id),
        command: &Command,
        first: Value,
    ) -> Option<Self> {
        let second = header(&*entry_after(it, at, records, puppet)?);
        Some(Self::tell_header(master, command, &Value::Array(vec![first, second])))
    }

    fn tell(user: &Id, command: &Command, body: &Body) -> Self {
        Self::tell_header(user, command, &header(body))
    }

    fn tell_header(user: &Id, command: &Command, event: &Value) -> Self {
        let order = serde_json::json!({"Told": {"command": command, "event": event}});
        Self::Forward(Stream::user(user), order)
    }
}

/// An event's header.
pub(crate) fn header(body: &Body) -> Value {
    serde_json::from_str(body.header()).unwrap_or_default()
}

/// What somebody sees who comes into something by its next records.
pub(crate) fn entry_after<M: Machine>(
    it: &M,
    at: &Moment<'_>,
    records: &[M::Record],
    user: &Id,
) -> Option<Arc<Body>> {
    let mut after = it.clone();
    for (seq, record) in (at.seq + 1..).zip(records) {
        after.apply(seq, at.now, record);
    }
    after.glance(at, user).entry
}
