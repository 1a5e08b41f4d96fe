//! How a lane goes on: one telling after the other, until one fails or all are told.

use super::render::Replay;
use super::{Answered, Call, Next, body, webhook_of};
use crate::hub::Hub;
use levee_domain::hook::{DeadLetter, Hook, HookEvent, Webhook};
use levee_domain::realm::{Realm, aud};
use levee_domain::view::Stream;
use levee_proto::Id;
use levee_store::{AgendaChange, AgendaItem, Commit, DirectoryChange, Epoch, StoreError};
use serde_json::{Value, json};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How many tellings a lane gets on with before it is another one's turn.
const BURST: usize = 32;
/// How long one waits at most after the first failure; twice as long after each further one, up to the longest.
const AGAIN: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(1_800);
/// For how long a receiver may ask not to be told anything.
const ASKED: u64 = 3_600;
/// After how long it is looked again at something that this side is not ready for.
const UNREADY: Duration = Duration::from_secs(1);
/// How often it is looked whether a URL has answered the challenge, at least.
const UNVERIFIED: Duration = Duration::from_secs(20);
/// For how many seconds a signature holds.
pub(super) const HOLDS: u64 = 300;
/// Bytes of a reason.
const REASON: usize = 200;
/// For whom a receiver answers a challenge, as the document has it.
const CHALLENGER: &str = "https://ninchat.com";

/// What has become of a telling.
enum Told {
    /// It is settled, in a word.
    Done(&'static str),
    /// It failed; the receiver may have said when it wants to be asked again.
    Failed(String, Option<u64>),
    /// This side is not ready; it is tried again at this time.
    Unready(u64),
}

/// The time after a while.
fn after(wait: Duration) -> u64 {
    crate::now() + wait.as_micros() as u64
}

/// How long to wait after so many failures: anything up to a bound that doubles, so that those who failed together
/// don't come again together.
fn wait(tries: u32) -> Duration {
    let most = AGAIN.saturating_mul(2u32.saturating_pow(tries)).min(LONGEST);
    most.mul_f64(rand::random::<f64>())
}

fn cut(mut reason: String) -> String {
    while reason.len() > REASON {
        reason.pop();
    }
    reason
}

impl Hub {
    /// Goes on with a lane.
    pub(super) async fn go_on(self: &Rc<Self>, webhook: &Id, stream: &Stream) -> Next {
        let (mut told, mut replay) = (0, Replay::default());
        loop {
            self.hooks.reads(webhook, stream);
            let epoch_now = || self.placement().epoch(stream.shard(), &self.shared.node);
            let Some(epoch) = epoch_now() else {
                // Its new owner has it on the agenda.
                return Next::Over;
            };
            let mut rows = match self.store().open(&stream.key()).await {
                Ok(rows) => rows,
                Err(error) => {
                    tracing::warn!(%error, %stream, "what a webhook is to be told can't be read");
                    return Next::At(after(UNREADY));
                }
            };
            rows.retain(|row| webhook_of(row) == Some(webhook.as_str()));
            rows.sort_by(|a, b| a.key.cmp(&b.key));
            if rows.is_empty() {
                return Next::Over;
            }
            for row in rows {
                if epoch_now() != Some(epoch) {
                    // The shard was elsewhere meanwhile, or is: what was read may have been told there.
                    return Next::At(crate::now());
                }
                if !self.shared.has_lease() {
                    return Next::At(after(UNREADY / 4));
                }
                if row.due > crate::now() && !self.hooks.is_back(webhook) {
                    return Next::At(row.due);
                }
                if told == BURST {
                    return Next::At(crate::now());
                }
                told += 1;
                if let Some(next) = self.go_on_with(stream, epoch, row, &mut replay).await {
                    return next;
                }
            }
        }
    }

