//! Structured logs on standard error, as text or as JSON lines.

use crate::config::Config;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging. A filter that can't be read is said, and replaced by `info`.
pub(crate) fn start(config: &Config) {
    let filter = EnvFilter::try_new(&config.log_level).unwrap_or_else(|error| {
        eprintln!("levee: log_level: {error}; logging at info");
        EnvFilter::new("info")
    });
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // A second start in one process (tests) keeps the first one's settings.
    let _ = if config.log_json { builder.json().try_init() } else { builder.try_init() };
}
