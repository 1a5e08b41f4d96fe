//! A node: its arbiters, how it starts and stops, and the letters from other nodes.

mod leases;

use crate::files::FileOptions;
use crate::hooks::Caller;
use crate::hub::{Hub, HubActor, Run, Shared};
use crate::letter::Letter;
use crate::metrics::Metrics;
use crate::outbox::Mailer;
use crate::places::Places;
use actix::prelude::*;
use levee_bus::{Bus, Inbox, Incoming};
use levee_domain::account::Quotas;
use levee_domain::ice::IceServers;
use levee_domain::jitsi::Jitsi;
use levee_domain::session::Bounds;
use levee_proto::Id;
use levee_store::{Key, NodeRow, Store, StoreError};
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{oneshot, watch};

/// The version of what nodes say to each other: letters, and what is stored for other nodes to read.
pub const SPEAKS: u32 = 4;

/// How long the last letters of a node that stops may take.
const LAST_LETTERS: Duration = Duration::from_millis(50);

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
    /// Servers that help browsers find a way to each other.
    pub ice: IceServers,
    /// Where rooms for group video are.
    pub jitsi: Jitsi,
    /// How mail goes out, if it does.
    pub mailer: Option<Arc<dyn Mailer>>,
    /// How webhooks are told, if they are.
    pub caller: Option<Arc<dyn Caller>>,
    /// How long it is tried to tell a webhook something.
    pub hook_give_up: Duration,
    /// Where addresses are, if the operator has a file that says it.
    pub places: Option<Arc<Places>>,
    /// Where files are kept, and how.
    pub files: FileOptions,
    /// How much users may own.
    pub quotas: Quotas,
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
            ice: IceServers::default(),
            jitsi: Jitsi::default(),
            mailer: None,
            caller: None,
            hook_give_up: Duration::from_secs(3 * 86_400),
            places: None,
            files: FileOptions::default(),
            quotas: Quotas::default(),
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
        let count = options.arbiters.max(1) as u16;
        let shared = Arc::new(Shared::new(name.into(), store, bus, metrics, options));
        let mut arbiters = Vec::new();
        let mut hubs = Vec::new();
        for number in 0..count {
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
                self.shared.renew_now.notify_one();
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

    /// Whether it owns shards, and reaches a store with room.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && !self.shared.is_full()
    }

    /// Whether it is stopping: its sessions leave, and clients shall go elsewhere.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Why it is not ready, if it is not.
    pub fn unready(&self) -> &'static str {
        if self.is_draining() {
            "it is stopping"
        } else if self.shared.is_full() {
            "the store's disk is full"
        } else if self.shared.lease.left().is_zero() {
            "the store does not answer"
        } else {
            "it owns no shard yet"
        }
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
                        node.shared.renew_now.notify_one();
                    }
                    Some(news @ (Incoming::Down | Incoming::Up)) => {
                        if node.shared.post_office.set_deaf(news == Incoming::Down) {
                            node.look_at_once();
                            node.shared.renew_now.notify_one();
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
        for other in self.shared.placement.nodes().iter().filter(|row| row.node != self.shared.node) {
            self.shared.to_node(&other.node, &Letter::Left, 0);
        }
        // The letters are on their way before the bus is closed.
        tokio::time::sleep(LAST_LETTERS).await;
        for arbiter in self.arbiters.iter() {
            arbiter.stop();
        }
    }
}
