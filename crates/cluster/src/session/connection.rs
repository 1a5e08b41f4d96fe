//! The way to the client: a socket that stays, or a request that waits. What a session writes to it.

use super::SessionActor;
use actix::prelude::*;
use levee_domain::session::Numbered;
use levee_domain::view::Stream;
use levee_proto::{Body, ErrorType, Rejection};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::oneshot;

/// How many bytes may wait in a connection before the session holds back.
const WINDOW: usize = 1 << 20;
/// What a write counts beside its bytes, so that many small ones fill the window too.
pub const OVERHEAD: usize = 512;
/// How many events one write to a connection carries.
const AT_ONCE: usize = 128;

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
    /// A request that waits for the next events. Dropped, it says that the session has left.
    Poll(oneshot::Sender<Vec<Numbered>>),
}

impl SessionActor {
    /// Writes what can be written.
    pub(super) fn flush(&mut self, ctx: &mut Context<Self>) {
        if self.beginning.is_some() {
            return;
        }
        if let Some(Connection::Poll(waiting)) = &self.connection
            && waiting.is_closed()
        {
            self.disconnected();
        }
        // What was held as the latest of its kind goes out once it can.
        if self.has_room()
            && self.machine.has_window()
            && let Err(rejection) = self.machine.release_latest()
        {
            return self.end(Some(&rejection), CloseReason::Gone, true, ctx);
        }
        while self.has_room() {
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

    /// Whether there is a connection that can take more.
    fn has_room(&self) -> bool {
        match &self.connection {
            None => false,
            Some(Connection::Socket(_, flow)) => flow.pending() < WINDOW,
            Some(Connection::Poll(_)) => true,
        }
    }

    pub(super) fn disconnected(&mut self) {
        self.connection = None;
        self.away_since = Instant::now();
        self.look_soon();
    }

    pub(super) fn connect(&mut self, connection: Connection, number: u64, ctx: &mut Context<Self>) {
        match self.connection.take() {
            Some(Connection::Socket(old, _)) => {
                let superseded = Rejection::new(ErrorType::ConnectionSuperseded);
                let event = Arc::new(Body::error(&superseded));
                let _ = old.try_send(Outgoing::Close(Some(event), CloseReason::Superseded));
            }
            Some(Connection::Poll(old)) => drop(old.send(Vec::new())),
            None => {}
        }
        self.connection = Some(connection);
        self.connection_number = number;
        // What a long poll was given goes out again only if the next one does not acknowledge it.
        self.machine.rewind();
        if !self.connected {
            self.connected = true;
            self.tell_presence(true);
        }
        self.flush(ctx);
    }

    pub(super) fn tell_presence(&self, connected: bool) {
        let order = serde_json::json!({"Presence": {"session": self.id, "connected": connected,
            "idle": self.idle.filter(|_| connected)}});
        self.hub.route(Stream::user(&self.user), crate::letter::Job::Tell(order));
    }
}
