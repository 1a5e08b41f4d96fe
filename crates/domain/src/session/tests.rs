use super::*;
use bytes::Bytes;
use levee_proto::events;
use proptest::prelude::*;

fn body(text: &str) -> Arc<Body> {
    Arc::new(Body::new(&events::ChannelParted { channel_id: text.into(), event_cause: None }))
}

fn session() -> Session {
    Session::new(Arc::from([Text::from("ninchat.com/*")]), 0, Bounds { events: 100, bytes: 1 << 20 })
}

fn drain(session: &mut Session) -> Vec<u64> {
    std::iter::from_fn(|| session.next_to_send().map(|event| event.event_id())).collect()
}

#[test]
fn events_are_numbered_from_one_and_sent_once() {
    let mut s = session();
    s.push(body("a"), Splice::default(), None, None).unwrap();
    s.push(body("b"), Splice::default(), None, None).unwrap();
    assert_eq!(drain(&mut s), [1, 2]);
    assert_eq!(drain(&mut s), [0u64; 0]);
}

#[test]
fn a_new_connection_gets_what_is_not_acknowledged_again() {
    let mut s = session();
    for text in ["a", "b", "c"] {
        s.push(body(text), Splice::default(), None, None).unwrap();
    }
    drain(&mut s);
    s.acknowledge(2).unwrap();
    s.rewind();
    assert_eq!(drain(&mut s), [3]);
}

#[test]
fn an_acknowledgement_beyond_what_was_sent_is_refused() {
    let mut s = session();
    assert_eq!(s.acknowledge(1).unwrap_err().error_type, ErrorType::RequestMalformed);
}

#[test]
fn numbers_above_the_ceiling_wait_until_they_are_reserved() {
    let mut s = Session::new(Arc::from([]), 0, Bounds::default());
    for _ in 0..BLOCK + 5 {
        s.push(body("x"), Splice::default(), None, None).unwrap();
    }
    assert_eq!(drain(&mut s).len() as u64, BLOCK);
    let wanted = s.wants_ceiling().unwrap();
    s.reserved(wanted);
    assert_eq!(drain(&mut s).len(), 5);
}

/// Metadata of a customer, with the value of each key.
fn metadata(author: &str, data: serde_json::Value) -> Arc<Body> {
    let event = events::MessageReceived {
        message_type: "ninchat.com/metadata".into(),
        channel_id: Some("00c".into()),
        message_user_id: Some(author.into()),
        ..Default::default()
    };
    let content = serde_json::json!({"data": data, "time": 1});
    Arc::new(Body::with_parts(&event, vec![content.to_string().into()]))
}

fn push_live(s: &mut Session, body: Arc<Body>, splice: Splice) -> Result<usize, Rejection> {
    s.push(body, splice, Some("ninchat.com/metadata"), Some((&Stream::conversation(&"00c".into()), 1)))
}

/// All that goes out, to a client that acknowledges it.
fn read_all(s: &mut Session) -> Vec<Numbered> {
    let mut all = Vec::new();
    while let Some(event) = s.next_to_send() {
        s.acknowledge(event.event_id()).unwrap();
        all.push(event);
    }
    all
}

