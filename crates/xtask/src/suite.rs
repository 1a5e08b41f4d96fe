//! `cargo xtask test`: every check of the project, part by part.

use crate::repo::Repo;
use crate::{
    browser, chart, demo, deps, faults, floors, fuzz, generate, official, shell, tidy, tools, upload,
};
use anyhow::{Result, bail};
use std::process::Command;
use std::time::{Duration, Instant};

/// How a part that did not fail went.
pub(crate) enum Outcome {
    /// It was checked and is right.
    Passed,
    /// It can't be checked on this machine, and why.
    Skipped(String),
}

struct Part {
    name: &'static str,
    what: &'static str,
    run: fn(&Repo) -> Result<Outcome>,
}

const fn part(name: &'static str, what: &'static str, run: fn(&Repo) -> Result<Outcome>) -> Part {
    Part { name, what, run }
}

/// The parts, cheap ones first: what is wrong shows early.
static PARTS: &[Part] = &[
    part("deps", "system packages", |_| passed(deps::run())),
    part("fmt", "the form of the Rust sources", |repo| passed(cargo(repo, &["fmt", "--all", "--check"]))),
    part("floors", "arrows between crates point down", |repo| passed(floors::run(repo))),
    part("tidy", "lengths, headers, names, links, records", |repo| passed(tidy::run(repo))),
    part("generated", "generated files are fresh", |repo| passed(generate::run(repo, true))),
    part("clippy", "lints, and no warning", |repo| {
        let lint = ["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"];
        passed(cargo(repo, &lint))
    }),
    part("front-end", "the pages: lint, types, tests, build", |repo| passed(front_end(repo))),
    part("rust", "unit and integration tests", |repo| {
        passed(cargo(repo, &["test", "--workspace", "--locked"]))
    }),
    part("fuzz", "what anybody may send, by a fuzzer", |repo| passed(fuzz::run(repo))),
    part("seeds", "chats on networks that lose, repeat and delay", |repo| passed(seeds(repo))),
    part("faults", "a cluster under load, and one fault after the other", |repo| {
        passed(faults::run(repo, false, false, &["--lenient".to_owned()]))
    }),
    part("upload", "a large file through connections and nodes that break", |repo| {
        passed(upload::run(repo, true, &["--size".to_owned(), UPLOAD.to_owned()]))
    }),
    part("helm", "the chart lints and renders", |repo| passed(chart::run(repo))),
    part("docker", "the Dockerfile lints", hadolint),
    part("book", "the documentation builds", book),
    part("go", "the official client for Go", official::run),
    part("browser", "the story, in two browsers", |repo| passed(browser::run(repo))),
];

/// The parts' names.
pub(crate) fn names() -> Vec<&'static str> {
    PARTS.iter().map(|part| part.name).collect()
}

/// Runs all parts, or those that are named. A part that fails does not keep the others from running.
///
/// # Errors
/// When a part fails. The last line that is printed is `N passed, N failed`.
pub(crate) fn run(repo: &Repo, only: &[String]) -> Result<()> {
    let parts: Vec<&Part> =
        PARTS.iter().filter(|part| only.is_empty() || only.iter().any(|name| name == part.name)).collect();
    let mut results = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        println!("\n=== {}/{} {}: {} ===", index + 1, parts.len(), part.name, part.what);
        let since = Instant::now();
        let result = (part.run)(repo);
        let took = since.elapsed();
        match &result {
            Ok(Outcome::Passed) => println!("--- {} passed in {}", part.name, seconds(took)),
            Ok(Outcome::Skipped(why)) => println!("--- {} skipped: {why}", part.name),
            Err(error) => println!("--- {} FAILED in {}: {error:#}", part.name, seconds(took)),
        }
        results.push((part.name, took, result));
    }
    println!("\n{}", summary(&results));
    if results.iter().any(|(_, _, result)| result.is_err()) {
        // The summary has said it, and its last line stays the last.
        std::process::exit(1);
    }
    Ok(())
}

