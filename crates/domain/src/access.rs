//! Access keys: secrets that open something once, or until they expire.
//!
//! Who owns what a key opens keeps the key's digest, never the key. A row of the directory says whose it is, and
//! goes with it. A key that was used, or is too old, is known for a while, so that one can be told what is wrong.

use crate::identity::Identity;
use crate::machine::{Claim, Emit};
use crate::view::{Stream, To, View};
use bytes::Bytes;
use levee_proto::attrs::UserAttrs;
use levee_proto::{ErrorType, Id, Object, Rejection, Text, events, ids, limits};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The namespace of access keys in the directory.
pub const ACCESS: &str = "access";
/// A day, in microseconds.
const DAY: u64 = 86_400 * 1_000_000;
/// How long a key is known after it was good for the last time.
const KNOWN: u64 = 7 * DAY;

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessType {
    /// Opening sessions of a user.
    Session,
    /// Joining a channel, once.
    Channel,
    /// Being an audience's customer, for as long as the audience lives.
    Audience,
    /// Saying whether an identity is one's own, once.
    IdentityVerify,
    /// Choosing a new password of an identity, once.
    IdentityAuthReset,
}

impl AccessType {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Channel => "channel",
            Self::Audience => "audience",
            Self::IdentityVerify => "identity_verify",
            Self::IdentityAuthReset => "identity_auth_reset",
        }
    }

    /// How long a key opens something, in microseconds.
    fn life(self) -> u64 {
        match self {
            Self::Session | Self::Channel | Self::IdentityVerify => 7 * DAY,
            // The channel knows when the audience ends.
            Self::Audience => u64::MAX,
            Self::IdentityAuthReset => DAY,
        }
    }
}

/// A key, as the owner of what it opens keeps it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessKey {
    /// What it is for.
    #[serde(rename = "type")]
    pub access_type: AccessType,
    /// Until when it opens that, microseconds since 1970.
    pub until: u64,
    /// Who made it, as others see them.
    pub by: (Id, UserAttrs),
    /// The only user who may use it, if it is not for anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Id>,
    /// Whether who joins by it is not silenced.
    #[serde(default)]
    pub unsilence: bool,
    /// Whether who joins by it becomes a member of the channel's realm too.
    #[serde(default)]
    pub realm_member: bool,
    /// The identity that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The customer whom it makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer: Option<Box<Customer>>,
    /// Whether it was used, if it can be used but once.
    #[serde(default)]
    pub spent: bool,
}

impl AccessKey {
    /// A key of some kind that somebody makes now.
    pub fn new(access_type: AccessType, now: u64, by: (Id, UserAttrs)) -> Self {
        Self {
            access_type,
            until: now.saturating_add(access_type.life()),
            by,
            only: None,
            unsilence: false,
            realm_member: false,
            identity: None,
            customer: None,
            spent: false,
        }
    }

    /// What is said when it was made. In the place of the key is its digest, for nobody here knows more: who
    /// has drawn the key puts that in. One that was mailed is told by the mail alone.
    pub fn created(&self, digest: &Id) -> events::AccessCreated {
        let access_type: Text = self.access_type.name().into();
        let access_key = self.identity.is_none().then(|| digest.clone());
        events::AccessCreated { access_type, access_key, access_time: None }
    }
}

/// An access key that was made, as it is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessMade {
    /// Its digest.
    pub digest: Id,
    /// What it opens.
    pub key: AccessKey,
    /// The session that made it, to which alone it is told.
    pub session: Id,
    /// Old keys that are forgotten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forgotten: Vec<Id>,
}

impl AccessMade {
    /// What followers see of it.
    pub fn views(&self) -> Vec<View> {
        vec![View::new(To::Session(self.session.clone()), &self.key.created(&self.digest))]
    }
}

/// An access key that was used, and can be used but once, as it is recorded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessSpent {
    /// Its digest.
    pub digest: Id,
}

/// A customer who comes by a key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// The user that they are each time.
    pub user: Id,
    /// Attributes.
    pub attrs: UserAttrs,
    /// Settings.
    pub settings: Object,
    /// What is said of them as a member of the channel.
    pub metadata: Option<Object>,
}

/// The keys to one thing, by their digests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccessKeys(BTreeMap<Id, AccessKey>);

