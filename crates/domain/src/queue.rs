//! A queue: who serves it, who waits in it, and who took whom.

use crate::conversation::Prelude;
use crate::machine::{
    Actor, Answer, Columns, Command, Emit, Entry, Glance, Input, Machine, Moment, Step, Timer,
};
use crate::past::Wanted;
use crate::puppet::Puppet;
use crate::rights::{Right, Standing};
use crate::view::{Effect, Line, Stream, To, View, roles};
use levee_proto::attrs::{QueueAttrs, QueueMemberAttrs, UserAttrs};
use levee_proto::types::{Waiting, seconds};
use levee_proto::{
    Action, Body, ErrorType, Id, MemberAction, Object, QueueAction, Rejection, Text, VideoAction, events, ids,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

mod appointment;
mod audience;
mod decide;
mod hooks;
mod records;
pub mod stats;
#[cfg(test)]
mod tests;
mod transcripts;
mod visits;

pub use records::{QueueOrder, QueueRecord};
use stats::Stats;
pub use transcripts::{Erased, PastAudience};
use visits::Visits;

/// How many of those who wait members are shown by name.
const SHOWN: usize = 100;

/// The kind of records of hours that are over.
pub const STATS: &str = "stats";

/// How many of those who came back are remembered: the order to take them in may come twice.
const REMEMBERED: usize = 1024;

/// A queue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Queue {
    realm: Option<Id>,
    /// Attributes, without `length`.
    pub attrs: QueueAttrs,
    /// Settings.
    pub settings: Object,
    /// Who serves it.
    pub members: BTreeMap<Id, UserAttrs>,
    /// Who waits, first to last.
    pub waiting: VecDeque<Waiter>,
    /// Who came back, or from elsewhere, lately: audiences, each with the record of its conversation.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    returned: VecDeque<(Id, u64)>,
    /// What changed the line last.
    #[serde(default)]
    cause: Option<Text>,
    /// Who accepted somebody, if that changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    accepted_by: Option<Id>,
    #[serde(default, skip_serializing_if = "Stats::is_empty")]
    stats: Stats,
    /// Visits since the last that were recorded.
    #[serde(skip)]
    visits: Visits,
    deleted: bool,
    /// Intervals whose transcripts are to be erased, microseconds since 1970.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    clearing: Vec<(u64, u64)>,
}

/// Somebody who waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiter {
    /// The audience.
    pub audience: Id,
    /// Who.
    pub user: Id,
    /// What others may know of the user.
    pub card: UserAttrs,
    /// Since when, microseconds since 1970.
    pub since: u64,
    /// What was said when asking.
    pub metadata: Option<Object>,
    /// Where they were transferred from: a queue, an audience, a channel and who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Object>,
    /// The record by which they wait.
    #[serde(default)]
    pub seq: u64,
    /// What the conversation begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prelude: Option<Prelude>,
    /// The master who has asked for them, if they are a puppet: they wait without a session of their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<Id>,
    /// What the realm's owner has set of them, if they are the owner's puppet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub puppet: Option<Puppet>,
}

type Decision = Result<Step<QueueRecord>, Rejection>;

impl Queue {
    fn absent(id: &Id) -> Rejection {
        Rejection::new(ErrorType::QueueNotFound).about("queue_id", id)
    }

    /// How a user stands to the queue.
    fn standing(&self, at: &Moment<'_>, user: &Id) -> Standing {
        let in_realm = at.realm.map_or(Standing::Stranger, |realm| realm.standing(user));
        let here = if self.members.contains_key(user) { Standing::Member } else { Standing::Stranger };
        in_realm.max(here)
    }

    /// Attributes with the length, as much of them as one may see.
    fn shown(&self, inside: bool) -> QueueAttrs {
        let mut attrs = if inside { self.attrs.clone() } else { self.attrs.public() };
        attrs.length = Some(self.waiting.len() as u64);
        attrs
    }

    fn remember(&mut self, waiter: &Waiter, seq: u64) {
        self.returned.retain(|(audience, _)| *audience != waiter.audience);
        self.returned.push_back((waiter.audience.clone(), seq));
        if self.returned.len() > REMEMBERED {
            self.returned.pop_front();
        }
    }

    fn position(&self, user: &Id) -> Option<u64> {
        self.waiting.iter().position(|waiter| waiter.user == *user).map(|at| at as u64 + 1)
    }

    fn queue_time(&self, now: u64) -> Option<f64> {
        self.waiting.front().map(|first| seconds(now.saturating_sub(first.since)))
    }

