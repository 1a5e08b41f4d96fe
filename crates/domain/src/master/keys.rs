//! Whose master keys are: a user's own, or a realm's, which its operators make and delete. The secrets are
//! rows of the directory, for whoever verifies; owners know which keys they have.

use super::{BadSecret, Key, KeyType};
use crate::machine::{Actor, Answer, Claim, Emit, Moment};
use crate::view::{To, View};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use levee_proto::actions::access::{CreateMasterKey, DeleteMasterKey};
use levee_proto::{ErrorType, Id, Object, Rejection, Text, events, ids, limits};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The namespace of master keys in the directory.
pub const KEYS: &str = "master_key";
/// How many keys a user or a realm may have.
pub const MAX_KEYS: usize = 64;

/// A master key, as the directory keeps it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRow {
    /// The user who made it, and to whom it belongs.
    pub owner: Id,
    /// The realm that it is for; without one it is for all that is the owner's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<Id>,
    /// The secret, in base64.
    pub secret: Text,
}

/// The key of a row in the directory.
pub fn row_key(key_type: KeyType, id: &str) -> Id {
    compact_str::format_compact!("{}:{id}", key_type.name())
}

/// The keys of a user or a realm: by type, then by id.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Keys(BTreeMap<Text, BTreeMap<Id, Kept>>);

/// What an owner knows of a key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// The realm that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    realm: Option<Id>,
    /// The secret's digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<Id>,
    /// Whose it is, among a realm's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Id>,
}

/// A key was made.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyMade {
    /// Its type.
    pub key_type: Text,
    /// Its id.
    pub key_id: Id,
    /// The realm that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<Id>,
    /// The secret's digest; a user has none of a realm's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Id>,
    /// The secret, if the server made it: a retry is told it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<Text>,
    /// Whose it is, among a realm's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Id>,
    /// The session that asked for it; none when another entity tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Id>,
}

/// The secret is not shown: it must not get into a log.
impl std::fmt::Debug for KeyMade {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyMade").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// A key was deleted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyGone {
    /// Its type.
    pub key_type: Text,
    /// Its id.
    pub key_id: Id,
    /// The realm that it was for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub realm: Option<Id>,
    /// The session that asked for it; none when another entity tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Id>,
}

impl Keys {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a key in.
    pub fn made(&mut self, made: KeyMade) {
        let kept = Kept { realm: made.realm, digest: made.digest, owner: made.owner };
        self.0.entry(made.key_type).or_default().insert(made.key_id, kept);
    }

    /// Lets a key go.
    pub fn gone(&mut self, gone: &KeyGone) {
        if let Some(of_type) = self.0.get_mut(&gone.key_type) {
            of_type.remove(&gone.key_id);
            if of_type.is_empty() {
                self.0.remove(&gone.key_type);
            }
        }
    }

    /// Whether a key is among them.
    pub fn contains(&self, key_type: &str, key_id: &str) -> bool {
        self.0.get(key_type).is_some_and(|of_type| of_type.contains_key(key_id))
    }

    /// The answer to `describe_master_keys`.
    pub fn found(&self) -> Emit {
        let shown = |kept: &Kept| kept.realm.as_ref().map_or_else(|| json!({}), |id| json!({"realm_id": id}));
        let of_type = |ids: &BTreeMap<Id, Kept>| {
            let ids = ids.iter().map(|(id, kept)| (id.to_string(), shown(kept)));
            Value::Object(ids.collect())
        };
        let master_keys = self.0.iter().map(|(name, ids)| (name.to_string(), of_type(ids))).collect();
        Answer::event(&events::MasterKeysFound { master_keys })
    }

    /// The answer to `describe_master`, which knows keys of one type only.
    pub fn found_in_old_form(&self) -> Emit {
        let ids = self.0.get(KeyType::Ninchat.name()).into_iter().flat_map(BTreeMap::keys);
        let master_keys: Object = ids.map(|id| (id.to_string(), json!({}))).collect();
        Answer::event(&events::MasterFound { master_keys })
    }

