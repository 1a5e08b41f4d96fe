//! A session that outlives its connections.
//!
//! A task of its own drives each session: [`core`] decides what a number or an answer means, [`socket`]
//! and [`polling`] bring it to the wire. Handles only send commands to that task. What was not answered
//! is sent again after each reconnection, under the same numbers, in the same order.

mod backoff;
mod core;
mod events;
mod options;
mod polling;
mod socket;
mod words;
mod writer;

#[cfg(test)]
mod tests;

pub use events::{Events, Reply};
pub use options::{Direction, Options, Tapped, Transport};
pub use words::{History, Target, guest, login, new_user};

use crate::address::Address;
use crate::error::{Ended, Result};
use crate::event::Event;
use crate::raw::Frame;
use bytes::Bytes;
use levee_proto::Object;
use serde_json::Value;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// Which answer completes an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The first event with its number.
    One,
    /// `history_results` and as many messages as it announces.
    History,
    /// `search_results` up to those that are empty.
    Search,
}

/// What a handle asks of its session's task.
pub(crate) enum Command {
    /// Send an action that is retried until it is answered.
    Action(core::Pending),
    /// Send an action without a number, once.
    Tell(Object, Vec<Bytes>),
    /// Send frames as they are, if there is a connection.
    Raw(Vec<Frame>),
    /// Lose the connection now; connect again as after any loss.
    DropConnection,
    /// Lose the connection now and stay away.
    Disconnect,
    /// End what `Disconnect` began.
    Connect,
    /// Stop acknowledging, or begin again.
    HoldAcknowledgements(bool),
    /// End the session at the server, then here.
    Close,
}

/// What a session's connection is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There is a connection. For a long poll: the last request was answered.
    Online,
    /// There is none at present.
    Offline,
    /// There won't be one any more.
    Ended(Ended),
}

/// A handle on a session; clones are handles on the same one. When the last is dropped the connection is
/// lost, and the session stays at the server until it is resumed or forgotten.
#[derive(Clone)]
pub struct Session {
    created: Event,
    /// Guards the order: a number is drawn and its action sent under one lock.
    actions: Arc<Mutex<Actions>>,
    state: watch::Receiver<State>,
    reply_timeout: Duration,
}

struct Actions {
    next: u64,
    commands: mpsc::UnboundedSender<Command>,
}

impl Session {
    /// Opens a session. `parameters` are those of `create_session`: see [`guest`], [`new_user`] and
    /// [`login`]. All message types are accepted unless it says otherwise.
    ///
    /// # Errors
    /// `Rejected` if the server says no, otherwise what kept the request from an answer. It is not retried,
    /// for each try might make another user.
    pub async fn create(address: &Address, parameters: Value, options: Options) -> Result<(Self, Events)> {
        let mut header = parameters.as_object().cloned().unwrap_or_default();
        header.entry("message_types").or_insert_with(|| vec!["*"].into());
        header.insert("action".to_owned(), "create_session".into());
        let header = Value::Object(header);
        match options.transport {
            Transport::WebSocket => {
                let (socket, created) = socket::create(address, header).await?;
                let (parts, session, events) = parts(created, 0, 1, options);
                tokio::spawn(socket::Driver::new(address.clone(), parts).run(Some(socket)));
                Ok((session, events))
            }
            Transport::LongPoll => {
                let created = polling::create(address, &header).await?;
                let (parts, session, events) = parts(created, 0, 1, options);
                tokio::spawn(polling::Driver::new(address.clone(), parts).run());
                Ok((session, events))
            }
        }
    }

    /// Goes on with a session of which the client knows no more than its id, the last event that it has
    /// seen and the number of its next action. That the session is unknown shows later, in [`State`].
    pub fn resume(
        address: &Address,
        session_id: &str,
        event_id: u64,
        next_action: u64,
        options: Options,
    ) -> (Self, Events) {
        let known = serde_json::json!({"event": "session_created", "session_id": session_id});
        let created = Event::inline(known).unwrap_or_else(|_| unreachable!("it has a name"));
        let transport = options.transport;
        let (parts, session, events) = parts(created, event_id, next_action, options);
        match transport {
            Transport::WebSocket => {
                tokio::spawn(socket::Driver::new(address.clone(), parts).run(None));
            }
            Transport::LongPoll => {
                tokio::spawn(polling::Driver::new(address.clone(), parts).run());
            }
        }
        (session, events)
    }

    /// The `session_created` event; after [`Session::resume`] it holds the session's id only.
    pub fn created(&self) -> &Event {
        &self.created
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        self.created.str("session_id")
    }

    /// The user's id.
    pub fn user_id(&self) -> &str {
        self.created.str("user_id")
    }

