//! `cargo xtask mutants`: breaks one guard after the other in a copy of the tree, and sees the tests go red.
//!
//! The copy has a build directory of its own. Cargo tells sources apart by their times and their paths
//! within the workspace: in a shared one it could take what was built from a mutant for the real thing.

mod copy;
mod table;
#[cfg(test)]
mod tests;

use crate::repo::Repo;
use crate::shell;
use anyhow::{Context, Result, bail};
use copy::Copy;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use table::MUTANTS;

/// What a mutant takes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// A stale owner can't write.
    Fence,
    /// A retry takes effect once.
    Dedup,
    /// What is answered is on the disk, and what is acknowledged is not sent again.
    Acknowledgement,
    /// A follower applies the next sequence only, and a customer's place in a queue is right.
    Position,
    /// The disk has it before anybody hears of it.
    Sync,
    /// What one person writes stays in order, however often it must be sent.
    Order,
    /// A session goes on elsewhere exactly where it was.
    Handover,
    /// No customer is stranded when the agent vanishes.
    Orphan,
    /// A blob is whole or not there.
    Blob,
    /// A key opens once, and a mail goes out.
    Access,
    /// What is erased is nowhere any more, and what is hidden is for moderators.
    Erasure,
    /// A signature opens once, and only what its key is for.
    Master,
    /// A file is for those who may read its conversation, and bytes that come to nothing go.
    File,
    /// A webhook is told everything in order, and leads nowhere inside.
    Webhook,
}

impl Guard {
    const ALL: [Self; 14] = [
        Self::Fence,
        Self::Dedup,
        Self::Acknowledgement,
        Self::Position,
        Self::Sync,
        Self::Order,
        Self::Handover,
        Self::Orphan,
        Self::Blob,
        Self::Access,
        Self::Erasure,
        Self::Master,
        Self::File,
        Self::Webhook,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Fence => "fence",
            Self::Dedup => "dedup",
            Self::Acknowledgement => "acknowledgement",
            Self::Position => "position",
            Self::Sync => "sync",
            Self::Order => "order",
            Self::Handover => "handover",
            Self::Orphan => "orphan",
            Self::Blob => "blob",
            Self::Access => "access",
            Self::Erasure => "erasure",
            Self::Master => "master",
            Self::File => "file",
            Self::Webhook => "webhook",
        }
    }
}

/// One way to break one guard.
struct Mutant {
    name: &'static str,
    guard: Guard,
    /// All of them are made at once.
    edits: &'static [Edit],
    /// Arguments of `cargo test` that must fail.
    test: &'static [&'static str],
}

/// Replaces a text that is in a file exactly once.
struct Edit {
    file: &'static str,
    old: &'static str,
    new: &'static str,
}

/// How a mutant fared.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// The tests noticed.
    Killed,
    /// They did not.
    Survived,
    /// It can't be tried, and why: the run fails, for it shows nothing.
    Invalid(String),
}

/// Tries the mutants whose name or guard contains `filter`.
///
/// # Errors
/// When one survives or can't be tried, or a guard has none.
pub(crate) fn run(repo: &Repo, filter: Option<&str>, list: bool) -> Result<()> {
    let wanted = |mutant: &&Mutant| {
        filter.is_none_or(|text| mutant.name.contains(text) || mutant.guard.name().contains(text))
    };
    let mutants: Vec<&Mutant> = MUTANTS.iter().filter(wanted).collect();
    if list {
        for mutant in &mutants {
            println!("{:<16} {}: cargo test {}", mutant.guard.name(), mutant.name, mutant.test.join(" "));
        }
        return Ok(());
    }
    let copy = Copy::of(repo)?;
    let mut baselines = BTreeMap::new();
    let mut fates = Vec::new();
    for mutant in mutants {
        println!("\n=== {}: {} ===", mutant.guard.name(), mutant.name);
        let healthy = match baselines.get(mutant.test) {
            Some(healthy) => *healthy,
            None => {
                let healthy = baseline(&copy, mutant.test)?;
                baselines.insert(mutant.test, healthy);
                healthy
            }
        };
        let fate = if healthy {
            attempt(&copy, mutant)?
        } else {
            Fate::Invalid("its tests fail anyway, or none runs".into())
        };
        println!("--- {}", describe(&fate));
        fates.push((mutant, fate));
    }
    let unguarded = if filter.is_some() { Vec::new() } else { without_mutant(MUTANTS) };
    println!("\n{}", report(&fates, &unguarded));
    if fates.is_empty() {
        bail!("no mutant has that name or guard");
    }
    if !unguarded.is_empty() || fates.iter().any(|(_, fate)| *fate != Fate::Killed) {
        bail!("the tests do not show what they should");
    }
    Ok(())
}

