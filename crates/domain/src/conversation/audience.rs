//! What a channel decides about the audience that it is for: how it opens, and what happens when the one who
//! accepted it vanishes.

use super::decide::{joined, joined_by, parted};
use super::opening::Opening;
use super::records::{ConversationRecord, Member};
use super::{Conversation, Form};
use crate::machine::{Due, Emit, Moment, Step, Timer};
use crate::schedule;
use crate::view::Stream;
use levee_proto::attrs::{ChannelAttrs, ChannelMemberAttrs};
use levee_proto::{Id, events};
use serde_json::{Value, json};

impl Conversation {
    /// Opens, or takes in whoever accepted the audience after its agent had vanished.
    pub(super) fn open(&self, at: &Moment<'_>, opening: Opening) -> Step<ConversationRecord> {
        let Opening {
            realm,
            attrs,
            members,
            metadata,
            command,
            accepted,
            source,
            share,
            made,
            request,
            prelude,
            masters,
            hooks: _,
            puppets,
        } = opening;
        let members = members.into_iter().map(|(id, user, attrs)| {
            let attrs = ChannelMemberAttrs { since: Some(at.now / 1_000_000), ..attrs };
            let master = masters.get(&id).cloned();
            let puppet = puppets.get(&id).cloned();
            (id, Member { user, attrs, master, puppet, ..Member::default() })
        });
        let customer = attrs.requester_id.clone().or_else(|| self.attrs.requester_id.clone());
        let mut step = Step::nothing();
        match self.form {
            Form::Absent => {
                let members: Vec<_> = members.collect();
                let (customers, agents): (Vec<_>, Vec<_>) =
                    members.iter().partition(|(id, _)| attrs.requester_id.as_ref() == Some(id));
                let said = match (&prelude, customers.first(), agents.first()) {
                    (Some(prelude), Some((customer, is)), Some((agent, agent_is))) => {
                        prelude.messages(at.now, (customer, is), (agent, agent_is))
                    }
                    _ => Vec::new(),
                };
                for (user, _) in &members {
                    step.emits.push(joined(at, user, command.clone()));
                }
                if let Some((by, command)) = made {
                    let realm_id = realm.clone().unwrap_or_default();
                    let (channel_id, channel_attrs) = (at.id.clone(), attrs.clone());
                    let created = events::ChannelCreated { channel_attrs, channel_id, realm_id };
                    step.emits.push(Emit::told(&by, &command, &created));
                }
                if attrs.schedule.is_some() {
                    // The queue has checked that it is valid.
                    step.emits.extend(schedule::keep(attrs.schedule.as_ref(), &mut None, at.now));
                }
                step.records.push(ConversationRecord::Opened {
                    realm,
                    attrs,
                    members,
                    metadata,
                    accepted,
                    share,
                    request,
                });
                let info = |source| Self::info("ninchat.com/info/transfer/source", &Value::Object(source));
                step.records.extend(source.map(info));
                step.records.extend(said);
            }
            Form::Channel if accepted > self.accepted => {
                let members: Vec<_> = members.collect();
                let agent =
                    members.iter().map(|(id, _)| id).find(|id| Some(*id) != customer.as_ref()).cloned();
                step.records.push(ConversationRecord::Accepted { accepted, agent, request, share });
                // It is not over any more.
                step.emits.push(Emit::Unwait(Timer::Transcript));
                if self.attrs.suspended.is_some() || self.attrs.closed.is_some() {
                    // The customer had left too, for the queue.
                    let attrs = ChannelAttrs { suspended: None, closed: None, ..self.attrs.clone() };
                    let (realm, cause) = (self.realm.clone(), Some("audience_accept".into()));
                    step.records.push(ConversationRecord::Changed { realm, attrs, cause });
                }
                for (user, member) in members {
                    if self.members.contains_key(&user) {
                        continue;
                    }
                    step.records.push(ConversationRecord::Joined {
                        user: user.clone(),
                        member,
                        added: false,
                    });
                    let seq = at.seq + step.records.len() as u64;
                    step.emits.push(joined_by(at, seq, &user, command.clone()));
                }
            }
            Form::Channel | Form::Dialogue | Form::Deleted => return step,
        }
        // A puppet that has accepted it is answered through its master.
        let agent = masters.iter().find(|(puppet, _)| Some(*puppet) != customer.as_ref());
        if let (Some((puppet, master)), Some(command)) = (agent, &command) {
            step.emits.extend(Emit::entered(self, at, &step.records, (master, puppet), command));
        }
        step.and(Emit::Wait(Timer::Agent, Due::AgentTimeout))
    }

    /// Asks those who serve the audience whether they are there. If none was when they were asked last, the
    /// customer goes back to the head of the queue.
    pub(super) fn look_for_agent(&self, at: &Moment<'_>) -> Step<ConversationRecord> {
        let over = Step::emit(Emit::Unwait(Timer::Agent));
        let attrs = &self.attrs;
        let (Some(audience), Some(queue), Some(customer)) =
            (&attrs.audience_id, &attrs.queue_id, &attrs.requester_id)
        else {
            return over;
        };
        let Some(waiter) = self.members.get(customer) else { return over };
        let agents: Vec<&Id> = self.members.keys().filter(|user| *user != customer).collect();
        if attrs.closed.is_some() || attrs.suspended.is_some() || agents.is_empty() {
            return over;
        }
        if self.transfer.is_some() || agents.iter().any(|user| !self.missing.contains(*user)) {
            let mut step = Step::emit(Emit::Wait(Timer::Agent, Due::AgentTimeout));
            for agent in agents {
                let master = self.members.get(agent).and_then(|member| member.master.as_ref());
                let mut seek = json!({"Seek": {"conversation": at.id}});
                if master.is_some() {
                    seek["Seek"]["puppet"] = json!(agent);
                }
                step.emits.push(Emit::Tell(Stream::user(master.unwrap_or(agent)), seek));
            }
            return step;
        }
        let mut step = over;
        for agent in agents {
            step.records.push(ConversationRecord::Parted {
                user: agent.clone(),
                cause: Some("member_remove".into()),
                command: None,
            });
            step.emits.push(parted(at.id, agent));
        }
        let waiter = json!({"audience": audience, "user": customer, "card": waiter.user, "since": at.now,
            "metadata": self.metadata, "master": waiter.master, "puppet": waiter.puppet});
        let order = json!({"Return": {"waiter": waiter, "conversation": at.id, "seq": at.seq + 1}});
        step.and(Emit::Forward(Stream::queue(queue), order))
    }

    /// Nobody will accept the audience again: it ends.
    pub(super) fn queue_gone(&self) -> Step<ConversationRecord> {
        if self.form != Form::Channel || self.attrs.closed.is_some() {
            return Step::nothing();
        }
        let attrs = ChannelAttrs { closed: Some(true), ..self.attrs.clone() };
        let cause = Some("queue_delete".into());
        Step::record(ConversationRecord::Changed { realm: self.realm.clone(), attrs, cause })
    }
}
