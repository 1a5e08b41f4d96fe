//! The agenda: forwards are written with the commit that causes them, and removed once confirmed.

use crate::hub::Hub;
use crate::letter::Job;
use levee_domain::view::Stream;
use levee_store::Shard;
use std::collections::BTreeSet;
use std::rc::Rc;

/// How many items of a shard are looked at when it is taken over.
const PAGE: usize = 10_000;

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

    /// Wakes every entity of some shards that has something left to do.
    pub(crate) async fn resume_agenda(self: Rc<Self>, shards: Vec<Shard>) {
        for shard in shards {
            match self.shared.store.due(shard, u64::MAX, PAGE).await {
                Ok(items) => {
                    let streams: BTreeSet<_> = items.into_iter().map(|item| item.stream).collect();
                    for stream in streams.iter().filter_map(|key| Stream::from_key(key)) {
                        self.route(stream, Job::Wake);
                    }
                }
                Err(error) => tracing::error!(%error, shard, "the agenda can't be read"),
            }
        }
    }
}
