//! What a message costs: processor time of the server while pairs talk, divided by the messages.

use super::process::{Spent, Subject};
use super::traffic::{Pairs, Talk};
use anyhow::{Context, Result};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long traffic flows before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// One measurement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// Microseconds per message, in the program.
    pub(crate) user: f64,
    /// Microseconds per message, in the kernel.
    pub(crate) system: f64,
    /// Messages a second.
    pub(crate) rate: f64,
    /// The share of one core that was used.
    pub(crate) load: f64,
}

impl Run {
    /// Microseconds per message.
    pub(crate) fn total(&self) -> f64 {
        self.user + self.system
    }
}

/// Talks and measures.
///
/// # Errors
/// When a message is refused, lost or repeated.
pub(crate) async fn measure(subject: &Subject, pairs: &Pairs, talk: Talk) -> Result<Run> {
    let whole = Talk { time: talk.time + WARM_UP, ..talk };
    let measuring = async {
        tokio::time::sleep(WARM_UP).await;
        let (spent, counts, since) = (subject.spent()?, pairs.counts(), Instant::now());
        // A little less, so that the end is not in it.
        tokio::time::sleep(talk.time.mul_f64(0.98)).await;
        let (took, counted) = (since.elapsed().as_secs_f64(), pairs.counts().replied - counts.replied);
        Ok::<_, anyhow::Error>((subject.spent()?.since(spent), counted as f64, took))
    };
    let (talked, measured) = tokio::join!(pairs.talk(whole), measuring);
    talked?;
    let (Spent { user, system }, messages, took) = measured?;
    let per_message = 1e6 / messages.max(1.0);
    Ok(Run {
        user: user * per_message,
        system: system * per_message,
        rate: messages / took,
        load: (user + system) / took,
    })
}

/// Talks while `perf` samples the program into a file.
///
/// # Errors
/// When `perf` can't be run, or a message is lost.
pub(crate) async fn record(subject: &Subject, pairs: &Pairs, talk: Talk, file: &Path) -> Result<()> {
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "--freq", "1999", "-g", "--pid", &subject.id().to_string(), "--output"]);
    perf.arg(file).args(["--", "sleep", &talk.time.as_secs_f64().to_string()]);
    let mut recording = perf.stdin(Stdio::null()).spawn().context("perf can't be run")?;
    pairs.talk(Talk { time: talk.time + WARM_UP, ..talk }).await?;
    let status = tokio::task::spawn_blocking(move || recording.wait()).await??;
    anyhow::ensure!(status.success(), "perf record failed ({status})");
    Ok(())
}

/// The middle of some figures, and how far they lie apart.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Median {
    pub(crate) value: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Median {
    /// Of some figures; zero of none.
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        Self { value: at(sorted.len() / 2), least: at(0), most: at(sorted.len().saturating_sub(1)) }
    }
}
