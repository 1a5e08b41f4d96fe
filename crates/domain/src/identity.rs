//! Identities: names outside by which people know a user, such as e-mail addresses. Each is one user's alone: a row of
//! the directory says whose.

use levee_proto::attrs::IdentityAttrs;
use levee_proto::{Id, Text};
use serde::{Deserialize, Serialize};

/// The namespace of identities in the directory.
pub const IDENTITIES: &str = "identity";
/// The namespace of their passwords' hashes in the directory.
pub const PASSWORDS: &str = "password";

/// Which identity: its type and its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Text,
    /// Its name, in the form under which it is kept.
    pub name: Text,
}

impl Identity {
    /// The identity that somebody calls by this name: e-mail addresses are told apart without their case.
    pub fn new(kind: &str, name: &str) -> Self {
        let name = if kind == "email" { name.trim().to_lowercase().into() } else { name.into() };
        Self { kind: kind.into(), name }
    }

    /// Its key in the directory.
    pub fn key(&self) -> Id {
        self.kind.clone() + ":" + &self.name
    }
}

/// An identity, as the directory keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdentityRow {
    /// Whose it is.
    pub user: Id,
    /// The password's hash, in rows of old; now it has a row of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Whether it is not verified yet: nobody may log in by it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pending: bool,
    /// Whether it wants no mails of others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub blocked: bool,
}

impl IdentityRow {
    /// The row of a user's identity.
    pub fn new(user: &Id, attrs: &IdentityAttrs) -> Self {
        let (pending, blocked) = (attrs.pending.is_some(), attrs.blocked.is_some());
        Self { user: user.clone(), password: None, pending, blocked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_apart_without_their_case_and_rows_of_old_are_read() {
        assert_eq!(Identity::new("email", " Ann@Example.org ").key(), "email:ann@example.org");
        assert_ne!(Identity::new("gcm", "A"), Identity::new("gcm", "a"));
        let old: IdentityRow = serde_json::from_str(r#"{"user":"00u","password":"hash"}"#).unwrap();
        assert_eq!((old.password.as_deref(), old.pending, old.blocked), (Some("hash"), false, false));
    }
}
