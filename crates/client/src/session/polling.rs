//! A session over HTTP long polling: one request waits for events, another brings the actions, one at a
//! time, for their order matters.

use crate::address::Address;
use crate::error::{Ended, Error, Result};
use crate::event::Event;
use crate::http::Http;
use crate::requests;
use crate::session::backoff::Backoff;
use crate::session::{Command, Parts, State};
use bytes::Bytes;
use levee_proto::Object;
use serde_json::Value;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use tokio::time::{Instant, sleep};

/// A request under way; it brings its connection back.
type Request = Pin<Box<dyn Future<Output = (Http, Result<Vec<Event>>)> + Send>>;

/// Opens a session.
pub(crate) async fn create(address: &Address, header: &Value) -> Result<Event> {
    let events = requests::poll(&mut Http::new(address.clone()), header).await?;
    let event = events.into_iter().next().ok_or_else(|| Error::Protocol("no session_created".into()))?;
    match event.name() {
        "session_created" => Ok(event),
        "error" => Err(Error::Rejected(event)),
        name => Err(Error::Protocol(format!("{name} instead of session_created"))),
    }
}

/// What waits to be sent.
enum Outgoing {
    Pending(u64),
    Once(Value),
}

/// Drives a session.
pub(crate) struct Driver {
    address: Address,
    parts: Parts,
    outbox: VecDeque<Outgoing>,
    poll: Option<Request>,
    sending: Option<Request>,
    /// Kept connections.
    for_poll: Option<Http>,
    for_actions: Option<Http>,
    parked: bool,
    failing: Option<Failing>,
}

/// A server that does not answer.
struct Failing {
    since: Instant,
    backoff: Backoff,
    pause: Pin<Box<tokio::time::Sleep>>,
}

impl Driver {
    pub(crate) fn new(address: Address, parts: Parts) -> Self {
        Self {
            address,
            parts,
            outbox: VecDeque::new(),
            poll: None,
            sending: None,
            for_poll: None,
            for_actions: None,
            parked: false,
            failing: None,
        }
    }

    /// Runs until the session is over or nobody holds it.
    pub(crate) async fn run(mut self) {
        let ended = loop {
            self.begin_requests();
            if let Err(ended) = self.step().await {
                break ended;
            }
        };
        self.parts.core.end(&ended);
        self.parts.state.send_replace(State::Ended(ended));
    }

    /// Starts what can be started.
    fn begin_requests(&mut self) {
        if self.parked || self.failing.is_some() {
            return;
        }
        if self.poll.is_none() {
            let header = Value::Object(self.parts.core.resume());
            let http = self.for_poll.take();
            self.poll = Some(self.request(http, header));
        }
        while self.sending.is_none()
            && let Some(next) = self.outbox.pop_front()
        {
            let header = match &next {
                Outgoing::Once(header) => Some(header.clone()),
                Outgoing::Pending(id) => {
                    self.parts.core.action(*id).map(|(header, parts)| inline(header, &parts))
                }
            };
            // An action without a header was answered meanwhile.
            if let Some(Value::Object(mut header)) = header {
                header.insert("session_id".to_owned(), self.parts.core.session_id().into());
                let http = self.for_actions.take();
                let request = self.request(http, Value::Object(header));
                self.sending = Some(self.in_time(request));
            }
        }
    }

    fn request(&self, http: Option<Http>, header: Value) -> Request {
        let mut http = http.unwrap_or_else(|| Http::new(self.address.clone()));
        Box::pin(async move {
            let answer = requests::poll(&mut http, &header).await;
            (http, answer)
        })
    }

    /// A request that is to be answered at once. One that is not means what silence means to a WebSocket.
    fn in_time(&self, request: Request) -> Request {
        let (limit, address) = (self.parts.options.keep_alive * 3, self.address.clone());
        Box::pin(async move {
            let late = || (Http::new(address), Err(Error::Timeout("an answer".into())));
            tokio::time::timeout(limit, request).await.unwrap_or_else(|_| late())
        })
    }

