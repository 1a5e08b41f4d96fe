//! A hub: what one thread of a node holds, and the letters that come to it.
//!
//! Everything here runs on the hub's own thread. Letters from other threads come through the mailbox
//! of [`HubActor`], letters from other nodes through the bus.

use crate::alike::Alike;
use crate::call::Calls;
use crate::entity::{self, EntityMessage};
use crate::follow::Follows;
use crate::letter::{AskedOutcome, Asker, Job, Letter, Outcome, Seat};
use crate::metrics::Metrics;
use crate::node::NodeOptions;
use crate::placement::{Lease, Placement};
use crate::realms::Realms;
use crate::relay::Relays;
use crate::session::{CloseReason, SessionActor, SessionMessage};
use actix::prelude::*;
use bytes::Bytes;
use levee_bus::Bus;
use levee_domain::view::Stream;
use levee_proto::{ErrorType, Id, Rejection};
use levee_store::{Shard, Store};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::oneshot;

/// How many letters may wait for a hub.
const MAILBOX: usize = 65_536;
/// Which part of its lease a node must have left to answer without a commit.
const LEASE_PART: u32 = 5;
/// How often a hub looks around.
const TICK: Duration = Duration::from_secs(1);
/// How long an entity may take to answer a question before it is asked again, and how often it is asked.
const ASK_AGAIN: Duration = Duration::from_millis(1500);
const ASKED_AT_MOST: usize = 8;
/// How long sessions may take to leave when their node stops.
const PARKED_WITHIN: Duration = Duration::from_secs(10);
/// How long a node may take to give up a session. After that it goes on from what is stored.
const FETCH: Duration = Duration::from_millis(1500);
/// How many orders that nobody would send again may wait for an owner of their stream, and for how long.
const HELD: usize = 65_536;
const HELD_TICKS: u64 = 10;

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
    pub(crate) placement: Placement,
    pub(crate) lease: Lease,
    pub(crate) hubs: OnceLock<Vec<Addr<HubActor>>>,
    /// Set when a letter to this arbiter was dropped, so that it looks at the store.
    pub(crate) overflowed: Vec<AtomicBool>,
}

impl Shared {
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
    fn post(&self, seat: &Seat, letter: Letter) {
        if seat.node == self.node {
            self.to_arbiter(seat.arbiter, letter);
        } else {
            self.to_node(&seat.node, &letter, seat.arbiter);
        }
    }

    /// Hands a letter to an arbiter of another node.
    pub(crate) fn to_node(&self, node: &str, letter: &Letter, arbiter: u16) {
        self.metrics.letters.inc();
        let encoded = bincode_encode(&(arbiter, letter));
        if let Err(error) = encoded.and_then(|bytes| self.bus.send(node, bytes).map_err(|e| e.to_string())) {
            self.metrics.drop("bus");
            tracing::debug!(%error, node, "a letter was not sent");
        }
    }
}

