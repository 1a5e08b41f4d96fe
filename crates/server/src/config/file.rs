//! The TOML file: flat keys, each the name of a setting.

use super::sources::{Found, Origin};
use super::table::SETTINGS;
use super::value::Value;
use super::{ConfigError, sources};
use std::path::Path;
use toml::de::DeTable;

/// Reads a file.
///
/// # Errors
/// When it can't be read, is not TOML, or sets something unknown or unfit.
pub(super) fn read(path: &Path) -> Result<Vec<Found>, ConfigError> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: name.clone(), reason: error.to_string() })?;
    parse(&name, &text)
}

/// Reads the text of a file that is called `name`.
///
/// # Errors
/// When it is not TOML, or sets something unknown or unfit.
pub(super) fn parse(name: &str, text: &str) -> Result<Vec<Found>, ConfigError> {
    let table = DeTable::parse(text).map_err(|error| ConfigError::Syntax {
        place: place(name, text, error.span().map_or(0, |span| span.start)),
        reason: error.message().to_owned(),
    })?;
    let mut found = Vec::new();
    for (key, value) in table.get_ref() {
        let place = place(name, text, key.span().start);
        let name = key.get_ref().as_ref();
        let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
            let nearest = sources::nearest(name, SETTINGS.iter().map(|setting| setting.name.to_owned()));
            return Err(ConfigError::Unknown { place, name: name.to_owned(), nearest });
        };
        let value = Value::from_toml(setting.kind, value.get_ref()).map_err(|found| ConfigError::Unfit {
            place: place.clone(),
            name: name.to_owned(),
            expected: setting.kind.describe(),
            found: if setting.secret { "what was given".into() } else { found },
        })?;
        found.push(Found { setting, value, origin: Origin::File(place) });
    }
    Ok(found)
}

/// `file:line`, by the position in the text.
fn place(name: &str, text: &str, at: usize) -> String {
    let before = text.as_bytes().get(..at).unwrap_or(text.as_bytes());
    format!("{name}:{}", before.iter().filter(|byte| **byte == b'\n').count() + 1)
}
