//! The frame on the bus: bincode behind a version byte. Never stored, never seen by clients.

use crate::{BusError, Incoming, Node};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// The version of the frame's format. A node drops frames of another version and says so.
pub const VERSION: u8 = 1;

/// Some messages of one node to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// The sender; its name tells its incarnation.
    pub from: Node,
    /// Counts the frames of this sender to this receiver, from 1.
    pub counter: u64,
    /// The messages.
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

/// Notices lost frames, sender by sender.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    last: HashMap<Node, u64>,
}

impl Gaps {
    /// A sender has sent this many frames by now. If some did not come, that is a gap: of the last ones
    /// nothing else would tell.
    pub(crate) fn has_sent(&mut self, from: &Node, counter: u64) -> Option<Incoming> {
        let last = self.last.entry(from.clone()).or_insert(0);
        let missing = *last < counter;
        *last = counter.max(*last);
        missing.then(|| Incoming::Gap { from: from.clone() })
    }

    /// What a frame brings: perhaps a gap, then its messages. A frame that came before brings nothing.
    pub(crate) fn take(&mut self, frame: Frame) -> Vec<Incoming> {
        let last = self.last.entry(frame.from.clone()).or_insert(0);
        if frame.counter <= *last {
            return Vec::new();
        }
        let gap = frame.counter != *last + 1;
        *last = frame.counter;
        let from = frame.from;
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
        Frame { from: "a".into(), counter, messages: vec![Bytes::from_static(b"m")] }
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

    #[test]
    fn a_lost_frame_is_noticed_and_a_repeated_one_ignored() {
        let mut gaps = Gaps::default();
        assert_eq!(gaps.take(frame(1)).len(), 1);
        assert_eq!(gaps.take(frame(1)).len(), 0);
        assert_eq!(gaps.take(frame(3))[0], Incoming::Gap { from: "a".into() });
        assert_eq!(gaps.take(frame(4)).len(), 1);
    }
}
