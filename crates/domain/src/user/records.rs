//! What happens to a user, and what others order of one.

use crate::access::{AccessMade, AccessSpent, AccessType};
use crate::account::{AccountOrder, AccountRecord};
use crate::found::Nonce;
use crate::identity::Identity;
use crate::machine::Command;
use crate::master::{KeyGone, KeyMade};
use levee_proto::attrs::{IdentityAttrs, PuppetAttrs, UserAttrs, UserAttrsPatch};
use levee_proto::events::AccessFound;
use levee_proto::{Id, Object, Text};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who somebody claims to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Proof {
    /// Whoever has the token of this digest.
    Token(Id),
    /// It was verified already (a password, by the cluster).
    Verified,
    /// Whoever has the access key of this digest.
    Access(Id),
    /// A master of this id vouches for it.
    Master(Id),
    /// Whoever has an access key to this channel's audience: its digest.
    Audience(Id, Id),
}

/// A user to be made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct NewUser {
    /// Attributes.
    pub attrs: UserAttrsPatch,
    /// Settings.
    pub settings: Object,
    /// The digest of the token; a puppet has none.
    #[serde(default)]
    pub auth: Option<Id>,
    /// The master, for a puppet.
    #[serde(default)]
    pub master: Option<Id>,
    /// What the master sets.
    #[serde(default)]
    pub puppet: PuppetAttrs,
    /// The channel of the audience whose customer it is, for one who comes by a key to that.
    #[serde(default)]
    pub host: Option<Id>,
    /// An identity.
    pub identity: Option<NewIdentity>,
}

/// An identity to be added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewIdentity {
    /// Which.
    pub identity: Identity,
    /// Attributes.
    pub attrs: IdentityAttrs,
    /// The hash of its password.
    pub password: Option<String>,
    /// What its address is asked, and the secret that goes there.
    pub asks: Option<(AccessType, Id)>,
}

/// A session that is to be opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entrance {
    /// The user to be made.
    pub create: Option<NewUser>,
    /// Who they claim to be.
    pub proof: Proof,
    /// The session's digest.
    pub session: Id,
    /// The session's row in the directory.
    pub row: String,
    /// What the proof spends.
    #[serde(default)]
    pub nonce: Option<Nonce>,
    /// What the master sets of its puppet from now on.
    #[serde(default)]
    pub puppet: Option<PuppetAttrs>,
}

/// What others order of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum UserOrder {
    /// Open a session, of a new user if one is given.
    Enter(Entrance),
    /// Make the user, without a session.
    Create {
        /// The user to be made.
        new: NewUser,
    },
    /// Something of the user's account.
    Account(AccountOrder),
    /// Answer how much the user owns.
    Owns,
    /// Answer what others may know of the user to its master.
    Puppet {
        /// Who says that they are.
        master: Id,
    },
    /// The audience whose customer the user is, has ended.
    HostGone {
        /// Its channel.
        channel: Id,
    },
    /// Tell a file whether it is the user's icon.
    HasFile {
        /// Which.
        file: Id,
    },
    /// Secure metadata gives the user a name.
    Rename {
        /// The name.
        name: Text,
    },
    /// A realm has a key that the user made.
    KeyMade(KeyMade),
    /// A realm has a key no more that the user made.
    KeyGone(KeyGone),
    /// Check a claim; answers the user's card.
    Identify {
        /// Who they claim to be.
        proof: Proof,
    },
    /// Answer what others may know of the user.
    Card,
    /// Answer how far the user has read a conversation, and which words highlight.
    Reading {
        /// Which.
        conversation: Id,
    },
    /// Somebody writes to one of the user's identities: answers what they may know of the user, if they may know
    /// whose it is.
    Reach {
        /// Which.
        identity: Identity,
        /// Who.
        by: Id,
        /// Their realms.
        realms: Vec<Id>,
    },
    /// Which realms the user belongs to: answers their ids.
    Realms,
    /// Whether the user has an identity that was verified: answers a boolean.
    Verified,
    /// End a session.
    Leave {
        /// The session's digest.
        session: Id,
    },
    /// A session's connection came or went.
    Presence {
        /// The session's digest.
        session: Id,
        /// Whether it has a connection.
        connected: bool,
        /// Since when nobody sits before it, a Unix time.
        #[serde(default)]
        idle: Option<u64>,
    },
    /// Tell a conversation whether the user has a connection.
    Seek {
        /// The conversation.
        conversation: Id,
        /// The puppet whom it is about, if the user is the master who speaks for it.
        #[serde(default)]
        puppet: Option<Id>,
    },
    /// The user is in a channel.
    Joined {
        /// The channel.
        channel: Id,
        /// The channel's record.
        seq: u64,
        /// The command that caused it.
        command: Option<Command>,
    },
    /// The user is not in a channel any more.
    Parted {
        /// The channel.
        channel: Id,
    },
    /// The user has a dialogue.
    Met {
        /// The other user.
        peer: Id,
        /// The conversation.
        dialogue: Id,
        /// Its first record.
        seq: u64,
        /// The command that caused it.
        command: Option<Command>,
    },
    /// The user is a member of a realm.
    RealmJoined {
        /// The realm.
        realm: Id,
        /// Its record.
        seq: u64,
        /// The command that caused it.
        command: Option<Command>,
    },
    /// The user is not a member of a realm any more.
    RealmParted {
        /// The realm.
        realm: Id,
    },
    /// The user serves a queue.
    QueueJoined {
        /// The queue.
        queue: Id,
        /// Its record.
        seq: u64,
    },
    /// The user does not serve a queue any more.
    QueueParted {
        /// The queue.
        queue: Id,
    },
    /// The user waits in a queue.
    Waits {
        /// The queue.
        queue: Id,
        /// The audience.
        audience: Id,
        /// The queue's record.
        seq: u64,
        /// The command that caused it.
        command: Option<Command>,
        /// What `audience_enqueued` says at that time.
        #[serde(default)]
        enqueued: Option<Value>,
        /// Whether the user waits without a session too: their master has asked for it.
        #[serde(default)]
        stays: bool,
    },
    /// The user does not wait any more.
    WaitsNot {
        /// The queue.
        queue: Id,
        /// The audience.
        audience: Id,
    },
    /// An event that answers a command which another entity passed on.
    Told {
        /// The command.
        command: Command,
        /// The event's header, or those of several.
        event: Value,
    },
    /// The user has read a conversation up to a message.
    Read {
        /// The conversation.
        conversation: Id,
        /// As the event calls it: a channel, or the other user.
        peer: Option<Id>,
        /// The message.
        message_id: Id,
        /// The session that said so.
        session: Id,
    },
}

