//! The actor of one session: it outlives its connections, and the node too, by its row in the store.
//!
//! It turns a client's actions into jobs for their owners, and what it follows into numbered events.

mod act;
mod birth;
mod gather;

pub(crate) use act::target;

use crate::hub::Hub;
use crate::letter::{Attached, Outcome};
use crate::publish::Shown;
use actix::prelude::*;
use bytes::Bytes;
use gather::Gather;
use levee_domain::Command;
pub use levee_domain::session::Numbered;
use levee_domain::session::Session;
use levee_domain::view::{Effect, Stream, roles};
use levee_proto::attrs::UserAttrs;
use levee_proto::envelope::Splice;
use levee_proto::{Body, Envelope, ErrorType, Id, Rejection, Text};
use levee_store::{Commit, DirectoryChange, Expect};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::oneshot;

/// How many messages may wait for a session.
const MAILBOX: usize = 2048;
/// How many bytes may wait in a connection before the session holds back.
const WINDOW: usize = 1 << 20;
/// What a write counts beside its bytes, so that many small ones fill the window too.
pub const OVERHEAD: usize = 512;
/// How many events one write to a connection carries.
const AT_ONCE: usize = 128;
/// How many messages are held until the session has begun.
const HELD: usize = 4096;

/// A session, as the directory keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SessionRow {
    pub(crate) user: Id,
    pub(crate) types: Vec<Text>,
    pub(crate) ceiling: u64,
    pub(crate) cursors: Vec<(Id, u64)>,
}

/// How a session begins to live.
#[derive(Debug)]
pub(crate) enum Birth {
    /// It was just created.
    New {
        /// Its secret, for `session_created`.
        session_id: Id,
        /// The token of a new user.
        user_auth: Option<Id>,
    },
    /// It comes back from the store.
    Again,
}

/// Why a connection is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The client asked for it.
    Closed,
    /// Another connection took over.
    Superseded,
    /// The session is gone.
    Gone,
    /// The client reads too slowly.
    Slow,
    /// The node is about to stop.
    GoingAway,
}

/// What a connection gets.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum Outgoing {
    /// Events to write.
    Events(Vec<Numbered>),
    /// A last event perhaps, and the end.
    Close(Option<Arc<Body>>, CloseReason),
}

/// A socket's backlog, which the session and the connection share.
#[derive(Debug, Default)]
pub struct Flow(AtomicUsize);

