//! What a fuzzer feeds: each function takes any bytes, as anybody may send them, and must neither panic nor accept
//! what it should not. `cargo xtask test --only fuzz` runs each for a while, led by which code an input reaches.

use bytes::Bytes;
use levee_domain::master::{self, Key, KeyType, Wanted};
use levee_proto::frames::{Complete, Frames};
use levee_proto::{Action, Body, Envelope, Splice, framing, ids};
use serde_json::Value;

/// What separates the frames of one input.
const END_OF_FRAME: u8 = 0xff;

/// A connection's frames: headers, then as many payload frames as they announce.
///
/// # Panics
/// When an action comes out that can't have been meant.
pub fn frames(data: &[u8]) {
    let mut frames = Frames::default();
    for frame in data.split(|byte| *byte == END_OF_FRAME) {
        match frames.take(Bytes::copy_from_slice(frame)) {
            Some(Complete::Action(act)) => {
                let (envelope, header, parts) = *act;
                assert_eq!(envelope.frames.unwrap_or_default(), parts.len() as u64);
                action(&envelope, &header);
            }
            Some(Complete::Malformed(rejection, action_id)) => {
                // What is refused must be told, whatever its text.
                let splice = Splice { action_id, ..Splice::default() };
                let told = Body::error(&rejection).inline(splice).expect("an event");
                assert!(serde_json::from_str::<Value>(&told).expect("JSON")["error_type"].is_string());
            }
            Some(Complete::Hopeless(..)) => return,
            None => {}
        }
    }
}

fn action(envelope: &Envelope, header: &[u8]) {
    match Action::decode(&envelope.action, header) {
        Ok(action) => assert_eq!(action.name(), envelope.action.as_str()),
        Err(rejection) => assert!(!rejection.error_type.name().is_empty()),
    }
    // What nobody reads may be as odd as half a surrogate pair, which a value can't hold.
    let values: Value = serde_json::from_slice(header).unwrap_or_default();
    for name in ["user_id", "channel_id", "queue_id", "realm_id"] {
        let Some(id) = values[name].as_str() else { continue };
        if let Some(shard) = ids::shard(id) {
            assert!(shard < ids::SHARDS);
            // What passes for an id is safe in an address, a file name and a key.
            assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }
    if let Ok(parts) = Envelope::inline_payload(header) {
        assert!(parts.iter().all(|part| part.len() <= header.len()));
    }
}

/// The bodies of single calls: octets with sizes before them, and protobuf.
///
/// # Panics
/// When frames come out that were not in the body, or do not survive being written again.
pub fn bodies(data: &[u8]) {
    let mut body = Bytes::copy_from_slice(data);
    let mut written = Vec::new();
    let mut taken = Vec::new();
    while let Ok(Some(frame)) = framing::next_frame(&mut body) {
        framing::push_frame(&mut written, &frame);
        taken.push(frame);
    }
    assert!(taken.iter().map(Bytes::len).sum::<usize>() <= data.len());
    let mut again = Bytes::from(written);
    for frame in taken {
        assert_eq!(framing::next_frame(&mut again), Ok(Some(frame)));
    }
    assert!(again.is_empty());
    if let Ok(events) = framing::decode_response(Bytes::copy_from_slice(data)) {
        let written = framing::encode_response(events.iter().map(Vec::as_slice));
        assert_eq!(framing::decode_response(written.into()), Ok(events));
    }
}

/// Signatures, tokens and encrypted metadata. Nobody who has no key can make one that is accepted.
///
/// # Panics
/// When one is.
pub fn tokens(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // The fuzzer doesn't know the secret, and can't guess it.
    let secret = master::secret(&[0x5a; 32]);
    for key_type in [KeyType::Ninchat, KeyType::Jwt] {
        // Whatever key a text names, it is looked for: this one it finds.
        let Ok(id) = master::key_id_of(key_type, text) else { continue };
        let key = Key::parse(&id, key_type, &secret).expect("a key");
        for now in [0, 1_444_077_533_000_000, u64::MAX] {
            let wanted = Wanted::Channel {
                follows: false,
                channel_id: "channel",
                member_attrs: Some(r#"{"silenced":false}"#),
                user_id: "user",
            };
            assert!(master::verify(&key, text, &wanted, now).is_err());
            assert!(
                master::verify(&key, text, &Wanted::NewPuppet { puppet_attrs: Some(text) }, now).is_err()
            );
            assert!(master::open(&key, text, "user", now).is_err());
            assert!(master::authenticate(&key, text, now).is_err());
            assert!(master::authorize(&key, text, "channel", now).is_err());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The inputs that a run begins with do what they are there for: they get past the first look.
    #[test]
    fn the_first_inputs_are_taken() {
        let header =
            br#"{"action":"send_message","action_id":1,"channel_id":"00aa","message_type":"a","frames":1}"#;
        frames(&[&header[..], b"\xff{}"].concat());
        bodies(b"\x01a\x00\x7e\x00\x01b");
        for text in ["22nlihvg.1444077534.EGk2DnQT.AAAA.", "a-1-b-AAAA", "eyJraWQiOiJrIn0.e30.AAAA"] {
            assert!([KeyType::Ninchat, KeyType::Jwt].iter().any(|of| master::key_id_of(*of, text).is_ok()));
            tokens(text.as_bytes());
        }
    }
}
