//! `cargo xtask bench`: memory per idle session and processor time per message, beside a bare relay,
//! in one run, and a profile of where the time goes.

mod profile;

use crate::repo::Repo;
use crate::shell;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// What the benchmark ends with when a limit is exceeded.
const EXCEEDED: i32 = 2;

/// Builds the server, the relay and the benchmark, and runs it; arguments are handed on to it.
///
/// # Errors
/// When something can't be built or measured, and when a limit is exceeded.
pub(crate) fn run(repo: &Repo, arguments: &[String]) -> Result<()> {
    println!("1/3 Building for release (the first time takes some minutes)");
    let mut cargo = shell::cargo();
    cargo.current_dir(&repo.root).args(["build", "--release", "--locked"]);
    cargo.args(["--package", "levee-server", "--package", "levee-loadtest"]);
    shell::run(cargo.args(["--bin", "levee", "--bin", "bench", "--bin", "relay"]))?;
    let built = repo.target.join("release");
    let folder = repo.scratch("bench")?;
    println!("2/3 Measuring");
    let records = can_record(&folder);
    let mut bench = Command::new(built.join("bench"));
    bench.arg("--server").arg(built.join("levee")).arg("--relay").arg(built.join("relay"));
    bench.arg("--folder").arg(&folder).args(arguments);
    if records.is_ok() {
        bench.arg("--record");
    }
    for name in profile::NAMES {
        let _ = std::fs::remove_file(folder.join(format!("{name}.data")));
    }
    println!("$ {}", shell::line(&bench));
    let status = bench.stdin(Stdio::null()).status().context("the benchmark can't be run")?;
    if !status.success() && status.code() != Some(EXCEEDED) {
        bail!("the benchmark failed ({status})");
    }
    println!("\n3/3 Where the time goes");
    match records {
        Ok(()) => profile::print(&folder)?,
        Err(why) => println!("(no profile: {why})"),
    }
    if !status.success() {
        bail!("a limit is exceeded");
    }
    Ok(())
}

/// Whether `perf` can sample other processes here; if not, why and what helps.
fn can_record(folder: &Path) -> Result<()> {
    if shell::which("perf").is_none() {
        bail!("perf is missing; on Debian it is in the package linux-perf");
    }
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "-g", "--output"]).arg(folder.join("trial.data")).args(["--", "true"]);
    let (recorded, said) = shell::quiet(&mut perf)?;
    if !recorded {
        bail!("perf may not record; as root, or with kernel.perf_event_paranoid=1, it may\n{}", said.trim());
    }
    Ok(())
}
