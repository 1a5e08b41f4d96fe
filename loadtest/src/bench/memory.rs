//! What an idle guest's session costs: resident bytes of the server, before and after many of them.

use super::client::open_many;
use super::process::Subject;
use anyhow::Result;
use std::time::Duration;

/// How many sessions, and how long they are left alone.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Idle {
    /// Sessions that come at a time.
    pub(crate) wave: usize,
    /// How often that many come to be measured, after a first wave that is not.
    pub(crate) waves: usize,
    /// How long they are idle after each wave.
    pub(crate) rest: Duration,
}

/// Resident bytes per session, beyond what the first wave cost. What a wave needs in passing (its users,
/// while they are awake) and then gives back, the first one has brought in already, and the next one finds.
///
/// # Errors
/// When a session can't be opened.
pub(crate) async fn per_session(subject: &Subject, idle: Idle) -> Result<f64> {
    let mut sessions = Vec::new();
    let mut before = 0;
    for wave in 0..=idle.waves {
        sessions.push(open_many(subject.address, idle.wave).await?);
        tokio::time::sleep(idle.rest).await;
        if wave == 0 {
            before = subject.resident()?;
        }
    }
    let after = subject.resident()?;
    Ok((after as f64 - before as f64) / (idle.wave * idle.waves) as f64)
}
