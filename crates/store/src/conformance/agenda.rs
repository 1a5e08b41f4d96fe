//! The agenda: what is open is listed soonest first until it is removed or done.

use bytes::Bytes;

use super::{Held, Subject, checks, hold};
use crate::{AgendaChange, AgendaItem, Commit};

checks![
    items_are_due_soonest_first_up_to_a_limit,
    due_is_inclusive_and_looks_at_one_shard,
    putting_again_replaces_and_moves,
    removing_takes_one_item_and_absent_is_fine,
    the_last_change_of_a_commit_counts,
    done_removes_and_twice_is_harmless,
    open_lists_one_stream,
];

fn put(key: &str, due: u64) -> AgendaChange {
    AgendaChange::Put { key: key.into(), due, body: Bytes::from(format!("{key} at {due}")) }
}

fn remove(key: &str) -> AgendaChange {
    AgendaChange::Remove { key: key.into() }
}

fn item(held: Held, stream: &str, key: &str, due: u64) -> AgendaItem {
    AgendaItem {
        shard: held.shard,
        stream: stream.into(),
        key: key.into(),
        due,
        body: Bytes::from(format!("{key} at {due}")),
    }
}

async fn change(store: &Subject, held: Held, stream: &str, changes: &[AgendaChange]) {
    store.commit(Commit { agenda: changes.to_vec(), ..held.commit(stream) }).await.expect("commit");
}

async fn due(store: &Subject, held: Held, until: u64) -> Vec<(String, u64)> {
    let items = store.due(held.shard, 0..=until, 1_000).await.expect("due");
    items.into_iter().map(|item| (format!("{}/{}", item.stream, item.key), item.due)).collect()
}

async fn items_are_due_soonest_first_up_to_a_limit(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    for (stream, key, at) in [("b", "x", 30), ("a", "x", 20), ("a", "y", 10), ("c", "z", 40)] {
        change(&store, held, stream, &[put(key, at)]).await;
    }
    let found = store.due(3, 0..=u64::MAX, 3).await.expect("due");
    assert_eq!(found, [item(held, "a", "y", 10), item(held, "a", "x", 20), item(held, "b", "x", 30)]);
    assert_eq!(store.due(3, 0..=u64::MAX, 0).await.expect("due"), []);
    assert_eq!(store.due(3, 0..=u64::MAX, usize::MAX).await.expect("due").len(), 4);
}

async fn due_is_inclusive_and_looks_at_one_shard(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let other = hold(&store, "n1", 4).await;
    change(&store, held, "a", &[put("x", 10), put("y", 11)]).await;
    change(&store, other, "b", &[put("x", 10)]).await;
    assert_eq!(due(&store, held, 9).await, []);
    assert_eq!(due(&store, held, 10).await, [("a/x".to_owned(), 10)]);
    assert_eq!(due(&store, held, 11).await.len(), 2);
    assert_eq!(store.due(4, 0..=u64::MAX, 10).await.expect("due"), [item(other, "b", "x", 10)]);
    assert_eq!(store.due(5, 0..=u64::MAX, 10).await.expect("due"), []);
    // Who goes on from a time sees what is due then, too.
    let rest = store.due(held.shard, 11..=u64::MAX, 10).await.expect("due");
    assert_eq!(rest, [item(held, "a", "y", 11)]);
    assert_eq!(store.due(held.shard, 12..=u64::MAX, 10).await.expect("due"), []);
}

async fn putting_again_replaces_and_moves(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    change(&store, held, "a", &[put("x", 10), put("y", 20)]).await;
    change(&store, held, "a", &[put("x", 30)]).await;
    let wanted = [item(held, "a", "y", 20), item(held, "a", "x", 30)];
    assert_eq!(store.due(3, 0..=u64::MAX, 10).await.expect("due"), wanted);
    assert_eq!(store.open("a").await.expect("open"), wanted);
}

async fn removing_takes_one_item_and_absent_is_fine(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    change(&store, held, "a", &[put("x", 10), put("y", 20)]).await;
    change(&store, held, "b", &[put("x", 10)]).await;
    change(&store, held, "a", &[remove("x"), remove("never there")]).await;
    change(&store, held, "unknown", &[remove("x")]).await;
    assert_eq!(due(&store, held, 99).await, [("b/x".to_owned(), 10), ("a/y".to_owned(), 20)]);
}

async fn the_last_change_of_a_commit_counts(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    change(&store, held, "a", &[put("x", 10), put("x", 20), remove("y"), put("y", 30)]).await;
    change(&store, held, "a", &[put("z", 5), remove("z")]).await;
    assert_eq!(due(&store, held, 99).await, [("a/x".to_owned(), 20), ("a/y".to_owned(), 30)]);
}

async fn done_removes_and_twice_is_harmless(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    change(&store, held, "a", &[put("x", 10), put("y", 20)]).await;
    let done =
        vec![(3, "a".into(), "x".into()), (3, "unknown".into(), "x".into()), (3, "a".into(), "z".into())];
    for _ in 0..2 {
        store.done(done.clone()).await.expect("done");
        assert_eq!(due(&store, held, 99).await, [("a/y".to_owned(), 20)]);
    }
    store.done(Vec::new()).await.expect("nothing is fine");
    change(&store, held, "a", &[put("x", 40)]).await;
    assert_eq!(due(&store, held, 99).await.len(), 2);
}

async fn open_lists_one_stream(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    change(&store, held, "a", &[put("late", 20), put("früh", 10)]).await;
    change(&store, held, "aa", &[put("other", 5)]).await;
    assert_eq!(
        store.open("a").await.expect("open"),
        [item(held, "a", "früh", 10), item(held, "a", "late", 20)]
    );
    assert_eq!(store.open("nobody").await.expect("open"), []);
}
