//! The official client for Go against the real server, over TLS, as its users run it: against one node, and against
//! several behind a balancer.

use crate::repo::Repo;
use crate::suite::Outcome;
use crate::{demo, deps, shell};
use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// The oldest Go that fetches a newer one by itself, where the module asks for that.
const GO: (u32, u32) = (1, 21);
/// How long all its tests may take.
const PATIENCE: &str = "5m";

/// Builds the server and runs the module's checks and tests, where there is a Go for them: what Debian 12 has is
/// too old.
///
/// # Errors
/// When a check or a test fails.
pub(crate) fn run(repo: &Repo) -> Result<Outcome> {
    if let Some(why) = missing() {
        return Ok(Outcome::Skipped(why));
    }
    let folder = repo.root.join("crates/server/tests/go");
    let (levee, backing) = (demo::server(repo)?, backing(repo)?);
    let go = |arguments: &[&str]| {
        let mut command = Command::new("go");
        command.current_dir(&folder).args(arguments);
        command.env("GOFLAGS", "-mod=readonly").env("GOWORK", "off");
        command.env("LEVEE_BINARY", &levee).env("LEVEE_BACKING", &backing);
        command
    };
    let unformatted = shell::output(Command::new("gofmt").current_dir(&folder).args(["-l", "."]))?;
    if !unformatted.trim().is_empty() {
        bail!("gofmt would write these otherwise: {}", unformatted.trim().replace('\n', ", "));
    }
    shell::run(&mut go(&["vet", "./..."]))?;
    shell::run(&mut go(&["test", "-count=1", "-timeout", PATIENCE, "./..."]))?;
    Ok(Outcome::Passed)
}

/// Builds the program that starts PostgreSQL and Redis for the tests.
fn backing(repo: &Repo) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.current_dir(&repo.root).args(["build", "--package", "levee-testbed", "--example", "backing"]);
    shell::run(cargo.arg("--locked"))?;
    Ok(repo.target.join("debug/examples/backing"))
}

/// Why there is no Go to do it with; none if there is.
fn missing() -> Option<String> {
    let wanted = format!("Go {}.{} or newer is needed (https://go.dev/dl)", GO.0, GO.1);
    if cfg!(not(target_os = "linux")) {
        return Some("elsewhere than on Linux, Go takes no certificate from the environment".to_owned());
    }
    let Ok(text) = shell::output(Command::new("go").arg("version")) else {
        return Some(format!("{wanted}, and there is none"));
    };
    println!("{}", text.trim());
    parse(&text).is_none_or(|version| version < GO).then(|| format!("{wanted}, this is {}", text.trim()))
}

/// `go version go1.24.4 linux/amd64` as (1, 24).
fn parse(text: &str) -> Option<(u32, u32)> {
    deps::parse_version(text.split_whitespace().nth(2)?, "go")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(parse("go version go1.24.4 linux/amd64\n"), Some((1, 24)));
        assert!(parse("go version go1.9 linux/amd64").expect("a version") < GO);
        assert_eq!(parse("go version devel"), None);
    }
}