    /// Waits for one thing to happen.
    async fn step(&mut self) -> Result<(), Ended> {
        tokio::select! {
            (http, answer) = done(&mut self.poll) => {
                self.poll = None;
                self.for_poll = Some(http);
                self.answered(answer)
            }
            (http, answer) = done(&mut self.sending) => {
                self.sending = None;
                self.for_actions = Some(http);
                self.answered(answer)
            }
            command = self.parts.commands.recv() => self.command(command).await,
            () = paused(&mut self.failing) => {
                self.retry_all();
                Ok(())
            }
        }
    }

    /// Takes the answer to a request.
    fn answered(&mut self, answer: Result<Vec<Event>>) -> Result<(), Ended> {
        match answer {
            Ok(events) => {
                self.parts.state.send_replace(State::Online);
                for event in events {
                    if let Some(ended) = self.parts.core.event(event) {
                        return Err(ended);
                    }
                }
                Ok(())
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &Error) -> Result<(), Ended> {
        tracing::trace!(%error, "a request failed");
        self.parts.state.send_replace(State::Offline);
        let options = &self.parts.options;
        let (since, mut backoff) = match self.failing.take() {
            Some(failing) => (failing.since, failing.backoff),
            None => (Instant::now(), Backoff::new(options.first_pause, options.longest_pause)),
        };
        if since.elapsed() > options.give_up_after {
            return Err(Ended::by_client(&format!("gave up to connect: {error}")));
        }
        let pause = Box::pin(sleep(backoff.pause()));
        self.failing = Some(Failing { since, backoff, pause });
        Ok(())
    }

    /// Begins anew, as on a new connection.
    fn retry_all(&mut self) {
        self.failing = None;
        self.poll = None;
        self.sending = None;
        self.for_poll = None;
        self.for_actions = None;
        self.parts.core.connected();
        self.outbox.retain(|outgoing| matches!(outgoing, Outgoing::Once(_)));
        self.outbox.extend(self.parts.core.unanswered().into_iter().map(Outgoing::Pending));
    }

    async fn command(&mut self, command: Option<Command>) -> Result<(), Ended> {
        match command {
            None => return Err(Ended::by_client("nobody holds it")),
            Some(Command::Close) => {
                let header = Value::Object(self.parts.core.close());
                let (_, answer) = self.request(None, header).await;
                let text = if answer.is_ok() { "closed" } else { "closed without a connection" };
                return Err(Ended::by_client(text));
            }
            Some(Command::Action(pending)) => {
                let action_id = self.parts.core.accept(pending);
                self.outbox.push_back(Outgoing::Pending(action_id));
            }
            Some(Command::Tell(header, parts)) => {
                let header = self.parts.core.acknowledging(header);
                self.outbox.push_back(Outgoing::Once(inline(header, &parts)));
            }
            Some(Command::HoldAcknowledgements(hold)) => self.parts.core.hold(hold),
            Some(Command::DropConnection) => self.retry_all(),
            Some(Command::Disconnect) => {
                self.parked = true;
                self.retry_all();
                self.parts.state.send_replace(State::Offline);
            }
            Some(Command::Connect) => self.parked = false,
            // There are no frames here.
            Some(Command::Raw(_)) => {}
        }
        Ok(())
    }
}

/// A header with its payload, which is one part of JSON.
fn inline(mut header: Object, parts: &[Bytes]) -> Value {
    if let Some(part) = parts.first() {
        header.insert("payload".to_owned(), serde_json::from_slice(part).unwrap_or_default());
    }
    Value::Object(header)
}

async fn done(request: &mut Option<Request>) -> (Http, Result<Vec<Event>>) {
    match request {
        Some(request) => request.await,
        None => std::future::pending().await,
    }
}

async fn paused(failing: &mut Option<Failing>) {
    match failing {
        Some(failing) => failing.pause.as_mut().await,
        None => std::future::pending().await,
    }
}
