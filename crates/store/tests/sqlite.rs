//! The store in a SQLite file keeps every rule, and what is in the file is there again.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use levee_store::conformance::{self, Subject};
use levee_store::metrics::StoreMetrics;
use levee_store::sqlite::{SCHEMA_VERSION, SqliteOptions, SqliteStore, migrate};
use levee_store::*;
use sqlx::{ConnectOptions as _, Connection as _};

fn options() -> SqliteOptions {
    SqliteOptions { lock_wait: Duration::from_millis(100), ..SqliteOptions::default() }
}

fn counted() -> (SqliteOptions, StoreMetrics) {
    let metrics = StoreMetrics::new().unwrap();
    (SqliteOptions { metrics: Some(metrics.clone()), ..options() }, metrics)
}

fn file() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("levee.db");
    (directory, path)
}

async fn execute(path: &Path, sql: &'static str) {
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .connect()
        .await
        .unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Registers `node` and takes shard 1.
async fn hold(store: &SqliteStore, node: &str) -> u64 {
    let row = NodeRow { node: node.into(), ready: true, ..NodeRow::default() };
    store.heartbeat(row, 60_000).await.unwrap();
    store.take(node, &[1]).await.unwrap()[0].epoch
}

fn append(epoch: u64, stream: &str, after: u64, body: impl Into<Bytes>) -> Commit {
    let record = NewRecord { kind: "k".into(), body: body.into(), ..NewRecord::default() };
    Commit { shard: 1, epoch, stream: stream.into(), after, records: vec![record], ..Commit::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_a_sqlite_file_conforms() {
    let directory = tempfile::tempdir().unwrap();
    let number = AtomicUsize::new(0);
    conformance::run(async || {
        let name = format!("{}.db", number.fetch_add(1, Ordering::SeqCst));
        Arc::new(SqliteStore::open(directory.path().join(name), options()).await.unwrap()) as Subject
    })
    .await;
}

/// Batches of three, so that everything above also happens across transactions.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_conforms_with_small_batches_and_a_short_queue() {
    let directory = tempfile::tempdir().unwrap();
    let number = AtomicUsize::new(0);
    conformance::run(async || {
        let name = format!("{}.db", number.fetch_add(1, Ordering::SeqCst));
        let options = SqliteOptions { batch: 3, queue: 2, readers: 1, ..options() };
        Arc::new(SqliteStore::open(directory.path().join(name), options).await.unwrap()) as Subject
    })
    .await;
}

#[tokio::test]
async fn everything_is_there_after_opening_again() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path, options()).await.unwrap();
    let epoch = hold(&store, "a").await;
    let row = DirectoryChange {
        namespace: "n".into(),
        key: "k".into(),
        expect: Expect::Absent,
        value: Some(Bytes::from_static(b"v")),
    };
    let commit = Commit {
        directory: vec![row.clone()],
        agenda: vec![AgendaChange::Put { key: "t".into(), due: 7, body: Bytes::from_static(b"later") }],
        snapshot: Some(Bytes::from_static(b"state")),
        ..append(epoch, "s", 0, "one")
    };
    store.commit(commit).await.unwrap();
    store.close().await;

    let store = SqliteStore::open(&path, options()).await.unwrap();
    assert_eq!(store.read(Read::after("s", 0, 10)).await.unwrap()[0].record.body, "one");
    assert_eq!(store.get("n", "k").await.unwrap().unwrap().value, "v");
    assert_eq!(store.load("s").await.unwrap(), Some(Snapshot { seq: 1, body: "state".into() }));
    assert_eq!(store.due(1, 0..=7, 10).await.unwrap()[0].body, "later");
    // The writer has to look it all up again.
    assert!(matches!(
        store.commit(append(epoch, "s", 0, "x")).await,
        Err(StoreError::Conflict { head: 1, .. })
    ));
    let again = Commit { directory: vec![row], ..append(epoch, "s", 1, "x") };
    assert!(matches!(store.commit(again).await, Err(StoreError::Taken { .. })));
    store.commit(append(epoch, "s", 1, "two")).await.unwrap();
    store.commit(append(epoch, "new", 0, "other")).await.unwrap();
    assert_eq!(store.head("s").await.unwrap(), 2);
    assert_eq!(store.head("new").await.unwrap(), 1);
}

#[tokio::test]
async fn a_new_process_takes_the_shards_at_once_and_under_a_new_epoch() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path, options()).await.unwrap();
    let old = hold(&store, "a").await;
    store.close().await;
    let store = SqliteStore::open(&path, options()).await.unwrap();
    let lease = store.leases().await.unwrap().remove(0);
    assert_eq!((lease.node.as_str(), lease.epoch, lease.live), ("a", old, false));
    assert_eq!(hold(&store, "b").await, old + 1);
    assert!(matches!(store.commit(append(old, "s", 0, "x")).await, Err(StoreError::Fenced { .. })));
}

