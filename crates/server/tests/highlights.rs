//! Highlights: conversations in which somebody has written one of the user's words.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::Options;
use levee_client::session::{Target, login};
use serde_json::{Value, json};
use support::people::Person;
use support::{LIMIT, Server, refused, within};

/// Waits until new sessions of somebody are told this status of a channel: what was read before is known in a moment.
async fn until(server: &Server, name: &str, channel: &str, wanted: impl Into<Value>) {
    let wanted = wanted.into();
    let who = login(&format!("{name}@example.org"), &format!("secret-{name}"));
    loop {
        let again = server.open(who.clone(), Options::default()).await;
        let found = again.ask("describe_user", json!({})).await.unwrap();
        let told = [again.created(), &found].map(|event| &event["user_channels"][channel]);
        assert!(told.iter().all(|channel| channel.get("$visible").is_none()), "{told:?}");
        if told.iter().all(|channel| channel["channel_status"] == wanted) {
            return;
        }
    }
}

/// Tells a session's server that it has read everything up to a message.
async fn read(by: &Person, to: Value, message: &levee_client::Event) {
    let mut header = to;
    header["message_id"] = message["message_id"].clone();
    by.tell("update_session", header, Vec::new());
    by.ping().await.unwrap();
}

#[tokio::test]
async fn a_channel_is_highlighted_by_the_users_words_until_it_is_read() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, ben) = (server.user("Ann").await, server.user("ben").await);
        let channel = ann.create_channel(json!({})).await.unwrap();
        ann.send_text(&Target::Channel(channel.clone()), "a lamp before ben was there").await.unwrap();
        ben.join_channel(&channel).await.unwrap();
        let to = Target::Channel(channel.clone());
        let wants = |highlight: Value| json!({"user_settings": highlight});
        let words = json!({"highlight": ["Lamp", "inv*"], "highlight_name": null});
        ben.ask("update_user", wants(words)).await.unwrap();
        let mut last = ann.send_text(&to, "nothing of that").await.unwrap();
        until(&server, "ben", &channel, "unread").await;
        for (text, wanted) in [
            ("lamps", "unread"),
            ("ben!", "unread"),
            ("the lamp!", "highlight"),
            ("a reinvention", "unread"),
            ("INVOICES", "highlight"),
        ] {
            let of = json!({"channel_id": channel});
            read(&ben, of, &last).await;
            ann.send_text(&to, text).await.unwrap();
            until(&server, "ben", &channel, wanted).await;
            last = ann.send_text(&to, "and more").await.unwrap();
            until(&server, "ben", &channel, wanted).await;
        }
        read(&ben, json!({"channel_id": channel}), &last).await;
        until(&server, "ben", &channel, Value::Null).await;
        // One's own words are no news, and somebody else's are nobody else's business.
        last = ben.send_text(&to, "my lamp").await.unwrap();
        until(&server, "ben", &channel, "unread").await;
        until(&server, "Ann", &channel, "unread").await;
        // The name counts where it is wanted, and settings of another form mean nothing.
        ben.ask("update_user", wants(json!({"highlight": "lamp", "highlight_name": true}))).await.unwrap();
        read(&ben, json!({"channel_id": channel}), &last).await;
        ann.send_text(&to, "a lamp").await.unwrap();
        until(&server, "ben", &channel, "unread").await;
        ann.send_text(&to, "Ben?").await.unwrap();
        until(&server, "ben", &channel, "highlight").await;
    })
    .await;
}

#[tokio::test]
async fn what_somebody_may_not_see_does_not_highlight() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, ben) = (server.user("ann").await, server.user("ben").await);
        let cleo = server.user("cleo").await;
        let channel = ann.create_channel(json!({})).await.unwrap();
        let to = Target::Channel(channel.clone());
        for person in [&ben, &cleo] {
            person.join_channel(&channel).await.unwrap();
        }
        ben.ask("update_user", json!({"user_settings": {"highlight": ["lamp"]}})).await.unwrap();
        let secret = json!({"message_type": "ninchat.com/text", "message_recipient_ids": [cleo.user_id()]});
        ann.send_message(&to, secret, &json!({"text": "a lamp for cleo"})).await.unwrap();
        let hidden = ann.send_text(&to, "a lamp that is hidden").await.unwrap();
        let hide = json!({"channel_id": channel, "message_id": hidden["message_id"], "message_hidden": true});
        ann.ask("update_message", hide.clone()).await.unwrap();
        until(&server, "ben", &channel, "unread").await;
        let mut show = hide;
        show["message_hidden"] = false.into();
        ann.ask("update_message", show).await.unwrap();
        until(&server, "ben", &channel, "highlight").await;
    })
    .await;
}

