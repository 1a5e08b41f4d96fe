//! A user: attributes, credentials, sessions, and what the user belongs to.
//!
//! A user's sessions follow the user's stream, and learn from it which conversations, realms and
//! queues to follow beside it.

mod access;
mod decide;
mod icon;
mod identities;
mod keys;
mod records;
#[cfg(test)]
mod tests;
mod views;

pub use records::{Entrance, NewIdentity, NewUser, Proof, UserOrder, UserRecord};

use crate::Command;
use crate::access::AccessKeys;
use crate::account::{ACCOUNT, Account};
use crate::machine::{Columns, Entry, Glance, Input, Machine, Moment, Step};
use crate::mail::Mailed;
use crate::master::Keys;
use crate::puppet::Puppet;
use crate::view::{Stream, View, roles};
use levee_proto::attrs::{IdentityAttrs, PuppetAttrs, UserAttrs};
use levee_proto::{Action, ErrorType, Id, Object, Rejection, Text, UserAction};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The namespace of session rows in the directory.
pub const SESSIONS: &str = "session";
/// In a user's glance, for the user's session and not for the wire: what to follow.
pub const FOLLOWS: &str = "$follows";
/// Under which key a user's owner tells of whom the user is a puppet.
pub const PUPPET: &str = "$puppet";
/// In a user's glance, for the user's session and not for the wire: how far conversations were read.
pub const READ: &str = "$read";
/// How many sessions a user may have.
const MAX_SESSIONS: usize = 64;

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Attributes.
    pub attrs: UserAttrs,
    /// Settings, the user's own.
    pub settings: Object,
    /// The file that is the user's icon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    icon: Option<Id>,
    /// The digest of the user's token.
    auth: Option<Id>,
    /// Identities: type, name, attributes.
    pub identities: BTreeMap<Text, BTreeMap<Text, IdentityAttrs>>,
    /// Open sessions, by digest.
    pub sessions: BTreeMap<Id, Presence>,
    /// Channels, with the record by which the user joined.
    pub channels: BTreeMap<Id, Entered>,
    /// Dialogues by the other user: the conversation, and the record by which it began.
    pub dialogues: BTreeMap<Id, (Id, u64)>,
    /// Realms, with the record by which the user joined.
    pub realms: BTreeMap<Id, Entered>,
    /// Queues that the user serves.
    pub queues: BTreeMap<Id, u64>,
    /// Queues in which the user waits.
    pub waiting: BTreeMap<Id, Wait>,
    /// How far conversations were read.
    pub read: BTreeMap<Id, u64>,
    /// The channel of the audience whose customer the user is, by an access key, while that goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<Id>,
    /// Digests of the hashes of their passwords, by their keys in the directory.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    seals: BTreeMap<Id, Id>,
    /// The mails that the user has caused lately.
    #[serde(default, skip_serializing_if = "Mailed::is_empty")]
    mailed: Mailed,
    /// Access keys to the user's things.
    #[serde(default, skip_serializing_if = "AccessKeys::is_empty")]
    access: AccessKeys,
    /// Master keys of the user's, those of realms included.
    #[serde(default, skip_serializing_if = "Keys::is_empty")]
    pub keys: Keys,
    /// What the user owns.
    #[serde(default, skip_serializing_if = "Account::is_empty")]
    account: Account,
    /// The user's master, if the user is a puppet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<Id>,
    /// What the master has set.
    #[serde(default)]
    pub puppet: PuppetAttrs,
    /// Commands that were answered by what others told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    told: BTreeMap<Id, BTreeSet<u64>>,
    created: bool,
}

/// Whether a session has a connection, and whether somebody sits before it. Not recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// It has no connection.
    #[serde(default, skip)]
    pub away: bool,
    /// Since when nobody sits before it, a Unix time.
    #[serde(default, skip)]
    pub idle: Option<u64>,
}

/// Whether some of a user's sessions have a connection, and since when nobody sits before any of them.
pub(crate) fn presence<'a>(sessions: impl Iterator<Item = &'a Presence>) -> (bool, Option<u64>) {
    let mut here = sessions.filter(|presence| !presence.away).map(|presence| presence.idle).peekable();
    let connected = here.peek().is_some();
    // One that is not idle makes the whole not idle.
    let idle = here.try_fold(None, |latest: Option<u64>, idle| {
        idle.map(|since| Some(latest.map_or(since, |at| at.max(since))))
    });
    (connected, idle.flatten())
}

/// How the user came into something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entered {
    /// The record by which it happened.
    pub seq: u64,
    /// The command that caused it: a session that comes back after a crash still owes the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
}

/// A place in a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// The audience.
    pub audience: Id,
    /// The record of the queue by which it was requested.
    pub seq: u64,
    /// The command that caused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// Whether the user waits without a session too: their master has asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stays: bool,
}

