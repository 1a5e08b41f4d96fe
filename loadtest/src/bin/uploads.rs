//! `uploads`: one large file through a cluster of real nodes that breaks, or messages beside many of them. It prints what
//! that cost.

#[path = "../uploads/mod.rs"]
mod uploads;

use anyhow::{Context, Result};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use uploads::carry::{self, mib};
use uploads::latency::{self, Took};
use uploads::nodes::Nodes;

/// Bytes of memory that a file may cost a node.
const MEMORY: u64 = 64 << 20;
/// How many times as long messages may take beside uploads.
const RATIO: f64 = 2.0;
/// Uploads at full speed beside messages.
const UPLOADS: usize = 10;

/// Where files are on an S3 server.
#[cfg(feature = "s3")]
const BUCKET: &str = "files";

/// Carries one file through a cluster whose connections and nodes break, and compares what comes out.
///
/// The exit code is 0 if all was as promised, 1 if something was not, 2 if the run did not come to its end.
#[derive(Parser)]
#[command(name = "uploads")]
struct Arguments {
    /// The `levee` binary.
    #[arg(long, value_name = "FILE", default_value = "levee")]
    server: PathBuf,
    /// A folder for logs and files; the disk needs room for the file twice.
    #[arg(long, value_name = "FOLDER", default_value = "uploads")]
    folder: PathBuf,
    /// How large the file is: 10GiB, 256MiB.
    #[arg(long, value_name = "SIZE", default_value = "10GiB", value_parser = size)]
    size: u64,
    /// Measure how long messages take on a node, idle and beside ten uploads at full speed, in turns.
    #[arg(long)]
    latency: bool,
    /// How often each of both is measured.
    #[arg(long, value_name = "COUNT", default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// For how many seconds each time.
    #[arg(long, value_name = "SECONDS", default_value_t = 8)]
    seconds: u64,
    /// Send to uploads of this node instead; for the run itself.
    #[arg(long, value_name = "PORT", hide = true)]
    flood: Option<u16>,
    /// The paths of those uploads.
    #[arg(hide = true)]
    paths: Vec<String>,
    /// Where the nodes keep files, instead of a folder.
    #[arg(long, value_name = "SETTING")]
    blobs: Option<String>,
    /// Keep them on an S3 server that is started for the run.
    #[cfg(feature = "s3")]
    #[arg(long, conflicts_with = "blobs")]
    s3: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::runtime::Runtime::new()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(&arguments)));
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("uploads: {error:#}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: &Arguments) -> Result<bool> {
    if let Some(port) = arguments.flood {
        return latency::flood(port, &arguments.paths).await.map(|()| true);
    }
    let folder = &arguments.folder;
    let files = folder.join("blobs");
    let blobs = arguments.blobs.clone().unwrap_or_else(|| files.display().to_string());
    #[cfg(feature = "s3")]
    let server = arguments.s3.then(bucket).transpose()?;
    #[cfg(feature = "s3")]
    let blobs = server.as_ref().map_or(blobs, |server| server.setting(BUCKET));
    let count = if arguments.latency { 1 } else { 3 };
    println!("starting PostgreSQL, Redis and {count} nodes");
    let mut nodes = Nodes::start(&arguments.server, folder, &blobs, count).await?;
    let kept = match arguments.latency {
        true => beside(&nodes, arguments.rounds.into(), Duration::from_secs(arguments.seconds)).await,
        false => through(&mut nodes, arguments.size).await,
    };
    drop(nodes);
    let _ = std::fs::remove_dir_all(files);
    kept
}

/// An S3 server with a bucket.
#[cfg(feature = "s3")]
fn bucket() -> Result<levee_testbed::S3> {
    let server = levee_testbed::S3::start().map_err(anyhow::Error::msg)?;
    server.bucket(BUCKET).map_err(anyhow::Error::msg)?;
    Ok(server)
}

/// Carries one file through.
async fn through(nodes: &mut Nodes, size: u64) -> Result<bool> {
    println!("{} go up", mib(size));
    let carried = carry::carry(nodes, size).await?;
    let rate = |time: Duration| format!("{}/s", mib((size as f64 / time.as_secs_f64()) as u64));
    println!("size                  {}", mib(size));
    println!("up                    {:.1} s ({})", carried.up.as_secs_f64(), rate(carried.up));
    println!("until the message     {:.1} s", carried.joined.as_secs_f64());
    println!("down                  {:.1} s ({})", carried.down.as_secs_f64(), rate(carried.down));
    println!("cut off               3 times, and a node killed");
    println!("sent again            {}", mib(carried.again));
    println!("SHA-256               {}", if carried.equal { "equal" } else { "ANOTHER ONE" });
    for (number, added) in carried.memory.iter().enumerate() {
        println!("memory of node {number}      {} more", mib(*added));
    }
    let lean = carried.memory.iter().all(|added| *added < MEMORY);
    if !lean {
        println!("a node took more than {}", mib(MEMORY));
    }
    Ok(carried.equal && lean)
}

/// Measures messages beside uploads.
async fn beside(nodes: &Nodes, rounds: usize, phase: Duration) -> Result<bool> {
    let show = |idle: Took, beside: Took| {
        let ratio = beside.p99 / idle.p99;
        println!("  p99 {:.2} ms idle, {:.2} ms beside uploads: {ratio:.2}", idle.p99, beside.p99);
    };
    let measured = latency::measure(nodes, UPLOADS, rounds, phase, show).await?;
    for (what, took) in [("idle", measured.idle), ("beside uploads", measured.beside)] {
        println!("{what:<21} p50 {:.2} ms, p99 {:.2} ms, {} messages", took.p50, took.p99, took.count);
    }
    let ratio = measured.beside.p99 / measured.idle.p99;
    println!("{UPLOADS} uploads            {}/s", mib(measured.bytes_per_second as u64));
    println!("p99 beside / idle     {ratio:.2}, {RATIO} is allowed");
    Ok(ratio <= RATIO)
}

/// Reads a size.
fn size(text: &str) -> Result<u64> {
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let shift = match unit {
        "" => 0,
        "MiB" => 20,
        "GiB" => 30,
        _ => anyhow::bail!("a size is like 256MiB or 10GiB"),
    };
    let number: u64 = digits.parse().context("a size is like 256MiB or 10GiB")?;
    number.checked_mul(1 << shift).context("that is too much")
}
