//! A session over WebSockets, one after the other.

use crate::address::Address;
use crate::error::{Ended, Error, Result};
use crate::event::{Assembler, Event};
use crate::raw::{self, Frame, WebSocket};
use crate::session::backoff::Backoff;
use crate::session::writer::{Writer, tap};
use crate::session::{Command, Direction, Parts, State};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, interval_at, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

/// How long `session_created` may take.
const CREATED: Duration = Duration::from_secs(60);
/// How long the server may take to close a connection whose session it was asked to end.
const CLOSING: Duration = Duration::from_secs(3);

/// Opens a connection and a session on it.
pub(crate) async fn create(address: &Address, header: Value) -> Result<(WebSocket, Event)> {
    let mut socket = raw::open(address, Some(raw::SUBPROTOCOL)).await?;
    socket.send(Message::text(header.to_string())).await?;
    let mut assembler = Assembler::default();
    let answer = async {
        while let Some(message) = socket.next().await {
            if let Some(frame) = Frame::of(&message?)
                && let Some(event) = assembler.push(frame.bytes())?
            {
                return Ok(event);
            }
        }
        Err(Error::Protocol("the connection closed before session_created".into()))
    };
    let event = timeout(CREATED, answer).await.map_err(|_| Error::Timeout("session_created".into()))??;
    match event.name() {
        "session_created" => Ok((socket, event)),
        "error" => Err(Error::Rejected(event)),
        name => Err(Error::Protocol(format!("{name} instead of session_created"))),
    }
}

/// How a connection ended.
enum Lost {
    /// Somehow: connect again.
    Connection,
    /// For good.
    Session(Ended),
}

/// Drives a session.
pub(crate) struct Driver {
    address: Address,
    parts: Parts,
    /// The caller wants no connection.
    parked: bool,
}

impl Driver {
    pub(crate) fn new(address: Address, parts: Parts) -> Self {
        Self { address, parts, parked: false }
    }

    /// Runs until the session is over or nobody holds it. Without a socket it begins with a resumption.
    pub(crate) async fn run(mut self, mut socket: Option<WebSocket>) {
        let mut resume = socket.is_none();
        let ended = loop {
            let connected = match socket.take() {
                Some(socket) => Ok(socket),
                None => self.reconnect().await,
            };
            let socket = match connected {
                Ok(socket) => socket,
                Err(ended) => break ended,
            };
            self.parts.state.send_replace(State::Online);
            match self.serve(socket, resume).await {
                Lost::Connection => resume = true,
                Lost::Session(ended) => break ended,
            }
            self.parts.state.send_replace(State::Offline);
        };
        self.parts.core.end(&ended);
        self.parts.state.send_replace(State::Ended(ended));
    }

    /// Tries until there is a connection.
    async fn reconnect(&mut self) -> Result<WebSocket, Ended> {
        let options = &self.parts.options;
        let mut backoff = Backoff::new(options.first_pause, options.longest_pause);
        let limit = options.give_up_after;
        let mut since = Instant::now();
        loop {
            while self.parked {
                let command = self.parts.commands.recv().await;
                self.offline(command)?;
                since = Instant::now();
            }
            let address = self.address.clone();
            let opening = async move { raw::open(&address, Some(raw::SUBPROTOCOL)).await };
            match self.meanwhile(opening).await? {
                Some(Ok(socket)) => return Ok(socket),
                Some(Err(error)) if since.elapsed() > limit => {
                    return Err(Ended::by_client(&format!("gave up to connect: {error}")));
                }
                Some(Err(error)) => {
                    tracing::trace!(%error, "no connection");
                    self.meanwhile(sleep(backoff.pause())).await?;
                }
                None => {}
            }
        }
    }

    /// Waits for something while there is no connection; `None` if the caller wants none any more.
    async fn meanwhile<T>(&mut self, future: impl Future<Output = T>) -> Result<Option<T>, Ended> {
        let mut future = pin!(future);
        loop {
            tokio::select! {
                done = &mut future => return Ok(Some(done)),
                command = self.parts.commands.recv() => self.offline(command)?,
            }
            if self.parked {
                return Ok(None);
            }
        }
    }

