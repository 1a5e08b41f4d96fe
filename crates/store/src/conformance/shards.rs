//! Shards: one live holder each, and an epoch that only a new holder raises.

use std::time::Duration;

use tokio::task::JoinSet;

use super::{Held, Subject, checks, hold, node};
use crate::{NodeRow, Result, SHARDS, Shard, StoreError};

checks![
    a_heartbeat_answers_all_live_nodes,
    a_heartbeat_updates_the_row,
    a_registration_expires,
    the_first_holder_gets_epoch_one_and_keeps_it,
    a_live_holder_is_not_displaced,
    a_released_shard_gets_a_new_epoch_at_once,
    a_shard_is_released_by_its_holder_only,
    an_expired_holder_is_displaced_and_fenced,
    an_expired_holder_that_comes_back_keeps_its_epoch,
    who_leaves_releases_all,
    who_is_not_registered_takes_nothing,
    one_of_many_takers_wins_each_shard,
    leases_lists_what_was_ever_taken,
    shards_beyond_the_last_are_not_leased,
];

const LONG: u64 = 60_000;

fn names(rows: &[NodeRow]) -> Vec<&str> {
    rows.iter().map(|row| row.node.as_str()).collect()
}

/// Whether `held` may still write.
async fn write(store: &Subject, held: Held, stream: &str) -> Result<()> {
    let head = store.head(stream).await.expect("head");
    store.commit(held.append(stream, head, &["a"])).await
}

async fn take(store: &Subject, name: &str, shards: &[Shard]) -> Vec<(String, u64, bool)> {
    let leases = store.take(name, shards).await.expect("take");
    assert_eq!(leases.iter().map(|lease| lease.shard).collect::<Vec<_>>(), shards);
    leases.into_iter().map(|lease| (lease.node.to_string(), lease.epoch, lease.live)).collect()
}

fn by(name: &str, epoch: u64, live: bool) -> (String, u64, bool) {
    (name.to_owned(), epoch, live)
}

async fn expire() {
    tokio::time::sleep(Duration::from_millis(120)).await;
}

async fn a_heartbeat_answers_all_live_nodes(store: Subject) {
    assert_eq!(names(&store.heartbeat(node("b"), LONG).await.expect("heartbeat")), ["b"]);
    let mut rows = store.heartbeat(node("a"), LONG).await.expect("heartbeat");
    rows.sort_by(|a, b| a.node.cmp(&b.node));
    assert_eq!(rows, [node("a"), node("b")]);
}

async fn a_heartbeat_updates_the_row(store: Subject) {
    store.heartbeat(node("a"), LONG).await.expect("heartbeat");
    let draining = NodeRow { ready: false, public_address: "elsewhere".into(), ..node("a") };
    assert_eq!(store.heartbeat(draining.clone(), LONG).await.expect("heartbeat"), [draining]);
}

async fn a_registration_expires(store: Subject) {
    store.heartbeat(node("a"), 50).await.expect("heartbeat");
    expire().await;
    assert_eq!(names(&store.heartbeat(node("b"), LONG).await.expect("heartbeat")), ["b"]);
}

async fn the_first_holder_gets_epoch_one_and_keeps_it(store: Subject) {
    store.heartbeat(node("a"), LONG).await.expect("heartbeat");
    for _ in 0..2 {
        assert_eq!(take(&store, "a", &[0, 1023]).await, [by("a", 1, true), by("a", 1, true)]);
    }
    write(&store, Held { shard: 1023, epoch: 1 }, "s").await.expect("write");
}

async fn a_live_holder_is_not_displaced(store: Subject) {
    let held = hold(&store, "a", 3).await;
    store.heartbeat(node("b"), LONG).await.expect("heartbeat");
    assert_eq!(take(&store, "b", &[3, 4]).await, [by("a", held.epoch, true), by("b", 1, true)]);
    write(&store, held, "s").await.expect("write");
}

async fn a_released_shard_gets_a_new_epoch_at_once(store: Subject) {
    let held = hold(&store, "a", 3).await;
    store.release("a", &[3, 5]).await.expect("release");
    let leases = store.leases().await.expect("leases");
    assert_eq!((leases[0].shard, leases[0].node.as_str(), leases[0].live), (3, "", false));
    store.heartbeat(node("b"), LONG).await.expect("heartbeat");
    assert_eq!(take(&store, "b", &[3]).await, [by("b", 2, true)]);
    match write(&store, held, "s").await {
        Err(StoreError::Fenced { shard: 3, current: 2 }) => {}
        other => panic!("{other:?}"),
    }
    store.release("b", &[3]).await.expect("release");
    assert_eq!(take(&store, "b", &[3]).await, [by("b", 3, true)], "a taker is new though it held it before");
}