#[test]
fn a_slow_reader_of_live_metadata_gets_the_latest_value_of_each_key_and_no_overflow() {
    let mut s = session();
    s.reserved(10_000);
    let mut coalesced = 0;
    for number in 0..5000 {
        let (author, key) = (["a", "b"][number % 2], ["page", "field", "x"][number % 3]);
        let data = serde_json::json!({key: number, "rare": if number < 200 { Some(1) } else { None }});
        let data = if number < 200 { data } else { serde_json::json!({key: number}) };
        coalesced += push_live(&mut s, metadata(author, data), Splice::default()).unwrap();
        if number % 7 == 0 {
            // It is written to as long as it has room.
            drain(&mut s);
        }
        if number == 2500 {
            s.push(body("between"), Splice::default(), None, None).unwrap();
        }
    }
    s.push(body("last"), Splice::default(), None, None).unwrap();
    assert!(coalesced > 4800 && s.waiting() <= 100, "{coalesced} and {}", s.waiting());
    let sent = drain(&mut s);
    assert!(sent.is_empty(), "nothing more goes out to one who acknowledges nothing");
    s.rewind();
    let all = read_all(&mut s);
    assert!(all.is_sorted_by(|one, next| one.event_id() < next.event_id()));
    assert_eq!(all.last().unwrap().body, body("last"));
    assert!(all.iter().any(|event| event.body == body("between")));
    let mut values = std::collections::BTreeMap::new();
    for event in all.iter().filter(|event| event.body.event() == "message_received") {
        let content: serde_json::Value = serde_json::from_slice(&event.body.parts[0]).unwrap();
        let header: serde_json::Value = serde_json::from_str(event.body.header()).unwrap();
        for (key, value) in content["data"].as_object().unwrap() {
            values.insert((header["message_user_id"].to_string(), key.clone()), value.clone());
        }
    }
    let latest =
        |author: usize, key: usize| (0..5000).rev().find(|n| n % 2 == author && n % 3 == key).unwrap();
    for (author, name) in ["\"a\"", "\"b\""].iter().enumerate() {
        for (key, of) in ["page", "field", "x"].iter().enumerate() {
            assert_eq!(values[&((*name).to_owned(), (*of).to_owned())], latest(author, key));
        }
        assert_eq!(
            values[&((*name).to_owned(), "rare".to_owned())],
            1,
            "one that came once is there as well"
        );
    }
    // Its cursor stands after all of it.
    assert_eq!(s.cursor(&Stream::conversation(&"00c".into())), Some(1));
}

#[test]
fn replies_and_what_was_sent_before_are_never_coalesced() {
    let mut s = session();
    let one = || metadata("a", serde_json::json!({"k": 1}));
    let fill = |s: &mut Session| (0..40).for_each(|_| drop(s.push(body("x"), Splice::default(), None, None)));
    fill(&mut s);
    let reply = Splice { action_id: Some(9), ..Splice::default() };
    assert_eq!(push_live(&mut s, one(), reply).unwrap(), 0);
    assert_eq!(push_live(&mut s, one(), Splice::default()).unwrap(), 0, "a reply is the sender's own");
    assert_eq!(push_live(&mut s, one(), Splice::default()).unwrap(), 1);
    let sent = drain(&mut s);
    assert_eq!(sent.len(), 42);
    // What a lost connection has carried comes again as it was.
    s.rewind();
    fill(&mut s);
    assert_eq!(push_live(&mut s, one(), Splice::default()).unwrap(), 0);
    let again: Vec<_> = drain(&mut s);
    assert_eq!(again[..42], sent);
    // A reader who is not behind gets every one.
    let mut s = session();
    for _ in 0..500 {
        assert_eq!(push_live(&mut s, one(), Splice::default()).unwrap(), 0);
        assert_eq!(read_all(&mut s).len(), 1);
    }
}

#[test]
fn one_event_too_many_is_an_overflow() {
    let mut s = session();
    for _ in 0..100 {
        s.push(body("x"), Splice::default(), None, None).unwrap();
    }
    let error = s.push(body("x"), Splice::default(), None, None).unwrap_err();
    assert_eq!(error.error_type, ErrorType::SessionBufferOverflow);
}

#[test]
fn unwanted_types_are_left_out_but_a_reply_comes_without_its_content() {
    let mut s = session();
    s.push(body("x"), Splice::default(), Some("example.org/x"), None).unwrap();
    assert_eq!(s.waiting(), 0);
    let reply = Splice { action_id: Some(1), ..Splice::default() };
    s.push(body("x"), reply, Some("example.org/x"), None).unwrap();
    assert!(s.next_to_send().unwrap().bare);
}

