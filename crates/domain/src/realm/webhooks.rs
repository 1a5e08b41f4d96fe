//! What a realm decides about its webhooks: its operators make, see, change, test and delete them.
//!
//! Nothing is told to a URL that has not answered a challenge. The challenge goes out as all that webhooks are told,
//! and what came of it is ordered of the realm.

use super::{Decision, Realm, RealmRecord};
use crate::hook::{Format, Hook, HookEvent, Webhook};
use crate::machine::{Actor, Answer, Emit, Machine, Moment, Step};
use crate::rights::Right;
use levee_proto::actions::webhook::{CreateWebhook, UpdateWebhook};
use levee_proto::{ErrorType, Id, Object, Rejection, Text, WebhookAction, events, ids, limits};
use serde_json::json;
use std::collections::BTreeSet;

#[cfg(test)]
mod tests;

/// A webhook as it is from now on, as records tell it.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct WebhookPut {
    /// Its id.
    pub id: Id,
    /// As it is.
    pub webhook: Webhook,
    /// Whether it is new.
    #[serde(default)]
    pub new: bool,
    /// Who did it; nobody if its URL has answered, or did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Id>,
}

/// A webhook as operators see it.
pub(super) fn shown(realm: &Id, webhook: &Webhook) -> Object {
    let all = [
        ("url", Some(json!(webhook.url))),
        ("events", Some(json!(webhook.events))),
        ("format", Some(json!(webhook.format))),
        ("state", Some(json!(webhook.state()))),
        ("aud", Some(json!(aud(realm)))),
        ("queue_id", webhook.queue.as_ref().map(|id| json!(id))),
        ("reason", webhook.failure.as_ref().map(|reason| json!(reason))),
    ];
    all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// For whom what webhooks of a realm are told is meant.
pub fn aud(realm: &Id) -> Text {
    compact_str::format_compact!("realm:{realm}")
}

fn absent(id: &Id) -> Rejection {
    let reason = format!("the realm has no webhook {}", id.chars().take(64).collect::<String>());
    Rejection::new(ErrorType::WebhookNotFound).because(reason)
}

fn checked_url(url: Text) -> Result<Text, Rejection> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    // Where it leads is looked at each time that something goes there.
    let fits = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && url.len() <= limits::URL_BYTES
        && url.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(url)
    } else {
        Err(Rejection::malformed("url is https://HOST/…, of at most 2048 characters"))
    }
}

fn checked_events(names: &[Text]) -> Result<BTreeSet<HookEvent>, Rejection> {
    let event = |name: &Text| {
        HookEvent::named(name).ok_or_else(|| {
            let known = HookEvent::WANTED.map(HookEvent::name).join(", ");
            Rejection::malformed(format!("events are some of {known}"))
        })
    };
    match names.iter().map(event).collect::<Result<BTreeSet<_>, _>>()? {
        events if events.is_empty() => Err(Rejection::malformed("events are none")),
        events => Ok(events),
    }
}

fn checked_format(name: Option<&Text>) -> Result<Option<Format>, Rejection> {
    let format =
        |name: &Text| Format::named(name).ok_or_else(|| Rejection::malformed("format is default or wrapped"));
    name.map(format).transpose()
}

impl Realm {
    pub(super) fn keep_webhooks(&self, at: &Moment<'_>, actor: &Actor, action: WebhookAction) -> Decision {
        let absent_realm = || Rejection::new(ErrorType::RealmNotFound).about("realm_id", at.id);
        if !self.exists() {
            return Err(absent_realm());
        }
        self.allow(at, self.standing(&actor.user), Right::ManageWebhooks)?;
        match action {
            WebhookAction::CreateWebhook(create) => self.create_webhook(at, actor, create),
            WebhookAction::DescribeWebhooks(describe) => {
                let some = describe.webhook_id.as_ref();
                if let Some(id) = some {
                    self.webhook(id)?;
                }
                let wanted = self.webhooks.0.iter().filter(|(id, _)| some.is_none_or(|some| some == *id));
                let webhooks =
                    wanted.map(|(id, webhook)| (id.to_string(), shown(at.id, webhook).into())).collect();
                Ok(Step::emit(Answer::event(&events::WebhooksFound { realm_id: at.id.clone(), webhooks })))
            }
            WebhookAction::UpdateWebhook(update) => self.update_webhook(at, actor, update),
            WebhookAction::DeleteWebhook(delete) => {
                self.webhook(&delete.webhook_id)?;
                let (id, by) = (delete.webhook_id, actor.user.clone());
                let emits = Self::attempts_forgotten(&id).collect();
                Ok(Step { records: vec![RealmRecord::WebhookDeleted { id, by }], emits })
            }
            WebhookAction::TestWebhook(test) => {
                let webhook = self.webhook(&test.webhook_id)?.clone();
                Ok(challenge(at, actor, test.webhook_id, webhook, false))
            }
            WebhookAction::DescribeWebhookDeliveries(describe) => {
                self.webhook(&describe.webhook_id)?;
                self.describe_deliveries(at, describe.webhook_id)
            }
            WebhookAction::ReplayWebhook(replay) => {
                self.webhook(&replay.webhook_id)?;
                self.replay(at, actor, replay)
            }
        }
    }