    fn shown_waiting(&self) -> Vec<Waiting> {
        self.waiting
            .iter()
            .take(SHOWN)
            .map(|waiter| Waiting {
                audience_id: waiter.audience.clone(),
                user_id: waiter.user.clone(),
                user_name: waiter.card.name.clone(),
                request_time: seconds(waiter.since),
            })
            .collect()
    }

    fn found(&self, at: &Moment<'_>, user: &Id) -> events::QueueFound {
        let inside = self.standing(at, user) >= Standing::Member;
        events::QueueFound {
            queue_id: at.id.clone(),
            queue_attrs: self.shown(inside),
            realm_id: self.realm.clone(),
            queue_position: self.position(user),
            queue_settings: inside.then(|| self.settings.clone()),
            queue_members: inside.then(|| self.shown_members()),
            queue_time: if inside { self.queue_time(at.now) } else { None },
            levee_waiting: inside.then(|| self.shown_waiting()),
        }
    }

    fn shown_members(&self) -> Object {
        self.members
            .iter()
            .map(|(id, card)| (id.to_string(), json!({"user_attrs": card, "member_attrs": {}})))
            .collect()
    }
}

impl Machine for Queue {
    type Order = QueueOrder;
    type Record = QueueRecord;

    fn exists(&self) -> bool {
        self.realm.is_some() && !self.deleted
    }

    fn realm(&self) -> Option<&Id> {
        self.realm.as_ref()
    }

    fn wants(&self, at: &Moment<'_>, input: &Input<QueueOrder>) -> Option<Wanted> {
        self.wants_rows(at, input)
    }

    fn decide(&self, at: &Moment<'_>, input: Input<QueueOrder>) -> Decision {
        let mut step = match input {
            Input::Action(..) if !self.exists() => return Err(Self::absent(at.id)),
            Input::Action(actor, Action::Queue(action), _) => self.act(at, &actor, action)?,
            Input::Action(actor, Action::Member(action), _) => self.manage(at, &actor, action)?,
            Input::Action(actor, Action::Video(VideoAction::DiscoverJitsi(_)), _) => self.room(at, &actor)?,
            Input::Action(
                _,
                Action::Session(_)
                | Action::User(_)
                | Action::Identity(_)
                | Action::Realm(_)
                | Action::Conversation(_)
                | Action::File(_)
                | Action::Access(_)
                | Action::Key(_)
                | Action::Webhook(_),
                _,
            ) => return Err(Rejection::new(ErrorType::ActionNotSupported)),
            Input::Order(order) => self.obey(at, order),
        };
        if !step.records.is_empty() {
            let due = self.stats.due(at.now);
            step.records.extend(due.map(|(hour, sums)| QueueRecord::Settled { hour, sums }));
        }
        Ok(self.with_hooks(at, step))
    }

    fn apply(&mut self, place: u64, time: u64, record: &QueueRecord) {
        match record.clone() {
            QueueRecord::Created { realm, attrs } => {
                self.realm = Some(realm);
                self.attrs = attrs;
            }
            QueueRecord::Changed { attrs, settings, cause, .. } => {
                self.attrs = attrs;
                self.settings = settings;
                self.cause = Some(cause.unwrap_or_else(|| "queue_update".into()));
            }
            QueueRecord::MemberJoined { user, card } => {
                self.members.insert(user, card);
            }
            QueueRecord::MemberParted { user, .. } => {
                self.members.remove(&user);
            }
            QueueRecord::Requested { waiter } => {
                self.stats.requested(time);
                self.waiting.push_back(Waiter { seq: place, ..waiter });
                self.cause = Some("audience_request".into());
            }
            QueueRecord::Returned { waiter, seq } => {
                self.remember(&waiter, seq);
                self.waiting.push_front(Waiter { seq: place, ..waiter });
                self.cause = Some("audience_request".into());
            }
            QueueRecord::Transferred { waiter, seq } => {
                self.stats.requested(time);
                self.remember(&waiter, seq);
                self.waiting.push_back(Waiter { seq: place, ..waiter });
                self.cause = Some("audience_request".into());
            }
            QueueRecord::Accepted { audience, share, agent } => {
                if let Some(share) = share {
                    let waiter = self.waiting.iter().find(|waiter| waiter.audience == audience);
                    let since = waiter.map_or(time, |waiter| waiter.since);
                    self.stats.waited(time, since);
                    self.stats.count(&share, 1);
                }
                self.waiting.retain(|waiter| waiter.audience != audience);
                self.cause = Some("audience_accept_peer".into());
                self.accepted_by = Some(agent);
            }
            QueueRecord::Dropped { audience, cause } => {
                if let Some(waiter) = self.waiting.iter().find(|waiter| waiter.audience == audience) {
                    self.stats.dropped(time, waiter.since);
                }
                self.waiting.retain(|waiter| waiter.audience != audience);
                self.cause = Some(cause);
            }
            QueueRecord::AudienceCreated { share, .. } => self.stats.count(&share, 1),
            QueueRecord::Registered { .. } => self.stats.registered(time),
            QueueRecord::Visited { described, stages } => {
                self.stats.visited(time, described, &stages);
                self.visits = Visits::default();
            }
            QueueRecord::Tallied { conversation, seq, before, after } => {
                self.stats.count(&before, -1);
                self.stats.count(&after, 1);
                self.stats.remember(conversation, seq);
            }
            QueueRecord::Settled { hour, sums } => self.stats.settle(hour, &sums),
            QueueRecord::TranscriptsDeleted { begin, end } => self.clearing.push((begin, end)),
            QueueRecord::TranscriptsCleared => {
                self.clearing.remove(0);
            }
            QueueRecord::Deleted { .. } => {
                self.waiting.clear();
                self.members.clear();
                self.deleted = true;
            }
        }
    }

