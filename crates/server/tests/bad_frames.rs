//! Frames: wrong numbers of them, too large ones, binary and empty ones.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::{Bytes, Frame};
use serde_json::{Value, json};
use support::{LIMIT, Server, assert_error, error, is_well, within};

/// The document has two names for it and does not tell them apart.
const TOO_MANY: &[&str] = &["message_has_too_many_parts", "payload_has_too_many_parts"];

#[tokio::test]
async fn numbers_of_frames_that_make_no_sense_are_malformed() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, _) = server.raw_guest().await;
        for frames in [json!(-1), json!(1.5), json!("1"), json!([1]), json!(true)] {
            socket.action(json!({"action": "ping", "frames": frames}), &[]).await.unwrap();
            assert_error(&error(&mut socket).await, "request_malformed", None);
        }
        is_well(&mut socket).await;
    })
    .await;
}

#[tokio::test]
async fn an_action_with_too_many_frames_is_refused_and_the_next_is_understood() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, _) = server.raw_guest().await;
        for (number, frames) in [(1, 33), (2, 500)] {
            let header = json!({"action": "send_message", "action_id": number, "message_type": "a/b",
                "user_id": "x", "frames": frames});
            let answer = socket.ask(header, &vec!["x"; frames]).await.unwrap();
            assert!(TOO_MANY.contains(&answer.error_type()), "{answer:?}");
            is_well(&mut socket).await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_absurd_number_of_frames_is_not_waited_for() {
    within(LIMIT, async {
        let server = Server::start().await;
        for frames in [4_294_967_295, 9_007_199_254_740_993, u64::MAX] {
            let (mut socket, _) = server.raw_guest().await;
            let header = json!({"action": "send_message", "action_id": 1, "message_type": "a/b",
                "user_id": "x", "frames": frames});
            socket.action(header, &[]).await.unwrap();
            let answer = error(&mut socket).await;
            assert!(TOO_MANY.contains(&answer.error_type()), "{answer:?}");
            assert_eq!(answer.action_id(), Some(1), "{answer:?}");
        }
        let (mut other, _) = server.raw_guest().await;
        is_well(&mut other).await;
    })
    .await;
}

#[tokio::test]
async fn an_oversized_header_part_or_payload_is_refused() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (mut socket, created) = server.raw_guest().await;
        let channel = socket.ask(json!({"action": "create_channel", "action_id": 1}), &[]).await.unwrap();
        let header = json!({"action": "ping", "action_id": 2, "x": "x".repeat(100_000)});
        socket.action(header, &[]).await.unwrap();
        assert_eq!(error(&mut socket).await.error_type(), "request_malformed");
        let send = |number: u64, frames: usize| {
            json!({"action": "send_message", "action_id": number, "channel_id": channel["channel_id"],
                "message_type": "a/b", "frames": frames})
        };
        let (large, half) = ("x".repeat(600_000), "x".repeat(400_000));
        let part = socket.ask(send(3, 1), &[&large]).await.unwrap();
        assert_error(&part, "message_part_too_long", Some(3));
        let all = socket.ask(send(4, 3), &[&half, &half, &half]).await.unwrap();
        assert_error(&all, "message_too_long", Some(4));
        let many = socket.ask(send(5, 33), &["x"; 33]).await.unwrap();
        assert!(TOO_MANY.contains(&many.error_type()) && many.action_id() == Some(5), "{many:?}");
        is_well(&mut socket).await;
        let history = json!({"action": "load_history", "action_id": 6, "channel_id": channel["channel_id"],
            "message_types": ["a/b"]});
        assert_eq!(socket.ask(history, &[]).await.unwrap()["history_length"], 0);
        assert!(!created.str("session_id").is_empty());
    })
    .await;
}

#[tokio::test]
async fn binary_frames_work_and_empty_ones_mean_nothing() {
    within(LIMIT, async {
        let server = Server::start().await;
        let mut socket = server.raw().await;
        let binary = |header: Value| Frame::Binary(Bytes::from(header.to_string()));
        let nothing = [Frame::Text(String::new()), Frame::Binary(Bytes::new())];
        for frame in nothing.clone() {
            socket.send(frame).await.unwrap();
        }
        socket.send(binary(json!({"action": "create_session", "message_types": ["*"]}))).await.unwrap();
        socket.named("session_created").await.unwrap();
        for frame in nothing {
            socket.send(frame).await.unwrap();
        }
        socket.send(binary(json!({"action": "create_channel", "action_id": 1}))).await.unwrap();
        let channel = socket.named("channel_joined").await.unwrap();
        let header = json!({"action": "send_message", "action_id": 2, "channel_id": channel["channel_id"],
            "message_type": "ninchat.com/text", "frames": 1});
        socket.send(binary(header)).await.unwrap();
        socket.send(Frame::Binary(Bytes::from_static(b"{\"text\":\"x\"}"))).await.unwrap();
        assert_eq!(socket.named("message_received").await.unwrap().text(), "x");
        socket.send(Frame::Binary(Bytes::from_static(b"\xff\xfe\x00"))).await.unwrap();
        assert_error(&error(&mut socket).await, "request_malformed", None);
        is_well(&mut socket).await;
    })
    .await;
}
