//! Snapshots: the newest one is there, whoever saved it.

use bytes::Bytes;

use super::{Subject, checks, hold};
use crate::{Commit, Snapshot};

checks![
    a_stream_has_no_snapshot_at_first,
    a_newer_snapshot_wins_whatever_the_order,
    a_commit_saves_the_state_after_its_last_record,
    a_commit_of_no_records_saves_the_state_at_the_head,
    an_older_save_does_not_undo_a_commits,
];

fn snapshot(seq: u64, body: &'static str) -> Snapshot {
    Snapshot { seq, body: Bytes::from_static(body.as_bytes()) }
}

async fn a_stream_has_no_snapshot_at_first(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    store.commit(held.append("s", 0, &["a"])).await.expect("commit");
    assert_eq!(store.load("s").await.expect("load"), None);
    assert_eq!(store.load("nobody").await.expect("load"), None);
}

async fn a_newer_snapshot_wins_whatever_the_order(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    store.commit(held.append("s", 0, &["a", "b", "c"])).await.expect("commit");
    for (saved, kept) in [
        (snapshot(2, "two"), snapshot(2, "two")),
        (snapshot(1, "one"), snapshot(2, "two")),
        (snapshot(2, "two again"), snapshot(2, "two again")),
        (snapshot(3, "three"), snapshot(3, "three")),
    ] {
        store.save("s", saved).await.expect("save");
        assert_eq!(store.load("s").await.expect("load"), Some(kept));
    }
    let (older, newer) =
        tokio::join!(store.save("t", snapshot(1, "one")), store.save("t", snapshot(2, "two")));
    older.and(newer).expect("save");
    assert_eq!(store.load("t").await.expect("load"), Some(snapshot(2, "two")));
    let (newer, older) =
        tokio::join!(store.save("u", snapshot(2, "two")), store.save("u", snapshot(1, "one")));
    older.and(newer).expect("save");
    assert_eq!(store.load("u").await.expect("load"), Some(snapshot(2, "two")));
}

async fn a_commit_saves_the_state_after_its_last_record(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let state = Some(Bytes::from_static(b"state"));
    store.commit(held.append("s", 0, &["a"])).await.expect("commit");
    store.commit(Commit { snapshot: state, ..held.append("s", 1, &["b", "c"]) }).await.expect("commit");
    assert_eq!(store.load("s").await.expect("load"), Some(snapshot(3, "state")));
}

async fn a_commit_of_no_records_saves_the_state_at_the_head(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let state = Some(Bytes::from_static(b"state"));
    store.commit(held.append("s", 0, &["a", "b"])).await.expect("commit");
    store.commit(Commit { snapshot: state, ..held.commit("s") }).await.expect("commit");
    assert_eq!(store.load("s").await.expect("load"), Some(snapshot(2, "state")));
}

async fn an_older_save_does_not_undo_a_commits(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let state = Some(Bytes::from_static(b"state"));
    store.commit(Commit { snapshot: state, ..held.append("s", 0, &["a", "b"]) }).await.expect("commit");
    store.save("s", snapshot(1, "old")).await.expect("save");
    assert_eq!(store.load("s").await.expect("load"), Some(snapshot(2, "state")));
}