impl AccessKeys {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key of this digest, if it may be used by this user now.
    ///
    /// # Errors
    /// `access_denied`, `access_already_spent` or `access_expired`.
    pub fn usable(&self, digest: &str, user: &Id, now: u64) -> Result<&AccessKey, Rejection> {
        let key = self.known(digest, now)?;
        if key.only.as_ref().is_some_and(|only| only != user) {
            return Err(Rejection::new(ErrorType::AccessDenied));
        }
        Ok(key)
    }

    /// The key of this digest, if it opens something still.
    ///
    /// # Errors
    /// `access_denied`, `access_already_spent` or `access_expired`.
    pub fn known(&self, digest: &str, now: u64) -> Result<&AccessKey, Rejection> {
        let refuse = |error_type| Err(Rejection::new(error_type));
        match self.0.get(digest) {
            None => refuse(ErrorType::AccessDenied),
            Some(key) if key.spent => refuse(ErrorType::AccessAlreadySpent),
            Some(key) if key.until <= now => refuse(ErrorType::AccessExpired),
            Some(key) => Ok(key),
        }
    }

    /// What is recorded of a new key to something of `owner`, and what makes it known in the directory. Keys that
    /// are known long enough make room.
    ///
    /// # Errors
    /// `send_rate_limited` when there are too many.
    pub fn make(
        &self,
        digest: Id,
        key: AccessKey,
        session: &Id,
        owner: &Stream,
        now: u64,
    ) -> Result<(AccessMade, Vec<Emit>), Rejection> {
        let old = |(_, key): &(&Id, &AccessKey)| key.until.saturating_add(KNOWN) <= now;
        let forgotten: Vec<Id> = self.0.iter().filter(old).map(|(digest, _)| digest.clone()).collect();
        if self.0.len() - forgotten.len() >= limits::ACCESS_KEYS {
            return Err(Rejection::new(ErrorType::SendRateLimited).because("too many access keys"));
        }
        let mut claims: Vec<Emit> = forgotten.iter().map(revoke).collect();
        claims.push(Emit::Claim(Claim {
            namespace: ACCESS,
            key: digest.clone(),
            value: Some(Bytes::from(json!({"owner": owner.key()}).to_string())),
            absent: true,
            refusal: Rejection::new(ErrorType::Internal).because("the key exists"),
        }));
        Ok((AccessMade { digest, key, session: session.clone(), forgotten }, claims))
    }

    /// What makes all of them unknown in the directory.
    pub fn revoked(&self) -> impl Iterator<Item = Emit> {
        self.0.keys().map(revoke)
    }

    /// The keys of a kind to an identity.
    pub fn for_identity(&self, identity: &Identity, access_type: AccessType) -> Vec<Id> {
        let of = |key: &AccessKey| key.identity.as_ref() == Some(identity) && key.access_type == access_type;
        self.0.iter().filter(|(_, key)| of(key) && !key.spent).map(|(digest, _)| digest.clone()).collect()
    }

    /// The customers who come by keys.
    pub fn customers(&self) -> impl Iterator<Item = &Customer> {
        self.0.values().filter_map(|key| key.customer.as_deref())
    }

    /// Adds a key, and forgets some.
    pub fn made(&mut self, made: AccessMade) {
        for old in &made.forgotten {
            self.0.remove(old);
        }
        self.0.insert(made.digest, made.key);
    }

    /// Notes that a key was used.
    pub fn spent(&mut self, spent: &AccessSpent) {
        if let Some(key) = self.0.get_mut(&spent.digest) {
            key.spent = true;
        }
    }
}

/// What a key opens, for one who may send it to others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sendable {
    /// As it is described.
    pub found: events::AccessFound,
    /// The only user who may use it, if it is not for anybody.
    pub only: Option<Id>,
}

/// What an invitation to a channel says, with the key itself.
pub fn invitation(by: &Id, found: &events::AccessFound, secret: &Id) -> Value {
    let mut content = json!({"user_id": by, "access_key": secret, "channel_id": found.channel_id,
        "channel_attrs": found.channel_attrs});
    if let Some(realm) = &found.realm_id {
        content["realm_id"] = json!(realm);
        content["realm_attrs"] = json!(found.realm_attrs);
        content["realm_member"] = json!(found.realm_member.unwrap_or_default());
    }
    content
}

/// Has a user told in a dialogue that somebody has invited them. What comes twice is told by the digest.
pub fn invite(by: &(Id, UserAttrs), (peer, card): (&Id, &UserAttrs), content: &Value, digest: &Id) -> Emit {
    let order = json!({"Invited": {"people": [by, [peer, card]], "content": content, "digest": digest}});
    Emit::Forward(Stream::conversation(&ids::dialogue(&by.0, peer)), order)
}

