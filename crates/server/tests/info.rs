//! What the server itself writes into conversations: who came and went, and what was changed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::Target;
use levee_client::{Event, Session};
use serde_json::{Value, json};
use support::people::Person;
use support::{LIMIT, Server, within};

fn content(event: &Event) -> Value {
    serde_json::from_slice(&event.parts()[0]).unwrap()
}

/// The next message of this type that somebody hears of.
async fn told(person: &mut Person, message_type: &str) -> Value {
    let is = |event: &Event| event.name() == "message_received" && event.str("message_type") == message_type;
    let event = person.events.find(message_type, is).await.unwrap();
    assert!(event["message_user_id"].is_null() && event.action_id().is_none(), "{event:?}");
    content(&event)
}

/// The info messages of a history, oldest first: types and contents.
async fn history(person: &Person, of: &Target) -> Vec<(String, Value)> {
    let wanted = json!({"history_order": 1, "message_types": ["ninchat.com/info/*"]});
    let history = person.load_history(of, wanted).await.unwrap();
    let told = |event: &Event| {
        let name = event.str("message_type").strip_prefix("ninchat.com/info/").unwrap();
        (name.to_owned(), content(event))
    };
    history.messages.iter().map(told).collect()
}

fn names(history: &[(String, Value)]) -> Vec<&str> {
    history.iter().map(|(name, _)| name.as_str()).collect()
}

async fn end(agent: &Session, channel: &str) {
    let end = json!({"channel_id": channel, "channel_attrs": {"closed": true}});
    agent.ask("update_channel", end).await.unwrap();
}

#[tokio::test]
async fn a_conversation_begins_for_the_customer_and_nobody_else_is_shown_that_then_or_later() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut desk = server.desk().await;
        let mut customer = server.guest("Cleo").await;
        let channel = desk.meet(&mut customer).await;
        let begins = json!({"user_id": desk.agent.user_id(), "user_name": "agent"});
        assert_eq!(told(&mut customer, "ninchat.com/info/join").await, begins);
        end(&desk.agent, &channel).await;
        // The end is for both.
        for person in [&mut customer, &mut desk.agent] {
            let ended = told(person, "ninchat.com/info/channel").await;
            assert_eq!(ended.pointer("/channel_attrs_new/closed"), Some(&json!(true)));
            assert_eq!(ended.pointer("/channel_attrs_old/closed"), None);
        }
        let of = Target::Channel(channel.clone());
        let seen = history(&customer, &of).await;
        assert_eq!((names(&seen), &seen[0].1), (vec!["join", "channel"], &begins));
        assert_eq!(names(&history(&desk.agent, &of).await), ["channel"]);
        let mut colleague = server.user("colleague").await;
        desk.operator.add_agent(&desk.realm, &desk.queue, colleague.user_id()).await.unwrap();
        let add = json!({"channel_id": channel, "user_id": colleague.user_id(),
            "member_attrs": {"operator": true}});
        desk.operator.ask("join_channel", json!({"channel_id": channel})).await.unwrap();
        desk.operator.ask("add_member", add).await.unwrap();
        colleague.events.named("channel_joined").await.unwrap();
        // Those who came later are told of to all.
        let seen = history(&colleague, &of).await;
        assert_eq!(names(&seen), ["channel", "join", "join"], "{seen:?}");
        let users = [&seen[1].1["user_id"], &seen[2].1["user_id"]];
        assert_eq!(users, [desk.operator.user_id(), colleague.user_id()]);
    })
    .await;
}

#[tokio::test]
async fn a_channels_history_tells_who_came_and_went_and_who_has_another_name() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut owner = server.user("owner").await;
        let channel = owner.create_channel(json!({"name": "c"})).await.unwrap();
        let member = server.guest("Mia").await;
        let joined = member.join_channel(&channel).await.unwrap();
        assert_eq!(joined.name(), "channel_joined", "what is told of it answers nothing");
        let who = |name: &str| json!({"user_id": member.user_id(), "user_name": name});
        assert_eq!(told(&mut owner, "ninchat.com/info/join").await, who("Mia"));
        member.ask("update_user", json!({"user_attrs": {"name": "Mo"}})).await.unwrap();
        let mut renamed = who("Mo");
        renamed["user_name_old"] = "Mia".into();
        assert_eq!(told(&mut owner, "ninchat.com/info/user").await, renamed);
        let silence = json!({"channel_id": channel, "user_id": member.user_id(),
            "member_attrs": {"silenced": true}});
        assert_eq!(owner.ask("update_member", silence).await.unwrap().name(), "channel_member_updated");
        assert_eq!(told(&mut owner, "ninchat.com/info/member").await["member_silenced"], true);
        let parted = member.ask("part_channel", json!({"channel_id": channel})).await.unwrap();
        assert_eq!(parted.name(), "channel_parted");
        assert_eq!(told(&mut owner, "ninchat.com/info/part").await, who("Mo"));
        let seen = history(&owner, &Target::Channel(channel.clone())).await;
        assert_eq!(names(&seen), ["join", "user", "member", "part"]);
        // Nothing of it is unread.
        let found = owner.ask("describe_user", json!({})).await.unwrap();
        assert!(found["user_channels"][channel.as_str()]["channel_status"].is_null(), "{found:?}");
    })
    .await;
}

#[tokio::test]
async fn a_dialogue_tells_that_the_other_one_is_gone() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut ann = server.user("ann").await;
        let guest = server.guest("Gus").await;
        guest.send_text(&Target::User(ann.user_id().into()), "hi").await.unwrap();
        ann.events.named("message_received").await.unwrap();
        let id = guest.user_id().to_owned();
        guest.ask("delete_user", json!({})).await.unwrap();
        let gone = told(&mut ann, "ninchat.com/info/user").await;
        assert_eq!(gone, json!({"user_id": id, "user_name": "Gus", "user_deleted": true}));
        let seen = history(&ann, &Target::User(id.clone())).await;
        assert_eq!(names(&seen), ["user"]);
    })
    .await;
}
