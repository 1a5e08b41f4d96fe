use super::*;
use bytes::Bytes;

#[test]
fn a_message_record_is_read_as_it_was_written() {
    let message = Message {
        message_type: "ninchat.com/text".into(),
        author: Some(("a".into(), None)),
        parts: vec![Part(Bytes::from_static(b"{\"text\":\"hi\"}"))],
        ..Message::default()
    };
    let entry = crate::machine::Entry { v: 1, command: None, record: ConversationRecord::Message(message) };
    let text = serde_json::to_string(&entry).unwrap();
    assert_eq!(serde_json::from_str::<crate::machine::Entry<ConversationRecord>>(&text).unwrap(), entry);
}
