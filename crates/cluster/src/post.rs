//! While the bus is away: letters go by the store, and what changed is looked up there.
//!
//! Each node says in its registration whether it hears itself on the bus. Letters from a node that does
//! not, and to one, go by the store's post; all nodes look for post while there is such a node. And once a
//! second they compare how far the shards have come, for a publish may get lost on either way.

use crate::hub::{Hub, Run};
use crate::node::Node;
use bytes::Bytes;
use levee_store::{Key, SHARDS, Shard};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How often it is looked for post.
const LOOK: Duration = Duration::from_millis(150);
/// How often the shards' positions are compared.
const COMPARE: Duration = Duration::from_secs(1);
/// For how long it is looked for post after all hear each other again: what is on its way arrives.
const AFTERWARDS: Duration = Duration::from_secs(10);
/// After how long streams are asked for once more that could not be asked for.
const HEADS_AGAIN: Duration = Duration::from_millis(500);
/// How many letters one look takes at most.
const AT_ONCE: usize = 2_000;
/// How many letters may wait to be posted.
const WAITING: usize = 65_536;
/// How many bytes of letters one statement carries, roughly.
const BYTES: usize = 4 << 20;

/// Letters that wait to be posted, and how the bus stands.
#[derive(Default)]
pub(crate) struct PostOffice {
    waiting: Mutex<Vec<(Key, Bytes)>>,
    more: Notify,
    /// This node does not hear itself.
    deaf: AtomicBool,
    /// Another node does not.
    others: Mutex<Vec<Key>>,
    any: AtomicBool,
}

impl PostOffice {
    /// Whether this node hears itself on the bus.
    pub(crate) fn hears(&self) -> bool {
        !self.deaf.load(Ordering::Relaxed)
    }

    /// Answers whether that is news.
    pub(crate) fn set_deaf(&self, deaf: bool) -> bool {
        self.deaf.swap(deaf, Ordering::Relaxed) != deaf
    }

    /// Which other nodes don't hear themselves. Answers whether that is news.
    pub(crate) fn set_others(&self, deaf: Vec<Key>) -> bool {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        self.any.store(!deaf.is_empty(), Ordering::Relaxed);
        if *others == deaf {
            return false;
        }
        *others = deaf;
        true
    }

    /// Whether letters to a node go by the store.
    pub(crate) fn serves(&self, node: &str) -> bool {
        if !self.hears() {
            return true;
        }
        self.any.load(Ordering::Relaxed)
            && self.others.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|other| other == node)
    }

    /// Whether anybody's letters go by the store.
    pub(crate) fn is_open(&self) -> bool {
        !self.hears() || self.any.load(Ordering::Relaxed)
    }

    /// Has a letter posted. False if too many wait.
    pub(crate) fn push(&self, node: &str, letter: Bytes) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= WAITING {
            return false;
        }
        waiting.push((node.into(), letter));
        drop(waiting);
        self.more.notify_one();
        true
    }

    fn take(&self) -> Vec<(Key, Bytes)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut bytes = 0;
        let fits = waiting.iter().take_while(|(_, letter)| {
            bytes += letter.len();
            bytes <= BYTES || bytes == letter.len()
        });
        let count = fits.count();
        waiting.drain(..count).collect()
    }
}

impl Node {
    /// Posts letters, and fetches them, for as long as the node runs.
    pub(crate) fn keep_post(&self) {
        let node = self.clone();
        let mut stopped = self.stopping();
        actix::spawn(async move {
            let office = &node.shared().post_office;
            let (mut looked, mut until) = (Instant::now(), None::<Instant>);
            loop {
                tokio::select! {
                    () = office.more.notified() => {}
                    () = tokio::time::sleep(LOOK) => {}
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                }
                node.post_letters().await;
                if office.is_open() {
                    until = Some(Instant::now() + AFTERWARDS);
                }
                if looked.elapsed() >= LOOK && until.is_some_and(|until| Instant::now() < until) {
                    looked = Instant::now();
                    node.collect_letters().await;
                }
            }
        });
        self.keep_comparing();
    }

    async fn post_letters(&self) {
        let shared = self.shared();
        let letters = shared.post_office.take();
        if letters.is_empty() {
            return;
        }
        // What is left, or comes meanwhile, waits for the next turn: fetching must not wait for it.
        shared.post_office.more.notify_one();
        let count = letters.len() as u64;
        match shared.store.post(&shared.node, letters).await {
            Ok(()) => shared.metrics.posted.inc_by(count),
            Err(error) => {
                // As on the bus: whoever misses one asks again.
                tracing::warn!(%error, count, "letters were lost");
                shared.metrics.dropped.with_label_values(&["post"]).inc_by(count);
            }
        }
    }

    async fn collect_letters(&self) {
        let shared = self.shared();
        loop {
            match shared.store.collect(&shared.node, AT_ONCE).await {
                Ok(letters) => {
                    let count = letters.len();
                    for (from, letter) in letters {
                        self.deliver(&from, &letter);
                    }
                    if count < AT_ONCE {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the post was not fetched");
                    return;
                }
            }
        }
    }

    /// Has hubs read the streams of shards that have moved on, while publishes may get lost.
    fn keep_comparing(&self) {
        let node = self.clone();
        let mut stopped = self.stopping();
        actix::spawn(async move {
            let mut known: Vec<u64> = Vec::new();
            loop {
                tokio::select! {
                    () = tokio::time::sleep(COMPARE) => {}
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                }
                if !node.shared().post_office.is_open() {
                    known.clear();
                    continue;
                }
                let Ok(positions) = node.shared().store.positions().await else { continue };
                let moved = |shard: &Shard| {
                    let at = usize::from(*shard);
                    known.get(at) != positions.get(at)
                };
                let changed: Vec<Shard> = (0..SHARDS).filter(moved).collect();
                known = positions;
                if !changed.is_empty() {
                    node.look_at(&changed);
                }
            }
        });
    }

    fn look_at(&self, changed: &[Shard]) {
        for hub in self.shared().hubs.get().into_iter().flatten() {
            let changed = changed.to_vec();
            let looking = hub.try_send(Run(Box::new(move |hub| {
                actix::spawn(hub.look_at(changed));
            })));
            if looking.is_err() {
                self.look_at_store();
            }
        }
    }
}

impl Hub {
    /// Reads on in the streams that are followed here and have moved on.
    async fn look_at(self: Rc<Self>, changed: Vec<Shard>) {
        let streams = self.follows.of_shards(&changed);
        for some in streams.chunks(1000) {
            let keys: Vec<Key> = some.iter().map(levee_domain::view::Stream::key).collect();
            let heads = loop {
                match self.store().heads(&keys).await {
                    Ok(heads) => break heads,
                    Err(_) => tokio::time::sleep(HEADS_AGAIN).await,
                }
            };
            for (stream, head) in some.iter().zip(heads) {
                self.has_come_to(stream, head);
            }
        }
    }
}