fn summary(results: &[(&str, Duration, Result<Outcome>)]) -> String {
    let mut lines = Vec::new();
    let (mut passed, mut failed) = (0, Vec::new());
    for (name, took, result) in results {
        let state = match result {
            Ok(Outcome::Passed) => {
                passed += 1;
                "passed".to_owned()
            }
            Ok(Outcome::Skipped(why)) => format!("skipped: {why}"),
            Err(error) => {
                failed.push(*name);
                let error = format!("{error:#}");
                format!("FAILED: {}", error.lines().next().unwrap_or_default())
            }
        };
        lines.push(format!("{name:<10} {:>8}  {state}", seconds(*took)));
    }
    if !failed.is_empty() {
        lines.push(format!("failed: {}", failed.join(", ")));
    }
    lines.push(format!("{passed} passed, {} failed", failed.len()));
    lines.join("\n")
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn passed(result: Result<()>) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}

fn cargo(repo: &Repo, arguments: &[&str]) -> Result<()> {
    shell::run(shell::cargo().current_dir(&repo.root).args(arguments))
}

/// How large the file is.
const UPLOAD: &str = "256MiB";

/// How many seeds of chance are tried.
const SEEDS: &str = "200";

/// The simulated cluster once more, with many more seeds than beside the other tests.
fn seeds(repo: &Repo) -> Result<()> {
    let test = ["test", "--workspace", "--locked", "--test", "moves", "whatever_the_network_does"];
    shell::run(shell::cargo().current_dir(&repo.root).env("LEVEE_TEST_SEEDS", SEEDS).args(test))
}

fn front_end(repo: &Repo) -> Result<()> {
    demo::install(repo)?;
    for script in ["lint", "typecheck", "test", "build"] {
        shell::run(demo::npm(repo).env("CI", "1").args(["run", "--silent", script]))?;
    }
    Ok(())
}

fn hadolint(repo: &Repo) -> Result<Outcome> {
    let Some(hadolint) = tools::hadolint(repo)? else {
        return Ok(Outcome::Skipped("hadolint is neither here nor to be had without pip".into()));
    };
    let mut command = Command::new(hadolint);
    passed(shell::run(command.current_dir(&repo.root).arg("docker/Dockerfile")))
}

fn book(repo: &Repo) -> Result<Outcome> {
    let Some(mdbook) = tools::mdbook(repo)? else {
        return Ok(Outcome::Skipped("mdBook is neither here nor to be had without pip".into()));
    };
    let into = repo.scratch("book")?;
    let mut command = Command::new(mdbook);
    let built = shell::quiet(command.arg("build").arg(repo.root.join("docs")).arg("--dest-dir").arg(&into))?;
    print!("{}", built.1);
    // mdBook warns of pages that it can't find and ends with 0 all the same.
    if !built.0 || built.1.contains("WARN") || built.1.contains("ERROR") {
        bail!("the book does not build without complaint");
    }
    Ok(Outcome::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn the_last_lines_say_what_failed_and_count() {
        let took = Duration::from_millis(1500);
        let results = vec![
            ("fmt", took, Ok(Outcome::Passed)),
            ("rust", took, Err(anyhow!("`cargo test` failed"))),
            ("docker", took, Ok(Outcome::Skipped("no pip".into()))),
            ("helm", took, Err(anyhow!("no chart"))),
        ];
        let text = summary(&results);
        let lines: Vec<&str> = text.lines().rev().collect();
        assert_eq!(lines[0], "1 passed, 2 failed");
        assert_eq!(lines[1], "failed: rust, helm");
        assert!(text.contains("skipped: no pip") && text.contains("1.5 s"), "{text}");
    }

    #[test]
    fn all_passed_is_said_in_one_line() {
        let text = summary(&[("fmt", Duration::ZERO, Ok(Outcome::Passed))]);
        assert!(text.ends_with("\n1 passed, 0 failed") && !text.contains("failed:"), "{text}");
    }
}
