//! Messages first: the bytes of files go as fast as they can without those who write messages noticing. While commits take
//! longer than they usually do, files go more and more slowly, and else faster again. Whatever it is that files take away
//! from messages, processors, memory or the disk, shows in that.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many times as long as usual commits may take before files go more slowly.
const SLOWER: f64 = 1.5;
/// How much one commit counts in how long they take lately.
const WEIGHT: f64 = 0.05;
/// For how long what commits took says something.
const LATELY: Duration = Duration::from_secs(1);
/// How much of what commits take becomes usual with each step, unless files are to blame for it.
const USED_TO: f64 = 0.01;
/// How often the rate changes, and by what.
const STEP: Duration = Duration::from_millis(100);
const DOWN: f64 = 0.75;
const UP: f64 = 1.05;
/// How many bytes may go in a second: at first, at least, and at most.
const FIRST: f64 = 32.0 * MIB;
const LEAST: f64 = 4.0 * MIB;
const MOST: f64 = 4096.0 * MIB;
const MIB: f64 = 1_048_576.0;
/// What did not go in this time may go later: timers are not exact.
const CREDIT: Duration = Duration::from_millis(20);

/// The pace of a node's files.
pub(super) struct Pace(Mutex<State>);

struct State {
    /// How long a commit takes when nothing is in its way, in seconds; 0 before the first.
    usual: f64,
    /// How long one takes lately.
    lately: f64,
    /// When the last one was.
    heard: Instant,
    /// Bytes that may go in a second.
    rate: f64,
    /// Whether any have waited since the last step.
    waited: bool,
    /// When that was.
    stepped: Instant,
    /// When the next bytes may go.
    next: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State::new(Instant::now())))
    }

    /// Notes how long a commit took that files are not to hold up.
    pub(super) fn committed(&self, took: Duration) {
        self.lock().committed(Instant::now(), took);
    }

    /// Waits until so many bytes may go, and in any case lets others on this thread have their turn.
    pub(super) async fn wait(&self, bytes: usize) {
        let now = Instant::now();
        let when = self.lock().take(now, bytes);
        if when > now {
            tokio::time::sleep(when - now).await;
        } else {
            tokio::task::yield_now().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(now: Instant) -> Self {
        Self { usual: 0.0, lately: 0.0, heard: now, rate: FIRST, waited: false, stepped: now, next: now }
    }

    fn committed(&mut self, now: Instant, took: Duration) {
        let took = took.as_secs_f64();
        let first = self.usual == 0.0;
        self.lately = match first || now > self.heard + LATELY {
            true => took,
            false => self.lately + (took - self.lately) * WEIGHT,
        };
        if first {
            self.usual = took;
        }
        self.heard = now;
        self.step(now);
    }

    /// When some bytes may go: those after them may later.
    fn take(&mut self, now: Instant, bytes: usize) -> Instant {
        self.step(now);
        self.waited |= self.next > now;
        let when = self.next.max(now.checked_sub(CREDIT).unwrap_or(now));
        self.next = when + Duration::from_secs_f64(bytes as f64 / self.rate);
        when
    }

    fn step(&mut self, now: Instant) {
        if now < self.stepped + STEP {
            return;
        }
        // They are not to blame if there are none, or if they hardly go.
        let blameless = self.next + STEP < now || self.rate <= LEAST;
        let heard = now < self.heard + LATELY;
        if heard && (blameless || self.lately < self.usual) {
            self.usual += (self.lately - self.usual) * USED_TO;
        }
        if heard && self.lately > self.usual * SLOWER {
            if !blameless {
                self.rate = (self.rate * DOWN).max(LEAST);
            }
        } else if self.waited {
            // Nobody knows how a rate does that is not reached.
            self.rate = (self.rate * UP).min(MOST);
        }
        (self.stepped, self.waited) = (now, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: usize = 64 << 10;

    /// A node whose commits take so long depending on how many MiB of files go in a second; all that can go goes.
    struct Node {
        state: State,
        now: Instant,
    }

    impl Node {
        fn new() -> Self {
            let now = Instant::now();
            Self { state: State::new(now), now }
        }

        /// Lets seconds go by, with commits every ten milliseconds and with files or without; the rate of the last one.
        fn run(&mut self, seconds: u32, files: bool, commit: impl Fn(f64) -> Option<f64>) -> f64 {
            let mut gone = 0;
            for tick in 0..seconds * 100 {
                if tick % 100 == 0 {
                    gone = 0;
                }
                self.now += Duration::from_millis(10);
                if let Some(millis) = commit(if files { self.state.rate / MIB } else { 0.0 }) {
                    self.state.committed(self.now, Duration::from_secs_f64(millis / 1000.0));
                }
                while files && self.state.next <= self.now {
                    self.state.take(self.now, SLICE);
                    gone += SLICE;
                }
                // The first that can't go waits.
                self.state.waited |= files;
            }
            gone as f64 / MIB
        }
    }

    #[test]
    fn files_go_as_fast_as_messages_do_not_notice() {
        // A hundred MiB in a second make a commit twice as long.
        let commit = |mib: f64| Some(1.0 + mib / 100.0);
        let mut node = Node::new();
        node.run(30, false, commit);
        let rate = node.run(60, true, commit);
        assert!((25.0..100.0).contains(&rate), "{rate}");
        assert!(node.state.lately < node.state.usual * 2.0, "{}", node.state.lately);
        // What was usual before is so after them.
        assert!((0.0009..0.0012).contains(&node.state.usual), "{}", node.state.usual);
    }

    #[test]
    fn while_nobody_writes_files_have_everything() {
        let mut node = Node::new();
        node.run(5, false, |_| Some(1.0));
        assert!(node.run(30, true, |_| None) > 500.0);
    }

    #[test]
    fn what_is_slow_for_other_reasons_becomes_usual_and_files_go_on() {
        let mut node = Node::new();
        node.run(10, false, |_| Some(1.0));
        let slow = node.run(2, true, |_| Some(20.0));
        assert!(slow < 32.0, "{slow}");
        assert!(node.run(120, true, |_| Some(20.0)) > 100.0);
    }
}
