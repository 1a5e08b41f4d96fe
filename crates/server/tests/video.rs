//! Video calls: where clients find help to reach each other.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use support::people::Person;
use support::{LIMIT, Server, refused, within};

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

/// A channel with group video, its operator, and somebody who is in it.
async fn meeting(server: &Server) -> (Person, Person, serde_json::Value) {
    let (host, guest) = (server.user("host").await, server.guest("Guest").await);
    let channel = host.create_channel(json!({"name": "Meeting", "video": "group"})).await.unwrap();
    guest.join_channel(&channel).await.unwrap();
    (host, guest, json!({"channel_id": channel}))
}

#[tokio::test]
async fn who_is_in_a_channel_or_a_line_with_group_video_gets_into_its_room() {
    within(LIMIT, async {
        let settings = ["--jitsi-domain=meet.example", "--jitsi-app-id=levee", "--jitsi-secret=north"];
        let server = Server::with(&settings).await;
        let (host, guest, channel) = meeting(&server).await;
        for (person, moderates) in [(&host, true), (&guest, false)] {
            let found = person.ask("discover_jitsi", channel.clone()).await.unwrap();
            assert_eq!((found.name(), found.str("jitsi_domain")), ("jitsi_discovered", "meet.example"));
            assert_eq!(found["jitsi_room"], channel["channel_id"]);
            let claims = found.str("jitsi_token").split('.').nth(1).unwrap();
            let claims: serde_json::Value =
                serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
            assert_eq!((&claims["moderator"], &claims["room"]), (&json!(moderates), &channel["channel_id"]));
        }
        let desk = server.desk_with(json!({"name": "Help", "video": "group"})).await;
        let queue = json!({"queue_id": desk.queue});
        assert_eq!(refused(guest.ask("discover_jitsi", queue.clone()).await), "permission_denied");
        guest.request_audience(&desk.queue).await.unwrap();
        assert_eq!(guest.ask("discover_jitsi", queue).await.unwrap()["jitsi_room"], desk.queue.as_str());

        // Not from outside, not where there is none, not without saying where.
        let stranger = server.user("stranger").await;
        assert_eq!(refused(stranger.ask("discover_jitsi", channel).await), "permission_denied");
        let private = host.create_channel(json!({"private": true, "video": "group"})).await.unwrap();
        for id in [private.as_str(), "00nowhere00"] {
            let there = stranger.ask("discover_jitsi", json!({"channel_id": id})).await;
            assert_eq!(refused(there), "channel_not_found", "{id}");
        }
        let without = host.create_channel(json!({"video": "member"})).await.unwrap();
        assert_eq!(
            refused(host.ask("discover_jitsi", json!({"channel_id": without})).await),
            "permission_denied"
        );
        assert_eq!(refused(host.ask("discover_jitsi", json!({})).await), "request_malformed");
    })
    .await;
}

#[tokio::test]
async fn without_a_server_there_is_no_room() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (host, _guest, channel) = meeting(&server).await;
        assert_eq!(refused(host.ask("discover_jitsi", channel).await), "action_not_supported");
    })
    .await;
}
