//! Message types: which may be sent, what their payloads must look like, and patterns over them.

use crate::error::{ErrorType, Rejection};
use crate::limits;
use bytes::Bytes;
use serde_json::Value;

/// Flags of stored records, so that history can be asked without opening bodies.
pub mod flags {
    /// The record is a message.
    pub const MESSAGE: u32 = 1;
    /// The message is folded.
    pub const FOLD: u32 = 2;
    /// The message is hidden from those who are no moderators.
    pub const HIDDEN: u32 = 4;
    /// The message went to some members only.
    pub const PARTIAL: u32 = 8;
}

/// The message types below `ninchat.com/` that clients may send, each with whether it is stored.
pub const SENDABLE: &[&str] = &[
    "ninchat.com/file",
    "ninchat.com/link",
    "ninchat.com/metadata",
    "ninchat.com/notice",
    "ninchat.com/rtc/answer",
    "ninchat.com/rtc/call",
    "ninchat.com/rtc/hang-up",
    "ninchat.com/rtc/ice-candidate",
    "ninchat.com/rtc/offer",
    "ninchat.com/rtc/pick-up",
    "ninchat.com/text",
    "ninchat.com/ui/action",
    "ninchat.com/ui/compose",
];

/// Whether a message type matches one of the patterns; `prefix*` matches prefixes.
pub fn matches<S: AsRef<str>>(patterns: &[S], message_type: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.as_ref().strip_suffix('*') {
        Some(prefix) => message_type.starts_with(prefix),
        None => pattern.as_ref() == message_type,
    })
}

/// Fails unless a client may send this type with this payload.
///
/// # Errors
/// `message_not_supported`, `message_malformed`, or the one that names the limit.
pub fn check(message_type: &str, parts: &[Bytes]) -> Result<(), Rejection> {
    let refuse = |error_type| Err(Rejection::new(error_type).about("message_type", message_type));
    if message_type.is_empty() {
        return Err(Rejection::malformed("message_type is empty"));
    }
    if message_type.len() > limits::MESSAGE_TYPE_BYTES {
        return Err(Rejection::new(ErrorType::MessageTypeTooLong));
    }
    if parts.is_empty() {
        return Err(Rejection::new(ErrorType::MessageMalformed).because("a message has one part or more"));
    }
    if parts.len() > limits::PARTS {
        return refuse(ErrorType::MessageHasTooManyParts);
    }
    if parts.iter().any(|part| part.len() > limits::PART_BYTES) {
        return refuse(ErrorType::MessagePartTooLong);
    }
    if parts.iter().map(Bytes::len).sum::<usize>() > limits::PAYLOAD_BYTES {
        return refuse(ErrorType::MessageTooLong);
    }
    if !message_type.starts_with("ninchat.com/") {
        return Ok(());
    }
    if !SENDABLE.contains(&message_type) {
        return refuse(ErrorType::MessageNotSupported);
    }
    let malformed = |reason: &str| {
        Err(Rejection::new(ErrorType::MessageMalformed).because(reason).about("message_type", message_type))
    };
    let [part] = parts else { return malformed("this type has exactly one part") };
    let Ok(value) = serde_json::from_slice::<Value>(part) else {
        return malformed("the payload is not JSON");
    };
    let of = |key: &str| value.get(key);
    match message_type {
        "ninchat.com/ui/compose" => match value.as_array() {
            Some(items) if !items.is_empty() && items.iter().all(Value::is_object) => Ok(()),
            _ => malformed("the payload is an array of one object or more"),
        },
        _ if !value.is_object() => malformed("the payload is an object"),
        "ninchat.com/text" | "ninchat.com/notice" if !of("text").is_some_and(Value::is_string) => {
            malformed("the payload has a text, a string")
        }
        "ninchat.com/metadata" if !of("data").is_some_and(Value::is_object) => {
            malformed("the payload has data, an object")
        }
        "ninchat.com/metadata" if of("time").is_some_and(|time| !time.is_number()) => {
            malformed("time is a number")
        }
        "ninchat.com/file" if !of("files").is_some_and(Value::is_array) => {
            malformed("the payload has files, an array")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(message_type: &str, payload: &[&str]) -> Option<ErrorType> {
        let parts: Vec<_> = payload.iter().map(|p| Bytes::copy_from_slice(p.as_bytes())).collect();
        check(message_type, &parts).err().map(|rejection| rejection.error_type)
    }

    #[test]
    fn patterns_match_whole_names_or_prefixes() {
        assert!(matches(&["ninchat.com/*"], "ninchat.com/text"));
        assert!(matches(&["*"], "anything"));
        assert!(matches(&["a/b"], "a/b"));
        assert!(!matches(&["a/b"], "a/bc"));
        assert!(!matches::<&str>(&[], "a"));
    }

    #[test]
    fn known_types_are_checked_and_others_pass_through() {
        assert_eq!(refused("ninchat.com/text", &[r#"{"text":"hi"}"#]), None);
        assert_eq!(refused("ninchat.com/text", &[r#"{"text":5}"#]), Some(ErrorType::MessageMalformed));
        assert_eq!(refused("ninchat.com/text", &["not json"]), Some(ErrorType::MessageMalformed));
        assert_eq!(refused("ninchat.com/text", &[]), Some(ErrorType::MessageMalformed));
        assert_eq!(refused("ninchat.com/text", &["{}", "{}"]), Some(ErrorType::MessageMalformed));
        assert_eq!(refused("ninchat.com/info/join", &["{}"]), Some(ErrorType::MessageNotSupported));
        assert_eq!(refused("ninchat.com/nonsense", &["{}"]), Some(ErrorType::MessageNotSupported));
        assert_eq!(refused("example.org/x", &["anything", ""]), None);
        assert_eq!(refused("ninchat.com/ui/compose", &[r#"[{"element":"a"}]"#]), None);
        assert_eq!(refused("ninchat.com/ui/compose", &["[]"]), Some(ErrorType::MessageMalformed));
    }

    #[test]
    fn each_limit_has_its_error() {
        let long = "x".repeat(limits::PART_BYTES + 1);
        assert_eq!(refused("a/b", &[&long]), Some(ErrorType::MessagePartTooLong));
        let half = "x".repeat(limits::PART_BYTES);
        assert_eq!(refused("a/b", &[&half, &half, &half]), Some(ErrorType::MessageTooLong));
        assert_eq!(refused("a/b", &vec!["x"; limits::PARTS + 1]), Some(ErrorType::MessageHasTooManyParts));
        assert_eq!(refused(&"x".repeat(200), &["x"]), Some(ErrorType::MessageTypeTooLong));
    }
}