#[tokio::test]
async fn a_release_is_there_after_opening_again() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path, options()).await.unwrap();
    let epoch = hold(&store, "a").await;
    store.release("a", &[1]).await.unwrap();
    store.close().await;
    let store = SqliteStore::open(&path, options()).await.unwrap();
    let lease = store.leases().await.unwrap().remove(0);
    assert_eq!((lease.node.as_str(), lease.epoch), ("", epoch));
}

#[tokio::test]
async fn a_second_opener_is_refused_with_one_clear_error() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path, options()).await.unwrap();
    for result in [SqliteStore::open(&path, options()).await.map(drop), migrate(&path).await.map(drop)] {
        let message = result.unwrap_err().to_string();
        assert!(message.contains("is in use by another process (pid "), "{message}");
    }
    store.close().await;
    SqliteStore::open(&path, options()).await.unwrap();
}

#[tokio::test]
async fn the_file_is_let_go_when_the_last_handle_is_dropped() {
    let (_directory, path) = file();
    for after in 0..3 {
        let options = SqliteOptions { lock_wait: Duration::from_secs(5), ..options() };
        let store = SqliteStore::open(&path, options).await.unwrap();
        let epoch = hold(&store, "a").await;
        store.clone().commit(append(epoch, "s", after, "x")).await.unwrap();
    }
}

