//! `kill -9` under traffic: what a client saw acknowledged stays, once and in order, and clients go on.

mod support;

use levee_client::chat::{Crowd, Plan};
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
