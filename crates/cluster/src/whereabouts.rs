//! Where sessions live: finding them, having them come here, and sending them away.

use crate::enter::unavailable;
use crate::hub::Hub;
use crate::letter::{AskedOutcome, Letter, Seat};
use crate::relay::Place;
use crate::session::{Birth, CloseReason, SessionActor, SessionMessage, SessionRow, Which};
use actix::Addr;
use bytes::Bytes;
use levee_domain::session::{BLOCK, Session};
use levee_domain::user::SESSIONS;
use levee_domain::view::Stream;
use levee_proto::{ErrorType, Id, Rejection, ids};
use levee_store::{Commit, DirectoryChange, Expect, Shard};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// How often a session is tried to be had before somebody else has it.
const TAKEN_AT_MOST: usize = 8;
/// How long a node may take at least to give up a session. After that it goes on from what is stored.
const FETCH: Duration = Duration::from_secs(4);
/// How soon it is asked again: letters get lost.
const FETCH_AGAIN: Duration = Duration::from_millis(200);
/// How long one waits until it is seen which sessions live here, and how often one looks.
const SURE_WITHIN: Duration = Duration::from_secs(10);
const SURE_LOOK: Duration = Duration::from_millis(50);
/// For how long after that requests may come that waited in a socket while the node stood still.
const WAITED_IN_SOCKET: Duration = Duration::from_secs(1);
/// How many sessions are looked at at once.
const LOOKED_AT_ONCE: usize = 32;
/// How long sessions may take to leave when their node stops.
const PARKED_WITHIN: Duration = Duration::from_secs(10);
/// How often a node that stops looks whether they left.
const PARKED_LOOK: Duration = Duration::from_millis(100);

impl Hub {
    /// Finds a session, and has it live on this node: it is here, or on another node that gives it up, or
    /// in the store after a crash. Whoever wants it may give up meanwhile, for a newer connection must not be
    /// superseded by one that is gone.
    ///
    /// # Errors
    /// `session_not_found`; `connection_superseded` when it is not wanted any more; `internal` when the store
    /// does not answer, or too many want it at once.
    pub async fn session(
        self: &Rc<Self>,
        session_id: &Id,
        wanted: impl Fn() -> bool,
    ) -> Result<Addr<SessionActor>, Rejection> {
        let absent = || Rejection::new(ErrorType::SessionNotFound);
        let session = ids::digest(session_id);
        let shard = ids::shard(session_id).ok_or_else(absent)?;
        self.make_sure().await?;
        if let Some(address) = self.session_here(&session) {
            return Ok(address);
        }
        // A client that polls asks several times at once: one of them looks, the others find what it found.
        let turn = Turn::new(self, &session);
        let _turn = turn.lock.lock().await;
        for _ in 0..TAKEN_AT_MOST {
            if let Some(address) = self.session_here(&session) {
                return Ok(address);
            }
            let (version, row) = self.session_row(&session).await?.ok_or_else(absent)?;
            if !wanted() {
                return Err(Rejection::new(ErrorType::ConnectionSuperseded));
            }
            let elsewhere = row.node != self.shared.node && self.shared.placement.is_live(&row.node);
            if elsewhere && self.fetch(&row, &session, shard, &wanted).await {
                let (now, row) = self.session_row(&session).await?.ok_or_else(absent)?;
                // It may have gone on somewhere else meanwhile: then it is that node which is to give it up. One
                // that could not be handed over is as it was.
                if (row.node.is_empty() || now == version)
                    && let Some(address) = self.take_session(session_id, now, row).await?
                {
                    return Ok(address);
                }
                continue;
            }
            if !wanted() {
                return Err(Rejection::new(ErrorType::ConnectionSuperseded));
            }
            let last = (row.node.clone(), row.epoch);
            if let Some(address) = self.take_session(session_id, version, row).await? {
                if elsewhere {
                    self.tell_taken(&last, &session, shard);
                }
                return Ok(address);
            }
        }
        Err(several())
    }