fn revoke(digest: &Id) -> Emit {
    Emit::Claim(Claim {
        namespace: ACCESS,
        key: digest.clone(),
        value: None,
        absent: false,
        refusal: Rejection::new(ErrorType::Internal),
    })
}

/// Who owns the thing that a key opens, as its row of the directory says.
pub fn owner(row: &[u8]) -> Option<Stream> {
    let row: serde_json::Value = serde_json::from_slice(row).ok()?;
    Stream::from_key(row["owner"].as_str()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::ConversationRecord;
    use crate::user::UserRecord;

    const LIFE: u64 = 7 * DAY;

    fn key(now: u64) -> AccessKey {
        AccessKey::new(AccessType::Channel, now, ("by".into(), UserAttrs::default()))
    }

    fn make(
        keys: &AccessKeys,
        digest: &str,
        made: u64,
        now: u64,
    ) -> Result<(AccessMade, Vec<Emit>), Rejection> {
        keys.make(digest.into(), key(made), &"s".into(), &Stream::user(&"00u".into()), now)
    }

    fn refused<T>(outcome: Result<T, Rejection>) -> Option<ErrorType> {
        outcome.err().map(|rejection| rejection.error_type)
    }

    #[test]
    fn a_key_opens_until_it_is_spent_or_too_old_and_only_for_whom_it_is() {
        let mut keys = AccessKeys::default();
        let (ann, ben) = (Id::from("ann"), Id::from("ben"));
        assert_eq!(refused(keys.usable("d", &ann, 5)), Some(ErrorType::AccessDenied));
        let (mut made, _) = make(&keys, "d", 5, 5).unwrap();
        made.key.only = Some(ann.clone());
        keys.made(made);
        assert!(keys.usable("d", &ann, 5 + LIFE - 1).is_ok());
        assert_eq!(refused(keys.usable("d", &ben, 6)), Some(ErrorType::AccessDenied));
        assert_eq!(refused(keys.usable("d", &ann, 5 + LIFE)), Some(ErrorType::AccessExpired));
        keys.spent(&AccessSpent { digest: "d".into() });
        assert_eq!(refused(keys.usable("d", &ann, 6)), Some(ErrorType::AccessAlreadySpent));
    }

    #[test]
    fn keys_are_bounded_and_old_ones_make_room() {
        let mut keys = AccessKeys::default();
        for number in 0..limits::ACCESS_KEYS {
            let (made, _) = make(&keys, &format!("d{number}"), number as u64, 0).unwrap();
            keys.made(made);
        }
        assert_eq!(refused(make(&keys, "new", LIFE, LIFE)), Some(ErrorType::SendRateLimited));
        let (made, claims) = make(&keys, "new", LIFE + KNOWN, LIFE + KNOWN).unwrap();
        assert_eq!((made.forgotten.as_slice(), claims.len()), (&[Id::from("d0")][..], 2));
        keys.made(made);
        assert_eq!(refused(keys.known("d0", 0)), Some(ErrorType::AccessDenied));
        assert_eq!(keys.revoked().count(), limits::ACCESS_KEYS);
    }

    #[test]
    fn a_row_tells_whose_key_it_is() {
        let stream = Stream::conversation(&"00c".into());
        let made = AccessKeys::default().make("d".into(), key(0), &"s".into(), &stream, 0);
        let (_, claims) = made.unwrap();
        let Emit::Claim(Claim { value: Some(row), .. }) = &claims[0] else { panic!("{claims:?}") };
        assert_eq!(owner(row), Some(stream));
        assert_eq!(owner(b"{}"), None);
    }

    #[test]
    fn keys_are_recorded_in_the_same_way_by_users_and_conversations() {
        let stored = json!({"access_made": {"digest": "d", "session": "s",
            "key": {"type": "session", "until": 7, "by": ["by", {}], "unsilence": false, "realm_member": false,
                "spent": false}}});
        let spent = json!({"access_spent": {"digest": "d"}});
        for stored in [stored, spent] {
            let of_user: UserRecord = serde_json::from_value(stored.clone()).unwrap();
            assert_eq!(json!(of_user), stored);
            let of_conversation: ConversationRecord = serde_json::from_value(stored.clone()).unwrap();
            assert_eq!(json!(of_conversation), stored);
        }
    }
}
