//! What a client saw, kept for the checker.

use crate::event::Event;
use crate::session::Target;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An event with a number, as it came from the wire, repetitions included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenEvent {
    /// On which of the session's connections.
    pub connection: u32,
    /// Its number.
    pub event_id: u64,
    /// A number for its content.
    pub digest: u64,
}

/// A message that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMessage {
    /// Where to: see [`Log::name`].
    pub conversation: String,
    /// What tells its text from all others: see [`key`].
    pub text: String,
    /// The `message_id` of the answer; none if none came.
    pub acknowledged: Option<String>,
    /// Whether the server refused it.
    pub refused: bool,
}

/// A live message that came, in the order in which it came, repetitions included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedMessage {
    /// In which conversation: see [`Log::name`].
    pub conversation: String,
    /// Its id.
    pub message_id: String,
    /// What tells its text from all others: see [`key`].
    pub text: String,
    /// How long ago it was sent, if its text tells: see [`unique_text`].
    pub age: Option<Duration>,
}

/// All that a client saw of one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// Who it was.
    pub who: String,
    /// The user's id.
    pub user_id: String,
    /// The events with a number.
    pub events: Vec<SeenEvent>,
    /// The messages that it sent.
    pub sent: Vec<SentMessage>,
    /// The messages that came.
    pub received: Vec<ReceivedMessage>,
    /// How many times it had to connect again.
    pub reconnects: u32,
}

/// What a message took on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latency {
    /// From sending it to its acknowledgement.
    Reply(Duration),
    /// From sending it to its coming to somebody else.
    Delivery(Duration),
}

/// Where latencies go as they are measured.
pub type Observer = Arc<dyn Fn(Latency) + Send + Sync>;

/// Records a session. Clones write to the same record.
#[derive(Clone)]
pub struct Log {
    inner: Arc<Mutex<Inner>>,
    observer: Option<Observer>,
}

#[derive(Default)]
struct Inner {
    record: Record,
    /// Where a sent message is in the record.
    sent: HashMap<String, usize>,
    /// The messages that came, by conversation.
    received: HashMap<String, HashSet<String>>,
    /// How many messages were acknowledged, by conversation.
    acknowledged: HashMap<String, u64>,
}

/// The clock by which all clients of this process tell when a message was sent.
fn since_start() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}

/// A text that no other message has and that tells when it was sent: `who-number@microseconds`.
pub fn unique_text(who: &str, number: u64) -> String {
    format!("{who}-{number}@{}", since_start().as_micros())
}

/// What tells a text from all others: its first word. What follows is there to make it long.
pub fn key(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// How long ago a text was made by [`unique_text`].
fn age(key: &str) -> Option<Duration> {
    let micros: u64 = key.rsplit_once('@')?.1.parse().ok()?;
    since_start().checked_sub(Duration::from_micros(micros))
}

impl Log {
    /// An empty record.
    pub fn new(who: &str, observer: Option<Observer>) -> Self {
        let record = Record { who: who.to_owned(), ..Record::default() };
        Self { inner: Arc::new(Mutex::new(Inner { record, ..Inner::default() })), observer }
    }

    /// Notes that a message is about to be sent.
    pub fn sending(&self, to: &Target, text: &str) {
        self.with(|inner| {
            let (conversation, text) = (inner.name(to), key(text));
            inner.sent.insert(text.to_owned(), inner.record.sent.len());
            inner.record.sent.push(SentMessage {
                conversation,
                text: text.to_owned(),
                acknowledged: None,
                refused: false,
            });
        });
    }

    /// Notes that the server refused a message.
    pub fn refused(&self, text: &str) {
        self.with(|inner| {
            if let Some(at) = inner.sent.get(key(text)) {
                inner.record.sent[*at].refused = true;
            }
        });
    }

    /// Notes that a new connection was made.
    pub(crate) fn connection(&self) {
        self.with(|inner| inner.record.reconnects += 1);
    }

    /// Notes whose session it is.
    pub(crate) fn user(&self, user_id: &str) {
        self.with(|inner| user_id.clone_into(&mut inner.record.user_id));
    }

    /// Notes an event.
    pub(crate) fn event(&self, event: &Event) {
        let latency = self.with(|inner| inner.event(event));
        if let (Some(observer), Some(latency)) = (&self.observer, latency) {
            observer(latency);
        }
    }

    /// The name of a conversation, the same for all its parties.
    pub fn name(&self, conversation: &Target) -> String {
        self.with(|inner| inner.name(conversation))
    }

    /// How many different messages of a conversation came.
    pub fn received(&self, conversation: &str) -> u64 {
        self.with(|inner| inner.received.get(conversation).map_or(0, |ids| ids.len() as u64))
    }

    /// How many messages to a conversation were acknowledged.
    pub fn acknowledged(&self, conversation: &str) -> u64 {
        self.with(|inner| inner.acknowledged.get(conversation).copied().unwrap_or_default())
    }

    /// The record so far.
    pub fn record(&self) -> Record {
        self.with(|inner| inner.record.clone())
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").finish_non_exhaustive()
    }
}

impl Inner {
    fn name(&self, conversation: &Target) -> String {
        let own = self.record.user_id.as_str();
        match conversation {
            Target::Channel(id) => id.clone(),
            Target::User(id) => format!("{}+{}", id.as_str().min(own), id.as_str().max(own)),
        }
    }

    fn event(&mut self, event: &Event) -> Option<Latency> {
        if let Some(event_id) = event.event_id() {
            let connection = self.record.reconnects;
            self.record.events.push(SeenEvent { connection, event_id, digest: event.digest() });
        }
        // What a history brings is no delivery.
        if event.name() != "message_received" || !event["history_length"].is_null() {
            return None;
        }
        let text = key(&event.text()).to_owned();
        // Some message of the server's own.
        if text.is_empty() {
            return None;
        }
        let message_id = event.str("message_id").to_owned();
        let conversation = self.name(&Target::of(event));
        let own = self.sent.get(&text).copied();
        let mut latency = None;
        if let Some(sent) = own.filter(|_| event.action_id().is_some()).map(|at| &mut self.record.sent[at])
            && sent.acknowledged.is_none()
        {
            sent.acknowledged = Some(message_id.clone());
            *self.acknowledged.entry(conversation.clone()).or_default() += 1;
            latency = age(&text).map(Latency::Reply);
        }
        let new = self.received.entry(conversation.clone()).or_default().insert(message_id.clone());
        if new && own.is_none() {
            latency = age(&text).map(Latency::Delivery);
        }
        let age = age(&text);
        self.record.received.push(ReceivedMessage { conversation, message_id, text, age });
        latency
    }
}
