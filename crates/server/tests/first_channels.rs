//! Realms that are made with a first channel: both are the maker's, once, or neither is there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::requests::Caller;
use levee_client::{Event, RawSocket};
use serde_json::{Value, json};
use support::cluster::Cluster;
use support::people::Person;
use support::{LIMIT, Server, refused, within};

/// A connection of a new user, who is no guest.
async fn raw_user(server: &Server) -> (RawSocket, Event) {
    let mut socket = server.raw().await;
    let by = json!({"action": "create_session", "user_attrs": {"guest": false}, "message_types": ["*"]});
    socket.action(by, &[]).await.unwrap();
    let created = socket.named("session_created").await.unwrap();
    (socket, created)
}

/// The two events that answer, whichever comes first.
async fn both(socket: &mut RawSocket, action_id: u64) -> [Event; 2] {
    let (mut realm, mut channel) = (None, None);
    while realm.is_none() || channel.is_none() {
        let event = socket.event().await.unwrap().unwrap();
        if event.action_id() == Some(action_id) {
            match event.name() {
                "realm_joined" => realm = Some(event),
                "channel_joined" => channel = Some(event),
                other => panic!("{other} came: {event:?}"),
            }
        }
    }
    [realm.unwrap(), channel.unwrap()]
}

fn make(action_id: u64, channel: Value) -> Value {
    json!({"action": "create_realm", "action_id": action_id, "realm_attrs": {"name": "R"}, "channel_attrs": channel})
}

/// Waits until somebody's account has so many realms and channels left.
async fn until(of: &Person, realms: u64, channels: u64) {
    loop {
        let found = of.ask("describe_user", json!({})).await.unwrap();
        let left = ["realms", "channels"].map(|thing| found["user_account"][thing]["available"].clone());
        if left == [json!(realms), json!(channels)] {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_realm_and_its_first_channel_are_the_makers_once_however_often_that_is_sent() {
    within(LIMIT, async {
        let cluster = Cluster::start(2).await;
        let (mut socket, created) = raw_user(cluster.node(0)).await;
        let user = created.str("user_id").to_owned();
        let wish = make(2, json!({"name": "Lobby", "topic": "all", "private": true}));
        for _ in 0..3 {
            socket.action(wish.clone(), &[]).await.unwrap();
        }
        let [realm, channel] = both(&mut socket, 2).await;
        assert_eq!(realm.at("/realm_attrs/owner_id"), &json!(user));
        assert_eq!(channel["realm_id"], realm["realm_id"]);
        let expected = json!({"name": "Lobby", "topic": "all", "private": true, "owner_id": user});
        assert_eq!(channel["channel_attrs"], expected);
        assert_eq!(channel.at(&format!("/channel_members/{user}/member_attrs/operator")), true);
        // It is usable, there is one, and the session goes on elsewhere with both.
        let say = json!({"action": "send_message", "action_id": 3, "frames": 1, "channel_id": channel["channel_id"],
            "message_type": "ninchat.com/text"});
        let said = socket.ask(say, &[r#"{"text":"x"}"#]).await.unwrap();
        assert_eq!(said.name(), "message_received", "{said:?}");
        let mut again = cluster.node(1).resume(created.str("session_id"), None).await;
        let own = again.ask(json!({"action": "describe_user", "action_id": 4}), &[]).await.unwrap();
        let names = |of: &str| own[of].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names("user_realms"), [realm.str("realm_id")]);
        assert_eq!(names("user_channels"), [channel.str("channel_id")]);
        // The realm's people may come in as into any other channel of it.
        let plain = again.ask(json!({"action": "create_realm", "action_id": 5}), &[]).await.unwrap();
        assert_eq!(plain.name(), "realm_joined");
    })
    .await;
}

#[tokio::test]
async fn a_channel_that_may_not_be_leaves_no_realm_behind() {
    within(LIMIT, async {
        let server = Server::with(&["--user-channels-max", "1", "--user-realms-max", "2"]).await;
        let ann = server.user("ann").await;
        let wish = |channel: Value| json!({"channel_attrs": channel});
        for (bad, refusal) in [
            (json!({"name": 5}), "request_malformed"),
            (json!({"schedule": {"timezone": "nowhere"}}), "request_malformed"),
            (json!({"ratelimit": "often"}), "request_malformed"),
            (json!({"owner_id": ann.user_id()}), "permission_denied"),
            (json!({"audience": {}}), "permission_denied"),
            (json!("x"), "request_malformed"),
        ] {
            assert_eq!(refused(ann.ask("create_realm", wish(bad.clone())).await), refusal, "{bad}");
        }
        let guest = server.guest("Guest").await;
        assert_eq!(refused(guest.ask("create_realm", wish(json!({}))).await), "permission_denied");
        // A call has one answer.
        let mut call = Caller::email(server.address(), "ann@example.org", "secret-ann");
        assert_eq!(
            call.post("create_realm", wish(json!({}))).await.unwrap().error_type(),
            "action_not_supported"
        );
        until(&ann, 2, 1).await;
        ann.create_channel(json!({})).await.unwrap();
        until(&ann, 2, 0).await;
        for _ in 0..3 {
            assert_eq!(refused(ann.ask("create_realm", wish(json!({}))).await), "channel_quota_exceeded");
        }
        // What was reserved for it is free again.
        ann.create_realm("One").await.unwrap();
        ann.create_realm("Two").await.unwrap();
        assert_eq!(refused(ann.ask("create_realm", wish(json!({}))).await), "realm_quota_exceeded");
        until(&ann, 0, 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_master_is_told_of_both_that_its_puppet_makes() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, _) = raw_user(&server).await;
        let puppet = json!({"action": "create_user", "action_id": 1, "user_attrs": {"guest": false}});
        let puppet = socket.ask(puppet, &[]).await.unwrap();
        let mut wish = make(2, json!({"name": "Lobby"}));
        wish["puppet_id"] = puppet["user_id"].clone();
        for _ in 0..2 {
            socket.action(wish.clone(), &[]).await.unwrap();
        }
        let [realm, channel] = both(&mut socket, 2).await;
        assert_eq!(realm.at("/realm_attrs/owner_id"), &puppet["user_id"]);
        assert_eq!(channel.at("/channel_attrs/owner_id"), &puppet["user_id"]);
        assert_eq!(channel["realm_id"], realm["realm_id"]);
        let text = json!({"action": "send_message", "action_id": 3, "frames": 1, "channel_id": channel["channel_id"],
            "puppet_id": puppet["user_id"], "message_type": "ninchat.com/text"});
        assert_eq!(socket.ask(text, &[r#"{"text":"x"}"#]).await.unwrap().name(), "message_received");
    })
    .await;
}
