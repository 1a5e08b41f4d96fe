//! How much memory processes hold: looked at ten times a second.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const EVERY: Duration = Duration::from_millis(100);
/// Bytes of a page of memory.
const PAGE: u64 = 4096;

/// Watches processes until it is dropped.
pub(crate) struct Watch {
    seen: Arc<Mutex<Vec<Seen>>>,
    task: tokio::task::JoinHandle<()>,
}

/// What was seen of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// Bytes at the beginning.
    pub(crate) first: u64,
    /// Bytes at most.
    pub(crate) most: u64,
}

impl Watch {
    /// Begins to watch.
    pub(crate) fn begin(processes: Vec<u32>) -> Self {
        let first = |process: &u32| {
            let first = resident(*process).unwrap_or_default();
            Seen { first, most: first }
        };
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::new(Mutex::new(processes.iter().map(first).collect()));
        let watched = seen.clone();
        let task = tokio::spawn(async move {
            loop {
                for (number, process) in processes.iter().enumerate() {
                    if let Some(now) = resident(*process) {
                        let mut seen = watched.lock().unwrap_or_else(PoisonError::into_inner);
                        seen[number].most = seen[number].most.max(now);
                    }
                }
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { seen, task }
    }

    /// What was seen so far of each.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Bytes of a process that are in memory, if it is there.
fn resident(process: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * PAGE)
}
