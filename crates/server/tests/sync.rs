//! No reply before its commit is synced, as the kernel saw it: the server runs under `strace`, which
//! records what it receives, syncs and sends. A killed process proves nothing about the disk; this does.
//!
//! The same look at a server that is told not to sync must find fault, or the look is worth nothing.

use levee_client::{Address, RawSocket};
use serde_json::json;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const MESSAGES: u64 = 20;

#[tokio::test]
async fn every_reply_leaves_after_a_sync_that_began_after_its_action_came() {
    let trace = traced("full").await;
    let unsynced = replies_without_sync(&trace);
    assert_eq!(unsynced, Vec::<u64>::new(), "these replies left before a sync");
}

#[tokio::test]
async fn a_server_that_does_not_sync_is_found_out() {
    let trace = traced("off").await;
    assert_eq!(replies_without_sync(&trace).len() as u64, MESSAGES, "the look does not see a missing sync");
}

/// Sends messages one by one to a server under strace; answers what strace recorded.
async fn traced(synchronous: &str) -> String {
    let dir = tempfile::tempdir().expect("a folder");
    let port = rand::random_range(20_000..32_000);
    let record = dir.path().join("trace");
    let mut strace = start(synchronous, port, dir.path(), &record);
    let address = Address::plain("127.0.0.1", port);
    let since = Instant::now();
    let mut socket = loop {
        match RawSocket::connect(&address).await {
            Ok(socket) => break socket,
            Err(error) => assert!(since.elapsed() < Duration::from_secs(60), "no server: {error}"),
        }
        assert!(strace.try_wait().expect("its state").is_none(), "the server ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    socket.action(json!({"action": "create_session", "message_types": ["*"]}), &[]).await.expect("to send");
    socket.named("session_created").await.expect("a session");
    let created =
        socket.ask(json!({"action": "create_channel", "action_id": 1000}), &[]).await.expect("a channel");
    let channel = created.str("channel_id").to_owned();
    for number in 0..MESSAGES {
        let send = json!({"action": "send_message", "action_id": 2000 + number, "channel_id": channel,
            "message_type": "ninchat.com/text", "frames": 1});
        let reply = socket.ask(send, &["{\"text\":\"hello\"}"]).await.expect("a reply");
        assert_eq!(reply.name(), "message_received");
    }
    // strace ends with what it watches.
    let children =
        std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", strace.id())).expect("children");
    for child in children.split_whitespace() {
        Command::new("kill").args(["-TERM", child]).status().expect("kill");
    }
    let since = Instant::now();
    while strace.try_wait().expect("its state").is_none() {
        assert!(since.elapsed() < Duration::from_secs(20), "the server does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    std::fs::read_to_string(record).expect("a record")
}

fn start(synchronous: &str, port: u16, dir: &Path, record: &Path) -> Child {
    Command::new("strace")
        .args([
            "--follow-forks",
            "--string-limit=4096",
            "--trace=fsync,fdatasync,sync_file_range,read,recvfrom,write,writev,sendto,sendmsg",
        ])
        .arg("--output")
        .arg(record)
        .arg(env!("CARGO_BIN_EXE_levee"))
        .args(["serve", "--log-level", "warn", "--sqlite-synchronous", synchronous, "--listen"])
        .arg(format!("127.0.0.1:{port}"))
        .arg("--data-dir")
        .arg(dir.join("data"))
        .stdout(Stdio::null())
        .spawn()
        .expect("strace (Debian package strace) starts")
}

/// The messages whose reply was sent although no sync ended since their action had come.
fn replies_without_sync(trace: &str) -> Vec<u64> {
    let mut unsynced = Vec::new();
    let mut synced_since = Vec::new();
    for line in trace.lines() {
        let ends_sync =
            (line.contains("fdatasync") || line.contains("fsync")) && line.trim_end().ends_with("= 0");
        if ends_sync {
            synced_since.iter_mut().for_each(|(_, synced)| *synced = true);
        }
        for number in 2000..2000 + MESSAGES {
            let id = format!("action_id\\\":{number}");
            if !line.contains(&id) {
                continue;
            }
            // What is masked on its way in can't be read; what goes out can, and the actions come one by one.
            if line.contains("message_received") {
                if !synced_since.iter().any(|(of, synced)| *of == number && *synced) {
                    unsynced.push(number);
                }
                // The next action comes after this reply.
                synced_since.push((number + 1, false));
            }
        }
        if line.contains("channel_joined") {
            synced_since.push((2000, false));
        }
    }
    assert!(trace.contains("message_received"), "the record shows no replies");
    unsynced
}
