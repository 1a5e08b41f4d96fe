//! A session: numbered events that are kept until they are acknowledged, and the actions under way.
//!
//! Events get ascending numbers. A number may be written to a connection only once the store has
//! reserved it (the *ceiling*), so that it never stands for two contents, not even after a crash.
//! Buffers are bounded by count and bytes; one more event than that and the session is lost. So that what coalesces
//! can, a client that acknowledges nothing is sent a part of that only: what waits longer may turn out not to matter.

mod live;
mod packed;

pub use packed::Packed;

use crate::Few;
use crate::view::Stream;
use levee_proto::envelope::Splice;
use levee_proto::{Body, ErrorType, Id, Rejection, Text, messages};
use live::Live;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::sync::Arc;

/// How many event numbers are reserved at a time.
pub const BLOCK: u64 = 1000;
/// How many actions may wait for their replies.
pub const IN_FLIGHT: usize = 1024;
/// Of how many actions the session remembers that their replies were acknowledged.
const REMEMBERED: usize = 32;

/// A session's bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Events that may wait for their acknowledgement.
    pub events: usize,
    /// Bytes of them.
    pub bytes: usize,
}

impl Bounds {
    /// How many events and bytes may be under way to the client without an acknowledgement.
    fn window(self) -> (usize, usize) {
        (self.events - self.events / 4, self.bytes - self.bytes / 4)
    }

    /// How many events wait to be sent before what coalesces does.
    fn behind(self) -> usize {
        self.events / 8
    }
}

impl Default for Bounds {
    fn default() -> Self {
        Self { events: 10_000, bytes: 16 << 20 }
    }
}

/// An event that waits for its acknowledgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Numbered {
    /// The event.
    pub body: Arc<Body>,
    /// What is particular to this session.
    pub splice: Splice,
    /// Whether the payload is left out.
    pub bare: bool,
}

impl Numbered {
    /// The event's number.
    pub fn event_id(&self) -> u64 {
        self.splice.event_id.unwrap_or_default()
    }
}

/// What to do with an action that comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Decide it.
    Fresh,
    /// It was sent before and its reply is not known here: the owner will know.
    Retry,
    /// Its reply is in the buffer and goes out by itself, or the client has it.
    Answered,
}

/// Where an event of a stream stands in the session.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    /// Acknowledging this event covers the record.
    event_id: u64,
    stream: Stream,
    /// The record; none where the user leaves the stream.
    seq: Option<u64>,
}

/// A session's state, apart from whom it belongs to.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// The message types that the client takes.
    pub message_types: Arc<[Text]>,
    bounds: Bounds,
    last: u64,
    ceiling: u64,
    acknowledged: u64,
    sent: u64,
    /// Bytes that were sent since the last acknowledgement.
    sent_bytes: usize,
    /// The last event that was ever sent: up to there no event changes any more.
    written: u64,
    bytes: usize,
    buffer: VecDeque<Numbered>,
    marks: VecDeque<Mark>,
    cursors: Few<Stream, u64>,
    cursors_changed: bool,
    actions: Few<u64, Option<u64>>,
    newest_action: u64,
    /// Actions whose replies were acknowledged last: a copy of one may still be under way.
    done: VecDeque<u64>,
    latest: Vec<(Text, Arc<Body>)>,
    live: Option<Box<Live>>,
}

impl Session {
    /// A session whose events start above `ceiling`, of which a block is reserved already.
    pub fn new(message_types: Arc<[Text]>, above: u64, bounds: Bounds) -> Self {
        Self {
            message_types,
            bounds,
            last: above,
            acknowledged: above,
            sent: above,
            written: above,
            ceiling: above + BLOCK,
            ..Self::default()
        }
    }

    /// A session that comes back from the store: its events go on above `ceiling`, none of which is
    /// reserved yet, and its streams after `cursors`.
    pub fn revived(
        message_types: Arc<[Text]>,
        ceiling: u64,
        cursors: Few<Stream, u64>,
        bounds: Bounds,
    ) -> Self {
        Self { ceiling, cursors, ..Self::new(message_types, ceiling, bounds) }
    }

    /// Adds an event, and says how many earlier ones do not matter any more. `mark` says which record of which stream it
    /// shows.
    ///
    /// # Errors
    /// `session_buffer_overflow` when the bounds are passed: the session is lost.
    pub fn push(
        &mut self,
        body: Arc<Body>,
        mut splice: Splice,
        message_type: Option<&str>,
        mark: Option<(&Stream, u64)>,
    ) -> Result<usize, Rejection> {
        let mut coalesced = 0;
        let wanted = message_type.is_none_or(|of| messages::matches(&self.message_types, of));
        // A sender who does not take the type still needs the reply, without the content.
        if wanted || splice.action_id.is_some() {
            self.last += 1;
            splice.event_id = Some(self.last);
            self.note_reply(&splice);
            if splice.action_id.is_none() && self.unsent() > self.bounds.behind() {
                coalesced = self.coalesce(&body, message_type);
            }
            let numbered = Numbered { body, splice, bare: !wanted };
            self.bytes += size(&numbered);
            self.buffer.push_back(numbered);
        }
        if let Some((stream, seq)) = mark {
            self.mark(stream, seq);
        }
        if self.buffer.len() > self.bounds.events || self.bytes > self.bounds.bytes {
            return Err(Rejection::new(ErrorType::SessionBufferOverflow));
        }
        Ok(coalesced)
    }

