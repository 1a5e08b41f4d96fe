//! What is kept of tellings: the last attempts of each webhook, and what was given up, for so long.

use crate::hub::Hub;
use bytes::Bytes;
use levee_domain::hook::{Attempt, DELIVERIES, DeadLetter, Hook, attempt_key};
use levee_proto::Id;
use levee_store::{Commit, DirectoryChange, Expect, StoreError};
use serde::Serialize;
use std::rc::Rc;
use std::time::Duration;

/// For how long what was given up is kept, in microseconds: 30 days.
const KEPT: u64 = 30 * 86_400 * 1_000_000;
/// How many rows are looked at at once.
const AT_ONCE: usize = 500;
/// How many ticks pass between two looks.
const TICKS: u64 = 3_600;
/// The shard whose owner looks.
const SHARD: u16 = 0;

fn row(key: Id, value: &impl Serialize) -> DirectoryChange {
    let value = serde_json::to_vec(value).ok().map(Bytes::from);
    DirectoryChange { namespace: DELIVERIES.into(), key, expect: Expect::Any, value }
}

impl Hub {
    /// The row of an attempt.
    pub(super) fn attempt(
        &self,
        hook: &Hook,
        outcome: &str,
        reason: Option<&String>,
        took: Duration,
    ) -> DirectoryChange {
        let number = self.hooks.attempts.get();
        self.hooks.attempts.set(number.wrapping_add(1));
        let attempt = Attempt {
            time: crate::now(),
            event: hook.event,
            event_id: hook.event_id.clone(),
            outcome: outcome.into(),
            tries: hook.tries + 1,
            took: took.as_millis() as u64,
            reason: reason.map(Into::into),
        };
        row(attempt_key(&hook.webhook, number), &attempt)
    }

    /// The row of what is given up.
    pub(super) fn dead(&self, letter: &DeadLetter) -> DirectoryChange {
        row(letter.key(), letter)
    }

    /// Looks after what was given up long ago, where it is this hub's turn.
    pub(crate) fn look_at_dead_letters(self: &Rc<Self>) {
        let here = self.shared.arbiter(SHARD) == self.seat.arbiter;
        if !here || !self.ticks.get().is_multiple_of(TICKS) {
            return;
        }
        let hub = self.clone();
        actix::spawn(async move {
            match hub.forget_dead_letters(crate::now()).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "what webhooks were not told is forgotten"),
                Err(error) => tracing::warn!(%error, "old dead letters were not removed; trying again later"),
            }
        });
    }

    /// Removes what was given up so long ago; how much.
    ///
    /// # Errors
    /// What the store says.
    pub async fn forget_dead_letters(&self, now: u64) -> Result<usize, StoreError> {
        let (mut count, mut after) = (0, Id::default());
        while let Some(epoch) = self.placement().epoch(SHARD, &self.shared.node) {
            let rows = self.shared.store.list(DELIVERIES, "", &after, AT_ONCE).await?;
            let all = rows.len() < AT_ONCE;
            after = rows.last().map(|row| row.key.clone()).unwrap_or_default();
            let old = |value: &[u8]| {
                let letter = serde_json::from_slice::<DeadLetter>(value);
                letter.is_ok_and(|letter| letter.died.saturating_add(KEPT) < now)
            };
            let old = rows.into_iter().filter(|row| old(&row.value));
            let directory: Vec<_> = old
                .map(|row| DirectoryChange {
                    namespace: DELIVERIES.into(),
                    key: row.key,
                    expect: Expect::Any,
                    value: None,
                })
                .collect();
            if !directory.is_empty() {
                count += directory.len();
                let commit = Commit { shard: SHARD, epoch, directory, ..Commit::default() };
                self.shared.store.commit(commit).await?;
            }
            if all {
                break;
            }
        }
        Ok(count)
    }
}
