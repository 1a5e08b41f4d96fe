//! `config print`: every effective value with where it was set. Secrets are masked.

use super::sources::{Origin, Values};
use super::table::{SETTINGS, Setting};
use super::value::Value;
use std::fmt::Write;

/// The effective configuration as a TOML file, with the origin of each value behind it.
pub(crate) fn print(values: &Values) -> String {
    let rows = SETTINGS.iter().filter_map(|setting| {
        let (value, origin) = values.get(setting.name)?;
        Some((setting, value, origin))
    });
    render(rows)
}

pub(super) fn render<'a>(rows: impl Iterator<Item = (&'a Setting, &'a Value, &'a Origin)>) -> String {
    let lines: Vec<(String, String)> = rows
        .map(|(setting, value, origin)| {
            (format!("{} = {}", setting.name, shown(setting, value)), origin.to_string())
        })
        .collect();
    let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for (line, origin) in lines {
        let _ = writeln!(text, "{line:width$}  # {origin}");
    }
    text
}

fn shown(setting: &Setting, value: &Value) -> String {
    match value {
        Value::Text(text) if setting.secret && !text.is_empty() => quoted("********"),
        Value::Text(text) => quoted(text),
        Value::Bool(value) => value.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
