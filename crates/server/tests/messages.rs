//! Messages: sending, receiving, refusing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::Target;
use levee_client::{Bytes, Error, Options};
use serde_json::json;
use support::people::Person;
use support::rooms::{ascending, is_message, room, with};
use support::{LIMIT, Server, refused, within};

#[tokio::test]
async fn a_message_reaches_everybody_and_answers_its_sender() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut people, room) = room(&server, &["Ben"]).await;
        let sent = people[0].send_text(&room, "hello").await.unwrap();
        let came = people[1].events.find("the message", is_message).await.unwrap();
        assert!(sent.action_id().is_some() && came.action_id().is_none());
        assert!(sent["message_time"].as_f64().is_some_and(|time| time > 1.6e9));
        assert_eq!((sent.str("message_user_name"), sent.text().as_str()), ("Ann", "hello"));
        for same in [
            "channel_id",
            "message_id",
            "message_time",
            "message_type",
            "message_user_id",
            "message_user_name",
        ] {
            assert_eq!(sent[same], came[same], "{same}");
        }
        assert_eq!(came.parts(), sent.parts());
        assert!(came["history_length"].is_null());
    })
    .await;
}

#[tokio::test]
async fn all_readers_see_one_order() {
    const EACH: usize = 30;
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut people, room) = room(&server, &["Ben", "Cleo"]).await;
        let write = async |person: usize, session: levee_client::Session| {
            for number in 0..EACH {
                session.send_text(&room, &format!("{person}-{number}")).await.unwrap();
            }
        };
        let sessions: Vec<_> = people.iter().map(|person| person.session.clone()).collect();
        let [ann, ben, cleo] = sessions.try_into().ok().expect("three");
        tokio::join!(write(0, ann), write(1, ben), write(2, cleo));
        let mut orders = Vec::new();
        for person in &mut people {
            let mut order = Vec::new();
            while order.len() < EACH * 3 {
                let event = person.events.find("a message", is_message).await.unwrap();
                order.push((event.str("message_id").to_owned(), event.text()));
            }
            assert!(order.is_sorted_by(|a, b| a.0 < b.0), "ids ascend");
            orders.push(order);
        }
        let history = people[1].load_history(&room, with(ascending(), "history_length", 1000)).await.unwrap();
        orders.push(history.messages.iter().map(|m| (m.str("message_id").to_owned(), m.text())).collect());
        assert!(orders.iter().all(|order| *order == orders[0]));
    })
    .await;
}

#[tokio::test]
async fn a_session_gets_the_types_that_it_accepts() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, room) = room(&server, &[]).await;
        let Target::Channel(channel) = &room else { unreachable!() };
        let picky = json!({"message_types": ["ninchat.com/text", "a/*"]});
        let mut ben = server.open(picky, Options::default()).await;
        ben.join_channel(channel).await.unwrap();
        for kind in ["b/x", "a", "a/x", "ninchat.com/metadata"] {
            people[0].send_message(&room, json!({"message_type": kind}), &json!({"data": {}})).await.unwrap();
        }
        people[0].send_text(&room, "end").await.unwrap();
        let mut kinds = Vec::new();
        while kinds.last().is_none_or(|kind| kind != "ninchat.com/text") {
            let event = ben.events.named("message_received").await.unwrap();
            kinds.push(event.str("message_type").to_owned());
        }
        assert_eq!(kinds, ["a/x", "ninchat.com/text"]);
        // The history takes them as its default.
        let history = ben.load_history(&room, json!({"history_order": 1})).await.unwrap();
        assert_eq!(history.messages.len(), 2);
        // Its own messages are answered all the same.
        let answer = ben.send_message(&room, json!({"message_type": "b/x"}), &json!({})).await.unwrap();
        assert_eq!((answer.name(), answer.str("message_type")), ("message_received", "b/x"));
    })
    .await;
}

#[tokio::test]
async fn a_fleeting_message_is_delivered_and_not_kept() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut people, room) = room(&server, &["Ben"]).await;
        let fleeting = json!({"message_type": "ninchat.com/text", "message_ttl": 10.0});
        people[0].send_message(&room, fleeting, &json!({"text": "now"})).await.unwrap();
        people[0].send_text(&room, "later").await.unwrap();
        let now = people[1].events.find("now", is_message).await.unwrap();
        assert_eq!((now.text().as_str(), now["message_ttl"].as_f64()), ("now", Some(10.0)));
        let later = people[1].events.find("later", is_message).await.unwrap();
        assert!(now.str("message_id") < later.str("message_id"));
        for reader in &people {
            assert_eq!(reader.load_history(&room, ascending()).await.unwrap().texts(), ["later"]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_to_some_is_for_them_only() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut people, room) = room(&server, &["Ben", "Cleo"]).await;
        let ben = people[1].user_id().to_owned();
        let to_ben = json!({"message_type": "ninchat.com/text", "message_recipient_ids": [ben]});
        people[0].send_message(&room, to_ben, &json!({"text": "for Ben"})).await.unwrap();
        people[0].send_text(&room, "for all").await.unwrap();
        let first = people[1].events.find("for Ben", is_message).await.unwrap();
        assert_eq!((first.text().as_str(), &first["message_recipient_ids"]), ("for Ben", &json!([ben])));
        assert_eq!(people[2].events.find("a message", is_message).await.unwrap().text(), "for all");
        for (reader, texts) in
            people.iter().zip([&["for Ben", "for all"][..], &["for Ben", "for all"], &["for all"]])
        {
            assert_eq!(reader.load_history(&room, ascending()).await.unwrap().texts(), texts);
        }
    })
    .await;
}