    /// Whether the sessions here surely live here. When the node's lease has run out, others may have taken
    /// them: what lives here then must be looked at before it is asked anything.
    pub(crate) fn is_sure(&self) -> bool {
        self.shared.has_lease() && self.shared.lease.lapses() == self.sure.get()
    }

    /// Waits until the sessions here surely live here.
    async fn make_sure(&self) -> Result<(), Rejection> {
        for _ in 0..SURE_WITHIN.as_millis() / SURE_LOOK.as_millis() {
            if self.is_sure() {
                return Ok(());
            }
            tokio::time::sleep(SURE_LOOK).await;
        }
        Err(Rejection::new(ErrorType::Internal).because("the store does not answer"))
    }

    /// Lets go of the sessions that went on elsewhere while the lease had run out.
    pub(crate) async fn look_at_sessions(self: Rc<Self>) {
        let lapses = self.shared.lease.lapses();
        let sessions: Vec<Id> = self.sessions.borrow().keys().cloned().collect();
        for some in sessions.chunks(LOOKED_AT_ONCE) {
            futures_util::future::join_all(some.iter().map(|session| self.look_at_session(session))).await;
        }
        tracing::info!(sessions = sessions.len(), "the lease had run out; looked which sessions live here");
        self.sure.set(self.sure.get().max(lapses));
        self.looked.set(Some(Instant::now()));
    }

    async fn look_at_session(&self, session: &Id) {
        loop {
            match self.session_row(session).await {
                Ok(Some((_, row))) if row.node == self.shared.node => return,
                Ok(_) => break,
                Err(_) => tokio::time::sleep(SURE_LOOK).await,
            }
        }
        if let Some(stale) = self.session_here(session) {
            // Its mailbox may be full of what came while the node stood still.
            let _ = stale.send(SessionMessage::Shed).await;
        }
    }

    fn session_here(&self, session: &Id) -> Option<Addr<SessionActor>> {
        self.sessions.borrow().get(session).map(|address| Addr::clone(address))
    }

    /// Where a session lives. One that lives nowhere comes here.
    ///
    /// # Errors
    /// As [`Hub::session`]; `internal` at once when this node may have stood still: so may the request have, and
    /// its client has sent it again elsewhere.
    pub async fn find(self: &Rc<Self>, session_id: &Id) -> Result<Place, Rejection> {
        let absent = || Rejection::new(ErrorType::SessionNotFound);
        let session = ids::digest(session_id);
        if !self.is_sure() || self.looked.get().is_some_and(|at| at.elapsed() < WAITED_IN_SOCKET) {
            return Err(Rejection::new(ErrorType::Internal).because("the node was out of sight; try again"));
        }
        ids::shard(session_id).ok_or_else(absent)?;
        let turn = Turn::new(self, &session);
        let _turn = turn.lock.lock().await;
        for _ in 0..TAKEN_AT_MOST {
            if let Some(address) = self.session_here(&session) {
                return Ok(Place::Here(address));
            }
            let (version, row) = self.session_row(&session).await?.ok_or_else(absent)?;
            if row.node != self.shared.node && self.shared.placement.is_live(&row.node) {
                return Ok(Place::There(row.node));
            }
            // Who is slower than another node finds it there.
            if self.take_session(session_id, version, row).await?.is_some() {
                return Ok(Place::Came);
            }
        }
        Err(several())
    }

    pub(crate) async fn session_row(&self, session: &Id) -> Result<Option<(u64, SessionRow)>, Rejection> {
        let entry = self.shared.store.get(SESSIONS, session).await.map_err(unavailable)?;
        let read = |entry: levee_store::Entry| {
            let row = serde_json::from_slice(&entry.value);
            row.map(|row| (entry.version, row)).map_err(|error| {
                tracing::error!(%error, %session, "a session's row can't be read");
                Rejection::new(ErrorType::SessionNotFound)
            })
        };
        entry.map(read).transpose()
    }

