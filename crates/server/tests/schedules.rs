//! Opening hours: what a schedule does to queues and channels while people look on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use support::{Server, refused, within};

/// A change takes up to a minute to come, for schedules know minutes only.
const LIMIT: Duration = Duration::from_secs(100);

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Every day, a minute of the day in UTC at which the first hours begin or end.
fn daily(hours: &[Option<u64>]) -> Value {
    let clock = |minute: &Option<u64>| minute.map(|m| format!("{}:{:02}", m / 60 % 24, m % 60));
    let day: Vec<_> = hours.iter().map(clock).collect();
    json!({"timezone": "UTC", "week": vec![json!(day); 7]})
}

/// Waits until the next minute is far enough, and answers the minute of the day; not within the day's ends.
async fn minute() -> u64 {
    loop {
        let minute = now() / 60 % 1440;
        if now() % 60 < 55 && (2..1436).contains(&minute) {
            return minute;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test]
async fn a_queue_and_a_channel_follow_their_schedules_and_are_late_for_none() {
    within(LIMIT * 3, async {
        let server = Server::start().await;
        let mut desk = server.desk_with(json!({"name": "Help", "closed": true})).await;
        let mut watcher = server.guest("watcher").await;
        watcher.ask("describe_realm_queues", json!({"realm_id": desk.realm})).await.unwrap();
        let channel = desk.agent.create_channel(json!({"name": "Team"})).await.unwrap();
        let minute = minute().await;
        // The opening time has passed already, and the closing time is near.
        let schedule = daily(&[Some(minute - 1), Some(minute + 1)]);
        let attrs = json!({"queue_id": desk.queue, "queue_attrs": {"schedule": schedule}});
        let updated = desk.agent.ask("update_queue", attrs).await.unwrap();
        assert!(updated.at("/queue_attrs/closed").is_null(), "it opens at once");
        let attrs = json!({"channel_id": channel, "channel_attrs": {"schedule": schedule}});
        let updated = desk.agent.ask("update_channel", attrs).await.unwrap();
        assert!(updated.at("/channel_attrs/closed").is_null());

        let closes = |event: &levee_client::Event| {
            event["event_cause"] == "queue_schedule" && event.at("/queue_attrs/closed") == &json!(true)
        };
        // The client waits less long than a minute.
        let closed = loop {
            match watcher.events.find("the queue closes", closes).await {
                Err(levee_client::Error::Timeout(_)) => {}
                found => break found.unwrap(),
            }
        };
        assert_eq!(closed.name(), "queue_updated");
        let late = now() % 60;
        assert!(!(5..=58).contains(&late), "{late} seconds after the minute");
        // The channel has a timer of its own, which may be a moment later.
        let shuts = |event: &levee_client::Event| {
            event.str("channel_id") == channel && event.at("/channel_attrs/closed") == &json!(true)
        };
        let shut = desk.agent.events.find("the channel closes", shuts).await.unwrap();
        assert_eq!((shut.name(), &shut["event_cause"]), ("channel_updated", &json!("channel_schedule")));
        assert_eq!(refused(watcher.request_audience(&desk.queue).await), "queue_is_closed");
    })
    .await;
}

#[tokio::test]
async fn a_schedule_that_makes_no_sense_is_refused_wherever_it_is_set() {
    within(LIMIT, async {
        let server = Server::start().await;
        let desk = server.desk().await;
        let channel = desk.agent.create_channel(json!({})).await.unwrap();
        for wrong in [
            json!({"timezone": "Mars/Olympus", "week": []}),
            json!({"timezone": "UTC"}),
            json!({"timezone": "UTC", "week": [["25:00"]]}),
            json!({"timezone": "UTC", "week": [["9:00", "8:00"]]}),
            json!({"timezone": "UTC", "week": [], "annual": {"1/1": null}}),
        ] {
            let queue = json!({"queue_id": desk.queue, "queue_attrs": {"schedule": wrong}});
            assert_eq!(refused(desk.agent.ask("update_queue", queue).await), "request_malformed", "{wrong}");
            let new = json!({"realm_id": desk.realm, "queue_attrs": {"schedule": wrong}});
            assert_eq!(refused(desk.operator.ask("create_queue", new).await), "request_malformed", "{wrong}");
            let room = json!({"channel_id": channel, "channel_attrs": {"schedule": wrong}});
            assert_eq!(refused(desk.agent.ask("update_channel", room).await), "request_malformed", "{wrong}");
            let new = json!({"channel_attrs": {"schedule": wrong}});
            assert_eq!(refused(desk.agent.ask("create_channel", new).await), "request_malformed", "{wrong}");
        }
    })
    .await;
}