#[tokio::test]
async fn a_retried_message_is_sent_once() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut people, room) = room(&server, &["Ben"]).await;
        let ann = people[0].session.clone();
        let reply = ann.start(
            "send_message",
            room.with(json!({"message_type": "ninchat.com/text"})),
            vec![Bytes::from_static(b"{\"text\":\"once\"}")],
        );
        // The answer may be lost with the connection, or not: both must end the same.
        ann.drop_connection();
        let sent = reply.event().await.unwrap();
        ann.send_text(&room, "end").await.unwrap();
        let mut texts = Vec::new();
        while texts.last().is_none_or(|text| text != "end") {
            texts.push(people[1].events.find("a message", is_message).await.unwrap().text());
        }
        assert_eq!(texts, ["once", "end"]);
        let history = people[1].load_history(&room, ascending()).await.unwrap();
        assert_eq!(history.messages[0]["message_id"], sent["message_id"]);
        assert_eq!(history.messages.len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_payload_travels_as_it_is() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut people, room) = room(&server, &["Ben"]).await;
        let parts = vec![Bytes::from_static(b"\xff\x00\xfe"), Bytes::new(), Bytes::from(vec![b'x'; 100_000])];
        let kind = room.with(json!({"message_type": "example.org/parts"}));
        people[0].send("send_message", kind, parts.clone()).await.unwrap();
        assert_eq!(people[1].events.find("parts", is_message).await.unwrap().parts(), parts);
        let loaded =
            people[1].load_history(&room, json!({"message_types": ["example.org/parts"]})).await.unwrap();
        assert_eq!(loaded.messages[0].parts(), parts);
    })
    .await;
}

#[tokio::test]
async fn a_message_without_a_number_has_no_answer() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut people, room) = room(&server, &["Ben"]).await;
        let quiet = room.with(json!({"message_type": "ninchat.com/text"}));
        people[0].tell("send_message", quiet, vec![Bytes::from_static(b"{\"text\":\"quiet\"}")]);
        assert_eq!(people[1].events.find("it", is_message).await.unwrap().text(), "quiet");
    })
    .await;
}

#[tokio::test]
async fn what_is_no_message_is_refused() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, room) = room(&server, &["Ben"]).await;
        let [ann, ben] = &people[..] else { unreachable!() };
        let send = async |who: &Person, kind: &str, payload: &[&'static str]| {
            let parts = payload.iter().map(|part| Bytes::from_static(part.as_bytes())).collect();
            refused(who.send("send_message", room.with(json!({"message_type": kind})), parts).await)
        };
        assert_eq!(send(ann, "ninchat.com/text", &[]).await, "message_malformed");
        assert_eq!(send(ann, "ninchat.com/text", &["no json"]).await, "message_malformed");
        assert_eq!(send(ann, "ninchat.com/text", &["{\"text\":5}"]).await, "message_malformed");
        assert_eq!(send(ann, "ninchat.com/info/join", &["{}"]).await, "message_not_supported");
        assert_eq!(send(ann, "ninchat.com/unknown", &["{}"]).await, "message_not_supported");
        assert_eq!(send(ann, &"x".repeat(1000), &["{}"]).await, "message_type_too_long");
        // A notice is an operator's.
        assert_eq!(send(ben, "ninchat.com/notice", &["{\"text\":\"x\"}"]).await, "permission_denied");
        let kind = json!({"message_type": "ninchat.com/text"});
        let both = with(room.with(kind.clone()), "user_id", ben.user_id());
        for parameters in [both, kind] {
            let parts = vec![Bytes::from_static(b"{\"text\":\"x\"}")];
            assert_eq!(refused(ann.send("send_message", parameters, parts).await), "request_malformed");
        }
        assert_eq!(ann.load_history(&room, ascending()).await.unwrap().messages.len(), 0);
    })
    .await;
}

#[tokio::test]
async fn strangers_neither_write_nor_read() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, room) = room(&server, &[]).await;
        people[0].send_text(&room, "inside").await.unwrap();
        let stranger = server.guest("Stranger").await;
        let outcomes = [
            stranger.send_text(&room, "outside").await.map(|_| ()),
            stranger.load_history(&room, json!({})).await.map(|_| ()),
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(Error::Rejected(_))), "{outcome:?}");
        }
        assert_eq!(people[0].load_history(&room, ascending()).await.unwrap().texts(), ["inside"]);
    })
    .await;
}