    fn views(id: &Id, _seq: u64, _time: u64, entry: &Entry<QueueRecord>) -> Vec<View> {
        let queue_id = id.clone();
        match &entry.record {
            QueueRecord::Changed { realm, attrs, settings, cause } => {
                let changed = |attrs: QueueAttrs, inside: bool| events::QueueUpdated {
                    queue_id: queue_id.clone(),
                    event_cause: Some(cause.clone().unwrap_or_else(|| "queue_update".into())),
                    queue_attrs: attrs,
                    queue_settings: inside.then(|| settings.clone()),
                    realm_id: Some(realm.clone()),
                    ..Default::default()
                };
                vec![
                    View::new(To::Roles(roles::MEMBER), &changed(attrs.clone(), true)),
                    View::new(To::Roles(roles::WATCHER), &changed(attrs.public(), false)).aside(),
                ]
            }
            QueueRecord::MemberJoined { user, card } => vec![View::new(
                To::Roles(roles::MEMBER),
                &events::QueueMemberJoined {
                    queue_id,
                    user_id: user.clone(),
                    user_attrs: card.clone(),
                    member_attrs: QueueMemberAttrs::default(),
                },
            )],
            QueueRecord::MemberParted { realm, user, removed } => {
                let event_cause: Option<Text> = removed.then(|| "member_remove".into());
                let parted = events::QueueParted {
                    queue_id: queue_id.clone(),
                    event_cause: event_cause.clone(),
                    realm_id: Some(realm.clone()),
                };
                let others = events::QueueMemberParted { queue_id, user_id: user.clone(), event_cause };
                vec![
                    View::new(To::Only(vec![user.clone()]), &parted).with(Effect::Leave).aside(),
                    View::new(To::Roles(roles::MEMBER), &others),
                ]
            }
            QueueRecord::Registered { waiter, session } => {
                let registered =
                    events::AudienceRegistered { audience_id: waiter.audience.clone(), queue_id };
                vec![View::new(To::Session(session.clone()), &registered)]
            }
            QueueRecord::Deleted { realm } => {
                let deleted = events::QueueDeleted { queue_id, realm_id: Some(realm.clone()) };
                vec![View::new(To::All, &deleted).with(Effect::Leave)]
            }
            QueueRecord::TranscriptsDeleted { begin, end } => {
                let (interval_begin, interval_end) = (seconds(*begin), seconds(*end));
                let event = events::QueueTranscriptsDeleted { queue_id, interval_begin, interval_end };
                vec![View::new(To::Roles(roles::MEMBER), &event)]
            }
            // Its maker is told apart; so is the line, of which only the latest state matters.
            QueueRecord::Created { .. }
            | QueueRecord::Requested { .. }
            | QueueRecord::Returned { .. }
            | QueueRecord::Transferred { .. }
            | QueueRecord::Accepted { .. }
            | QueueRecord::AudienceCreated { .. }
            | QueueRecord::Visited { .. }
            | QueueRecord::Tallied { .. }
            | QueueRecord::Settled { .. }
            | QueueRecord::TranscriptsCleared
            | QueueRecord::Dropped { .. } => Vec::new(),
        }
    }

    fn rings(timer: Timer) -> Option<QueueOrder> {
        match timer {
            Timer::Schedule => Some(QueueOrder::Hours),
            Timer::Visits => Some(QueueOrder::Count),
            Timer::Transcript => Some(QueueOrder::Clear),
            Timer::Agent | Timer::Member | Timer::File => None,
        }
    }