impl Flow {
    /// Bytes were handed to the connection.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
    /// Bytes were written. Whether the session may be waiting for that.
    pub fn written(&self, bytes: usize) -> bool {
        let before = self.0.fetch_sub(bytes, Ordering::Relaxed);
        before >= WINDOW && before.saturating_sub(bytes) < WINDOW
    }
    /// Bytes that wait.
    pub fn pending(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A way to the client.
#[derive(Debug)]
pub enum Connection {
    /// A socket that stays.
    Socket(Recipient<Outgoing>, Arc<Flow>),
    /// A request that waits for the next events.
    Poll(oneshot::Sender<Vec<Numbered>>),
}

/// What comes to a session.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum SessionMessage {
    /// An action of the client, with its header and payload.
    Act(Box<(Envelope, Bytes, Vec<Bytes>)>),
    /// A frame that is no action: it is answered with an error.
    Malformed(Rejection, Option<u64>),
    /// A connection, under a number of its own, that has received events up to one.
    Connect(Connection, u64, Option<u64>),
    /// The address that the connection comes from.
    Peer(Text),
    /// The connection of this number is gone.
    Disconnect(u64),
    /// The client has received events up to this one.
    Acknowledge(u64),
    /// The connection has room again.
    Writable,
    /// What is seen of a stream.
    #[doc(hidden)]
    Seen(Stream, u64, Vec<Shown>),
    /// The latest value of something.
    #[doc(hidden)]
    Latest(Text, Arc<Body>),
    /// The answer of a stream's owner.
    #[doc(hidden)]
    Attached(Box<Attached>),
    /// The answer to an action.
    #[doc(hidden)]
    Answer(Option<u64>, Outcome),
    /// Save what changed.
    #[doc(hidden)]
    Save,
    /// The node is about to stop.
    GoAway,
}

/// The actor.
pub struct SessionActor {
    hub: Rc<Hub>,
    /// The digest of the session's id.
    id: Id,
    shard: u16,
    user: Id,
    card: Arc<UserAttrs>,
    machine: Session,
    connection: Option<Connection>,
    connection_number: u64,
    /// Where the connection comes from.
    peer: Text,
    /// Streams that it follows, and what to announce once their owners answer.
    follows: HashMap<Stream, Option<Entering>>,
    /// Queues that it follows only to see whether they are open.
    watched: HashSet<Stream>,
    gathers: Vec<Gather>,
    held: VecDeque<SessionMessage>,
    birth: Option<Birth>,
    read: HashMap<Id, u64>,
    connected: bool,
    away_since: Instant,
    flags: Flags,
}

/// What is going on in a session.
#[derive(Default)]
struct Flags {
    /// Its row is being written.
    saving: bool,
    /// Its row must be written.
    dirty: bool,
    /// It has ended.
    ended: bool,
}

/// A stream that was entered just now: its owner's answer is announced.
#[derive(Debug)]
pub(crate) struct Entering {
    seq: u64,
    command: Option<Command>,
}

impl SessionActor {
    pub(crate) fn open(
        hub: Rc<Hub>,
        id: Id,
        shard: u16,
        user: Id,
        machine: Session,
        birth: Birth,
        connection: Option<(Connection, u64)>,
    ) -> Addr<Self> {
        let (connection, connection_number) =
            connection.map_or((None, 0), |(way, number)| (Some(way), number));
        let fresh = matches!(birth, Birth::New { .. });
        let actor = Self {
            hub: hub.clone(),
            id: id.clone(),
            shard,
            user,
            card: Arc::default(),
            machine,
            connected: connection.is_some(),
            connection,
            connection_number,
            peer: Text::default(),
            follows: HashMap::new(),
            watched: HashSet::new(),
            gathers: Vec::new(),
            held: VecDeque::new(),
            birth: Some(birth),
            read: HashMap::new(),
            away_since: Instant::now(),
            flags: Flags { dirty: !fresh, ..Flags::default() },
        };
        let address = actor.start();
        hub.sessions.borrow_mut().insert(id, address.clone());
        address
    }

    /// Shows the client an event that answers an action or stands for itself.
    fn tell(&mut self, body: Arc<Body>, action_id: Option<u64>, ctx: &mut Context<Self>) {
        self.push(body, Splice { action_id, ..Splice::default() }, None, None, ctx);
    }

    fn push(
        &mut self,
        body: Arc<Body>,
        splice: Splice,
        message_type: Option<&str>,
        mark: Option<(&Stream, u64)>,
        ctx: &mut Context<Self>,
    ) {
        if let Err(rejection) = self.machine.push(body, splice, message_type, mark) {
            self.hub.shared.metrics.drop("session_buffer");
            self.end(Some(&rejection), CloseReason::Gone, true, ctx);
        }
    }

    fn reject(&mut self, rejection: &Rejection, action_id: Option<u64>, ctx: &mut Context<Self>) {
        self.hub.shared.metrics.errors.with_label_values(&[rejection.error_type.name()]).inc();
        tracing::debug!(session = %self.id, action_id, %rejection, "an action was refused");
        self.tell(Arc::new(Body::error(rejection)), action_id, ctx);
    }

    /// Writes what can be written.
    fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.birth.is_some() {
            return;
        }
        if let Some(Connection::Poll(waiting)) = &self.connection {
            if waiting.is_closed() {
                self.disconnected();
            }
        }
        loop {
            let room = match &self.connection {
                None => break,
                Some(Connection::Socket(_, flow)) => flow.pending() < WINDOW,
                Some(Connection::Poll(_)) => true,
            };
            if !room {
                break;
            }
            let mut events = Vec::new();
            let mut bytes = 0;
            while events.len() < AT_ONCE && bytes < WINDOW / 4 {
                let Some(event) = self.machine.next_to_send() else { break };
                bytes += event.body.size();
                events.push(event);
            }
            if events.is_empty() {
                break;
            }
            match self.connection.take() {
                Some(Connection::Socket(socket, flow)) => {
                    flow.add(bytes + OVERHEAD);
                    if socket.try_send(Outgoing::Events(events)).is_err() {
                        // It is gone, or so slow that it must reconnect: nothing is lost by that.
                        self.hub.shared.metrics.drop("connection_mailbox");
                        let _ = socket.try_send(Outgoing::Close(None, CloseReason::Slow));
                        self.disconnected();
                        break;
                    }
                    self.connection = Some(Connection::Socket(socket, flow));
                }
                Some(Connection::Poll(waiting)) => {
                    let _ = waiting.send(events);
                    self.disconnected();
                }
                None => {}
            }
        }
        if let Some(ceiling) = self.machine.wants_ceiling() {
            self.save(Some(ceiling), ctx);
        }
    }