#[test]
fn a_retry_is_answered_from_the_buffer_or_by_the_owner() {
    let mut s = session();
    assert_eq!(s.admit(Some(1)).unwrap(), Admission::Fresh);
    assert_eq!(s.admit(Some(1)).unwrap(), Admission::Retry);
    s.push(body("x"), Splice { action_id: Some(1), ..Splice::default() }, None, None).unwrap();
    assert_eq!(s.admit(Some(1)).unwrap(), Admission::Answered);
    assert_eq!(s.settled(), 0);
    assert!(s.has_answered(1) && !s.has_answered(2));
    s.acknowledge(1).unwrap();
    assert_eq!(s.settled(), 1);
    assert!(s.has_answered(1) && !s.has_answered(2));
    assert_eq!(s.admit(Some(1)).unwrap(), Admission::Answered, "a copy of it was late");
}

#[test]
fn history_is_answered_by_its_last_message_only() {
    let mut s = session();
    s.admit(Some(1)).unwrap();
    for left in [2, 1, 0] {
        s.push(
            body("m"),
            Splice { action_id: Some(1), history_length: Some(left), event_id: None },
            None,
            None,
        )
        .unwrap();
        let expected = if left == 0 { Admission::Answered } else { Admission::Retry };
        assert_eq!(s.admit(Some(1)).unwrap(), expected);
    }
}

#[test]
fn cursors_cover_acknowledged_events_only() {
    let mut s = session();
    let stream = Stream::conversation(&"00aa".into());
    s.mark(&stream, 1);
    assert_eq!(s.cursor(&stream), Some(1), "nothing waits, so nothing can be lost");
    s.push(body("m"), Splice::default(), None, Some((&stream, 2))).unwrap();
    s.mark(&stream, 3);
    assert_eq!(s.cursor(&stream), Some(1));
    s.acknowledge(1).unwrap();
    assert_eq!(s.cursor(&stream), Some(3));
}

#[test]
fn a_cursor_goes_when_the_client_knows_that_its_user_left() {
    let mut s = session();
    let stream = Stream::conversation(&"00aa".into());
    s.push(body("m"), Splice::default(), None, Some((&stream, 2))).unwrap();
    s.acknowledge(1).unwrap();
    s.push(body("parted"), Splice::default(), None, Some((&stream, 3))).unwrap();
    s.leave(&stream);
    assert_eq!((s.cursor(&stream), s.position(&stream)), (Some(2), None), "the client may not know yet");
    s.acknowledge(2).unwrap();
    assert_eq!((s.cursor(&stream), s.has_changed_cursors()), (None, true));
    s.push(body("parted"), Splice::default(), None, Some((&stream, 4))).unwrap();
    s.leave(&stream);
    s.mark(&stream, 5);
    assert_eq!(s.position(&stream), Some(5), "in again");
    s.acknowledge(3).unwrap();
    assert_eq!(s.cursor(&stream), Some(5));
}

#[test]
fn a_cursor_never_goes_back() {
    let mut s = session();
    let stream = Stream::conversation(&"00aa".into());
    s.push(body("m"), Splice::default(), None, Some((&stream, 4))).unwrap();
    s.push(body("entered again"), Splice::default(), None, Some((&stream, 1))).unwrap();
    s.acknowledge(2).unwrap();
    assert_eq!(s.cursor(&stream), Some(4));
    s.mark(&stream, 2);
    assert_eq!(s.cursor(&stream), Some(4));
}

