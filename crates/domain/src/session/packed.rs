//! A session's state as one node hands it to another: exactly, with all that waits.

use super::{Bounds, Mark, Numbered, Session};
use crate::conversation::Part;
use crate::view::Stream;
use levee_proto::envelope::Splice;
use levee_proto::{Body, Text};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// All of a session but whom it belongs to, in a form that can be stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Packed {
    last: u64,
    acknowledged: u64,
    newest_action: u64,
    buffer: Vec<(PackedBody, Splice, bool)>,
    /// No record: the user left the stream.
    marks: Vec<(u64, Stream, Option<u64>)>,
    cursors: Vec<(Stream, u64)>,
    actions: Vec<(u64, Option<u64>)>,
    done: Vec<u64>,
    latest: Vec<(Text, PackedBody)>,
}

/// An event: its header, and the parts of its payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PackedBody(String, Vec<Part>);

impl PackedBody {
    fn of(body: &Body) -> Self {
        Self(body.header().to_owned(), body.parts.iter().cloned().map(Part).collect())
    }
    fn body(self) -> Arc<Body> {
        Arc::new(Body::from_header(self.0, self.1.into_iter().map(|part| part.0).collect()))
    }
}

impl Session {
    /// The state, to go on with elsewhere.
    pub fn pack(&self) -> Packed {
        let event = |event: &Numbered| (PackedBody::of(&event.body), event.splice, event.bare);
        Packed {
            last: self.last,
            acknowledged: self.acknowledged,
            newest_action: self.newest_action,
            buffer: self.buffer.iter().map(event).collect(),
            marks: self.marks.iter().map(|mark| (mark.event_id, mark.stream.clone(), mark.seq)).collect(),
            cursors: self.cursors.iter().map(|(stream, seq)| (stream.clone(), *seq)).collect(),
            done: self.done.iter().copied().collect(),
            actions: self.actions.iter().map(|(id, reply)| (*id, *reply)).collect(),
            latest: self.latest.iter().map(|(key, body)| (key.clone(), PackedBody::of(body))).collect(),
        }
    }

    /// Goes on with a state from elsewhere. Event numbers up to `ceiling` are reserved.
    pub fn unpack(message_types: Arc<[Text]>, ceiling: u64, packed: Packed, bounds: Bounds) -> Self {
        let buffer: std::collections::VecDeque<_> = packed
            .buffer
            .into_iter()
            .map(|(body, splice, bare)| Numbered { body: body.body(), splice, bare })
            .collect();
        Self {
            message_types,
            bounds,
            last: packed.last,
            ceiling,
            acknowledged: packed.acknowledged,
            sent: packed.acknowledged,
            sent_bytes: 0,
            // The client may have got all of it.
            written: packed.last,
            live: None,
            bytes: buffer.iter().map(|event| event.body.size() + 64).sum(),
            buffer,
            marks: packed
                .marks
                .into_iter()
                .map(|(event_id, stream, seq)| Mark { event_id, stream, seq })
                .collect(),
            cursors: packed.cursors.into_iter().collect(),
            cursors_changed: false,
            actions: packed.actions.into_iter().collect(),
            newest_action: packed.newest_action,
            done: packed.done.into(),
            latest: packed.latest.into_iter().map(|(key, body)| (key, body.body())).collect(),
        }
    }
}
