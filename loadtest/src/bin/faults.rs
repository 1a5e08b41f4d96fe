//! `faults`: a cluster of real processes, a load, and one fault after the other. It prints a line for each, and
//! in the end tables of figures.

#[path = "../faults/mod.rs"]
mod faults;
#[path = "../figures.rs"]
mod figures;

use anyhow::{Context, Result, bail};
use clap::Parser;
use faults::cluster::{Bus, Cluster, Ground, NODES};
use faults::hosts::Hosts;
use faults::load::{Load, Size};
use faults::report::{self, Row};
use faults::scenes::{self, SCENES};
use faults::table::{FAULTS, Fault, happen};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Breaks one thing after the other under load, and looks whether all promises were kept.
///
/// The exit code is 0 if they were, 1 if one was broken, 2 if the run did not come to its end.
#[derive(Parser)]
#[command(name = "faults")]
struct Arguments {
    /// The `levee` binary.
    #[arg(long, value_name = "FILE")]
    server: PathBuf,
    /// A folder for logs.
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
    /// Messages that are written, at least, while one fault happens.
    #[arg(long, value_name = "N", default_value_t = 3_000)]
    messages: u64,
    /// Messages a second that everybody together writes.
    #[arg(long, value_name = "PER_SECOND", default_value_t = 120.0)]
    rate: f64,
    /// Customers; a fifth of them poll. Each has one conversation.
    #[arg(long, value_name = "N", default_value_t = 300)]
    customers: usize,
    /// Agents; they share the customers evenly.
    #[arg(long, value_name = "N", default_value_t = 30)]
    agents: usize,
    /// Seconds for which Redis is away in the long rows.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    away: u64,
    /// Tell of messages that took longer than is allowed, but don't count that as a fault: for machines that
    /// have other things to do.
    #[arg(long)]
    lenient: bool,
    /// Only rows whose name contains one of these texts; may be given several times.
    #[arg(long, value_name = "TEXT")]
    only: Vec<String>,
    /// Leave out the rows whose name contains this text; may be given several times.
    #[arg(long, value_name = "TEXT")]
    skip: Vec<String>,
    /// List the rows and end.
    #[arg(long)]
    list: bool,
    /// Write the tables into this document too, between its marks.
    #[arg(long, value_name = "FILE")]
    document: Option<PathBuf>,
    /// What the tables say of themselves: the command that made them.
    #[arg(long, value_name = "TEXT", default_value = "")]
    about: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        let names = FAULTS.iter().map(|fault| fault.name).chain(SCENES.iter().map(|(_, name)| *name));
        names.for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let hosts = Hosts::around(NODES);
    let outcome = match hosts {
        Some(hosts) => runtime.block_on(run(&arguments, Some(hosts))),
        None => runtime.block_on(among_hosts(&arguments)),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("faults: {error:#}");
    ExitCode::from(2)
}

/// Makes hosts and runs this program once more among them; without them if they can't be made.
async fn among_hosts(arguments: &Arguments) -> Result<bool> {
    let hosts = match Hosts::make(NODES) {
        Ok(hosts) => hosts,
        Err(error) => {
            println!("no hosts of the nodes' own, so that none can be cut off: {error:#}");
            return run(arguments, None).await;
        }
    };
    let mut command = hosts.command(&std::env::current_exe()?);
    command.args(std::env::args_os().skip(1));
    let mut child = tokio::process::Command::from(command).spawn().context("running among the hosts")?;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status?,
            // It gets the signal too, and ends: the hosts are removed then.
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    match status.code() {
        Some(0) => Ok(true),
        Some(1) => Ok(false),
        _ => bail!("the run among the hosts ended with {status}"),
    }
}

impl Arguments {
    fn wants(&self, name: &str) -> bool {
        let has = |texts: &[String]| texts.iter().any(|text| name.contains(text.as_str()));
        (self.only.is_empty() || has(&self.only)) && !has(&self.skip)
    }
}

async fn run(arguments: &Arguments, hosts: Option<Hosts>) -> Result<bool> {
    std::fs::create_dir_all(&arguments.folder)?;
    let ground = Ground { program: arguments.server.clone(), folder: arguments.folder.clone(), hosts };
    let mut rows = Vec::new();
    for bus in [Bus::Alone, Bus::Watched] {
        let faults: Vec<&Fault> =
            FAULTS.iter().filter(|fault| fault.bus() == bus && arguments.wants(fault.name)).collect();
        if !faults.is_empty() {
            under_load(arguments, &ground, bus, &faults, &mut rows).await?;
        }
    }
    if SCENES.iter().any(|(_, name)| arguments.wants(name)) {
        in_scenes(arguments, &ground, &mut rows).await?;
    }
    let about = if arguments.about.is_empty() { "Figures of a fault run." } else { &arguments.about };
    let tables = report::tables(&rows, about);
    println!("\n{tables}");
    if let Some(document) = &arguments.document {
        report::write(document, &tables)?;
    }
    let (wrong, skipped) = (
        rows.iter().filter(|row| row.wrong.is_some()).count(),
        rows.iter().filter(|row| row.skipped.is_some()),
    );
    println!(
        "{} passed, {wrong} failed, {} skipped",
        rows.len() - wrong - skipped.clone().count(),
        skipped.count()
    );
    Ok(wrong == 0)
}

async fn under_load(
    arguments: &Arguments,
    ground: &Ground,
    bus: Bus,
    faults: &[&Fault],
    rows: &mut Vec<Row>,
) -> Result<()> {
    let size = Size {
        customers: arguments.customers,
        agents: arguments.agents,
        messages: arguments.messages,
        rate: arguments.rate,
    };
    println!("starting PostgreSQL, Redis and {NODES} nodes ({bus:?})");
    let mut cluster = Cluster::start(ground, bus, &[]).await?;
    println!("{} customers and {} agents come together", size.customers, size.agents);
    let mut load = Load::gather(&cluster.address(), &size).await?;
    for fault in faults {
        let mut row = Row {
            name: fault.name,
            part: None,
            shown: String::new(),
            within: fault.within,
            wrong: None,
            skipped: (fault.needs_hosts() && ground.hosts.is_none())
                .then_some("it takes root and namespaces"),
        };
        if row.skipped.is_none() {
            println!("… {}", fault.name);
            let meter = load.meter.clone();
            let away = Duration::from_secs(arguments.away);
            let (letters, frames) = bus_cost(&cluster).await;
            let part = load.through(happen(fault.what, &mut cluster, &meter, away)).await;
            let part = part.with_context(|| format!("in \"{}\"", fault.name))?;
            row.wrong = fault.complaint(&part);
            if let Some(slow) = fault.is_slow(&part) {
                println!("  {slow}");
                if !arguments.lenient {
                    row.wrong = Some(row.wrong.map_or(slow.clone(), |wrong| format!("{wrong}; {slow}")));
                }
            }
            if row.wrong.is_some() {
                part.examples.iter().for_each(|example| println!("  {example}"));
                for node in &cluster.nodes {
                    println!("  a node's last words:\n{}", node.last_words());
                }
            }
            let (more_letters, more_frames) = bus_cost(&cluster).await;
            row.part = Some(part);
            println!("{}", report::line(&row));
            println!(
                "  between the nodes: {:.0} letters in {:.0} frames",
                more_letters - letters,
                more_frames - frames
            );
        } else {
            println!("{}", report::line(&row));
        }
        rows.push(row);
    }
    load.leave().await;
    Ok(())
}

/// Letters that went over the bus, and the `PUBLISH` commands that carried them.
async fn bus_cost(cluster: &Cluster<'_>) -> (f64, f64) {
    let sum = async |name| cluster.figure(name).await.unwrap_or_default();
    (sum("levee_bus_messages_total").await, sum("levee_bus_publishes_total").await)
}

async fn in_scenes(arguments: &Arguments, ground: &Ground, rows: &mut Vec<Row>) -> Result<()> {
    println!("starting PostgreSQL, Redis and {NODES} nodes for scenes");
    let further = [
        format!("--agent-timeout-s={}", scenes::GONE),
        format!("--session-ttl-s={}", scenes::TTL),
        format!("--session-buffer-events={}", scenes::BUFFER),
    ];
    let further: Vec<&str> = further.iter().map(String::as_str).collect();
    let mut cluster = Cluster::start(ground, Bus::Alone, &further).await?;
    for (scene, name) in SCENES.iter().filter(|(_, name)| arguments.wants(name)) {
        println!("… {name}");
        let played = tokio::time::timeout(Duration::from_secs(120), scenes::play(*scene, &mut cluster)).await;
        let (shown, wrong) = match played {
            Ok(Ok(shown)) => (shown, None),
            Ok(Err(error)) => (String::new(), Some(format!("{error:#}"))),
            Err(_) => (String::new(), Some("it takes too long".to_owned())),
        };
        let row = Row { name, part: None, shown, within: [0.0; 2], wrong, skipped: None };
        println!("{}", report::line(&row));
        rows.push(row);
    }
    Ok(())
}
