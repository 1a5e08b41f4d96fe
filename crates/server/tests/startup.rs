//! A node that can't do its work says so at its start, in one clear line.

mod support;

use levee_client::Address;
use levee_client::http::Http;
use levee_testbed::{Postgres, Redis, free_port};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{Server, within};

/// How long a node may take to say it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Starts a node that must not start; answers what it says.
fn refuses(postgres: &str, redis: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_levee"));
    command.args(["serve", "--store=postgres", "--listen"]).arg(format!("127.0.0.1:{}", free_port()));
    command.arg(format!("--postgres-url={postgres}")).arg(format!("--redis-url={redis}"));
    without_own_settings(&mut command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the server");
    let since = Instant::now();
    while child.try_wait().expect("its state").is_none() {
        if since.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("it does not end within {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().expect("its output");
    assert_eq!(output.status.code(), Some(1), "it fails");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    said.lines().rfind(|line| line.starts_with("levee: ")).unwrap_or_else(|| panic!("{said}")).to_owned()
}

/// A developer's own settings stay out of this.
fn without_own_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LEVEE_")) {
        command.env_remove(name);
    }
}

#[track_caller]
fn assert_says(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "no \"{word}\" in: {said}");
    }
}

#[test]
fn without_postgresql_a_node_does_not_start() {
    let redis = Redis::start(&[]).expect("Redis");
    let nowhere = format!("postgres://levee@127.0.0.1:{}/postgres", free_port());
    assert_says(&refuses(&nowhere, &redis.url()), &["PostgreSQL", "can't be opened"]);
    let postgres = Postgres::start(&[]).expect("PostgreSQL");
    assert_says(&refuses(&postgres.database_url("absent"), &redis.url()), &["PostgreSQL", "absent"]);
}

#[test]
fn a_schema_that_is_too_new_is_left_alone() {
    let (postgres, redis) = (Postgres::start(&[]).expect("PostgreSQL"), Redis::start(&[]).expect("Redis"));
    let migrated = Command::new(env!("CARGO_BIN_EXE_levee"))
        .args(["migrate", "--store=postgres"])
        .arg(format!("--postgres-url={}", postgres.url()))
        .arg(format!("--redis-url={}", redis.url()))
        .status()
        .expect("levee migrate");
    assert!(migrated.success());
    postgres.sql("UPDATE levee_meta SET value = 999").expect("a newer schema");
    assert_says(&refuses(&postgres.url(), &redis.url()), &["schema", "999"]);
}

#[test]
fn a_redis_that_turns_the_node_away_ends_its_start() {
    let postgres = Postgres::start(&[]).expect("PostgreSQL");
    let redis = Redis::start(&["requirepass secret"]).expect("Redis");
    let said = refuses(&postgres.url(), &redis.url());
    assert_says(&said, &["Redis"]);
    let wrong = redis.url().replace("redis://", "redis://:guess@");
    let said = refuses(&postgres.url(), &wrong);
    assert_says(&said, &["Redis"]);
    assert!(!said.contains("guess"), "a secret in {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_a_node_starts_and_says_that_it_is_degraded() {
    within(Duration::from_secs(60), async {
        let postgres = Postgres::start(&[]).expect("PostgreSQL");
        let url = format!("--postgres-url={}", postgres.url());
        let redis = format!("--redis-url=redis://127.0.0.1:{}", free_port());
        let server = Server::with(&["--store=postgres", &url, &redis]).await;
        let answer = readiness(&server.address()).await;
        assert!(answer.contains("degraded: the bus is away"), "{answer}");
        let guest = server.guest("Ann").await;
        guest.ping().await.expect("a pong");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_the_others_do_not_understand_stays_out() {
    within(Duration::from_secs(90), async {
        let (postgres, redis) =
            (Postgres::start(&[]).expect("PostgreSQL"), Redis::start(&[]).expect("Redis"));
        let url = format!("--postgres-url={}", postgres.url());
        let redis_url = format!("--redis-url={}", redis.url());
        let server = Server::with(&["--store=postgres", &url, &redis_url]).await;
        let other = "INSERT INTO nodes (node, public_address, ready, speaks, heard, ttl, expires) \
             VALUES ('newer', '', true, 77, true, interval '1 hour', now() + interval '1 hour')";
        postgres.sql(other).expect("a node of another version");
        let said = refuses(&postgres.url(), &redis.url());
        assert_says(&said, &["newer", "speaks version 77"]);
        drop(server);
    })
    .await;
}

async fn readiness(address: &Address) -> String {
    Http::new(address.clone()).get("/readyz").await.expect("an answer").text()
}

/// What the doctor says of a node with these settings.
fn doctor(folder: &std::path::Path, settings: &[String]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_levee"));
    command.args(["doctor", "--listen"]).arg(format!("127.0.0.1:{}", free_port()));
    command.arg("--data-dir").arg(folder).args(settings);
    without_own_settings(&mut command);
    String::from_utf8_lossy(&command.output().expect("levee doctor").stdout).into_owned()
}

#[test]
fn the_doctor_tries_out_where_files_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let says =
        |name: &str| doctor(folder.path(), &[format!("--blobs={}", folder.path().join(name).display())]);
    let right = says("files");
    assert!(right.contains("ok    files: "), "{right}");
    std::fs::write(folder.path().join("taken"), "").expect("a file");
    let wrong = says("taken");
    assert!(wrong.contains("wrong files: "), "{wrong}");
}

#[test]
fn the_doctor_has_harmless_bytes_looked_at() {
    let folder = tempfile::tempdir().expect("a folder");
    let nowhere = format!("http://127.0.0.1:{}/", free_port());
    for (scan, wanted) in [
        ("", "ok    scan of files: off"),
        ("grep -q doctor", "ok    scan of files: harmless bytes pass"),
        ("false", "wrong scan of files: file_scan refuses harmless bytes"),
        ("'", "wrong scan of files: file_scan: the command can't be read"),
        (&nowhere, "wrong scan of files: file_scan: "),
    ] {
        let said = doctor(folder.path(), &[format!("--file-scan={scan}")]);
        assert!(said.contains(wanted), "{scan}: {said}");
    }
}