    fn disconnected(&mut self) {
        self.connection = None;
        self.away_since = Instant::now();
        self.mark_dirty();
    }

    /// Has the hub save this session (and look whether it is still wanted) at its next tick.
    fn mark_dirty(&self) {
        self.hub.dirty.borrow_mut().insert(self.id.clone());
    }

    fn connect(&mut self, connection: Connection, number: u64, ctx: &mut Context<Self>) {
        if let Some(Connection::Socket(old, _)) = self.connection.take() {
            let superseded = Rejection::new(ErrorType::ConnectionSuperseded);
            let event = Arc::new(Body::error(&superseded));
            let _ = old.try_send(Outgoing::Close(Some(event), CloseReason::Superseded));
        }
        self.connection = Some(connection);
        self.connection_number = number;
        // What a long poll was given goes out again only if the next one does not acknowledge it.
        self.machine.rewind();
        if let Err(rejection) = self.machine.release_latest() {
            return self.end(Some(&rejection), CloseReason::Gone, true, ctx);
        }
        if !self.connected {
            self.connected = true;
            self.tell_presence(true);
        }
        self.flush(ctx);
    }

    fn tell_presence(&self, connected: bool) {
        let order = serde_json::json!({"Presence": {"session": self.id, "connected": connected}});
        self.hub.route(Stream::user(&self.user), crate::letter::Job::Tell(order));
    }

    /// Takes in what is seen of a stream.
    fn seen(&mut self, stream: &Stream, seq: u64, shown: Vec<Shown>, ctx: &mut Context<Self>) {
        for item in shown {
            match item.effect {
                Effect::None | Effect::Become(_) => {}
                Effect::Follow { stream: other, from, command } => self.enter(other, from, command),
                Effect::Quit { stream: other } => {
                    if self.hub.roles_in(&other, &self.id).is_some_and(|has| has & roles::MEMBER == 0) {
                        self.quit(&other);
                    }
                }
                Effect::Leave => {
                    self.follows.remove(stream);
                    self.read.remove(&stream.id);
                }
                Effect::End => {
                    if let Some(body) = item.body {
                        self.tell(body, item.action_id, ctx);
                        self.flush(ctx);
                    }
                    return self.end(None, CloseReason::Closed, false, ctx);
                }
            }
            let Some(body) = item.body else { continue };
            if stream.kind == levee_domain::Kind::User && body.event() == "user_updated" {
                // The card that goes with actions must follow.
                self.ask_again(&stream.clone());
            }
            let mark = (seq > 0).then_some((stream, seq));
            let splice = Splice { action_id: item.action_id, ..Splice::default() };
            self.push(body, splice, item.message_type.as_deref(), mark, ctx);
        }
        if seq > 0 && !self.flags.ended {
            self.machine.mark(stream, seq);
        }
        self.note_dirty();
        self.flush(ctx);
    }

    fn note_dirty(&mut self) {
        if !self.flags.dirty && self.machine.has_changed_cursors() {
            self.flags.dirty = true;
            self.mark_dirty();
        }
    }

    /// The user entered a stream: the session follows it, and announces that.
    fn enter(&mut self, stream: Stream, seq: u64, command: Option<Command>) {
        let entering = Entering { seq, command };
        let known = self.follows.insert(stream.clone(), Some(entering)).is_some();
        if known {
            self.ask_again(&stream);
        } else {
            self.follow(&stream, Some(seq));
        }
    }

    fn follow(&mut self, stream: &Stream, after: Option<u64>) {
        self.follows.entry(stream.clone()).or_insert(None);
        let attach = self.hub.attaching(&self.id, &self.user);
        self.hub.follow(stream, attach, after);
    }

    /// Asks a stream's owner once more how it stands.
    fn ask_again(&self, stream: &Stream) {
        let attach = self.hub.attaching(&self.id, &self.user);
        self.hub.route(stream.clone(), crate::letter::Job::Attach(attach));
    }

    fn quit(&mut self, stream: &Stream) {
        self.follows.remove(stream);
        self.watched.remove(stream);
        self.machine.forget(stream);
        self.hub.unfollow(stream, &self.id);
    }

