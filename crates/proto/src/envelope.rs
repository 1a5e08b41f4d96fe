//! The envelope of an action, and the body of an event that is encoded once.

use crate::actions::Action;
use crate::error::Rejection;
use crate::events::Event;
use crate::limits;
use crate::types::{Id, Text};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::fmt::Write;

/// What an action's header says before anyone looks at its own parameters.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Envelope {
    /// The action's name.
    pub action: Text,
    /// The client's number for it; replies carry it.
    pub action_id: Option<u64>,
    /// Which session, where the transport does not tell.
    pub session_id: Option<Id>,
    /// The last event that the client has received: an acknowledgement.
    pub event_id: Option<u64>,
    /// How many payload frames follow.
    pub frames: Option<u64>,
    /// On whose behalf.
    pub puppet_id: Option<Id>,
}

/// What a transport without frames adds to the envelope.
#[derive(Deserialize)]
struct Inline<'a> {
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

impl Envelope {
    /// Reads the envelope.
    ///
    /// # Errors
    /// `request_malformed`, and the action id where that much could be read.
    pub fn parse(header: &[u8]) -> Result<Self, (Rejection, Option<u64>)> {
        // A derived reader takes arrays too.
        if header.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err((Rejection::malformed("the header is not an object"), None));
        }
        // The reader looks into those texts only that it keeps; what is stored and passed on shall be text as a whole.
        if std::str::from_utf8(header).is_err() {
            return Err((Rejection::malformed("the header is not UTF-8"), salvage_action_id(header)));
        }
        let envelope: Self = serde_json::from_slice(header).map_err(|e| {
            let text = e.to_string();
            let reason = text.split(" at line ").next().unwrap_or_default();
            (Rejection::malformed(reason), salvage_action_id(header))
        })?;
        let too_large = |n: Option<u64>| n.is_some_and(|n| n > limits::MAX_INTEGER);
        if envelope.action_id == Some(0) || too_large(envelope.action_id) || too_large(envelope.event_id) {
            return Err((Rejection::malformed("action_id and event_id are between 1 and 2^53 - 1"), None));
        }
        Ok(envelope)
    }

    /// Decodes the action's own parameters.
    ///
    /// # Errors
    /// See [`Action::decode`].
    pub fn decode(&self, header: &[u8]) -> Result<Action, Rejection> {
        Action::decode(&self.action, header)
    }

    /// The payload that a long poll or a call carries within the header.
    ///
    /// # Errors
    /// `request_malformed` if the header is not an object.
    pub fn inline_payload(header: &[u8]) -> Result<Vec<Bytes>, Rejection> {
        let inline: Inline<'_> =
            serde_json::from_slice(header).map_err(|e| Rejection::malformed(e.to_string()))?;
        Ok(inline
            .payload
            .filter(|raw| raw.get() != "null")
            .map(|raw| vec![Bytes::copy_from_slice(raw.get().as_bytes())])
            .unwrap_or_default())
    }
}

/// The action id of a header that is an object but no envelope.
fn salvage_action_id(header: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct OnlyId {
        action_id: Option<u64>,
    }
    serde_json::from_slice::<OnlyId>(header).ok()?.action_id.filter(|id| *id > 0)
}

/// An event, encoded once for everybody who gets it: the header without what differs between its
/// receivers, and the payload's parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    header: Bytes,
    /// The payload.
    pub parts: Vec<Bytes>,
}

/// What differs between the receivers of one event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splice {
    /// The event's number in this session; none for what concerns the connection only.
    pub event_id: Option<u64>,
    /// The action that this answers.
    pub action_id: Option<u64>,
    /// What a `load_history` still has to send.
    pub history_length: Option<u64>,
}

impl Body {
    /// Encodes an event.
    pub fn new<E: Event>(event: &E) -> Self {
        Self::with_parts(event, Vec::new())
    }

    /// Encodes an event with a payload.
    pub fn with_parts<E: Event>(event: &E, parts: Vec<Bytes>) -> Self {
        let mut text = Vec::with_capacity(192);
        text.extend_from_slice(b"{\"event\":\"");
        text.extend_from_slice(E::NAME.as_bytes());
        text.push(b'"');
        let at = text.len();
        // Serialising a struct of plain values into memory has no way to fail.
        if serde_json::to_writer(&mut text, event).is_ok() {
            if text[at..] == *b"{}" {
                text.truncate(at);
                text.push(b'}');
            } else {
                text[at] = b',';
            }
        } else {
            text.truncate(at);
            text.push(b'}');
        }
        Self { header: text.into(), parts }
    }

    /// An event whose header was kept as a value, its name among the properties.
    pub fn from_value(event: &serde_json::Value) -> Self {
        let mut text = Vec::with_capacity(192);
        let name = event["event"].as_str().unwrap_or_default();
        text.extend_from_slice(format!("{{\"event\":\"{name}\"").as_bytes());
        for (key, value) in event.as_object().into_iter().flatten().filter(|(key, _)| *key != "event") {
            text.extend_from_slice(format!(",{}:{value}", serde_json::Value::from(key.as_str())).as_bytes());
        }
        text.push(b'}');
        Self { header: text.into(), parts: Vec::new() }
    }

    /// An event whose header was kept as it is.
    pub fn from_header(header: String, parts: Vec<Bytes>) -> Self {
        Self { header: header.into(), parts }
    }

    /// The header, as a JSON object, without what differs between the receivers.
    pub fn header(&self) -> &str {
        std::str::from_utf8(&self.header).unwrap_or_default()
    }

    /// The `error` event for a rejection.
    pub fn error(rejection: &Rejection) -> Self {
        Self::new(&rejection.event())
    }

    /// The same event without its payload.
    #[must_use]
    pub fn bare(&self) -> Self {
        Self { header: self.header.clone(), parts: Vec::new() }
    }

    /// Bytes that this holds.
    pub fn size(&self) -> usize {
        self.header.len() + self.parts.iter().map(Bytes::len).sum::<usize>()
    }

    /// The event's name.
    pub fn event(&self) -> &str {
        self.header().get(10..).and_then(|rest| rest.split('"').next()).unwrap_or_default()
    }

    /// The header for transports with frames: `frames` tells how many follow.
    pub fn framed(&self, splice: Splice) -> String {
        let mut out = self.open(splice);
        if !self.parts.is_empty() {
            let _ = write!(out, ",\"frames\":{}", self.parts.len());
        }
        out.push('}');
        out
    }

    /// The whole event as one object, for transports without frames. `None` if its payload has
    /// several parts or is not JSON, which such a transport can't carry.
    pub fn inline(&self, splice: Splice) -> Option<String> {
        let mut out = self.open(splice);
        match self.parts.as_slice() {
            [] => {}
            [part] => {
                let raw: &RawValue = serde_json::from_slice(part).ok()?;
                let _ = write!(out, ",\"payload\":{}", raw.get());
            }
            _ => return None,
        }
        out.push('}');
        Some(out)
    }

    fn open(&self, splice: Splice) -> String {
        let text = self.header();
        let mut out = String::with_capacity(text.len() + 64);
        out.push_str(text.strip_suffix('}').unwrap_or(text));
        if let Some(id) = splice.action_id {
            let _ = write!(out, ",\"action_id\":{id}");
        }
        if let Some(length) = splice.history_length {
            let _ = write!(out, ",\"history_length\":{length}");
        }
        if let Some(id) = splice.event_id {
            let _ = write!(out, ",\"event_id\":{id}");
        }
        out
    }
}

#[cfg(test)]
mod tests;
