//! `cargo xtask faults`: builds the server and the fault run, and lets it break one thing after the other.

use crate::repo::Repo;
use crate::{deps, shell};
use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// What the long form asks for: as many messages per fault as the documentation tells of.
const LONG: [&str; 4] = ["--messages", "30000", "--rate", "250"];

/// Builds and runs; `long` builds for release and writes ten times as many messages, `document` writes the
/// figures into `docs/reliability.md`. Further arguments go to the run itself.
///
/// # Errors
/// When something can't be built or started, and when a promise was broken.
pub(crate) fn run(repo: &Repo, long: bool, document: bool, arguments: &[String]) -> Result<()> {
    deps::run()?;
    let profile = if long { "release" } else { "debug" };
    let mut cargo = shell::cargo();
    cargo.current_dir(&repo.root).args(["build", "--locked", "--package", "levee-server"]);
    cargo.args(["--package", "levee-loadtest", "--bin", "levee", "--bin", "faults"]);
    if long {
        cargo.arg("--release");
    }
    shell::run(&mut cargo)?;
    let built = repo.target.join(profile);
    let folder = repo.scratch("faults")?;
    let mut faults = Command::new(built.join("faults"));
    faults.arg("--server").arg(built.join("levee")).arg("--folder").arg(&folder);
    if long {
        faults.args(LONG);
    }
    let mut about = "cargo xtask faults".to_owned();
    for word in long.then_some("--long").into_iter().chain(arguments.iter().map(String::as_str)) {
        about = format!("{about} {word}");
    }
    faults.args(arguments);
    if document {
        faults.arg("--document").arg(repo.root.join("docs/reliability.md"));
        let revision = shell::output(Command::new("git").current_dir(&repo.root).args([
            "rev-parse",
            "--short",
            "HEAD",
        ]))?;
        let about = format!("Made by `{about} --document` at commit {}, on two cores.", revision.trim());
        faults.args(["--about", &about]);
    }
    println!("$ {}", shell::line(&faults));
    let status = faults.stdin(Stdio::null()).status().context("the fault run can't be started")?;
    match status.code() {
        Some(0) => Ok(()),
        Some(1) => bail!("promises were broken; the nodes' logs are in {}", folder.display()),
        _ => bail!("the fault run did not come to its end ({status}); logs are in {}", folder.display()),
    }
}
