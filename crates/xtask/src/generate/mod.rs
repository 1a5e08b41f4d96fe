//! Documents and types that are written from tables in the code, so that they can't tell another story.

mod catalog;
mod configuration;
mod protocol;
#[cfg(test)]
mod tests;
mod types;
mod typescript;

use crate::repo::Repo;
use anyhow::{Context, Result, bail};

/// What is generated: the path, and the function that makes the text.
type Output = (&'static str, fn() -> Result<String>);

static OUTPUTS: &[Output] = &[
    ("docs/protocol.md", protocol::page),
    ("docs/configuration.md", configuration::page),
    ("crates/web/client/src/wire.generated.ts", typescript::module),
];

/// The names of the server's settings.
pub(crate) fn settings() -> Vec<&'static str> {
    configuration::names()
}

/// Writes what is stale, or with `check` only says so.
///
/// # Errors
/// When a table holds a type that nobody has mapped, a file can't be written, or `check` finds one stale.
pub(crate) fn run(repo: &Repo, check: bool) -> Result<()> {
    let mut stale = Vec::new();
    for (path, make) in OUTPUTS {
        let text = make().with_context(|| format!("{path} can't be generated"))?;
        let file = repo.root.join(path);
        if std::fs::read_to_string(&file).is_ok_and(|now| now == text) {
            println!("{path} is fresh");
            continue;
        }
        if check {
            println!("{path} is stale");
            stale.push(*path);
            continue;
        }
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&file, text).with_context(|| format!("{path} can't be written"))?;
        println!("{path} is written");
    }
    if !stale.is_empty() {
        bail!("run `cargo xtask generate` and commit {}", stale.join(", "));
    }
    Ok(())
}