    /// Writes into a session's row that it lives here, and starts it. `None` if somebody else was faster.
    async fn take_session(
        self: &Rc<Self>,
        session_id: &Id,
        version: u64,
        mut row: SessionRow,
    ) -> Result<Option<Addr<SessionActor>>, Rejection> {
        let (session, shard) = (&ids::digest(session_id), ids::shard(session_id).unwrap_or_default());
        let parked = row.parked.take();
        let known = row.ceiling;
        row.epoch += 1;
        row.node.clone_from(&self.shared.node);
        if parked.is_none() {
            // Which numbers below the ceiling were used is not known: it goes on above.
            row.ceiling += BLOCK;
        }
        let commit = self.session_commit(shard, session, &row, version);
        match self.shared.store.commit(commit).await {
            Ok(()) => {}
            Err(levee_store::StoreError::Taken { .. }) => return Ok(None),
            Err(error) => return Err(unavailable(error)),
        }
        let types = self.alike.types(&row.types);
        let bounds = self.shared.options.session_bounds;
        let machine = match &parked {
            Some(parked) => Session::unpack(types, row.ceiling, parked.session(), bounds),
            None => {
                let cursors = row.cursors.iter();
                let cursors = cursors.filter_map(|(key, seq)| Some((Stream::from_key(key)?, *seq))).collect();
                let mut machine = Session::revived(types, known, cursors, bounds);
                machine.reserved(row.ceiling);
                machine
            }
        };
        tracing::debug!(%session, user = %row.user, exactly = parked.is_some(), "a session goes on here");
        let birth = Birth::Again { parked, looks_on: std::mem::take(&mut row.looks_on) };
        let which = Which {
            id: session.clone(),
            shard,
            user: row.user,
            version: version + 1,
            epoch: row.epoch,
            seed: ids::seed(session_id),
        };
        Ok(Some(SessionActor::open(self.clone(), which, machine, birth, None)))
    }

    /// The commit that writes a session's row if it still has this version. What fences it is a shard of
    /// this node's: the session's own, if it is.
    pub(crate) fn session_commit(
        &self,
        shard: Shard,
        session: &Id,
        row: &SessionRow,
        version: u64,
    ) -> Commit {
        let placement = self.placement();
        let epoch_of = |shard| Some((shard, placement.epoch(shard, &self.shared.node)?));
        let (shard, epoch) = epoch_of(shard).or_else(|| epoch_of(self.own_shard(0)?)).unwrap_or((shard, 0));
        Commit {
            shard,
            epoch,
            directory: vec![DirectoryChange {
                namespace: SESSIONS.into(),
                key: session.clone(),
                expect: Expect::Version(version),
                value: serde_json::to_vec(row).ok().map(Bytes::from),
            }],
            ..Commit::default()
        }
    }

    /// A session is wanted elsewhere. Without an answer that is asked again: by then it has come here, if it was
    /// about to, or takes in what it is asked.
    pub(crate) fn park(self: &Rc<Self>, seat: Seat, token: u64, session: &Id, life: u64) {
        match self.session_here(session) {
            Some(address) => {
                let park = SessionMessage::Park(Some((seat, token)), CloseReason::Superseded, life);
                if address.try_send(park).is_err() {
                    self.shared.metrics.drop("session_mailbox");
                }
            }
            None if self.turns.borrow().contains_key(session) => {}
            None => self.send(&seat, Letter::Asked(token, AskedOutcome::Done(Value::Null))),
        }
    }