fn without_mutant(mutants: &[Mutant]) -> Vec<&'static str> {
    let missing = Guard::ALL.into_iter().filter(|guard| mutants.iter().all(|mutant| mutant.guard != *guard));
    missing.map(Guard::name).collect()
}

/// Whether the tests run and pass on the tree as it is: otherwise their failure would prove nothing.
fn baseline(copy: &Copy, test: &[&str]) -> Result<bool> {
    let (passed, output) = shell::quiet(&mut cargo_test(copy, test))?;
    let ran = tests_run(&output);
    println!("as it is: {}, {ran} tests", if passed { "passed" } else { "FAILED" });
    if !passed {
        println!("{}", tail(&output));
    }
    Ok(passed && ran > 0)
}

fn attempt(copy: &Copy, mutant: &Mutant) -> Result<Fate> {
    let mut originals = Vec::new();
    for edit in mutant.edits {
        let path = copy.root.join(edit.file);
        let text = std::fs::read_to_string(&path).with_context(|| format!("{} can't be read", edit.file))?;
        match apply(&text, edit) {
            Ok(mutated) => originals.push((path, text, mutated)),
            Err(why) => return Ok(Fate::Invalid(why)),
        }
    }
    for (path, _, mutated) in &originals {
        std::fs::write(path, mutated)?;
    }
    let fate = try_tests(copy, mutant);
    for (path, text, _) in &originals {
        restore(path, text)?;
    }
    fate
}

/// Compiles first: a mutant that does not compile would look like one that was noticed.
fn try_tests(copy: &Copy, mutant: &Mutant) -> Result<Fate> {
    let mut build = cargo_test(copy, mutant.test);
    build.arg("--no-run");
    let (built, output) = shell::quiet(&mut build)?;
    if !built {
        println!("{}", tail(&output));
        return Ok(Fate::Invalid("it does not compile".into()));
    }
    let (passed, output) = shell::quiet(&mut cargo_test(copy, mutant.test))?;
    for line in output.lines().filter(|line| line.starts_with("test ") && line.ends_with(" FAILED")) {
        println!("    {line}");
    }
    Ok(if passed { Fate::Survived } else { Fate::Killed })
}

fn apply(text: &str, edit: &Edit) -> Result<String, String> {
    match text.matches(edit.old).count() {
        1 => Ok(text.replacen(edit.old, edit.new, 1)),
        0 => Err(format!("{} no longer contains `{}`", edit.file, edit.old)),
        count => Err(format!("{} contains `{}` {count} times", edit.file, edit.old)),
    }
}

fn restore(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("{} can't be restored", path.display()))
}

fn cargo_test(copy: &Copy, arguments: &[&str]) -> Command {
    let mut cargo = shell::cargo();
    // Which test noticed matters here, not from where.
    cargo
        .env("RUST_BACKTRACE", "0")
        .current_dir(&copy.root)
        .env("CARGO_TARGET_DIR", &copy.target)
        .arg("test")
        .args(arguments);
    cargo
}

/// How many tests ran, by what the test harness prints.
pub(crate) fn tests_run(output: &str) -> u64 {
    let results = output.lines().filter_map(|line| line.strip_prefix("test result: "));
    results
        .flat_map(|line| line.split([';', '.']))
        .filter_map(|part| {
            part.trim().strip_suffix(" passed").or_else(|| part.trim().strip_suffix(" failed"))
        })
        .filter_map(|count| count.trim().parse::<u64>().ok())
        .sum()
}

fn tail(output: &str) -> String {
    let lines: Vec<&str> = output.lines().collect();
    let from = lines.len().saturating_sub(25);
    lines[from..].iter().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn describe(fate: &Fate) -> String {
    match fate {
        Fate::Killed => "killed: the tests noticed".into(),
        Fate::Survived => "SURVIVED: no test noticed".into(),
        Fate::Invalid(why) => format!("INVALID: {why}"),
    }
}

fn report(fates: &[(&Mutant, Fate)], unguarded: &[&str]) -> String {
    let mut lines = Vec::new();
    for (mutant, fate) in fates {
        lines.push(format!("{:<16} {:<44} {}", mutant.guard.name(), mutant.name, describe(fate)));
    }
    for guard in unguarded {
        lines.push(format!("{guard:<16} {:<44} MISSING: no mutant breaks it", "-"));
    }
    let killed = fates.iter().filter(|(_, fate)| *fate == Fate::Killed).count();
    lines.push(format!("{killed} killed, {} not", fates.len() - killed + unguarded.len()));
    lines.join("\n")
}
