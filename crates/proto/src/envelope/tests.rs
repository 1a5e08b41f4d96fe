use super::*;
use crate::error::ErrorType;
use crate::events;

#[test]
fn an_envelope_is_read_and_unknown_parameters_are_ignored() {
    let header = br#"{"action":"ping","action_id":3,"event_id":9,"frames":2,"whatever":{"a":[1]}}"#;
    let envelope = Envelope::parse(header).unwrap();
    assert_eq!((envelope.action.as_str(), envelope.action_id), ("ping", Some(3)));
    assert_eq!((envelope.event_id, envelope.frames), (Some(9), Some(2)));
}

#[test]
fn a_malformed_envelope_still_tells_its_action_id() {
    let (rejection, id) = Envelope::parse(br#"{"action":5,"action_id":7}"#).unwrap_err();
    assert_eq!((rejection.error_type, id), (ErrorType::RequestMalformed, Some(7)));
    let (_, id) = Envelope::parse(br#"{"action":"ping","action_id":"7"}"#).unwrap_err();
    assert_eq!(id, None);
}

#[test]
fn absurd_numbers_are_malformed() {
    for number in ["-1", "1.5", "0", "1e400", "9007199254740993", "\"1\"", "[]"] {
        let header = format!(r#"{{"action":"ping","action_id":{number}}}"#);
        let (rejection, _) = Envelope::parse(header.as_bytes()).unwrap_err();
        assert_eq!(rejection.error_type, ErrorType::RequestMalformed, "{number}");
    }
    for frames in ["-1", "1.5"] {
        let header = format!(r#"{{"action":"ping","frames":{frames}}}"#);
        assert!(Envelope::parse(header.as_bytes()).is_err(), "{frames}");
    }
}

#[test]
fn deep_nesting_and_duplicate_keys_are_malformed() {
    let deep = format!(r#"{{"action":"ping","x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let _ = Envelope::parse(deep.as_bytes()); // must neither overflow the stack nor hang
    assert!(Envelope::parse(br#"{"action":"ping","action":"pong"}"#).is_err());
}

#[test]
fn a_body_takes_what_differs_between_receivers() {
    let body = Body::with_parts(
        &events::MessageReceived { message_id: "1".into(), message_type: "t".into(), ..Default::default() },
        vec![Bytes::from_static(b"{\"text\":\"hi\"}")],
    );
    assert_eq!(body.event(), "message_received");
    let splice = Splice { event_id: Some(7), action_id: Some(2), history_length: Some(0) };
    let value: serde_json::Value = serde_json::from_str(&body.framed(splice)).unwrap();
    assert_eq!(
        value,
        serde_json::json!({"event":"message_received","message_id":"1","message_time":0.0,
            "message_type":"t","event_id":7,"action_id":2,"history_length":0,"frames":1})
    );
    let value: serde_json::Value = serde_json::from_str(&body.inline(Splice::default()).unwrap()).unwrap();
    assert_eq!(value["payload"], serde_json::json!({"text":"hi"}));
}

#[test]
fn an_event_without_parameters_is_an_object_too() {
    let text = Body::new(&events::Pong::default()).framed(Splice { action_id: Some(1), ..Splice::default() });
    assert_eq!(text, r#"{"event":"pong","action_id":1}"#);
}

#[test]
fn what_one_object_cannot_carry_is_not_inlined() {
    let two = Body::with_parts(&events::Pong::default(), vec![Bytes::from_static(b"1"); 2]);
    let binary = Body::with_parts(&events::Pong::default(), vec![Bytes::from_static(b"\xff\x00")]);
    assert!(two.inline(Splice::default()).is_none() && binary.inline(Splice::default()).is_none());
}

#[test]
fn a_header_is_text_even_where_nobody_reads_it() {
    let mut header = br#"{"action":"ping","action_id":3,"unknown":"x"}"#.to_vec();
    assert!(Envelope::parse(&header).is_ok());
    let at = header.iter().rposition(|byte| *byte == b'x').unwrap();
    header[at] = 0xdf;
    let (rejection, action_id) = Envelope::parse(&header).unwrap_err();
    assert_eq!((rejection.error_type, action_id), (ErrorType::RequestMalformed, Some(3)));
}
