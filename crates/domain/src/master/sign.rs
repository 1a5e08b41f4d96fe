//! Action signatures.

use super::json::{Json, Style, write_list, write_text};
use super::{Key, KeyType, Refused, check_expiry};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use levee_proto::{Id, Text};
use sha2::Sha512;

/// The most bytes of a nonce.
const NONCE_BYTES: usize = 128;

/// What an action asks for by a signature. Attributes are the JSON of an object, as the client sent it: the
/// order of nested properties is part of what was signed.
#[derive(Debug, Clone, Copy)]
pub enum Wanted<'a> {
    /// `create_session` of a new puppet.
    NewPuppet {
        /// What the puppet gets.
        puppet_attrs: Option<&'a str>,
    },
    /// `create_session` of an existing puppet.
    Puppet {
        /// Which.
        user_id: &'a str,
    },
    /// `join_channel`, or `follow_channel`.
    Channel {
        /// Which.
        channel_id: &'a str,
        /// Whether it is to be followed only: whoever may join may do that.
        follows: bool,
        /// What the member gets.
        member_attrs: Option<&'a str>,
        /// Who asks. A signature may be for anybody, or for one user only.
        user_id: &'a str,
    },
}

/// What was asked for is granted, once: whoever takes it claims the key's nonce until it expires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The key.
    pub key_id: Id,
    /// What makes this signature another than the others of the key.
    pub nonce: Text,
    /// When it expires, in microseconds since 1970.
    pub expires: u64,
}

/// Verifies a signature at a time in microseconds since 1970.
///
/// # Errors
/// See [`Refused`].
pub fn verify(key: &Key, sign: &str, wanted: &Wanted<'_>, now: u64) -> Result<Grant, Refused> {
    let parts = Parts::of(sign).ok_or(Refused::Denied)?;
    let mac = Hmac::<Sha512>::new_from_slice(&key.secret).map_err(|_| Refused::Denied)?;
    let authentic = key.is(KeyType::Ninchat, parts.key_id)
        && messages(&parts, wanted)
            .ok_or(Refused::Denied)?
            .iter()
            .any(|message| mac.clone().chain_update(message).verify_slice(&parts.digest).is_ok());
    if !authentic {
        return Err(Refused::Denied);
    }
    let expires = parts.expire.saturating_mul(1_000_000);
    check_expiry(expires, now)?;
    Ok(Grant { key_id: key.id.clone(), nonce: parts.nonce.into(), expires })
}

/// What a signature is made of.
struct Parts<'a> {
    key_id: &'a str,
    expire: u64,
    nonce: &'a str,
    digest: Vec<u8>,
    /// Whether it is for one user only.
    bound: bool,
}

impl<'a> Parts<'a> {
    /// Reads either serialisation: the first delimiter tells which it is, for ids have neither.
    fn of(sign: &'a str) -> Option<Self> {
        let dotted = sign.as_bytes()[sign.find(['.', '-'])?] == b'.';
        let mut tokens = sign.split(if dotted { '.' } else { '-' });
        let (key_id, expire, nonce, digest) =
            (tokens.next()?, tokens.next()?, tokens.next()?, tokens.next()?);
        let bound = match tokens.next() {
            Some("1") => true,
            Some("") if dotted => false,
            None if !dotted => false,
            _ => return None,
        };
        let allowed = |byte: u8| {
            if dotted {
                byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
            } else {
                byte.is_ascii_graphic()
            }
        };
        if tokens.next().is_some()
            || nonce.is_empty()
            || nonce.len() > NONCE_BYTES
            || !nonce.bytes().all(allowed)
            || expire.starts_with('0')
            || !expire.bytes().all(|byte| byte.is_ascii_digit())
        {
            return None;
        }
        let base64 = if dotted { &URL_SAFE_NO_PAD } else { &STANDARD };
        Some(Self { key_id, expire: expire.parse().ok()?, nonce, digest: base64.decode(digest).ok()?, bound })
    }
}

/// What may have been signed: the same array as one or another serialiser writes it.
fn messages(parts: &Parts<'_>, wanted: &Wanted<'_>) -> Option<Vec<String>> {
    let text = |text: &str| Json::Text(text.to_owned());
    let (actions, attrs): (&[&str], _) = match wanted {
        Wanted::NewPuppet { puppet_attrs } => (&["create_session"], *puppet_attrs),
        Wanted::Puppet { .. } => (&["create_session"], None),
        Wanted::Channel { follows: true, .. } => (&["follow_channel", "join_channel"], None),
        Wanted::Channel { member_attrs, .. } => (&["join_channel"], *member_attrs),
    };
    let attrs = attrs.map_or(Some(Vec::new()), pairs)?;
    let sorted = attrs.clone().into_iter().map(Json::sorted).collect();
    let mut messages = Vec::new();
    for (action, attrs) in actions.iter().flat_map(|action| [(*action, &attrs), (*action, &sorted)]) {
        let mut fields = vec![
            ("action", text(action)),
            ("expire", Json::Plain(parts.expire.into())),
            ("nonce", text(parts.nonce)),
        ];
        let attrs = (!attrs.is_empty()).then(|| Json::List(attrs.clone()));
        match wanted {
            Wanted::NewPuppet { .. } | Wanted::Puppet { .. } if parts.bound => return None,
            Wanted::NewPuppet { .. } => fields.extend(attrs.map(|attrs| ("puppet_attrs", attrs))),
            Wanted::Puppet { user_id } => fields.push(("user_id", text(user_id))),
            Wanted::Channel { channel_id, user_id, .. } => {
                fields.push(("channel_id", text(channel_id)));
                fields.extend(attrs.map(|attrs| ("member_attrs", attrs)));
                fields.extend(parts.bound.then(|| ("user_id", text(user_id))));
            }
        }
        fields.sort_by_key(|(name, _)| *name);
        for style in Style::ALL {
            let message = write(&fields, style);
            if !messages.contains(&message) {
                messages.push(message);
            }
        }
    }
    Some(messages)
}

/// The attributes of an object as pairs, in the order of their names.
fn pairs(attrs: &str) -> Option<Vec<Json>> {
    let Ok(Json::Object(mut attrs)) = serde_json::from_str(attrs) else {
        return None;
    };
    attrs.sort_by(|(a, _), (b, _)| a.cmp(b));
    Some(attrs.into_iter().map(|(name, value)| Json::List(vec![Json::Text(name), value])).collect())
}

/// Writes an array of pairs.
fn write(fields: &[(&str, Json)], style: Style) -> String {
    let mut out = String::new();
    write_list(&mut out, fields, |out, (name, value)| {
        out.push('[');
        write_text(out, name, style);
        out.push(',');
        value.write(out, style);
        out.push(']');
    });
    out
}
