//! The project's own commands: `cargo xtask …`.
//!
//! This crate checks, generates, tests and starts; it owns no behaviour of the server and never ships.

mod accept;
mod bench;
mod browser;
mod chart;
mod demo;
mod deps;
mod faults;
mod floors;
mod fuzz;
mod generate;
mod mutants;
mod official;
mod repo;
mod shell;
mod suite;
mod tidy;
mod tools;
mod upload;

use anyhow::Result;
use clap::{Parser, Subcommand};
use repo::Repo;
use std::process::ExitCode;

/// The commands of the Levee workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build the pages and the server, and start one node with a demo organisation.
    ///
    /// Arguments are handed on to `levee demo`, for example `cargo xtask demo --data-dir /tmp/demo`.
    #[command(disable_help_flag = true)]
    Demo {
        /// Arguments of `levee demo`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run every test; the last line says how many parts passed and failed.
    Test {
        /// Run only this part; may be given several times.
        #[arg(long, value_name = "PART", value_parser = suite::names())]
        only: Vec<String>,
    },
    /// Check that the needed system packages are there; install them where that is possible.
    Deps,
    /// Check that no crate depends on one above it.
    CheckFloors,
    /// Check lengths, headers, names, links and decision records.
    Tidy,
    /// Write the documents and types that come from tables in the code.
    Generate {
        /// Write nothing; fail if a file is stale.
        #[arg(long)]
        check: bool,
    },
    /// Break one guard after the other and see that the tests notice.
    Mutants {
        /// Only the mutants whose name or guard contains this text.
        filter: Option<String>,
        /// List the mutants without running them.
        #[arg(long)]
        list: bool,
    },
    /// Measure memory per idle session and processor time per message, beside a bare relay.
    ///
    /// Arguments are handed on to the benchmark, for example `cargo xtask bench --only memory`.
    #[command(disable_help_flag = true)]
    Bench {
        /// Arguments of the benchmark.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Break one thing after the other in a cluster under load, and see that all promises are kept.
    ///
    /// Further arguments are handed on to the run, for example `cargo xtask faults --only Redis`; `--list` names
    /// the rows. Without root or network namespaces, the rows that cut a node off are skipped.
    Faults {
        /// Build for release, and write ten times as many messages.
        #[arg(long)]
        long: bool,
        /// Write the figures into docs/reliability.md.
        #[arg(long)]
        document: bool,
        /// Arguments of the run.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Carry a large file through a cluster: cut off three times, through another node after a kill -9, and down again.
    ///
    /// It prints what that took, and fails unless the bytes are equal and no node took much memory. Arguments are handed
    /// on to the run: `--size 10GiB`; `--s3` keeps files on an S3 server; `--latency` measures messages beside ten uploads at
    /// full speed instead, in turns with an idle node.
    Upload {
        /// Do not build for release.
        #[arg(long)]
        quick: bool,
        /// Arguments of the run.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Show the acceptance lines of the first landing, one line each.
    Accept {
        /// Only these lines.
        #[arg(value_name = "NUMBER")]
        only: Vec<u8>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever runs this wants the reason, not where in this program it was found.
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let repo = Repo::find()?;
    match command {
        Command::Demo { arguments } => demo::run(&repo, &arguments),
        Command::Test { only } => suite::run(&repo, &only),
        Command::Deps => deps::run(),
        Command::CheckFloors => floors::run(&repo),
        Command::Tidy => tidy::run(&repo),
        Command::Generate { check } => generate::run(&repo, check),
        Command::Mutants { filter, list } => mutants::run(&repo, filter.as_deref(), list),
        Command::Bench { arguments } => bench::run(&repo, &arguments),
        Command::Faults { long, document, arguments } => faults::run(&repo, long, document, &arguments),
        Command::Upload { quick, arguments } => upload::run(&repo, quick, &arguments),
        Command::Accept { only } => accept::run(&repo, &only),
    }
}
