//! A node: its arbiters, its leases, and the letters from other nodes.

use crate::hub::{Hub, HubActor, Run, Shared};
use crate::letter::Letter;
use crate::metrics::Metrics;
use crate::placement::{Lease, Placement, rendezvous};
use crate::post::PostOffice;
use actix::prelude::*;
use levee_bus::{Bus, Inbox, Incoming};
use levee_domain::session::Bounds;
use levee_proto::Id;
use levee_store::{Key, NodeRow, SHARDS, Shard, Store, StoreError};
use std::future::Future;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, oneshot, watch};

/// The version of what nodes say to each other: letters, and what is stored for other nodes to read.
pub const SPEAKS: u32 = 1;

/// For how long a node without a lease keeps its sessions: a store that restarts is back before.
const SHED_AFTER: Duration = Duration::from_secs(10);

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// What the store says.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A node that runs can't understand this one.
    #[error(
        "node {node} speaks version {theirs}, this program speaks {SPEAKS}: run the same release on all nodes"
    )]
    Speaks {
        /// The other node.
        node: Key,
        /// What it speaks.
        theirs: u32,
    },
    /// A thread did not start.
    #[error("a thread did not start")]
    Thread,
}

/// A node's settings.
#[derive(Debug, Clone)]
pub struct NodeOptions {
    /// How many arbiters (threads) it has.
    pub arbiters: usize,
    /// How long its lease of its shards lasts without being renewed.
    pub lease: Duration,
    /// How often it renews.
    pub renew: Duration,
    /// How long a session lives without a connection.
    pub session_ttl: Duration,
    /// How long a user counts as present after the last connection is gone.
    pub presence_grace: Duration,
    /// How long an agent may be gone from an audience before it is looked again; twice that, and the customer
    /// is back in the queue.
    pub agent_timeout: Duration,
    /// How long an entity stays in memory unused.
    pub passivate_after: Duration,
    /// The bounds of a session's buffer.
    pub session_bounds: Bounds,
    /// What `/v2/endpoint` answers for this node.
    pub public_address: Id,
    /// Over how long its connections are told to go when it stops.
    pub drain_over: Duration,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            arbiters: 1,
            lease: Duration::from_secs(5),
            renew: Duration::from_secs(1),
            session_ttl: Duration::from_secs(600),
            presence_grace: Duration::from_secs(10),
            agent_timeout: Duration::from_secs(60),
            passivate_after: Duration::from_secs(30),
            session_bounds: Bounds::default(),
            public_address: Id::default(),
            drain_over: Duration::ZERO,
        }
    }
}

/// A running node.
#[derive(Clone)]
pub struct Node {
    shared: Arc<Shared>,
    arbiters: Arc<Vec<ArbiterHandle>>,
    stop: Arc<watch::Sender<bool>>,
    ready: Arc<AtomicBool>,
    draining: Arc<AtomicBool>,
    /// The lease is renewed at once, for there is news.
    renew_now: Arc<Notify>,
}

impl Node {
    /// Starts a node: its arbiters, its leases. Returns once it owns shards, or owned none for too long. Must be called on an
    /// actix system's thread.
    ///
    /// # Errors
    /// What the store says, or that a node that runs speaks another version.
    pub async fn start(
        name: &str,
        store: Arc<dyn Store>,
        (bus, inbox): (Arc<dyn Bus>, Box<dyn Inbox>),
        metrics: Metrics,
        options: NodeOptions,
    ) -> Result<Self, StartError> {
        let count = options.arbiters.max(1);
        let shared = Arc::new(Shared {
            node: name.into(),
            store,
            metrics,
            options,
            bus,
            post_office: PostOffice::default(),
            placement: Placement::default(),
            lease: Lease::default(),
            hubs: OnceLock::new(),
            overflowed: (0..count).map(|_| AtomicBool::new(false)).collect(),
        });
        let mut arbiters = Vec::new();
        let mut hubs = Vec::new();
        for number in 0..count as u16 {
            let arbiter = Arbiter::new();
            let (sender, receiver) = oneshot::channel();
            let shared = shared.clone();
            arbiter.spawn_fn(move || {
                let _ = sender.send(HubActor::new(Hub::new(shared, number)).start());
            });
            hubs.push(receiver.await.map_err(|_| StartError::Thread)?);
            arbiters.push(arbiter.handle());
        }
        let _ = shared.hubs.set(hubs);
        let node = Self {
            shared,
            arbiters: Arc::new(arbiters),
            stop: Arc::new(watch::channel(false).0),
            ready: Arc::new(AtomicBool::new(false)),
            draining: Arc::default(),
            renew_now: Arc::default(),
        };
        node.greet().await?;
        node.renew().await?;
        node.keep_leases();
        node.read_bus(inbox);
        node.keep_post();
        node.settle().await;
        Ok(node)
    }