impl User {
    /// What others may know of the user.
    pub fn card(&self) -> UserAttrs {
        let (connected, idle) = presence(self.sessions.values());
        UserAttrs { connected: connected.then_some(true), idle, ..self.attrs.clone() }
    }

    /// The user's masters, as events have them.
    pub fn masters(&self) -> Option<Object> {
        self.as_puppet().as_ref().map(Puppet::masters)
    }

    /// Whose puppet the user is, if they are one.
    pub fn as_puppet(&self) -> Option<Puppet> {
        Some(Puppet { master: self.master.clone()?, attrs: self.puppet.clone() })
    }

    /// What others may know of the user, and whose puppet they are.
    fn card_and_puppet(&self) -> Value {
        let mut card = serde_json::to_value(self.card()).unwrap_or_default();
        if let Some(puppet) = self.as_puppet() {
            card[PUPPET] = json!(puppet);
        }
        card
    }

    /// Whether some session has a connection.
    pub fn connected(&self) -> bool {
        self.sessions.values().any(|presence| !presence.away)
    }

    /// Whether the user has an identity that was verified.
    pub fn is_verified(&self) -> bool {
        let mut all = self.identities.values().flat_map(BTreeMap::values);
        all.any(|attrs| attrs.pending.is_none() && attrs.rejected.is_none())
    }

    /// Identities as another user, or the user, may see them.
    pub fn visible_identities(&self, own: bool) -> Object {
        let mut all = Object::new();
        for (kind, names) in &self.identities {
            let visible: Object = names
                .iter()
                .filter(|(_, attrs)| {
                    let settled = attrs.pending.is_none() && attrs.rejected.is_none();
                    own || attrs.public.is_some() && settled
                })
                .map(|(name, attrs)| {
                    let shown = if own { serde_json::to_value(attrs).unwrap_or_default() } else { json!({}) };
                    (name.to_string(), shown)
                })
                .collect();
            if !visible.is_empty() {
                all.insert(kind.to_string(), Value::Object(visible));
            }
        }
        all
    }

    /// What a session of the user follows beside the user, each from where.
    pub fn follows(&self) -> Vec<(Stream, Entered)> {
        let entered = |seq: u64| Entered { seq, command: None };
        let mut all = Vec::new();
        all.extend(self.realms.iter().map(|(id, how)| (Stream::realm(id), how.clone())));
        all.extend(self.queues.iter().map(|(id, seq)| (Stream::queue(id), entered(*seq))));
        all.extend(
            self.waiting.iter().map(|(id, wait)| {
                (Stream::queue(id), Entered { seq: wait.seq, command: wait.command.clone() })
            }),
        );
        all.extend(self.channels.iter().map(|(id, how)| (Stream::conversation(id), how.clone())));
        all.extend(self.dialogues.values().map(|(id, seq)| (Stream::conversation(id), entered(*seq))));
        all
    }
}

impl Machine for User {
    type Order = UserOrder;
    type Record = UserRecord;

    fn exists(&self) -> bool {
        self.created
    }

    fn decide(&self, at: &Moment<'_>, input: Input<UserOrder>) -> Result<Step<UserRecord>, Rejection> {
        let step = match input {
            Input::Action(actor, Action::User(UserAction::CreateUser(create)), _) if !self.created => {
                self.create_puppet(at, &actor, create)?
            }
            Input::Action(actor, action, payload) => {
                if !self.created || self.attrs.deleted.is_some() {
                    return Err(Rejection::new(ErrorType::UserNotFound).about("user_id", at.id));
                }
                match action {
                    Action::User(action) => self.act(at, &actor, action)?,
                    Action::Identity(action) => self.act_on_identity(at, &actor, action)?,
                    Action::Access(action) => self.access(at, &actor, action)?,
                    Action::Key(action) => self.keep_keys(at, &actor, action, &payload)?,
                    Action::Session(_)
                    | Action::Realm(_)
                    | Action::Queue(_)
                    | Action::Conversation(_)
                    | Action::File(_)
                    | Action::Video(_)
                    | Action::Webhook(_)
                    | Action::Member(_) => return Err(Rejection::new(ErrorType::ActionNotSupported)),
                }
            }
            Input::Order(order) => self.obey(at, order)?,
        };
        Ok(self.with_icon(step))
    }

