//! How long messages take on a node, idle and beside uploads at full speed.

use super::carry::{begin, guest};
use super::content::{CHUNK, bytes};
use super::nodes::Nodes;
use anyhow::Result;
use hdrhistogram::Histogram;
use levee_client::session::Target;
use levee_client::{Address, Session};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Who writes, and how often each does.
const PEOPLE: usize = 20;
const EVERY: Duration = Duration::from_millis(100);
/// Messages that are written before any is counted.
const WARM: Duration = Duration::from_secs(3);
/// Bytes of an upload: more than can come within a phase.
const SIZE: u64 = 64 << 30;

/// What was measured.
pub(crate) struct Measured {
    /// p50, p99 and how many, idle.
    pub(crate) idle: (Duration, Duration, u64),
    /// The same beside the uploads.
    pub(crate) beside: (Duration, Duration, u64),
    /// Bytes that the uploads brought in a second.
    pub(crate) bytes_per_second: f64,
}

/// Measures on one node: for a while without uploads, then beside so many.
pub(crate) async fn measure(nodes: &Nodes, uploads: usize, phase: Duration) -> Result<Measured> {
    let address = nodes.address(0);
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        let (session, events) = guest(&address, &format!("Guest {number}")).await?;
        let channel = session.create_channel(json!({"upload": "member"})).await?;
        people.push((Arc::new(session), Target::Channel(channel)));
        // Events are taken in, so that no buffer fills.
        tokio::spawn(async move {
            let mut events = events;
            while events.next().await.is_some() {}
        });
    }
    written(&people, WARM).await?;
    let idle = written(&people, phase).await?;
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut carriers = Vec::new();
    for number in 0..uploads {
        let (session, to) = people[number % PEOPLE].clone();
        carriers.push(tokio::spawn(flood(session, to, address.clone(), stop.clone(), sent.clone())));
    }
    written(&people, WARM).await?;
    let (before, since) = (sent.load(Ordering::Relaxed), Instant::now());
    let beside = written(&people, phase).await?;
    let bytes_per_second = (sent.load(Ordering::Relaxed) - before) as f64 / since.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    for carrier in carriers {
        carrier.await??;
    }
    Ok(Measured { idle, beside, bytes_per_second })
}

/// Has everybody write for a while, each at a steady pace, and tells how long the answers took.
async fn written(people: &[(Arc<Session>, Target)], phase: Duration) -> Result<(Duration, Duration, u64)> {
    let mut writers = Vec::new();
    for (number, (session, to)) in people.iter().cloned().enumerate() {
        writers.push(tokio::spawn(async move {
            let mut took = Vec::new();
            // Not all at once.
            tokio::time::sleep(EVERY * number as u32 / PEOPLE as u32).await;
            let (mut pace, since) = (tokio::time::interval(EVERY), Instant::now());
            pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            while since.elapsed() < phase {
                pace.tick().await;
                let sent = Instant::now();
                session.send_text(&to, "how are you").await?;
                took.push(sent.elapsed());
            }
            Ok::<_, anyhow::Error>(took)
        }));
    }
    let mut histogram = Histogram::<u64>::new(3)?;
    for writer in writers {
        for took in writer.await?? {
            histogram.record(took.as_micros() as u64)?;
        }
    }
    let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
    Ok((at(0.5), at(0.99), histogram.len()))
}

/// Uploads as fast as it goes until it shall stop, and gives up then.
async fn flood(
    session: Arc<Session>,
    to: Target,
    address: Address,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
) -> Result<()> {
    let upload = begin(&session, &to, &address, SIZE).await?;
    let mut writing = upload.begin(&address, 0, SIZE).await?;
    // What the bytes are does not matter here, and making them takes processor time.
    let chunk = bytes(0, CHUNK as u64);
    while !stop.load(Ordering::Relaxed) {
        writing.send(&chunk).await?;
        sent.fetch_add(chunk.len() as u64, Ordering::Relaxed);
    }
    drop(writing);
    upload.delete(&address).await?;
    Ok(())
}