    fn columns(record: &QueueRecord) -> Columns {
        match record {
            // What is asked for by itself, without the rest of the stream.
            QueueRecord::Registered { waiter, .. } => {
                Columns { kind: "registration".into(), author: waiter.user.clone(), flags: 0 }
            }
            QueueRecord::Settled { .. } => Columns { kind: STATS.into(), ..Columns::default() },
            _ => Columns { kind: "queue".into(), ..Columns::default() },
        }
    }

    fn absorbs(input: &Input<QueueOrder>) -> bool {
        matches!(input, Input::Order(QueueOrder::Visit { .. }))
    }

    fn absorb(&mut self, _now: u64, input: &Input<QueueOrder>) {
        if let Input::Order(QueueOrder::Visit { command, described, stage }) = input {
            self.visits.add(command.clone(), *described, stage.as_ref());
        }
    }

    fn is_counting(&self) -> bool {
        !self.visits.is_empty()
    }

    fn moves_line(record: &QueueRecord) -> bool {
        match record {
            QueueRecord::Registered { .. }
            | QueueRecord::AudienceCreated { .. }
            | QueueRecord::Visited { .. }
            | QueueRecord::Tallied { .. }
            | QueueRecord::TranscriptsDeleted { .. }
            | QueueRecord::TranscriptsCleared
            | QueueRecord::Settled { .. } => false,
            QueueRecord::Created { .. }
            | QueueRecord::Changed { .. }
            | QueueRecord::MemberJoined { .. }
            | QueueRecord::MemberParted { .. }
            | QueueRecord::Requested { .. }
            | QueueRecord::Transferred { .. }
            | QueueRecord::Returned { .. }
            | QueueRecord::Accepted { .. }
            | QueueRecord::Dropped { .. }
            | QueueRecord::Deleted { .. } => true,
        }
    }

    fn glance(&self, at: &Moment<'_>, user: &Id) -> Glance {
        if !self.exists() {
            return Glance::default();
        }
        let serves = self.members.contains_key(user);
        let found = self.found(at, user);
        let mut summary = Object::new();
        summary.insert("queue_attrs".into(), json!(found.queue_attrs));
        summary.insert("realm_id".into(), json!(self.realm));
        let mut latest = None;
        let mut entry = None;
        if let Some(waiter) = self.waiting.iter().find(|waiter| waiter.user == *user) {
            let queue_position = found.queue_position.unwrap_or_default();
            summary.insert("queue_position".into(), json!(queue_position));
            entry = Some(Arc::new(Body::new(&events::AudienceEnqueued {
                queue_id: at.id.clone(),
                queue_attrs: found.queue_attrs.clone(),
                queue_position,
                audience_id: waiter.audience.clone(),
            })));
        } else if serves {
            entry = Some(Arc::new(Body::new(&events::QueueJoined {
                queue_id: at.id.clone(),
                queue_attrs: found.queue_attrs.clone(),
                queue_settings: self.settings.clone(),
                realm_id: self.realm.clone(),
            })));
        }
        if serves || found.queue_position.is_some() {
            latest = Some(Arc::new(Body::new(&events::QueueUpdated {
                queue_id: found.queue_id,
                queue_attrs: found.queue_attrs,
                realm_id: found.realm_id,
                queue_position: found.queue_position,
                queue_settings: found.queue_settings,
                queue_time: found.queue_time,
                levee_waiting: found.levee_waiting,
                event_cause: None,
            })));
        }
        let roles = if serves { roles::MEMBER } else { roles::WATCHER };
        Glance { roles, summary, entry, latest }
    }

    fn line(&self, at: &Moment<'_>) -> Option<Line> {
        let outside = events::QueueUpdated {
            queue_id: at.id.clone(),
            queue_attrs: self.shown(false),
            realm_id: self.realm.clone(),
            event_cause: self.cause.clone(),
            ..Default::default()
        };
        let inside = events::QueueUpdated {
            queue_attrs: self.shown(true),
            queue_time: self.queue_time(at.now),
            levee_waiting: Some(self.shown_waiting()),
            queue_settings: Some(self.settings.clone()),
            ..outside.clone()
        };
        let own = self.accepted_by.as_ref().filter(|_| self.cause.as_deref() == Some("audience_accept_peer"));
        let own = own.map(|agent| {
            let event_cause = Some("audience_accept_self".into());
            let own = events::QueueUpdated { event_cause, ..inside.clone() };
            (agent.clone(), Arc::new(Body::new(&own)))
        });
        Some(Line {
            own,
            users: self.waiting.iter().map(|waiter| waiter.user.clone()).collect(),
            members: Arc::new(Body::new(&inside)),
            watchers: Arc::new(Body::new(&outside)),
            waiting: outside,
        })
    }
}
