//! What a commit costs: CPU of all threads per commit of one 300-byte record, on SQLite in a temporary
//! directory, at several numbers of callers at once. Run it in release mode:
//! `cargo run --release -p levee-store --example commit_cost [directory [streams [callers …]]]`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use levee_store::metrics::StoreMetrics;
use levee_store::sqlite::{SqliteOptions, SqliteStore};
use levee_store::{Commit, NewRecord, NodeRow, Shards as _, Streams as _};

type Error = Box<dyn std::error::Error>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let directory = match arguments.next() {
        Some(path) => tempfile::tempdir_in(path)?,
        None => tempfile::tempdir()?,
    };
    let streams: usize = arguments.next().map_or(Ok(4_096), |text| text.parse())?;
    let mut callers = arguments.map(|text| text.parse()).collect::<Result<Vec<usize>, _>>()?;
    if callers.is_empty() {
        callers = vec![1, 16, 256];
    }
    println!("{streams} streams, records of 300 bytes, in {}", directory.path().display());
    println!("callers  commits/s  commits/transaction  CPU µs/commit  p50 ms  p99 ms");
    for callers in callers {
        let path = directory.path().join(format!("{callers}.db"));
        measure(&path, callers, streams.max(callers)).await?;
    }
    Ok(())
}

async fn measure(path: &std::path::Path, callers: usize, streams: usize) -> Result<(), Error> {
    let metrics = StoreMetrics::new()?;
    let options = SqliteOptions { metrics: Some(metrics.clone()), ..SqliteOptions::default() };
    let store = Arc::new(SqliteStore::open(path, options).await?);
    let node = NodeRow { node: "bench".into(), ready: true, ..NodeRow::default() };
    store.heartbeat(node, 3_600_000).await?;
    let epoch = store.take("bench", &[7]).await?[0].epoch;

    run(&store, epoch, callers, streams, Duration::from_millis(500), 0).await?;
    let (cpu, commits, transactions, started) =
        (cpu_time()?, metrics.applied(), metrics.transactions(), Instant::now());
    let mut latencies = run(&store, epoch, callers, streams, Duration::from_secs(4), 1).await?;
    let took = started.elapsed().as_secs_f64();
    let cpu = cpu_time()? - cpu;
    let commits = (metrics.applied() - commits) as f64;
    let transactions = (metrics.transactions() - transactions) as f64;
    latencies.sort_unstable();
    let at = |share: f64| latencies[(latencies.len() as f64 * share) as usize].as_secs_f64() * 1e3;
    println!(
        "{callers:7}  {:9.0}  {:19.1}  {:13.1}  {:6.2}  {:6.2}",
        commits / took,
        commits / transactions,
        cpu.as_secs_f64() * 1e6 / commits,
        at(0.5),
        at(0.99),
    );
    store.close().await;
    Ok(())
}

/// Each caller owns its share of the streams and commits to them in turn.
async fn run(
    store: &Arc<SqliteStore>,
    epoch: u64,
    callers: usize,
    streams: usize,
    time: Duration,
    round: usize,
) -> Result<Vec<Duration>, Error> {
    let body = Bytes::from(vec![b'x'; 300]);
    let callers: Vec<_> = (0..callers)
        .map(|caller| {
            let (store, body) = (store.clone(), body.clone());
            tokio::spawn(async move {
                let own = streams / callers;
                let mut heads = vec![0_u64; own];
                let mut latencies = Vec::new();
                let started = Instant::now();
                for at in (0..own).cycle() {
                    if started.elapsed() > time {
                        break;
                    }
                    let record = NewRecord {
                        time: 1_700_000_000_000_000,
                        kind: "message".into(),
                        author: "2k0123456789abcdef".into(),
                        flags: 1,
                        body: body.clone(),
                    };
                    let commit = Commit {
                        shard: 7,
                        epoch,
                        stream: format!("7k{round}-{caller:08}-{at:08}").into(),
                        after: heads[at],
                        records: vec![record],
                        ..Commit::default()
                    };
                    heads[at] += 1;
                    let asked = Instant::now();
                    store.commit(commit).await?;
                    latencies.push(asked.elapsed());
                }
                Ok::<_, levee_store::StoreError>(latencies)
            })
        })
        .collect();
    let mut all = Vec::new();
    for caller in callers {
        all.extend(caller.await??);
    }
    Ok(all)
}

/// User and system time of all threads of this process so far.
fn cpu_time() -> Result<Duration, Error> {
    // Nanoseconds on the CPU, one file per thread; a thread that ended is missing, but none ends here
    // while it is measured.
    let mut total = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        total += text.split_whitespace().next().ok_or("empty schedstat")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(total))
}
