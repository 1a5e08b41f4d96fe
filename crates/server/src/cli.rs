//! The command line: subcommands, and one flag per setting, made from the table of settings.
//!
//! This module only reads; what a subcommand does is decided elsewhere.

#[cfg(test)]
mod tests;

use crate::config::Sources;
use crate::config::table::{Kind, SETTINGS};
use clap::{Arg, ArgAction, ArgMatches, Args, FromArgMatches, Parser, Subcommand};
use std::path::PathBuf;
use std::sync::LazyLock;

/// Self-hosted support chat: real-time conversations between the visitors of a website and the people
/// who help them.
#[derive(Debug, Parser)]
#[command(
    name = "levee",
    version,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    after_help = "Settings come from defaults, a TOML file (--config, LEVEE_CONFIG or ./levee.toml), the \
                  environment (LEVEE_…) and flags; a later one wins. `levee config print` shows them."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a node until SIGTERM or SIGINT, which drain it.
    Serve(Settings),
    /// Run a node with a demo organisation, a shop page with the widget, and logins for the console.
    ///
    /// The organisation is made at the first start and kept in --data-dir (./levee-demo unless you say
    /// otherwise); the logins stay the same. Where the usual port is taken, a free one is used.
    Demo(DemoSettings),
    /// Bring the store's schema up to date, and exit. `serve` does the same at its start.
    ///
    /// With --from, move all that a node kept in SQLite into an empty PostgreSQL database: stop the node
    /// first. All is moved, and counted, or nothing; the file stays as it is.
    Migrate(Migrate),
    /// Check the configuration and what a node needs, say what is wrong and how to mend it.
    Doctor(Doctor),
    /// The keys that webhooks are signed with.
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// What `levee config` does.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print every effective setting with where it was set; secrets are masked.
    Print(Settings),
}

/// What `levee keys` does.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// List the keys that are published, and which of them signs.
    List(Settings),
    /// Have a new key take the place of the one that signs. Nodes on PostgreSQL go on meanwhile; one on SQLite has
    /// to be stopped first.
    ///
    /// The new key is published at once and signs after the grace; the old one is published until all that it
    /// signed has expired.
    Rotate(Rotate),
}

/// The arguments of `keys rotate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Rotate {
    /// Seconds until the new key signs: receivers that keep the keys need as long to see it.
    #[arg(long, value_name = "SECONDS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(10..=604_800))]
    pub(crate) grace_s: u64,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// The arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Ask the node that runs with these settings whether it is ready, and nothing else: exit code 0 if
    /// it is, 1 if it is not. Made for health checks of containers.
    #[arg(long)]
    pub(crate) running: bool,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// The arguments of `migrate`.
#[derive(Debug, clap::Args)]
pub(crate) struct Migrate {
    /// The SQLite file to move from, usually levee.sqlite in data_dir.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    /// The database to move to, postgres://…; if it is left out, postgres_url.
    #[arg(long, value_name = "URL", requires = "from")]
    pub(crate) to: Option<String>,
    #[command(flatten)]
    pub(crate) settings: Settings,
}

/// The settings of a command: a file and flags.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// The file that `--config` names.
    file: Option<PathBuf>,
    /// Setting's name and the text after its flag.
    flags: Vec<(&'static str, String)>,
}

impl Settings {
    /// The sources of settings in this process.
    pub(crate) fn sources(&self) -> Sources {
        Sources::of_process(self.file.clone(), self.flags.clone())
    }
}

/// The settings of `demo`, which keeps its data in a folder of its own.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct DemoSettings {
    #[command(flatten)]
    settings: Settings,
}

impl DemoSettings {
    /// The sources of settings in this process.
    pub(crate) fn sources(&self) -> Sources {
        let defaults = vec![("data_dir", "./levee-demo".to_owned()), ("log_level", "warn".to_owned())];
        Sources { defaults, ..self.settings.sources() }
    }
}

/// The flags' names, in the order of the table; clap wants them for as long as the program runs.
static FLAGS: LazyLock<Vec<String>> =
    LazyLock::new(|| SETTINGS.iter().map(|setting| setting.flag()).collect());

const FILE: &str = "config";

impl Args for Settings {
    fn augment_args(command: clap::Command) -> clap::Command {
        let file = Arg::new(FILE)
            .long(FILE)
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("Read settings from this TOML file instead of ./levee.toml [env: LEVEE_CONFIG]");
        let flags = SETTINGS.iter().zip(FLAGS.iter()).map(|(setting, flag)| {
            let default = match setting.default {
                "" => String::new(),
                default => format!(" [default: {default}]"),
            };
            let arg = Arg::new(setting.name)
                .long(flag.as_str())
                .value_name(setting.kind.placeholder())
                .help_heading("Settings")
                .help(format!("{}{default} [env: {}]", setting.doc, setting.env()))
                .hide_default_value(true);
            match setting.kind {
                Kind::Bool => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                kind if kind.is_list() => arg.action(ArgAction::Append),
                _ => arg,
            }
        });
        command.arg(file).args(flags)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Settings {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = SETTINGS
            .iter()
            .filter_map(|setting| {
                let texts: Vec<&str> =
                    matches.get_many::<String>(setting.name)?.map(String::as_str).collect();
                Some((setting.name, texts.join(",")))
            })
            .collect();
        Ok(Self { file: matches.get_one::<PathBuf>(FILE).cloned(), flags })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