    /// Has a session leave the node that it lives on. Whether that node said in time that it did.
    async fn fetch(
        self: &Rc<Self>,
        row: &SessionRow,
        session: &Id,
        shard: Shard,
        wanted: &impl Fn() -> bool,
    ) -> bool {
        let (node, life) = (&row.node, row.epoch);
        let (token, receiver) = self.questions.open();
        let there = Seat { node: node.clone(), arbiter: self.shared.arbiter(shard) };
        let mut answer = std::pin::pin!(receiver);
        let mut left = false;
        // One that is gone is known to be when its lease has run out; one that lives gives it up exactly.
        let patience = FETCH.max(self.shared.options.lease + 2 * self.shared.options.renew);
        for _ in 0..patience.as_millis() / FETCH_AGAIN.as_millis() {
            if !self.placement().is_live(node) || !wanted() {
                break; // nobody will answer, or nobody asks any more
            }
            let (seat, session) = (self.seat.clone(), session.clone());
            self.send(&there, Letter::Park { seat, token, session, shard, life });
            if let Ok(answer) = tokio::time::timeout(FETCH_AGAIN, &mut answer).await {
                left = matches!(answer, Ok(Ok(_)));
                break;
            }
        }
        self.questions.close(token);
        left
    }

    /// Tells a node that did not answer that a session of its has gone on here, until it must have heard:
    /// its connection would go on beside the new one.
    fn tell_taken(self: &Rc<Self>, (node, life): &(Id, u64), session: &Id, shard: Shard) {
        let there = Seat { node: node.clone(), arbiter: self.shared.arbiter(shard) };
        let (hub, session, life) = (self.clone(), session.clone(), *life);
        actix::spawn(async move {
            for wait in [1, 3, 9, 27] {
                tokio::time::sleep(Duration::from_secs(wait)).await;
                let (seat, session) = (hub.seat.clone(), session.clone());
                // Nobody waits for the answer.
                hub.send(&there, Letter::Park { seat, token: u64::MAX, session, shard, life });
            }
        });
    }

    /// Lets go of all sessions: their clients connect to a node that has a store.
    pub(crate) fn shed(&self) {
        for session in self.sessions.borrow().values() {
            // One whose mailbox is full is asked again at the next try.
            let _ = session.try_send(SessionMessage::Shed);
        }
    }

    /// Has all sessions leave, spread over some time, and tells their connections to go.
    pub(crate) async fn go_away(self: Rc<Self>, over: Duration) {
        let sessions: Vec<_> = self.sessions.borrow().values().cloned().collect();
        let gap = over / (sessions.len().max(1) as u32);
        for session in sessions {
            let _ = session.try_send(SessionMessage::Park(None, CloseReason::GoingAway, u64::MAX));
            if !gap.is_zero() {
                tokio::time::sleep(gap).await;
            }
        }
        // Some were about to come here when it began, or had a full mailbox.
        for _ in 0..PARKED_WITHIN.as_millis() / PARKED_LOOK.as_millis() {
            if self.sessions.borrow().is_empty() {
                break;
            }
            for session in self.sessions.borrow().values() {
                let _ = session.try_send(SessionMessage::Park(None, CloseReason::GoingAway, u64::MAX));
            }
            tokio::time::sleep(PARKED_LOOK).await;
        }
        let left = self.sessions.borrow().len();
        if left > 0 {
            tracing::warn!(left, "sessions did not leave in time; they go on from what is stored");
        }
        // Commits that are under way end first.
        tokio::time::sleep(Duration::from_millis(200)).await;
        self.save_confirmed();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn several() -> Rejection {
    Rejection::new(ErrorType::Internal).because("the session is wanted in several places; try again")
}

/// Those who look for one session, one after the other.
pub(crate) type Turns = RefCell<HashMap<Id, Rc<Mutex<()>>>>;

/// One's place among those who look for a session.
struct Turn<'a> {
    hub: &'a Hub,
    session: Id,
    lock: Rc<Mutex<()>>,
}

impl<'a> Turn<'a> {
    fn new(hub: &'a Hub, session: &Id) -> Self {
        let lock = hub.turns.borrow_mut().entry(session.clone()).or_default().clone();
        Self { hub, session: session.clone(), lock }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        // The map has one, this is the other: nobody else waits.
        if Rc::strong_count(&self.lock) == 2 {
            self.hub.turns.borrow_mut().remove(&self.session);
        }
    }
}