    /// Sends an action and waits for the first event that answers it.
    ///
    /// # Errors
    /// `Rejected` if that is an `error`, `Ended` if the session is over, `Timeout`.
    pub async fn send(&self, action: &str, parameters: Value, parts: Vec<Bytes>) -> Result<Event> {
        self.start(action, parameters, parts).event().await
    }

    /// Sends an action and leaves the waiting to the caller.
    pub fn start(&self, action: &str, parameters: Value, parts: Vec<Bytes>) -> Reply {
        self.start_expecting(Expect::One, action, parameters, parts)
    }

    pub(crate) fn start_expecting(
        &self,
        expect: Expect,
        action: &str,
        parameters: Value,
        parts: Vec<Bytes>,
    ) -> Reply {
        let mut header = parameters.as_object().cloned().unwrap_or_default();
        header.insert("action".to_owned(), action.into());
        let (waiter, answer) = oneshot::channel();
        let mut actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        let action_id = actions.next;
        actions.next += 1;
        header.insert("action_id".to_owned(), action_id.into());
        let pending = core::Pending::new(action_id, header, parts, expect, waiter);
        // If the task is gone, so is the waiter, which the reply notices.
        let _ = actions.commands.send(Command::Action(pending));
        Reply { action_id, answer, limit: self.reply_timeout }
    }

    /// Sends an action without a number: it is not answered unless it fails, and not retried.
    pub fn tell(&self, action: &str, parameters: Value, parts: Vec<Bytes>) {
        let mut header = parameters.as_object().cloned().unwrap_or_default();
        header.insert("action".to_owned(), action.into());
        self.command(Command::Tell(header, parts));
    }

    /// The number that the next action will have.
    pub fn next_action_id(&self) -> u64 {
        self.actions.lock().unwrap_or_else(PoisonError::into_inner).next
    }

    /// Sends frames as they are, if there is a connection.
    pub fn send_frames(&self, frames: Vec<Frame>) {
        self.command(Command::Raw(frames));
    }

    /// Loses the connection without a word; the session reconnects by itself.
    pub fn drop_connection(&self) {
        self.command(Command::DropConnection);
    }

    /// Loses the connection without a word and stays away until [`Session::connect`].
    pub fn disconnect(&self) {
        self.command(Command::Disconnect);
    }

    /// Connects again after [`Session::disconnect`].
    pub fn connect(&self) {
        self.command(Command::Connect);
    }

    /// Stops acknowledging events (`true`), or begins again.
    pub fn hold_acknowledgements(&self, hold: bool) {
        self.command(Command::HoldAcknowledgements(hold));
    }

    /// Ends the session at the server, and waits until it is over.
    pub async fn close(&self) -> Ended {
        self.command(Command::Close);
        self.ended().await
    }

    /// What the connection is doing.
    pub fn state(&self) -> State {
        self.state.borrow().clone()
    }

    /// Waits for a connection, or for the end of the session.
    ///
    /// # Errors
    /// `Ended`.
    pub async fn online(&self) -> Result<()> {
        let mut state = self.state.clone();
        let state = state.wait_for(|state| *state != State::Offline).await.map(|state| state.clone());
        match state {
            Ok(State::Ended(ended)) => Err(ended.into()),
            Ok(_) => Ok(()),
            Err(_) => Err(Ended::by_client("its task is gone").into()),
        }
    }

    /// Waits until the session is over.
    pub async fn ended(&self) -> Ended {
        let mut state = self.state.clone();
        match state.wait_for(|state| matches!(state, State::Ended(_))).await.map(|state| state.clone()) {
            Ok(State::Ended(ended)) => ended,
            _ => Ended::by_client("its task is gone"),
        }
    }

    fn command(&self, command: Command) {
        let actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        // Commands to a task that is gone have nothing to act on.
        let _ = actions.commands.send(command);
    }
}

/// What a driver is made of.
pub(crate) struct Parts {
    pub(crate) core: core::Core,
    pub(crate) options: Options,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) state: watch::Sender<State>,
}

fn parts(created: Event, event_id: u64, next: u64, options: Options) -> (Parts, Session, Events) {
    let (commands, receiver) = mpsc::unbounded_channel();
    let (sink, events) = mpsc::unbounded_channel();
    let (sender, state) = watch::channel(State::Offline);
    let mut core = core::Core::new(created.str("session_id"), event_id, sink, &options);
    core.open(&created);
    let actions = Arc::new(Mutex::new(Actions { next, commands }));
    let session = Session { created, actions, state, reply_timeout: options.reply_timeout };
    (Parts { core, options, commands: receiver, state: sender }, session, Events { events })
}
