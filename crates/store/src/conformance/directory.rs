//! The directory: expectations, versions, and pages of a listing.

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Held, Subject, checks, hold};
use crate::{Commit, DirectoryChange, Entry, Expect, Result, StoreError};

checks![
    expectations_hold_exactly_when_they_should,
    versions_count_changes_and_start_anew,
    each_change_of_a_commit_sees_those_before_it,
    one_of_many_claims_wins,
    compare_and_set_loses_no_update,
    namespaces_are_kept_apart,
    pages_follow_one_another_in_the_order_of_keys,
    prefixes_are_literal,
];

fn change(key: &str, expect: Expect, value: Option<&str>) -> DirectoryChange {
    let value = value.map(|value| Bytes::copy_from_slice(value.as_bytes()));
    DirectoryChange { namespace: "names".into(), key: key.into(), expect, value }
}

async fn apply(store: &Subject, held: Held, changes: &[DirectoryChange]) -> Result<()> {
    // No records, agenda or snapshot: a commit may consist of directory changes only.
    store.commit(Commit { directory: changes.to_vec(), ..held.commit("s") }).await
}

async fn version(store: &Subject, key: &str) -> u64 {
    store.get("names", key).await.expect("get").map_or(0, |row| row.version)
}

async fn expectations_hold_exactly_when_they_should(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    for (at, (present, expect, holds)) in [
        (0, Expect::Any, true),
        (0, Expect::Absent, true),
        (0, Expect::Version(0), false),
        (0, Expect::Version(1), false),
        (2, Expect::Any, true),
        (2, Expect::Absent, false),
        (2, Expect::Version(0), false),
        (2, Expect::Version(1), false),
        (2, Expect::Version(2), true),
        (2, Expect::Version(3), false),
    ]
    .into_iter()
    .enumerate()
    {
        for value in [Some("new"), None] {
            let key = format!("{at}{value:?}");
            for _ in 0..present {
                apply(&store, held, &[change(&key, Expect::Any, Some("old"))]).await.expect("prepare");
            }
            let result = apply(&store, held, &[change(&key, expect, value)]).await;
            assert_eq!(result.is_ok(), holds, "{present} {expect:?} {value:?}: {result:?}");
            let expected = match (holds, value) {
                (true, Some(_)) => present + 1,
                (true, None) => 0,
                (false, _) => present,
            };
            assert_eq!(version(&store, &key).await, expected, "{present} {expect:?} {value:?}");
        }
    }
}

async fn versions_count_changes_and_start_anew(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    for (value, expected) in [(Some("a"), 1), (Some("b"), 2), (Some("b"), 3), (None, 0), (Some("c"), 1)] {
        apply(&store, held, &[change("k", Expect::Any, value)]).await.expect("change");
        let found = store.get("names", "k").await.expect("get");
        let wanted = value.map(|value| Entry {
            key: "k".into(),
            version: expected,
            value: Bytes::copy_from_slice(value.as_bytes()),
        });
        assert_eq!(found, wanted);
    }
}

async fn each_change_of_a_commit_sees_those_before_it(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let changes = [
        change("k", Expect::Absent, Some("a")),
        change("k", Expect::Version(1), Some("b")),
        change("k", Expect::Version(2), None),
        change("k", Expect::Absent, Some("c")),
        change("gone", Expect::Absent, Some("d")),
        change("gone", Expect::Version(1), None),
    ];
    apply(&store, held, &changes).await.expect("commit");
    assert_eq!((version(&store, "k").await, version(&store, "gone").await), (1, 0));
    let twice = [change("new", Expect::Absent, Some("a")), change("new", Expect::Absent, Some("b"))];
    assert!(matches!(apply(&store, held, &twice).await, Err(StoreError::Taken { .. })));
    assert_eq!(version(&store, "new").await, 0);
}

async fn one_of_many_claims_wins(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let mut tasks = JoinSet::new();
    for at in 0..50 {
        let store = store.clone();
        tasks.spawn(async move {
            let mine = format!("{at}");
            let claim = change("nonce", Expect::Absent, Some(&mine));
            let commit = Commit { directory: vec![claim], ..held.append(&mine, 0, &["a"]) };
            (mine, store.commit(commit).await)
        });
    }
    let mut winners = Vec::new();
    while let Some(done) = tasks.join_next().await {
        match done.expect("task") {
            (mine, Ok(())) => winners.push(mine),
            (mine, Err(StoreError::Taken { .. })) => assert_eq!(store.head(&mine).await.expect("head"), 0),
            (_, Err(error)) => panic!("{error}"),
        }
    }
    assert_eq!(winners.len(), 1);
    let row = store.get("names", "nonce").await.expect("get").expect("the row");
    assert_eq!((row.version, &row.value[..]), (1, winners[0].as_bytes()));
}

