//! Places in a JSON document that somebody wrote by hand: each knows the way to it, so that what is wrong there can
//! be told of.

use levee_proto::{Object, Rejection};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How much of a way is told.
const TOLD: usize = 200;

/// What is wrong with a document, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Wrong {
    /// Where, as a JSON pointer that begins with the document's name.
    pub path: String,
    /// What.
    pub reason: String,
}

impl From<Wrong> for Rejection {
    fn from(wrong: Wrong) -> Self {
        Self::malformed(wrong.to_string())
    }
}

/// A place in a document.
#[derive(Debug, Clone)]
pub(crate) struct Place<'a> {
    path: String,
    pub(crate) value: &'a Value,
}

impl<'a> Place<'a> {
    /// The whole of a document.
    pub(crate) fn root(name: &str, value: &'a Value) -> Self {
        Self { path: name.to_owned(), value }
    }

    /// The way here.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn wrong(&self, reason: impl Into<String>) -> Wrong {
        wrong(&self.path, reason)
    }

    fn at(&self, step: &str, value: &'a Value) -> Self {
        Self { path: beneath(&self.path, step), value }
    }

    /// A member of an object; what is `null` is not there.
    pub(crate) fn member(&self, name: &str) -> Option<Self> {
        self.value.get(name).filter(|value| !value.is_null()).map(|value| self.at(name, value))
    }

    /// The members of an object but those that are `null`, each with its name.
    pub(crate) fn members(&self) -> Result<impl Iterator<Item = (&'a str, Self)> + use<'a, '_>, Wrong> {
        let members = self.object()?.iter().filter(|(_, value)| !value.is_null());
        Ok(members.map(|(name, value)| (name.as_str(), self.at(name, value))))
    }

    pub(crate) fn object(&self) -> Result<&'a Object, Wrong> {
        self.value.as_object().ok_or_else(|| self.wrong("is not an object"))
    }

    /// The items of a list that has no more of them than so many.
    pub(crate) fn items(&self, most: usize) -> Result<Vec<Self>, Wrong> {
        let items = self.value.as_array().ok_or_else(|| self.wrong("is not a list"))?;
        if items.len() > most {
            return Err(self.wrong(format!("has more than {most} items")));
        }
        Ok(items.iter().enumerate().map(|(number, item)| self.at(&number.to_string(), item)).collect())
    }

    /// A text of at most so many bytes.
    pub(crate) fn text(&self, most: usize) -> Result<&'a str, Wrong> {
        let text = self.value.as_str().ok_or_else(|| self.wrong("is not a string"))?;
        if text.len() > most {
            return Err(self.wrong(format!("has more than {most} bytes")));
        }
        Ok(text)
    }

    pub(crate) fn flag(&self) -> Result<bool, Wrong> {
        self.value.as_bool().ok_or_else(|| self.wrong("is neither true nor false"))
    }
}

/// What is wrong at a place.
pub(crate) fn wrong(path: &str, reason: impl Into<String>) -> Wrong {
    Wrong { path: path.chars().take(TOLD).collect(), reason: reason.into() }
}

/// The way to something beneath a place.
pub(crate) fn beneath(path: &str, step: &str) -> String {
    format!("{path}/{}", step.replace('~', "~0").replace('/', "~1"))
}
