//! A node: its arbiters, its leases, and the letters from other nodes.

use crate::hub::{Hub, HubActor, Run, Shared};
use crate::letter::Letter;
use crate::metrics::Metrics;
use crate::placement::{Lease, Placement, rendezvous};
use actix::prelude::*;
use levee_bus::memory::{MemoryBus, MemoryInbox};
use levee_bus::{Bus, Incoming};
use levee_domain::session::Bounds;
use levee_proto::Id;
use levee_store::{Key, NodeRow, SHARDS, Shard, Store, StoreError};
use std::future::Future;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::{oneshot, watch};

/// The version of what nodes say to each other: letters, and what is stored for other nodes to read.
const SPEAKS: u32 = 1;

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
}

impl Node {
    /// Starts a node: its arbiters, its leases. Returns once it owns its shards. Must be called on an
    /// actix system's thread.
    ///
    /// # Errors
    /// What the store says.
    pub async fn start(
        name: &str,
        store: Arc<dyn Store>,
        bus: MemoryBus,
        inbox: MemoryInbox,
        metrics: Metrics,
        options: NodeOptions,
    ) -> Result<Self, StoreError> {
        let count = options.arbiters.max(1);
        let bus: Arc<dyn Bus> = Arc::new(bus);
        let shared = Arc::new(Shared {
            node: name.into(),
            store,
            metrics,
            options,
            bus,
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
            let hub =
                receiver.await.map_err(|_| StoreError::Unavailable("an arbiter did not start".into()))?;
            hubs.push(hub);
            arbiters.push(arbiter.handle());
        }
        let _ = shared.hubs.set(hubs);
        let node = Self {
            shared,
            arbiters: Arc::new(arbiters),
            stop: Arc::new(watch::channel(false).0),
            ready: Arc::new(AtomicBool::new(false)),
            draining: Arc::default(),
        };
        node.renew().await?;
        node.keep_leases();
        node.read_bus(inbox);
        Ok(node)
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
        let row = NodeRow {
            node: shared.node.clone(),
            public_address: shared.options.public_address.clone(),
            ready: !self.draining.load(Ordering::Relaxed),
            speaks: SPEAKS,
            heard: true,
        };
        let asked = Instant::now();
        let live = shared.store.heartbeat(row, shared.options.lease.as_millis() as u64).await?;
        shared.lease.until(asked + shared.options.lease);
        // A node that drains keeps its shards until it has parted with its sessions.
        let names: Vec<Key> = live.iter().map(|row| row.node.clone()).collect();
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
        self.ready.store(!self.draining.load(Ordering::Relaxed), Ordering::Relaxed);
        self.resume_agenda(taken);
        if gone {
            self.end_orphans();
        }
        Ok(())
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
            loop {
                tokio::select! {
                    () = tokio::time::sleep(node.shared.options.renew) => {}
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                }
                if let Err(error) = node.renew().await {
                    node.ready.store(false, Ordering::Relaxed);
                    tracing::error!(%error, "the lease was not renewed");
                }
            }
        });
    }

    fn read_bus(&self, mut inbox: MemoryInbox) {
        let node = self.clone();
        let mut stopped = self.stop.subscribe();
        actix::spawn(async move {
            loop {
                let incoming = tokio::select! {
                    incoming = inbox.next() => incoming,
                    _ = stopped.wait_for(|stopped| *stopped) => return,
                };
                match incoming {
                    Some(Incoming::Message { body, from }) => {
                        match levee_bus::decode::<(u16, Letter)>(&body) {
                            // Nodes may have different numbers of arbiters.
                            Ok((_, letter)) if letter.shard().is_some() => {
                                let shard = letter.shard().unwrap_or_default();
                                node.shared.to_arbiter(node.shared.arbiter(shard), letter);
                            }
                            Ok((arbiter, letter)) if usize::from(arbiter) < node.arbiters.len() => {
                                node.shared.to_arbiter(arbiter, letter);
                            }
                            Ok((arbiter, _)) => tracing::warn!(%from, arbiter, "a letter to nobody"),
                            Err(error) => tracing::warn!(%from, %error, "a letter can't be read"),
                        }
                    }
                    Some(Incoming::Gap { from }) => {
                        node.shared.metrics.drop("bus_gap");
                        tracing::info!(%from, "letters were lost; looking at the store");
                        for flag in &node.shared.overflowed {
                            flag.store(true, Ordering::Relaxed);
                        }
                    }
                    None => return,
                }
            }
        });
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
