//! A hub: what one thread of a node holds, and the letters that come to it.
//!
//! Everything here runs on the hub's own thread. Letters from other threads come through the mailbox
//! of [`HubActor`], letters from other nodes through the bus.

use crate::alike::Alike;
use crate::call::Calls;
use crate::entity::EntityMessage;
use crate::files::Files;
use crate::follow::Follows;
use crate::hooks::Hooks;
use crate::letter::{Job, Letter, Outcome, Seat};
use crate::mail_rate::MailRate;
use crate::metrics::Metrics;
use crate::node::NodeOptions;
use crate::outbox::Outbox;
use crate::placement::{Lease, Placement};
use crate::post::PostOffice;
use crate::realms::Realms;
use crate::relay::Relays;
use crate::router::Questions;
use crate::session::{SessionActor, SessionMessage};
use crate::whereabouts::Turns;
use actix::prelude::*;
use levee_bus::{Bus, BusError};
use levee_domain::view::Stream;
use levee_proto::{ErrorType, Id, Rejection};
use levee_store::{Shard, Store};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How many letters may wait for a hub.
const MAILBOX: usize = 65_536;
/// Which part of its lease a node must have left to answer without a commit.
const LEASE_PART: u32 = 5;
/// How often a hub looks around.
const TICK: Duration = Duration::from_secs(1);

/// What the hubs of a node share.
pub struct Shared {
    /// The node's name.
    pub node: Id,
    /// The truth.
    pub store: Arc<dyn Store>,
    /// Figures.
    pub metrics: Metrics,
    /// Settings.
    pub options: NodeOptions,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) post_office: PostOffice,
    pub(crate) placement: Placement,
    pub(crate) mail_rate: MailRate,
    pub(crate) files: Files,
    pub(crate) lease: Lease,
    /// The lease is renewed at once, for there is news.
    pub(crate) renew_now: Notify,
    /// The store has no room.
    full: AtomicBool,
    pub(crate) hubs: OnceLock<Vec<Addr<HubActor>>>,
    /// Set when a letter to this arbiter was dropped, so that it looks at the store.
    pub(crate) overflowed: Vec<AtomicBool>,
}

