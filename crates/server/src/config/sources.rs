//! The sources of settings and their order: a later one wins.

use super::table::{SETTINGS, Setting};
use super::value::Value;
use super::{ConfigError, environment, file};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

/// The file that is read when it is there and nothing else is asked for.
const USUAL_FILE: &str = "levee.toml";

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources {
    /// Defaults of a command that differ from the table's: name and text.
    pub(crate) defaults: Vec<(&'static str, String)>,
    /// The file that the flag names.
    pub(crate) file: Option<PathBuf>,
    /// The folder where the usual file is looked for; `None` to look for none.
    pub(crate) folder: Option<PathBuf>,
    /// The environment.
    pub(crate) variables: Vec<(String, String)>,
    /// Flags: the setting's name and the text after it.
    pub(crate) flags: Vec<(&'static str, String)>,
}

impl Sources {
    /// This process' environment and current folder, with these flags.
    pub(crate) fn of_process(file: Option<PathBuf>, flags: Vec<(&'static str, String)>) -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| {
                Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
            })
            .collect();
        Self { defaults: Vec::new(), file, folder: Some(PathBuf::from(".")), variables, flags }
    }

    /// The file to read, if any: the flag's, else the environment's, else the usual one if it is there.
    fn file(&self) -> Option<PathBuf> {
        let named = || {
            let (_, path) = self.variables.iter().find(|(name, _)| name == environment::FILE)?;
            (!path.is_empty()).then(|| PathBuf::from(path))
        };
        let usual = || Some(self.folder.as_ref()?.join(USUAL_FILE)).filter(|path| path.is_file());
        self.file.clone().or_else(named).or_else(usual)
    }
}

/// Where a value was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nowhere.
    Default,
    /// In a file: its path and line.
    File(String),
    /// By this variable.
    Environment(String),
    /// By this flag.
    Flag(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(place) => f.write_str(place),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(name) => write!(f, "--{name}"),
        }
    }
}

/// A value that a source sets.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) setting: &'static Setting,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// The effective value of every setting and where it was set.
#[derive(Debug, Clone)]
pub(crate) struct Values(BTreeMap<&'static str, (Value, Origin)>);

impl Values {
    /// Reads all sources.
    ///
    /// # Errors
    /// The first thing that is wrong, with the place where it was written.
    pub(crate) fn read(sources: &Sources) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        for setting in SETTINGS {
            let own = sources.defaults.iter().find(|(name, _)| *name == setting.name);
            let text = own.map_or(setting.default, |(_, text)| text.as_str());
            values.insert(setting.name, (parse("default", setting, text)?, Origin::Default));
        }
        let mut found = Vec::new();
        if let Some(path) = sources.file() {
            found.extend(file::read(&path)?);
        }
        found.extend(environment::read(&sources.variables)?);
        for (name, text) in &sources.flags {
            let Some(setting) = SETTINGS.iter().find(|setting| setting.name == *name) else { continue };
            let flag = setting.flag();
            let value = parse(&format!("--{flag}"), setting, text)?;
            found.push(Found { setting, value, origin: Origin::Flag(flag) });
        }
        for Found { setting, value, origin } in found {
            values.insert(setting.name, (value, origin));
        }
        Ok(Self(values))
    }

    /// The value of a setting and where it was set.
    pub(super) fn get(&self, name: &str) -> Option<&(Value, Origin)> {
        self.0.get(name)
    }

    // A name that is not in the table, or not of that kind, yields an empty value: the tests compare the
    // names that the typed configuration asks for with the table.

    /// A text, a word.
    pub(super) fn text(&self, name: &str) -> &str {
        match self.get(name) {
            Some((Value::Text(text), _)) => text,
            _ => "",
        }
    }

    /// A path, unless it is empty.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        Some(self.text(name)).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    /// An address.
    pub(super) fn address(&self, name: &str) -> SocketAddr {
        // Checked when it was read; the alternative is the port that nobody has.
        self.text(name).parse().unwrap_or_else(|_| (Ipv4Addr::LOCALHOST, 0).into())
    }

    /// A truth value.
    pub(super) fn bool(&self, name: &str) -> bool {
        matches!(self.get(name), Some((Value::Bool(true), _)))
    }

    /// A whole number.
    pub(super) fn integer(&self, name: &str) -> u64 {
        match self.get(name) {
            Some((Value::Integer(number), _)) => *number,
            _ => 0,
        }
    }

    /// A whole number that counts something in memory.
    pub(super) fn size(&self, name: &str) -> usize {
        usize::try_from(self.integer(name)).unwrap_or(usize::MAX)
    }

    /// A list.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some((Value::List(items), _)) => items.clone(),
            _ => Vec::new(),
        }
    }
}

fn parse(place: &str, setting: &Setting, text: &str) -> Result<Value, ConfigError> {
    Value::parse(setting.kind, text).map_err(|found| ConfigError::Unfit {
        place: place.to_owned(),
        name: setting.name.to_owned(),
        expected: setting.kind.describe(),
        found: if setting.secret { "what was given".into() } else { found },
    })
}

/// The known name that looks most like `name`, if one does.
pub(super) fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    known
        .map(|candidate| (strsim::jaro_winkler(name, &candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}
