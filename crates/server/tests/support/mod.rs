//! The real binary as a process of the test's own, and people to talk to it.

#![allow(dead_code, reason = "each test file uses its own part of this")]

mod balancer;
pub(crate) mod cluster;
pub(crate) mod files;
pub(crate) mod hooks;
pub(crate) mod mail;
pub(crate) mod people;
mod process;
pub(crate) mod rooms;
pub(crate) mod signer;
pub(crate) mod uploads;

pub(crate) use process::Server;

use levee_client::{Error, Event, RawSocket};
use serde_json::json;
use std::future::Future;
use std::time::Duration;

/// How long anything may take before a test fails.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test's body with a time limit.
pub(crate) async fn within<T>(limit: Duration, body: impl Future<Output = T>) -> T {
    tokio::time::timeout(limit, body).await.expect("the test takes too long")
}

/// The `error_type` with which something was refused; it must have been.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>) -> String {
    match outcome.expect_err("it should have been refused") {
        Error::Rejected(event) => event.error_type().to_owned(),
        error => panic!("no answer: {error}"),
    }
}

/// Fails unless the event is this error and answers this action.
#[track_caller]
pub(crate) fn assert_error(event: &Event, error_type: &str, action_id: Option<u64>) {
    assert_eq!(
        (event.name(), event.error_type(), event.action_id()),
        ("error", error_type, action_id),
        "{event:?}"
    );
}

/// Asks for a pong: the connection and its session are well.
pub(crate) async fn is_well(socket: &mut RawSocket) {
    let number = rand::random_range(1_000_000_000..2_000_000_000u64);
    let pong = socket.ask(json!({"action": "ping", "action_id": number}), &[]).await.expect("an answer");
    assert_eq!((pong.name(), pong.action_id()), ("pong", Some(number)));
}

/// The next error.
pub(crate) async fn error(socket: &mut RawSocket) -> Event {
    socket.named("error").await.expect("an answer")
}
