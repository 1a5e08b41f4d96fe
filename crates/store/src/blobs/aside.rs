//! Work on bytes that takes long: on threads of its own, few of them, which let all others go first.
//!
//! A file is never in a hurry, and a message always is: whoever hashes or writes megabytes must not keep a processor from
//! those who serve messages, in this process or in another one.

use std::sync::LazyLock;
use tokio::runtime::{Builder, Runtime};

/// How many threads there are.
const THREADS: usize = 4;
/// How far they stand back, of 19.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;

/// Nothing runs on it but what blocks.
static THREADS_OF_FILES: LazyLock<Option<Runtime>> = LazyLock::new(|| {
    let mut builder = Builder::new_current_thread();
    builder.max_blocking_threads(THREADS).thread_name("levee-files").on_thread_start(stand_back);
    builder.build().inspect_err(|error| tracing::warn!(%error, "files have no threads of their own")).ok()
});

/// Has the system run this thread after others. Where it does not let us, files are as important as anything else.
fn stand_back() {
    // On Linux that is of a thread, not of its process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICE) {
        tracing::debug!(%error, "a thread does not stand back");
    }
}

/// Does some work on a thread that lets others go first; `None` if it was broken off.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match &*THREADS_OF_FILES {
        Some(threads) => threads.spawn_blocking(work).await.ok(),
        None => tokio::task::spawn_blocking(work).await.ok(),
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_aside_lets_others_go_first() {
        let nice = || rustix::process::getpriority_process(None).ok();
        let (here, there) = (nice(), aside(nice).await.flatten());
        assert_eq!(there, here.map(|nice| nice.max(NICE)));
    }
}
