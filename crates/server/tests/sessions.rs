//! Sessions: opening, by token and by password; several of one user.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::{Target, login, new_user};
use levee_client::{Options, Session};
use serde_json::{Value, json};
use support::{LIMIT, Server, assert_error, refused, within};

#[tokio::test]
async fn a_guest_gets_a_session_with_all_that_the_user_has() {
    within(LIMIT, async {
        let server = Server::start().await;
        let ann = server.guest("Ann").await;
        let created = ann.created();
        assert_eq!(created.event_id(), Some(1));
        assert_eq!(
            (created.at("/user_attrs/name"), created.at("/user_attrs/guest")),
            (&json!("Ann"), &json!(true))
        );
        for text in ["session_id", "user_id", "user_auth"] {
            assert!(!created.str(text).is_empty(), "{text}");
        }
        for object in [
            "user_settings",
            "user_account",
            "user_identities",
            "user_dialogues",
            "user_channels",
            "user_realms",
        ] {
            assert!(created[object].is_object(), "{object}");
        }
    })
    .await;
}

#[tokio::test]
async fn opening_a_session_is_an_action_with_a_number_like_others() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut socket = server.raw().await;
        let header = json!({"action": "create_session", "action_id": 1, "message_types": []});
        socket.action(header, &[]).await.unwrap();
        assert_eq!(socket.named("session_created").await.unwrap().action_id(), Some(1));
        // A refusal carries it too.
        let mut socket = server.raw().await;
        let header = json!({"action": "create_session", "action_id": 1, "message_types": [],
            "user_id": "00nobody0000000000", "user_auth": "x"});
        assert_error(&socket.ask(header, &[]).await.unwrap(), "access_denied", Some(1));
    })
    .await;
}

#[tokio::test]
async fn a_user_opens_another_session_by_token() {
    within(LIMIT, async {
        let server = Server::start().await;
        let first = server.guest("Ann").await;
        let token = first.created().str("user_auth").to_owned();
        let by = |auth: &str| json!({"user_id": first.user_id(), "user_auth": auth});
        let second = server.open(by(&token), Options::default()).await;
        assert_eq!(second.user_id(), first.user_id());
        assert_ne!(second.id(), first.id());
        // Only a new token is told.
        assert!(second.created()["user_auth"].is_null());
        let unknown = json!({"user_id": "00nobody0000000000", "user_auth": token});
        for wrong in [by("wrong"), by(""), unknown] {
            let opened = Session::create(&server.address(), wrong, Options::default()).await;
            assert_eq!(refused(opened.map(|_| ())), "access_denied");
        }
    })
    .await;
}

#[tokio::test]
async fn a_user_opens_a_session_by_identity_and_password() {
    within(LIMIT, async {
        let server = Server::start().await;
        let first = server.user("ann").await;
        let second = server.open(login("ann@example.org", "secret-ann"), Options::default()).await;
        assert_eq!(second.user_id(), first.user_id());
        assert!(second.created()["user_identities"]["email"]["ann@example.org"].is_object());
        assert_ne!(second.created().at("/user_attrs/guest"), &json!(true));
        for wrong in [login("ann@example.org", "wrong"), login("nobody@example.org", "secret-ann")] {
            let opened = Session::create(&server.address(), wrong, Options::default()).await;
            assert_eq!(refused(opened.map(|_| ())), "access_denied");
        }
        let same = new_user("ann@example.org", "x", "x");
        let again = Session::create(&server.address(), same, Options::default()).await;
        assert_eq!(refused(again.map(|_| ())), "identity_already_exists");
    })
    .await;
}

#[tokio::test]
async fn a_user_who_is_no_guest_outlives_the_last_session() {
    within(LIMIT, async {
        let server = Server::start().await;
        let ann = server.user("ann").await;
        let channel = ann.create_channel(json!({"name": "Room"})).await.unwrap();
        ann.close().await;
        let again = server.open(login("ann@example.org", "secret-ann"), Options::default()).await;
        assert_eq!(again.user_id(), ann.user_id());
        assert_eq!(again.created()["user_channels"][channel.as_str()]["channel_attrs"]["name"], "Room");
    })
    .await;
}

#[tokio::test]
async fn one_session_tells_another_what_was_read() {
    within(LIMIT, async {
        let server = Server::start().await;
        let first = server.user("ann").await;
        let mut second = server.open(login("ann@example.org", "secret-ann"), Options::default()).await;
        let channel = first.create_channel(json!({})).await.unwrap();
        let sent = first.send_text(&Target::Channel(channel.clone()), "read me").await.unwrap();
        first.tell(
            "update_session",
            json!({"channel_id": channel, "message_id": sent["message_id"]}),
            Vec::new(),
        );
        let read = second.events.named("session_status_updated").await.unwrap();
        assert_eq!((&read["channel_id"], &read["message_id"]), (&json!(channel), &sent["message_id"]));
    })
    .await;
}

#[tokio::test]
async fn what_one_session_does_shows_in_the_other() {
    within(LIMIT, async {
        let server = Server::start().await;
        let first = server.user("ann").await;
        let mut second = server.open(login("ann@example.org", "secret-ann"), Options::default()).await;
        let channel = first.create_channel(json!({})).await.unwrap();
        assert_eq!(second.events.named("channel_joined").await.unwrap().str("channel_id"), channel);
        first.ask("update_user", json!({"user_attrs": {"realname": "Ann A."}})).await.unwrap();
        let updated = second.events.named("user_updated").await.unwrap();
        assert_eq!((updated.at("/user_attrs/realname"), updated.action_id()), (&json!("Ann A."), None));
        // Null unsets.
        let unset = first.ask("update_user", json!({"user_attrs": {"realname": null}})).await.unwrap();
        assert_eq!(unset.at("/user_attrs/realname"), &Value::Null);
    })
    .await;
}

#[tokio::test]
async fn others_see_whether_somebody_sits_before_any_of_the_screens() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, mut ben) = (server.user("ann").await, server.guest("Ben").await);
        let channel = ann.create_channel(json!({})).await.unwrap();
        ben.join_channel(&channel).await.unwrap();
        let second = server.open(login("ann@example.org", "secret-ann"), Options::default()).await;
        let idle = |is: bool| json!({"session_idle": is});
        let is_about_ann = |event: &levee_client::Event| {
            event.name() == "user_updated" && event.str("user_id") == ann.user_id()
        };
        // One screen is not all.
        ann.tell("update_session", idle(true), Vec::new());
        second.tell("update_session", idle(true), Vec::new());
        let heard = ben.events.find("news of Ann", is_about_ann).await.unwrap();
        let since = heard.at("/user_attrs/idle").as_u64().unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!((now - 60..=now).contains(&since), "{since} is a moment before {now}");
        assert_eq!(heard.at("/user_attrs/connected"), true);
        second.tell("update_session", idle(false), Vec::new());
        let heard = ben.events.find("news of Ann", is_about_ann).await.unwrap();
        assert_eq!(heard.at("/user_attrs/idle"), &serde_json::Value::Null);
        let found = ben.ask("describe_user", json!({"user_id": ann.user_id()})).await.unwrap();
        assert_eq!(found.at("/user_attrs/idle"), &serde_json::Value::Null);
    })
    .await;
}
