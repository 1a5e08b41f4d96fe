//! Video calls: where clients find help to reach each other.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::json;
use support::{LIMIT, Server, within};

#[tokio::test]
async fn clients_learn_of_stun_and_turn_servers_with_credentials_that_expire() {
    within(LIMIT, async {
        let settings = [
            "--ice-urls=stun:stun.example:3478,turn:turn.example:3478?transport=udp",
            "--turn-secret=north",
            "--turn-ttl-s=600",
        ];
        let server = Server::with(&settings).await;
        let (mut socket, created) = server.raw_guest().await;
        let begun = socket.ask(json!({"action": "begin_ice", "action_id": 2}), &[]).await.unwrap();
        assert_eq!((begun.name(), begun.action_id()), ("ice_begun", Some(2)));
        assert_eq!(begun["stun_servers"], json!([{"urls": ["stun:stun.example:3478"]}]));
        let turn = begun.at("/turn_servers/0");
        assert_eq!(turn["urls"], json!(["turn:turn.example:3478?transport=udp"]));
        assert_eq!(turn["credential"].as_str().unwrap().len(), 28, "a SHA-1 digest in base 64");
        let (until, user) = turn["username"].as_str().unwrap().split_once(':').unwrap();
        assert_eq!(user, created.str("user_id"));
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        assert!(
            (now + 590..=now + 600).contains(&until.parse().unwrap()),
            "{until} is about ten minutes after {now}"
        );
    })
    .await;
}

#[tokio::test]
async fn without_servers_there_is_nothing_to_tell() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, _) = server.raw_guest().await;
        let begun = socket.ask(json!({"action": "begin_ice", "action_id": 2}), &[]).await.unwrap();
        assert_eq!((&begun["stun_servers"], &begun["turn_servers"]), (&json!([]), &json!([])));
    })
    .await;
}
