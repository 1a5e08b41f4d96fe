//! One suite that every backend must pass: many small checks, each on a fresh store, named for the
//! behaviour that they show. Backends' tests call [`run`], those of blob stores [`blobs::run`]; it is no part
//! of the library's own work.

mod agenda;
mod amend;
mod amend_plain;
pub mod blobs;
mod directory;
mod post;
mod reads;
mod shards;
mod snapshots;
mod streams;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::{Commit, Epoch, NewRecord, NodeRow, Shard, Store};

/// The store under check, as the floors above hold it.
pub type Subject = Arc<dyn Store>;

type Check<S = Subject> = (&'static str, fn(S) -> Pin<Box<dyn Future<Output = ()> + Send>>);

/// A check takes well under a second; a backend over a slow network may take longer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Names the checks of a module, in the order in which they run.
macro_rules! checks {
    ($($name:ident),+ $(,)?) => { $crate::conformance::checks! { super::Subject; $($name),+ } };
    ($subject:ty; $($name:ident),+ $(,)?) => {
        pub(super) const CHECKS: &[super::Check<$subject>] =
            &[$((concat!(module_path!(), "::", stringify!($name)), |store| Box::pin($name(store)))),+];
    };
}
use checks;

/// Runs all checks, each on a store that `make` makes, and panics at the end with the names of those
/// that failed. Their own messages are on the standard error.
pub async fn run<F, Made>(make: F)
where
    F: Fn() -> Made,
    Made: Future<Output = Subject>,
{
    let all = [
        streams::CHECKS,
        reads::CHECKS,
        amend::CHECKS,
        amend_plain::CHECKS,
        snapshots::CHECKS,
        directory::CHECKS,
        agenda::CHECKS,
        shards::CHECKS,
        post::CHECKS,
    ];
    let count = run_all(&all.concat(), make).await;
    assert!(count > 40, "only {count} checks ran");
}

/// Runs checks on any kind of subject, as [`run`] does, and answers how many there were.
async fn run_all<S, F, Made>(checks: &[Check<S>], make: F) -> usize
where
    F: Fn() -> Made,
    Made: Future<Output = S>,
{
    let mut failed = Vec::new();
    for (name, check) in checks {
        let subject = make().await;
        // A task of its own: a panic becomes an error and the others still run. So does one that hangs.
        let mut task = tokio::spawn(check(subject));
        if !matches!(tokio::time::timeout(PATIENCE, &mut task).await, Ok(Ok(()))) {
            task.abort();
            failed.push(name.trim_start_matches("levee_store::conformance::"));
        }
    }
    assert!(failed.is_empty(), "{} of {} checks failed: {failed:#?}", failed.len(), checks.len());
    checks.len()
}

/// A shard held by a registered node.
#[derive(Clone, Copy)]
struct Held {
    shard: Shard,
    epoch: Epoch,
}

/// A node's row.
fn node(name: &str) -> NodeRow {
    let public_address = format!("{name}.example").into();
    NodeRow { node: name.into(), public_address, ready: true, speaks: 1, heard: true }
}

/// Registers `node` for a minute and takes `shard`, which must be free.
async fn hold(store: &Subject, name: &str, shard: Shard) -> Held {
    store.heartbeat(node(name), 60_000).await.expect("heartbeat");
    let leases = store.take(name, &[shard]).await.expect("take");
    assert_eq!((leases.len(), leases[0].node.as_str(), leases[0].live), (1, name, true));
    Held { shard, epoch: leases[0].epoch }
}

impl Held {
    /// A commit that changes nothing yet.
    fn commit(self, stream: &str) -> Commit {
        Commit { shard: self.shard, epoch: self.epoch, stream: stream.into(), ..Commit::default() }
    }

    /// A commit that appends records with these bodies.
    fn append(self, stream: &str, after: u64, bodies: &[&str]) -> Commit {
        Commit { after, records: bodies.iter().map(|body| record(body)).collect(), ..self.commit(stream) }
    }
}

fn record(body: &str) -> NewRecord {
    NewRecord {
        time: 1_700_000_000_000_000,
        kind: "message".into(),
        author: "someone".into(),
        flags: 0,
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

/// The bodies of a stream's first records.
async fn bodies(store: &Subject, stream: &str) -> Vec<String> {
    let records = store.read(crate::Read::after(stream, 0, 10_000)).await.expect("read");
    for (at, record) in records.iter().enumerate() {
        assert_eq!(record.seq, at as u64 + 1, "sequences start at 1 and have no holes");
    }
    records.iter().map(|record| String::from_utf8_lossy(&record.record.body).into_owned()).collect()
}
