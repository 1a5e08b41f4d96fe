//! Webhooks: what a realm wants to be told of, where, and what waits to be told.

use levee_proto::{Id, Text, ids};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What webhooks tell of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookEvent {
    /// A customer asks for an audience.
    AudienceRequested,
    /// They wait no more, and were not accepted.
    AudienceRequestDropped,
    /// An agent has accepted it.
    AudienceAccepted,
    /// Somebody has written.
    MessageSent,
    /// The audience is over.
    AudienceFinished,
    /// An agent has left it.
    AudienceAgentReleased,
    /// All have left it.
    AudienceComplete,
    /// The challenge by which a receiver shows that it is one; nobody asks for it.
    WebhookVerification,
}

impl HookEvent {
    /// Those that a webhook may want. What one step causes is told in this order.
    pub const WANTED: [Self; 7] = [
        Self::AudienceRequested,
        Self::AudienceRequestDropped,
        Self::AudienceAccepted,
        Self::MessageSent,
        Self::AudienceFinished,
        Self::AudienceAgentReleased,
        Self::AudienceComplete,
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::AudienceRequested => "audience_requested",
            Self::AudienceRequestDropped => "audience_request_dropped",
            Self::AudienceAccepted => "audience_accepted",
            Self::MessageSent => "message_sent",
            Self::AudienceFinished => "audience_finished",
            Self::AudienceAgentReleased => "audience_agent_released",
            Self::AudienceComplete => "audience_complete",
            Self::WebhookVerification => "webhook_verification",
        }
    }

    /// The one of a name that a webhook may want.
    pub fn named(name: &str) -> Option<Self> {
        Self::WANTED.into_iter().find(|event| event.name() == name)
    }
}

/// How what is told is wrapped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Not at all: its signature is in a header.
    #[default]
    Default,
    /// Beside its signature, for receivers that see no headers.
    Wrapped,
}

impl Format {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Wrapped => "wrapped",
        }
    }

    /// The one of a name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Default, Self::Wrapped].into_iter().find(|format| format.name() == name)
    }
}

/// A webhook of a realm.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Webhook {
    /// Where to.
    pub url: Text,
    /// What it wants.
    pub events: BTreeSet<HookEvent>,
    /// How it wants it.
    #[serde(default)]
    pub format: Format,
    /// The one queue that it is for, if it is not for the whole realm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<Id>,
    /// Whether it was active once: from then on nothing that happens is lost, whatever becomes of its URL.
    #[serde(default)]
    pub collects: bool,
    /// Whether its URL has answered the challenge.
    #[serde(default)]
    pub verified: bool,
    /// The record by which a challenge began that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<u64>,
    /// Why the last challenge failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Text>,
}

impl Webhook {
    /// How it stands, in a word.
    pub fn state(&self) -> &'static str {
        match (self.verified, self.challenge, &self.failure) {
            (true, ..) => "active",
            (false, Some(_), _) => "verifying",
            (false, None, Some(_)) => "failed",
            (false, None, None) => "unverified",
        }
    }
}

/// The webhooks of a realm.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Webhooks(pub BTreeMap<Id, Webhook>);

impl Webhooks {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A webhook.
    pub fn get(&self, id: &Id) -> Option<&Webhook> {
        self.0.get(id)
    }

    /// Those that want to be told of an event, in a queue or in none.
    pub fn that_want<'a>(
        &'a self,
        event: HookEvent,
        queue: Option<&'a Id>,
    ) -> impl Iterator<Item = &'a Id> + 'a {
        let wants = move |hook: &Webhook| {
            let here = hook.queue.is_none() || hook.queue.as_ref() == queue;
            hook.collects && here && hook.events.contains(&event)
        };
        self.0.iter().filter(move |(_, hook)| wants(hook)).map(|(id, _)| id)
    }
}

/// Something that one webhook is to be told of. It holds no content: that is read when it is told, so that what was
/// erased by then is not told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hook {
    /// The realm.
    pub realm: Id,
    /// The webhook.
    pub webhook: Id,
    /// What has happened.
    pub event: HookEvent,
    /// What tells it from everything else that happens.
    pub event_id: Id,
    /// When, microseconds since 1970.
    pub time: u64,
    /// The record of the stream that says so.
    pub seq: u64,
    /// How often it was tried in vain.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tries: u32,
    /// Since when it is tried, if somebody wanted it to be told once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// What it was called on the agenda, if so: it takes its place among the others again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Id>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(value: &u32) -> bool {
    *value == 0
}

