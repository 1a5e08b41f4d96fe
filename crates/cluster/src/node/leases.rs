//! A node's leases: which shards it holds, who else is there, and what follows when that changes.

use super::Node;
use crate::hub::Run;
use crate::placement::rendezvous;
use bytes::Bytes;
use levee_store::{Commit, DirectoryChange, Expect, Key, SHARDS, Shard, StoreError};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// For how long a node without a lease keeps its sessions: a store that restarts is back before.
const SHED_AFTER: Duration = Duration::from_secs(7);

/// How often it is tried whether a full store has room again.
const FULL_AGAIN: Duration = Duration::from_secs(1);

/// How many bytes it must take.
const ROOM: usize = 64 * 1024;

impl Node {
    /// Renews the node's registration, and takes the shards that should be its own.
    pub(super) async fn renew(&self) -> Result<(), StoreError> {
        let shared = &self.shared;
        let asked = Instant::now();
        let live = shared.store.heartbeat(self.row(), shared.options.lease.as_millis() as u64).await?;
        if shared.lease.until(asked + shared.options.lease) {
            self.look_at_sessions();
        }
        // A node that drains keeps its shards until it has parted with its sessions.
        let names: Vec<Key> = live.iter().map(|row| row.node.clone()).collect();
        let deaf = live.iter().filter(|row| !row.heard && row.node != shared.node);
        if shared.post_office.set_others(deaf.map(|row| row.node.clone()).collect()) {
            // What they sent last may be lost.
            self.look_at_once();
        }
        let gone = shared.placement.meet(live);
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for shard in 0..SHARDS {
            let mine = rendezvous(shard, &names).is_some_and(|node| *node == shared.node);
            let held = shared.placement.epoch(shard, &shared.node).is_some();
            match (mine, held) {
                (true, false) => wanted.push(shard),
                (false, true) => unwanted.push(shard),
                _ => {}
            }
        }
        if !unwanted.is_empty() {
            shared.metrics.shard_moves.with_label_values(&["given"]).inc_by(unwanted.len() as u64);
            for shard in &unwanted {
                shared.placement.forget(*shard);
            }
            shared.store.release(&shared.node, &unwanted).await?;
        }
        let mut taken = Vec::new();
        if !wanted.is_empty() {
            let leases = shared.store.take(&shared.node, &wanted).await?;
            taken = shared.placement.learn(&leases);
            taken.retain(|shard| shared.placement.epoch(*shard, &shared.node).is_some());
            shared.metrics.shard_moves.with_label_values(&["taken"]).inc_by(taken.len() as u64);
        }
        // Those that were taken too: what their last owner had written, and could not tell any more, is told now.
        let mut changed = taken.clone();
        if names.len() > 1 || !unwanted.is_empty() {
            changed.extend(shared.placement.learn(&shared.store.leases().await?));
        }
        self.attach_again(changed);
        let owns = !shared.placement.of(&shared.node).is_empty();
        self.ready.store(owns && !self.is_draining(), Ordering::Relaxed);
        self.resume_agenda(taken);
        if !gone.is_empty() {
            self.end_orphans(&gone);
        }
        Ok(())
    }

    /// Has all hubs look which sessions went on elsewhere while the lease had run out.
    fn look_at_sessions(&self) {
        for hub in self.shared.hubs.get().into_iter().flatten() {
            let _ = hub.try_send(Run(Box::new(|hub| {
                actix::spawn(hub.look_at_sessions());
            })));
        }
    }

    /// Has all hubs look at the store at once: the way that letters go has changed.
    pub(super) fn look_at_once(&self) {
        for hub in self.shared.hubs.get().into_iter().flatten() {
            let _ = hub.try_send(Run(Box::new(|hub| hub.letters_lost())));
        }
    }

    /// Has all hubs ask how what they follow stands, at their next tick: letters may be lost.
    pub(crate) fn look_at_store(&self) {
        for flag in &self.shared.overflowed {
            flag.store(true, Ordering::Relaxed);
        }
    }