    /// How many events were never sent.
    fn unsent(&self) -> usize {
        self.buffer.len() - self.place_after(self.written)
    }

    /// Where the first event after this one is in the buffer.
    fn place_after(&self, event_id: u64) -> usize {
        self.buffer.partition_point(|event| event.event_id() <= event_id)
    }

    /// Removes earlier events that the last one makes superfluous. The records that they show are dealt with once a later
    /// event is acknowledged.
    fn coalesce(&mut self, body: &Body, message_type: Option<&str>) -> usize {
        let over = self.live.get_or_insert_default().add(self.last, body, message_type);
        for event_id in &over {
            let at = self.place_after(*event_id);
            if let Some(event) = at.checked_sub(1).and_then(|at| self.buffer.remove(at)) {
                self.bytes -= size(&event);
            }
        }
        over.len()
    }

    fn note_reply(&mut self, splice: &Splice) {
        let last = splice.history_length.is_none_or(|left| left == 0);
        if let (Some(action), true) = (splice.action_id, last) {
            // One that is not under way here was answered before a crash: sent again, it has its reply.
            if self.actions.len() < IN_FLIGHT || self.actions.get(&action).is_some() {
                self.actions.insert(action, splice.event_id);
            }
        }
    }

    /// Notes that a record was dealt with, whether or not it showed an event.
    pub fn mark(&mut self, stream: &Stream, seq: u64) {
        self.note(stream, Some(seq));
    }

    /// Notes that the user left a stream: once the client knows that, its cursor is no use any more.
    pub fn leave(&mut self, stream: &Stream) {
        self.note(stream, None);
    }

    fn note(&mut self, stream: &Stream, seq: Option<u64>) {
        if self.last == self.acknowledged {
            return self.advance(stream, seq);
        }
        let last = self.marks.back_mut().filter(|mark| mark.event_id == self.last && mark.stream == *stream);
        match (last, seq) {
            (Some(Mark { seq: Some(marked), .. }), Some(seq)) => *marked = seq.max(*marked),
            _ => self.marks.push_back(Mark { event_id: self.last, stream: stream.clone(), seq }),
        }
    }

    /// A cursor never goes back: an entry that is announced once more stands before what came since.
    fn advance(&mut self, stream: &Stream, seq: Option<u64>) {
        let Some(seq) = seq else {
            self.cursors_changed |= self.cursors.remove(stream).is_some();
            return;
        };
        let cursor = self.cursors.or_default(stream);
        if *cursor < seq {
            *cursor = seq;
            self.cursors_changed = true;
        }
    }

    /// Forgets a stream that is no longer followed.
    pub fn forget(&mut self, stream: &Stream) {
        self.cursors_changed |= self.cursors.remove(stream).is_some();
        self.marks.retain(|mark| mark.stream != *stream);
    }

    /// Keeps the latest value of something until a connection can take it.
    pub fn hold_latest(&mut self, key: Text, body: Arc<Body>) {
        match self.latest.iter_mut().find(|(held, _)| *held == key) {
            Some((_, held)) => *held = body,
            None => self.latest.push((key, body)),
        }
    }

    /// Gives the latest values numbers, for a connection takes them now.
    ///
    /// # Errors
    /// `session_buffer_overflow`.
    pub fn release_latest(&mut self) -> Result<(), Rejection> {
        for (_, body) in std::mem::take(&mut self.latest) {
            self.push(body, Splice::default(), None, None)?;
        }
        Ok(())
    }

    /// The client has received everything up to `event_id`.
    ///
    /// # Errors
    /// `request_malformed` for a number that was never sent.
    pub fn acknowledge(&mut self, event_id: u64) -> Result<(), Rejection> {
        // After a crash the client may have seen events up to the old ceiling: those are below `last`.
        if event_id > self.last {
            return Err(Rejection::malformed("event_id is beyond what was sent"));
        }
        let sent = self.sent;
        self.sent = sent.max(event_id);
        if event_id <= self.acknowledged {
            return Ok(());
        }
        self.written = self.written.max(event_id);
        self.acknowledged = event_id;
        while let Some(first) = self.buffer.front().filter(|first| first.event_id() <= event_id) {
            self.bytes -= size(first);
            if first.event_id() <= sent {
                self.sent_bytes -= size(first);
            }
            if let Some(action) = first.splice.action_id
                && self.actions.get(&action) == Some(&first.splice.event_id)
            {
                self.actions.remove(&action);
                if self.done.len() >= REMEMBERED {
                    self.done.pop_front();
                }
                self.done.push_back(action);
            }
            self.buffer.pop_front();
        }
        while let Some(mark) = self.marks.front().filter(|mark| mark.event_id <= event_id) {
            let (stream, seq) = (mark.stream.clone(), mark.seq);
            self.marks.pop_front();
            self.advance(&stream, seq);
        }
        if self.buffer.is_empty() && self.buffer.capacity() > 0 {
            self.buffer = VecDeque::new();
            self.marks = VecDeque::new();
        }
        Ok(())
    }