    fn attached(&mut self, attached: Attached, ctx: &mut Context<Self>) {
        let stream = attached.stream.clone();
        if stream == Stream::user(&self.user) {
            if let Some(card) = attached.summary.get("user_attrs") {
                self.card = Arc::new(serde_json::from_value(card.clone()).unwrap_or_default());
            }
            self.born(&attached, ctx);
        }
        if let Some(entering) = self.follows.get_mut(&stream).and_then(Option::take) {
            let action_id = entering.command.filter(|c| c.session == self.id).map(|c| c.action_id);
            if let Some(body) = attached.entry.clone() {
                let splice = Splice { action_id, ..Splice::default() };
                self.push(body, splice, None, Some((&stream, entering.seq)), ctx);
            }
            if stream.kind == levee_domain::Kind::Queue {
                self.stop_watching(&stream);
            }
        } else if let Some(latest) = &attached.latest {
            if self.follows.contains_key(&stream) && attached.roles != 0 && self.gathers.is_empty() {
                self.latest(stream.key(), latest.clone(), ctx);
            }
        }
        if attached.roles == 0 {
            self.quit(&stream);
        }
        self.gathered(attached, ctx);
        self.note_dirty();
        self.flush(ctx);
    }

    /// Watching a realm's queues ends when an audience is requested.
    fn stop_watching(&mut self, entered: &Stream) {
        self.watched.remove(entered);
        for stream in std::mem::take(&mut self.watched) {
            self.quit(&stream);
        }
    }

    /// The latest value of something goes out at once, or is held while nobody can take it.
    fn latest(&mut self, key: Text, body: Arc<Body>, ctx: &mut Context<Self>) {
        let ready = match &self.connection {
            Some(Connection::Socket(_, flow)) => flow.pending() < WINDOW,
            Some(Connection::Poll(_)) => true,
            None => false,
        };
        self.machine.hold_latest(key, body);
        if ready {
            if let Err(rejection) = self.machine.release_latest() {
                return self.end(Some(&rejection), CloseReason::Gone, true, ctx);
            }
            self.flush(ctx);
        }
    }

    /// Writes the session's row: a ceiling, or cursors.
    fn save(&mut self, ceiling: Option<u64>, ctx: &mut Context<Self>) {
        if self.flags.saving || self.flags.ended {
            self.flags.dirty |= ceiling.is_none();
            return;
        }
        let ceiling = ceiling.unwrap_or_else(|| self.machine.ceiling());
        self.flags.saving = true;
        self.flags.dirty = false;
        let _ = self.machine.take_changed_cursors();
        let row = SessionRow {
            user: self.user.clone(),
            types: self.machine.message_types.to_vec(),
            ceiling,
            cursors: self.machine.cursors().iter().map(|(stream, seq)| (stream.key(), *seq)).collect(),
        };
        let epoch = self.hub.shared.placement.epoch(self.shard, &self.hub.shared.node).unwrap_or_default();
        let commit = Commit {
            shard: self.shard,
            epoch,
            directory: vec![DirectoryChange {
                namespace: levee_domain::user::SESSIONS.into(),
                key: self.id.clone(),
                expect: Expect::Any,
                value: serde_json::to_vec(&row).ok().map(Bytes::from),
            }],
            ..Commit::default()
        };
        let store = self.hub.store();
        let writing = async move { store.commit(commit).await };
        ctx.spawn(writing.into_actor(self).map(move |written, actor, ctx| {
            actor.flags.saving = false;
            match written {
                Ok(()) => {
                    actor.machine.reserved(ceiling);
                    actor.flush(ctx);
                }
                Err(levee_store::StoreError::Fenced { .. }) => {
                    // Another node has the session's shard; it goes on there.
                    actor.end(None, CloseReason::GoingAway, false, ctx);
                }
                Err(error) => {
                    tracing::warn!(%error, "a session was not saved; trying again");
                    actor.flags.dirty = true;
                    actor.mark_dirty();
                }
            }
        }));
    }

