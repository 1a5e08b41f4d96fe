//! The store in memory keeps every rule.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use levee_store::conformance::{self, Subject};
use levee_store::memory::MemoryStore;
use levee_store::metrics::StoreMetrics;
use levee_store::{Commit, NodeRow, Shards as _, Streams as _};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_memory_conforms() {
    conformance::run(async || Arc::new(MemoryStore::new()) as Subject).await;
}

#[tokio::test]
async fn clones_are_handles_of_one_store() {
    let store = MemoryStore::new();
    let other = store.clone();
    let node = NodeRow { node: "a".into(), ready: true, ..NodeRow::default() };
    store.heartbeat(node, 1_000).await.unwrap();
    assert_eq!(other.take("a", &[1]).await.unwrap()[0].epoch, 1);
}

#[tokio::test]
async fn leases_expire_by_the_clock_that_was_passed_in() {
    let now = Arc::new(AtomicU64::new(0));
    let store = MemoryStore::with_clock({
        let now = now.clone();
        move || now.load(Ordering::SeqCst)
    });
    let node = NodeRow { node: "a".into(), ready: true, ..NodeRow::default() };
    store.heartbeat(node, 5_000).await.unwrap();
    store.take("a", &[1]).await.unwrap();
    now.store(4_999_999, Ordering::SeqCst);
    assert!(store.leases().await.unwrap()[0].live);
    now.store(5_000_000, Ordering::SeqCst);
    assert!(!store.leases().await.unwrap()[0].live);
}

#[tokio::test]
async fn commits_are_counted_by_outcome() {
    let registry = prometheus::Registry::new();
    let store = MemoryStore::new().with_metrics(StoreMetrics::register(&registry).unwrap());
    store.commit(Commit::default()).await.unwrap_err();
    let families = registry.gather();
    let commits = families.iter().find(|family| family.name() == "levee_store_commits_total").unwrap();
    let count = |outcome: &str| {
        let of = |metric: &&prometheus::proto::Metric| metric.get_label()[0].value() == outcome;
        commits.get_metric().iter().find(of).unwrap().get_counter().get_value()
    };
    assert_eq!((count("fenced"), count("applied")), (1.0, 0.0));
}
