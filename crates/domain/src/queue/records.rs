//! What happens to a queue, and what others order of one.

use super::stats::{Hour, Share};
use super::{Erased, PastAudience, Waiter};
use crate::machine::Command;
use levee_proto::attrs::{QueueAttrs, QueueAttrsPatch, UserAttrs};
use levee_proto::{Id, Object, Text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Orders of old tell of those only who were removed.
fn yes() -> bool {
    true
}

/// What others order of a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum QueueOrder {
    /// Answer what everybody may know of the queue.
    Attrs,
    /// Answer what a user may know of the queue who asks for a realm's queues.
    Seen {
        /// Who.
        user: Id,
    },
    /// Be, in a realm.
    Create {
        /// The realm.
        realm: Id,
        /// Attributes.
        attrs: QueueAttrsPatch,
        /// Who makes it.
        by: Id,
        /// Their command.
        command: Option<Command>,
    },
    /// A customer comes back, for the agent has vanished: to the head of the line, whatever its limits.
    Return {
        /// Who.
        waiter: Waiter,
        /// The conversation that they come from.
        conversation: Id,
        /// Its record: what comes twice is told by it.
        seq: u64,
    },
    /// A conversation asks whether its customer may go to another queue.
    Transfer {
        /// Which.
        queue: Id,
        /// The conversation.
        conversation: Id,
        /// Its record.
        seq: u64,
    },
    /// A customer comes from another queue: to the end of the line, whatever its limits.
    Enqueue {
        /// The realm that they come from: customers stay in it.
        realm: Option<Id>,
        /// Who.
        waiter: Waiter,
        /// The conversation that they come from.
        conversation: Id,
        /// Its record: what comes twice is told by it.
        seq: u64,
    },
    /// An audience does not wait any more.
    Drop {
        /// The audience.
        audience: Id,
        /// Why.
        cause: Text,
    },
    /// Open or close, if the schedule says so.
    Hours,
    /// Somebody visits who asks for no audience; may be lost.
    Visit {
        /// The command that did it.
        command: Option<Command>,
        /// Whether the queue was described to them.
        described: bool,
        /// How far they have come.
        stage: Option<Text>,
    },
    /// Record the visits that were counted.
    Count,
    /// An audience of this queue counts for something else.
    Tally {
        /// Its conversation.
        conversation: Id,
        /// The conversation's record: what comes twice is told by it.
        seq: u64,
        /// What it counted for.
        before: Share,
        /// What it counts for now.
        after: Share,
    },
    /// An audience is over, or more has become known of it.
    Ended {
        /// What is known of it.
        audience: PastAudience,
        /// When it was over before, if it was accepted again.
        #[serde(default)]
        instead: Option<u64>,
    },
    /// What was said in an audience is erased.
    Erased(Erased),
    /// Go on erasing transcripts.
    Clear,
    /// A user is no member of the realm any more.
    MemberGone {
        /// Who.
        user: Id,
        /// Whether somebody else has removed them.
        #[serde(default = "yes")]
        removed: bool,
    },
    /// The realm was deleted, and the queue with it.
    RealmGone,
}

/// What happens to a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QueueRecord {
    /// Made.
    Created {
        /// The realm.
        realm: Id,
        /// Attributes.
        attrs: QueueAttrs,
    },
    /// Attributes or settings changed.
    Changed {
        /// The realm.
        realm: Id,
        /// The attributes as they are now.
        attrs: QueueAttrs,
        /// The settings as they are now.
        settings: Object,
        /// Why, if not by `update_queue`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Text>,
    },
    /// Somebody serves it now.
    MemberJoined {
        /// Who.
        user: Id,
        /// Their card.
        card: UserAttrs,
    },
    /// Somebody serves it no more.
    MemberParted {
        /// The realm.
        realm: Id,
        /// Who.
        user: Id,
        /// Whether somebody else removed them.
        removed: bool,
    },
    /// Somebody waits.
    Requested {
        /// Who and for what.
        waiter: Waiter,
    },
    /// Somebody came from another queue.
    Transferred {
        /// Who.
        waiter: Waiter,
        /// The record of the conversation that they come from.
        seq: u64,
    },
    /// Somebody is back at the head of the line.
    Returned {
        /// Who.
        waiter: Waiter,
        /// The record of their conversation.
        seq: u64,
    },
    /// Somebody was taken.
    Accepted {
        /// The audience.
        audience: Id,
        /// Who took them.
        agent: Id,
        /// What it counts for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        share: Option<Share>,
    },
    /// An agent made an audience without a customer.
    AudienceCreated {
        /// The audience.
        audience: Id,
        /// What it counts for.
        share: Share,
    },
    /// People visited who asked for no audience.
    Visited {
        /// How often the queue was described.
        #[serde(default)]
        described: u64,
        /// How often each stage was reported.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        stages: BTreeMap<Text, u64>,
    },
    /// An audience counts for something else.
    Tallied {
        /// Its conversation.
        conversation: Id,
        /// The conversation's record.
        seq: u64,
        /// What it counted for.
        before: Share,
        /// What it counts for now.
        after: Share,
    },
    /// The sums of an hour that is over, or what came to it afterwards.
    Settled {
        /// The hour, by its number since 1970.
        hour: u64,
        /// The sums.
        sums: Hour,
    },
    /// Somebody left a contact request.
    Registered {
        /// Who and for what.
        waiter: Waiter,
        /// The session that is answered.
        session: Id,
    },
    /// Somebody waits no more.
    Dropped {
        /// The audience.
        audience: Id,
        /// Why.
        cause: Text,
    },
    /// The transcripts of an interval are to be erased.
    TranscriptsDeleted {
        /// From when on, microseconds since 1970.
        begin: u64,
        /// Until when.
        end: u64,
    },
    /// The first of the intervals is erased.
    TranscriptsCleared,
    /// Deleted.
    Deleted {
        /// The realm.
        realm: Id,
    },
}
