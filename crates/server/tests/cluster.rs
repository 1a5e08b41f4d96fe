//! Three nodes on PostgreSQL and Redis behave as one chat, through kills, restarts and a lost bus.

mod support;

use futures_util::future::join_all;
use levee_client::chat::{Crowd, Plan, Talk};
use levee_client::http::Http;
use levee_client::requests::{poll, poll_with};
use levee_client::session::Target;
use levee_client::{Address, Event, Events};
use levee_testbed::{Redis, Signal};
use serde_json::json;
use std::time::Duration;
use support::cluster::Cluster;
use support::within;
use tokio::sync::{Mutex, watch};

const CUSTOMERS: usize = 30;
const AGENTS: usize = 6;

/// Messages of a burst.
const BURST: usize = 1_000;

/// One cluster at a time: nine servers on two cores would test the scheduler.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Lets a crowd talk while something happens, and checks what everybody saw.
async fn through(mut cluster: Cluster, repeats: bool, happens: impl AsyncFnOnce(&mut Cluster)) -> Talk {
    let plan = Plan {
        pause: Duration::from_millis(300),
        polling: 0.2,
        patience: Duration::from_secs(60),
        ..Plan::new(cluster.address(), CUSTOMERS, AGENTS)
    };
    let mut crowd = Crowd::gather(plan).await.expect("a crowd");
    crowd.meet().await.expect("audiences");
    let (stop, stopping) = watch::channel(false);
    let happening = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        happens(&mut cluster).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        stop.send_replace(true);
    };
    let (talk, ()) = tokio::join!(crowd.talk(&stopping), happening);
    let missing = crowd.settle(Duration::from_secs(30)).await;
    let verdict = crowd.verdict().await.expect("histories");
    for violation in verdict.violations.iter().take(30) {
        eprintln!("{violation}");
    }
    eprintln!("{talk:?}; {} deliveries, {} repeated", verdict.delivered, verdict.repeated);
    assert_eq!((verdict.violations.len(), missing), (0, 0));
    assert_eq!((talk.refused, talk.unanswered), (0, 0));
    assert!(repeats || verdict.repeated == 0, "{} came twice, and nothing crashed", verdict.repeated);
    talk
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_and_repeats_nothing() {
    let _alone = ALONE.lock().await;
    within(Duration::from_secs(180), async {
        let cluster = Cluster::start(3).await;
        through(cluster, false, async |cluster| {
            for number in 0..3 {
                cluster.restart(number, Signal::Terminate).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_nodes_are_killed() {
    let _alone = ALONE.lock().await;
    within(Duration::from_secs(180), async {
        let cluster = Cluster::start(3).await;
        through(cluster, true, async |cluster| {
            for number in [1, 0, 2] {
                cluster.restart(number, Signal::Kill).await;
                tokio::time::sleep(Duration::from_secs(7)).await;
            }
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_the_chat_goes_on() {
    let _alone = ALONE.lock().await;
    within(Duration::from_secs(180), async {
        let cluster = Cluster::start(3).await;
        through(cluster, false, async |cluster| {
            let redis: &mut Redis = cluster.redis();
            redis.end(Signal::Kill).expect("its end");
            tokio::time::sleep(Duration::from_secs(8)).await;
            redis.again().expect("its start");
        })
        .await;
    })
    .await;
}

/// The sum of a figure over all nodes.
async fn figure(nodes: &[Address], name: &str) -> u64 {
    let mut sum = 0.0;
    for node in nodes {
        let text = Http::new(node.clone()).get("/metrics").await.expect("figures").text();
        let lines = text.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
        sum += lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>();
    }
    sum as u64
}

/// Waits for so many messages.
async fn take(events: &mut Events, count: usize) {
    let is_message = |event: &Event| event.name() == "message_received" && !event.text().is_empty();
    for _ in 0..count {
        events.find("a message", is_message).await.expect("a message");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_share_frames_between_nodes_and_take_none_within_one() {
    let _alone = ALONE.lock().await;
    within(Duration::from_secs(120), async {
        let cluster = Cluster::start(2).await;
        let nodes = cluster.nodes();
        for (other, stays) in [(0, true), (1, false)] {
            let mut here = cluster.guest(0, "here").await;
            let mut there = cluster.guest(other, "there").await;
            let channel = here.create_channel(json!({})).await.expect("a channel");
            there.join_channel(&channel).await.expect("to be in it");
            here.events.named("channel_member_joined").await.expect("both are there");
            let to = Target::Channel(channel);
            let (letters, frames) = (
                figure(&nodes, "levee_bus_letters_total").await,
                figure(&nodes, "levee_bus_publishes_total").await,
            );
            let texts: Vec<String> = (0..BURST).map(|number| number.to_string()).collect();
            let sending = join_all(texts.iter().map(|text| here.send_text(&to, text)));
            let (sent, ()) = tokio::join!(sending, take(&mut there.events, BURST));
            assert!(sent.iter().all(Result::is_ok));
            let letters = figure(&nodes, "levee_bus_letters_total").await - letters;
            let frames = figure(&nodes, "levee_bus_publishes_total").await - frames;
            eprintln!("{BURST} messages, {letters} letters between nodes, {frames} frames");
            if stays {
                assert_eq!((letters, frames), (0, 0), "both people are on one node");
            } else {
                assert!(letters >= BURST as u64, "they are on two nodes");
                assert!(frames < BURST as u64 / 2, "frames carry several letters");
            }
        }
    })
    .await;
}

/// A client that polls isn't told which of its actions its session took when that leaves: it must hear that it left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_polls_hears_that_the_session_went_elsewhere() {
    let _alone = ALONE.lock().await;
    within(Duration::from_secs(60), async {
        let cluster = Cluster::start(3).await;
        let nodes = cluster.nodes();
        // On the session's own node, and by way of another.
        for (asked, taker) in [(0, 1), (1, 2)] {
            let mut http = Http::new(nodes[0].clone());
            let create = json!({"action": "create_session", "message_types": ["*"]});
            let created = poll(&mut http, &create).await.expect("a session").remove(0);
            let session = created.str("session_id").to_owned();
            let resume = json!({"action": "resume_session", "session_id": session, "event_id": 1});
            let mut http = Http::new(nodes[asked].clone());
            let polling = poll_with(&mut http, &resume, None);
            let taking = async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                let mut socket = cluster.node(taker).resume(&session, Some(1)).await;
                let ping = json!({"action": "ping", "action_id": 1});
                assert_eq!(socket.ask(ping, &[]).await.expect("an answer").name(), "pong");
            };
            let (polled, ()) = tokio::join!(polling, taking);
            assert_eq!(polled.expect("an answer").status, 503, "asked node {asked}");
        }
        // Who polls again on the same node is not told that: the first request ends, without events.
        let mut first = Http::new(nodes[0].clone());
        let create = json!({"action": "create_session", "message_types": ["*"]});
        let created = poll(&mut first, &create).await.expect("a session").remove(0);
        let resume =
            json!({"action": "resume_session", "session_id": created.str("session_id"), "event_id": 1});
        let again = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let ping = json!({"action": "ping", "action_id": 1, "session_id": created.str("session_id")});
            let mut second = Http::new(nodes[0].clone());
            let mut third = Http::new(nodes[0].clone());
            let acting = async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                poll(&mut third, &ping).await.expect("to be taken")
            };
            tokio::join!(poll(&mut second, &resume), acting).0.expect("events")
        };
        let (first, second) = tokio::join!(poll(&mut first, &resume), again);
        assert_eq!(first.expect("an answer"), []);
        assert_eq!(second[0].name(), "pong");
    })
    .await;
}