impl Hook {
    /// What has happened by a record of a stream.
    pub fn new(realm: &Id, webhook: &Id, event: HookEvent, (stream, seq): (&Id, u64), time: u64) -> Self {
        let cause = ["hook", stream, event.name(), &seq.to_string()];
        let event_id = ids::derive(ids::shard(stream).unwrap_or_default(), &cause);
        let (realm, webhook) = (realm.clone(), webhook.clone());
        Self { realm, webhook, event, event_id, time, seq, tries: 0, since: None, key: None }
    }

    /// For how long it is tried by now, in microseconds.
    pub fn age(&self, now: u64) -> u64 {
        now.saturating_sub(self.since.unwrap_or(self.time))
    }
}

/// The namespace of rows about what webhooks were told.
pub const DELIVERIES: &str = "webhooks";
/// How many of the last attempts are kept, for each webhook.
pub const ATTEMPTS: u64 = 32;
/// How many dead letters one answer lists, and one action has told once more.
pub const DEAD: usize = 100;

/// What the keys of a webhook's attempts begin with.
pub fn attempts(webhook: &str) -> Id {
    compact_str::format_compact!("{webhook}/a")
}

/// The key of an attempt: the older ones are written over.
pub fn attempt_key(webhook: &str, number: u64) -> Id {
    compact_str::format_compact!("{}{:02}", attempts(webhook), number % ATTEMPTS)
}

/// What the keys of a webhook's dead letters begin with.
pub fn dead(webhook: &str) -> Id {
    compact_str::format_compact!("{webhook}/d")
}

/// An attempt to tell a webhook something. Nothing of what was said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// When, microseconds since 1970.
    pub time: u64,
    /// What had happened.
    pub event: HookEvent,
    /// Which time that it happened.
    pub event_id: Id,
    /// What came of it, in a word.
    pub outcome: Text,
    /// Which attempt it was.
    pub tries: u32,
    /// How long it took, in milliseconds.
    pub took: u64,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text>,
}

/// What a webhook was not told in time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// What it was to be told.
    pub hook: Hook,
    /// The stream that it is of.
    pub stream: Id,
    /// When it was given up, microseconds since 1970.
    pub died: u64,
    /// Why the last attempt failed.
    pub reason: Text,
}

impl DeadLetter {
    /// Its id among those of its webhook.
    pub fn id(&self) -> Id {
        compact_str::format_compact!("{:016}.{}", self.died, self.hook.event_id)
    }

    /// The key of its row.
    pub fn key(&self) -> Id {
        dead(&self.hook.webhook) + &self.id()
    }
}

/// What a queue tells an audience's conversation, for webhooks: that somebody asked for it, or does no more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    /// The realm.
    pub realm: Id,
    /// The queue.
    pub queue: Id,
    /// The audience.
    pub audience: Id,
    /// What has happened.
    pub event: HookEvent,
    /// The queue's record that says so: what comes twice is told by it.
    pub seq: u64,
    /// The queue's record by which they wait: there is what they said.
    pub request: u64,
    /// Since when they wait, microseconds since 1970.
    pub since: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn names_are_those_that_are_stored() {
        for event in HookEvent::WANTED.into_iter().chain([HookEvent::WebhookVerification]) {
            assert_eq!(json!(event), event.name());
        }
        assert_eq!(HookEvent::named("webhook_verification"), None, "nobody asks for a challenge");
        assert_eq!(HookEvent::named("message_sent"), Some(HookEvent::MessageSent));
        assert_eq!(
            (json!(Format::Wrapped), Format::named("wrapped")),
            (json!("wrapped"), Some(Format::Wrapped))
        );
    }

    #[test]
    fn a_webhook_gets_what_it_wants_of_its_queue_from_its_first_activity_on() {
        let hook = |queue: Option<&str>, collects| Webhook {
            events: BTreeSet::from([HookEvent::MessageSent]),
            queue: queue.map(Into::into),
            collects,
            ..Webhook::default()
        };
        let hooks = Webhooks(BTreeMap::from([
            ("all".into(), hook(None, true)),
            ("one".into(), hook(Some("q"), true)),
            ("new".into(), hook(None, false)),
        ]));
        let told = |event, queue: Option<&str>| {
            let queue = queue.map(Id::from);
            hooks.that_want(event, queue.as_ref()).cloned().collect::<Vec<_>>()
        };
        assert_eq!(told(HookEvent::MessageSent, Some("q")), ["all", "one"]);
        assert_eq!(told(HookEvent::MessageSent, Some("r")), ["all"]);
        assert_eq!(told(HookEvent::MessageSent, None), ["all"]);
        assert!(told(HookEvent::AudienceAccepted, Some("q")).is_empty());
    }
}
