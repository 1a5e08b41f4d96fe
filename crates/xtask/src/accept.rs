//! `cargo xtask accept`: the acceptance lines of the first landing, each with the commands that show it.

use crate::repo::Repo;
use crate::shell;
use anyhow::{Context, Result, bail};
use std::process::Command;
use std::time::Instant;

/// A line and what shows it.
struct Line {
    number: u8,
    text: &'static str,
    steps: &'static [Step],
}

/// One way to show something.
enum Step {
    /// A command of this crate.
    Xtask(&'static [&'static str]),
    /// `cargo test` with these arguments; at least one test must run.
    Test(&'static [&'static str]),
    /// Done by a person; the text says how and where the result is noted.
    ByHand(&'static str),
}

static LINES: &[Line] = &[
    Line {
        number: 1,
        text: "the two README commands work; the story in two browsers, with screenshots and axe-core",
        steps: &[Step::Xtask(&["test", "--only", "browser"])],
    },
    Line {
        number: 2,
        text: "kill -9 under traffic, 20 times: nothing acknowledged is lost; a missing sync is noticed",
        steps: &[
            Step::Test(&["--package", "levee-server", "--test", "kill"]),
            Step::Xtask(&["mutants", "sync"]),
        ],
    },
    Line {
        number: 3,
        text: "the official browser client opens a session, chats and resumes over TLS",
        steps: &[Step::ByHand("see docs/developers.md, \"Try the official client\"")],
    },
    Line {
        number: 4,
        text: "a resumed session gets every event once, in ascending order",
        steps: &[Step::Test(&["--workspace", "resume"])],
    },
    Line {
        number: 5,
        text: "50 agents race for 2,000 audiences over sockets: each is accepted once",
        steps: &[Step::Test(&["--package", "levee-server", "--test", "race"])],
    },
    Line {
        number: 6,
        text: "floors, tidy, coverage and conformance are checked; no mutant survives",
        steps: &[
            Step::Xtask(&["test", "--only", "floors", "--only", "tidy", "--only", "generated"]),
            Step::Test(&["--package", "levee-store", "conform"]),
            Step::Xtask(&["mutants"]),
        ],
    },
    Line {
        number: 7,
        text: "memory per idle session and CPU per message beside a bare relay",
        steps: &[Step::Xtask(&["bench"])],
    },
];

/// Shows all lines, or those that are asked for, and ends with one line for each.
///
/// # Errors
/// When a line can't be shown.
pub(crate) fn run(repo: &Repo, only: &[u8]) -> Result<()> {
    let mut report = Vec::new();
    let mut failed = 0;
    for line in LINES.iter().filter(|line| only.is_empty() || only.contains(&line.number)) {
        println!("\n=== {}. {} ===", line.number, line.text);
        let since = Instant::now();
        let shown: Result<Vec<&str>> = line.steps.iter().map(|step| show(repo, step)).collect();
        let state = match shown {
            Ok(notes) => match notes.iter().find(|note| !note.is_empty()) {
                Some(note) => format!("by hand: {note}"),
                None => format!("shown in {:.0} s", since.elapsed().as_secs_f64()),
            },
            Err(error) => {
                failed += 1;
                format!("NOT SHOWN: {error:#}")
            }
        };
        println!("--- {state}");
        report.push(format!("{}. {}: {state}", line.number, line.text));
    }
    if report.is_empty() {
        bail!("the lines are 1 to {}", LINES.len());
    }
    println!("\n{}", report.join("\n"));
    if failed > 0 {
        bail!("{failed} of {} lines are not shown", report.len());
    }
    Ok(())
}

/// Runs a step; what it returns is for a person to do.
fn show(repo: &Repo, step: &Step) -> Result<&'static str> {
    match step {
        Step::ByHand(how) => Ok(*how),
        Step::Xtask(arguments) => {
            let xtask = std::env::current_exe().context("this program does not know where it is")?;
            // The environment of an outer `cargo run` stays: it says which workspace this is.
            shell::run(Command::new(xtask).current_dir(&repo.root).args(*arguments))
                .with_context(|| format!("`cargo xtask {}`", arguments.join(" ")))?;
            Ok("")
        }
        Step::Test(arguments) => {
            let mut cargo = shell::cargo();
            cargo.current_dir(&repo.root).args(["test", "--locked"]).args(*arguments);
            println!("$ {}", shell::line(&cargo));
            let (passed, output) = shell::quiet(&mut cargo)?;
            println!("{output}");
            let command = format!("`cargo test {}`", arguments.join(" "));
            if !passed {
                bail!("{command} failed");
            }
            if crate::mutants::tests_run(&output) == 0 {
                bail!("{command} runs no test");
            }
            Ok("")
        }
    }
}
