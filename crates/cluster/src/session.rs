//! The actor of one session: it outlives its connections, and the node too, by its row in the store.
//!
//! It turns a client's actions into jobs for their owners, and what it follows into numbered events.

mod act;
mod birth;
mod connection;
mod gather;
mod held;
mod lane;
mod park;
mod save;
mod seen;
mod target;

pub use connection::{CloseReason, Connection, Flow, OVERHEAD, Outgoing};
pub(crate) use target::target;

use crate::bring;
use crate::hub::Hub;
use crate::letter::{Act, Attached, Outcome, Seat};
use crate::publish::Shown;
use actix::prelude::*;
use bytes::Bytes;
use gather::Gather;
use lane::Lane;
use levee_domain::puppet::Puppet;
pub use levee_domain::session::Numbered;
use levee_domain::session::Session;
use levee_domain::user::Entered;
use levee_domain::view::Stream;
use levee_domain::{Command, Few};
use levee_proto::attrs::UserAttrs;
use levee_proto::envelope::Splice;
use levee_proto::{Body, Envelope, ErrorType, Id, Rejection, Text};
pub(crate) use park::Parked;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::oneshot;

/// How many messages may wait for a session.
const MAILBOX: usize = 2048;
/// How many messages are held until the session has begun.
const HELD: usize = 4096;

/// A session, as the directory keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct SessionRow {
    /// The shard of the session's id, which the row's key does not tell.
    pub(crate) shard: u16,
    pub(crate) user: Id,
    pub(crate) types: Vec<Text>,
    pub(crate) ceiling: u64,
    pub(crate) cursors: Vec<(Id, u64)>,
    /// Channels that it follows without their being its user's, each with the record after which.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) looks_on: Vec<(Id, u64)>,
    /// The node that it lives on; empty if it has left there.
    #[serde(default)]
    pub(crate) node: Id,
    /// How often it has gone on somewhere: its life, by which it is told from what it was before.
    #[serde(default)]
    pub(crate) epoch: u64,
    /// Its state when it left there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parked: Option<Box<Parked>>,
}

/// How a session begins to live.
#[derive(Debug)]
#[allow(private_interfaces)]
pub(crate) enum Birth {
    /// It was just created.
    New {
        /// Its secret, for `session_created`.
        session_id: Id,
        /// The token of a new user.
        user_auth: Option<Id>,
        /// The client's number for the action that created it.
        action_id: Option<u64>,
    },
    /// It comes back from the store.
    Again {
        /// Its state, if it left its last node in good order.
        parked: Option<Box<Parked>>,
        /// Channels that it follows without their being its user's.
        looks_on: Vec<(Id, u64)>,
    },
}

/// Which session it is.
#[derive(Debug)]
pub(crate) struct Which {
    /// The digest of its id.
    pub(crate) id: Id,
    /// The shard of its id.
    pub(crate) shard: u16,
    /// Whose it is.
    pub(crate) user: Id,
    /// The version of its row.
    pub(crate) version: u64,
    /// How often it has gone on somewhere.
    pub(crate) epoch: u64,
    /// What its further secrets are made of; kept nowhere, for its id tells it.
    pub(crate) seed: [u8; 16],
}

/// What comes to a session.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub enum SessionMessage {
    /// An action of the client, with its header and payload. Who wants to know is told once it is taken in: a session
    /// that leaves drops what it has not taken in, and the client is to send it again.
    Act(Box<(Envelope, Bytes, Vec<Bytes>)>, Option<oneshot::Sender<()>>),
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
    /// It goes on elsewhere: it leaves this node, and answers who asked for that. A newer life than the one that
    /// is meant stays.
    #[doc(hidden)]
    Park(Option<(Seat, u64)>, CloseReason, u64),
    /// Others have taken it over, or are to: this node has lost the store.
    #[doc(hidden)]
    Shed,
    /// An action of this number came to a node that does not own its stream.
    #[doc(hidden)]
    Moved(u64),
}

