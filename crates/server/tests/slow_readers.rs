//! Live metadata and clients that read slowly.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::http::Http;
use levee_client::session::Target;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use support::{LIMIT, Server, within};

/// How many changes of the page are told.
const CHANGES: u64 = 400;

#[tokio::test]
async fn a_slow_reader_gets_the_latest_value_of_each_key_of_a_flood_and_keeps_its_session() {
    within(LIMIT, async {
        let server = Server::with(&["--session-buffer-events", "64"]).await;
        let customer = server.guest("Cleo").await;
        let channel = customer.create_channel(json!({})).await.unwrap();
        let (mut slow, created) = server.raw_guest().await;
        let join = json!({"action": "join_channel", "action_id": 1, "channel_id": channel});
        let mut last = slow.ask(join, &[]).await.unwrap().event_id().unwrap();
        let to = Target::Channel(channel);
        for number in 1..=CHANGES {
            let live = json!({"message_type": "ninchat.com/metadata"});
            let key = ["page", "field", "cart"][number as usize % 3];
            // What was told once only, in the middle, counts as well.
            let data = if number == 200 { json!({key: number, "once": true}) } else { json!({key: number}) };
            customer.send_message(&to, live, &json!({"data": data, "time": number})).await.unwrap();
        }
        customer.send_text(&to, "bye").await.unwrap();
        // It reads now, on a new connection too, and acknowledges what it has read.
        drop(slow);
        let mut slow = server.resume(created.str("session_id"), Some(last)).await;
        let mut values: BTreeMap<String, Value> = BTreeMap::new();
        let mut count = 0;
        loop {
            let event = slow.event().await.unwrap().expect("the session goes on");
            assert_ne!(event.name(), "error", "{event:?}");
            let id = event.event_id().unwrap();
            assert!(id > last, "{id} after {last}");
            last = id;
            count += 1;
            if event.str("message_type") == "ninchat.com/text" {
                break;
            }
            if event.str("message_type") == "ninchat.com/metadata" {
                let content = event.payload();
                values.extend(content["data"].as_object().unwrap().clone());
            }
            let acknowledge =
                json!({"action": "resume_session", "session_id": created.str("session_id"), "event_id": id});
            slow.action(acknowledge, &[]).await.unwrap();
        }
        let expected = json!({"page": 399, "field": 400, "cart": 398, "once": true});
        assert_eq!(json!(values), expected);
        assert!(count < 100, "{count} events: what nobody needs any more was left out");
        let metrics = Http::new(server.address()).get("/metrics").await.unwrap().text();
        let counted =
            metrics.lines().find_map(|line| line.strip_prefix("levee_dropped_total{reason=\"coalesced\"} "));
        assert!(counted.unwrap().parse::<f64>().unwrap() >= 300.0, "{counted:?}");
    })
    .await;
}