/// What happens to a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserRecord {
    /// Something of the account.
    Account(AccountRecord),
    /// Made.
    Created {
        /// Attributes.
        attrs: UserAttrs,
        /// Settings.
        settings: Object,
        /// The digest of the token; a puppet has none.
        #[serde(default)]
        auth: Option<Id>,
        /// An identity.
        identity: Option<(Text, Text, IdentityAttrs)>,
        /// The master, for a puppet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        master: Option<Id>,
        /// What the master has set.
        #[serde(default)]
        puppet: PuppetAttrs,
        /// The channel of the audience whose customer it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<Id>,
    },
    /// The audience whose customer it was, has ended.
    HostGone,
    /// The master has set the puppet's attributes.
    PuppetChanged {
        /// Who.
        master: Id,
        /// The attributes as they are now.
        attrs: PuppetAttrs,
        /// The user's own attributes.
        user: UserAttrs,
    },
    /// A master key was made.
    KeyMade(KeyMade),
    /// A master key was deleted.
    KeyGone(KeyGone),
    /// A session was opened.
    SessionOpened {
        /// Its digest.
        session: Id,
    },
    /// A session ended.
    SessionClosed {
        /// Its digest.
        session: Id,
    },
    /// Attributes or settings changed.
    Changed {
        /// The attributes as they are now.
        attrs: UserAttrs,
        /// The settings as they are now.
        settings: Object,
        /// The file that is the icon now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        icon: Option<Id>,
    },
    /// Joined a channel.
    ChannelJoined {
        /// The channel.
        channel: Id,
        /// The channel's record.
        seq: u64,
        /// The command that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Command>,
    },
    /// Left a channel.
    ChannelParted {
        /// The channel.
        channel: Id,
    },
    /// Has a dialogue.
    DialogueBegan {
        /// The other user.
        peer: Id,
        /// The conversation.
        dialogue: Id,
        /// Its record.
        seq: u64,
        /// The command that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Command>,
    },
    /// Joined a realm.
    RealmJoined {
        /// The realm.
        realm: Id,
        /// Its record.
        seq: u64,
        /// The command that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Command>,
    },
    /// Left a realm.
    RealmParted {
        /// The realm.
        realm: Id,
    },
    /// Serves a queue.
    QueueJoined {
        /// The queue.
        queue: Id,
        /// Its record.
        seq: u64,
    },
    /// Serves a queue no more.
    QueueParted {
        /// The queue.
        queue: Id,
    },
    /// Waits in a queue.
    WaitBegan {
        /// The queue.
        queue: Id,
        /// The audience.
        audience: Id,
        /// The queue's record.
        seq: u64,
        /// The command that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Command>,
        /// What `audience_enqueued` says at that time.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        enqueued: Option<Value>,
        /// Whether the user waits without a session too: their master has asked for it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        stays: bool,
    },
    /// Waits no more.
    WaitEnded {
        /// The queue.
        queue: Id,
    },
    /// Got an answer to a command which another entity passed on.
    Told {
        /// The command.
        command: Command,
        /// The event's header, or those of several.
        event: Value,
    },
    /// Has read a conversation.
    Read {
        /// The conversation.
        conversation: Id,
        /// The other user, if it is a dialogue.
        peer: Option<Id>,
        /// The message.
        message_id: Id,
        /// The session that said so.
        session: Id,
    },
    /// Made an access key.
    AccessMade(AccessMade),
    /// An access key was used that can be used but once.
    AccessSpent(AccessSpent),
    /// Sent somebody's or their own access key to another.
    AccessSent {
        /// What it opens.
        found: AccessFound,
        /// The session that sent it, to which alone it is told.
        session: Id,
    },
    /// Caused a mail.
    Mailed {
        /// To which address.
        to: Text,
    },
    /// Got an identity, or one changed.
    IdentityPut {
        /// The user.
        user: Id,
        /// Which.
        identity: Identity,
        /// The attributes as they are now.
        attrs: IdentityAttrs,
        /// A digest of the password's hash.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seal: Option<Id>,
        /// Whether it is new.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        created: bool,
    },
    /// An identity is the user's no more.
    IdentityDeleted {
        /// The user.
        user: Id,
        /// Which.
        identity: Identity,
    },
    /// Deleted.
    Deleted {
        /// The user.
        user: Id,
    },
}

impl UserRecord {
    /// An identity as it is from now on.
    pub(super) fn put(user: &Id, identity: Identity, attrs: IdentityAttrs, seal: Option<Id>) -> Self {
        Self::IdentityPut { user: user.clone(), identity, attrs, seal, created: false }
    }
}
