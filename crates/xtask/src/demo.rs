//! `cargo xtask demo`: builds the pages and the server, and becomes the server.

use crate::repo::Repo;
use crate::shell;
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// Builds what is needed and starts `levee demo` with these arguments.
///
/// # Errors
/// When something can't be built or started.
pub(crate) fn run(repo: &Repo, arguments: &[String]) -> Result<()> {
    if arguments.iter().any(|argument| argument == "--help" || argument == "-h") {
        println!("cargo xtask demo builds the pages and the server, then runs `levee demo`:\n");
    } else {
        println!("1/3 Building the pages");
        pages(repo)?;
    }
    println!("2/3 Building the server (the first time takes some minutes)");
    let levee = server(repo)?;
    println!("3/3 Starting it");
    let mut command = Command::new(levee);
    command.arg("demo").args(arguments);
    shell::forget_outer_package(&mut command);
    become_it(&mut command)
}

/// Builds the pages; installs what they are made with if the lock file changed since the last time.
///
/// # Errors
/// When npm is missing or fails.
pub(crate) fn pages(repo: &Repo) -> Result<()> {
    install(repo)?;
    shell::run(npm(repo).args(["run", "--silent", "build"]))
}

/// `npm ci`, unless the last one was for this very lock file.
///
/// # Errors
/// When npm is missing or fails.
pub(crate) fn install(repo: &Repo) -> Result<()> {
    let lock = std::fs::read(repo.web().join("package-lock.json")).context("the pages have a lock file")?;
    // npm removes the folder before it installs, and this mark with it.
    let mark = repo.web().join("node_modules/.installed-lock.json");
    if std::fs::read(&mark).is_ok_and(|installed| installed == lock) {
        return Ok(());
    }
    shell::run(npm(repo).arg("ci").arg("--no-progress"))
        .context("the pages need Node and npm: `cargo xtask deps` says what is missing")?;
    std::fs::write(mark, lock)?;
    Ok(())
}

/// npm in the folder of the pages.
pub(crate) fn npm(repo: &Repo) -> Command {
    let mut command = Command::new("npm");
    command.current_dir(repo.web());
    shell::forget_outer_package(&mut command);
    command
}

/// Builds the server and says where it is.
///
/// # Errors
/// When it does not compile.
pub(crate) fn server(repo: &Repo) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    shell::run(cargo.current_dir(&repo.root).args(["build", "--package", "levee-server", "--locked"]))?;
    Ok(repo.target.join("debug").join(format!("levee{}", std::env::consts::EXE_SUFFIX)))
}

/// The terminal's signals reach the server directly: it takes this process' place.
#[cfg(unix)]
fn become_it(command: &mut Command) -> Result<()> {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(error).context("the server can't be started")
}

#[cfg(not(unix))]
fn become_it(command: &mut Command) -> Result<()> {
    let status = command.status().context("the server can't be started")?;
    std::process::exit(status.code().unwrap_or(1));
}
