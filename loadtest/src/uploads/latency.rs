//! How long messages take on a node, idle and beside uploads at full speed.

use super::carry::{begin, guest};
use super::content::{CHUNK, bytes};
use super::nodes::Nodes;
use anyhow::{Context, Result};
use hdrhistogram::Histogram;
use levee_client::http::Http;
use levee_client::session::Target;
use levee_client::tus::Upload;
use levee_client::{Address, Session};
use serde_json::json;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Who writes, and how often each does.
const PEOPLE: usize = 20;
const EVERY: Duration = Duration::from_millis(100);
/// Messages that are written before any is counted.
const WARM: Duration = Duration::from_secs(3);
/// Bytes of an upload: more than can come within a phase.
const SIZE: u64 = 64 << 30;

/// How long answers took on a node, in milliseconds.
#[derive(Clone, Copy)]
pub(crate) struct Took {
    /// Half of them.
    pub(crate) p50: f64,
    /// All but the slowest hundredth.
    pub(crate) p99: f64,
    /// How many there were.
    pub(crate) count: u64,
}

impl Took {
    fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self { p50: at(0.5), p99: at(0.99), count: histogram.len() }
    }
}

/// What was measured.
pub(crate) struct Measured {
    /// All that was idle.
    pub(crate) idle: Took,
    /// All that was beside uploads.
    pub(crate) beside: Took,
    /// Bytes that the uploads brought in a second.
    pub(crate) bytes_per_second: f64,
}

/// Measures on one node, in turns without uploads and beside so many, so that whatever else the machine does meets both.
pub(crate) async fn measure(
    nodes: &Nodes,
    uploads: usize,
    rounds: usize,
    phase: Duration,
    mut round: impl FnMut(Took, Took),
) -> Result<Measured> {
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
    let (mut idle, mut beside) = (Histogram::new(3)?, Histogram::new(3)?);
    let (mut bytes, mut time) = (0.0, Duration::ZERO);
    for _ in 0..rounds {
        written(&people, WARM).await?;
        let without = written(&people, phase).await?;
        let mut begun = Vec::new();
        for (session, to) in people.iter().cycle().take(uploads) {
            begun.push(begin(session, to, &address, SIZE).await?);
        }
        let flood = Flood::start(&address, &begun)?;
        written(&people, WARM).await?;
        let (before, since) = (received(&address).await?, Instant::now());
        let with = written(&people, phase).await?;
        time += since.elapsed();
        bytes += received(&address).await? - before;
        drop(flood);
        for upload in begun {
            upload.delete(&address).await?;
        }
        round(Took::of(&without), Took::of(&with));
        idle.add(without)?;
        beside.add(with)?;
    }
    let bytes_per_second = bytes / time.as_secs_f64();
    Ok(Measured { idle: Took::of(&idle), beside: Took::of(&beside), bytes_per_second })
}

/// How many bytes of files a node has taken in.
async fn received(address: &Address) -> Result<f64> {
    let figures = Http::new(address.clone()).get("/metrics").await?.text();
    let name = "levee_file_bytes_total{direction=\"in\"} ";
    let value = figures.lines().find_map(|line| line.strip_prefix(name));
    Ok(value.unwrap_or("0").parse()?)
}

/// A process of its own that sends, and lets others go first: senders have machines of their own elsewhere.
struct Flood(Child);

impl Flood {
    fn start(address: &Address, uploads: &[Upload]) -> Result<Self> {
        let mut command = Command::new("nice");
        command.arg("--adjustment=19").arg(std::env::current_exe()?);
        command.arg("--flood").arg(address.port.to_string());
        command.args(uploads.iter().map(|upload| &upload.path)).stdin(Stdio::null());
        Ok(Self(command.spawn().context("the senders don't start")?))
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends to uploads as fast as it goes, until this process is killed.
pub(crate) async fn flood(port: u16, paths: &[String]) -> Result<()> {
    let address = Address::plain("127.0.0.1", port);
    let senders = paths.iter().map(|path| {
        let (address, upload) = (address.clone(), Upload { path: path.clone() });
        async move {
            let mut writing = upload.begin(&address, 0, SIZE).await?;
            // What the bytes are does not matter here, and making them takes processor time.
            let chunk = bytes(0, CHUNK as u64);
            loop {
                writing.send(&chunk).await?;
            }
        }
    });
    futures_util::future::try_join_all(senders).await.map(|_: Vec<()>| ())
}

/// Has everybody write for a while, each at a steady pace, and tells how many microseconds the answers took.
async fn written(people: &[(Arc<Session>, Target)], phase: Duration) -> Result<Histogram<u64>> {
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
    Ok(histogram)
}
