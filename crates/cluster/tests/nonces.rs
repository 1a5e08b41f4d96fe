//! Nonces are remembered as long as somebody could spend them again, and no longer.

#![allow(unreachable_pub, missing_docs, clippy::unwrap_used)]

mod support;

use bytes::Bytes;
use levee_domain::found::{NONCES, Nonce};
use levee_store::{Commit, Directory, DirectoryChange, Expect, Shards, Streams};
use support::Cluster;

const HOUR: u64 = 60 * 60 * 1_000_000;

#[actix::test]
async fn expired_nonces_are_forgotten_and_others_are_not() {
    let cluster = Cluster::start(2).await;
    let now = levee_cluster::now();
    let rows = |count: usize, expires: u64| {
        (0..count).map(move |number| DirectoryChange {
            namespace: NONCES.into(),
            key: format!("{}:{number}", Nonce::until(expires)).into(),
            expect: Expect::Absent,
            value: Some(Bytes::new()),
        })
    };
    let lease = cluster.store.leases().await.unwrap().into_iter().find(|lease| lease.shard == 0).unwrap();
    // Old ones, more than are removed at once; one that has just expired, which a slow clock may take for good.
    let directory = rows(1_200, now - 2 * HOUR).chain(rows(1, now - HOUR / 2)).chain(rows(1, now + HOUR));
    let commit = Commit { shard: 0, epoch: lease.epoch, directory: directory.collect(), ..Commit::default() };
    cluster.store.commit(commit).await.unwrap();
    let mut removed = Vec::new();
    for node in &cluster.nodes {
        removed
            .push(node.on(0, move |hub| async move { hub.forget_nonces(now).await }).await.unwrap().unwrap());
    }
    removed.sort_unstable();
    assert_eq!(removed, [0, 1_200], "the owner of the shard looks, and nobody else");
    assert_eq!(cluster.store.list(NONCES, "", "", 10).await.unwrap().len(), 2);
}
