//! What an idle guest's session costs: resident bytes of the server, before and after many of them.

use super::client::open_many;
use super::process::Subject;
use anyhow::Result;
use std::time::Duration;

/// How many sessions, and how long they are left alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idle {
    /// Sessions that fill what is filled only once.
    pub(crate) warm_up: usize,
    /// Sessions that are measured.
    pub(crate) sessions: usize,
    /// How long they are idle before memory is looked at.
    pub(crate) rest: Duration,
}

/// Resident bytes per session, beyond what the first ones cost.
///
/// # Errors
/// When a session can't be opened.
pub(crate) async fn per_session(subject: &Subject, idle: Idle) -> Result<f64> {
    let warm_up = open_many(subject.address, idle.warm_up).await?;
    tokio::time::sleep(idle.rest).await;
    let before = subject.resident()?;
    let measured = open_many(subject.address, idle.sessions).await?;
    tokio::time::sleep(idle.rest).await;
    let after = subject.resident()?;
    drop((warm_up, measured));
    Ok((after as f64 - before as f64) / idle.sessions as f64)
}
