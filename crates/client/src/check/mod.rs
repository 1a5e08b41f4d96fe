//! Tells from what clients recorded whether the server kept its promises. One pass over what there is: the
//! time grows with the number of events and messages, not with its square.
//!
//! - Every message that a client saw acknowledged is in the history once, under the id of the answer, and
//!   the history is the same for all its readers.
//! - Each reader, who was there all the time, received each message of the history at least once and in
//!   order; after recognising message ids, exactly once. Nothing else came.
//! - Event ids ascend strictly on each connection, and none stands for two contents.
//!
//! Expectations come from the records alone, never from the server.

#[cfg(test)]
mod tests;

use crate::record::Record;
use std::collections::{HashMap, HashSet};
use std::fmt;

/// What a reader found in a conversation's history, from the oldest on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// Who read it: a party of the conversation from its beginning to its end.
    pub reader: String,
    /// Which conversation.
    pub conversation: String,
    /// The messages' ids and texts.
    pub messages: Vec<(String, String)>,
}

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub kind: Kind,
    /// Who noticed.
    pub who: String,
    /// What it was about.
    pub about: String,
}

/// The kinds of violations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An acknowledged message is not in the history.
    Lost,
    /// A message is in the history more than once.
    Doubled,
    /// A message has another id in the history than in its acknowledgement.
    Renumbered,
    /// A message was refused and is in the history all the same.
    RefusedAndStored,
    /// A history's ids do not ascend.
    HistoryUnordered,
    /// Two readers of a conversation see different histories.
    HistoriesDiffer,
    /// A message of the history never came to somebody who was there.
    Missed,
    /// A message came after a later one.
    Reordered,
    /// A message id came with two texts.
    MessageIdReused,
    /// A message came that the history does not have.
    Phantom,
    /// On one connection an event's id was not above that of the event before.
    EventUnordered,
    /// An event's id stood for two contents.
    EventIdReused,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}: {}", self.kind, self.who, self.about)
    }
}

/// What the checker found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The promises that were not kept.
    pub violations: Vec<Violation>,
    /// Messages that clients saw acknowledged.
    pub acknowledged: u64,
    /// Messages that clients sent without ever hearing of them.
    pub unanswered: u64,
    /// Messages that the server refused.
    pub refused: u64,
    /// Messages that came, repetitions not counted.
    pub delivered: u64,
    /// Messages that came again and were recognised by their ids.
    pub repeated: u64,
    /// Events with a number, repetitions included.
    pub events: u64,
    /// Times that a client connected again.
    pub reconnects: u64,
}

impl Verdict {
    /// How many violations of a kind there are.
    pub fn count(&self, kind: Kind) -> usize {
        self.violations.iter().filter(|violation| violation.kind == kind).count()
    }

    fn add(&mut self, kind: Kind, who: &str, about: impl Into<String>) {
        self.violations.push(Violation { kind, who: who.to_owned(), about: about.into() });
    }
}

/// A conversation as its first reader found it.
struct Stored<'a> {
    reader: &'a str,
    messages: &'a [(String, String)],
    /// Where each text is.
    at: HashMap<&'a str, usize>,
}

/// Checks records against histories. Every conversation that somebody wrote to should have a history.
pub fn check(records: &[Record], histories: &[History]) -> Verdict {
    let mut verdict = Verdict::default();
    let conversations = stored(&mut verdict, histories);
    for record in records {
        events(&mut verdict, record);
        sent(&mut verdict, record, &conversations);
    }
    let mut reads: HashMap<&str, Vec<&str>> = HashMap::new();
    for history in histories {
        reads.entry(&history.reader).or_default().push(&history.conversation);
    }
    for record in records {
        let reads = reads.get(record.who.as_str()).map(Vec::as_slice).unwrap_or_default();
        received(&mut verdict, record, reads, &conversations);
    }
    verdict
}