/// The actor.
pub struct SessionActor {
    hub: Rc<Hub>,
    /// The digest of the session's id.
    id: Id,
    shard: u16,
    seed: [u8; 16],
    user: Id,
    card: Arc<UserAttrs>,
    /// Whose puppet the user is, if they are one.
    puppet: Option<Box<Puppet>>,
    machine: Session,
    connection: Option<Connection>,
    connection_number: u64,
    /// Where the connection comes from.
    peer: Text,
    /// Streams that it follows, and what to announce once their owners answer.
    follows: Few<Stream, Following>,
    gathers: Vec<Gather>,
    /// Actions on their way, by their streams.
    lanes: Few<Stream, Lane>,
    /// Actions that wait until the bytes of one before them are here.
    held: Few<Stream, VecDeque<Act>>,
    /// The version of its row.
    version: u64,
    /// How often it has gone on somewhere.
    epoch: u64,
    /// Set until it has begun.
    beginning: Option<Box<Beginning>>,
    /// What its user entered while it did not look, until it has read of that itself.
    unheard: Option<Box<Unheard>>,
    read: Few<Id, u64>,
    /// Answers that wait until the row says what they promise.
    unsaved: Vec<(Arc<Body>, Option<u64>)>,
    connected: bool,
    /// Since when nobody sits before it, a Unix time.
    idle: Option<u64>,
    away_since: Instant,
    flags: Flags,
}

/// What is going on in a session.
#[derive(Default)]
struct Flags {
    /// The hub will have it look around at its next tick.
    looks: bool,
    /// It is leaving this node.
    parking: bool,
    /// Its row is being written.
    saving: bool,
    /// Its row must be written.
    dirty: bool,
    /// It has ended.
    ended: bool,
}

/// A session that has not begun yet.
struct Beginning {
    /// How it is to begin; taken once its user has answered.
    birth: Option<Birth>,
    /// What came meanwhile.
    held: VecDeque<SessionMessage>,
}

/// What a session's user may have entered without its client having heard so.
struct Unheard {
    /// Once the user's stream was read up to here, the rest is announced: by then what it tells came in its order.
    until: u64,
    entered: Vec<(Stream, Entered)>,
    /// Actions that came meanwhile. Their answers would come before what the client has missed.
    held: VecDeque<SessionMessage>,
}

/// How a session stands to a stream that it follows.
#[derive(Debug, Default)]
pub(crate) struct Following {
    /// The record by which its user entered it, or after which the session looks on.
    entered: u64,
    /// Set until its owner has answered and that is announced.
    announce: Option<Box<Announce>>,
    /// The session only looks on: at whether a queue is open, or at what is said in a channel.
    watched: bool,
}

/// What is to be announced of a stream that the user has entered.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Announce {
    /// The command that caused it.
    #[serde(default)]
    command: Option<Command>,
    /// The event that tells of it, should the owner have none any more.
    #[serde(default)]
    otherwise: Option<Arc<Body>>,
}

impl SessionActor {
    pub(crate) fn open(
        hub: Rc<Hub>,
        which: Which,
        machine: Session,
        birth: Birth,
        connection: Option<(Connection, u64)>,
    ) -> Addr<Self> {
        let Which { id, shard, user, version, epoch, seed } = which;
        let (connection, connection_number) =
            connection.map_or((None, 0), |(way, number)| (Some(way), number));
        let fresh = matches!(birth, Birth::New { .. });
        let actor = Self {
            hub: hub.clone(),
            id: id.clone(),
            shard,
            seed,
            user,
            card: Arc::default(),
            puppet: None,
            machine,
            connected: connection.is_some(),
            idle: None,
            connection,
            connection_number,
            peer: Text::default(),
            follows: Few::default(),
            gathers: Vec::new(),
            lanes: Few::default(),
            held: Few::default(),
            version,
            epoch,
            beginning: Some(Box::new(Beginning { birth: Some(birth), held: VecDeque::new() })),
            unheard: None,
            read: Few::default(),
            unsaved: Vec::new(),
            away_since: Instant::now(),
            flags: Flags { dirty: !fresh, ..Flags::default() },
        };
        // At once, for a client that resumes sends all that has no reply.
        let address = Self::create(|ctx| {
            ctx.set_mailbox_capacity(MAILBOX);
            actor
        });
        hub.sessions.borrow_mut().insert(id, Rc::new(address.clone()));
        address
    }

    /// Shows the client an event that answers an action or stands for itself.
    fn tell(&mut self, body: Arc<Body>, action_id: Option<u64>, ctx: &mut Context<Self>) {
        self.push(body, Splice { action_id, ..Splice::default() }, None, None, ctx);
    }

