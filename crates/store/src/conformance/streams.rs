//! Commits: whole or not at all, in sequence, fenced, and each on its own account.

use std::collections::BTreeSet;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Subject, bodies, checks, hold, record};
use crate::{AgendaChange, Commit, DirectoryChange, Expect, Key, NewRecord, Read, StoreError};

checks![
    sequences_start_at_one_and_go_on,
    the_head_of_an_unknown_stream_is_zero,
    heads_come_in_the_order_asked,
    a_position_moves_with_every_commit_of_records_in_its_shard,
    records_come_back_as_they_were_written,
    names_of_any_characters_are_kept_apart,
    bodies_of_a_mebibyte_come_back_whole,
    thousands_of_records_fit_one_commit,
    a_commit_after_another_sequence_conflicts_and_tells_the_head,
    a_commit_of_no_records_does_not_look_at_after,
    a_commit_writes_all_its_parts,
    a_conflict_leaves_no_trace,
    a_failed_expectation_leaves_no_trace,
    a_fenced_commit_leaves_no_trace,
    a_shard_that_was_never_taken_accepts_no_commit,
    failing_commits_fail_nobody_else,
    racing_writers_win_each_sequence_once,
    what_is_committed_is_read_at_once,
    a_commit_is_whole_though_its_caller_stops_waiting,
];

async fn sequences_start_at_one_and_go_on(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    store.commit(held.append("s", 0, &["a"])).await.expect("first");
    store.commit(held.append("s", 1, &["b", "c"])).await.expect("second");
    store.commit(held.append("s", 3, &["d"])).await.expect("third");
    assert_eq!(bodies(&store, "s").await, ["a", "b", "c", "d"]);
    assert_eq!(store.head("s").await.expect("head"), 4);
}

async fn the_head_of_an_unknown_stream_is_zero(store: Subject) {
    assert_eq!(store.head("nobody").await.expect("head"), 0);
    assert!(bodies(&store, "nobody").await.is_empty());
}

async fn heads_come_in_the_order_asked(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    store.commit(held.append("s", 0, &["a", "b"])).await.expect("commit");
    store.commit(held.append("t", 0, &["a"])).await.expect("commit");
    let asked: Vec<Key> = ["t", "nobody", "s", "t"].into_iter().map(Key::from).collect();
    assert_eq!(store.heads(&asked).await.expect("heads"), [1, 0, 2, 1]);
    assert_eq!(store.heads(&[]).await.expect("heads"), [0u64; 0]);
}

async fn a_position_moves_with_every_commit_of_records_in_its_shard(store: Subject) {
    let (held, other) = (hold(&store, "n1", 3).await, hold(&store, "n1", 1023).await);
    let mut before = store.positions().await.expect("positions");
    assert_eq!(before.len(), 1024);
    for at in 0..3 {
        store.commit(held.append("s", at, &["a"])).await.expect("commit");
        let now = store.positions().await.expect("positions");
        let changed: Vec<usize> = (0..1024).filter(|shard| now[*shard] != before[*shard]).collect();
        assert_eq!(changed, [3]);
        before = now;
    }
    store.commit(other.append("t", 0, &["a"])).await.expect("commit");
    let now = store.positions().await.expect("positions");
    assert!(now[1023] != before[1023] && now[3] == before[3]);
}

async fn records_come_back_as_they_were_written(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let records = vec![
        NewRecord::default(),
        NewRecord {
            time: u64::from(u32::MAX) * 1_000_000,
            kind: "grüße/😀".into(),
            author: "a much longer name than fits in place".into(),
            flags: u32::MAX,
            body: Bytes::from_static(&[0, 255, 1, 0, 128]),
        },
    ];
    store.commit(Commit { records: records.clone(), ..held.commit("s") }).await.expect("commit");
    let found = store.read(Read::after("s", 0, 10)).await.expect("read");
    assert_eq!(found.into_iter().map(|found| found.record).collect::<Vec<_>>(), records);
}

async fn names_of_any_characters_are_kept_apart(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let names =
        ["", "a", "A", "a ", "a\0b", "a\0", "ä", "a\u{308}", "😀", "a%", "a_", "'", "\"", "\u{10ffff}"];
    for name in names {
        store.commit(held.append(name, 0, &[name])).await.expect("commit");
    }
    for name in names {
        assert_eq!(bodies(&store, name).await, [name], "{name:?}");
    }
}

async fn bodies_of_a_mebibyte_come_back_whole(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let body: Bytes = (0..1 << 20).map(|at: u32| (at % 251) as u8).collect();
    let large = NewRecord { body: body.clone(), ..record("") };
    let commit = Commit { records: vec![large; 6], snapshot: Some(body.clone()), ..held.commit("s") };
    store.commit(commit).await.expect("commit");
    let found = store.read(Read::after("s", 0, 10)).await.expect("read");
    assert_eq!(found.len(), 6);
    assert!(found.iter().all(|found| found.record.body == body));
}