/// Compares the histories of each conversation with each other, and each with itself.
fn stored<'a>(verdict: &mut Verdict, histories: &'a [History]) -> HashMap<&'a str, Stored<'a>> {
    let mut conversations: HashMap<&str, Stored<'a>> = HashMap::new();
    for history in histories {
        if let Some(first) = conversations.get(history.conversation.as_str()) {
            if first.messages != history.messages.as_slice() {
                let about = format!(
                    "{} read {} messages of {}, {} read {}",
                    first.reader,
                    first.messages.len(),
                    history.conversation,
                    history.reader,
                    history.messages.len()
                );
                verdict.add(Kind::HistoriesDiffer, &history.reader, about);
            }
            continue;
        }
        let mut at = HashMap::with_capacity(history.messages.len());
        for (index, (id, text)) in history.messages.iter().enumerate() {
            if at.insert(text.as_str(), index).is_some() {
                verdict.add(Kind::Doubled, &history.reader, format!("{text} as {id}"));
            }
            if index > 0 && history.messages[index - 1].0 >= *id {
                verdict.add(Kind::HistoryUnordered, &history.reader, format!("{id} in its place"));
            }
        }
        let stored = Stored { reader: &history.reader, messages: &history.messages, at };
        conversations.insert(&history.conversation, stored);
    }
    conversations
}

/// Checks what a client sent.
fn sent(verdict: &mut Verdict, record: &Record, conversations: &HashMap<&str, Stored<'_>>) {
    verdict.reconnects += u64::from(record.reconnects);
    for message in &record.sent {
        let stored = conversations.get(message.conversation.as_str());
        let id = stored
            .and_then(|stored| Some(stored.messages[*stored.at.get(message.text.as_str())?].0.as_str()));
        match (&message.acknowledged, id) {
            (Some(_), None) => verdict.add(Kind::Lost, &record.who, &message.text),
            (Some(told), Some(id)) if told != id => {
                let about = format!("{} was acknowledged as {told} and is stored as {id}", message.text);
                verdict.add(Kind::Renumbered, &record.who, about);
            }
            (None, Some(_)) if message.refused => {
                verdict.add(Kind::RefusedAndStored, &record.who, &message.text);
            }
            _ => {}
        }
        match (&message.acknowledged, message.refused) {
            (Some(_), _) => verdict.acknowledged += 1,
            (None, true) => verdict.refused += 1,
            (None, false) => verdict.unanswered += 1,
        }
    }
}

/// Checks what came to a client.
fn received(
    verdict: &mut Verdict,
    record: &Record,
    reads: &[&str],
    conversations: &HashMap<&str, Stored<'_>>,
) {
    // The texts that came under each id, and the latest id and text of each conversation.
    let mut texts: HashMap<(&str, &str), &str> = HashMap::new();
    let mut latest: HashMap<&str, (&str, &str)> = HashMap::new();
    for message in &record.received {
        let (conversation, id) = (message.conversation.as_str(), message.message_id.as_str());
        if let Some(text) = texts.insert((conversation, id), &message.text) {
            verdict.repeated += 1;
            if text != message.text {
                let about = format!("{id} was {text} and {}", message.text);
                verdict.add(Kind::MessageIdReused, &record.who, about);
            }
            continue;
        }
        verdict.delivered += 1;
        let last = latest.entry(conversation).or_default();
        if id < last.0 {
            let about = format!("{} as {id} after {} as {}", message.text, last.1, last.0);
            verdict.add(Kind::Reordered, &record.who, about);
        } else {
            *last = (id, &message.text);
        }
        let stored = conversations.get(conversation);
        let known = stored.and_then(|stored| stored.at.get(message.text.as_str()).map(|at| (stored, at)));
        if known.is_none_or(|(stored, at)| stored.messages[*at].0 != id) && stored.is_some() {
            verdict.add(Kind::Phantom, &record.who, format!("{} as {id}", message.text));
        }
    }
    for conversation in reads {
        let Some(stored) = conversations.get(conversation) else { continue };
        for (id, text) in stored.messages {
            if !texts.contains_key(&(*conversation, id.as_str())) {
                verdict.add(Kind::Missed, &record.who, format!("{text} as {id}"));
            }
        }
    }
}

/// Checks the numbers of a session's events.
fn events(verdict: &mut Verdict, record: &Record) {
    let mut contents: HashMap<u64, u64> = HashMap::with_capacity(record.events.len());
    let mut reused: HashSet<u64> = HashSet::new();
    let (mut connection, mut last) = (0, 0);
    for event in &record.events {
        verdict.events += 1;
        if event.connection != connection {
            (connection, last) = (event.connection, 0);
        }
        if event.event_id <= last {
            let about = format!("{} after {last}", event.event_id);
            verdict.add(Kind::EventUnordered, &record.who, about);
        }
        last = event.event_id;
        let content = *contents.entry(event.event_id).or_insert(event.digest);
        if content != event.digest && reused.insert(event.event_id) {
            verdict.add(Kind::EventIdReused, &record.who, event.event_id.to_string());
        }
    }
}