    /// Takes a command while there is no connection.
    fn offline(&mut self, command: Option<Command>) -> Result<(), Ended> {
        match command {
            None => return Err(Ended::by_client("nobody holds it")),
            Some(Command::Close) => return Err(Ended::by_client("closed without a connection")),
            Some(Command::Action(pending)) => _ = self.parts.core.accept(pending),
            Some(Command::HoldAcknowledgements(hold)) => self.parts.core.hold(hold),
            Some(Command::Disconnect) => self.parked = true,
            Some(Command::Connect) => self.parked = false,
            // These mean a connection, which is lost.
            Some(Command::Tell(..) | Command::Raw(_) | Command::DropConnection) => {}
        }
        Ok(())
    }

    /// Serves one connection.
    async fn serve(&mut self, socket: WebSocket, resume: bool) -> Lost {
        let (mut writer, mut stream) = Writer::spawn(socket);
        writer.tap = self.parts.options.tap.clone();
        if resume {
            self.parts.core.connected();
            let header = self.parts.core.resume();
            writer.send(self.parts.core.frames(header, &[]));
            for action_id in self.parts.core.unanswered() {
                self.retry(&writer, action_id);
            }
        }
        let every = self.parts.options.keep_alive;
        let mut keep_alive = interval_at(Instant::now() + every, every);
        let mut heard = Instant::now();
        let mut closing: Option<Instant> = None;
        let mut assembler = Assembler::default();
        let far = Instant::now() + Duration::from_secs(365 * 86_400);
        loop {
            let acknowledge_at = self.parts.core.acknowledge_at();
            tokio::select! {
                message = stream.next() => {
                    heard = Instant::now();
                    match message {
                        None | Some(Err(_) | Ok(Message::Close(_))) => return lost(closing),
                        Some(Ok(message)) => if let Some(ended) = self.frame(&message, &mut assembler) {
                            return ended;
                        }
                    }
                }
                command = self.parts.commands.recv() => match command {
                    Some(Command::Close) => {
                        let header = self.parts.core.close();
                        writer.send(self.parts.core.frames(header, &[]));
                        closing = Some(Instant::now() + CLOSING);
                    }
                    Some(command) => if self.online(command, &writer) {
                        return Lost::Connection;
                    },
                    None if closing.is_some() => return lost(closing),
                    None => return Lost::Session(Ended::by_client("nobody holds it")),
                },
                () = sleep_until(acknowledge_at.unwrap_or(far)) => {
                    let header = self.parts.core.bare_acknowledgement();
                    writer.send(self.parts.core.frames(header, &[]));
                }
                () = sleep_until(closing.unwrap_or(far)) => return lost(closing),
                _ = keep_alive.tick() => {
                    if heard.elapsed() > every * 3 {
                        return Lost::Connection;
                    }
                    writer.keep_alive();
                }
            }
        }
    }

    /// Takes a message from the server.
    fn frame(&mut self, message: &Message, assembler: &mut Assembler) -> Option<Lost> {
        let frame = Frame::of(message)?;
        let bytes = frame.bytes();
        tap(self.parts.options.tap.as_ref(), Direction::Received, frame);
        match assembler.push(bytes) {
            Ok(event) => self.parts.core.event(event?).map(Lost::Session),
            Err(error) => {
                tracing::warn!(%error, "what came is no event");
                Some(Lost::Connection)
            }
        }
    }

    /// Takes a command while there is a connection; whether that ends it.
    fn online(&mut self, command: Command, writer: &Writer) -> bool {
        let core = &mut self.parts.core;
        match command {
            Command::Action(pending) => {
                let action_id = core.accept(pending);
                self.retry(writer, action_id);
            }
            Command::Tell(header, parts) => {
                let header = core.acknowledging(header);
                writer.send(core.frames(header, &parts));
            }
            Command::Raw(frames) => writer.send(frames),
            Command::HoldAcknowledgements(hold) => core.hold(hold),
            Command::DropConnection => return true,
            Command::Disconnect => {
                self.parked = true;
                return true;
            }
            Command::Connect | Command::Close => {}
        }
        false
    }

    fn retry(&mut self, writer: &Writer, action_id: u64) {
        if let Some((header, parts)) = self.parts.core.action(action_id) {
            writer.send(self.parts.core.frames(header, &parts));
        }
    }
}

fn lost(closing: Option<Instant>) -> Lost {
    match closing {
        Some(_) => Lost::Session(Ended::by_client("closed")),
        None => Lost::Connection,
    }
}