    /// Tells one thing. `None` if the one behind it is next.
    async fn go_on_with(
        self: &Rc<Self>,
        stream: &Stream,
        epoch: Epoch,
        row: AgendaItem,
        replay: &mut Replay,
    ) -> Option<Next> {
        let hook = match serde_json::from_slice::<Hook>(&row.body) {
            Ok(hook) => hook,
            Err(error) => {
                tracing::error!(%error, %stream, key = %row.key, "a telling on the agenda can't be read");
                return Some(Next::At(after(LONGEST)));
            }
        };
        let began = Instant::now();
        let told = self.tell(stream, &hook, replay).await;
        let note = |outcome, reason| {
            self.shared.metrics.hooks.with_label_values(&[outcome]).inc();
            self.attempt(&hook, outcome, reason, began.elapsed())
        };
        match told {
            Told::Done(outcome) => self
                .write_down(stream, epoch, AgendaChange::Remove { key: row.key }, vec![note(outcome, None)])
                .await
                .err(),
            Told::Unready(at) => Some(Next::At(at)),
            Told::Failed(reason, retry_after) => {
                let tries = hook.tries + 1;
                if self.is_hopeless(&hook) {
                    tracing::error!(%stream, webhook = %hook.webhook, tries, reason, "a webhook was not told for too long");
                    let attempt = note("dead", Some(&reason));
                    let hook = Hook { tries, key: Some(row.key.clone()), ..hook };
                    let (stream_key, reason) = (stream.key(), reason.into());
                    let dead = DeadLetter { hook, stream: stream_key, died: crate::now(), reason };
                    let rows = vec![attempt, self.dead(&dead)];
                    let remove = AgendaChange::Remove { key: row.key };
                    return self.write_down(stream, epoch, remove, rows).await.err();
                }
                let attempt = note("deferred", Some(&reason));
                let asked = Duration::from_secs(retry_after.unwrap_or_default().min(ASKED));
                let due = after(wait(hook.tries).max(asked));
                tracing::warn!(%stream, webhook = %hook.webhook, tries, reason, "a webhook was not told yet");
                let body = body(&Hook { tries, ..hook });
                let put = AgendaChange::Put { key: row.key, due, body };
                Some(self.write_down(stream, epoch, put, vec![attempt]).await.err().unwrap_or(Next::At(due)))
            }
        }
    }

    /// Writes what has become of a telling. It is tried as long as the shard is here: what is not written down
    /// happens once more, wherever it is by then.
    async fn write_down(
        &self,
        stream: &Stream,
        epoch: Epoch,
        change: AgendaChange,
        rows: Vec<DirectoryChange>,
    ) -> Result<(), Next> {
        let shard = stream.shard();
        loop {
            let agenda = vec![change.clone()];
            let directory = rows.clone();
            let commit =
                Commit { shard, epoch, stream: stream.key(), agenda, directory, ..Commit::default() };
            match self.store().commit(commit).await {
                Ok(()) => return Ok(()),
                // Whoever owns it now has it on the agenda.
                Err(StoreError::Fenced { .. }) => return Err(Next::Over),
                Err(error) => {
                    tracing::warn!(%error, %stream, "what a webhook was told is not written down yet");
                    tokio::time::sleep(UNREADY).await;
                }
            }
        }
    }

    async fn tell(self: &Rc<Self>, stream: &Stream, hook: &Hook, replay: &mut Replay) -> Told {
        let challenge = hook.event == HookEvent::WebhookVerification;
        // What was decided within the last second, such as a new tag, belongs to it.
        let at_once = challenge || hook.event == HookEvent::AudienceComplete;
        let realm = match self.realm_as_it_is(&hook.realm, at_once).await {
            Ok(realm) => realm,
            Err(error) => {
                tracing::warn!(%error, %stream, "the realm of a webhook can't be read");
                return Told::Unready(after(UNREADY));
            }
        };
        let realm = &realm.machine;
        let Some(webhook) = realm.webhooks.get(&hook.webhook) else { return Told::Done("gone") };
        if challenge {
            return self.challenge(hook, webhook).await;
        }
        if !webhook.verified {
            return match self.is_hopeless(hook) {
                true => Told::Failed("the URL has not answered the challenge".into(), None),
                false => Told::Unready(after(UNVERIFIED.mul_f64(0.5 + rand::random::<f64>() / 2.0))),
            };
        }
        let said = match self.said(stream, hook, realm, replay).await {
            Ok(Some(said)) => said,
            Ok(None) => return Told::Done("erased"),
            Err(error) => {
                tracing::warn!(%error, %stream, "what a webhook is to be told can't be read");
                return Told::Unready(after(UNREADY));
            }
        };
        let answer = match self.call_out(hook, webhook, Some(&hook.event_id), said).await {
            Err(unready) => return unready,
            Ok(answer) => answer,
        };
        let told = match answer {
            Ok(Answered { status: 200..=204, .. }) => Told::Done("delivered"),
            Ok(answered) => Told::Failed(format!("the status is {}", answered.status), answered.retry_after),
            Err(reason) => Told::Failed(cut(reason), None),
        };
        self.hooks.note(&hook.webhook, matches!(told, Told::Done(_)));
        told
    }

    /// Whether it is given up if it fails once more.
    fn is_hopeless(&self, hook: &Hook) -> bool {
        hook.age(crate::now()) >= self.shared.options.hook_give_up.as_micros() as u64
    }

    async fn realm_as_it_is(
        &self,
        id: &Id,
        at_once: bool,
    ) -> Result<Rc<levee_domain::Entity<Realm>>, StoreError> {
        let mut known = self.realms.fresh(id).filter(|_| !at_once);
        while known.is_none() {
            self.realms.refresh(&*self.shared.store, id).await?;
            known = self.realms.fresh(id);
        }
        known.ok_or_else(|| StoreError::Damaged("no realm".into()))
    }

