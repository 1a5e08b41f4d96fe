//! Webhooks while nodes are killed and their receiver fails, hangs, is slow and goes away: each event arrives, in the
//! order of its conversation, and none that was taken comes again but what was under way when a node died.
//!
//! `LEVEE_WEBHOOK_EVENTS=10000` makes it longer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use levee_client::session::{Target, guest};
use levee_client::{Options, Session};
use levee_testbed::{Behaviour, Received, Receiver, Signal};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::cluster::Cluster;
use support::people::{Desk, Person};
use support::{hooks, within};

const NODES: usize = 3;
const CUSTOMERS: usize = 12;
const EVENTS: usize = 360;
/// How many lanes of one receiver are under way at a time on a node, as the cluster has it.
const UNDER_WAY: usize = 8;

/// Receivers have bad days: a number by lot decides what becomes of a request.
fn mood(is_away: &AtomicBool) -> Behaviour {
    if is_away.load(Ordering::Relaxed) {
        return Behaviour::Away;
    }
    match rand::random_range(0..1_000) {
        0..40 => Behaviour::Refuse(500, None),
        40..50 => Behaviour::Refuse(429, Some(1)),
        50..70 => Behaviour::TakeAndHang(Duration::from_millis(100)),
        70..72 => Behaviour::TakeAndHang(Duration::from_secs(12)),
        72..120 => Behaviour::Slow(Duration::from_millis(200)),
        _ => Behaviour::Take,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_arrives_in_order_while_nodes_are_killed_and_the_receiver_has_bad_days() {
    let events: usize = std::env::var("LEVEE_WEBHOOK_EVENTS").map_or(EVENTS, |text| text.parse().unwrap());
    within(Duration::from_secs(240 + events as u64 / 4), run(events)).await;
}

async fn person(cluster: &Cluster, parameters: Value) -> Person {
    let opened = Session::create(&cluster.address(), parameters, Options::default()).await;
    let (session, events) = opened.unwrap();
    Person { session, events }
}

async fn run(events: usize) {
    let receiver = Arc::new(Receiver::start().unwrap());
    let mut settings = hooks::settings(&receiver);
    settings.push("--lease-s=2".into());
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let mut cluster = Cluster::with(NODES, &settings).await;
    let user = |name: &str| levee_client::session::new_user(&format!("{name}@example.org"), "secret", name);
    let mut desk = Desk {
        operator: person(&cluster, user("operator")).await,
        agent: person(&cluster, user("agent")).await,
        realm: String::new(),
        queue: String::new(),
    };
    desk.realm = desk.operator.create_realm("Realm").await.unwrap();
    desk.queue = desk.operator.create_queue(&desk.realm, json!({"name": "Help"})).await.unwrap();
    desk.operator.add_agent(&desk.realm, &desk.queue, desk.agent.user_id()).await.unwrap();
    hooks::active(&mut desk, &receiver, json!({})).await;
    let is_away = Arc::new(AtomicBool::new(false));
    let away = is_away.clone();
    receiver.behave(move |_| mood(&away));
    let each = events.div_ceil(CUSTOMERS);
    let mut talks = tokio::task::JoinSet::new();
    for number in 0..CUSTOMERS {
        let mut customer = person(&cluster, guest(&format!("Customer {number}"))).await;
        let channel = desk.meet(&mut customer).await;
        talks.spawn(async move {
            let to = Target::Channel(channel.clone());
            for text in 0..each {
                customer.send_text(&to, &text.to_string()).await.unwrap();
                tokio::time::sleep(Duration::from_millis(rand::random_range(0..60))).await;
            }
            customer.ask("part_channel", json!({"channel_id": channel})).await.unwrap();
            channel
        });
    }
    let (since, mut kills, mut channels) = (Instant::now(), 0, Vec::new());
    // Not before some were killed: a run in which little happened shows little.
    while !talks.is_empty() || kills < 4 {
        tokio::time::sleep(Duration::from_millis(rand::random_range(500..2_500))).await;
        cluster.restart(kills % NODES, Signal::Kill).await;
        kills += 1;
        is_away.store(kills % 3 == 1, Ordering::Relaxed);
        while let Some(channel) = talks.try_join_next() {
            channels.push(channel.unwrap());
        }
    }
    is_away.store(false, Ordering::Relaxed);
    for channel in &channels {
        desk.agent.ask("part_channel", json!({"channel_id": channel})).await.unwrap();
    }
    let waiting = receiver.clone();
    let came = move || {
        waiting.wait(Duration::from_secs(180), |received| {
            let complete = |r: &&Received| hooks::document(r)["event"] == "audience_complete";
            let channel =
                |r: &Received| hooks::document(r)["audience_complete"]["channel_id"].clone().to_string();
            // Hardly anything is looked at twice: the last ones tell.
            let over: BTreeSet<_> =
                received.iter().rev().take(2_000).filter(complete).filter(is_taken).map(channel).collect();
            over.len() == CUSTOMERS
        })
    };
    let all = tokio::task::spawn_blocking(came).await.unwrap();
    let received = receiver.received();
    let (stories, repeated) = stories(&received);
    eprintln!(
        "{kills} kills in {:.0} s: {} requests, {} conversations, {repeated} repeated although taken",
        since.elapsed().as_secs_f64(),
        received.len(),
        stories.len()
    );
    for (audience, story) in &stories {
        check(audience, story, each);
    }
    assert!(all, "events are missing");
    assert_eq!(stories.len(), CUSTOMERS);
    assert!(repeated <= kills * UNDER_WAY, "{repeated} events came again after they were taken");
}

/// Whether the receiver has seen what came, whatever it answered.
fn is_taken(received: &&Received) -> bool {
    matches!(received.status, 0 | 200)
}

/// What came, by audience and in its order; and how much of it came again although it had been answered well.
fn stories(received: &[Received]) -> (BTreeMap<String, Vec<(String, Value)>>, usize) {
    let (mut stories, mut answered, mut repeated) = (BTreeMap::new(), BTreeSet::new(), 0);
    for received in received.iter().filter(is_taken) {
        let document = hooks::document(received);
        let Some(id) = document["event_id"].as_str().map(str::to_owned) else { continue };
        let event = document["event"].as_str().unwrap().to_owned();
        let audience = document[&event]["audience_id"].as_str().unwrap().to_owned();
        repeated += usize::from(answered.contains(&id));
        if received.status == 200 {
            answered.insert(id.clone());
        }
        let story: &mut Vec<_> = stories.entry(audience).or_default();
        story.push((id, document));
    }
    (stories, repeated)
}

/// Fails unless each event came, and in its order: what came again came before the next one.
fn check(audience: &str, story: &[(String, Value)], each: usize) {
    let mut once: Vec<&(String, Value)> = Vec::new();
    for event in story {
        match once.iter().position(|(id, _)| *id == event.0) {
            None => once.push(event),
            Some(at) => assert_eq!(at, once.len() - 1, "{audience}: {} came again later", event.1),
        }
    }
    let name = |document: &Value| document["event"].as_str().unwrap().to_owned();
    let names: Vec<String> = once.iter().map(|(_, document)| name(document)).collect();
    let texts: Vec<&str> = once
        .iter()
        .filter_map(|(_, document)| document["message_sent"]["message"]["payload"]["text"].as_str())
        .collect();
    let expected: Vec<String> = (0..each).map(|text| text.to_string()).collect();
    assert_eq!(texts, expected, "{audience}");
    let at = |wanted: &str| {
        let mut found = names.iter().enumerate().filter(|(_, name)| *name == wanted).map(|(at, _)| at);
        let first = found.next().unwrap_or_else(|| panic!("{audience}: {wanted} is missing"));
        assert_eq!(found.next(), None, "{audience}: {wanted} came twice");
        first
    };
    assert_eq!((at("audience_requested"), at("audience_accepted")), (0, 1), "{audience}: {names:?}");
    let last_text =
        once.iter().rposition(|(_, d)| d["message_sent"]["message"]["type"] == "ninchat.com/text");
    assert!(last_text.unwrap() < at("audience_finished"), "{audience}: {names:?}");
    assert!(at("audience_finished") < at("audience_agent_released"));
    assert_eq!(at("audience_complete"), names.len() - 1, "{audience}: {names:?}");
}
