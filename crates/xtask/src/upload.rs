//! `cargo xtask upload`: builds the server and the run of uploads, and lets it carry a file through a cluster.

use crate::repo::Repo;
use crate::{deps, shell};
use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};

/// Builds and runs, for release unless it is `quick`. Further arguments go to the run itself.
///
/// # Errors
/// When something can't be built or started, and when a promise was broken.
pub(crate) fn run(repo: &Repo, quick: bool, arguments: &[String]) -> Result<()> {
    deps::run()?;
    let profile = if quick { "debug" } else { "release" };
    let mut cargo = shell::cargo();
    cargo.current_dir(&repo.root).args(["build", "--locked", "--package", "levee-server"]);
    cargo.args(["--package", "levee-loadtest", "--bin", "levee", "--bin", "uploads"]);
    if !quick {
        cargo.arg("--release");
    }
    if arguments.iter().any(|argument| argument == "--s3") {
        cargo.args(["--features", "levee-loadtest/s3"]);
    }
    shell::run(&mut cargo)?;
    let built = repo.target.join(profile);
    let folder = repo.scratch("uploads")?;
    let mut uploads = Command::new(built.join("uploads"));
    uploads.arg("--server").arg(built.join("levee")).arg("--folder").arg(&folder).args(arguments);
    println!("$ {}", shell::line(&uploads));
    let status = uploads.stdin(Stdio::null()).status().context("the run of uploads can't be started")?;
    match status.code() {
        Some(0) => Ok(()),
        Some(1) => bail!("promises were broken; the nodes' logs are in {}", folder.display()),
        _ => bail!("the run did not come to its end ({status}); logs are in {}", folder.display()),
    }
}
