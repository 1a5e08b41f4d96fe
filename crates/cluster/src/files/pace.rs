//! Messages first: bytes of files go in slices, and the more slowly others get their turn on a thread, the longer each
//! slice is waited with.

use std::time::{Duration, Instant};

/// How long a round of all that is to be done on a thread may take before files wait.
const ROUND: Duration = Duration::from_micros(500);
/// How many times as long as a round files leave a thread to others.
const REST: u32 = 8;
/// How long they wait at most.
const LONGEST: Duration = Duration::from_millis(250);

/// Lets everything else on this thread have its turn, and waits if that took long. Whatever it is that keeps a thread
/// from getting on, other files, messages or other processes, shows in that.
pub(super) async fn after_others() {
    let since = Instant::now();
    tokio::task::yield_now().await;
    let round = since.elapsed();
    if round > ROUND {
        tokio::time::sleep((round * REST).min(LONGEST)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_meets_a_busy_thread_waits() {
        let other = async {
            loop {
                std::thread::sleep(Duration::from_millis(5));
                tokio::task::yield_now().await;
            }
        };
        let since = Instant::now();
        tokio::select! {
            biased;
            () = after_others() => {}
            () = other => {}
        }
        assert!(since.elapsed() >= Duration::from_millis(5) * REST);
    }
}
