//! Dialogues: conversations of two, each addressed by the other user.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::Options;
use levee_client::session::{Target, login};
use serde_json::json;
use support::{LIMIT, Server, within};

#[tokio::test]
async fn a_dialogue_is_addressed_by_the_other_user() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, mut ben) = (server.user("ann").await, server.user("ben").await);
        let sent = ann.send_text(&Target::User(ben.user_id().into()), "hello Ben").await.unwrap();
        assert_eq!((sent.str("user_id"), sent.str("message_user_id")), (ben.user_id(), ann.user_id()));
        let came = ben.events.named("message_received").await.unwrap();
        assert_eq!((came.str("user_id"), came.text().as_str()), (ann.user_id(), "hello Ben"));
        assert_eq!(came["message_id"], sent["message_id"]);
        assert!(came["channel_id"].is_null());
        ben.send_text(&Target::User(ann.user_id().into()), "hello Ann").await.unwrap();
        for (reader, peer) in [(&ann, &ben), (&ben, &ann)] {
            let order = json!({"history_order": 1, "message_types": ["ninchat.com/text"]});
            let history = reader.load_history(&Target::User(peer.user_id().into()), order).await.unwrap();
            assert_eq!(history.texts(), ["hello Ben", "hello Ann"]);
            assert_eq!(history.results.str("user_id"), peer.user_id());
        }
        let again = server.open(login("ben@example.org", "secret-ben"), Options::default()).await;
        assert!(again.created()["user_dialogues"][ann.user_id()].is_object(), "{:?}", again.created());
    })
    .await;
}

#[tokio::test]
async fn typing_in_a_dialogue_is_shown_to_the_other() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut ann, ben) = (server.user("ann").await, server.user("ben").await);
        ben.send_text(&Target::User(ann.user_id().into()), "hi").await.unwrap();
        ann.events.named("message_received").await.unwrap();
        for writing in [true, false] {
            let update = json!({"user_id": ann.user_id(), "member_attrs": {"writing": writing}});
            assert_eq!(ben.ask("update_dialogue", update).await.unwrap().name(), "dialogue_updated");
            let shows = |event: &levee_client::Event| {
                let member = &event["dialogue_members"][ben.user_id()];
                event.name() == "dialogue_updated" && member["writing"].as_bool().unwrap_or(false) == writing
            };
            let shown = ann.events.find("typing", shows).await.unwrap();
            assert_eq!(shown.str("user_id"), ben.user_id());
        }
    })
    .await;
}
