//! Events as they come from the wire, and their putting together from frames.

use crate::error::{Error, Result};
use bytes::Bytes;
use levee_proto::Object;
use serde_json::Value;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Index;
use std::sync::Arc;

/// An event: its header and the parts of its payload. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    header: Arc<Object>,
    parts: Vec<Bytes>,
}

static NULL: Value = Value::Null;

impl Event {
    /// An event from an object, its payload (if any) under `payload`, as transports without frames send it.
    ///
    /// # Errors
    /// If the value is no object with a name.
    pub fn inline(value: Value) -> Result<Self> {
        let Value::Object(mut header) = value else {
            return Err(Error::Protocol("an event is an object".into()));
        };
        let parts = header
            .remove("payload")
            .map(|payload| vec![Bytes::from(payload.to_string())])
            .unwrap_or_default();
        Self::new(header, parts)
    }

    /// An event from its frames: the header, then the parts of the payload.
    ///
    /// # Errors
    /// If there is no frame, or the first is no object with a name.
    pub fn framed(mut frames: Vec<Bytes>) -> Result<Self> {
        if frames.is_empty() {
            return Err(Error::Protocol("an event has a header".into()));
        }
        let header = frames.remove(0);
        let header = serde_json::from_slice(&header).map_err(|error| Error::Protocol(error.to_string()))?;
        Self::new(header, frames)
    }

    fn new(header: Object, parts: Vec<Bytes>) -> Result<Self> {
        if !header.get("event").is_some_and(Value::is_string) {
            return Err(Error::Protocol("an event has a name".into()));
        }
        Ok(Self { header: Arc::new(header), parts })
    }

    /// Its name, for example `message_received`.
    pub fn name(&self) -> &str {
        self.str("event")
    }

    /// The whole header.
    pub fn header(&self) -> &Object {
        &self.header
    }

    /// The payload's parts.
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// A property that is a text; empty if there is none.
    pub fn str(&self, name: &str) -> &str {
        self[name].as_str().unwrap_or_default()
    }

    /// A value within a property, by JSON pointer: `at("/queue_attrs/length")`.
    pub fn at(&self, pointer: &str) -> &Value {
        let mut keys = pointer.trim_start_matches('/').splitn(2, '/');
        let first = &self[keys.next().unwrap_or_default()];
        match keys.next() {
            Some(rest) => first.pointer(&format!("/{rest}")).unwrap_or(&NULL),
            None => first,
        }
    }

    /// Its number in the session; none for what concerns the connection only.
    pub fn event_id(&self) -> Option<u64> {
        self["event_id"].as_u64()
    }

    /// The action that it answers.
    pub fn action_id(&self) -> Option<u64> {
        self["action_id"].as_u64()
    }

    /// What kind of `error` it is; empty for other events.
    pub fn error_type(&self) -> &str {
        self.str("error_type")
    }

    /// The first part of the payload as JSON; null if there is none.
    pub fn payload(&self) -> Value {
        self.parts.first().and_then(|part| serde_json::from_slice(part).ok()).unwrap_or_default()
    }

    /// The text of a text message; empty if it is none.
    pub fn text(&self) -> String {
        self.payload()["text"].as_str().unwrap_or_default().to_owned()
    }

    /// A number for its content, all but its `event_id`: two contents have different ones.
    pub fn digest(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (key, value) in self.header.iter().filter(|(key, _)| *key != "event_id") {
            key.hash(&mut hasher);
            value.to_string().hash(&mut hasher);
        }
        self.parts.hash(&mut hasher);
        hasher.finish()
    }
}

impl Index<&str> for Event {
    type Output = Value;

    /// A property of the header; null if there is none.
    fn index(&self, name: &str) -> &Value {
        self.header.get(name).unwrap_or(&NULL)
    }
}

/// Puts events together from frames.
#[derive(Debug, Default)]
pub(crate) struct Assembler {
    header: Option<Object>,
    missing: usize,
    parts: Vec<Bytes>,
}

impl Assembler {
    /// Takes a frame; returns the event that it completes. Empty frames between events mean nothing.
    pub(crate) fn push(&mut self, frame: Bytes) -> Result<Option<Event>> {
        if self.header.is_some() {
            self.parts.push(frame);
            self.missing -= 1;
        } else if frame.is_empty() {
            return Ok(None);
        } else {
            let header: Object =
                serde_json::from_slice(&frame).map_err(|error| Error::Protocol(error.to_string()))?;
            self.missing = header.get("frames").and_then(Value::as_u64).unwrap_or(0) as usize;
            self.header = Some(header);
        }
        if self.missing > 0 {
            return Ok(None);
        }
        let parts = std::mem::take(&mut self.parts);
        self.header.take().map(|header| Event::new(header, parts)).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_put_together_from_its_frames() {
        let mut assembler = Assembler::default();
        assert_eq!(assembler.push(Bytes::new()).unwrap(), None);
        assert_eq!(assembler.push(Bytes::from_static(br#"{"event":"x","frames":2}"#)).unwrap(), None);
        assert_eq!(assembler.push(Bytes::new()).unwrap(), None);
        let event = assembler.push(Bytes::from_static(b"y")).unwrap().unwrap();
        assert_eq!(event.parts(), [Bytes::new(), Bytes::from_static(b"y")]);
        let next = assembler.push(Bytes::from_static(br#"{"event":"z","a":{"b":[7]}}"#)).unwrap().unwrap();
        assert_eq!((next.name(), next.at("/a/b/0")), ("z", &Value::from(7)));
    }

    #[test]
    fn what_is_no_event_is_an_error() {
        for frame in ["nonsense", "[]", "{}", r#"{"event":5}"#] {
            assert!(Assembler::default().push(Bytes::from_static(frame.as_bytes())).is_err(), "{frame}");
        }
    }

    #[test]
    fn a_digest_covers_all_but_the_event_id() {
        let of = |text: &str| Event::inline(serde_json::from_str(text).unwrap()).unwrap().digest();
        assert_eq!(of(r#"{"event":"x","event_id":1}"#), of(r#"{"event":"x","event_id":2}"#));
        assert_ne!(of(r#"{"event":"x","a":1}"#), of(r#"{"event":"x","a":2}"#));
        assert_ne!(of(r#"{"event":"x","payload":1}"#), of(r#"{"event":"x","payload":2}"#));
    }
}