    /// A new connection: everything that is not acknowledged goes out again.
    pub fn rewind(&mut self) {
        self.sent = self.acknowledged;
        self.sent_bytes = 0;
    }

    /// Whether the client may be sent more before it acknowledges something.
    pub fn has_window(&self) -> bool {
        let (events, bytes) = self.bounds.window();
        self.place_after(self.sent) < events && self.sent_bytes < bytes
    }

    /// The next event to write, if its number is reserved and the client has acknowledged enough.
    pub fn next_to_send(&mut self) -> Option<Numbered> {
        if self.sent >= self.last.min(self.ceiling) || !self.has_window() {
            return None;
        }
        let next = self.buffer.get(self.place_after(self.sent))?;
        if next.event_id() > self.ceiling {
            return None;
        }
        let next = next.clone();
        self.sent = next.event_id();
        self.sent_bytes += size(&next);
        self.written = self.written.max(self.sent);
        if let Some(live) = &mut self.live {
            live.sent(self.written);
            if live.is_empty() {
                self.live = None;
            }
        }
        Some(next)
    }

    /// The ceiling to reserve, when numbers run short.
    pub fn wants_ceiling(&self) -> Option<u64> {
        (self.last + BLOCK / 2 >= self.ceiling).then(|| self.last.max(self.ceiling) + BLOCK)
    }

    /// Numbers up to here are reserved.
    pub fn reserved(&mut self, ceiling: u64) {
        self.ceiling = self.ceiling.max(ceiling);
    }

    /// The ceiling as it is.
    pub fn ceiling(&self) -> u64 {
        self.ceiling
    }

    /// Takes an action in.
    ///
    /// # Errors
    /// `send_rate_limited` when too many wait for their replies.
    pub fn admit(&mut self, action_id: Option<u64>) -> Result<Admission, Rejection> {
        let Some(id) = action_id else { return Ok(Admission::Fresh) };
        match self.actions.get(&id) {
            Some(Some(_)) => return Ok(Admission::Answered),
            Some(None) => return Ok(Admission::Retry),
            None if self.done.contains(&id) => return Ok(Admission::Answered),
            None => {}
        }
        if self.actions.len() >= IN_FLIGHT {
            return Err(
                Rejection::new(ErrorType::SendRateLimited).because("too many actions wait for replies")
            );
        }
        self.actions.insert(id, None);
        self.newest_action = self.newest_action.max(id);
        Ok(Admission::Fresh)
    }

    /// An action will get no reply of its own.
    pub fn settle(&mut self, action_id: Option<u64>) {
        if let Some(id) = action_id {
            self.actions.remove(&id);
        }
    }

    /// Replies to actions up to this number are acknowledged.
    pub fn settled(&self) -> u64 {
        self.actions.keys().next().map_or(self.newest_action, |id| id - 1)
    }

    /// The cursors are being saved as they are.
    pub fn saving_cursors(&mut self) {
        self.cursors_changed = false;
    }

    /// Whether cursors changed since they were last saved.
    pub fn has_changed_cursors(&self) -> bool {
        self.cursors_changed
    }

    /// Up to where records of a stream were dealt with and acknowledged.
    pub fn cursor(&self, stream: &Stream) -> Option<u64> {
        self.cursors.get(stream).copied()
    }

    /// Up to where records of a stream were dealt with, acknowledged or not.
    pub fn position(&self, stream: &Stream) -> Option<u64> {
        let marks = self.marks.iter().filter(|mark| mark.stream == *stream);
        marks.fold(self.cursor(stream), |position, mark| {
            mark.seq.map(|seq| position.unwrap_or_default().max(seq))
        })
    }

    /// Whether an action waits for its reply.
    pub fn awaits(&self, action_id: u64) -> bool {
        self.actions.get(&action_id) == Some(&None)
    }

    /// Whether an action has had its reply.
    pub fn has_answered(&self, action_id: u64) -> bool {
        match self.actions.get(&action_id) {
            Some(reply) => reply.is_some(),
            None => self.done.contains(&action_id) || action_id <= self.settled(),
        }
    }

    /// All cursors.
    pub fn cursors(&self) -> &Few<Stream, u64> {
        &self.cursors
    }

    /// How many events wait for their acknowledgement.
    pub fn waiting(&self) -> usize {
        self.buffer.len()
    }

    /// The last number given.
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The digest under which a session is kept.
    pub fn digest(session_id: &str) -> Id {
        levee_proto::ids::digest(session_id)
    }
}

/// What an event counts in the buffer.
fn size(event: &Numbered) -> usize {
    event.body.size() + 64
}

#[cfg(test)]
mod tests;
