//! The load harness: drives a crowd of customers and agents against a running server and reports what it
//! measured and whether the server kept its promises.

mod chat;
mod figures;
mod progress;
mod report;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Measure a running Levee server, and check that nothing is lost under load.
#[derive(Debug, Parser)]
#[command(name = "levee-loadtest", version, arg_required_else_help = true, disable_help_subcommand = true)]
struct Cli {
    /// What to play.
    #[command(subcommand)]
    scenario: Scenario,
}

/// The scenarios.
#[derive(Debug, Subcommand)]
enum Scenario {
    /// Customers wait in a queue, agents take them, and all of them write for a while.
    ///
    /// In the end everybody reads the histories, and a checker compares them with what each client sent,
    /// saw acknowledged and received. The exit code is 0 if nothing was lost, doubled or out of order, 1
    /// if something was, 2 if the run did not come to its end.
    Chat(chat::Chat),
}

fn main() -> ExitCode {
    let Scenario::Chat(chat) = Cli::parse().scenario;
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    match runtime.block_on(chat.run()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("levee-loadtest: {error:#}");
    ExitCode::from(2)
}
