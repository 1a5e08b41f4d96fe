//! Sessions: resuming, acknowledging, retrying, overflowing, superseding, ending.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::Target;
use levee_client::{Error, Options, RawSocket, Session};
use levee_testbed::Signal;
use serde_json::{Value, json};
use std::time::Duration;
use support::cluster::Cluster;
use support::{LIMIT, Server, assert_error, refused, within};

#[tokio::test]
async fn events_are_sent_again_after_a_resumption_until_they_are_acknowledged() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, created) = server.raw_guest().await;
        let session = created.str("session_id");
        let joined = socket.ask(json!({"action": "create_channel", "action_id": 1}), &[]).await.unwrap();
        drop(socket);
        // Acknowledged is session_created only.
        let mut socket = server.resume(session, Some(1)).await;
        assert_eq!(socket.event().await.unwrap().unwrap(), joined);
        drop(socket);
        let mut socket = server.resume(session, joined.event_id()).await;
        let pong = socket.ask(json!({"action": "ping", "action_id": 2}), &[]).await.unwrap();
        assert!(pong.event_id() > joined.event_id());
        // An acknowledgement can come with any action.
        let acknowledging = json!({"action": "ping", "action_id": 3, "event_id": pong.event_id()});
        let last = socket.ask(acknowledging, &[]).await.unwrap();
        drop(socket);
        let mut socket = server.resume(session, None).await;
        assert_eq!(socket.event().await.unwrap().unwrap(), last);
    })
    .await;
}

#[tokio::test]
async fn a_session_resumed_at_random_moments_gets_every_event_once_and_in_order() {
    const MESSAGES: usize = 300;
    within(LIMIT, async {
        let server = Server::start().await;
        let (ann, mut ben) = (server.guest("Ann").await, server.guest("Ben").await);
        let channel = ann.create_channel(json!({})).await.unwrap();
        ben.join_channel(&channel).await.unwrap();
        let target = Target::Channel(channel);
        let writing = async {
            for number in 0..MESSAGES {
                ann.send_text(&target, &format!("text {number}")).await.unwrap();
            }
        };
        let ben_session = ben.session.clone();
        let reading = async {
            let (mut texts, mut last) = (Vec::new(), 0);
            while texts.len() < MESSAGES {
                let event = ben.events.next().await.expect("the session goes on");
                let id = event.event_id().expect("an id");
                assert!(id > last, "{id} after {last}");
                last = id;
                if event.name() == "message_received" && event.str("message_type") == "ninchat.com/text" {
                    texts.push(event.text());
                }
                match rand::random_range(0..20) {
                    0 | 1 => ben_session.drop_connection(),
                    2 => ben_session.hold_acknowledgements(true),
                    3 => ben_session.hold_acknowledgements(false),
                    4 => ben_session.tell("ping", json!({}), Vec::new()),
                    _ => {}
                }
            }
            texts
        };
        let ((), texts) = tokio::join!(writing, reading);
        let expected: Vec<_> = (0..MESSAGES).map(|number| format!("text {number}")).collect();
        assert_eq!(texts, expected);
    })
    .await;
}

#[tokio::test]
async fn a_second_connection_supersedes_the_first() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut first, created) = server.raw_guest().await;
        let mut second = server.resume(created.str("session_id"), Some(1)).await;
        let error = first.named("error").await.unwrap();
        assert_error(&error, "connection_superseded", None);
        assert_eq!(error.event_id(), None);
        assert_eq!(second.ask(json!({"action": "ping", "action_id": 1}), &[]).await.unwrap().name(), "pong");
    })
    .await;
}

#[tokio::test]
async fn a_session_that_does_not_acknowledge_overflows() {
    within(LIMIT, async {
        let server = Server::with(&["--session-buffer-events", "32"]).await;
        let (ann, ben) = (server.guest("Ann").await, server.guest("Ben").await);
        let channel = ann.create_channel(json!({})).await.unwrap();
        ben.join_channel(&channel).await.unwrap();
        ben.hold_acknowledgements(true);
        let target = Target::Channel(channel);
        for number in 0..100 {
            ann.send_text(&target, &number.to_string()).await.unwrap();
        }
        assert_eq!(ben.ended().await.error_type, "session_buffer_overflow");
        let mut socket = server.resume(ben.id(), None).await;
        assert_error(&socket.named("error").await.unwrap(), "session_not_found", None);
        // Who acknowledges goes on.
        ann.ping().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_retried_action_has_one_effect_and_the_first_answer() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, created) = server.raw_guest().await;
        let header = json!({"action": "create_channel", "action_id": 1, "channel_attrs": {"name": "Room"}});
        // Twice on one connection, and again on others that know of no answer.
        socket.action(header.clone(), &[]).await.unwrap();
        let first = socket.ask(header.clone(), &[]).await.unwrap();
        for _ in 0..3 {
            drop(socket);
            socket = server.resume(created.str("session_id"), Some(1)).await;
            let again = socket.ask(header.clone(), &[]).await.unwrap();
            assert_eq!((again.name(), &again["channel_id"]), ("channel_joined", &first["channel_id"]));
        }
        let found = socket.ask(json!({"action": "describe_user", "action_id": 2}), &[]).await.unwrap();
        assert_eq!(found["user_channels"].as_object().map(serde_json::Map::len), Some(1), "{found:?}");
    })
    .await;
}

