//! What is erased is nowhere in the store any more: neither in records nor in saved states.

#![allow(unreachable_pub, missing_docs, clippy::unwrap_used)]

mod support;

use levee_store::{Read, Snapshots, Streams};
use serde_json::json;
use std::time::Duration;
use support::{Cluster, accept, organise};

/// Where the store has what nobody is to know any more.
async fn kept(cluster: &Cluster, streams: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let is_secret = |bytes: &[u8]| bytes.windows(6).any(|part| part == b"secret");
    for stream in streams {
        for record in cluster.store.read(Read::after(stream.as_str(), 0, 10_000)).await.unwrap() {
            if is_secret(&record.record.body) {
                found.push(format!("{stream} {}", record.seq));
            }
        }
        if cluster.store.load(stream).await.unwrap().is_some_and(|snapshot| is_secret(&snapshot.body)) {
            found.push(format!("{stream} snapshot"));
        }
    }
    found
}

#[actix::test]
async fn an_erased_transcript_is_neither_in_records_nor_in_saved_states() {
    let cluster = Cluster::start(2).await;
    let mut operator = cluster.person(0, "operator").await;
    let mut agent = cluster.person(1, "agent").await;
    let queue = organise(&mut operator, &[&agent]).await;
    let mut customer = cluster.guest(0, "customer").await;
    let asks = json!({"action": "request_audience", "queue_id": queue, "audience_metadata": {"a": "secret"}});
    customer.ask(asks, &[]).await;
    let joined = agent.ask(accept(&queue, None), &[]).await;
    let channel = joined.str("channel_id");
    customer.named("channel_joined").await;
    let tell =
        json!({"action": "send_message", "channel_id": channel, "message_type": "ninchat.com/metadata"});
    customer.ask(tell, &[r#"{"data":{"b":"secret"}}"#]).await;
    // So many that the state is saved.
    for _ in 0..300 {
        let id = customer.say(&channel, "secret");
        customer.find(|event| event.header["action_id"] == id).await;
    }
    let streams = [format!("c/{channel}"), format!("q/{queue}")];
    let before = kept(&cluster, &streams).await;
    assert!(
        before.contains(&format!("c/{channel} snapshot")),
        "the test shows nothing without one: {before:?}"
    );
    assert!(before.iter().any(|place| place.starts_with("q/")));
    assert_eq!(before.iter().filter(|place| place.starts_with("c/")).count(), 303);

    let delete = json!({"action": "delete_transcript", "channel_id": channel});
    let deleted = operator.ask(delete, &[]).await;
    assert_eq!(deleted.name(), "transcript_deleted", "{}", deleted.header);
    // Once it is answered it is gone from the conversation; the queue hears of it in a moment.
    assert_eq!(kept(&cluster, &streams[..1]).await, [""; 0]);
    while !kept(&cluster, &streams).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What is said afterwards follows what was there.
    let id = customer.say(&channel, "and now");
    let said = customer.find(|event| event.header["action_id"] == id).await;
    assert_eq!(said.name(), "message_received", "{}", said.header);
}