    /// The hub's tick: saves what changed, and ends a session that nobody came back to.
    fn look(&mut self, ctx: &mut Context<Self>) {
        if let Some(Connection::Poll(waiting)) = &self.connection {
            if waiting.is_closed() {
                self.disconnected();
            }
        }
        if self.connection.is_none() {
            let away = self.away_since.elapsed();
            if away >= self.hub.shared.options.session_ttl {
                tracing::debug!(session = %self.id, "nobody came back to the session");
                return self.end(None, CloseReason::Gone, true, ctx);
            }
            if self.connected && away >= self.hub.shared.options.presence_grace {
                self.connected = false;
                self.tell_presence(false);
            }
            self.mark_dirty();
        }
        if self.flags.dirty || self.machine.wants_ceiling().is_some() {
            let ceiling = self.machine.wants_ceiling();
            self.save(ceiling, ctx);
        }
    }

    /// Ends the session here; with `for_good`, in the store too.
    fn end(
        &mut self,
        event: Option<&Rejection>,
        reason: CloseReason,
        for_good: bool,
        ctx: &mut Context<Self>,
    ) {
        if std::mem::replace(&mut self.flags.ended, true) {
            return;
        }
        if let Some(Connection::Socket(socket, _)) = self.connection.take() {
            let event = event.map(|rejection| Arc::new(Body::error(rejection)));
            let _ = socket.try_send(Outgoing::Close(event, reason));
        }
        if for_good {
            let (hub, user, session) = (self.hub.clone(), self.user.clone(), self.id.clone());
            actix::spawn(async move {
                let order = serde_json::json!({"Leave": {"session": session}});
                for wait in [0, 1, 5, 25] {
                    tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
                    hub.route(Stream::user(&user), crate::letter::Job::Tell(order.clone()));
                }
            });
        }
        let streams: Vec<_> = self.follows.drain().map(|(stream, _)| stream).collect();
        for stream in streams {
            self.hub.unfollow(&stream, &self.id);
        }
        self.hub.sessions.borrow_mut().remove(&self.id);
        ctx.stop();
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        self.hub.shared.metrics.sessions.inc();
        self.begin();
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.hub.shared.metrics.sessions.dec();
    }
}

impl Handler<SessionMessage> for SessionActor {
    type Result = ();

    fn handle(&mut self, message: SessionMessage, ctx: &mut Self::Context) {
        if self.flags.ended {
            return;
        }
        let waits = self.birth.is_some()
            && matches!(
                message,
                SessionMessage::Act(_)
                    | SessionMessage::Seen(..)
                    | SessionMessage::Latest(..)
                    | SessionMessage::Malformed(..)
            );
        if waits {
            if self.held.len() < HELD {
                self.held.push_back(message);
            } else {
                self.hub.shared.metrics.drop("session_held");
            }
            return;
        }
        match message {
            SessionMessage::Act(act) => {
                let (envelope, header, parts) = *act;
                self.act(envelope, header, parts, ctx);
            }
            SessionMessage::Malformed(rejection, action_id) => {
                self.reject(&rejection, action_id, ctx);
                self.flush(ctx);
            }
            SessionMessage::Connect(connection, number, acknowledged) => {
                let late = acknowledged.and_then(|id| self.machine.acknowledge(id).err());
                self.connect(connection, number, ctx);
                if let Some(rejection) = late {
                    self.reject(&rejection, None, ctx);
                    self.flush(ctx);
                }
            }
            SessionMessage::Peer(address) => self.peer = address,
            SessionMessage::Disconnect(number) => {
                if self.connection_number == number {
                    self.disconnected();
                }
            }
            SessionMessage::Acknowledge(event_id) => {
                if let Err(rejection) = self.machine.acknowledge(event_id) {
                    self.reject(&rejection, None, ctx);
                }
                self.note_dirty();
                self.flush(ctx);
            }
            SessionMessage::Writable => {
                if let Err(rejection) = self.machine.release_latest() {
                    return self.end(Some(&rejection), CloseReason::Gone, true, ctx);
                }
                self.flush(ctx);
            }
            SessionMessage::Seen(stream, seq, shown) => self.seen(&stream, seq, shown, ctx),
            SessionMessage::Latest(key, body) => self.latest(key, body, ctx),
            SessionMessage::Attached(attached) => self.attached(*attached, ctx),
            SessionMessage::Answer(action_id, outcome) => {
                self.answered(action_id, outcome, ctx);
                self.flush(ctx);
            }
            SessionMessage::Save => self.look(ctx),
            SessionMessage::GoAway => {
                if let Some(Connection::Socket(socket, _)) = self.connection.take() {
                    let _ = socket.try_send(Outgoing::Close(None, CloseReason::GoingAway));
                }
                self.disconnected();
            }
        }
    }
}
