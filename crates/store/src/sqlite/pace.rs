//! How often transactions begin. A sync costs about as much for one change as for many: when many come,
//! waiting a moment for more of them saves most of it, and when few come, nobody waits.

use std::time::{Duration, Instant};

/// While many changes come, transactions begin this often.
const EVERY: Duration = Duration::from_millis(2);
/// Changes per [`EVERY`] that are many: more than one caller gets done who waits for each.
const MANY: f64 = 8.0;
/// How much the latest transaction counts for the rate.
const LATEST: f64 = 0.1;

/// The pace of one writer.
#[derive(Debug)]
pub(super) struct Pace {
    began: Instant,
    /// Changes per [`EVERY`], lately.
    rate: f64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), rate: 0.0 }
    }

    /// Waits until the next transaction may begin. Only the writer's own thread waits.
    pub(super) fn keep(&self) {
        let wait = self.wait(Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
    }

    fn wait(&self, now: Instant) -> Duration {
        if self.rate < MANY { Duration::ZERO } else { EVERY.saturating_sub(now.duration_since(self.began)) }
    }

    /// A transaction of so many changes begins.
    pub(super) fn begin(&mut self, changes: usize) {
        self.begin_at(Instant::now(), changes);
    }

    fn begin_at(&mut self, now: Instant, changes: usize) {
        let passed = now.duration_since(self.began).as_secs_f64().max(1e-6);
        let latest = changes as f64 * EVERY.as_secs_f64() / passed;
        // A change after a silence says nothing of the rate before it.
        self.rate += (latest.min(1e3) - self.rate) * LATEST;
        self.began = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pace: &mut Pace, transactions: usize, gap: Duration, changes: usize) -> Duration {
        for _ in 0..transactions {
            let now = pace.began + gap;
            pace.begin_at(now, changes);
        }
        pace.wait(pace.began + gap)
    }

    #[test]
    fn few_changes_never_wait_and_many_do() {
        let mut pace = Pace::new();
        let quick = Duration::from_micros(400);
        assert_eq!(after(&mut pace, 100, quick, 1), Duration::ZERO, "one caller after the other");
        assert_eq!(after(&mut pace, 100, quick, 4), EVERY - quick, "ten a millisecond");
        assert_eq!(after(&mut pace, 100, 3 * EVERY, 40), Duration::ZERO, "a disk that is slow itself");
        assert_eq!(after(&mut pace, 100, 100 * EVERY, 1), Duration::ZERO, "silence");
    }
}
