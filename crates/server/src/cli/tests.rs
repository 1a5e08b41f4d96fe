//! The command line as people type it.

use super::*;
use crate::config::{Config, ConfigError, Tls};
use clap::CommandFactory;

fn settings(line: &[&str]) -> Settings {
    let cli = Cli::try_parse_from(["levee", "serve"].iter().chain(line)).expect("it parses");
    match cli.command {
        Command::Serve(settings) => settings,
        other => panic!("{other:?}"),
    }
}

/// Flags alone: whatever the environment of the tests holds is left out.
fn load(settings: &Settings) -> Result<Config, ConfigError> {
    Config::load(&Sources { variables: Vec::new(), folder: None, ..settings.sources() })
}

#[test]
fn the_definitions_are_sound() {
    Cli::command().debug_assert();
}

#[test]
fn every_setting_has_a_flag_with_its_meaning() {
    let help = Cli::command().find_subcommand_mut("serve").expect("serve").render_long_help().to_string();
    for setting in SETTINGS {
        assert!(help.contains(&format!("--{}", setting.flag())), "{}", setting.name);
        assert!(help.contains(&setting.env()), "{}", setting.name);
    }
}

#[test]
fn flags_set_settings() {
    let config =
        load(&settings(&["--listen", "0.0.0.0:80", "--tls-self-signed", "--workers=3"])).expect("fits");
    assert_eq!(config.listen.to_string(), "0.0.0.0:80");
    assert_eq!(config.tls, Tls::SelfSigned);
    assert_eq!(config.workers, 3);
    assert_eq!(load(&settings(&["--tls-self-signed=false"])).expect("fits").tls, Tls::Off);
}

#[test]
fn a_list_is_repeated_or_divided_by_commas() {
    for line in [&["--public-address", "a:1", "--public-address", "b:2"][..], &["--public-address=a:1,b:2"]] {
        assert_eq!(load(&settings(line)).expect("fits").public_address, ["a:1", "b:2"]);
    }
}

#[test]
fn a_flag_that_does_not_fit_is_named() {
    let error = load(&settings(&["--workers", "many"])).expect_err("not a number");
    assert_eq!(error.to_string(), "--workers: `workers` must be a whole number, 0 to 1024, not \"many\"");
}

#[test]
fn an_unknown_flag_is_refused_with_the_nearest() {
    let error = Cli::try_parse_from(["levee", "serve", "--data-dri", "x"]).expect_err("unknown").to_string();
    assert!(error.contains("--data-dir"), "{error}");
}

#[test]
fn the_demo_has_a_folder_of_its_own() {
    let parse = |line: &[&str]| match Cli::try_parse_from(line).expect("it parses").command {
        Command::Demo(settings) => {
            let sources = Sources { variables: Vec::new(), folder: None, ..settings.sources() };
            Config::load(&sources).expect("fits").data_dir
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(parse(&["levee", "demo"]), PathBuf::from("./levee-demo"));
    assert_eq!(parse(&["levee", "demo", "--data-dir", "elsewhere"]), PathBuf::from("elsewhere"));
}

#[test]
fn a_health_check_is_one_flag() {
    let cli = Cli::try_parse_from(["levee", "doctor", "--running", "--listen=[::]:8430"]).expect("it parses");
    assert!(matches!(cli.command, Command::Doctor(Doctor { running: true, .. })));
}