    /// Waits until it owns shards: without one it can't open a session. Those who own them all give some
    /// up when they next look who is there.
    async fn settle(&self) {
        let options = &self.shared.options;
        let patience = options.lease + 2 * options.renew;
        let settled = async {
            while !self.is_ready() {
                tokio::time::sleep(options.renew / 4).await;
                self.renew_now.notify_one();
            }
        };
        if tokio::time::timeout(patience, settled).await.is_err() {
            tracing::warn!(?patience, "started, and owns no shard yet: not ready until it does");
        }
    }

    /// Looks who is there before it takes part.
    async fn greet(&self) -> Result<(), StartError> {
        let (shared, row) = (&self.shared, NodeRow { ready: false, ..self.row() });
        let live = shared.store.heartbeat(row, shared.options.lease.as_millis() as u64).await?;
        if let Some(other) = live.into_iter().find(|other| other.speaks != SPEAKS) {
            shared.store.leave(&shared.node).await?;
            return Err(StartError::Speaks { node: other.node, theirs: other.speaks });
        }
        Ok(())
    }

    /// What it tells of itself.
    fn row(&self) -> NodeRow {
        NodeRow {
            node: self.shared.node.clone(),
            public_address: self.shared.options.public_address.clone(),
            ready: !self.is_draining(),
            speaks: SPEAKS,
            heard: self.shared.post_office.hears(),
        }
    }

