//! Master keys: what is signed or encrypted with them is checked here.
//!
//! Whoever calls looks the key up by the id that a text names ([`key_id_of`]), and decides over its owner and
//! realm. To the outside all that is wrong looks alike: [`Refused`] has no more to say than that a text which
//! was right has expired.

mod json;
mod jwt;
mod keys;
mod secure;
mod sign;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub use jwt::{Subject, authenticate, authorize};
pub use keys::{KEYS, KeyGone, KeyMade, KeyRow, Keys, MAX_KEYS, gone_views, made_views, row_key};
pub use secure::{Secure, open};
pub use sign::{Grant, Wanted, verify};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use levee_proto::{Id, Text};
use std::fmt;

/// How far ahead something may expire, in microseconds.
pub const WEEK: u64 = 7 * 24 * 60 * 60 * 1_000_000;
/// Bytes of an AES-256 key, and the fewest of an HS256 one.
const CIPHER_KEY: usize = 32;
/// The most bytes of a key.
const LONGEST_KEY: usize = 1024;

/// Which algorithms a key is used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// Action signatures and the original encoding of secure metadata.
    Ninchat,
    /// JSON Web Tokens.
    Jwt,
}

impl KeyType {
    /// The type of a `master_key_type`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "ninchat" => Some(Self::Ninchat),
            "jwt" => Some(Self::Jwt),
            _ => None,
        }
    }

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ninchat => "ninchat",
            Self::Jwt => "jwt",
        }
    }

    /// The type that secure metadata was encrypted for, by the shape of the text.
    pub fn of_secure(text: &str) -> Self {
        if text.bytes().filter(|byte| *byte == b'.').count() < 2 { Self::Ninchat } else { Self::Jwt }
    }
}

/// A master key.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    id: Id,
    key_type: KeyType,
    secret: Vec<u8>,
}

/// The secret is not shown: it must not get into a log.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("key_type", &self.key_type).finish_non_exhaustive()
    }
}

/// A secret of random bytes, as [`Key::parse`] takes it.
pub fn secret(random: &[u8; CIPHER_KEY]) -> Text {
    STANDARD.encode(random).into()
}

/// Why a text is no secret of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSecret {
    /// It is not base64.
    #[error("the secret is not base64")]
    Base64,
    /// It is too short or too long for the key's type.
    #[error("a ninchat secret has 32 bytes, a jwt secret 32 to 1024")]
    Length,
}

impl Key {
    /// A key with its secret in base64.
    ///
    /// # Errors
    /// When the secret is not base64, or its length is not one of the type. A "jwt" key of more than 32 bytes
    /// can sign, but nothing can be encrypted with it.
    pub fn parse(id: &str, key_type: KeyType, secret: &str) -> Result<Self, BadSecret> {
        let secret = STANDARD.decode(secret).map_err(|_| BadSecret::Base64)?;
        let lengths = match key_type {
            KeyType::Ninchat => CIPHER_KEY..=CIPHER_KEY,
            KeyType::Jwt => CIPHER_KEY..=LONGEST_KEY,
        };
        if !lengths.contains(&secret.len()) {
            return Err(BadSecret::Length);
        }
        Ok(Self { id: id.into(), key_type, secret })
    }

    /// Its id.
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Its type.
    pub fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// Whether a text names this key, and as one of the type.
    fn is(&self, key_type: KeyType, id: &str) -> bool {
        self.key_type == key_type && self.id == id
    }
}

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// It is not right; what about it is not said.
    #[error("denied")]
    Denied,
    /// It was right, and has expired.
    #[error("expired")]
    Expired,
}

/// The id of the key that a signature, secure metadata or a token names.
///
/// # Errors
/// `Denied` when it names none.
pub fn key_id_of(key_type: KeyType, text: &str) -> Result<Id, Refused> {
    let id = match key_type {
        KeyType::Ninchat => text.find(['.', '-']).map(|end| text[..end].into()),
        KeyType::Jwt => jwt::key_id_of(text),
    };
    id.filter(|id| !id.is_empty()).ok_or(Refused::Denied)
}

/// Looks at the time at which something authentic expires, in microseconds.
fn check_expiry(expires: u64, now: u64) -> Result<(), Refused> {
    if expires > now.saturating_add(WEEK) {
        Err(Refused::Denied)
    } else if expires <= now {
        Err(Refused::Expired)
    } else {
        Ok(())
    }
}
