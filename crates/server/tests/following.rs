//! Channels that are read without joining them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::requests::Caller;
use levee_client::session::Target;
use levee_client::{Error, Event};
use levee_testbed::Signal;
use serde_json::{Value, json};
use std::time::Duration;
use support::people::Person;
use support::rooms::ascending;
use support::{LIMIT, Server, refused, within};

/// A channel with these attributes beside being followable and disclosed.
async fn channel(by: &Person, more: Value) -> (Target, String) {
    let mut attrs = json!({"name": "News", "followable": true, "disclosed_since": 1});
    attrs.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    let made = by.ask("create_channel", json!({"channel_attrs": attrs})).await.unwrap();
    let id = made.str("channel_id").to_owned();
    (Target::Channel(id.clone()), id)
}

async fn follow(person: &Person, channel: &str) -> Result<Event, Error> {
    person.ask("follow_channel", json!({"channel_id": channel})).await
}

/// The next text that somebody hears.
async fn hears(person: &mut Person) -> String {
    let is_text =
        |event: &Event| event.name() == "message_received" && event.str("message_type") == "ninchat.com/text";
    let event = person.events.find("a text", is_text).await.unwrap();
    event.payload()["text"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn who_follows_a_channel_reads_it_and_is_no_member() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut ann = server.guest("Ann").await;
        let (room, id) = channel(&ann, json!({})).await;
        ann.send_text(&room, "before").await.unwrap();
        let mut reader = server.guest("Reader").await;
        let found = follow(&reader, &id).await.unwrap();
        assert_eq!((found.name(), found.str("channel_id")), ("channel_found", id.as_str()));
        assert_eq!(found.at("/channel_attrs/name"), "News");
        assert!(found["channel_members"].is_null());
        ann.send_text(&room, "after").await.unwrap();
        assert_eq!(hears(&mut reader).await, "after");
        assert_eq!(reader.load_history(&room, ascending()).await.unwrap().texts(), ["before", "after"]);
        assert_eq!(refused(reader.send_text(&room, "mine").await), "channel_not_found");

        // Who joins and goes is the members' own matter, and so is what they set for one another.
        let ben = server.guest("Ben").await;
        ben.join_channel(&id).await.unwrap();
        let silence = json!({"channel_id": id, "user_id": ben.user_id(), "member_attrs": {"silenced": true}});
        ann.ask("update_member", silence).await.unwrap();
        ben.ask("part_channel", json!({"channel_id": id})).await.unwrap();
        ann.send_text(&room, "last").await.unwrap();
        let is_news = |event: &Event| {
            let told = event.str("message_type").starts_with("ninchat.com/info/");
            event["channel_id"] == id.as_str() && event.action_id().is_none() && !told
        };
        let next = reader.events.find("anything of the channel", is_news);
        let next = next.await.unwrap();
        assert_eq!(next.payload()["text"], "last", "{next:?}");
        // Nobody learns of who follows.
        let described = ann.ask("describe_channel", json!({"channel_id": id})).await.unwrap();
        assert_eq!(described["channel_members"].as_object().unwrap().len(), 1);
        let came = tokio::time::timeout(
            Duration::from_millis(300),
            ann.events.find("the reader", |event| event["user_id"] == reader.user_id()),
        );
        assert!(came.await.is_err());
        // A follower who joins is a member like any other.
        assert_eq!(reader.join_channel(&id).await.unwrap().name(), "channel_joined");
        reader.send_text(&room, "mine").await.unwrap();
        assert_eq!(hears(&mut ann).await, "mine");
    })
    .await;
}

#[tokio::test]
async fn a_session_goes_on_following_after_its_server_crashed_or_was_started_anew() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let ann = server.guest("Ann").await;
        let (room, id) = channel(&ann, json!({})).await;
        let mut reader = server.guest("Reader").await;
        follow(&reader, &id).await.unwrap();
        for (signal, text) in [(Signal::Kill, "one"), (Signal::Terminate, "two"), (Signal::Kill, "three")] {
            server.end(signal).await;
            server.restart().await;
            ann.send_text(&room, text).await.unwrap();
            // After a crash, what was heard before may be heard again.
            while hears(&mut reader).await != text {}
        }
    })
    .await;
}

#[tokio::test]
async fn followers_leave_when_a_channel_may_be_followed_no_more() {
    within(LIMIT, async {
        let server = Server::start().await;
        let ann = server.guest("Ann").await;
        let (room, id) = channel(&ann, json!({})).await;
        let mut reader = server.guest("Reader").await;
        follow(&reader, &id).await.unwrap();
        let private = json!({"channel_id": id, "channel_attrs": {"private": true}});
        ann.ask("update_channel", private).await.unwrap();
        reader.events.named("channel_updated").await.unwrap();
        ann.send_text(&room, "among us").await.unwrap();
        assert_eq!(refused(follow(&reader, &id).await), "channel_not_found");
        assert_eq!(refused(reader.load_history(&room, ascending()).await), "channel_not_found");
        let heard = tokio::time::timeout(Duration::from_millis(300), hears(&mut reader)).await;
        assert!(heard.is_err(), "{heard:?}");
    })
    .await;
}

#[tokio::test]
async fn what_may_not_be_followed_is_refused() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, reader) = (server.guest("Ann").await, server.guest("Reader").await);
        let boss = server.user("boss").await;
        let realm = boss.create_realm("Realm").await.unwrap();
        let inner = json!({"realm_id": realm, "channel_attrs": {"followable": true}});
        let inner = boss.ask("create_channel", inner).await.unwrap();
        let (_, secret) = channel(&ann, json!({"private": true})).await;
        let (_, closed) = channel(&ann, json!({"followable": false})).await;
        let (_, news) = channel(&ann, json!({})).await;
        // What is not disclosed in another realm, and what is not there, look alike.
        let absent = format!("{}zzzz", &news[..news.len() - 4]);
        for id in [inner.str("channel_id"), &secret, &absent, "nothing", ""] {
            assert_eq!(refused(follow(&reader, id).await), "channel_not_found", "{id}");
        }
        assert_eq!(refused(follow(&reader, &closed).await), "permission_denied");
        for (wish, error) in [
            (json!({}), "request_malformed"),
            (json!({"channel_id": 5}), "request_malformed"),
            (json!({"channel_id": news, "master_sign": "x"}), "permission_denied"),
        ] {
            assert_eq!(refused(reader.ask("follow_channel", wish.clone()).await), error, "{wish}");
        }
        let mut caller = Caller::email(server.address(), "boss@example.org", "secret-boss");
        let called = caller.post("follow_channel", json!({"channel_id": news})).await.unwrap();
        assert_eq!(called.error_type(), "action_not_supported");
    })
    .await;
}

#[tokio::test]
async fn a_session_follows_so_many_channels_and_no_more() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, reader) = (server.guest("Ann").await, server.guest("Reader").await);
        for _ in 0..100 {
            let (_, id) = channel(&ann, json!({})).await;
            follow(&reader, &id).await.unwrap();
        }
        let (_, one_more) = channel(&ann, json!({})).await;
        assert_eq!(refused(follow(&reader, &one_more).await), "channel_quota_exceeded");
    })
    .await;
}
