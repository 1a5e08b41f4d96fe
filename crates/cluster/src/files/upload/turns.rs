//! Who writes which upload on this node: the newest request has it, and whoever had it stores first what has come.

use super::Refusal;
use levee_proto::Id;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, Semaphore, SemaphorePermit, watch};

/// How long who writes may take to store what has come.
const STOPS: Duration = Duration::from_secs(20);
/// How often it is tried to get a turn that others want, too.
const TRIES: usize = 4;
/// How many parts of the usual size all that write on a node may hold in memory.
const PARTS: usize = 64;
/// How long it is waited for room in memory.
const WAITS: Duration = Duration::from_secs(20);
/// How many parts a node stores at once at most: as many as keep a disk or a network busy.
const STORES: usize = 4;

/// The turns of a node.
pub(super) struct Turns {
    writers: Arc<Mutex<HashMap<Id, Writer>>>,
    memory: Semaphore,
    stores: Semaphore,
}

/// Who writes.
struct Writer {
    stop: Arc<Notify>,
    done: watch::Receiver<()>,
}

/// A turn on this node; dropped when it is over.
pub(super) struct Place {
    writers: Arc<Mutex<HashMap<Id, Writer>>>,
    file: Id,
    stop: Arc<Notify>,
    _done: watch::Sender<()>,
}

impl Default for Turns {
    fn default() -> Self {
        // Half of the processors are left to messages.
        let stores = std::thread::available_parallelism().map_or(1, usize::from) / 2;
        let stores = Semaphore::new(stores.clamp(1, STORES));
        Self { writers: Arc::default(), memory: Semaphore::new(PARTS), stores }
    }
}

impl Turns {
    /// Has whoever writes a file on this node stop, and waits until that is done.
    pub(super) async fn stop(&self, file: &str) -> bool {
        let before = lock(&self.writers).get(file).map(|writer| (writer.stop.clone(), writer.done.clone()));
        let Some((stop, mut done)) = before else { return true };
        stop.notify_one();
        // Nothing is ever sent: it ends when who writes is gone.
        tokio::time::timeout(STOPS, done.changed()).await.is_ok()
    }

    /// Takes the turn from whoever has it on this node.
    ///
    /// # Errors
    /// [`Refusal::Taken`] when that is not over in time.
    pub(super) async fn take(&self, file: &Id) -> Result<Place, Refusal> {
        for _ in 0..TRIES {
            if !self.stop(file).await {
                break;
            }
            let mut writers = lock(&self.writers);
            if !writers.contains_key(file) {
                let (sender, done) = watch::channel(());
                let stop = Arc::new(Notify::new());
                writers.insert(file.clone(), Writer { stop: stop.clone(), done });
                let writers = self.writers.clone();
                return Ok(Place { writers, file: file.clone(), stop, _done: sender });
            }
        }
        Err(Refusal::Taken)
    }

    /// Waits for room in memory for a part.
    ///
    /// # Errors
    /// [`Refusal::Busy`] when there is none in time.
    pub(super) async fn room(&self, part: u64) -> Result<SemaphorePermit<'_>, Refusal> {
        let parts = part.div_ceil(super::PART) as u32;
        match tokio::time::timeout(WAITS, self.memory.acquire_many(parts)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Refusal::Busy),
        }
    }

    /// Waits until another part may be stored.
    pub(super) async fn store(&self) -> Option<SemaphorePermit<'_>> {
        self.stores.acquire().await.ok()
    }
}

impl Place {
    /// Waits until somebody else wants the turn.
    pub(super) async fn wanted(&self) {
        self.stop.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.writers).remove(&self.file);
    }
}

fn lock(writers: &Mutex<HashMap<Id, Writer>>) -> MutexGuard<'_, HashMap<Id, Writer>> {
    writers.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_has_the_turn_when_the_one_before_is_done() {
        let turns = Turns::default();
        let file = Id::from("00f");
        let first = turns.take(&file).await.expect("a turn");
        let taken = turns.take(&file);
        tokio::pin!(taken);
        tokio::select! {
            biased;
            _ = &mut taken => panic!("the first has not stopped"),
            () = first.wanted() => {}
        }
        drop(first);
        let second = taken.await.expect("a turn");
        assert_eq!(lock(&turns.writers).len(), 1);
        drop(second);
        assert!(lock(&turns.writers).is_empty() && turns.stop(&file).await);
    }
}
