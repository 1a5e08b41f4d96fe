//! The environment: variables that begin with `LEVEE_`.

use super::sources::{Found, Origin};
use super::table::SETTINGS;
use super::value::Value;
use super::{ConfigError, sources};

/// What all our variables begin with.
pub(super) const PREFIX: &str = "LEVEE_";
/// The variable that names the file; it is no setting.
pub(super) const FILE: &str = "LEVEE_CONFIG";

/// Reads variables. Those that do not begin with the prefix are somebody else's.
///
/// # Errors
/// When one of ours is unknown or does not fit.
pub(super) fn read(variables: &[(String, String)]) -> Result<Vec<Found>, ConfigError> {
    let mut found = Vec::new();
    for (name, text) in variables {
        if !name.starts_with(PREFIX) || name == FILE {
            continue;
        }
        let place = "environment".to_owned();
        let Some(setting) = SETTINGS.iter().find(|setting| setting.env() == *name) else {
            let known = SETTINGS.iter().map(|setting| setting.env()).chain([FILE.to_owned()]);
            let nearest = sources::nearest(name, known);
            return Err(ConfigError::Unknown { place, name: name.clone(), nearest });
        };
        let value = Value::parse(setting.kind, text).map_err(|found| ConfigError::Unfit {
            place,
            name: name.clone(),
            expected: setting.kind.describe(),
            found: if setting.secret { "what was given".into() } else { found },
        })?;
        found.push(Found { setting, value, origin: Origin::Environment(name.clone()) });
    }
    Ok(found)
}