    /// Tells when it stops.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stop.subscribe()
    }

    /// The node's name.
    pub fn name(&self) -> &Id {
        &self.shared.node
    }

    /// What its hubs share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Its threads, in the order of their numbers.
    pub fn arbiters(&self) -> &[ArbiterHandle] {
        &self.arbiters
    }

    /// The arbiter on which a session of this id lives.
    pub fn arbiter_of(&self, id: &str) -> u16 {
        levee_proto::ids::shard(id).map_or(0, |shard| self.shared.arbiter(shard))
    }

    /// Whether it owns shards and reaches the store.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// Whether it is stopping: its sessions leave, and clients shall go elsewhere.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Why it works less well than it could, if so.
    pub fn degraded(&self) -> Option<&'static str> {
        (!self.shared.post_office.hears()).then_some("the bus is away; letters go by the store")
    }

    /// Where clients can connect to: this node's address first, then those of the other nodes that take
    /// new sessions. Empty if none is set.
    pub fn endpoints(&self) -> Vec<Id> {
        let mut rows = self.shared.placement.nodes();
        rows.retain(|row| row.ready && !row.public_address.is_empty());
        rows.sort_by_key(|row| row.node != self.shared.node);
        let mut addresses: Vec<Id> = Vec::with_capacity(rows.len());
        for row in rows {
            // Behind one balancer all have the same.
            if !addresses.contains(&row.public_address) {
                addresses.push(row.public_address);
            }
        }
        addresses
    }

    /// Runs something on the thread of a hub, and answers what it comes to. `None` if the hub can't
    /// take it: it is stopped, or too busy.
    pub async fn on<F, Fut, T>(&self, arbiter: u16, job: F) -> Option<T>
    where
        F: FnOnce(Rc<Hub>) -> Fut + Send + 'static,
        Fut: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let run = Run(Box::new(move |hub| {
            let future = job(hub);
            actix::spawn(async move {
                let _ = sender.send(future.await);
            });
        }));
        self.shared.hub(arbiter)?.try_send(run).ok()?;
        receiver.await.ok()
    }

    /// Renews the node's registration, and takes the shards that should be its own.
    async fn renew(&self) -> Result<(), StoreError> {
        let shared = &self.shared;
        let asked = Instant::now();
        let live = shared.store.heartbeat(self.row(), shared.options.lease.as_millis() as u64).await?;
        shared.lease.until(asked + shared.options.lease);
        // A node that drains keeps its shards until it has parted with its sessions.
        let names: Vec<Key> = live.iter().map(|row| row.node.clone()).collect();
        let deaf = live.iter().filter(|row| !row.heard && row.node != shared.node);
        if shared.post_office.set_others(deaf.map(|row| row.node.clone()).collect()) {
            // What they sent last may be lost.
            self.look_at_store();
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
        if names.len() > 1 || !unwanted.is_empty() {
            let changed = shared.placement.learn(&shared.store.leases().await?);
            self.attach_again(changed);
        }
        let owns = !shared.placement.of(&shared.node).is_empty();
        self.ready.store(owns && !self.is_draining(), Ordering::Relaxed);
        self.resume_agenda(taken);
        if gone {
            self.end_orphans();
        }
        Ok(())
    }

    /// Has all hubs ask how what they follow stands: letters may be lost.
    fn look_at_store(&self) {
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

    /// Has the hubs look for sessions of a node that is gone.
    fn end_orphans(&self) {
        for (number, hub) in self.shared.hubs.get().into_iter().flatten().enumerate() {
            let own = self.shared.placement.of(&self.shared.node);
            let own = own.into_iter().filter(|s| usize::from(self.shared.arbiter(*s)) == number).collect();
            let _ = hub.try_send(Run(Box::new(move |hub| {
                actix::spawn(hub.end_orphans(own));
            })));
        }
    }

    fn keep_leases(&self) {
        let node = self.clone();
        let mut stopped = self.stop.subscribe();
        actix::spawn(async move {
            let mut renewed = Instant::now();
            loop {
                tokio::select! {
                    () = tokio::time::sleep(node.shared.options.renew) => {}
                    () = node.renew_now.notified() => {}
                    _ = stopped.wait_for(|stopped| *stopped) => return,
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

    /// Lets go of all sessions.
    fn shed(&self) {
        for hub in self.shared.hubs.get().into_iter().flatten() {
            let _ = hub.try_send(Run(Box::new(|hub| hub.shed())));
        }
    }

    fn read_bus(&self, mut inbox: Box<dyn Inbox>) {
        let node = self.clone();
        let mut stopped = self.stop.subscribe();
        actix::spawn(async move {
            loop {
                let incoming = tokio::select! {
                    incoming = inbox.next() => incoming,
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                };
                match incoming {
                    Some(Incoming::Message { body, from }) => node.deliver(&from, &body),
                    Some(Incoming::Gap { from }) => {
                        node.shared.metrics.drop("bus_gap");
                        tracing::info!(%from, "letters were lost; looking at the store");
                        node.look_at_store();
                    }
                    Some(Incoming::Unreached { to }) => {
                        tracing::debug!(%to, "a node does not listen; looking who is there");
                        node.renew_now.notify_one();
                    }
                    Some(news @ (Incoming::Down | Incoming::Up)) => {
                        if node.shared.post_office.set_deaf(news == Incoming::Down) {
                            node.look_at_store();
                            node.renew_now.notify_one();
                        }
                    }
                    None => return,
                }
            }
        });
    }

    /// Takes in a letter from another node.
    pub(crate) fn deliver(&self, from: &str, letter: &[u8]) {
        match levee_bus::decode::<(u16, Letter)>(letter) {
            // Nodes may have different numbers of arbiters.
            Ok((_, letter)) if letter.shard().is_some() => {
                let shard = letter.shard().unwrap_or_default();
                self.shared.to_arbiter(self.shared.arbiter(shard), letter);
            }
            Ok((arbiter, letter)) if usize::from(arbiter) < self.arbiters.len() => {
                self.shared.to_arbiter(arbiter, letter);
            }
            Ok((arbiter, _)) => tracing::warn!(from, arbiter, "a letter to nobody"),
            Err(error) => tracing::warn!(from, %error, "a letter can't be read"),
        }
    }

    /// Stops as if it was killed: nothing is handed over, its lease runs out.
    pub fn kill(&self) {
        let _ = self.stop.send(true);
        self.ready.store(false, Ordering::Relaxed);
        for arbiter in self.arbiters.iter() {
            arbiter.stop();
        }
    }

    /// Stops in good order. First nobody is sent here any more; then, spread over a time, sessions leave
    /// with all their state, and their clients are told to connect elsewhere; last, shards are given up.
    pub async fn shut_down(&self) {
        self.draining.store(true, Ordering::Relaxed);
        self.ready.store(false, Ordering::Relaxed);
        if let Err(error) = self.renew().await {
            tracing::warn!(%error, "the other nodes don't know that this one stops");
        }
        let over = self.shared.options.drain_over;
        let leaving = (0..self.arbiters.len() as u16)
            .map(|number| self.on(number, move |hub| async move { hub.go_away(over).await }));
        futures_util::future::join_all(leaving).await;
        let _ = self.stop.send(true);
        if let Err(error) = self.shared.store.leave(&self.shared.node).await {
            tracing::warn!(%error, "the shards were not given up; their lease runs out");
        }
        for arbiter in self.arbiters.iter() {
            arbiter.stop();
        }
    }
}