async fn thousands_of_records_fit_one_commit(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let wanted: Vec<String> = (0..3_000).map(|at| at.to_string()).collect();
    let records = wanted.iter().map(|body| record(body)).collect();
    store.commit(Commit { records, ..held.commit("s") }).await.expect("commit");
    assert_eq!(bodies(&store, "s").await, wanted);
}

async fn a_commit_after_another_sequence_conflicts_and_tells_the_head(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    store.commit(held.append("s", 0, &["a", "b"])).await.expect("first");
    for after in [0, 1, 3, u64::MAX] {
        match store.commit(held.append("s", after, &["x"])).await {
            Err(StoreError::Conflict { stream, head }) => assert_eq!((stream.as_str(), head), ("s", 2)),
            other => panic!("after {after}: {other:?}"),
        }
    }
    match store.commit(held.append("new", 1, &["x"])).await {
        Err(StoreError::Conflict { head: 0, .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(bodies(&store, "s").await, ["a", "b"]);
}

async fn a_commit_of_no_records_does_not_look_at_after(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    store.commit(held.append("s", 0, &["a"])).await.expect("first");
    let put = AgendaChange::Put { key: "k".into(), due: 1, body: Bytes::new() };
    store.commit(Commit { after: 77, agenda: vec![put], ..held.commit("s") }).await.expect("second");
    store.commit(Commit { after: 77, ..held.commit("s") }).await.expect("an empty one is fine");
    assert_eq!(store.head("s").await.expect("head"), 1);
    assert_eq!(store.open("s").await.expect("open").len(), 1);
}

/// A commit with one of everything.
fn mixed(base: Commit, expect: Expect) -> Commit {
    let value = Some(Bytes::from_static(b"new"));
    let row = |key: &str, expect| DirectoryChange {
        namespace: "names".into(),
        key: key.into(),
        expect,
        value: value.clone(),
    };
    Commit {
        // The one that may fail comes last: what stands before it must be undone.
        directory: vec![row("free", Expect::Any), row("claimed", expect)],
        agenda: vec![AgendaChange::Put { key: "new".into(), due: 5, body: Bytes::new() }],
        snapshot: Some(Bytes::from_static(b"new state")),
        ..base
    }
}

async fn untouched(store: &Subject) {
    assert_eq!(bodies(store, "s").await, ["a"]);
    assert_eq!(store.head("s").await.expect("head"), 1);
    assert!(store.get("names", "free").await.expect("get").is_none());
    let claimed = store.get("names", "claimed").await.expect("get").expect("the row");
    assert_eq!((claimed.version, &claimed.value[..]), (1, &b"old"[..]));
    assert!(store.open("s").await.expect("open").is_empty());
    assert!(store.load("s").await.expect("load").is_none());
}

async fn prepared(store: &Subject) -> super::Held {
    let held = hold(store, "n1", 3).await;
    let row = DirectoryChange {
        namespace: "names".into(),
        key: "claimed".into(),
        expect: Expect::Absent,
        value: Some(Bytes::from_static(b"old")),
    };
    store.commit(Commit { directory: vec![row], ..held.append("s", 0, &["a"]) }).await.expect("prepare");
    held
}

async fn a_commit_writes_all_its_parts(store: Subject) {
    let held = prepared(&store).await;
    store.commit(mixed(held.append("s", 1, &["b"]), Expect::Version(1))).await.expect("commit");
    assert_eq!(bodies(&store, "s").await, ["a", "b"]);
    assert_eq!(store.get("names", "free").await.expect("get").map(|row| row.version), Some(1));
    assert_eq!(store.get("names", "claimed").await.expect("get").map(|row| row.version), Some(2));
    assert_eq!(store.open("s").await.expect("open").len(), 1);
    assert_eq!(store.load("s").await.expect("load").map(|snapshot| snapshot.seq), Some(2));
}

async fn a_conflict_leaves_no_trace(store: Subject) {
    let held = prepared(&store).await;
    match store.commit(mixed(held.append("s", 5, &["x"]), Expect::Any)).await {
        Err(StoreError::Conflict { head: 1, .. }) => {}
        other => panic!("{other:?}"),
    }
    untouched(&store).await;
    store.commit(held.append("s", 1, &["b"])).await.expect("the stream goes on");
}

async fn a_failed_expectation_leaves_no_trace(store: Subject) {
    let held = prepared(&store).await;
    for expect in [Expect::Absent, Expect::Version(2), Expect::Version(0)] {
        match store.commit(mixed(held.append("s", 1, &["x"]), expect)).await {
            Err(StoreError::Taken { namespace, key }) => {
                assert_eq!((namespace.as_str(), key.as_str()), ("names", "claimed"));
            }
            other => panic!("{expect:?}: {other:?}"),
        }
        untouched(&store).await;
    }
    store.commit(held.append("s", 1, &["b"])).await.expect("the stream goes on");
}

async fn a_fenced_commit_leaves_no_trace(store: Subject) {
    let held = prepared(&store).await;
    for epoch in [0, held.epoch + 1, u64::MAX] {
        let stale = super::Held { epoch, ..held };
        match store.commit(mixed(stale.append("s", 1, &["x"]), Expect::Any)).await {
            Err(StoreError::Fenced { shard, current }) => {
                assert_eq!((shard, current), (held.shard, held.epoch))
            }
            other => panic!("epoch {epoch}: {other:?}"),
        }
    }
    untouched(&store).await;
}

async fn a_shard_that_was_never_taken_accepts_no_commit(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    for epoch in [0, 1] {
        let other = super::Held { shard: 4, epoch };
        match store.commit(other.append("s", 0, &["x"])).await {
            Err(StoreError::Fenced { shard: 4, current: 0 }) => {}
            other => panic!("{other:?}"),
        }
    }
    let beyond = super::Held { shard: u16::MAX, ..held };
    assert!(matches!(store.commit(beyond.append("s", 0, &["x"])).await, Err(StoreError::Fenced { .. })));
}

async fn failing_commits_fail_nobody_else(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let claim = |key: &str| DirectoryChange {
        namespace: "names".into(),
        key: key.into(),
        expect: Expect::Absent,
        value: Some(Bytes::new()),
    };
    store.commit(Commit { directory: vec![claim("taken")], ..held.commit("x") }).await.expect("prepare");
    let mut tasks = JoinSet::new();
    for at in 0..200_u64 {
        let stream = format!("s{at}");
        let good = held.append(&stream, 0, &["a"]);
        let (commit, fails) = match at % 5 {
            1 => (Commit { after: 9, ..good }, "conflict"),
            2 => (Commit { epoch: 99, ..good }, "fenced"),
            3 => (Commit { directory: vec![claim("fresh-by-number"), claim("taken")], ..good }, "taken"),
            _ => (good, ""),
        };
        let store = store.clone();
        tasks.spawn(async move { (stream, fails, store.commit(commit).await) });
    }
    while let Some(done) = tasks.join_next().await {
        let (stream, fails, result) = done.expect("task");
        let found = match &result {
            Ok(()) => "",
            Err(StoreError::Conflict { .. }) => "conflict",
            Err(StoreError::Fenced { .. }) => "fenced",
            Err(StoreError::Taken { .. }) => "taken",
            Err(_) => "other",
        };
        assert_eq!(found, fails, "{stream}: {result:?}");
        let expected = u64::from(fails.is_empty());
        assert_eq!(store.head(&stream).await.expect("head"), expected, "{stream}");
    }
    assert!(store.get("names", "fresh-by-number").await.expect("get").is_none());
}

async fn racing_writers_win_each_sequence_once(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let mut tasks = JoinSet::new();
    for writer in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            let (mut won, mut head) = (Vec::new(), 0);
            while won.len() < 20 {
                let body = format!("{writer}-{}", won.len());
                match store.commit(held.append("s", head, &[body.as_str()])).await {
                    Ok(()) => {
                        head += 1;
                        won.push((head, body));
                    }
                    Err(StoreError::Conflict { head: now, .. }) => {
                        assert_ne!(now, head, "a conflict tells a head that is news");
                        head = now;
                    }
                    Err(error) => panic!("{error}"),
                }
            }
            won
        });
    }
    let mut won = BTreeSet::new();
    while let Some(done) = tasks.join_next().await {
        for (seq, body) in done.expect("task") {
            assert!(won.insert((seq, body)));
        }
    }
    let found: Vec<String> = bodies(&store, "s").await;
    assert_eq!(won.into_iter().map(|(_, body)| body).collect::<Vec<_>>(), found);
    assert_eq!(found.len(), 160);
}

