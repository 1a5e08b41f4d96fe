//! Nonces that expired: nobody could spend them again, so that they need not be remembered.

use crate::hub::Hub;
use levee_domain::found::{NONCES, Nonce};
use levee_store::{Commit, DirectoryChange, Expect, StoreError};
use std::rc::Rc;

/// How many are removed by one commit.
const AT_ONCE: usize = 500;
/// How many ticks pass between two looks.
const TICKS: u64 = 300;
/// How long after its time a nonce is still remembered: another node's clock may be behind.
const LEEWAY: u64 = 60 * 60 * 1_000_000;
/// The shard whose owner looks.
const SHARD: u16 = 0;

impl Hub {
    /// Looks after them, where it is this hub's turn.
    pub(crate) fn look_at_nonces(self: &Rc<Self>) {
        let here = self.shared.arbiter(SHARD) == self.seat.arbiter;
        if !here || !self.ticks.get().is_multiple_of(TICKS) {
            return;
        }
        let hub = self.clone();
        actix::spawn(async move {
            match hub.forget_nonces(crate::now()).await {
                Ok(0) => {}
                Ok(count) => tracing::debug!(count, "nonces had expired"),
                Err(error) => tracing::warn!(%error, "expired nonces were not removed; trying again later"),
            }
        });
    }

    /// Removes nonces that have long expired at a time; how many.
    ///
    /// # Errors
    /// What the store says.
    pub async fn forget_nonces(&self, now: u64) -> Result<usize, StoreError> {
        let mut count = 0;
        while let Some(epoch) = self.placement().epoch(SHARD, &self.shared.node) {
            let mut rows = self.shared.store.list(NONCES, "", "", AT_ONCE).await?;
            let read = rows.len();
            let until = Nonce::until(now.saturating_sub(LEEWAY));
            rows.retain(|row| row.key.as_str() < until.as_str());
            let expired = rows.len();
            if expired > 0 {
                let directory = rows.into_iter().map(|row| DirectoryChange {
                    namespace: NONCES.into(),
                    key: row.key,
                    expect: Expect::Any,
                    value: None,
                });
                let commit =
                    Commit { shard: SHARD, epoch, directory: directory.collect(), ..Commit::default() };
                self.shared.store.commit(commit).await?;
                count += expired;
            }
            if expired < read || read < AT_ONCE {
                break;
            }
        }
        Ok(count)
    }
}
