//! What a session knows, whatever its transport: which actions wait for an answer, which events were
//! seen and acknowledged. It does no I/O.

use crate::error::{Ended, Error, Result};
use crate::event::Event;
use crate::raw::Frame;
use crate::record::Log;
use crate::session::{Expect, Options};
use bytes::Bytes;
use levee_proto::Object;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

/// Errors that concern the whole session: no reconnection helps.
const FATAL: &[&str] = &["session_not_found", "session_buffer_overflow", "connection_superseded"];

/// Events that may wait for an acknowledgement, whatever the time.
const UNACKNOWLEDGED: u64 = 64;

/// An action that waits for its answer.
pub(crate) struct Pending {
    pub(crate) action_id: u64,
    header: Object,
    parts: Vec<Bytes>,
    expect: Expect,
    /// What has come so far.
    got: Vec<Event>,
    waiter: Option<oneshot::Sender<Result<Vec<Event>>>>,
}

impl Pending {
    pub(crate) fn new(
        action_id: u64,
        header: Object,
        parts: Vec<Bytes>,
        expect: Expect,
        waiter: oneshot::Sender<Result<Vec<Event>>>,
    ) -> Self {
        Self { action_id, header, parts, expect, got: Vec::new(), waiter: Some(waiter) }
    }

    /// Takes an event that answers it; whether that was the last.
    fn answered(&mut self, event: &Event) -> bool {
        match (self.expect, event.name()) {
            // A retry is answered from the beginning.
            (Expect::History, "history_results") => self.got.clear(),
            (Expect::History, "message_received") if self.got.is_empty() => return false,
            _ => {}
        }
        self.got.push(event.clone());
        if (self.expect, event.name()) == (Expect::Search, "search_results") {
            return event["users"].is_null() && event["channels"].is_null();
        }
        let first = &self.got[0];
        self.expect == Expect::One
            || first.name() != "history_results"
            || self.got.len() as u64 > first["history_length"].as_u64().unwrap_or(0)
    }
}

/// What a session knows.
pub(crate) struct Core {
    session_id: String,
    pending: BTreeMap<u64, Pending>,
    /// The last event that was seen.
    seen: u64,
    /// The last event that the server was told of.
    told: u64,
    /// When the first event that it was not told of came.
    waiting_since: Option<Instant>,
    hold: bool,
    binary: bool,
    acknowledge_after: Duration,
    events: mpsc::UnboundedSender<Event>,
    log: Option<Log>,
}

impl Core {
    pub(crate) fn new(
        session_id: &str,
        seen: u64,
        events: mpsc::UnboundedSender<Event>,
        options: &Options,
    ) -> Self {
        Self {
            session_id: session_id.to_owned(),
            pending: BTreeMap::new(),
            seen,
            told: 0,
            waiting_since: None,
            hold: false,
            binary: options.binary,
            acknowledge_after: options.acknowledge_after,
            events,
            log: options.log.clone(),
        }
    }

    /// Takes the event that opened the session.
    pub(crate) fn open(&mut self, created: &Event) {
        if let Some(log) = &self.log {
            log.user(created.str("user_id"));
        }
        if let Some(id) = created.event_id() {
            self.record(created);
            self.saw(id);
        }
    }

    /// Says that a new connection begins: what was in flight on the last one may be lost.
    pub(crate) fn connected(&mut self) {
        if let Some(log) = &self.log {
            log.connection();
        }
    }

    /// Takes an event; returns why the session is over if the event says so.
    pub(crate) fn event(&mut self, event: Event) -> Option<Ended> {
        self.record(&event);
        if let Some(id) = event.event_id() {
            if id <= self.seen {
                return None;
            }
            self.saw(id);
        }
        let fatal = event.name() == "error" && FATAL.contains(&event.error_type());
        let ended = fatal.then(|| Ended {
            error_type: event.error_type().to_owned(),
            text: event.str("error_reason").to_owned(),
        });
        if let Some(action_id) = event.action_id()
            && let Some(pending) = self.pending.get_mut(&action_id)
            && pending.answered(&event)
            && let Some(pending) = self.pending.remove(&action_id)
            && let Some(waiter) = pending.waiter
        {
            let _ = waiter.send(Ok(pending.got));
        }
        // Nobody has to listen.
        let _ = self.events.send(event);
        ended
    }

