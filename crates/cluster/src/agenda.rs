//! What must still happen after somebody was gone: forwards and timers that are on the agenda, and sessions
//! that nobody comes back to.

use crate::entity::timers;
use crate::hub::Hub;
use crate::letter::Job;
use crate::session::SessionRow;
use crate::{hooks, outbox};
use levee_domain::user::SESSIONS;
use levee_domain::view::{Kind, Stream};
use levee_proto::Id;
use levee_store::{AgendaItem, Shard};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

/// How many items of a shard's agenda one read brings.
const PAGE: usize = 10_000;
/// After how long it is tried again to read an agenda.
const DUE_AGAIN: Duration = Duration::from_secs(1);
/// How many session rows one read brings.
const ROWS: usize = 500;

impl Hub {
    /// Removes confirmed forwards from the agenda, many at once.
    pub(crate) fn save_confirmed(self: &Rc<Self>) {
        let items = std::mem::take(&mut *self.confirmed.borrow_mut());
        if items.is_empty() {
            return;
        }
        let store = self.store();
        actix::spawn(async move {
            if let Err(error) = store.done(items).await {
                // They will be forwarded once more after a restart, which their receivers recognise.
                tracing::warn!(%error, "confirmed forwards stay on the agenda");
            }
        });
    }

    /// Wakes the entities whose timers are due.
    pub(crate) fn ring_timers(self: &Rc<Self>) {
        let now = crate::now();
        let due = {
            let mut timers = self.timers.borrow_mut();
            let later = timers.split_off(&(now + 1, Stream::new(Kind::User, "")));
            std::mem::replace(&mut *timers, later)
        };
        for (_, stream) in due {
            // Those of shards that went elsewhere are their new owner's matter.
            if self.placement().epoch(stream.shard(), &self.shared.node).is_some() {
                self.route(stream, Job::Wake);
            }
        }
    }

    /// Wakes every entity of some shards that has something left to do.
    pub(crate) async fn resume_agenda(self: Rc<Self>, shards: Vec<Shard>) {
        for shard in shards {
            let mut since = 0;
            loop {
                let Some(items) = self.due(shard, since).await else {
                    tracing::debug!(shard, "the shard went elsewhere before its agenda was read");
                    break;
                };
                // There may be more: a receiver of webhooks may be away for days.
                let more = (items.len() == PAGE).then(|| items.last().map(|item| item.due)).flatten();
                self.take_up(items);
                let Some(last) = more else { break };
                if last == since {
                    self.shared.metrics.drop("agenda_page");
                    tracing::error!(shard, "of what is due at one time, {PAGE} items are taken up");
                }
                since = if last == since { last + 1 } else { last };
            }
        }
    }

    /// Takes up what the agenda lists.
    fn take_up(self: &Rc<Self>, items: Vec<AgendaItem>) {
        let (mails, items): (Vec<_>, Vec<_>) = items.into_iter().partition(outbox::is_mail);
        self.take_up_mails(mails);
        let (hooks, items): (Vec<_>, Vec<_>) = items.into_iter().partition(hooks::is_hook);
        self.take_up_hooks(&hooks);
        let (timers, rest): (Vec<_>, Vec<_>) = items.into_iter().partition(timers::is_timer);
        let set = |item: AgendaItem| Some((item.due, Stream::from_key(&item.stream)?));
        self.timers.borrow_mut().extend(timers.into_iter().filter_map(set));
        let streams: BTreeSet<_> = rest.into_iter().map(|item| item.stream).collect();
        for stream in streams.iter().filter_map(|key| Stream::from_key(key)) {
            self.route(stream, Job::Wake);
        }
    }

    /// What is on a shard's agenda from a time on; `None` if the shard is another node's.
    async fn due(&self, shard: Shard, since: u64) -> Option<Vec<AgendaItem>> {
        loop {
            match self.shared.store.due(shard, since..=u64::MAX, PAGE).await {
                Ok(items) => return Some(items),
                Err(error) => {
                    tracing::warn!(%error, shard, "the agenda can't be read; trying again");
                    self.placement().epoch(shard, &self.shared.node)?;
                    tokio::time::sleep(DUE_AGAIN).await;
                }
            }
        }
    }

    /// Ends those sessions of some shards that live nowhere and that nobody resumes in time: their last
    /// node can't do it any more.
    pub(crate) async fn end_orphans(self: Rc<Self>, shards: Vec<Shard>) {
        let mut stored = match self.stored_sessions(&shards).await {
            Ok(stored) => stored,
            Err(error) => return tracing::error!(%error, "stored sessions can't be read"),
        };
        stored.retain(|(_, _, row)| !self.placement().is_live(&row.node));
        while !stored.is_empty() {
            tokio::time::sleep(self.shared.options.session_ttl).await;
            let mut again = Vec::new();
            for (session, version, row) in stored {
                if self.placement().epoch(row.shard, &self.shared.node).is_none() {
                    continue; // the shard's new owner looks after it
                }
                match self.session_row(&session).await {
                    // It came to life meanwhile, and may have left again.
                    Ok(Some((now, row))) if now != version && !self.placement().is_live(&row.node) => {
                        again.push((session, now, row));
                    }
                    Ok(Some((now, _))) if now == version => {
                        let order = serde_json::json!({"Leave": {"session": session}});
                        self.route(Stream::user(&row.user), Job::Tell(order));
                        // Many at once must not push live traffic aside.
                        tokio::task::yield_now().await;
                    }
                    Ok(_) => {}
                    Err(_) => again.push((session, version, row)),
                }
            }
            stored = again;
        }
    }

    async fn stored_sessions(
        &self,
        shards: &[Shard],
    ) -> Result<Vec<(Id, u64, SessionRow)>, levee_store::StoreError> {
        let mut found = Vec::new();
        let mut after = Id::default();
        loop {
            let entries = self.shared.store.list(SESSIONS, "", &after, ROWS).await?;
            let Some(last) = entries.last() else { return Ok(found) };
            after = last.key.clone();
            for entry in entries {
                let Ok(row) = serde_json::from_slice::<SessionRow>(&entry.value) else { continue };
                if shards.contains(&row.shard) {
                    found.push((entry.key, entry.version, row));
                }
            }
        }
    }
}
