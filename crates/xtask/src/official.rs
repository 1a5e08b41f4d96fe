//! The official client for Go against the real server, over TLS, as its users run it.

use crate::repo::Repo;
use crate::{demo, shell};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// The oldest Go that fetches a newer one by itself, where the module asks for that.
const GO: (u32, u32) = (1, 21);
/// How long all its tests may take.
const PATIENCE: &str = "5m";

/// Builds the server and runs the module's checks and tests.
///
/// # Errors
/// When Go is missing or too old, and when a check or a test fails.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    version()?;
    let folder = repo.root.join("crates/server/tests/go");
    let levee = demo::server(repo)?;
    let go = |arguments: &[&str]| {
        let mut command = Command::new("go");
        command
            .current_dir(&folder)
            .env("GOFLAGS", "-mod=readonly")
            .env("LEVEE_BINARY", &levee)
            .args(arguments);
        command
    };
    let unformatted = shell::output(Command::new("gofmt").current_dir(&folder).args(["-l", "."]))?;
    if !unformatted.trim().is_empty() {
        bail!("gofmt would write these otherwise: {}", unformatted.trim().replace('\n', ", "));
    }
    shell::run(&mut go(&["vet", "./..."]))?;
    shell::run(&mut go(&["test", "-count=1", "-timeout", PATIENCE, "./..."]))
}

fn version() -> Result<()> {
    let go = shell::which("go").unwrap_or_else(|| PathBuf::from("go"));
    let text = shell::output(Command::new(go).arg("version"))
        .context("Go is missing: `cargo xtask deps` says what to install")?;
    let version =
        parse(&text).with_context(|| format!("Go's version `{}` is not understood", text.trim()))?;
    if version < GO {
        bail!("Go {}.{} or newer is needed, this is {}: see https://go.dev/dl", GO.0, GO.1, text.trim());
    }
    println!("{}", text.trim());
    Ok(())
}

/// `go version go1.24.4 linux/amd64` as (1, 24).
fn parse(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split_whitespace().nth(2)?.strip_prefix("go")?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
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
