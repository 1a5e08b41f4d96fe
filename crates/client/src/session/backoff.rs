//! Pauses between attempts to connect: doubled each time, and never the same for two clients.

use std::time::Duration;

/// The pauses of one series of attempts.
#[derive(Debug)]
pub(crate) struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first.min(longest), longest }
    }

    /// The next pause: between half of what is due and all of it, so that a crowd that lost its server at
    /// one time does not come back at one time.
    pub(crate) fn pause(&mut self) -> Duration {
        let due = self.next;
        self.next = (due * 2).min(self.longest);
        due.mul_f64(rand::random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(500));
        for due in [100, 200, 400, 500, 500] {
            let pause = backoff.pause().as_millis();
            assert!((due / 2..=due).contains(&pause), "{pause} of {due}");
        }
    }
}
