//! The store in PostgreSQL keeps every rule, on a real server, through its ends and starts.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use levee_store::Agenda as AgendaStore;
use levee_store::conformance::{self, Subject};
use levee_store::metrics::StoreMetrics;
use levee_store::postgres::{PostgresOptions, PostgresStore, SCHEMA_VERSION, migrate};
use levee_store::sqlite::{SqliteOptions, SqliteStore};
use levee_store::*;
use levee_testbed::{Postgres, Signal};

fn row(node: &str) -> NodeRow {
    NodeRow { node: node.into(), ready: true, ..NodeRow::default() }
}

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open(url, PostgresOptions::default()).await.unwrap()
}

/// Registers `node` and takes shards.
async fn hold(store: &PostgresStore, node: &str, shards: &[Shard]) -> Vec<u64> {
    store.heartbeat(row(node), 60_000).await.unwrap();
    store.take(node, shards).await.unwrap().iter().map(|lease| lease.epoch).collect()
}

fn append(shard: Shard, epoch: u64, stream: &str, after: u64, body: impl Into<Bytes>) -> Commit {
    let record = NewRecord { kind: "k".into(), body: body.into(), ..NewRecord::default() };
    Commit { shard, epoch, stream: stream.into(), after, records: vec![record], ..Commit::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_in_postgresql_conforms() {
    // Syncing is not what this is about, and there are many databases.
    let server = Postgres::start(&["synchronous_commit=local"]).unwrap();
    let number = AtomicUsize::new(0);
    conformance::run(async || {
        let name = format!("conformance{}", number.fetch_add(1, Ordering::Relaxed));
        let url = server.database(&name).unwrap();
        Arc::new(open(&url).await) as Subject
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_may_forget_is_refused() {
    for (setting, named) in [("fsync=off", "fsync=off"), ("synchronous_commit=off", "synchronous_commit=off")]
    {
        let server = Postgres::start(&[setting]).unwrap();
        let error = PostgresStore::open(&server.url(), PostgresOptions::default()).await.unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_used_is_said_in_a_line() {
    let mut server = Postgres::start(&[]).unwrap();
    assert_eq!(migrate(&server.url()).await.unwrap(), 0);
    assert_eq!(migrate(&server.url()).await.unwrap(), SCHEMA_VERSION);
    let missing = PostgresStore::open(&server.database_url("nothing"), PostgresOptions::default()).await;
    assert!(missing.unwrap_err().to_string().contains("\"nothing\" does not exist"));

    server.sql("UPDATE levee_meta SET value = 99 WHERE name = 'schema_version'").unwrap();
    let newer = PostgresStore::open(&server.url(), PostgresOptions::default()).await.unwrap_err();
    assert!(matches!(newer, StoreError::Schema { found: 99, supported: SCHEMA_VERSION, .. }), "{newer}");

    let empty = server.database("empty").unwrap();
    let options = PostgresOptions { migrate: false, ..PostgresOptions::default() };
    let older = PostgresStore::open(&empty, options).await.unwrap_err();
    assert!(matches!(older, StoreError::Schema { found: 0, .. }), "{older}");

    server.end(Signal::Interrupt).unwrap();
    let away = PostgresStore::open(&server.url(), PostgresOptions::default()).await.unwrap_err();
    assert!(away.to_string().contains(&format!("127.0.0.1:{}", server.port())), "{away}");
    let rubbish =
        PostgresStore::open("postgres://a:secret@[::", PostgresOptions::default()).await.unwrap_err();
    assert!(!rubbish.to_string().contains("secret"), "{rubbish}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_migrate_at_once_make_one_schema() {
    let server = Postgres::start(&[]).unwrap();
    let url = server.url();
    let opened = join_all((0..4).map(|_| PostgresStore::open(&url, PostgresOptions::default()))).await;
    assert!(opened.iter().all(Result::is_ok), "{opened:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_that_wait_share_a_transaction() {
    let server = Postgres::start(&[]).unwrap();
    let metrics = StoreMetrics::new().unwrap();
    let options = PostgresOptions { metrics: Some(metrics.clone()), lanes: 1, ..PostgresOptions::default() };
    let store = PostgresStore::open(&server.url(), options).await.unwrap();
    let epoch = hold(&store, "a", &[1]).await[0];
    let before = metrics.transactions();
    let commits = (0..300).map(|at| store.commit(append(1, epoch, &format!("s{at}"), 0, "x")));
    assert!(join_all(commits).await.iter().all(Result::is_ok));
    let transactions = metrics.transactions() - before;
    assert!(transactions < 30, "300 commits took {transactions} transactions");
}

/// Writers that append one record after the other to streams of their own while `meanwhile` goes on:
/// answers what each was told to be durable.
async fn write_through(
    store: &PostgresStore,
    epochs: &[u64],
    meanwhile: impl Future<Output = ()>,
) -> BTreeMap<String, Vec<u64>> {
    let stop = Arc::new(AtomicBool::new(false));
    let writers = epochs.iter().enumerate().map(|(at, epoch)| {
        let (store, stop, epoch) = (store.clone(), stop.clone(), *epoch);
        tokio::spawn(async move {
            let stream = format!("w{at}");
            let (mut durable, mut number) = (Vec::new(), 0);
            while !stop.load(Ordering::Relaxed) {
                let Ok(head) = store.head(&stream).await else {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    continue;
                };
                number += 1;
                let commit = append(at as Shard, epoch, &stream, head, number.to_string());
                match store.commit(commit).await {
                    Ok(()) => durable.push(number),
                    // It may have been written: then it is there, once.
                    Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                    Err(error) => panic!("{error}"),
                }
            }
            (stream, durable)
        })
    });
    let writers: Vec<_> = writers.collect();
    meanwhile.await;
    stop.store(true, Ordering::Relaxed);
    join_all(writers).await.into_iter().map(Result::unwrap).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_survives_kills_of_the_server() {
    let mut server = Postgres::start(&[]).unwrap();
    let store = open(&server.url()).await;
    let shards: Vec<Shard> = (0..8).collect();
    let epochs = hold(&store, "a", &shards).await;
    let durable = write_through(&store, &epochs, async {
        for signal in [Signal::Kill, Signal::Interrupt, Signal::Kill, Signal::Kill] {
            tokio::time::sleep(Duration::from_millis(400)).await;
            server.end(signal).unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
            server.again().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(400)).await;
    })
    .await;
    let mut all = 0;
    for (stream, numbers) in durable {
        let records = store.read(Read::after(stream.as_str(), 0, 100_000)).await.unwrap();
        let found: Vec<u64> =
            records.iter().map(|r| std::str::from_utf8(&r.record.body).unwrap().parse().unwrap()).collect();
        assert!(found.is_sorted_by(|a, b| a < b), "{stream}: once, and in order");
        assert!(
            numbers.iter().all(|number| found.contains(number)),
            "{stream}: nothing acknowledged is lost"
        );
        all += numbers.len();
    }
    assert!(all > 400, "only {all} were acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_takeover_stops_the_old_owner_exactly() {
    let server = Postgres::start(&[]).unwrap();
    // Two programs: each has connections of its own.
    let (old, new) = (open(&server.url()).await, open(&server.url()).await);
    for round in 0..10 {
        let (shard, stream) = (round as Shard, format!("s{round}"));
        old.heartbeat(row("old"), 30).await.unwrap();
        let epoch = old.take("old", &[shard]).await.unwrap()[0].epoch;
        let writing = {
            let (old, stream) = (old.clone(), stream.clone());
            tokio::spawn(async move {
                let mut written = 0;
                loop {
                    match old.commit(append(shard, epoch, &stream, written, "old")).await {
                        Ok(()) => written += 1,
                        Err(StoreError::Fenced { .. }) => return written,
                        // Another writer's records are there: the fence comes first.
                        Err(error) => panic!("{error}"),
                    }
                }
            })
        };
        let since = Instant::now();
        let epoch = loop {
            assert!(since.elapsed() < Duration::from_secs(10));
            new.heartbeat(row("new"), 60_000).await.unwrap();
            let lease = new.take("new", &[shard]).await.unwrap().remove(0);
            if lease.node == "new" {
                break lease.epoch;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        // From the moment in which the shard is taken, what is there is all that the old owner ever wrote.
        let head = new.head(&stream).await.unwrap();
        new.commit(append(shard, epoch, &stream, head, "new")).await.unwrap();
        assert_eq!(writing.await.unwrap(), head, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_restart_the_holders_have_time_to_renew() {
    let mut server = Postgres::start(&[]).unwrap();
    let store = open(&server.url()).await;
    store.heartbeat(row("a"), 2_000).await.unwrap();
    store.take("a", &[3]).await.unwrap();
    server.end(Signal::Interrupt).unwrap();
    tokio::time::sleep(Duration::from_millis(2_200)).await;
    server.again().unwrap();
    // By the clock a's lease is over, but nobody could have renewed it.
    let mut take = store.heartbeat(row("b"), 2_000).await;
    while take.is_err() {
        take = store.heartbeat(row("b"), 2_000).await;
    }
    assert_eq!(store.take("b", &[3]).await.unwrap()[0].node, "a");
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    store.heartbeat(row("b"), 2_000).await.unwrap();
    assert_eq!(store.take("b", &[3]).await.unwrap()[0].node, "b", "a never came back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stands_still_in_a_transaction_does_not_hold_up_others() {
    let server = Postgres::start(&[]).unwrap();
    let store = open(&server.url()).await;
    store.heartbeat(row("a"), 50).await.unwrap();
    store.take("a", &[3]).await.unwrap();
    // As a paused node's transaction would: its locks are held, and nothing comes.
    let url = server.url();
    let holder = std::thread::spawn(move || {
        let mut psql = std::process::Command::new("psql");
        psql.env("PGOPTIONS", "-c idle_in_transaction_session_timeout=2s").arg(url);
        let mut psql = psql.stdin(std::process::Stdio::piped()).spawn().unwrap();
        use std::io::Write as _;
        let mut input = psql.stdin.take().unwrap();
        writeln!(input, "BEGIN; UPDATE shards SET position = position WHERE shard = 3;").unwrap();
        std::thread::sleep(Duration::from_secs(5));
        drop(input);
        psql.wait().unwrap();
    });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let since = Instant::now();
    store.heartbeat(row("b"), 60_000).await.unwrap();
    while !store.take("b", &[3]).await.is_ok_and(|leases| leases[0].node == "b") {
        assert!(since.elapsed() < Duration::from_secs(5), "the shard can't be taken");
    }
    holder.join().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_file_holds_moves_into_a_database_whole_and_once() {
    let server = Postgres::start(&[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("levee.sqlite");
    let file = SqliteStore::open(&path, SqliteOptions::default()).await.unwrap();
    file.heartbeat(row("alone"), 60_000).await.unwrap();
    let epoch = file.take("alone", &[7]).await.unwrap()[0].epoch;
    for number in 0..100u64 {
        let stream = format!("s{number}\0ä");
        for after in 0..number {
            let mut commit = append(7, epoch, &stream, after, vec![after as u8; 3000]);
            commit.snapshot = Some(Bytes::from_static(b"state"));
            commit.directory.push(DirectoryChange {
                namespace: "names".into(),
                key: format!("{number}/{after}").into(),
                expect: Expect::Absent,
                value: Some(Bytes::from_static(b"row")),
            });
            commit.agenda.push(AgendaChange::Put { key: "due".into(), due: 5, body: Bytes::new() });
            file.commit(commit).await.unwrap();
        }
    }
    let busy = transfer(&path, &server.url(), |_, _| {}).await.unwrap_err();
    assert!(busy.to_string().contains("in use"), "{busy}");
    file.close().await;

    let mut told = 0;
    let moved = transfer(&path, &server.url(), |_, rows| told = told.max(rows)).await.unwrap();
    let expected = Moved { streams: 99, records: 4950, snapshots: 99, directory: 4950, agenda: 99 };
    assert_eq!((moved, told), (expected, 4950));
    let store = open(&server.url()).await;
    for number in [1u64, 50, 99] {
        let stream = format!("s{number}\0ä");
        let records = store.read(Read::after(stream.as_str(), 0, 1000)).await.unwrap();
        assert_eq!(records.len() as u64, number);
        assert!(records.iter().all(|record| record.record.body == vec![(record.seq - 1) as u8; 3000]));
        assert_eq!(store.load(&stream).await.unwrap().unwrap().seq, number);
        assert_eq!(AgendaStore::open(&store, &stream).await.unwrap().len(), 1);
    }
    assert_eq!(store.list("names", "99/", "", 1000).await.unwrap().len(), 99);
    // It goes on: under a new epoch, with streams beside the old ones.
    let new = hold(&store, "new", &[7]).await[0];
    assert!(new > epoch);
    store.commit(append(7, new, "another", 0, "x")).await.unwrap();
    let again = transfer(&path, &server.url(), |_, _| {}).await.unwrap_err();
    assert!(again.to_string().contains("must be empty"), "{again}");
}