    /// Calls a receiver: its answer, or why there is none.
    async fn call_out(
        &self,
        hook: &Hook,
        webhook: &Webhook,
        event_id: Option<&str>,
        body: Value,
    ) -> Result<Result<Answered, String>, Told> {
        let now = crate::now();
        let keys = self.signing_keys().await;
        let key = keys.as_ref().ok().and_then(|keys| keys.signs(now));
        let (Some(caller), Some(key)) = (&self.shared.options.caller, key) else {
            tracing::warn!(error = ?keys.as_ref().err(), "there is no key to sign webhooks with");
            return Err(Told::Unready(after(UNREADY)));
        };
        let call = Call {
            url: &webhook.url,
            format: webhook.format,
            key,
            aud: &aud(&hook.realm),
            exp: now / 1_000_000 + HOLDS,
            event: hook.event.name(),
            event_id,
            body,
        };
        Ok(caller.call(call).await)
    }

    /// Sends a challenge, once: whoever wants it again asks for it.
    async fn challenge(self: &Rc<Self>, hook: &Hook, webhook: &Webhook) -> Told {
        if webhook.challenge != Some(hook.seq) {
            return Told::Done("outdated");
        }
        let answer = match self.call_out(hook, webhook, None, json!(hook.event_id)).await {
            Err(unready) => return unready,
            Ok(answer) => answer,
        };
        let failure = answer.map_err(cut).and_then(|answered| check(&answered, &hook.event_id)).err();
        let order =
            json!({"Challenged": {"webhook": hook.webhook, "challenge": hook.seq, "failure": failure}});
        if let Err(error) = self.ask(Stream::realm(&hook.realm), order).await {
            tracing::warn!(%error, webhook = %hook.webhook, "what became of a challenge was not taken in yet");
            return Told::Unready(after(UNREADY));
        }
        if failure.is_some() {
            return Told::Done("not_verified");
        }
        self.hooks.wake(&hook.webhook);
        Told::Done("verified")
    }
}

/// Checks the answer to a challenge.
fn check(answered: &Answered, challenge: &str) -> Result<(), String> {
    if !matches!(answered.status, 200 | 203) {
        return Err(format!("the status is {}", answered.status));
    }
    let kind = answered.content_type.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err("the answer is not application/json".into());
    }
    let body: Option<Value> = answered.body.as_ref().and_then(|body| serde_json::from_slice(body).ok());
    let body = body.unwrap_or_default();
    if body["aud"] != CHALLENGER {
        return Err(format!("the answer's aud is not {CHALLENGER}"));
    }
    if body["webhook_verification"] != challenge {
        return Err("the answer does not repeat webhook_verification".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_answered_by_repeating_it_and_nothing_else() {
        let answer = |status, content_type: &str, body: Value| Answered {
            status,
            content_type: content_type.into(),
            body: Some(body.to_string().into()),
            ..Answered::default()
        };
        let right = json!({"aud": CHALLENGER, "webhook_verification": "x", "more": 1});
        for (answered, fits) in [
            (answer(200, "application/json", right.clone()), true),
            (answer(203, "Application/JSON; charset=utf-8", right.clone()), true),
            (answer(201, "application/json", right.clone()), false),
            (answer(204, "application/json", right.clone()), false),
            (answer(302, "application/json", right.clone()), false),
            (answer(200, "text/html", right.clone()), false),
            (answer(200, "application/json", json!({"aud": CHALLENGER, "webhook_verification": "y"})), false),
            (answer(200, "application/json", json!({"webhook_verification": "x"})), false),
            (answer(200, "application/json", json!("x")), false),
            (Answered { body: None, ..answer(200, "application/json", right) }, false),
        ] {
            assert_eq!(check(&answered, "x").is_ok(), fits, "{answered:?}");
        }
    }

    #[test]
    fn one_waits_by_lot_up_to_a_bound_that_doubles_and_ends() {
        for (tries, most) in
            [(0, 1), (1, 2), (5, 32), (10, 1_024), (11, 1_800), (40, 1_800), (u32::MAX, 1_800)]
        {
            let most = Duration::from_secs(most);
            let waits: Vec<_> = (0..200).map(|_| wait(tries)).collect();
            assert!(waits.iter().all(|wait| *wait <= most), "{tries}");
            let (low, high) = (most.mul_f64(0.25), most.mul_f64(0.75));
            assert!(waits.iter().any(|wait| *wait < low) && waits.iter().any(|wait| *wait > high), "{tries}");
        }
    }

    #[test]
    fn a_reason_is_cut_between_letters() {
        assert_eq!(cut("ä".repeat(REASON)).len(), REASON);
        assert_eq!(cut(format!("x{}", "ä".repeat(REASON))).len(), REASON - 1);
    }
}