impl Shared {
    /// What its hubs share, before there are any.
    pub(crate) fn new(
        node: Id,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        metrics: Metrics,
        options: NodeOptions,
    ) -> Self {
        let arbiters = options.arbiters.max(1);
        let files = Files::new(options.files.clone(), metrics.clone());
        Self {
            node,
            store,
            metrics,
            options,
            bus,
            post_office: PostOffice::default(),
            placement: Placement::default(),
            mail_rate: MailRate::default(),
            files,
            lease: Lease::default(),
            renew_now: Notify::new(),
            full: AtomicBool::new(false),
            hubs: OnceLock::new(),
            overflowed: (0..arbiters).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// Whether the store had no room when it was last written to.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Notes whether the store has room.
    pub(crate) fn set_full(&self, full: bool) {
        if self.full.swap(full, Ordering::Relaxed) != full {
            match full {
                true => tracing::error!("the store's disk is full: not ready until there is room"),
                false => tracing::info!("the store has room again"),
            }
            self.renew_now.notify_one();
        }
    }

    /// Whether this node's lease lasts long enough for an answer that no commit confirms.
    pub(crate) fn has_lease(&self) -> bool {
        self.lease.left() > self.options.lease / LEASE_PART
    }

    /// The arbiter of a shard on whichever node owns it.
    pub(crate) fn arbiter(&self, shard: Shard) -> u16 {
        shard % self.overflowed.len() as u16
    }

    /// The hub of an arbiter of this node.
    pub fn hub(&self, arbiter: u16) -> Option<&Addr<HubActor>> {
        self.hubs.get()?.get(usize::from(arbiter))
    }

    /// Hands a letter to an arbiter of this node, from any thread.
    pub(crate) fn to_arbiter(&self, arbiter: u16, letter: Letter) {
        let Some(hub) = self.hub(arbiter) else { return };
        if let Err(error) = hub.try_send(Deliver(letter)) {
            self.metrics.drop("hub_mailbox");
            self.overflowed[usize::from(arbiter)].store(true, Ordering::Relaxed);
            let (SendError::Full(Deliver(letter)) | SendError::Closed(Deliver(letter))) = error;
            self.bounce(letter);
        }
    }

    /// Tells whoever waits for a letter that there is too much to do.
    pub(crate) fn bounce(&self, letter: Letter) {
        if let Letter::Job(_, Job::Act(act)) = letter {
            let busy = Rejection::new(ErrorType::SendRateLimited).because("the server is too busy");
            self.post(&act.asker.seat.clone(), Letter::Answer(act.asker, Outcome::Rejected(busy)));
        }
    }

    /// Sends a letter to a hub by way of its mailbox, wherever it is.
    pub(crate) fn post(&self, seat: &Seat, letter: Letter) {
        if seat.node == self.node {
            self.to_arbiter(seat.arbiter, letter);
        } else {
            self.to_node(&seat.node, &letter, seat.arbiter);
        }
    }

    /// Hands a letter to an arbiter of another node.
    pub(crate) fn to_node(&self, node: &str, letter: &Letter, arbiter: u16) {
        self.metrics.letters.inc();
        let letter = match levee_bus::encode(&(arbiter, letter)) {
            Ok(letter) => letter,
            Err(error) => {
                tracing::error!(%error, node, "a letter can't be written");
                return self.metrics.drop("letter");
            }
        };
        let sent = if self.post_office.serves(node) {
            Err(BusError::Away)
        } else {
            self.bus.send(node, letter.clone())
        };
        match sent {
            Ok(()) => {}
            Err(BusError::Away) => {
                if !self.post_office.push(node, letter) {
                    self.metrics.drop("post");
                }
            }
            Err(error) => {
                self.metrics.drop("bus");
                tracing::debug!(%error, node, "a letter was not sent");
            }
        }
    }
}

/// What one thread holds.
pub struct Hub {
    /// Where it is.
    pub seat: Seat,
    /// What it shares with the other hubs of its node.
    pub shared: Arc<Shared>,
    pub(crate) sessions: RefCell<HashMap<Id, Rc<Addr<SessionActor>>>>,
    pub(crate) entities: RefCell<HashMap<Stream, EntitySlot>>,
    pub(crate) follows: Follows,
    pub(crate) realms: Realms,
    pub(crate) calls: Calls,
    pub(crate) alike: Alike,
    pub(crate) outbox: Outbox,
    pub(crate) hooks: Hooks,
    pub(crate) relays: Relays,
    pub(crate) turns: Turns,
    /// Orders that wait for an owner of their stream, each since a tick.
    pub(crate) held: RefCell<Vec<(u64, Stream, Value)>>,
    /// When entities are to be woken, soonest first.
    pub(crate) timers: RefCell<BTreeSet<(u64, Stream)>>,
    pub(crate) confirmed: RefCell<Vec<(Shard, Id, Id)>>,
    pub(crate) dirty: RefCell<HashSet<Id>>,
    /// Sessions that ended, by the tick, until their rows are surely gone.
    pub(crate) ended: RefCell<HashMap<Id, u64>>,
    pub(crate) questions: Questions,
    pub(crate) ticks: Cell<u64>,
    /// When it was heard last that letters were lost.
    pub(crate) lost: Cell<Option<Instant>>,
    /// How often the lease had run out when it was seen last that all sessions here live here.
    pub(crate) sure: Cell<u64>,
    /// When that was.
    pub(crate) looked: Cell<Option<Instant>>,
}

/// An entity's address.
pub(crate) struct EntitySlot {
    pub(crate) address: Recipient<EntityMessage>,
    /// The tick in which it was used last.
    pub(crate) used: u64,
}

impl Hub {
    pub(crate) fn new(shared: Arc<Shared>, arbiter: u16) -> Rc<Self> {
        Rc::new(Self {
            seat: Seat { node: shared.node.clone(), arbiter },
            shared,
            sessions: RefCell::default(),
            entities: RefCell::default(),
            follows: Follows::default(),
            realms: Realms::default(),
            calls: Calls::default(),
            alike: Alike::default(),
            outbox: Outbox::default(),
            hooks: Hooks::default(),
            relays: Relays::default(),
            turns: Turns::default(),
            held: RefCell::default(),
            timers: RefCell::default(),
            confirmed: RefCell::default(),
            dirty: RefCell::default(),
            ended: RefCell::default(),
            questions: Questions::default(),
            ticks: Cell::new(0),
            lost: Cell::new(None),
            sure: Cell::new(0),
            looked: Cell::new(None),
        })
    }

    /// The store.
    pub fn store(&self) -> Arc<dyn Store> {
        self.shared.store.clone()
    }

    /// Who owns which shard.
    pub(crate) fn placement(&self) -> &Placement {
        &self.shared.placement
    }

    /// Some shard that this hub owns, or any that its node owns: for new sessions and their users.
    pub fn own_shard(&self, random: u64) -> Option<Shard> {
        let own = self.shared.placement.of(&self.shared.node);
        let here: Vec<_> =
            own.iter().copied().filter(|s| self.shared.arbiter(*s) == self.seat.arbiter).collect();
        let from = if here.is_empty() { &own } else { &here };
        (!from.is_empty()).then(|| from[(random % from.len() as u64) as usize])
    }

    /// Looks around: once a second.
    fn tick(self: &Rc<Self>) {
        self.ticks.set(self.ticks.get() + 1);
        self.have_sessions_look();
        let now = self.ticks.get();
        self.ended.borrow_mut().retain(|_, since| now - *since < 60);
        self.release_held();
        self.ring_timers();
        self.send_mails();
        self.tell_webhooks();
        self.weigh_webhooks();
        self.save_confirmed();
        self.passivate();
        self.retry_attaching();
        self.look_at_nonces();
        self.look_at_dead_letters();
        self.relays.look(|node| self.shared.placement.is_live(node));
        if self.shared.post_office.is_open() {
            self.relays.end_old(TICK);
        }
        if self.shared.overflowed[usize::from(self.seat.arbiter)].swap(false, Ordering::Relaxed) {
            self.letters_lost();
        }
    }

    /// Letters were lost: asks how all that is followed here stands, and sends again what has no reply.
    pub(crate) fn letters_lost(self: &Rc<Self>) {
        self.lost.set(Some(Instant::now()));
        self.attach_all_again(|_| true);
        self.relays.end_all();
        self.have_sessions_look();
    }

    /// Has those sessions look around that wait for something.
    pub(crate) fn have_sessions_look(&self) {
        let dirty = std::mem::take(&mut *self.dirty.borrow_mut());
        let found = |id| Some((id, self.sessions.borrow().get(id).cloned()?));
        for session in dirty.iter().filter_map(found) {
            if let Err(SendError::Full(_)) = session.1.try_send(SessionMessage::Save) {
                self.dirty.borrow_mut().insert(session.0.clone());
            }
        }
    }

    /// Drops the entities of shards that this node has lost: what is in their memory may be outdated.
    pub(crate) fn drop_entities(&self, lost: impl Fn(Shard) -> bool) {
        let entities = self.entities.borrow();
        for slot in entities.iter().filter(|(stream, _)| lost(stream.shard())).map(|(_, slot)| slot) {
            // One whose mailbox is full will be fenced at its next commit.
            let _ = slot.address.try_send(EntityMessage::Lost);
        }
    }

    /// Sends idle entities to sleep.
    fn passivate(&self) {
        let idle = self.shared.options.passivate_after.as_secs().max(1);
        if !self.ticks.get().is_multiple_of(idle.div_ceil(4).max(1)) {
            return;
        }
        let before = self.ticks.get().saturating_sub(idle);
        for slot in self.entities.borrow().values().filter(|slot| slot.used < before) {
            let _ = slot.address.try_send(EntityMessage::Sleep);
        }
        self.realms.forget_unused();
        // After a rush, room for what has left is given back.
        let mut entities = self.entities.borrow_mut();
        let used = entities.len() * 2;
        entities.shrink_to(used);
    }
}

/// The mailbox of a hub.
pub struct HubActor {
    hub: Rc<Hub>,
}

impl HubActor {
    pub(crate) fn new(hub: Rc<Hub>) -> Self {
        Self { hub }
    }
}

impl Actor for HubActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(TICK, |actor, _| actor.hub.tick());
    }
}

/// A letter for a hub.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Deliver(pub(crate) Letter);

impl Handler<Deliver> for HubActor {
    type Result = ();
    fn handle(&mut self, Deliver(letter): Deliver, _: &mut Self::Context) {
        self.hub.deliver(letter);
    }
}

/// Something to do on a hub's thread.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Run(pub Box<dyn FnOnce(Rc<Hub>) + Send>);

impl Handler<Run> for HubActor {
    type Result = ();
    fn handle(&mut self, Run(job): Run, _: &mut Self::Context) {
        job(self.hub.clone());
    }
}