    fn webhook(&self, id: &Id) -> Result<&Webhook, Rejection> {
        self.webhooks.get(id).ok_or_else(|| absent(id))
    }

    fn create_webhook(&self, at: &Moment<'_>, actor: &Actor, create: CreateWebhook) -> Decision {
        if self.webhooks.0.len() >= limits::WEBHOOKS {
            return Err(Rejection::denied()
                .because("the realm has too many webhooks")
                .about("realm_id", at.id));
        }
        if let Some(queue) = create.queue_id.as_ref().filter(|id| !self.queues.contains(*id)) {
            return Err(Rejection::new(ErrorType::QueueNotFound).about("queue_id", queue));
        }
        let webhook = Webhook {
            url: checked_url(create.url)?,
            events: checked_events(&create.events)?,
            format: checked_format(create.format.as_ref())?.unwrap_or_default(),
            queue: create.queue_id,
            ..Webhook::default()
        };
        let cause = actor
            .command()
            .map_or_else(|| format!("{} {}", at.now, at.seq), |command| command.action_id.to_string());
        let id = ids::part(at.id, &["webhook", &actor.session, &cause]);
        Ok(challenge(at, actor, id, webhook, true))
    }

    fn update_webhook(&self, at: &Moment<'_>, actor: &Actor, update: UpdateWebhook) -> Decision {
        let mut webhook = self.webhook(&update.webhook_id)?.clone();
        if let Some(events) = &update.events {
            webhook.events = checked_events(events)?;
        }
        webhook.format = checked_format(update.format.as_ref())?.unwrap_or(webhook.format);
        match update.url.map(checked_url).transpose()? {
            Some(url) if url != webhook.url => {
                (webhook.url, webhook.verified) = (url, false);
                Ok(challenge(at, actor, update.webhook_id, webhook, false))
            }
            _ => {
                let by = Some(actor.user.clone());
                let put = WebhookPut { id: update.webhook_id, webhook, new: false, by };
                Ok(Step::record(RealmRecord::WebhookPut(put)))
            }
        }
    }

    /// A URL has answered the challenge that began with a record, or did not.
    pub(super) fn challenged(&self, id: Id, challenge: u64, failure: Option<Text>) -> Step<RealmRecord> {
        let answer = Emit::Answer(Answer::Value(json!(null)));
        let Some(webhook) = self.webhooks.get(&id).filter(|webhook| webhook.challenge == Some(challenge))
        else {
            // It is not the one that is under way, or was told already.
            return Step::emit(answer);
        };
        let mut webhook = Webhook { challenge: None, failure, ..webhook.clone() };
        if webhook.failure.is_none() {
            (webhook.verified, webhook.collects) = (true, true);
        }
        let put = WebhookPut { id, webhook, new: false, by: None };
        Step::record(RealmRecord::WebhookPut(put)).and(answer)
    }
}

/// A webhook as it is from now on, with a challenge on its way to its URL.
fn challenge(at: &Moment<'_>, actor: &Actor, id: Id, webhook: Webhook, new: bool) -> Step<RealmRecord> {
    let seq = at.seq + 1;
    let hook = Hook::new(at.id, &id, HookEvent::WebhookVerification, (at.id, seq), at.now);
    let webhook = Webhook { challenge: Some(seq), failure: None, ..webhook };
    let put = WebhookPut { id, webhook, new, by: Some(actor.user.clone()) };
    Step::record(RealmRecord::WebhookPut(put)).and(Emit::Hook(hook))
}
