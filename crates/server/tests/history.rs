//! History: order, length, ranges, filters.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::Target;
use serde_json::{Value, json};
use support::people::Person;
use support::rooms::{ascending, room, texts_only, with};
use support::{LIMIT, Server, within};

/// Ten texts, "1" to "10"; returns their ids.
async fn ten(person: &Person, room: &Target) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 1..=10 {
        ids.push(person.send_text(room, &number.to_string()).await.unwrap().str("message_id").to_owned());
    }
    ids
}

#[tokio::test]
async fn a_history_counts_down_in_the_order_that_was_asked_for() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, room) = room(&server, &[]).await;
        let ids = ten(&people[0], &room).await;
        // Newest first is the default.
        let latest = people[0].load_history(&room, with(texts_only(), "history_length", 3)).await.unwrap();
        assert_eq!(latest.texts(), ["10", "9", "8"]);
        assert_eq!(latest.results["history_length"], 3);
        assert_eq!(latest.results["message_id"], ids[7].as_str());
        let left: Vec<_> = latest.messages.iter().map(|m| m["history_length"].as_u64().unwrap()).collect();
        assert_eq!(left, [2, 1, 0]);
        let first = with(with(ascending(), "history_length", 3), "message_id", "");
        let oldest = people[0].load_history(&room, first).await.unwrap();
        assert_eq!(oldest.texts(), ["1", "2", "3"]);
        assert_eq!(oldest.results["message_id"], ids[2].as_str());
    })
    .await;
}

#[tokio::test]
async fn a_history_goes_on_from_a_message_without_it() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, room) = room(&server, &[]).await;
        let ids = ten(&people[0], &room).await;
        let before = with(with(texts_only(), "message_id", ids[4].as_str()), "history_length", 2);
        assert_eq!(people[0].load_history(&room, before).await.unwrap().texts(), ["4", "3"]);
        let after = with(with(ascending(), "message_id", ids[4].as_str()), "history_length", 2);
        assert_eq!(people[0].load_history(&room, after).await.unwrap().texts(), ["6", "7"]);
        let end =
            people[0].load_history(&room, with(ascending(), "message_id", ids[9].as_str())).await.unwrap();
        assert_eq!((end.messages.len(), &end.results["history_length"]), (0, &json!(0)));
        assert!(end.results["message_id"].is_null());
    })
    .await;
}

#[tokio::test]
async fn a_history_is_filtered_by_type_fold_and_content() {
    within(LIMIT, async {
        let server = Server::start().await;
        let (people, room) = room(&server, &[]).await;
        let ann = &people[0];
        ann.send_text(&room, "a red lamp").await.unwrap();
        ann.send_text(&room, "a blue lamp").await.unwrap();
        let folded = json!({"message_type": "ninchat.com/text", "message_fold": true});
        let answer = ann.send_message(&room, folded, &json!({"text": "a folded lamp"})).await.unwrap();
        assert_eq!(answer["message_fold"], true);
        ann.send_message(&room, json!({"message_type": "example.org/x"}), &json!({"y": 1})).await.unwrap();
        let load = async |parameters: Value| ann.load_history(&room, parameters).await.unwrap();
        assert_eq!(load(ascending()).await.texts(), ["a red lamp", "a blue lamp", "a folded lamp"]);
        assert_eq!(load(with(ascending(), "message_fold", true)).await.texts(), ["a folded lamp"]);
        let by = with(with(ascending(), "filter_property", "text"), "filter_substring", "blue");
        assert_eq!(load(by).await.texts(), ["a blue lamp"]);
        let others = load(json!({"message_types": ["example.org/*"]})).await;
        assert_eq!((others.messages.len(), others.messages[0].payload()), (1, json!({"y": 1})));
        assert_eq!(load(json!({"message_types": []})).await.messages.len(), 0);
    })
    .await;
}
