//! `bench`: memory per idle session and processor time per message, of the server and of a bare relay.
//!
//! It starts the programs itself, each on the same one core, and talks to them from another.

#[path = "../bench/mod.rs"]
mod bench;

use anyhow::{Context, Result};
use bench::cpu::{Run, measure, record};
use bench::memory::{Idle, per_session};
use bench::process::{Subject, step_aside};
use bench::report::{Messages, Report};
use bench::traffic::{Pairs, Talk};
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Measures the server beside a bare relay.
#[derive(Parser)]
struct Arguments {
    /// The `levee` binary, built for release.
    #[arg(long)]
    server: PathBuf,
    /// The `relay` binary, built for release.
    #[arg(long)]
    relay: PathBuf,
    /// A folder for data; on the kind of disk that the store shall be measured with.
    #[arg(long)]
    folder: PathBuf,
    /// What to measure: memory, cpu or both.
    #[arg(long, default_value = "both", value_parser = ["both", "memory", "cpu"])]
    only: String,
    /// Idle sessions that are measured, in waves, after one such wave as a warm-up.
    #[arg(long, default_value_t = 8_000)]
    sessions: usize,
    /// Conversations of two.
    #[arg(long, default_value_t = 50)]
    pairs: usize,
    /// Messages a second over all conversations.
    #[arg(long, default_value_t = 8_000.0)]
    rate: f64,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 8.0)]
    seconds: f64,
    /// How often each is measured, taking turns.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Sample the server with `perf` as well, into files in the folder.
    #[arg(long)]
    record: bool,
}

/// Seconds after which what is idle leaves the server's memory.
const PASSIVATE: u64 = 2;
/// In how many waves idle sessions come.
const WAVES: usize = 4;
/// Bytes of a message.
const BYTES: usize = 200;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let run = || -> Result<bool> {
        std::fs::create_dir_all(&arguments.folder)
            .with_context(|| format!("{} can't be made", arguments.folder.display()))?;
        if !step_aside() {
            println!("(taskset or a second core is missing: client and server share their cores)");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        tokio::task::LocalSet::new().block_on(&runtime, whole(&arguments))
    };
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures what is asked for; whether the limits hold.
async fn whole(arguments: &Arguments) -> Result<bool> {
    let mut report = Report::default();
    if arguments.only != "cpu" {
        memory(arguments, &mut report).await?;
    }
    if arguments.only != "memory" {
        cpu(arguments, &mut report).await?;
    }
    print!("\n{}", report.table());
    Ok(report.holds())
}

async fn memory(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let idle = Idle {
        wave: arguments.sessions.div_ceil(WAVES),
        waves: WAVES,
        // Entities leave at a look around after they were idle long enough.
        rest: Duration::from_secs(2 * PASSIVATE + 3),
    };
    println!("memory: {} sessions in {WAVES} waves, idle for {:?} after each", idle.wave * WAVES, idle.rest);
    let relay = Subject::relay(&arguments.relay)?;
    report.memory.push(("bare relay", per_session(&relay, idle).await?, false));
    drop(relay);
    for (name, store) in [("levee, SQLite", "sqlite"), ("levee, memory (with what it stores)", "memory")] {
        let levee = Subject::levee(&arguments.server, store, &arguments.folder, PASSIVATE)?;
        // What a store in memory keeps is no session's.
        report.memory.push((name, per_session(&levee, idle).await?, store == "sqlite"));
        println!("  {name}: {:.0} bytes", report.memory.last().map_or(0.0, |(_, bytes, _)| *bytes));
    }
    Ok(())
}

async fn cpu(arguments: &Arguments, report: &mut Report) -> Result<()> {
    let relay = Subject::relay(&arguments.relay)?;
    let sqlite = Subject::levee(&arguments.server, "sqlite", &arguments.folder, PASSIVATE)?;
    let memory = Subject::levee(&arguments.server, "memory", &arguments.folder, PASSIVATE)?;
    let mut pairs = Vec::new();
    for subject in [&relay, &sqlite, &memory] {
        pairs.push(Pairs::open(subject.address, arguments.pairs, BYTES).await?);
    }
    let time = Duration::from_secs_f64(arguments.seconds);
    let paced = |stored| Talk { stored, rate: Some(arguments.rate), window: 16, time };
    let full = |stored| Talk { stored, rate: None, window: 2, time };
    let mut all = [
        (Messages::relay(), &relay, &pairs[0], false),
        (Messages::unstored(), &sqlite, &pairs[1], false),
        (Messages::stored(), &sqlite, &pairs[1], true),
        (Messages::in_memory(), &memory, &pairs[2], true),
    ];
    println!(
        "cpu: {} pairs, {} bytes, {} messages/s, {} rounds of {time:?}",
        arguments.pairs, BYTES, arguments.rate, arguments.rounds
    );
    for round in 1..=arguments.rounds {
        for (of, subject, pairs, stored) in &mut all {
            let run = measure(subject, pairs, paced(*stored)).await.context(of.name)?;
            say(&format!("{}, round {round}", of.name), &run);
            of.rounds.push(run);
        }
    }
    for (of, subject, pairs, stored) in &mut all {
        let run = measure(subject, pairs, full(*stored)).await.context(of.name)?;
        say(&format!("{}, full speed", of.name), &run);
        of.full = Some(run);
    }
    if arguments.record {
        for (at, file) in [(0, "relay"), (1, "unstored"), (2, "stored")] {
            let (of, subject, pairs, stored) = &all[at];
            let file = arguments.folder.join(format!("{file}.data"));
            record(subject, pairs, paced(*stored), &file).await.context(of.name)?;
        }
    }
    report.cpu = all.into_iter().map(|(of, ..)| of).collect();
    Ok(())
}

fn say(name: &str, run: &Run) {
    println!(
        "  {name:<36} {:>6.1} µs ({:.1} + {:.1}), {:>6.0} messages/s, {:>3.0} % of a core",
        run.total(),
        run.user,
        run.system,
        run.rate,
        run.load * 100.0
    );
}
