//! The tables' Rust types, told in the words of JSON and of TypeScript.

use super::catalog::ATTRIBUTES;
use anyhow::{Result, bail};

/// A type of the tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Type {
    /// A text.
    Text,
    /// A text that names a thing.
    Id,
    /// True or false.
    Bool,
    /// A whole number, not negative.
    Unsigned,
    /// A whole number.
    Signed,
    /// A number.
    Number,
    /// Any JSON object.
    Object,
    /// A kind of attributes, by its Rust name.
    Attributes(&'static str),
    /// A change of a kind of attributes.
    Patch(&'static str),
    /// Somebody who waits in a queue.
    Waiting,
    /// A list.
    List(Box<Type>),
}

impl Type {
    /// Reads a type as the compiler spells it; blanks do not count.
    ///
    /// # Errors
    /// When the type is not known here.
    pub(super) fn parse(rust: &str) -> Result<Self> {
        let rust: String = rust.split_whitespace().collect();
        if let Some(item) = rust.strip_prefix("Vec<").and_then(|rest| rest.strip_suffix('>')) {
            return Ok(Self::List(Box::new(Self::parse(item)?)));
        }
        let attributes = |name: &str| ATTRIBUTES.iter().find(|kind| kind.name == name).map(|kind| kind.name);
        Ok(match rust.as_str() {
            "Text" => Self::Text,
            "Id" => Self::Id,
            "bool" => Self::Bool,
            "u64" | "u32" | "usize" => Self::Unsigned,
            "i64" | "i32" => Self::Signed,
            "f64" => Self::Number,
            "Object" => Self::Object,
            "Waiting" => Self::Waiting,
            name => match (attributes(name), name.strip_suffix("Patch").and_then(attributes)) {
                (Some(name), _) => Self::Attributes(name),
                (None, Some(name)) => Self::Patch(name),
                (None, None) => {
                    bail!("the type `{rust}` has no mapping in crates/xtask/src/generate/types.rs")
                }
            },
        })
    }

    /// In the words of JSON, for documents.
    pub(super) fn json(&self) -> String {
        match self {
            Self::Text => "string".into(),
            Self::Id => "id".into(),
            Self::Bool => "boolean".into(),
            Self::Unsigned | Self::Signed => "integer".into(),
            Self::Number => "number".into(),
            Self::Object => "object".into(),
            Self::Attributes(name) => link(name),
            Self::Patch(name) => format!("change of {}", link(name)),
            Self::Waiting => "waiting audience".into(),
            Self::List(item) => format!("list of {}", item.json()),
        }
    }

    /// In TypeScript.
    pub(super) fn typescript(&self) -> String {
        match self {
            Self::Text | Self::Id => "string".into(),
            Self::Bool => "boolean".into(),
            Self::Unsigned | Self::Signed | Self::Number => "number".into(),
            Self::Object => "JsonObject".into(),
            Self::Attributes(name) => (*name).into(),
            Self::Patch(name) => format!("Patch<{name}>"),
            Self::Waiting => "Waiting".into(),
            Self::List(item) => format!("{}[]", item.typescript()),
        }
    }
}

/// A link to the table of a kind of attributes.
fn link(name: &str) -> String {
    let title = ATTRIBUTES.iter().find(|kind| kind.name == name).map_or(name, |kind| kind.title);
    let title = title.to_lowercase();
    format!("[{title} attributes](#{}-attributes)", title.replace(' ', "-"))
}
