//! Requests of clients without a socket whose session lives on another node: they are passed on to it,
//! for a client that polls may come to another node each time.

use crate::hub::Hub;
use crate::letter::{Letter, Relayed, Seat};
use crate::session::{Connection, SessionActor, SessionMessage};
use actix::Addr;
use levee_domain::session::Numbered;
use levee_proto::{Envelope, Id, Rejection, ids};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How long a node waits for events to answer a poll with; clients' requests end before that.
const WAIT: Duration = Duration::from_secs(40);
/// How much longer the other node's answer may take.
const UNDER_WAY: Duration = Duration::from_secs(4);

/// Where a session lives.
#[derive(Debug)]
pub enum Place {
    /// On this node.
    Here(Addr<SessionActor>),
    /// On another one.
    There(Id),
    /// On this node, as of now: where it was before, actions may have got lost.
    Came,
}

/// What became of a request that was passed on.
#[derive(Debug)]
pub enum Answer {
    /// The session has taken it; these events are its answer.
    Events(Vec<Numbered>),
    /// The session does not live there any more.
    Gone,
    /// Nobody knows.
    Silence,
}

/// Requests that wait for another node's answer.
#[derive(Default)]
pub(crate) struct Relays(RefCell<HashMap<u64, Waiting>>);

struct Waiting {
    node: Id,
    answer: oneshot::Sender<Answer>,
    polls: bool,
    since: Instant,
}

impl Relays {
    /// Ends those whose node is gone.
    pub(crate) fn look(&self, is_live: impl Fn(&Id) -> bool) {
        for (_, waiting) in self.0.borrow_mut().extract_if(|_, waiting| !is_live(&waiting.node)) {
            let _ = waiting.answer.send(Answer::Gone);
        }
    }

    /// Ends polls that have waited for so long: while letters may get lost, nobody knows whether an answer will
    /// come, and their clients poll again.
    pub(crate) fn end_old(&self, age: Duration) {
        self.0.borrow_mut().retain(|_, waiting| !waiting.polls || waiting.since.elapsed() < age);
    }

    /// Ends all: letters got lost.
    pub(crate) fn end_all(&self) {
        self.0.borrow_mut().clear();
    }
}

impl Hub {
    /// Passes a request on to a session on another node.
    pub async fn relay(self: Rc<Self>, node: &Id, session_id: &Id, what: Relayed) -> Answer {
        let Some(shard) = ids::shard(session_id) else { return Answer::Gone };
        let patience = match what {
            Relayed::Poll(_) => WAIT + UNDER_WAY,
            Relayed::Act(..) => UNDER_WAY,
        };
        let token = rand::random();
        let (answer, receiver) = oneshot::channel();
        let (polls, since) = (matches!(what, Relayed::Poll(_)), Instant::now());
        self.relays.0.borrow_mut().insert(token, Waiting { node: node.clone(), answer, polls, since });
        let _forget = Forget { hub: &self, token };
        let session = ids::digest(session_id);
        let letter = Letter::Relay { seat: self.seat.clone(), token, session, shard, what };
        let there = Seat { node: node.clone(), arbiter: self.shared.arbiter(shard) };
        self.send(&there, letter);
        let answer = tokio::time::timeout(patience, receiver).await;
        answer.ok().and_then(Result::ok).unwrap_or(Answer::Silence)
    }

    /// Has a session come here that the node it was looked for on did not know, unless it lives on yet another.
    ///
    /// # Errors
    /// As [`Hub::session`].
    pub async fn settle(self: Rc<Self>, node: &Id, session_id: &Id) -> Result<(), Rejection> {
        match self.find(session_id).await? {
            Place::There(other) if other == *node => self.session(session_id, || true).await.map(drop),
            _ => Ok(()),
        }
    }

    /// A request from another node for a session here.
    pub(crate) fn relayed(self: &Rc<Self>, seat: Seat, token: u64, session: &Id, what: Relayed) {
        let found = self.sessions.borrow().get(session).cloned().filter(|_| self.is_sure());
        let Some(address) = found else { return self.send(&seat, Letter::Relayed(token, None)) };
        match what {
            Relayed::Act(header, parts) => {
                let (sender, receiver) = oneshot::channel();
                let sent = Envelope::parse(&header).ok().is_some_and(|envelope| {
                    let act = Box::new((envelope, header, parts));
                    address.try_send(SessionMessage::Act(act, Some(sender))).is_ok()
                });
                let hub = self.clone();
                actix::spawn(async move {
                    let taken = sent && receiver.await.is_ok();
                    hub.send(&seat, Letter::Relayed(token, taken.then(Vec::new)));
                });
            }
            Relayed::Poll(acknowledged) => {
                let (sender, receiver) = oneshot::channel();
                let way = Connection::Poll(sender);
                if address.try_send(SessionMessage::Connect(way, rand::random(), acknowledged)).is_err() {
                    return self.send(&seat, Letter::Relayed(token, None));
                }
                let hub = self.clone();
                actix::spawn(async move {
                    let events = polled(receiver).await;
                    hub.send(&seat, Letter::Relayed(token, events));
                });
            }
        }
    }

    /// The other node's answer.
    pub(crate) fn relay_answered(&self, token: u64, events: Option<Vec<Numbered>>) {
        if let Some(waiting) = self.relays.0.borrow_mut().remove(&token) {
            let _ = waiting.answer.send(events.map_or(Answer::Gone, Answer::Events));
        }
    }
}

/// What comes for a client that polls: nothing, after a while; `None` when its session leaves meanwhile, for what
/// it was sent last may be lost by that.
pub async fn polled(events: oneshot::Receiver<Vec<Numbered>>) -> Option<Vec<Numbered>> {
    tokio::time::timeout(WAIT, events).await.map_or_else(|_| Some(Vec::new()), Result::ok)
}

/// Forgets a request when its client is gone.
struct Forget<'a> {
    hub: &'a Hub,
    token: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.hub.relays.0.borrow_mut().remove(&self.token);
    }
}
