//! The `levee` binary: reads the configuration, wires the crates together, and runs subcommands.
//!
//! It holds no chat logic.

mod backing;
mod cli;
mod config;
mod demo;
mod doctor;
mod keys;
mod logs;
mod mail;
mod scan;
mod serve;
mod tls;
mod webhooks;

use clap::Parser;
use cli::{Cli, Command, ConfigCommand};
use config::{Config, Values};
use std::process::ExitCode;

/// Many small things that live long between others that don't: the system's allocator keeps a third
/// more of it resident (`cargo xtask bench`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Each arbiter is one thread, and so is each store; the heap is shared by all of them.
    let outcome = match Cli::parse().command {
        Command::Serve(settings) => {
            Config::load(&settings.sources()).map_err(Into::into).and_then(serve::run)
        }
        Command::Demo(settings) => Config::load(&settings.sources()).map_err(Into::into).and_then(demo::run),
        Command::Migrate(migrate) => {
            let config = Config::load(&migrate.settings.sources()).map_err(Into::into);
            config.and_then(|config| match &migrate.from {
                Some(from) => serve::transfer(&config, from, migrate.to.as_deref()),
                None => serve::migrate(config),
            })
        }
        Command::Keys(command) => keys::run(command),
        Command::Doctor(doctor) => doctor::run(&doctor),
        Command::Config(ConfigCommand::Print(settings)) => Values::read(&settings.sources())
            .and_then(|values| Config::from_values(&values).map(|_| values))
            .map(|values| print!("{}", config::print(&values)))
            .map_err(Into::into),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("levee: {error:#}");
            ExitCode::FAILURE
        }
    }
}
