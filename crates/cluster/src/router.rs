//! The router: jobs to the owners of their streams, letters to hubs, questions and their answers.

use crate::entity::{self, EntityMessage};
use crate::hub::{EntitySlot, Hub};
use crate::letter::{AskedOutcome, Asker, Job, Letter, Outcome, Seat};
use crate::session::SessionMessage;
use actix::prelude::*;
use levee_domain::view::Stream;
use levee_proto::{ErrorType, Rejection};
use serde_json::Value;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::oneshot;

/// How long an entity may take to answer a question before it is asked again, and how often it is asked.
const ASK_AGAIN: Duration = Duration::from_millis(1500);
const ASKED_AT_MOST: usize = 8;
/// How many orders that nobody would send again may wait for an owner of their stream, and for how long.
const HELD: usize = 65_536;
const HELD_TICKS: u64 = 10;

/// Questions that wait for their answers.
#[derive(Default)]
pub(crate) struct Questions {
    waiting: RefCell<HashMap<u64, oneshot::Sender<Result<Value, Rejection>>>>,
    next: Cell<u64>,
}

impl Questions {
    /// A number for a question, and its answer to come.
    pub(crate) fn open(&self) -> (u64, oneshot::Receiver<Result<Value, Rejection>>) {
        let token = self.next.get();
        self.next.set(token + 1);
        let (sender, receiver) = oneshot::channel();
        self.waiting.borrow_mut().insert(token, sender);
        (token, receiver)
    }

    /// Nobody waits for the answer any more.
    pub(crate) fn close(&self, token: u64) {
        self.waiting.borrow_mut().remove(&token);
    }

    fn answer(&self, token: u64, outcome: AskedOutcome) {
        if let Some(waiting) = self.waiting.borrow_mut().remove(&token) {
            let _ = waiting.send(match outcome {
                AskedOutcome::Done(value) => Ok(value),
                AskedOutcome::Refused(rejection) => Err(rejection),
            });
        }
    }
}

impl Hub {
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
            Job::Ask { .. }
            | Job::Forward { .. }
            | Job::Attach(_)
            | Job::Confirmed { .. }
            | Job::Ring(_)
            | Job::Wake => {}
        }
    }

    /// Sends on what waited for an owner.
    pub(crate) fn release_held(self: &Rc<Self>) {
        let now = self.ticks.get();
        // A borrow in the head of a loop would last as long as the loop.
        let held = self.held.take();
        for (since, stream, order) in held {
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
            Letter::Left => self.shared.renew_now.notify_one(),
            Letter::Park { seat, token, session, life, .. } => self.park(seat, token, &session, life),
            Letter::Relay { seat, token, session, what, .. } => self.relayed(seat, token, &session, what),
            Letter::Relayed(token, events) => self.relay_answered(token, events),
            Letter::Asked(token, outcome) => self.questions.answer(token, outcome),
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
        let (token, receiver) = self.questions.open();
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
        self.questions.close(token);
        outcome.unwrap_or_else(|| Err(Rejection::new(ErrorType::Internal).because("no answer in time")))
    }
}