    fn push(
        &mut self,
        mut body: Arc<Body>,
        splice: Splice,
        message_type: Option<&str>,
        mark: Option<(&Stream, u64)>,
        ctx: &mut Context<Self>,
    ) {
        if let Some(action_id) = splice.action_id {
            self.replied(action_id);
            body = bring::reveal(body, || Some(self.secret(Some(action_id))));
        }
        match self.machine.push(body, splice, message_type, mark) {
            Ok(coalesced) => {
                for _ in 0..coalesced {
                    self.hub.shared.metrics.drop("coalesced");
                }
            }
            Err(rejection) => {
                self.hub.shared.metrics.drop("session_buffer");
                self.end(Some(&rejection), CloseReason::Gone, true, ctx);
            }
        }
    }

    fn reject(&mut self, rejection: &Rejection, action_id: Option<u64>, ctx: &mut Context<Self>) {
        self.hub.shared.metrics.errors.with_label_values(&[rejection.error_type.name()]).inc();
        tracing::debug!(session = %self.id, action_id, %rejection, "an action was refused");
        self.tell(Arc::new(Body::error(rejection)), action_id, ctx);
    }

    /// Has the hub's next tick save this session, and look after what else it waits for.
    fn look_soon(&mut self) {
        if !std::mem::replace(&mut self.flags.looks, true) {
            self.hub.dirty.borrow_mut().insert(self.id.clone());
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
        match self.connection.take() {
            Some(Connection::Socket(socket, _)) => {
                let event = event.map(|rejection| Arc::new(Body::error(rejection)));
                let _ = socket.try_send(Outgoing::Close(event, reason));
            }
            // The next one is told that there is no such session.
            Some(Connection::Poll(waiting)) if for_good => drop(waiting.send(Vec::new())),
            _ => {}
        }
        if for_good {
            // Its row goes with the user's next commit: until then it must not come back from there.
            self.hub.ended.borrow_mut().insert(self.id.clone(), self.hub.ticks.get());
            let (hub, user, session) = (self.hub.clone(), self.user.clone(), self.id.clone());
            actix::spawn(async move {
                let order = serde_json::json!({"Leave": {"session": session}});
                for wait in [0, 1, 5, 25] {
                    tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
                    hub.route(Stream::user(&user), crate::letter::Job::Tell(order.clone()));
                }
            });
        }
        let streams: Vec<_> = self.follows.take().map(|(stream, _)| stream).collect();
        for stream in streams {
            self.hub.unfollow(&stream, &self.id);
        }
        self.hub.sessions.borrow_mut().remove(&self.id);
        ctx.stop();
    }
}

impl Actor for SessionActor {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Self::Context) {
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
        if self.flags.parking {
            return self.leaving(message);
        }
        if self.flags.ended {
            if let SessionMessage::Connect(Connection::Socket(socket, _), ..) = message {
                let gone = Body::error(&Rejection::new(ErrorType::SessionNotFound));
                let _ = socket.try_send(Outgoing::Close(Some(Arc::new(gone)), CloseReason::Gone));
            }
            return;
        }
        let waits = matches!(
            message,
            SessionMessage::Act(..)
                | SessionMessage::Seen(..)
                | SessionMessage::Latest(..)
                | SessionMessage::Malformed(..)
        );
        if let Some(beginning) = self.beginning.as_mut().filter(|_| waits) {
            if beginning.held.len() < HELD {
                beginning.held.push_back(message);
            } else {
                self.hub.shared.metrics.drop("session_held");
            }
            return;
        }
        let Some(message) = self.hold_until_heard(message, ctx) else { return };
        match message {
            SessionMessage::Act(act, taken) => {
                let (envelope, header, parts) = *act;
                self.act(envelope, header, parts, ctx);
                taken.map(|taken| taken.send(()));
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
            SessionMessage::Writable => self.flush(ctx),
            SessionMessage::Seen(stream, seq, shown) => self.seen(&stream, seq, shown, ctx),
            SessionMessage::Latest(key, body) => self.latest(key, body, ctx),
            SessionMessage::Attached(attached) => self.attached(*attached, ctx),
            SessionMessage::Answer(action_id, outcome) => {
                self.answered(action_id, outcome, ctx);
                self.flush(ctx);
            }
            SessionMessage::Save => self.look(ctx),
            SessionMessage::Moved(action_id) => self.moved(action_id, ctx),
            SessionMessage::Park(asker, reason, life) if life >= self.epoch => self.park(asker, reason, ctx),
            SessionMessage::Park(asker, ..) => self.has_left(asker),
            SessionMessage::Shed => self.end(None, CloseReason::GoingAway, false, ctx),
        }
    }
}
