//! What webhooks are told of a conversation, and in which order: what has happened follows from the records of a step,
//! whatever caused those. What is said of it is made when it is told, from the records as they are by then.

use super::records::{ConversationRecord, Message};
use super::{Conversation, Form};
use crate::hook::{Asked, Hook, HookEvent};
use crate::machine::{Emit, Machine, Moment, Step};
use crate::queue::Waiter;
use crate::realm::Realm;
use levee_proto::types::seconds;
use levee_proto::{Id, Object, Text, ids};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// What calls are set up by is nothing to be told.
const SIGNALS: &str = "ninchat.com/rtc/";

/// What is known beside the conversation when a webhook is told of it.
#[derive(Debug, Default)]
pub struct Known {
    /// What the queue is called.
    pub queue: Option<Text>,
    /// Who waited, as far as it was not erased.
    pub waiter: Option<Waiter>,
    /// The messages so far.
    pub messages: Vec<Value>,
}

impl Conversation {
    /// A queue tells that the audience was asked for, or is no more: perhaps before there is a channel.
    pub(super) fn asked(&self, asked: Asked) -> Step<ConversationRecord> {
        if asked.seq <= self.asked {
            return Step::nothing();
        }
        Step::record(ConversationRecord::Asked(asked))
    }

    /// Adds what webhooks are told of the records of a step.
    pub(super) fn with_hooks(
        &self,
        at: &Moment<'_>,
        mut step: Step<ConversationRecord>,
    ) -> Step<ConversationRecord> {
        let Some(realm) = at.realm.filter(|realm| !realm.webhooks.is_empty()) else { return step };
        let mut then = None;
        let mut happened: Vec<(HookEvent, u64, Option<Id>, Option<Id>)> = Vec::new();
        for (seq, record) in (at.seq + 1..).zip(&step.records) {
            let before = then.as_ref().unwrap_or(self);
            let of = |conversation: &Self| (conversation.realm.clone(), conversation.attrs.queue_id.clone());
            match record {
                // It changes nothing of what is looked at here, and there are many.
                ConversationRecord::Message(message) => {
                    if !message.message_type.starts_with(SIGNALS) {
                        let (realm, queue) = of(before);
                        happened.push((HookEvent::MessageSent, seq, realm, queue));
                    }
                }
                ConversationRecord::Asked(asked) => {
                    let (realm, queue) = (Some(asked.realm.clone()), Some(asked.queue.clone()));
                    happened.push((asked.event, seq, realm, queue));
                }
                _ => {
                    let mut after = before.clone();
                    after.apply(seq, at.now, record);
                    let (realm, queue) = of(&after);
                    let events = before.passes(&after, record);
                    happened.extend(events.map(|event| (event, seq, realm.clone(), queue.clone())));
                    then = Some(after);
                }
            }
        }
        happened.sort_by_key(|(event, ..)| *event);
        for (event, seq, of, queue) in happened {
            let Some(of) = of else { continue };
            let wanting = realm.webhooks.that_want(event, queue.as_ref());
            step.emits.extend(wanting.map(|id| Emit::Hook(Hook::new(&of, id, event, (at.id, seq), at.now))));
        }
        step
    }

    /// What an audience passes by a record.
    fn passes(&self, after: &Self, record: &ConversationRecord) -> impl Iterator<Item = HookEvent> + use<> {
        let ended = |conversation: &Self| conversation.course.as_ref().is_some_and(|course| course.is_over());
        let is_agent = |user: &Id| {
            let agents = self.course.as_ref().filter(|course| course.was_served_by(user));
            agents.is_some() && self.attrs.requester_id.as_ref() != Some(user)
        };
        let is_audience = after.form == Form::Channel && after.attrs.audience_id.is_some();
        let accepted =
            matches!(record, ConversationRecord::Opened { .. } | ConversationRecord::Accepted { .. });
        let released = matches!(record, ConversationRecord::Parted { user, .. } if is_agent(user));
        let complete = self.attrs.suspended.is_none() && after.attrs.suspended.is_some();
        let all = [
            (HookEvent::AudienceAccepted, accepted),
            (HookEvent::AudienceFinished, !accepted && !ended(self) && ended(after)),
            (HookEvent::AudienceAgentReleased, released),
            (HookEvent::AudienceComplete, complete),
        ];
        all.into_iter().filter(move |(_, so)| *so && is_audience).map(|(event, _)| event)
    }

