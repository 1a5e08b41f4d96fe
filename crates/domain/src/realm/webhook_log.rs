//! What a realm's operators see of what webhooks were told, and how they have told once more what was given up.
//!
//! Both are rows of the directory, written by whoever tells. What is to be told once more goes back to where it
//! came from, and takes its old place among what waits there.

use super::{Decision, Realm, RealmRecord};
use crate::hook::{self, ATTEMPTS, Attempt, DEAD, DELIVERIES, DeadLetter, Hook};
use crate::machine::{Actor, Answer, Claim, Emit, Moment, Step};
use crate::past::{Range, Rows, Wanted};
use crate::rights::Right;
use crate::view::{Kind, Stream};
use levee_proto::actions::webhook::ReplayWebhook;
use levee_proto::types::seconds;
use levee_proto::{ErrorType, Id, Object, Rejection, WebhookAction, events, ids};
use serde_json::json;

#[cfg(test)]
mod tests;

impl Realm {
    /// The rows that a decision about what a webhook was told looks at.
    pub(super) fn wants_deliveries(&self, actor: &Actor, action: &WebhookAction) -> Option<Wanted> {
        let range = |prefix: Id, limit| Range { prefix, after: Id::default(), limit };
        let (webhook, ranges) = match action {
            WebhookAction::DescribeWebhookDeliveries(describe) => {
                let id = &describe.webhook_id;
                (id, vec![range(hook::attempts(id), ATTEMPTS as usize), range(hook::dead(id), DEAD)])
            }
            WebhookAction::ReplayWebhook(replay) => {
                let id = &replay.webhook_id;
                let all = || vec![range(hook::dead(id), DEAD + 1)];
                let one = |delivery: &Id| range(hook::dead(id) + delivery, 1);
                (
                    id,
                    replay
                        .delivery_ids
                        .as_ref()
                        .map_or_else(all, |some| some.iter().take(DEAD).map(one).collect()),
                )
            }
            WebhookAction::CreateWebhook(_)
            | WebhookAction::DescribeWebhooks(_)
            | WebhookAction::UpdateWebhook(_)
            | WebhookAction::DeleteWebhook(_)
            | WebhookAction::TestWebhook(_) => return None,
        };
        let may = self.standing(&actor.user).may(Right::ManageWebhooks);
        let known = self.webhooks.get(webhook).is_some();
        (may && known).then(|| Wanted::Rows(Rows { namespace: DELIVERIES, ranges }))
    }

    pub(super) fn describe_deliveries(&self, at: &Moment<'_>, webhook_id: Id) -> Decision {
        let rows = || at.past.iter().flat_map(|past| &past.rows);
        let read = |(key, value): &(Id, bytes::Bytes)| {
            let is_attempt = key.starts_with(hook::attempts(&webhook_id).as_str());
            is_attempt.then(|| serde_json::from_slice::<Attempt>(value).ok()).flatten()
        };
        let mut attempts: Vec<Attempt> = rows().filter_map(read).collect();
        attempts.sort_by_key(|attempt| std::cmp::Reverse(attempt.time));
        let dead = letters(at).map(|(_, letter)| {
            shown(&[
                ("delivery_id", json!(letter.id())),
                ("event", json!(letter.hook.event)),
                ("event_id", json!(letter.hook.event_id)),
                ("event_time", json!(seconds(letter.hook.time))),
                ("time", json!(seconds(letter.died))),
                ("tries", json!(letter.hook.tries)),
                ("reason", json!(letter.reason)),
            ])
        });
        let attempts = attempts.into_iter().map(|attempt| {
            shown(&[
                ("event", json!(attempt.event)),
                ("event_id", json!(attempt.event_id)),
                ("time", json!(seconds(attempt.time))),
                ("outcome", json!(attempt.outcome)),
                ("tries", json!(attempt.tries)),
                ("milliseconds", json!(attempt.took)),
                ("reason", json!(attempt.reason)),
            ])
        });
        Ok(Step::emit(Answer::event(&events::WebhookDeliveriesFound {
            attempts: attempts.collect(),
            dead: dead.collect(),
            realm_id: at.id.clone(),
            webhook_id,
        })))
    }

    pub(super) fn replay(&self, at: &Moment<'_>, actor: &Actor, replay: ReplayWebhook) -> Decision {
        if replay.delivery_ids.as_ref().is_some_and(|some| some.len() > DEAD) {
            return Err(Rejection::malformed(format!("delivery_ids are at most {DEAD}")));
        }
        let mut letters: Vec<_> = letters(at).collect();
        if let Some(wanted) = &replay.delivery_ids
            && let Some(strange) =
                wanted.iter().find(|id| letters.iter().all(|(_, letter)| letter.id() != **id))
        {
            let reason = format!("nothing is called {}", strange.chars().take(64).collect::<String>());
            return Err(Rejection::malformed(reason));
        }
        let more = letters.len() > DEAD;
        letters.truncate(DEAD);
        let (id, by, deliveries) = (replay.webhook_id, actor.user.clone(), letters.len() as u64);
        let mut step = Step::record(RealmRecord::WebhookReplayed { id, deliveries, more, by });
        for (key, letter) in letters {
            step.emits.push(forgotten(key));
            let hook = Hook { tries: 0, since: Some(at.now), ..letter.hook };
            let to = Stream::from_key(&letter.stream);
            // The shard is known by the id: what can't be one of ours has none.
            let to = to.filter(|to| to.kind == Kind::Conversation && ids::shard(&to.id).is_some());
            step.emits.extend(to.map(|to| Emit::Forward(to, json!({"Replay": hook}))));
        }
        Ok(step)
    }

    /// Forgets the attempts of a webhook that is deleted. Its dead letters are forgotten in time.
    pub(super) fn attempts_forgotten(webhook: &Id) -> impl Iterator<Item = Emit> {
        (0..ATTEMPTS).map(move |number| forgotten(hook::attempt_key(webhook, number)))
    }
}

/// The dead letters that were read for the decision.
fn letters<'a>(at: &'a Moment<'_>) -> impl Iterator<Item = (Id, DeadLetter)> + 'a {
    let rows = at.past.iter().flat_map(|past| &past.rows);
    rows.filter_map(|(key, value)| {
        let letter: DeadLetter = serde_json::from_slice(value).ok()?;
        (letter.key() == *key).then(|| (key.clone(), letter))
    })
}

fn forgotten(key: Id) -> Emit {
    Emit::Claim(Claim {
        namespace: DELIVERIES,
        key,
        value: None,
        absent: false,
        refusal: Rejection::new(ErrorType::Internal),
    })
}

fn shown(all: &[(&str, serde_json::Value)]) -> Object {
    let present = all.iter().filter(|(_, value)| !value.is_null());
    present.map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}