    fn apply(&mut self, _seq: u64, time: u64, record: &UserRecord) {
        match record.clone() {
            UserRecord::Created { attrs, settings, auth, identity, master, puppet, host } => {
                self.host = host;
                self.created = true;
                self.attrs = attrs;
                self.settings = settings;
                self.auth = auth;
                self.master = master;
                self.puppet = puppet;
                if let Some((kind, name, attrs)) = identity {
                    self.identities.entry(kind).or_default().insert(name, attrs);
                }
            }
            UserRecord::Account(record) => self.account.apply(time, record),
            UserRecord::PuppetChanged { attrs, .. } => self.puppet = attrs,
            UserRecord::KeyMade(made) => self.keys.made(made),
            UserRecord::KeyGone(gone) => self.keys.gone(&gone),
            UserRecord::SessionOpened { session } => {
                self.sessions.insert(session, Presence::default());
            }
            UserRecord::SessionClosed { session } => {
                self.sessions.remove(&session);
                self.told.remove(&session);
            }
            UserRecord::Told { command, .. } => {
                let told = self.told.entry(command.session).or_default();
                told.insert(command.action_id);
                if told.len() > 256 {
                    told.pop_first();
                }
            }
            UserRecord::Changed { attrs, settings, icon } => {
                self.attrs = attrs;
                self.icon = icon;
                self.settings = settings;
            }
            UserRecord::ChannelJoined { channel, seq, command } => {
                self.channels.insert(channel, Entered { seq, command });
            }
            UserRecord::ChannelParted { channel } => {
                self.channels.remove(&channel);
                self.read.remove(&channel);
            }
            UserRecord::DialogueBegan { peer, dialogue, seq, .. } => {
                self.dialogues.insert(peer, (dialogue, seq));
            }
            UserRecord::RealmJoined { realm, seq, command } => {
                self.realms.insert(realm, Entered { seq, command });
            }
            UserRecord::RealmParted { realm } => {
                self.realms.remove(&realm);
            }
            UserRecord::QueueJoined { queue, seq } => {
                self.queues.insert(queue, seq);
            }
            UserRecord::QueueParted { queue } => {
                self.queues.remove(&queue);
            }
            UserRecord::WaitBegan { queue, audience, seq, command, stays, .. } => {
                self.waiting.insert(queue, Wait { audience, seq, command, stays });
            }
            UserRecord::WaitEnded { queue } => {
                self.waiting.remove(&queue);
            }
            UserRecord::Read { conversation, message_id, .. } => {
                let seq = levee_proto::ids::message_seq(&message_id).unwrap_or_default();
                self.read.insert(conversation, seq);
            }
            UserRecord::AccessMade(made) => self.access.made(made),
            UserRecord::HostGone => self.host = None,
            UserRecord::AccessSpent(spent) => self.access.spent(&spent),
            UserRecord::AccessSent { .. } => {}
            UserRecord::Mailed { to } => self.mailed.note(to, time),
            UserRecord::IdentityPut { identity, attrs, seal, .. } => {
                match seal {
                    Some(seal) => self.seals.insert(identity.key(), seal),
                    None => self.seals.remove(&identity.key()),
                };
                self.identities.entry(identity.kind).or_default().insert(identity.name, attrs);
            }
            UserRecord::IdentityDeleted { identity, .. } => {
                self.seals.remove(&identity.key());
                if let Some(names) = self.identities.get_mut(&identity.kind) {
                    names.remove(&identity.name);
                }
            }
            UserRecord::Deleted { .. } => {
                *self = Self {
                    created: true,
                    attrs: UserAttrs { deleted: Some(true), ..UserAttrs::default() },
                    ..Self::default()
                };
            }
        }
    }

    fn absorbs(input: &Input<UserOrder>) -> bool {
        matches!(input, Input::Order(UserOrder::Presence { .. }))
    }

    fn absorb(&mut self, _now: u64, input: &Input<UserOrder>) {
        if let Input::Order(UserOrder::Presence { session, connected, idle }) = input
            && let Some(presence) = self.sessions.get_mut(session)
        {
            *presence = Presence { away: !connected, idle: *idle };
        }
    }

    fn views(id: &Id, _seq: u64, _time: u64, entry: &Entry<UserRecord>) -> Vec<View> {
        views::of(id, &entry.record)
    }

    fn columns(_record: &UserRecord) -> Columns {
        Columns { kind: "user".into(), ..Columns::default() }
    }

    fn glance(&self, at: &Moment<'_>, user: &Id) -> Glance {
        let own = user == at.id && self.created && self.attrs.deleted.is_none();
        let mut summary = Object::new();
        if own {
            let masters = self.masters().map(|masters| ("puppet_masters", Value::Object(masters)));
            summary = [
                ("user_attrs", serde_json::to_value(self.card()).unwrap_or_default()),
                ("user_settings", Value::Object(self.settings.clone())),
                ("user_identities", Value::Object(self.visible_identities(true))),
                (PUPPET, json!(self.as_puppet())),
                (FOLLOWS, json!(self.follows())),
                (READ, json!(self.read)),
                (ACCOUNT, self.account.shown()),
            ]
            .into_iter()
            .chain(masters)
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        }
        Glance { roles: if own { roles::MEMBER } else { 0 }, summary, ..Glance::default() }
    }
}