#[tokio::test]
async fn a_closed_session_is_gone_and_its_guest_too() {
    within(LIMIT, async {
        let server = Server::start().await;
        let ann = server.guest("Ann").await;
        let token = ann.created().str("user_auth").to_owned();
        ann.close().await;
        let mut socket = server.resume(ann.id(), None).await;
        assert_error(&socket.named("error").await.unwrap(), "session_not_found", None);
        let again = json!({"user_id": ann.user_id(), "user_auth": token});
        let opened = Session::create(&server.address(), again, Options::default()).await;
        assert_eq!(refused(opened.map(|_| ())), "access_denied");
    })
    .await;
}

#[tokio::test]
async fn sessions_survive_a_restart_and_a_kill() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let ann = server.guest("Ann").await;
        let channel = ann.create_channel(json!({})).await.unwrap();
        server.kill();
        server.restart().await;
        let sent = ann.send_text(&Target::Channel(channel), "still here").await.unwrap();
        assert_eq!(sent.text(), "still here");
    })
    .await;
}

#[tokio::test]
async fn a_client_that_resumes_after_a_restart_may_send_again_all_at_once() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let (socket, created) = server.raw_guest().await;
        drop(socket);
        server.kill();
        server.restart().await;
        let mut socket = server.raw().await;
        let resume = json!({"action": "resume_session", "session_id": created["session_id"], "event_id": 1});
        socket.action(resume, &[]).await.unwrap();
        const ACTIONS: u64 = 900;
        for number in 1..=ACTIONS {
            socket.action(json!({"action": "ping", "action_id": number}), &[]).await.unwrap();
        }
        for number in 1..=ACTIONS {
            let reply = socket.named("pong").await.unwrap();
            assert_eq!(reply.action_id(), Some(number));
        }
    })
    .await;
}

#[tokio::test]
async fn an_unknown_session_is_not_found() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (session, _events) = Session::resume(&server.address(), "00unknown0000", 0, 1, Options::default());
        assert!(matches!(session.ping().await, Err(Error::Ended(ended)) if ended.error_type == "session_not_found"));
    })
    .await;
}

/// Sends everything once more over a connection that resumes, and tells in which order it is heard.
async fn heard_again(mut socket: RawSocket, all: &[(Value, String)]) -> Vec<String> {
    for (header, text) in all {
        socket.action(header.clone(), &[text]).await.unwrap();
    }
    let (mut joined, mut heard) = (false, Vec::new());
    while heard.len() < all.len() {
        let event = socket.event().await.unwrap().unwrap();
        joined |= event.name() == "channel_joined";
        if event.name() == "message_received" && event.str("message_type") == "ninchat.com/text" {
            assert!(joined, "{event:?} came before its channel");
            if !heard.contains(&event.text()) {
                heard.push(event.text());
            }
        }
    }
    heard
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_everything_again_elsewhere_hears_what_they_entered_first_and_all_in_order() {
    const GUESTS: usize = 8;
    const MESSAGES: u64 = 60;
    within(2 * LIMIT, async {
        let mut cluster = Cluster::start(2).await;
        let (mut sockets, mut guests) = (Vec::new(), Vec::new());
        for _ in 0..GUESTS {
            let (mut socket, created) = cluster.node(0).raw_guest().await;
            let update = json!({"action": "update_user", "action_id": 90, "user_attrs": {"name": "Guest"}});
            let updated = socket.ask(update, &[]).await.unwrap();
            let acknowledge = json!({"action": "ping", "action_id": 91, "event_id": updated.event_id()});
            socket.ask(acknowledge, &[]).await.unwrap();
            sockets.push((socket, created));
        }
        // That much is kept of the sessions; nothing that comes is.
        tokio::time::sleep(Duration::from_secs(2)).await;
        for (mut socket, created) in sockets {
            // All has a reply, and no event is acknowledged: for the server, the client may know nothing of it.
            let make = json!({"action": "create_channel", "action_id": 100});
            let made = socket.ask(make, &[]).await.unwrap();
            let message = |number: u64| {
                let header = json!({"action": "send_message", "action_id": number + 100, "frames": 1,
                    "channel_id": made["channel_id"], "message_type": "ninchat.com/text"});
                (header, json!({"text": number.to_string()}).to_string())
            };
            let all: Vec<_> = (1..=MESSAGES).map(message).collect();
            for (header, text) in &all {
                socket.ask(header.clone(), &[text]).await.unwrap();
            }
            guests.push((created.str("session_id").to_owned(), all));
        }
        cluster.end(0, Signal::Kill).await;
        let sent: Vec<String> = (1..=MESSAGES).map(|number| number.to_string()).collect();
        let again = guests.iter().map(|(session, all)| {
            let node = cluster.node(1);
            async move { heard_again(node.resume(session, None).await, all).await }
        });
        for heard in futures_util::future::join_all(again).await {
            assert_eq!(heard, sent);
        }
    })
    .await;
}
