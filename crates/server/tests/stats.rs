//! A queue's statistics: counted as it happens, the same after a crash, and seen by those who serve it only.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use std::time::Duration;
use support::people::{Desk, Person};
use support::{LIMIT, Server, refused, within};

/// The sums of the hours that were counted last, as one: the clock may strike meanwhile.
async fn sums(person: &Person, queue: &str) -> Value {
    let wish = json!({"queue_id": queue, "stats_length": 2});
    let found = person.ask("get_queue_stats", wish).await.unwrap();
    assert_eq!(found.name(), "queue_stats_contents");
    let mut all = json!({"audiences": []});
    for (hour, sums) in found["queue_stats"].as_object().unwrap() {
        assert!(hour.len() == 10 && hour.starts_with("20"), "{hour}");
        for (name, value) in sums.as_object().unwrap() {
            match value {
                Value::Array(groups) => all["audiences"].as_array_mut().unwrap().extend(groups.clone()),
                Value::Number(number) if number.is_u64() => {
                    let sum = all[name].as_u64().unwrap_or_default() + number.as_u64().unwrap();
                    all[name] = sum.into();
                }
                other => all[name] = other.clone(),
            }
        }
    }
    all
}

/// Asks until it is so.
async fn until(person: &Person, queue: &str, is: impl Fn(&Value) -> bool) -> Value {
    loop {
        let found = sums(person, queue).await;
        if is(&found) {
            return found;
        }
        // What is told from one entity to another takes a moment.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn say(person: &Person, channel: &str, data: Value) {
    let to = levee_client::session::Target::Channel(channel.to_owned());
    let how = json!({"message_type": "ninchat.com/metadata", "message_fold": true});
    person.send_message(&to, how, &json!({ "data": data })).await.unwrap();
}

/// A customer of page 7 is met, and the conversation ends.
async fn meet(desk: &Desk, customer: &mut Person) -> String {
    let wish = json!({"queue_id": desk.queue, "audience_metadata": {"vars": {"page": "7"}}});
    customer.ask("request_audience", wish).await.unwrap();
    let channel = desk.agent.accept_audience(&desk.queue, None).await.unwrap().str("channel_id").to_owned();
    customer.events.named("channel_joined").await.unwrap();
    let end = json!({"channel_id": channel, "channel_attrs": {"closed": true}});
    desk.agent.ask("update_channel", end).await.unwrap();
    channel
}

#[tokio::test]
async fn what_happened_is_counted_by_agent_tags_and_variables_and_outlives_a_crash() {
    within(LIMIT, async {
        let mut server = Server::start().await;
        let desk = server.desk().await;
        let mut customer = server.guest("Cleo").await;
        let channel = meet(&desk, &mut customer).await;
        say(&customer, &channel, json!({"rating": 1})).await;
        say(&desk.agent, &channel, json!({"tag_ids": ["sales"]})).await;
        // One leaves without being met, and one waits still.
        let gone = server.guest("Gone").await;
        gone.request_audience(&desk.queue).await.unwrap();
        gone.close().await;
        let waits = server.guest("Waits").await;
        waits.request_audience(&desk.queue).await.unwrap();
        let complete = |found: &Value| {
            found["drop_count"] == 1
                && found["audiences"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|group| group["ratings"]["1"] == 1 && !group["tag_ids"].is_null())
        };
        let found = until(&desk.agent, &desk.queue, complete).await;
        assert_eq!(found["request_count"], 3);
        assert!(found["accept_delay_avg"].is_f64() && found["drop_delay_avg"].is_f64(), "{found}");
        let groups = found["audiences"].as_array().unwrap();
        let sum = |name: &str| groups.iter().filter_map(|group| group[name].as_u64()).sum::<u64>();
        assert_eq!((sum("accept_count"), sum("finish_count")), (1, 1));
        for group in groups {
            assert_eq!(group["agent_id"], desk.agent.user_id());
            assert_eq!((&group["tag_ids"], &group["vars"]), (&json!(["sales"]), &json!({"page": "7"})));
        }
        server.kill();
        server.restart().await;
        assert_eq!(until(&desk.operator, &desk.queue, complete).await, found);
    })
    .await;
}

#[tokio::test]
async fn visitors_are_counted_and_their_stages_too() {
    within(LIMIT, async {
        // What nobody uses leaves memory at once, but no queue that counts.
        let server = Server::with(&["--idle-passivate-s=1"]).await;
        let desk = server.desk().await;
        let visitor = server.guest("Vera").await;
        let realm = json!({"realm_id": desk.realm});
        visitor.ask("describe_realm_queues", realm.clone()).await.unwrap();
        visitor.ask("describe_queue", json!({"queue_id": desk.queue})).await.unwrap();
        let track = json!({"realm_id": desk.realm, "queue_ids": [desk.queue, "00unknown000000000"],
            "track_stage": "questionnaire", "track_metadata": {"page": "/lamps"}});
        assert_eq!(visitor.ask("track", track.clone()).await.unwrap().name(), "ack");
        // Its own people are no visitors.
        desk.operator.ask("describe_realm_queues", realm).await.unwrap();
        desk.agent.ask("describe_queue", json!({"queue_id": desk.queue})).await.unwrap();
        for (wish, refusal) in [
            (
                json!({"realm_id": desk.realm, "track_stage": "x".repeat(65), "track_metadata": {}}),
                "request_malformed",
            ),
            (json!({"realm_id": desk.realm, "track_stage": "x"}), "request_malformed"),
            (
                json!({"realm_id": "00unknown000000000", "track_stage": "x", "track_metadata": {}}),
                "realm_not_found",
            ),
            (json!({"realm_id": "?", "track_stage": "x", "track_metadata": {}}), "realm_not_found"),
        ] {
            assert_eq!(refused(visitor.ask("track", wish.clone()).await), refusal, "{wish}");
        }
        // Nobody needs the queue until what was counted is recorded.
        tokio::time::sleep(Duration::from_secs(11)).await;
        let found = until(&desk.agent, &desk.queue, |found| !found["describe_count"].is_null()).await;
        assert_eq!(
            (&found["describe_count"], &found["levee_stages"]),
            (&json!(2), &json!({"questionnaire": 1}))
        );
    })
    .await;
}

#[tokio::test]
async fn statistics_are_for_those_who_serve_the_queue_and_asked_for_by_the_hour() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let (stranger, guest) = (server.user("stranger").await, server.guest("Gus").await);
        let theirs = stranger.create_realm("Elsewhere").await.unwrap();
        let foreign = stranger.create_queue(&theirs, json!({"name": "Theirs"})).await.unwrap();
        let wish = |queue: &str| json!({"queue_id": queue, "stats_length": 1});
        for (who, wish, refusal) in [
            (&stranger, wish(&desk.queue), "permission_denied"),
            (&guest, wish(&desk.queue), "permission_denied"),
            (&desk.agent, wish(&foreign), "permission_denied"),
            (&desk.agent, wish("00unknown000000000"), "queue_not_found"),
            (&desk.agent, json!({"queue_id": desk.queue}), "request_malformed"),
            (&desk.agent, json!({"queue_id": desk.queue, "stats_length": 745}), "request_malformed"),
            (&desk.agent, json!({"queue_id": desk.queue, "stats_length": 0}), "request_malformed"),
            (
                &desk.agent,
                json!({"queue_id": desk.queue, "stats_length": 1, "stats_hour": "20260230"}),
                "request_malformed",
            ),
        ] {
            assert_eq!(refused(who.ask("get_queue_stats", wish.clone()).await), refusal, "{wish}");
        }
        // Nothing happened in the hours of another year.
        let old = json!({"queue_id": desk.queue, "stats_length": 744, "stats_hour": "2013091812"});
        let found = desk.agent.ask("get_queue_stats", old).await.unwrap();
        assert_eq!(found["queue_stats"], json!({}));
    })
    .await;
}