    /// Has all hubs follow the new owners of some shards.
    fn attach_again(&self, changed: Vec<Shard>) {
        if changed.is_empty() {
            return;
        }
        let changed: Arc<std::collections::HashSet<Shard>> = Arc::new(changed.into_iter().collect());
        for hub in self.shared.hubs.get().into_iter().flatten() {
            let changed = changed.clone();
            let run = Run(Box::new(move |hub| {
                let placement = &hub.shared.placement;
                hub.drop_entities(|s| changed.contains(&s) && placement.epoch(s, &hub.shared.node).is_none());
                hub.attach_all_again(|s| changed.contains(&s.shard()));
                // What waited for an owner need not wait for the next tick.
                hub.have_sessions_look();
                hub.release_held();
            }));
            let _ = hub.try_send(run);
        }
    }

    fn resume_agenda(&self, taken: Vec<Shard>) {
        if taken.is_empty() {
            return;
        }
        for (number, hub) in self.shared.hubs.get().into_iter().flatten().enumerate() {
            let shared = &self.shared;
            let own: Vec<_> =
                taken.iter().copied().filter(|s| usize::from(shared.arbiter(*s)) == number).collect();
            let _ = hub.try_send(Run(Box::new(move |hub| {
                actix::spawn(hub.clone().resume_agenda(own.clone()));
                actix::spawn(hub.end_orphans(own));
            })));
        }
    }

    /// Has the hubs look for sessions of nodes that are gone, and forget that these followed anything.
    fn end_orphans(&self, gone: &[Key]) {
        for (number, hub) in self.shared.hubs.get().into_iter().flatten().enumerate() {
            let own = self.shared.placement.of(&self.shared.node);
            let own = own.into_iter().filter(|s| usize::from(self.shared.arbiter(*s)) == number).collect();
            let gone = gone.to_vec();
            let _ = hub.try_send(Run(Box::new(move |hub| {
                hub.follows.forget(&gone);
                actix::spawn(hub.end_orphans(own));
            })));
        }
    }

    pub(super) fn keep_leases(&self) {
        let node = self.clone();
        let mut stopped = self.stop.subscribe();
        actix::spawn(async move {
            let mut renewed = Instant::now();
            loop {
                // While there is no room, each try looks whether there is some.
                let pause = match node.shared.is_full() {
                    true => FULL_AGAIN.min(node.shared.options.renew),
                    false => node.shared.options.renew,
                };
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = node.shared.renew_now.notified() => {}
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                }
                if node.shared.is_full() && node.has_room().await {
                    node.shared.set_full(false);
                }
                match node.renew().await {
                    Ok(()) => renewed = Instant::now(),
                    Err(error) => {
                        node.ready.store(false, Ordering::Relaxed);
                        tracing::error!(%error, "the lease was not renewed");
                        if renewed.elapsed() > node.shared.options.lease + SHED_AFTER {
                            node.shed();
                        }
                    }
                }
            }
        });
    }

    /// Whether the store takes more than a little, which is taken away again.
    async fn has_room(&self) -> bool {
        let shared = &self.shared;
        let Some(shard) = shared.placement.of(&shared.node).first().copied() else { return false };
        let Some(epoch) = shared.placement.epoch(shard, &shared.node) else { return false };
        let write = |value| {
            let row = DirectoryChange {
                namespace: "room".into(),
                key: shared.node.clone(),
                expect: Expect::Any,
                value,
            };
            shared.store.commit(Commit { shard, epoch, directory: vec![row], ..Commit::default() })
        };
        write(Some(Bytes::from_static(&[0; ROOM]))).await.is_ok() && write(None).await.is_ok()
    }

    /// Lets go of all sessions.
    fn shed(&self) {
        for hub in self.shared.hubs.get().into_iter().flatten() {
            let _ = hub.try_send(Run(Box::new(|hub| hub.shed())));
        }
    }
}
