//! Dialogues: conversations of two, each addressed by the other user.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::Options;
use levee_client::requests::Caller;
use levee_client::session::{Target, login};
use serde_json::{Value, json};
use support::{LIMIT, Server, refused, within};

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

#[tokio::test]
async fn one_side_discards_the_older_part_of_a_dialogue_and_the_other_keeps_it() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, ben) = (server.user("ann").await, server.user("ben").await);
        let mut sent = Vec::new();
        for text in ["one", "two", "three"] {
            sent.push(ann.send_text(&Target::User(ben.user_id().into()), text).await.unwrap());
        }
        let second = sent[1].str("message_id");
        let discard = |message_id: &str, user: &str| json!({"user_id": user, "message_id": message_id});
        let discarded = ben.ask("discard_history", discard(second, ann.user_id())).await.unwrap();
        assert_eq!((discarded.name(), discarded.str("message_id")), ("history_discarded", second));
        assert_eq!(discarded.str("user_id"), ann.user_id());
        // An older one changes nothing.
        ben.ask("discard_history", discard(sent[0].str("message_id"), ann.user_id())).await.unwrap();
        let order = json!({"history_order": 1, "message_types": ["ninchat.com/text"]});
        let left = ben.load_history(&Target::User(ann.user_id().into()), order.clone()).await.unwrap();
        assert_eq!(left.texts(), ["three"]);
        let all = ann.load_history(&Target::User(ben.user_id().into()), order).await.unwrap();
        assert_eq!(all.texts(), ["one", "two", "three"]);
        // Nobody has a dialogue with a stranger; a message that is not there can't be discarded.
        let stranger = server.guest("stranger").await;
        let outcome = ben.ask("discard_history", discard(second, stranger.user_id())).await;
        assert_eq!(refused(outcome), "user_not_found");
        assert_eq!(refused(ben.ask("discard_history", discard(second, "nobody")).await), "user_not_found");
        for bad in ["", "x", "zzzzzzzzzzzzz"] {
            let outcome = ben.ask("discard_history", discard(bad, ann.user_id())).await;
            assert_eq!(refused(outcome), "request_malformed", "{bad}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_message_to_an_identity_goes_to_whose_it_is_if_others_may_know() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, mut ben) = (server.user("ann").await, server.user("ben").await);
        let to = |name: &str, more: Value| {
            let mut wish = json!({"identity_type": "email", "identity_name": name,
                "message_type": "ninchat.com/text"});
            wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            wish
        };
        let text = || vec![r#"{"text":"hello"}"#.into()];
        // Whose an identity is that is not shown, looks like nobody's.
        for name in ["ben@example.org", "nobody@example.org"] {
            let refusal = ann.send("send_message", to(name, json!({})), text()).await;
            assert_eq!(refused(refusal), "identity_not_found", "{name}");
        }
        let attrs = |attrs: Value| {
            json!({"identity_type": "email", "identity_name": "ben@example.org", "identity_attrs": attrs})
        };
        ben.ask("update_identity", attrs(json!({"public": true}))).await.unwrap();
        let sent = ann.send("send_message", to("Ben@Example.org", json!({})), text()).await.unwrap();
        assert_eq!((sent.str("user_id"), sent.str("message_user_id")), (ben.user_id(), ann.user_id()));
        let heard = ben.events.named("message_received").await.unwrap();
        assert_eq!(heard.str("user_id"), ann.user_id());
        // The dialogue is there already, and it is the same.
        let again = ann.send("send_message", to("ben@example.org", json!({})), text()).await.unwrap();
        assert_eq!(again.str("user_id"), ben.user_id());
        let past = json!({"user_id": ben.user_id()});
        assert_eq!(ann.ask("load_history", past).await.unwrap()["history_length"], 2);
        let mut calls = Caller::email(server.address(), "ann@example.org", "secret-ann");
        let mut wish = to("ben@example.org", json!({}));
        wish["payload"] = json!({"text": "by a call"});
        assert_eq!(calls.post("send_message", wish).await.unwrap().str("user_id"), ben.user_id());

        for bad in [
            json!({"identity_type": null}),
            json!({"user_id": ben.user_id()}),
            json!({"channel_id": "00nowhere00"}),
            json!({"message_ttl": 5}),
            json!({"identity_type": 7}),
        ] {
            let refusal = ann.send("send_message", to("ben@example.org", bad.clone()), text()).await;
            assert_eq!(refused(refusal), "request_malformed", "{bad}");
        }
        let refusal = ben.send("send_message", to("ben@example.org", json!({})), text()).await;
        assert_eq!(refused(refusal), "permission_denied", "to oneself");
        ben.ask("update_identity", attrs(json!({"blocked": true}))).await.unwrap();
        let refusal = ann.send("send_message", to("ben@example.org", json!({})), text()).await;
        assert_eq!(refused(refusal), "identity_not_found", "who wants none");
    })
    .await;
}