#[test]
fn a_session_that_moves_takes_everything_along() {
    let mut s = session();
    let stream = Stream::conversation(&"00aa".into());
    let parts = vec![Bytes::from_static(b"{\"text\": \"hi\"}"), Bytes::from_static(b"\xff\x00")];
    let event = events::ChannelParted { channel_id: "c".into(), event_cause: None };
    s.mark(&stream, 3);
    s.admit(Some(6)).unwrap();
    s.push(body("reply"), Splice { action_id: Some(6), ..Splice::default() }, None, None).unwrap();
    s.acknowledge(1).unwrap();
    s.admit(Some(7)).unwrap();
    s.push(Arc::new(Body::with_parts(&event, parts)), Splice::default(), None, Some((&stream, 4))).unwrap();
    s.push(body("reply"), Splice { action_id: Some(7), ..Splice::default() }, None, None).unwrap();
    s.admit(Some(8)).unwrap();
    s.hold_latest("q".into(), body("position"));
    let text = serde_json::to_string(&s.pack()).unwrap();
    let types = s.message_types.clone();
    let mut moved = Session::unpack(types, s.ceiling(), serde_json::from_str(&text).unwrap(), s.bounds);
    assert_eq!((moved.cursor(&stream), moved.position(&stream)), (Some(3), Some(4)));
    assert_eq!(moved.admit(Some(6)).unwrap(), Admission::Answered);
    assert_eq!(moved.admit(Some(7)).unwrap(), Admission::Answered);
    assert!(moved.awaits(8) && !moved.awaits(7));
    let answered: Vec<_> = (5..10).filter(|id| moved.has_answered(*id)).collect();
    assert_eq!(answered, [5, 6, 7], "what is below all that is open was answered long ago");
    moved.release_latest().unwrap();
    s.release_latest().unwrap();
    let all = |s: &mut Session| std::iter::from_fn(|| s.next_to_send()).collect::<Vec<_>>();
    assert_eq!(all(&mut moved), all(&mut s), "the same events, to the byte");
    assert_eq!((moved.bytes, moved.last(), moved.ceiling()), (s.bytes, s.last(), s.ceiling()));
    moved.acknowledge(3).unwrap();
    assert_eq!(moved.cursor(&stream), Some(4));
}

#[test]
fn only_the_latest_value_of_a_thing_is_kept_for_whoever_is_away() {
    let mut s = session();
    s.hold_latest("q".into(), body("first"));
    s.hold_latest("q".into(), body("second"));
    s.release_latest().unwrap();
    assert_eq!(s.next_to_send().unwrap().body, body("second"));
    assert!(s.next_to_send().is_none());
}

#[derive(Debug, Clone)]
enum Act {
    Push,
    Read(usize),
    Drop,
    Acknowledge,
    AcknowledgeOld,
    Move,
}

proptest! {
    /// Whatever is dropped, acknowledged, resumed and moved: a client that counts on ascending numbers sees
    /// each event once, in order.
    #[test]
    fn a_resumed_session_gets_every_event_once_in_ascending_order(
        acts in prop::collection::vec(prop_oneof![
            4 => Just(Act::Push), 3 => (1usize..5).prop_map(Act::Read), 2 => Just(Act::Drop),
            2 => Just(Act::Acknowledge), 1 => Just(Act::AcknowledgeOld), 1 => Just(Act::Move)], 1..300)
    ) {
        let mut s = Session::new(Arc::from([]), 0, Bounds { events: 10_000, bytes: 1 << 30 });
        let (mut pushed, mut received) = (0u64, Vec::new());
        let mut wire: VecDeque<u64> = VecDeque::new();
        let mut newest = 0;
        for act in acts.into_iter().chain([Act::Drop, Act::Read(usize::MAX)]) {
            match act {
                Act::Push => {
                    pushed += 1;
                    s.push(body(&pushed.to_string()), Splice::default(), None, None).unwrap();
                    while let Some(event) = s.next_to_send() { wire.push_back(event.event_id()); }
                }
                Act::Read(n) => for _ in 0..n {
                    let Some(id) = wire.pop_front() else { break };
                    // What the client does: what it has seen, it ignores.
                    if id > newest { newest = id; received.push(id); }
                },
                Act::Drop => {
                    wire.clear();
                    s.acknowledge(newest).unwrap();
                    s.rewind();
                    while let Some(event) = s.next_to_send() { wire.push_back(event.event_id()); }
                }
                // To another node, by way of the store: every connection drops.
                Act::Move => {
                    let text = serde_json::to_string(&s.pack()).unwrap();
                    let bounds = Bounds { events: 10_000, bytes: 1 << 30 };
                    s = Session::unpack(Arc::from([]), s.ceiling(), serde_json::from_str(&text).unwrap(), bounds);
                    wire.clear();
                    while let Some(event) = s.next_to_send() { wire.push_back(event.event_id()); }
                }
                Act::Acknowledge => s.acknowledge(newest).unwrap(),
                Act::AcknowledgeOld => s.acknowledge(newest / 2).unwrap(),
            }
        }
        prop_assert_eq!(received, (1..=pushed).collect::<Vec<_>>());
    }
}