#[tokio::test]
async fn a_dialogue_is_highlighted_until_it_is_made_visible_or_read() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, ben) = (server.user("ann").await, server.user("ben").await);
        ben.ask("update_user", json!({"user_settings": {"highlight": ["lamp"]}})).await.unwrap();
        let (to_ben, ann_id) = (Target::User(ben.user_id().to_owned()), ann.user_id().to_owned());
        ann.send_text(&to_ben, "a lamp").await.unwrap();
        let status = async || {
            let again = server.open(login("ben@example.org", "secret-ben"), Options::default()).await;
            again.created()["user_dialogues"][&ann_id]["dialogue_status"].clone()
        };
        while status().await != "highlight" {}
        for bad in [json!("highlight"), json!(5)] {
            let update = json!({"user_id": ann_id, "dialogue_status": bad});
            assert_eq!(refused(ben.ask("update_dialogue", update).await), "request_malformed");
        }
        let update = |status: &str| json!({"user_id": ann_id, "dialogue_status": status});
        ben.ask("update_dialogue", update("hidden")).await.unwrap();
        assert_eq!(status().await, "hidden");
        ben.ask("update_dialogue", update("visible")).await.unwrap();
        assert_eq!(status().await, "unread", "it is not highlighted any more, and not read");
        let last = ann.send_text(&to_ben, "the lamp").await.unwrap();
        assert_eq!(status().await, "highlight");
        read(&ben, json!({"user_id": ann_id}), &last).await;
        while !status().await.is_null() {}
    })
    .await;
}

/// Waits until a channel is described to somebody with this status.
async fn until_described(to: &Person, channel: &str, wanted: impl Into<Value>) {
    let wanted = wanted.into();
    loop {
        let found = to.ask("describe_channel", json!({"channel_id": channel})).await.unwrap();
        assert_eq!(found.name(), "channel_found");
        if found["channel_status"] == wanted {
            return;
        }
    }
}

#[tokio::test]
async fn who_asks_for_a_channel_is_told_what_they_have_not_read_there() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, ben) = (server.user("ann").await, server.user("ben").await);
        let cleo = server.user("cleo").await;
        let channel = ann.create_channel(json!({})).await.unwrap();
        let to = Target::Channel(channel.clone());
        until_described(&ben, &channel, Value::Null).await;
        ben.join_channel(&channel).await.unwrap();
        until_described(&ben, &channel, Value::Null).await;
        ann.send_text(&to, "hello").await.unwrap();
        until_described(&ben, &channel, "unread").await;
        ben.ask("update_user", json!({"user_settings": {"highlight": ["lamp"]}})).await.unwrap();
        until_described(&ben, &channel, "unread").await;
        let last = ann.send_text(&to, "a lamp").await.unwrap();
        until_described(&ben, &channel, "highlight").await;
        // Another session of the same user has read it.
        let again = server.open(login("ben@example.org", "secret-ben"), Options::default()).await;
        read(&again, json!({"channel_id": channel}), &last).await;
        until_described(&ben, &channel, Value::Null).await;
        until_described(&ann, &channel, "unread").await;
        // Who only looks from outside has nothing to read.
        cleo.ask("update_user", json!({"user_settings": {"highlight": ["lamp"]}})).await.unwrap();
        until_described(&cleo, &channel, Value::Null).await;
        for absent in ["00absent0000000000", "", "x"] {
            let asked = cleo.ask("describe_channel", json!({"channel_id": absent})).await;
            assert_eq!(refused(asked), "channel_not_found");
        }
    })
    .await;
}