    /// Makes a key for a user or, by an operator, for a realm: what happens, and the row that claims its id.
    ///
    /// # Errors
    /// `request_malformed` for an id or a secret that can't be, `permission_denied` for a key too many; the
    /// claim refuses an id that somebody has.
    pub fn make(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        create: &CreateMasterKey,
        payload: &[Bytes],
    ) -> Result<(KeyMade, Claim), Rejection> {
        if self.0.values().map(BTreeMap::len).sum::<usize>() >= MAX_KEYS {
            return Err(Rejection::denied().because("there are as many master keys as may be"));
        }
        let key_type = key_type(create.master_key_type.as_deref())?;
        let (key_id, secret) = match key_type {
            KeyType::Ninchat if create.master_key_id.is_some() => {
                return Err(Rejection::malformed("the server chooses the master_key_id of such a key"));
            }
            KeyType::Ninchat => {
                let command = actor.command();
                let cause =
                    command.map_or_else(|| at.now.to_string(), |command| command.action_id.to_string());
                let shard = ids::shard(at.id).unwrap_or_default();
                let internal = || Rejection::new(ErrorType::Internal).because("no secret was drawn");
                let secret = actor.found.as_ref().and_then(|found| found.secret()).ok_or_else(internal)?;
                (ids::derive(shard, &["master_key", at.id, &actor.session, &cause]), secret.clone())
            }
            KeyType::Jwt => {
                let key_id = create.master_key_id.clone();
                let key_id = key_id.ok_or_else(|| Rejection::malformed("master_key_id is missing"))?;
                if key_id.is_empty()
                    || key_id.len() > limits::NAME_BYTES
                    || !key_id.bytes().all(|byte| byte.is_ascii_graphic())
                {
                    return Err(Rejection::malformed("master_key_id is no printable ASCII text"));
                }
                (key_id, material(payload)?)
            }
        };
        Key::parse(&key_id, key_type, &secret).map_err(|bad| Rejection::malformed(bad.to_string()))?;
        let row =
            KeyRow { owner: actor.user.clone(), realm: create.realm_id.clone(), secret: secret.clone() };
        let claim = Claim {
            namespace: KEYS,
            key: row_key(key_type, &key_id),
            value: serde_json::to_vec(&row).ok().map(Bytes::from),
            absent: true,
            refusal: Rejection::denied().because("the master_key_id is taken"),
        };
        let made = KeyMade {
            key_type: key_type.name().into(),
            key_id,
            realm: create.realm_id.clone(),
            digest: Some(ids::digest(&secret)),
            secret: (key_type == KeyType::Ninchat).then_some(secret),
            owner: None,
            by: Some(actor.session.clone()),
        };
        Ok((made, claim))
    }

    /// Deletes a key: what happens, whose it was among a realm's, and the row that goes.
    ///
    /// # Errors
    /// `permission_denied` when there is none such.
    pub fn delete(
        &self,
        actor: &Actor,
        delete: &DeleteMasterKey,
    ) -> Result<(KeyGone, Option<Id>, Claim), Rejection> {
        let key_type = key_type(delete.master_key_type.as_deref())?;
        let kept = self.0.get(key_type.name()).and_then(|ids| ids.get(&delete.master_key_id));
        let absent = || Rejection::denied().about("master_key_id", &delete.master_key_id);
        let kept = kept.filter(|kept| kept.realm == delete.realm_id).ok_or_else(absent)?;
        let gone = KeyGone {
            key_type: key_type.name().into(),
            key_id: delete.master_key_id.clone(),
            realm: delete.realm_id.clone(),
            by: Some(actor.session.clone()),
        };
        let claim = unclaim(key_type.name(), &delete.master_key_id);
        Ok((gone, kept.owner.clone(), claim))
    }

    /// Whether this is a key's secret.
    pub fn opens(&self, delete: &DeleteMasterKey) -> bool {
        let kind = delete.master_key_type.as_deref().unwrap_or(KeyType::Ninchat.name());
        let kept = self.0.get(kind).and_then(|ids| ids.get(&delete.master_key_id));
        let given = delete.master_key_secret.as_ref().map(|secret| ids::digest(secret));
        given.is_some() && given == kept.and_then(|kept| kept.digest.clone())
    }

    /// Lets go of all keys whose secrets are this owner's.
    pub fn unclaimed(&self) -> impl Iterator<Item = Emit> {
        let own = self.0.iter().flat_map(|(kind, ids)| {
            ids.iter().filter(|(_, kept)| kept.digest.is_some()).map(move |(id, _)| (kind, id))
        });
        own.map(|(kind, id)| Emit::Claim(unclaim(kind, id)))
    }
}

fn unclaim(key_type: &str, key_id: &str) -> Claim {
    Claim {
        namespace: KEYS,
        key: compact_str::format_compact!("{key_type}:{key_id}"),
        value: None,
        absent: false,
        refusal: Rejection::new(ErrorType::Internal),
    }
}

fn key_type(name: Option<&str>) -> Result<KeyType, Rejection> {
    let named = KeyType::named(name.unwrap_or(KeyType::Ninchat.name()));
    named.ok_or_else(|| Rejection::malformed("master_key_type is ninchat or jwt"))
}

/// The secret in a payload, in base64: its bytes, or where only JSON can be sent, a text of base64.
fn material(payload: &[Bytes]) -> Result<Text, Rejection> {
    let [part] = payload else {
        return Err(Rejection::malformed("the payload is the key, in one part"));
    };
    match serde_json::from_slice::<Text>(part) {
        Ok(text) if STANDARD.decode(&text).is_err() => {
            Err(Rejection::malformed(BadSecret::Base64.to_string()))
        }
        Ok(text) => Ok(text),
        Err(_) => Ok(STANDARD.encode(part).into()),
    }
}

/// What followers see of a new key: whoever asked for it gets the secret.
pub fn made_views(made: &KeyMade) -> Vec<View> {
    let Some(by) = &made.by else { return Vec::new() };
    let event = events::MasterKeyCreated {
        master_key_id: made.key_id.clone(),
        master_key_type: made.key_type.clone(),
        master_key_secret: made.secret.clone(),
        realm_id: made.realm.clone(),
    };
    vec![View::new(To::Session(by.clone()), &event)]
}

/// What followers see of a key that is gone.
pub fn gone_views(gone: &KeyGone) -> Vec<View> {
    let Some(by) = &gone.by else { return Vec::new() };
    let event = events::MasterKeyDeleted {
        master_key_id: gone.key_id.clone(),
        master_key_type: gone.key_type.clone(),
        realm_id: gone.realm.clone(),
    };
    vec![View::new(To::Session(by.clone()), &event)]
}
