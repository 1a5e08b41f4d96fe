//! `kill -9` under traffic: what a client saw acknowledged stays, once and in order, and clients go on.

mod support;

use levee_client::chat::{Crowd, Plan};
use serde_json::json;
use std::time::{Duration, Instant};
use support::{Server, within};
use tokio::sync::watch;

const KILLS: u32 = 20;
const CUSTOMERS: usize = 30;
const AGENTS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_the_server_is_killed_twenty_times() {
    within(Duration::from_secs(240), run()).await;
}

/// Kills that hit an accept while it is under way, more or less.
const ACCEPTS: u32 = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accept_that_a_kill_interrupts_is_answered_after_all() {
    within(Duration::from_secs(120), async {
        let mut server = Server::start().await;
        let desk = server.desk().await;
        for number in 0..ACCEPTS {
            let mut customer = server.guest("Cleo").await;
            let audience = customer.request_audience(&desk.queue).await.expect("a place in the queue");
            let accept = json!({"queue_id": desk.queue});
            let accepting = desk.agent.start("accept_audience", accept, Vec::new());
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..12))).await;
            server.kill();
            server.restart().await;
            let answer = tokio::time::timeout(Duration::from_secs(10), accepting.event()).await;
            let accepted = answer.unwrap_or_else(|_| panic!("accept {number} is never answered"));
            let accepted = accepted.expect("an audience");
            assert_eq!(accepted.at("/channel_attrs/audience_id"), &audience["audience_id"]);
            let joined = customer.events.named("channel_joined").await.expect("a channel");
            assert_eq!(joined["channel_id"], accepted["channel_id"]);
        }
    })
    .await;
}

async fn run() {
    let mut server = Server::start().await;
    let plan = Plan {
        pause: Duration::from_millis(300),
        polling: 0.2,
        patience: Duration::from_secs(90),
        ..Plan::new(server.address(), CUSTOMERS, AGENTS)
    };
    let mut crowd = Crowd::gather(plan).await.expect("a crowd");
    let since = Instant::now();
    let (stop, stopping) = watch::channel(false);
    let killer = async {
        for kill in 0..KILLS {
            // Any moment will do: the point is that it is not one of the server's choosing. The first ones
            // come quickly, for people meet then.
            let longest = if kill < 3 { 300 } else { 1500 };
            tokio::time::sleep(Duration::from_millis(rand::random_range(50..longest))).await;
            server.kill();
            server.restart().await;
        }
        stop.send_replace(true);
    };
    let story = async {
        crowd.meet().await.expect("audiences");
        crowd.talk(&stopping).await
    };
    let (talk, ()) = tokio::join!(story, killer);
    let missing = crowd.settle(Duration::from_secs(30)).await;
    let verdict = crowd.verdict().await.expect("histories");
    eprintln!(
        "{KILLS} kills in {:.1} s: {talk:?}; {} deliveries, {} repeated, {} events, {} reconnections",
        since.elapsed().as_secs_f64(),
        verdict.delivered,
        verdict.repeated,
        verdict.events,
        verdict.reconnects
    );
    for violation in verdict.violations.iter().take(30) {
        eprintln!("{violation}");
    }
    assert_eq!(verdict.violations.len(), 0, "the checker found faults");
    assert_eq!(missing, 0, "deliveries are missing");
    // A run in which little happened shows little.
    assert!(talk.acknowledged > 1_000, "{talk:?}");
    assert_eq!((talk.refused, talk.unanswered), (0, 0));
    assert!(verdict.reconnects >= u64::from(KILLS) * CUSTOMERS as u64 / 2);
}