async fn what_is_committed_is_read_at_once(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let mut tasks = JoinSet::new();
    for at in 0..32 {
        let store = store.clone();
        tasks.spawn(async move {
            let stream: Key = format!("s{at}").into();
            for seq in 0..10 {
                store.commit(held.append(&stream, seq, &["a"])).await.expect("commit");
                assert_eq!(store.head(&stream).await.expect("head"), seq + 1);
                let found = store.read(Read::after(stream.clone(), seq, 10)).await.expect("read");
                assert_eq!(found.len(), 1);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("task");
    }
}

async fn a_commit_is_whole_though_its_caller_stops_waiting(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    for at in 0..20 {
        let stream = format!("s{at}");
        let asked = tokio::spawn({
            let (store, commit) = (store.clone(), held.append(&stream, 0, &["a", "b"]));
            async move { store.commit(commit).await }
        });
        tokio::task::yield_now().await;
        asked.abort();
        let _ = asked.await;
        // All or nothing, and a further commit finds out which.
        match store.commit(held.append(&stream, 0, &["a", "b"])).await {
            Ok(()) | Err(StoreError::Conflict { head: 2, .. }) => {}
            Err(error) => panic!("{error}"),
        }
        assert_eq!(bodies(&store, &stream).await, ["a", "b"]);
    }
}