fn bincode_encode(value: &(u16, &Letter)) -> Result<Bytes, String> {
    levee_bus::encode(value).map_err(|e| e.to_string())
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
    pub(crate) relays: Relays,
    /// Orders that wait for an owner of their stream, each since a tick.
    held: RefCell<Vec<(u64, Stream, Value)>>,
    pub(crate) confirmed: RefCell<Vec<(Shard, Id, Id)>>,
    pub(crate) dirty: RefCell<HashSet<Id>>,
    /// Sessions that ended, by the tick, until their rows are surely gone.
    pub(crate) ended: RefCell<HashMap<Id, u64>>,
    questions: RefCell<HashMap<u64, oneshot::Sender<Result<Value, Rejection>>>>,
    next_question: Cell<u64>,
    pub(crate) ticks: Cell<u64>,
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
            relays: Relays::default(),
            held: RefCell::default(),
            confirmed: RefCell::default(),
            dirty: RefCell::default(),
            ended: RefCell::default(),
            questions: RefCell::default(),
            next_question: Cell::new(0),
            ticks: Cell::new(0),
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

    /// Sends a job to the owner of a stream, wherever that is.
    pub(crate) fn route(self: &Rc<Self>, stream: Stream, job: Job) {
        let shard = stream.shard();
        let arbiter = self.shared.arbiter(shard);
        match self.shared.placement.owner(shard) {
            Some(owner) if owner.node == self.shared.node && arbiter == self.seat.arbiter => {
                self.to_entity(stream, job);
            }
            Some(owner) if owner.node == self.shared.node => {
                self.shared.to_arbiter(arbiter, Letter::Job(stream, job));
            }
            Some(owner) => self.shared.to_node(&owner.node, &Letter::Job(stream, job), arbiter),
            None => self.not_here(stream, job),
        }
    }

    /// A job for a stream that this node does not own, or nobody does. Whoever cares sends it again,
    /// and in the right order; only what nobody would send again waits here.
    pub(crate) fn not_here(self: &Rc<Self>, stream: Stream, job: Job) {
        match job {
            Job::Act(act) => self.shared.post(&act.asker.seat.clone(), Letter::Moved(act.asker)),
            Job::Tell(order) => {
                let mut held = self.held.borrow_mut();
                if held.len() < HELD {
                    held.push((self.ticks.get(), stream, order));
                } else {
                    self.shared.metrics.drop("held");
                }
            }
            Job::Ask { .. } | Job::Forward { .. } | Job::Attach(_) | Job::Confirmed { .. } | Job::Wake => {}
        }
    }

    /// Sends on what waited for an owner.
    fn release_held(self: &Rc<Self>) {
        let now = self.ticks.get();
        for (since, stream, order) in std::mem::take(&mut *self.held.borrow_mut()) {
            if self.shared.placement.owner(stream.shard()).is_some() {
                self.route(stream, Job::Tell(order));
            } else if now - since < HELD_TICKS {
                self.held.borrow_mut().push((since, stream, order));
            } else {
                self.shared.metrics.drop("no_owner");
            }
        }
    }

    /// Sends a letter to a hub, perhaps this one.
    pub(crate) fn send(self: &Rc<Self>, seat: &Seat, letter: Letter) {
        if *seat == self.seat {
            self.deliver(letter);
        } else if seat.node == self.seat.node {
            self.shared.to_arbiter(seat.arbiter, letter);
        } else {
            self.shared.to_node(&seat.node, &letter, seat.arbiter);
        }
    }

    /// Takes in a letter.
    pub(crate) fn deliver(self: &Rc<Self>, letter: Letter) {
        match letter {
            Letter::Job(stream, job) => {
                if let Job::Attach(attach) = &job {
                    self.follows.follow_from(&stream, &attach.seat, &self.seat);
                }
                // Whoever sent this may not know yet that the shard has moved.
                let owner = self.shared.placement.owner(stream.shard());
                if owner.is_some_and(|owner| owner.node == self.shared.node) {
                    self.to_entity(stream, job);
                } else {
                    self.not_here(stream, job);
                }
            }
            Letter::Moved(asker) => self.moved(&asker),
            Letter::Park { seat, token, session, .. } => self.park(seat, token, &session),
            Letter::Relay { seat, token, session, what, .. } => self.relayed(seat, token, &session, what),
            Letter::Relayed(token, events) => self.relay_answered(token, events),
            Letter::Asked(token, outcome) => {
                if let Some(waiting) = self.questions.borrow_mut().remove(&token) {
                    let _ = waiting.send(match outcome {
                        AskedOutcome::Done(value) => Ok(value),
                        AskedOutcome::Refused(rejection) => Err(rejection),
                    });
                }
            }
            Letter::Answer(asker, outcome) => self.answer(asker, outcome),
            Letter::Publish(publish) => self.see(&publish),
            Letter::Attached(attached) => self.attached(attached),
            Letter::Line(line) => self.line_up(&line),
            Letter::Detach(stream, seat) => self.follows.detached(&stream, &seat),
        }
    }

    /// Gives an answer to the session or the call that waits for it.
    pub(crate) fn answer(&self, asker: Asker, outcome: Outcome) {
        let session = self.sessions.borrow().get(&asker.id).cloned();
        match session {
            Some(session) => {
                if session.try_send(SessionMessage::Answer(asker.action_id, outcome)).is_err() {
                    self.shared.metrics.drop("session_mailbox");
                }
            }
            None => self.calls.answer(&asker.id, outcome),
        }
    }

    /// A session is wanted elsewhere.
    fn park(self: &Rc<Self>, seat: Seat, token: u64, session: &Id) {
        let found = self.sessions.borrow().get(session).cloned();
        let parks = found.is_some_and(|address| {
            address
                .try_send(SessionMessage::Park(Some((seat.clone(), token)), CloseReason::Superseded))
                .is_ok()
        });
        if !parks {
            self.send(&seat, Letter::Asked(token, AskedOutcome::Done(Value::Null)));
        }
    }

    /// Has a session leave the node that it lives on. Whether that node said in time that it did.
    pub(crate) async fn fetch(self: &Rc<Self>, node: &Id, session: &Id, shard: Shard) -> bool {
        let token = self.next_question.get();
        self.next_question.set(token + 1);
        let (sender, receiver) = oneshot::channel();
        self.questions.borrow_mut().insert(token, sender);
        let there = Seat { node: node.clone(), arbiter: self.shared.arbiter(shard) };
        let letter = Letter::Park { seat: self.seat.clone(), token, session: session.clone(), shard };
        self.send(&there, letter);
        let answer = tokio::time::timeout(FETCH, receiver).await;
        self.questions.borrow_mut().remove(&token);
        matches!(answer, Ok(Ok(Ok(_))))
    }

    /// Tells a node that did not answer that a session of its has gone on here, until it must have heard:
    /// its connection would go on beside the new one.
    pub(crate) fn tell_taken(self: &Rc<Self>, node: &Id, session: &Id, shard: Shard) {
        let there = Seat { node: node.clone(), arbiter: self.shared.arbiter(shard) };
        let (hub, session) = (self.clone(), session.clone());
        actix::spawn(async move {
            for wait in [1, 3, 9, 27] {
                tokio::time::sleep(Duration::from_secs(wait)).await;
                let (seat, session) = (hub.seat.clone(), session.clone());
                // Nobody waits for the answer.
                hub.send(&there, Letter::Park { seat, token: u64::MAX, session, shard });
            }
        });
    }

    /// Has the session send an action again. A call is too short for that.
    fn moved(&self, asker: &Asker) {
        let session = self.sessions.borrow().get(&asker.id).cloned();
        match (session, asker.action_id) {
            (Some(session), Some(action_id)) => {
                let _ = session.try_send(SessionMessage::Moved(action_id));
            }
            _ => {
                let busy = Rejection::new(ErrorType::SendRateLimited).because("try again");
                self.answer(asker.clone(), Outcome::Rejected(busy));
            }
        }
    }

    /// Gives a job to an entity of this hub, which is started if it sleeps.
    pub(crate) fn to_entity(self: &Rc<Self>, stream: Stream, job: Job) {
        let mut message = EntityMessage::Job(job);
        for _ in 0..2 {
            let address = {
                let mut entities = self.entities.borrow_mut();
                let slot = entities.entry(stream.clone()).or_insert_with(|| EntitySlot {
                    address: entity::start(self.clone(), stream.clone()),
                    used: 0,
                });
                slot.used = self.ticks.get();
                slot.address.clone()
            };
            match address.try_send(message) {
                Ok(()) => return,
                Err(SendError::Closed(back)) => {
                    // It went to sleep just now.
                    self.entities.borrow_mut().remove(&stream);
                    message = back;
                }
                Err(SendError::Full(back)) => {
                    self.shared.metrics.drop("entity_mailbox");
                    if let EntityMessage::Job(job) = back {
                        self.shared.bounce(Letter::Job(stream, job));
                    }
                    return;
                }
            }
        }
    }

    /// Asks an entity, which may be on another node.
    ///
    /// # Errors
    /// The entity's rejection; `internal` when no answer comes in time.
    pub async fn ask(self: &Rc<Self>, stream: Stream, order: Value) -> Result<Value, Rejection> {
        let token = self.next_question.get();
        self.next_question.set(token + 1);
        let (sender, receiver) = oneshot::channel();
        self.questions.borrow_mut().insert(token, sender);
        let mut answer = std::pin::pin!(receiver);
        let mut outcome = None;
        // The letter or the answer may get lost, or the stream may move: orders may come twice.
        for _ in 0..ASKED_AT_MOST {
            self.route(stream.clone(), Job::Ask { seat: self.seat.clone(), token, order: order.clone() });
            if let Ok(answer) = tokio::time::timeout(ASK_AGAIN, &mut answer).await {
                outcome = answer.ok();
                break;
            }
        }
        self.questions.borrow_mut().remove(&token);
        outcome.unwrap_or_else(|| Err(Rejection::new(ErrorType::Internal).because("no answer in time")))
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
        let dirty = std::mem::take(&mut *self.dirty.borrow_mut());
        for session in dirty.iter().filter_map(|id| self.sessions.borrow().get(id).cloned()) {
            let _ = session.try_send(SessionMessage::Save);
        }
        let now = self.ticks.get();
        self.ended.borrow_mut().retain(|_, since| now - *since < 60);
        self.release_held();
        self.save_confirmed();
        self.passivate();
        self.retry_attaching();
        if self.shared.overflowed[usize::from(self.seat.arbiter)].swap(false, Ordering::Relaxed) {
            self.attach_all_again(|_| true);
        }
    }

    /// Has all sessions leave, spread over some time, and tells their connections to go.
    pub(crate) async fn go_away(self: Rc<Self>, over: Duration) {
        let sessions: Vec<_> = self.sessions.borrow().values().cloned().collect();
        let gap = over / (sessions.len().max(1) as u32);
        for session in sessions {
            // A full mailbox: it is asked once more below.
            let _ = session.try_send(SessionMessage::Park(None, CloseReason::GoingAway));
            if !gap.is_zero() {
                tokio::time::sleep(gap).await;
            }
        }
        for _ in 0..PARKED_WITHIN.as_millis() / 50 {
            if self.sessions.borrow().is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for session in self.sessions.borrow().values() {
            let _ = session.try_send(SessionMessage::Park(None, CloseReason::GoingAway));
        }
        // Commits that are under way end first.
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.save_confirmed();
        tokio::time::sleep(Duration::from_millis(50)).await;
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
