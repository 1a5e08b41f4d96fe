//! The frame on the bus: bincode behind a version byte. Never stored, never seen by clients.

use crate::{BusError, Incoming, Node};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

/// The version of the frame's format. A node drops frames of another version and says so.
pub const VERSION: u8 = 1;

/// Some messages of one node to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The sender; its name tells its incarnation.
    pub from: Node,
    /// Counts the frames with messages of this sender to this receiver, from 1.
    pub counter: u64,
    /// When it was sent: milliseconds since some moment of the sender's.
    pub sent: u64,
    /// The messages. A frame without any tells how far the sender has counted: a heartbeat.
    pub messages: Vec<Bytes>,
}

impl Frame {
    /// The frame's bytes.
    ///
    /// # Errors
    /// [`BusError::Frame`] if it can't be encoded.
    pub fn encode(&self) -> Result<Bytes, BusError> {
        let mut bytes = vec![VERSION];
        bincode::serde::encode_into_std_write(self, &mut bytes, bincode::config::standard())
            .map_err(|e| BusError::Frame(e.to_string()))?;
        Ok(bytes.into())
    }

    /// The frame of some bytes.
    ///
    /// # Errors
    /// [`BusError::Frame`] for another version or damaged bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, BusError> {
        match bytes.split_first() {
            Some((&VERSION, rest)) => bincode::serde::decode_from_slice(rest, bincode::config::standard())
                .map(|(frame, _)| frame)
                .map_err(|e| BusError::Frame(e.to_string())),
            Some((version, _)) => {
                Err(BusError::Frame(format!("version {version}, this node speaks {VERSION}")))
            }
            None => Err(BusError::Frame("it is empty".into())),
        }
    }
}

/// By how much a frame may be later than the fastest of its sender. What comes later than that was held
/// up somewhere while the world went on: it counts as lost.
const LATE: Duration = Duration::from_secs(5);
/// For how long the fastest frame is remembered: clocks of two machines drift apart.
const WINDOW: Duration = Duration::from_secs(30);

/// Notices lost and late frames, sender by sender.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    senders: HashMap<Node, Sender>,
}

#[derive(Debug, Default)]
struct Sender {
    /// The last counter.
    last: u64,
    /// The least difference between this node's clock and the sender's, in milliseconds: in this window
    /// and in the one before.
    fastest: [Option<i64>; 2],
    window: Duration,
}

impl Sender {
    /// By how much a frame is later than the fastest one.
    fn lateness(&mut self, sent: u64, now: Duration) -> Duration {
        if now.saturating_sub(self.window) >= WINDOW {
            self.fastest = [None, self.fastest[0].or(self.fastest[1])];
            self.window = now;
        }
        let difference = now.as_millis() as i64 - sent as i64;
        let known = self.fastest.iter().flatten().min().copied().unwrap_or(difference);
        self.fastest[0] = Some(self.fastest[0].map_or(difference, |fastest| fastest.min(difference)));
        Duration::from_millis(u64::try_from(difference - known).unwrap_or_default())
    }
}

impl Gaps {
    /// A sender has sent this many frames by now. If some did not come, that is a gap: of the last ones
    /// nothing else would tell.
    pub(crate) fn has_sent(&mut self, from: &Node, counter: u64) -> Option<Incoming> {
        let last = &mut self.senders.entry(from.clone()).or_default().last;
        let missing = *last < counter;
        *last = counter.max(*last);
        missing.then(|| Incoming::Gap { from: from.clone() })
    }

    /// What a frame brings that comes `now`: perhaps a gap, then its messages. A frame that came before
    /// brings nothing.
    pub(crate) fn take(&mut self, frame: Frame, now: Duration) -> Vec<Incoming> {
        let from = frame.from;
        let sender = self.senders.entry(from.clone()).or_default();
        let late = sender.lateness(frame.sent, now) > LATE;
        if frame.messages.is_empty() {
            return self.has_sent(&from, frame.counter).into_iter().collect();
        }
        if frame.counter <= sender.last {
            return Vec::new();
        }
        let gap = frame.counter != sender.last + 1;
        sender.last = frame.counter;
        if late {
            return vec![Incoming::Gap { from }];
        }
        let mut incoming = Vec::with_capacity(frame.messages.len() + 1);
        if gap {
            incoming.push(Incoming::Gap { from: from.clone() });
        }
        incoming
            .extend(frame.messages.into_iter().map(|body| Incoming::Message { from: from.clone(), body }));
        incoming
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(counter: u64) -> Frame {
        Frame { from: "a".into(), counter, sent: counter, messages: vec![Bytes::from_static(b"m")] }
    }

    #[test]
    fn a_frame_survives_encoding() {
        assert_eq!(Frame::decode(&frame(3).encode().unwrap()).unwrap(), frame(3));
    }

    #[test]
    fn another_version_and_rubbish_are_refused() {
        assert!(Frame::decode(&[9, 1, 2]).unwrap_err().to_string().contains("version 9"));
        assert!(Frame::decode(&[]).is_err() && Frame::decode(&[VERSION, 255, 255]).is_err());
    }

    const NOW: Duration = Duration::from_secs(1);

    #[test]
    fn a_lost_frame_is_noticed_and_a_repeated_one_ignored() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.take(frame(1), NOW).len(), 1);
        assert_eq!(gaps.take(frame(1), NOW).len(), 0);
        assert_eq!(gaps.take(frame(3), NOW)[0], Incoming::Gap { from: "a".into() });
        assert_eq!(gaps.take(frame(4), NOW).len(), 1);
    }

    #[test]
    fn a_heartbeat_tells_of_the_last_ones() {
        let mut gaps = Gaps::default();
        let heartbeat = |counter| Frame { messages: Vec::new(), ..frame(counter) };
        assert_eq!(gaps.take(heartbeat(0), NOW), []);
        assert_eq!(gaps.take(frame(1), NOW).len(), 1);
        assert_eq!(gaps.take(heartbeat(1), NOW), []);
        assert_eq!(gaps.take(heartbeat(2), NOW), [Incoming::Gap { from: "a".into() }]);
        assert_eq!(gaps.take(frame(2), NOW), [], "what comes after the gap was told is too late");
    }

    #[test]
    fn what_was_held_up_counts_as_lost() {
        let mut gaps = Gaps::default();
        // The clocks have nothing in common.
        let sent = |counter, seconds: u64| Frame { sent: 7_000_000 + seconds * 1000, ..frame(counter) };
        for second in 1..100 {
            let came = gaps.take(sent(second, second), Duration::from_secs(second));
            assert!(matches!(came[..], [Incoming::Message { .. }]), "{second}: {came:?}");
        }
        let held_up = gaps.take(sent(100, 100), Duration::from_secs(106));
        assert_eq!(held_up, [Incoming::Gap { from: "a".into() }]);
        let next = gaps.take(sent(101, 107), Duration::from_secs(107));
        assert!(matches!(next[..], [Incoming::Message { .. }]), "{next:?}");
    }

    #[test]
    fn clocks_that_drift_apart_make_nothing_late() {
        let mut gaps = Gaps::default();
        for second in 1..20_000 {
            // The receiver's clock gains a millisecond each second: twenty seconds in all.
            let frame = Frame { sent: second * 1000, ..frame(second) };
            let came = gaps.take(frame, Duration::from_millis(second * 1001));
            assert!(matches!(came[..], [Incoming::Message { .. }]), "{second}: {came:?}");
        }
    }
}
