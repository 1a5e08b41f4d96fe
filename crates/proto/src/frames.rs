//! From frames to actions: a header frame, then as many payload frames as it announces.

use crate::envelope::Envelope;
use crate::error::{ErrorType, Rejection};
use crate::limits;
use bytes::Bytes;

/// A frame larger than this ends the connection: whoever sends it can't mean well.
pub const LARGEST_FRAME: usize = 2 * limits::PAYLOAD_BYTES;
/// More announced frames than this can't be waited for.
const LONGEST_SKIP: u64 = 1024;

/// What a frame completes.
#[derive(Debug)]
pub enum Complete {
    /// An action.
    Action(Box<(Envelope, Bytes, Vec<Bytes>)>),
    /// Something that can't be an action, with its action id if it has one.
    Malformed(Rejection, Option<u64>),
    /// Nothing after it could be understood any more.
    Hopeless(Rejection, Option<u64>),
}

/// Collects the frames of one connection.
#[derive(Debug, Default)]
pub struct Frames(Option<Box<Begun>>);

#[derive(Debug)]
struct Begun {
    envelope: Envelope,
    header: Bytes,
    parts: Vec<Bytes>,
    bytes: usize,
    missing: u64,
    refused: Option<Rejection>,
}

impl Frames {
    /// Takes a frame in.
    pub fn take(&mut self, frame: Bytes) -> Option<Complete> {
        let Some(mut begun) = self.0.take() else { return self.begin(frame) };
        begun.missing -= 1;
        begun.bytes += frame.len();
        if frame.len() > limits::PART_BYTES && begun.refused.is_none() {
            begun.refused = Some(Rejection::new(ErrorType::MessagePartTooLong));
        } else if begun.bytes > limits::PAYLOAD_BYTES && begun.refused.is_none() {
            begun.refused = Some(Rejection::new(ErrorType::MessageTooLong));
        }
        if begun.refused.is_some() {
            begun.parts = Vec::new();
        } else {
            begun.parts.push(frame);
        }
        if begun.missing > 0 {
            self.0 = Some(begun);
            return None;
        }
        Some(begun.end())
    }

    fn begin(&mut self, header: Bytes) -> Option<Complete> {
        if header.is_empty() {
            return None; // keeps the connection alive
        }
        if header.len() > limits::HEADER_BYTES {
            return Some(Complete::Malformed(Rejection::malformed("the header is too long"), None));
        }
        let envelope = match Envelope::parse(&header) {
            Ok(envelope) => envelope,
            Err((rejection, action_id)) => return Some(Complete::Malformed(rejection, action_id)),
        };
        let missing = envelope.frames.unwrap_or_default();
        let refused =
            (missing > limits::PARTS as u64).then(|| Rejection::new(ErrorType::PayloadHasTooManyParts));
        if missing > LONGEST_SKIP {
            let refused = Rejection::new(ErrorType::PayloadHasTooManyParts);
            return Some(Complete::Hopeless(refused, envelope.action_id));
        }
        let begun = Box::new(Begun { envelope, header, parts: Vec::new(), bytes: 0, missing, refused });
        if missing > 0 {
            self.0 = Some(begun);
            return None;
        }
        Some(begun.end())
    }
}

impl Begun {
    fn end(self) -> Complete {
        match self.refused {
            Some(rejection) => Complete::Malformed(rejection, self.envelope.action_id),
            None => Complete::Action(Box::new((self.envelope, self.header, self.parts))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    #[test]
    fn an_action_is_complete_with_its_last_payload_frame() {
        let mut frames = Frames::default();
        assert!(frames.take(Bytes::new()).is_none());
        assert!(frames.take(text(r#"{"action":"send_message","action_id":1,"frames":2}"#)).is_none());
        assert!(frames.take(text("a")).is_none());
        let Some(Complete::Action(act)) = frames.take(text("b")) else { panic!("not complete") };
        assert_eq!(act.2, [text("a"), text("b")]);
        assert!(matches!(frames.take(text(r#"{"action":"ping"}"#)), Some(Complete::Action(_))));
    }

    #[test]
    fn an_empty_payload_frame_is_a_part() {
        let mut frames = Frames::default();
        assert!(frames.take(text(r#"{"action":"send_message","frames":1}"#)).is_none());
        assert!(matches!(frames.take(Bytes::new()), Some(Complete::Action(act)) if act.2.len() == 1));
    }

    #[test]
    fn what_is_too_long_is_skipped_and_the_next_action_is_understood() {
        let mut frames = Frames::default();
        assert!(frames.take(text(r#"{"action":"send_message","action_id":7,"frames":2}"#)).is_none());
        assert!(frames.take(Bytes::from(vec![b'x'; limits::PART_BYTES + 1])).is_none());
        let refused = frames.take(text("b"));
        assert!(
            matches!(refused, Some(Complete::Malformed(r, Some(7))) if r.error_type == ErrorType::MessagePartTooLong)
        );
        assert!(matches!(frames.take(text(r#"{"action":"ping"}"#)), Some(Complete::Action(_))));
    }

    #[test]
    fn absurd_frame_counts_are_refused() {
        for count in ["-1", "1.5", "\"2\""] {
            let header = text(&format!(r#"{{"action":"ping","action_id":3,"frames":{count}}}"#));
            assert!(
                matches!(Frames::default().take(header), Some(Complete::Malformed(_, Some(3)))),
                "{count}"
            );
        }
        let header = text(r#"{"action":"ping","frames":4294967295}"#);
        assert!(matches!(Frames::default().take(header), Some(Complete::Hopeless(..))));
        let mut frames = Frames::default();
        assert!(frames.take(text(r#"{"action":"ping","action_id":4,"frames":40}"#)).is_none());
        let refused = (0..40).filter_map(|_| frames.take(text("x"))).next();
        assert!(
            matches!(refused, Some(Complete::Malformed(r, Some(4))) if r.error_type == ErrorType::PayloadHasTooManyParts)
        );
    }
}