    fn saw(&mut self, id: u64) {
        self.seen = id;
        self.waiting_since.get_or_insert_with(Instant::now);
    }

    fn record(&self, event: &Event) {
        if let Some(log) = &self.log {
            log.event(event);
        }
    }

    /// Takes an action in; it stays until it is answered.
    pub(crate) fn accept(&mut self, pending: Pending) -> u64 {
        let action_id = pending.action_id;
        self.pending.insert(action_id, pending);
        action_id
    }

    /// The actions without an answer, in their order.
    pub(crate) fn unanswered(&self) -> Vec<u64> {
        self.pending.keys().copied().collect()
    }

    /// The header and the payload of a pending action, with an acknowledgement if one is due.
    pub(crate) fn action(&mut self, action_id: u64) -> Option<(Object, Vec<Bytes>)> {
        let pending = self.pending.get(&action_id)?;
        let (header, parts) = (pending.header.clone(), pending.parts.clone());
        Some((self.acknowledging(header), parts))
    }

    /// Adds an acknowledgement to a header if there is something to acknowledge.
    pub(crate) fn acknowledging(&mut self, mut header: Object) -> Object {
        if let Some(id) = self.take_acknowledgement() {
            header.insert("event_id".to_owned(), id.into());
        }
        header
    }

    /// What the server has to be told, if anything; it counts as told.
    fn take_acknowledgement(&mut self) -> Option<u64> {
        if self.hold || self.seen == self.told {
            return None;
        }
        self.told = self.seen;
        self.waiting_since = None;
        Some(self.told)
    }

    /// When an acknowledgement of its own is due.
    pub(crate) fn acknowledge_at(&self) -> Option<Instant> {
        let since = self.waiting_since.filter(|_| !self.hold && self.seen > self.told)?;
        Some(if self.seen - self.told >= UNACKNOWLEDGED { since } else { since + self.acknowledge_after })
    }

    /// The action that resumes the session on a new connection, and acknowledges. It names all that was
    /// ever told, for the server may have lost it.
    pub(crate) fn resume(&mut self) -> Object {
        let mut header = self.bare_acknowledgement();
        header.insert("session_id".to_owned(), self.session_id.clone().into());
        if self.told > 0 {
            header.insert("event_id".to_owned(), self.told.into());
        }
        header
    }

    /// The action that does nothing but acknowledge, on an open connection.
    pub(crate) fn bare_acknowledgement(&mut self) -> Object {
        let mut header = Object::new();
        header.insert("action".to_owned(), "resume_session".into());
        self.acknowledging(header)
    }

    /// The action that ends the session.
    pub(crate) fn close(&mut self) -> Object {
        let mut header = Object::new();
        header.insert("action".to_owned(), "close_session".into());
        header.insert("session_id".to_owned(), self.session_id.clone().into());
        self.acknowledging(header)
    }

    pub(crate) fn session_id(&self) -> &str {
        &self.session_id
    }

    pub(crate) fn hold(&mut self, hold: bool) {
        self.hold = hold;
    }

    /// A header and payload as frames.
    pub(crate) fn frames(&self, mut header: Object, parts: &[Bytes]) -> Vec<Frame> {
        if !parts.is_empty() {
            header.insert("frames".to_owned(), parts.len().into());
        }
        let mut frames = vec![self.frame(Value::Object(header).to_string().into())];
        frames.extend(parts.iter().map(|part| self.frame(part.clone())));
        frames
    }

    fn frame(&self, bytes: Bytes) -> Frame {
        match std::str::from_utf8(&bytes) {
            Ok(text) if !self.binary => Frame::Text(text.to_owned()),
            _ => Frame::Binary(bytes),
        }
    }

    /// Tells everybody who waits that nothing will come.
    pub(crate) fn end(&mut self, ended: &Ended) {
        for (_, pending) in std::mem::take(&mut self.pending) {
            if let Some(waiter) = pending.waiter {
                let _ = waiter.send(Err(Error::Ended(ended.clone())));
            }
        }
    }
}