#[tokio::test]
async fn a_closed_store_answers_that_it_is_closed() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path, options()).await.unwrap();
    let epoch = hold(&store, "a").await;
    store.close().await;
    store.close().await;
    assert!(matches!(store.commit(append(epoch, "s", 0, "x")).await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.head("s").await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn closing_finishes_what_was_queued() {
    let (_directory, path) = file();
    let store = SqliteStore::open(&path, options()).await.unwrap();
    let epoch = hold(&store, "a").await;
    let names: Vec<String> = (0..100).map(|at| format!("s{at}")).collect();
    let commits = join_all(names.iter().map(|name| store.commit(append(epoch, name, 0, "x"))));
    let (results, ()) = tokio::join!(commits, store.close());
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let store = SqliteStore::open(&path, options()).await.unwrap();
    for name in names {
        assert_eq!(store.head(&name).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (_directory, path) = file();
    SqliteStore::open(&path, options()).await.unwrap().close().await;
    execute(&path, "UPDATE meta SET value = value + 1 WHERE name = 'schema_version'").await;
    for result in [SqliteStore::open(&path, options()).await.map(drop), migrate(&path).await.map(drop)] {
        match result {
            Err(StoreError::Schema { found, supported, .. }) => {
                assert_eq!((found, supported), (SCHEMA_VERSION + 1, SCHEMA_VERSION));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn without_migrating_a_new_file_is_refused_until_it_was_migrated() {
    let (_directory, path) = file();
    let strict = SqliteOptions { migrate: false, ..options() };
    match SqliteStore::open(&path, strict.clone()).await {
        Err(StoreError::Schema { found: 0, advice, .. }) => assert_eq!(advice, "migrate it first"),
        other => panic!("{other:?}"),
    }
    assert_eq!(migrate(&path).await.unwrap(), 0);
    assert_eq!(migrate(&path).await.unwrap(), SCHEMA_VERSION, "migrating twice is harmless");
    SqliteStore::open(&path, strict).await.unwrap();
}

#[tokio::test]
async fn a_foreign_file_is_refused_and_left_alone() {
    let (_directory, path) = file();
    execute(&path, "CREATE TABLE meta (name TEXT, value INTEGER)").await;
    assert!(matches!(SqliteStore::open(&path, options()).await, Err(StoreError::Damaged(_))));
    let (_directory, path) = file();
    std::fs::write(&path, "this is no database, only a text of some length".repeat(100)).unwrap();
    assert!(matches!(SqliteStore::open(&path, options()).await, Err(StoreError::Damaged(_))));
    let (directory, _) = file();
    let missing = directory.path().join("missing/levee.db");
    assert!(matches!(SqliteStore::open(&missing, options()).await, Err(StoreError::Unavailable(_))));
}

#[tokio::test]
async fn many_commits_share_few_transactions() {
    let (_directory, path) = file();
    let (options, metrics) = counted();
    let store = SqliteStore::open(&path, options).await.unwrap();
    let epoch = hold(&store, "a").await;
    let before = metrics.transactions();
    let results = join_all((0..1_000).map(|at| {
        let store = store.clone();
        async move { store.commit(append(epoch, &format!("s{at}"), 0, "x")).await }
    }))
    .await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!((metrics.applied(), metrics.records()), (1_000, 1_000));
    let transactions = metrics.transactions() - before;
    assert!(transactions <= 50, "{transactions} transactions for 1,000 commits");
}

#[tokio::test]
async fn a_transaction_is_bounded_by_bytes() {
    let (_directory, path) = file();
    let (options, metrics) = counted();
    let store = SqliteStore::open(&path, SqliteOptions { batch_bytes: 2_000, ..options }).await.unwrap();
    let epoch = hold(&store, "a").await;
    let before = metrics.transactions();
    let names: Vec<String> = (0..100).map(|at| format!("s{at}")).collect();
    let commits = names.iter().map(|name| store.commit(append(epoch, name, 0, vec![1; 1_000])));
    assert!(join_all(commits).await.iter().all(Result::is_ok));
    let transactions = metrics.transactions() - before;
    assert!((50..=100).contains(&transactions), "{transactions} transactions of two commits at most");
}

#[tokio::test]
async fn a_full_store_says_so_and_loses_nothing() {
    let (_directory, path) = file();
    let small = SqliteOptions { max_bytes: Some(400 << 10), ..options() };
    let store = SqliteStore::open(&path, small).await.unwrap();
    let epoch = hold(&store, "a").await;
    let mut head = 0;
    let error = loop {
        match store.commit(append(epoch, "s", head, vec![7; 20_000])).await {
            Ok(()) => head += 1,
            Err(error) => break error,
        }
        assert!(head < 100, "it never got full");
    };
    assert!(matches!(error, StoreError::Full), "{error}");
    assert!(head > 5, "it was full at once");
    assert_eq!(store.head("s").await.unwrap(), head);
    // What the writer remembered of the failed commit is forgotten.
    assert!(matches!(
        store.commit(append(epoch, "s", head + 1, "x")).await,
        Err(StoreError::Conflict { head: now, .. }) if now == head
    ));
    assert_eq!(store.leases().await.unwrap()[0].epoch, epoch);
    store.close().await;

    let store = SqliteStore::open(&path, options()).await.unwrap();
    let epoch = hold(&store, "b").await;
    store.commit(append(epoch, "s", head, vec![7; 20_000])).await.unwrap();
    assert_eq!(store.read(Read::after("s", 0, 100)).await.unwrap().len() as u64, head + 1);
}

#[tokio::test]
async fn a_commit_that_fails_in_its_last_table_is_nowhere() {
    let (_directory, path) = file();
    SqliteStore::open(&path, options()).await.unwrap().close().await;
    execute(
        &path,
        "CREATE TRIGGER refuse BEFORE INSERT ON agenda WHEN NEW.key = 'poison' \
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .await;
    let store = SqliteStore::open(&path, options()).await.unwrap();
    let epoch = hold(&store, "a").await;
    let row = DirectoryChange {
        namespace: "n".into(),
        key: "k".into(),
        expect: Expect::Absent,
        value: Some(Bytes::new()),
    };
    let commit = Commit {
        directory: vec![row],
        agenda: vec![AgendaChange::Put { key: "poison".into(), due: 1, body: Bytes::new() }],
        snapshot: Some(Bytes::new()),
        ..append(epoch, "s", 0, "x")
    };
    assert!(store.commit(commit.clone()).await.is_err());
    assert_eq!(store.head("s").await.unwrap(), 0);
    assert!(store.get("n", "k").await.unwrap().is_none());
    assert!(store.load("s").await.unwrap().is_none());
    store.commit(Commit { agenda: Vec::new(), ..commit }).await.unwrap();
    assert_eq!(store.head("s").await.unwrap(), 1);
}

#[tokio::test]
async fn a_row_that_can_not_be_written_fails_only_its_own_commit() {
    let (_directory, path) = file();
    SqliteStore::open(&path, options()).await.unwrap().close().await;
    execute(
        &path,
        "CREATE TRIGGER refuse BEFORE INSERT ON records WHEN NEW.kind = 'poison' \
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .await;
    let store = SqliteStore::open(&path, options()).await.unwrap();
    let epoch = hold(&store, "a").await;
    let results = join_all((0..100).map(|at| {
        let store = store.clone();
        async move {
            let mut commit = append(epoch, &format!("s{at}"), 0, "x");
            if at % 10 == 3 {
                commit.records[0].kind = "poison".into();
            }
            store.commit(commit).await
        }
    }))
    .await;
    for (at, result) in results.into_iter().enumerate() {
        assert_eq!(result.is_ok(), at % 10 != 3, "{at}: {result:?}");
        assert_eq!(store.head(&format!("s{at}")).await.unwrap(), u64::from(at % 10 != 3));
    }
}