async fn compare_and_set_loses_no_update(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    apply(&store, held, &[change("k", Expect::Absent, Some("0"))]).await.expect("prepare");
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut done = 0;
            while done < 10 {
                let row = store.get("names", "k").await.expect("get").expect("the row");
                let count: u64 = String::from_utf8_lossy(&row.value).parse().expect("a number");
                let next = (count + 1).to_string();
                match apply(&store, held, &[change("k", Expect::Version(row.version), Some(&next))]).await {
                    Ok(()) => done += 1,
                    Err(StoreError::Taken { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("task");
    }
    let row = store.get("names", "k").await.expect("get").expect("the row");
    assert_eq!((row.version, &row.value[..]), (81, &b"80"[..]));
}

async fn namespaces_are_kept_apart(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let rows =
        [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("a\0b", "c"), ("a", "b\0c"), ("1:a", "b")];
    for (namespace, key) in rows {
        let row = DirectoryChange {
            namespace: namespace.into(),
            ..change(key, Expect::Absent, Some(&format!("{namespace}/{key}")))
        };
        apply(&store, held, &[row]).await.expect("claim");
    }
    for (namespace, key) in rows {
        let row = store.get(namespace, key).await.expect("get").expect("the row");
        assert_eq!(&row.value[..], format!("{namespace}/{key}").as_bytes());
    }
    let listed = store.list("a", "", "", 10).await.expect("list");
    assert_eq!(listed.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["b\0c", "bc"]);
}

async fn pages_follow_one_another_in_the_order_of_keys(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let mut keys: Vec<String> = (0..25).map(|at| format!("p/{:02}", at * 7 % 25)).collect();
    keys.extend(["p/é", "p/😀", "p/Z", "p/"].map(String::from));
    let others = ["o/zz", "q/00", "p0", "p", ""].map(String::from);
    let changes: Vec<_> =
        keys.iter().chain(&others).map(|key| change(key, Expect::Absent, Some(key))).collect();
    apply(&store, held, &changes).await.expect("fill");
    keys.sort();
    let (mut found, mut after) = (Vec::new(), String::new());
    loop {
        let page = store.list("names", "p/", &after, 4).await.expect("list");
        assert!(page.len() <= 4);
        let Some(last) = page.last() else { break };
        after = last.key.to_string();
        for row in page {
            assert_eq!((row.version, &row.value[..]), (1, row.key.as_bytes()));
            found.push(row.key.to_string());
        }
    }
    assert_eq!(found, keys);
    assert_eq!(store.list("names", "", "", 1_000).await.expect("list").len(), keys.len() + others.len());
    assert_eq!(store.list("names", "p/", "q", 10).await.expect("list"), []);
    assert_eq!(store.list("names", "p/", "a", usize::MAX).await.expect("list").len(), keys.len());
    assert_eq!(store.list("names", "p/", "", 0).await.expect("list"), []);
    assert_eq!(store.list("nobody", "", "", 10).await.expect("list"), []);
}

async fn prefixes_are_literal(store: Subject) {
    let held = hold(&store, "n1", 3).await;
    let keys = ["a_b", "axb", "a%b", "A_b", "a*b", "a\u{10ffff}b", "a\u{d7ff}", "a\u{e000}", "b"];
    let changes: Vec<_> = keys.iter().map(|key| change(key, Expect::Absent, Some("v"))).collect();
    apply(&store, held, &changes).await.expect("fill");
    for prefix in ["a_", "a%", "a*", "A", "a", "a\u{10ffff}", "a\u{d7ff}", "\u{10ffff}", ""] {
        let mut wanted: Vec<&str> = keys.into_iter().filter(|key| key.starts_with(prefix)).collect();
        wanted.sort_unstable();
        let found = store.list("names", prefix, "", 100).await.expect("list");
        assert_eq!(found.iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), wanted, "{prefix:?}");
    }
}
