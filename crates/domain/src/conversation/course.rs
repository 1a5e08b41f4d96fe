//! The course of an audience: when it was asked for, who served it, when it ended, and what its queue hears of
//! that.

use super::records::{Member, Request};
use super::{Conversation, ConversationRecord};
use crate::machine::{Emit, Machine, Moment, Step};
use crate::queue::PastAudience;
use crate::view::Stream;
use levee_proto::Id;
use levee_proto::attrs::ChannelAttrs;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;

/// How many of those who served an audience are remembered.
const SERVED: usize = 100;
/// How many times a customer who came back is remembered.
const REQUESTS: usize = 16;

/// The course of an audience.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Course {
    /// When it was asked for, microseconds since 1970.
    requested: u64,
    /// The queue's records that say so: there, too, is what the customer said.
    requests: Vec<u64>,
    /// When it was accepted last.
    accepted: u64,
    /// Who accepted it last.
    agent: Option<Id>,
    /// All who have served it.
    served: BTreeSet<Id>,
    /// When it ended: it was closed, or its customer left.
    ended: Option<u64>,
    /// When it had ended before it was accepted again.
    earlier: Option<u64>,
    /// What the customer thought of it.
    rating: Option<i64>,
    /// What was said was erased after its end.
    erased: bool,
}

impl Course {
    /// Whether somebody has served the audience.
    pub(super) fn was_served_by(&self, user: &Id) -> bool {
        self.served.contains(user)
    }

    /// All who have served the audience.
    pub(super) fn served(&self) -> impl Iterator<Item = &Id> {
        self.served.iter()
    }

    /// Whether it is over.
    pub(super) fn is_over(&self) -> bool {
        self.ended.is_some()
    }

    /// Who accepted it last, and when it was asked for, accepted and ended.
    pub(super) fn so_far(&self) -> (Option<&Id>, [Option<u64>; 3]) {
        (self.agent.as_ref(), [Some(self.requested), Some(self.accepted), self.ended])
    }

    fn accept(&mut self, now: u64, agent: Option<Id>, request: Option<Request>) {
        let request = request.unwrap_or(Request { time: now, seq: 0 });
        if self.requests.is_empty() {
            self.requested = request.time;
        }
        self.requests.push(request.seq);
        if self.requests.len() > REQUESTS {
            self.requests.remove(0);
        }
        self.accepted = now;
        self.agent = agent;
        self.earlier = self.ended.take().or(self.earlier);
        self.erased = false;
    }

    fn serve(&mut self, user: &Id) {
        if self.served.len() < SERVED {
            self.served.insert(user.clone());
        }
    }
}

impl Conversation {
    /// Takes in what a record means for the audience.
    pub(super) fn go_on_with_course(&mut self, now: u64, record: &ConversationRecord) {
        let customer = self.attrs.requester_id.clone();
        let is_customer = |user: &Id| customer.as_ref() == Some(user);
        if let ConversationRecord::Opened { attrs, members, request, .. } = record
            && attrs.audience_id.is_some()
        {
            let agents = || members.iter().map(|(id, _)| id).filter(|id| !is_customer(id));
            let mut course = Course::default();
            let agent = agents().next().cloned();
            agents().for_each(|id| course.serve(id));
            course.accept(now, agent, *request);
            self.course = Some(course);
            return;
        }
        let Some(course) = &mut self.course else { return };
        match record {
            ConversationRecord::Accepted { agent, request, .. } => {
                course.accept(now, agent.clone(), *request)
            }
            // An audience that was made without a customer may have guests.
            ConversationRecord::Joined { user, member, .. } if !is_customer(user) && serves(member) => {
                course.serve(user);
            }
            ConversationRecord::Parted { user, .. } if is_customer(user) => {
                course.ended.get_or_insert(now);
            }
            ConversationRecord::Changed { attrs, .. } if is_over(attrs) => {
                course.ended.get_or_insert(now);
            }
            ConversationRecord::Message(message) => {
                let rating = message.metadata().filter(|(author, _)| is_customer(author));
                let rating = rating.and_then(|(_, data)| data.get("rating")?.as_i64());
                course.rating = rating.filter(|rating| (-1..=1).contains(rating)).or(course.rating);
            }
            ConversationRecord::TranscriptDeleted { .. } => {
                course.erased = course.ended.is_some();
                course.rating = None;
            }
            _ => {}
        }
    }

    /// What the queue hears once the records of a step have happened: that the audience is over, and what has
    /// become known of it since.
    pub(super) fn tell_course(
        &self,
        at: &Moment<'_>,
        mut step: Step<ConversationRecord>,
    ) -> Step<ConversationRecord> {
        let Some(before) = &self.course else { return step };
        let matters = |record: &ConversationRecord| match record {
            ConversationRecord::Parted { .. } | ConversationRecord::Changed { .. } => true,
            ConversationRecord::Message(message) => message.metadata().is_some(),
            _ => false,
        };
        if !step.records.iter().any(matters) {
            return step;
        }
        let mut then = self.clone();
        for (seq, record) in (at.seq + 1..).zip(&step.records) {
            then.apply(seq, at.now, record);
        }
        let (Some(course), Some(queue), Some(audience)) =
            (&then.course, &then.attrs.queue_id, &then.attrs.audience_id)
        else {
            return step;
        };
        let Some(ended) = course.ended.filter(|_| course != before && !course.erased) else { return step };
        let past = PastAudience {
            audience: audience.clone(),
            channel: at.id.clone(),
            agent: course.agent.clone(),
            requested: course.requested,
            accepted: course.accepted,
            ended: Some(ended),
            rating: course.rating,
            delete: None,
        };
        let order = json!({"Ended": {"audience": past, "instead": course.earlier}});
        step.emits.push(Emit::Forward(Stream::queue(queue), order));
        step
    }

    /// Tells the queue that what was said in the audience is erased, so that it forgets its own part.
    pub(super) fn tell_erased(&self) -> Option<Emit> {
        let course = self.course.as_ref()?;
        let order = json!({"Erased": {
            "audience": self.attrs.audience_id.as_ref()?,
            "user": self.attrs.requester_id,
            "requested": course.requested,
            "requests": course.requests,
            "ended": course.ended.iter().chain(&course.earlier).collect::<Vec<_>>(),
        }});
        Some(Emit::Forward(Stream::queue(self.attrs.queue_id.as_ref()?), order))
    }
}

fn serves(member: &Member) -> bool {
    member.attrs.operator.is_some() || member.attrs.moderator.is_some()
}

fn is_over(attrs: &ChannelAttrs) -> bool {
    attrs.closed.is_some() || attrs.suspended.is_some()
}