    /// What a webhook is told of a record, if there is something left to tell. This is the state after it.
    pub fn hook_body(
        &self,
        id: &Id,
        hook: &Hook,
        record: &ConversationRecord,
        realm: &Realm,
        known: Known,
    ) -> Option<Value> {
        if let ConversationRecord::Asked(asked) = record {
            return Some(asked_body(asked, hook.time, realm, known));
        }
        if hook.event == HookEvent::MessageSent {
            let message = message_body(hook.seq, hook.time, record)?;
            return Some(present(json!({"realm_id": hook.realm, "queue_id": self.attrs.queue_id,
                "audience_id": self.attrs.audience_id, "channel_id": id, "message": message})));
        }
        let course = self.course.as_ref()?;
        let (agent, [requested, accepted, finished]) = course.so_far();
        let time = |time: Option<u64>| time.map(seconds);
        let mut audience = json!({
            "request_time": time(requested),
            "accept_time": time(accepted),
            "finish_time": time(finished),
            "members": self.audience_members(),
            "metadata": self.metadata.clone().unwrap_or_default(),
        });
        let mut body = json!({"channel_id": id});
        let with_metadata = self
            .members
            .iter()
            .filter_map(|(user, member)| Some((user.to_string(), Value::Object(member.metadata.clone()?))));
        let members_metadata: Object = with_metadata.collect();
        match hook.event {
            HookEvent::AudienceAccepted => body["queue_member"] = json!({"user_id": agent}),
            HookEvent::AudienceAgentReleased => {
                if let ConversationRecord::Parted { user, .. } = record {
                    body["queue_member"] = json!({"user_id": user});
                }
            }
            HookEvent::AudienceFinished => body["channel_members_metadata"] = filled(members_metadata),
            HookEvent::AudienceComplete => {
                audience["complete_time"] = json!(seconds(hook.time));
                body["queue_member"] = json!(agent.map(|agent| json!({"user_id": agent})));
                body["channel_members_metadata"] = filled(members_metadata);
                body["member_message_metadata"] = json!(self.message_metadata);
                body["messages"] = known.messages.into();
                body["tagging"] = self.tagging(agent, realm);
            }
            HookEvent::AudienceRequested
            | HookEvent::AudienceRequestDropped
            | HookEvent::MessageSent
            | HookEvent::WebhookVerification => return None,
        }
        body["audience"] = present(audience);
        let (queue, audience) = (self.attrs.queue_id.as_ref()?, self.attrs.audience_id.as_ref()?);
        Some(present(of(body, &hook.realm, realm, (queue, known.queue), audience)))
    }

    /// The tags that the one who accepted the audience has set, and what they are beneath.
    fn tagging(&self, agent: Option<&Id>, realm: &Realm) -> Value {
        let set = agent.and_then(|agent| self.message_metadata.get(agent)?.get("tag_ids")?.as_array());
        let set = set.into_iter().flatten().filter_map(Value::as_str).map(Id::from);
        let tag = |id: &Id| {
            let attrs = realm.tags.get(id)?;
            Some((
                present(json!({"name": attrs.name, "parent_id": attrs.parent_id})),
                attrs.parent_id.clone(),
            ))
        };
        let (mut tags, mut parents) = (BTreeMap::new(), BTreeMap::new());
        for id in set {
            let Some((shown, mut parent)) = tag(&id) else { continue };
            tags.insert(id, shown);
            while let Some((id, (shown, next))) = parent.and_then(|id| Some((id.clone(), tag(&id)?))) {
                parents.insert(id, shown);
                parent = next;
            }
        }
        if tags.is_empty() { Value::Null } else { json!({"tags": tags, "parents": parents}) }
    }
}

/// What is told of one who asks for an audience, or does no more.
fn asked_body(asked: &Asked, time: u64, realm: &Realm, known: Known) -> Value {
    let audience = if asked.event == HookEvent::AudienceRequestDropped {
        json!({"request_time": seconds(asked.since), "drop_time": seconds(time)})
    } else {
        let members = known.waiter.iter().map(|waiter| (waiter.user.to_string(), json!({"customer": true})));
        let metadata = known.waiter.as_ref().and_then(|waiter| waiter.metadata.clone());
        json!({"request_time": seconds(asked.since), "members": members.collect::<Object>(),
            "metadata": metadata.unwrap_or_default()})
    };
    let queue = (&asked.queue, known.queue);
    of(json!({"audience": audience}), &asked.realm, realm, queue, &asked.audience)
}

/// What is said with a realm, a queue and an audience.
fn of(mut body: Value, id: &Id, realm: &Realm, (queue, name): (&Id, Option<Text>), audience: &Id) -> Value {
    body["realm_id"] = json!(id);
    body["realm"] = json!({"name": realm.attrs.name.clone().unwrap_or_default()});
    body["queue_id"] = json!(queue);
    body["queue"] = json!({"name": name.unwrap_or_default()});
    body["audience_id"] = json!(audience);
    body
}

/// A message as webhooks show it; `None` if it was erased.
pub fn message_body(seq: u64, time: u64, record: &ConversationRecord) -> Option<Value> {
    let ConversationRecord::Message(message) = record else { return None };
    let Message { message_type, author, fold, parts, .. } = message;
    let payload = parts.first().and_then(|part| serde_json::from_slice::<Value>(&part.0).ok());
    let (user, name) = author.clone().map_or((None, None), |(user, name)| (Some(user), name));
    let mut body = present(json!({"id": ids::message(seq), "time": seconds(time), "type": message_type,
        "user_id": user, "user_name": name, "fold": fold.then_some(true)}));
    body["payload"] = payload.unwrap_or_default();
    Some(body)
}

/// Without what there is not.
fn present(mut body: Value) -> Value {
    if let Some(object) = body.as_object_mut() {
        object.retain(|_, value| !value.is_null());
    }
    body
}

fn filled(object: Object) -> Value {
    if object.is_empty() { Value::Null } else { object.into() }
}
