//! Secure metadata.

use super::{CIPHER_KEY, Key, KeyType, Refused, check_expiry, json, jwt};
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{BlockModeDecrypt as _, KeyIvInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use levee_proto::Text;
use levee_proto::types::{Object, micros};
use serde_json::Value;
use sha2::{Digest as _, Sha512};
use subtle::ConstantTimeEq as _;

/// Bytes of an initialization vector and of a block.
const BLOCK: usize = 16;
/// Bytes of the digest before the JSON.
const DIGEST: usize = 64;

/// What was encrypted.
#[derive(Debug, Clone, PartialEq)]
pub struct Secure {
    /// The metadata.
    pub metadata: Object,
    /// The name that the user gets.
    pub user_name: Option<Text>,
}

/// Decrypts secure metadata that a user brings, at a time in microseconds since 1970. The key's type tells in
/// which encoding it must be.
///
/// # Errors
/// See [`Refused`]. Metadata that was meant for another user is denied.
pub fn open(key: &Key, text: &str, user_id: &str, now: u64) -> Result<Secure, Refused> {
    match key.key_type {
        KeyType::Ninchat => {
            let plain = decrypt(key, text).and_then(|plain| json::object(&plain));
            let (secure, expires) = plain.and_then(|plain| read(plain, user_id)).ok_or(Refused::Denied)?;
            check_expiry(expires, now)?;
            Ok(secure)
        }
        KeyType::Jwt => jwt::open(key, text, now),
    }
}

/// The JSON within the original encoding.
fn decrypt(key: &Key, text: &str) -> Option<Vec<u8>> {
    let at = text.find(['.', '-'])?;
    let base64 = if text.as_bytes()[at] == b'.' { &URL_SAFE_NO_PAD } else { &STANDARD };
    let bytes = base64.decode(&text[at + 1..]).ok()?;
    let (iv, cipher) = bytes.split_at_checked(BLOCK)?;
    if !key.is(KeyType::Ninchat, &text[..at]) || key.secret.len() != CIPHER_KEY {
        return None;
    }
    let aes = cbc::Decryptor::<aes::Aes256>::new_from_slices(&key.secret, iv).ok()?;
    let plain = aes.decrypt_padded_vec::<NoPadding>(cipher).ok()?;
    let (digest, padded) = plain.split_at_checked(DIGEST)?;
    let end = padded.iter().rposition(|byte| *byte != 0)? + 1;
    let json = &padded[..end];
    bool::from(Sha512::digest(json).as_slice().ct_eq(digest)).then(|| json.to_vec())
}

/// What the JSON says, and when it expires.
fn read(mut plain: Object, user_id: &str) -> Option<(Secure, u64)> {
    let expires = micros(plain.get("expire")?.as_f64()?);
    let for_user = match plain.get("user_id") {
        Some(target) => target.as_str() == Some(user_id),
        None => true,
    };
    let metadata = match plain.remove("metadata")? {
        Value::Object(metadata) => metadata,
        // What Python makes of `None`, and PHP of an empty array.
        Value::Null => Object::new(),
        Value::Array(items) if items.is_empty() => Object::new(),
        _ => return None,
    };
    for_user.then_some((Secure { metadata, user_name: None }, expires))
}
