//! What a person sees while a run lasts: a line on standard error, now and then.

use levee_client::chat;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How often a line may be printed.
const EVERY: Duration = Duration::from_secs(1);

/// Shows progress.
pub(crate) struct Progress {
    quiet: bool,
    started: Instant,
    last: Mutex<Last>,
}

struct Last {
    what: &'static str,
    at: Instant,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        let started = Instant::now();
        Self { quiet, started, last: Mutex::new(Last { what: "", at: started }) }
    }

    /// Shows how far a step is: its beginning, its end, and once a second between.
    pub(crate) fn step(&self, step: chat::Progress) {
        let ends = step.done == step.total;
        if self.due(step.what, ends) {
            self.line(&format!("{:<10} {} of {}", step.what, step.done, step.total));
        }
    }

    /// Shows how far something is that takes a given time.
    pub(crate) fn seconds(&self, what: &'static str, passed: Duration, all: Duration, messages: u64) {
        if self.due(what, passed >= all) {
            let (passed, all) = (passed.as_secs_f64().round(), all.as_secs());
            self.line(&format!("{what:<10} {passed} of {all} s, {messages} messages acknowledged"));
        }
    }

    /// Ends what was shown.
    pub(crate) fn done(&self) {
        self.line("done\n");
    }

    fn due(&self, what: &'static str, ends: bool) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = ends || last.what != what || last.at.elapsed() >= EVERY;
        if due {
            *last = Last { what, at: Instant::now() };
        }
        due
    }

    fn line(&self, text: &str) {
        if !self.quiet {
            eprintln!("{:7.1} s  {text}", self.started.elapsed().as_secs_f64());
        }
    }
}