async fn a_shard_is_released_by_its_holder_only(store: Subject) {
    let held = hold(&store, "a", 3).await;
    store.heartbeat(node("b"), LONG).await.expect("heartbeat");
    store.release("b", &[3]).await.expect("release");
    assert_eq!(take(&store, "b", &[3]).await, [by("a", held.epoch, true)]);
}

async fn an_expired_holder_is_displaced_and_fenced(store: Subject) {
    store.heartbeat(node("a"), 50).await.expect("heartbeat");
    assert_eq!(take(&store, "a", &[3]).await, [by("a", 1, true)]);
    let held = Held { shard: 3, epoch: 1 };
    expire().await;
    assert!(!store.leases().await.expect("leases")[0].live);
    // Correctness rests on the epoch, not on time: until somebody else takes it, the shard is its.
    write(&store, held, "s").await.expect("write");
    store.heartbeat(node("b"), LONG).await.expect("heartbeat");
    assert_eq!(take(&store, "b", &[3]).await, [by("b", 2, true)]);
    assert!(matches!(write(&store, held, "s").await, Err(StoreError::Fenced { current: 2, .. })));
    write(&store, Held { shard: 3, epoch: 2 }, "s").await.expect("the new holder writes");
    store.heartbeat(node("a"), LONG).await.expect("heartbeat");
    assert_eq!(take(&store, "a", &[3]).await, [by("b", 2, true)], "too late");
}

async fn an_expired_holder_that_comes_back_keeps_its_epoch(store: Subject) {
    store.heartbeat(node("a"), 50).await.expect("heartbeat");
    assert_eq!(take(&store, "a", &[3]).await, [by("a", 1, true)]);
    expire().await;
    store.heartbeat(node("a"), LONG).await.expect("heartbeat");
    assert_eq!(take(&store, "a", &[3]).await, [by("a", 1, true)]);
}

async fn who_leaves_releases_all(store: Subject) {
    let held = hold(&store, "a", 3).await;
    hold(&store, "a", 900).await;
    hold(&store, "b", 7).await;
    store.leave("a").await.expect("leave");
    store.leave("nobody").await.expect("leave");
    assert_eq!(names(&store.heartbeat(node("b"), LONG).await.expect("heartbeat")), ["b"]);
    assert_eq!(take(&store, "b", &[3, 900, 7]).await, [by("b", 2, true), by("b", 2, true), by("b", 1, true)]);
    assert!(matches!(write(&store, held, "s").await, Err(StoreError::Fenced { .. })));
}

async fn who_is_not_registered_takes_nothing(store: Subject) {
    assert_eq!(take(&store, "ghost", &[3]).await, [by("", 0, false)]);
    store.heartbeat(node("a"), 50).await.expect("heartbeat");
    expire().await;
    assert_eq!(take(&store, "a", &[3]).await, [by("", 0, false)]);
}

async fn one_of_many_takers_wins_each_shard(store: Subject) {
    let shards: Vec<Shard> = (0..SHARDS).collect();
    let mut tasks = JoinSet::new();
    for name in ["a", "b", "c", "d"] {
        let (store, shards) = (store.clone(), shards.clone());
        tasks.spawn(async move {
            store.heartbeat(node(name), LONG).await.expect("heartbeat");
            let leases = store.take(name, &shards).await.expect("take");
            leases.into_iter().filter(|lease| lease.node == name).count()
        });
    }
    let mut total = 0;
    while let Some(done) = tasks.join_next().await {
        total += done.expect("task");
    }
    assert_eq!(total, usize::from(SHARDS));
    let leases = store.leases().await.expect("leases");
    assert_eq!(leases.len(), usize::from(SHARDS));
    assert!(leases.iter().all(|lease| lease.epoch == 1 && lease.live));
}

async fn leases_lists_what_was_ever_taken(store: Subject) {
    assert_eq!(store.leases().await.expect("leases"), []);
    hold(&store, "a", 9).await;
    hold(&store, "a", 2).await;
    store.release("a", &[9]).await.expect("release");
    let mut leases = store.leases().await.expect("leases");
    leases.sort_by_key(|lease| lease.shard);
    let found: Vec<_> =
        leases.iter().map(|lease| (lease.shard, lease.node.as_str(), lease.epoch, lease.live)).collect();
    assert_eq!(found, [(2, "a", 1, true), (9, "", 1, false)]);
}

async fn shards_beyond_the_last_are_not_leased(store: Subject) {
    store.heartbeat(node("a"), LONG).await.expect("heartbeat");
    let leases = store.take("a", &[SHARDS, u16::MAX, 3]).await.expect("take");
    assert_eq!(leases.iter().map(|lease| lease.shard).collect::<Vec<_>>(), [3]);
    store.release("a", &[SHARDS, u16::MAX]).await.expect("release");
}
