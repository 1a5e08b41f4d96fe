//! Leaving this node: the session's whole state goes into its row, and whichever node the client comes
//! back to goes on with it exactly.

use super::{
    Announce, Beginning, Birth, CloseReason, Connection, Following, Outgoing, SessionActor, SessionMessage,
};
use crate::letter::{AskedOutcome, Letter, Seat};
use actix::prelude::*;
use levee_domain::Command;
use levee_domain::session::Packed;
use levee_domain::view::Stream;
use levee_proto::{Body, ErrorType, Rejection, Text};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How often parking is tried while the store does not answer.
const TRIES: u32 = 5;

/// A session that lives on no node.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Parked {
    session: Packed,
    follows: Vec<ParkedFollowing>,
    /// The client's address, for one that polls by another node.
    #[serde(default)]
    peer: Text,
    /// Since when nobody sits before it, a Unix time.
    #[serde(default)]
    idle: Option<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct ParkedFollowing {
    stream: Stream,
    entered: u64,
    announce: bool,
    command: Option<Command>,
    #[serde(default)]
    otherwise: Option<Arc<Body>>,
    watched: bool,
}

impl Parked {
    /// The session's state.
    pub(crate) fn session(&self) -> Packed {
        self.session.clone()
    }

    /// The client's address.
    pub(super) fn peer(&self) -> &Text {
        &self.peer
    }

    /// Since when nobody sits before it, a Unix time.
    pub(super) fn idle(&self) -> Option<u64> {
        self.idle
    }

    /// How it stands to what it follows.
    pub(super) fn follows(self) -> impl Iterator<Item = (Stream, Following)> {
        self.follows.into_iter().map(|of| {
            let announce = Announce { command: of.command, otherwise: of.otherwise };
            let announce = of.announce.then(|| Box::new(announce));
            (of.stream, Following { entered: of.entered, announce, watched: of.watched })
        })
    }
}

impl SessionActor {
    /// What comes while it leaves: a client comes back in a moment, and finds it elsewhere; a node that
    /// wants it asks again until it has left.
    pub(super) fn leaving(&self, message: SessionMessage) {
        if let SessionMessage::Connect(Connection::Socket(socket, _), ..) = message {
            let _ = socket.try_send(Outgoing::Close(None, CloseReason::GoingAway));
        }
    }

    /// Leaves this node, and tells whoever asked for that when it is done.
    pub(super) fn park(&mut self, asker: Option<(Seat, u64)>, reason: CloseReason, ctx: &mut Context<Self>) {
        if let Some(Connection::Socket(socket, _)) = self.connection.take() {
            let superseded = reason == CloseReason::Superseded;
            let event =
                superseded.then(|| Arc::new(Body::error(&Rejection::new(ErrorType::ConnectionSuperseded))));
            let _ = socket.try_send(Outgoing::Close(event, reason));
        }
        // From here on it takes nothing in: what comes later is read from the streams, or sent again.
        self.flags.parking = true;
        for (stream, _) in self.follows.iter() {
            self.hub.unfollow(stream, &self.id);
        }
        self.lanes.take().for_each(drop);
        self.held.take().for_each(drop);
        self.write_parked(asker, 0, ctx);
    }

    /// Tells whoever asked for it that the life that was meant does not live here any more.
    pub(super) fn has_left(&self, asker: Option<(Seat, u64)>) {
        if let Some((seat, token)) = asker {
            self.hub.send(&seat, Letter::Asked(token, AskedOutcome::Done(Value::Null)));
        }
    }

    fn write_parked(&mut self, asker: Option<(Seat, u64)>, tried: u32, ctx: &mut Context<Self>) {
        if self.flags.saving {
            // What is being written has the version that this must build upon.
            ctx.run_later(Duration::from_millis(20), move |actor, ctx| actor.write_parked(asker, tried, ctx));
            return;
        }
        let follows = match self.beginning.as_deref() {
            // It has not begun: it stands to its streams as it did where it came from.
            Some(Beginning { birth: Some(Birth::Again { parked, .. }), .. }) => {
                parked.as_deref().map(|parked| parked.follows.clone())
            }
            Some(Beginning { birth: Some(Birth::New { .. }), .. }) => None,
            _ => Some(self.follows.iter().map(|(stream, following)| parked(stream, following)).collect()),
        };
        let parked = follows.map(|follows| Parked {
            session: self.machine.pack(),
            follows,
            peer: self.peer.clone(),
            idle: self.idle,
        });
        let ceiling = self.machine.ceiling();
        let mut row = self.row(ceiling);
        row.node = Default::default();
        row.parked = parked.map(Box::new);
        let commit = self.row_commit(&row);
        let store = self.hub.store();
        let writing = async move { store.commit(commit).await };
        ctx.spawn(writing.into_actor(self).map(move |written, actor, ctx| {
            match written {
                Err(levee_store::StoreError::Unavailable(error)) if tried < TRIES => {
                    tracing::warn!(%error, session = %actor.id, "a session was not handed over; trying again");
                    let wait = Duration::from_millis(200 << tried);
                    ctx.run_later(wait, move |actor, ctx| actor.write_parked(asker, tried + 1, ctx));
                    return;
                }
                Err(error) => {
                    // It goes on from its cursors then.
                    tracing::warn!(%error, session = %actor.id, "a session was not handed over");
                }
                Ok(()) => {
                    actor.hub.shared.metrics.parked.inc();
                }
            }
            actor.has_left(asker);
            actor.flags.ended = true;
            actor.hub.sessions.borrow_mut().remove(&actor.id);
            ctx.stop();
        }));
    }
}

fn parked(stream: &Stream, following: &Following) -> ParkedFollowing {
    ParkedFollowing {
        stream: stream.clone(),
        entered: following.entered,
        announce: following.announce.is_some(),
        command: following.announce.as_ref().and_then(|announce| announce.command.clone()),
        otherwise: following.announce.as_ref().and_then(|announce| announce.otherwise.clone()),
        watched: following.watched,
    }
}
