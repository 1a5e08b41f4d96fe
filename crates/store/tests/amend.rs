//! Amendments in databases: there after opening again, nowhere if the transaction failed, together with
//! others in one.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::path::Path;

use bytes::Bytes;
use futures_util::future::join_all;
use levee_store::metrics::StoreMetrics;
use levee_store::postgres::{PostgresOptions, PostgresStore};
use levee_store::sqlite::{SqliteOptions, SqliteStore};
use levee_store::*;
use levee_testbed::Postgres;
use sqlx::{ConnectOptions as _, Connection as _};

async fn hold(store: &impl Store, node: &str) -> u64 {
    let row = NodeRow { node: node.into(), ready: true, ..NodeRow::default() };
    store.heartbeat(row, 60_000).await.unwrap();
    store.take(node, &[1]).await.unwrap()[0].epoch
}

fn append(epoch: u64, stream: &str, after: u64, bodies: &[&'static str]) -> Commit {
    let record = |body: &&'static str| NewRecord {
        kind: "k".into(),
        flags: 3,
        body: Bytes::from_static(body.as_bytes()),
        ..NewRecord::default()
    };
    let records = bodies.iter().map(record).collect();
    Commit { shard: 1, epoch, stream: stream.into(), after, records, ..Commit::default() }
}

/// Takes the first record's content away.
fn gone() -> Vec<Amendment> {
    let body = Some(Bytes::from_static(b"gone"));
    vec![Amendment { before: 2, set_flags: 4, clear_flags: 1, body, ..Amendment::default() }]
}

async fn found(store: &impl Store, stream: &str) -> Vec<(u32, Bytes)> {
    let records = store.read(Read::after(stream, 0, 100)).await.unwrap();
    records.into_iter().map(|found| (found.record.flags, found.record.body)).collect()
}

fn pairs(expected: &[(u32, &'static str)]) -> Vec<(u32, Bytes)> {
    expected.iter().map(|(flags, body)| (*flags, Bytes::from_static(body.as_bytes()))).collect()
}

async fn execute(path: &Path, sql: &'static str) {
    let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn amends_and_appends(store: &impl Store) {
    let epoch = hold(store, "a").await;
    store.commit(append(epoch, "s", 0, &["one", "two"])).await.unwrap();
    store.commit(Commit { amend: gone(), ..append(epoch, "s", 2, &["three"]) }).await.unwrap();
}

const AMENDED: [(u32, &str); 3] = [(6, "gone"), (3, "two"), (3, "three")];

#[tokio::test]
async fn what_was_amended_is_amended_after_opening_the_file_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("levee.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    amends_and_appends(&store).await;
    store.close().await;
    let store = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    assert_eq!(found(&store, "s").await, pairs(&AMENDED));

    // The writer has to look the stream up again.
    let body = Some(Bytes::from_static(b"later"));
    let amend = vec![Amendment { after: 2, before: u64::MAX, body, ..Amendment::default() }];
    let epoch = hold(&store, "b").await;
    store.commit(Commit { amend, ..append(epoch, "s", 0, &[]) }).await.unwrap();
    assert_eq!(found(&store, "s").await, pairs(&[(6, "gone"), (3, "two"), (3, "later")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_reads_what_was_amended() {
    let server = Postgres::start(&[]).unwrap();
    let store = PostgresStore::open(&server.url(), PostgresOptions::default()).await.unwrap();
    let other = PostgresStore::open(&server.url(), PostgresOptions::default()).await.unwrap();
    let before = other.positions().await.unwrap();
    amends_and_appends(&store).await;
    assert_eq!(found(&other, "s").await, pairs(&AMENDED));
    assert_ne!(other.positions().await.unwrap()[1], before[1]);
}

/// Commits to streams of their own, at once; every tenth is refused by the database itself.
async fn some_are_poison(store: &impl Store) {
    let epoch = hold(store, "a").await;
    let names: Vec<String> = (0..50).map(|at| format!("s{at}")).collect();
    let first = names.iter().map(|name| store.commit(append(epoch, name, 0, &["one"])));
    assert!(join_all(first).await.iter().all(Result::is_ok));
    let second = names.iter().enumerate().map(|(at, name)| {
        let mut commit = Commit { amend: gone(), ..append(epoch, name, 1, &["two"]) };
        if at % 10 == 3 {
            commit.agenda = vec![AgendaChange::Put { key: "poison".into(), due: 1, body: Bytes::new() }];
        }
        store.commit(commit)
    });
    for (at, result) in join_all(second).await.into_iter().enumerate() {
        let fine = at % 10 != 3;
        assert_eq!(result.is_ok(), fine, "{at}: {result:?}");
        let expected: &[_] = if fine { &[(6, "gone"), (3, "two")] } else { &[(3, "one")] };
        assert_eq!(found(store, &names[at]).await, pairs(expected), "{at}");
    }
}

#[tokio::test]
async fn a_commit_that_a_file_refuses_amends_nothing_and_the_others_do() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("levee.db");
    SqliteStore::open(&path, SqliteOptions::default()).await.unwrap().close().await;
    execute(
        &path,
        "CREATE TRIGGER refuse BEFORE INSERT ON agenda WHEN NEW.key = 'poison' \
         BEGIN SELECT RAISE(ABORT, 'no'); END",
    )
    .await;
    some_are_poison(&SqliteStore::open(&path, SqliteOptions::default()).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_a_server_refuses_amends_nothing_and_the_others_do() {
    let server = Postgres::start(&[]).unwrap();
    let store = PostgresStore::open(&server.url(), PostgresOptions::default()).await.unwrap();
    server.sql("ALTER TABLE agenda ADD CONSTRAINT refuse CHECK (key <> 'poison'::bytea)").unwrap();
    some_are_poison(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn amendments_of_many_streams_share_a_transaction() {
    let server = Postgres::start(&[]).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let metrics = StoreMetrics::new().unwrap();
    let options = PostgresOptions { metrics: Some(metrics.clone()), ..PostgresOptions::default() };
    share(&PostgresStore::open(&server.url(), options).await.unwrap(), &metrics).await;
    let metrics = StoreMetrics::new().unwrap();
    let options = SqliteOptions { metrics: Some(metrics.clone()), ..SqliteOptions::default() };
    share(&SqliteStore::open(directory.path().join("levee.db"), options).await.unwrap(), &metrics).await;
}

async fn share(store: &impl Store, metrics: &StoreMetrics) {
    let epoch = hold(store, "a").await;
    let names: Vec<String> = (0..300).map(|at| format!("s{at}")).collect();
    let first = names.iter().map(|name| store.commit(append(epoch, name, 0, &["one"])));
    assert!(join_all(first).await.iter().all(Result::is_ok));
    let before = metrics.transactions();
    let second =
        names.iter().map(|name| store.commit(Commit { amend: gone(), ..append(epoch, name, 1, &["two"]) }));
    assert!(join_all(second).await.iter().all(Result::is_ok));
    let transactions = metrics.transactions() - before;
    assert!(transactions < 30, "300 commits took {transactions} transactions");
    for name in &names {
        assert_eq!(found(store, name).await, pairs(&[(6, "gone"), (3, "two")]), "{name}");
    }
}
