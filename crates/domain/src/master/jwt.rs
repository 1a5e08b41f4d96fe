//! JSON Web Tokens: only the compact form, and of all algorithms HS256 and direct A256GCM.

use super::secure::Secure;
use super::{CIPHER_KEY, Key, KeyType, Refused, check_expiry, json};
use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use levee_proto::limits::NAME_BYTES;
use levee_proto::types::{Object, micros};
use levee_proto::{Id, Text};
use serde_json::Value;
use sha2::Sha256;

/// Bytes of an initialization vector.
const IV: usize = 12;
/// Bytes of an authentication tag.
const TAG: usize = 16;
/// How far the clock of whoever made a token may be ahead, in microseconds.
const LEEWAY: u64 = 60 * 1_000_000;

/// Who a token authenticates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The master's own identifier of the puppet.
    pub sub: Text,
    /// The name that the puppet gets; without it, it gets none.
    pub preferred_username: Option<Text>,
    /// When the token expires, in microseconds since 1970.
    pub expires: u64,
}

/// Reads a token of `create_session`, at a time in microseconds since 1970.
///
/// # Errors
/// See [`Refused`].
pub fn authenticate(key: &Key, token: &str, now: u64) -> Result<Subject, Refused> {
    let claims = verify(key, token).ok_or(Refused::Denied)?;
    let subject = || {
        let sub = text(&claims, "sub")?.filter(|sub| !sub.is_empty())?;
        Some(Subject {
            sub,
            preferred_username: text(&claims, "preferred_username")?,
            expires: micros(claims.get("exp")?.as_f64()?),
        })
    };
    let subject = subject().ok_or(Refused::Denied)?;
    check_times(&claims, now)?;
    Ok(subject)
}

/// Reads a token of `join_channel` or `follow_channel`, at a time in microseconds since 1970: whether it is for
/// the channel.
///
/// # Errors
/// See [`Refused`].
pub fn authorize(key: &Key, token: &str, channel_id: &str, now: u64) -> Result<(), Refused> {
    let claims = verify(key, token).ok_or(Refused::Denied)?;
    let scopes = claims.get("scopes").and_then(Value::as_array).ok_or(Refused::Denied)?;
    let texts: Option<Vec<&str>> = scopes.iter().map(Value::as_str).collect();
    let named = |scope: &&str| scope.strip_prefix("channel:") == Some(channel_id);
    if !texts.ok_or(Refused::Denied)?.iter().any(named) {
        return Err(Refused::Denied);
    }
    check_times(&claims, now)
}

/// Decrypts secure metadata.
pub(super) fn open(key: &Key, token: &str, now: u64) -> Result<Secure, Refused> {
    let mut claims = decrypt(key, token).ok_or(Refused::Denied)?;
    let metadata = claims.remove("ninchat.com/metadata");
    let (Some(Value::Object(metadata)), Some(user_name)) = (metadata, text(&claims, "preferred_username"))
    else {
        return Err(Refused::Denied);
    };
    check_times(&claims, now)?;
    Ok(Secure { metadata, user_name })
}

/// The key that a token names.
pub(super) fn key_id_of(token: &str) -> Option<Id> {
    let (first, _) = token.split_once('.')?;
    Some(header(first)?.get("kid")?.as_str()?.into())
}

/// The parts of a token, if there are as many.
fn parts<const N: usize>(token: &str) -> Option<[&str; N]> {
    // One more than there may be, so that what follows is never part of the last one.
    token.splitn(N + 1, '.').collect::<Vec<_>>().try_into().ok()
}

fn decode(part: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(part).ok()
}

/// A header without extensions.
fn header(part: &str) -> Option<Object> {
    json::object(&decode(part)?).filter(|header| !header.contains_key("crit") && !header.contains_key("zip"))
}

fn is(header: &Object, name: &str, value: &str) -> bool {
    header.get(name).and_then(Value::as_str) == Some(value)
}

/// Whether a header names the key.
fn names(header: &Object, key: &Key) -> bool {
    header.get("kid").and_then(Value::as_str).is_some_and(|kid| key.is(KeyType::Jwt, kid))
}

/// The claims of a signed token.
fn verify(key: &Key, token: &str) -> Option<Object> {
    let [first, payload, digest] = parts(token)?;
    let header = header(first)?;
    if !is(&header, "alg", "HS256") || !names(&header, key) {
        return None;
    }
    let signed = &token[..first.len() + 1 + payload.len()];
    let mac = Hmac::<Sha256>::new_from_slice(&key.secret).ok()?.chain_update(signed);
    mac.verify_slice(&decode(digest)?).ok()?;
    json::object(&decode(payload)?)
}

/// The claims of an encrypted token.
fn decrypt(key: &Key, token: &str) -> Option<Object> {
    let [first, "", iv, cipher, tag] = parts(token)? else {
        return None;
    };
    let header = header(first)?;
    if !is(&header, "alg", "dir") || !is(&header, "enc", "A256GCM") || !names(&header, key) {
        return None;
    }
    let (iv, mut sealed, tag) = (decode(iv)?, decode(cipher)?, decode(tag)?);
    if key.secret.len() != CIPHER_KEY || iv.len() != IV || tag.len() != TAG {
        return None;
    }
    sealed.extend(tag);
    let nonce = Nonce::try_from(iv.as_slice()).ok()?;
    let aes = Aes256Gcm::new_from_slice(&key.secret).ok()?;
    json::object(&aes.decrypt(&nonce, Payload { msg: &sealed, aad: first.as_bytes() }).ok()?)
}

/// A claim that is a text, or absent, or `null`.
fn text(claims: &Object, name: &str) -> Option<Option<Text>> {
    match claims.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(Value::String(text)) if text.len() <= NAME_BYTES => Some(Some(text.as_str().into())),
        Some(_) => None,
    }
}

/// Looks at `exp`, which must be there, and at `nbf`, which may.
fn check_times(claims: &Object, now: u64) -> Result<(), Refused> {
    let time = |value: &Value| value.as_f64().map(micros).ok_or(Refused::Denied);
    if let Some(from) = claims.get("nbf")
        && time(from)? > now.saturating_add(LEEWAY)
    {
        return Err(Refused::Denied);
    }
    check_expiry(time(claims.get("exp").ok_or(Refused::Denied)?)?, now)
}
