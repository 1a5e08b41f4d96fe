//! What happens in a conversation, and what others order of one.

use super::beginning::Beginning;
use super::opening::Opening;
use super::part::Part;
use crate::access::{AccessMade, AccessSpent};
use crate::hook::{Asked, Hook};
use crate::machine::Command;
use crate::puppet::Puppet;
use crate::queue::stats::Share;
use levee_proto::attrs::{ChannelAttrs, ChannelMemberAttrs, DialogueMemberAttrs, UserAttrs};
use levee_proto::events::ChannelFound;
use levee_proto::{Id, Object, Text};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// A member of a conversation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Member {
    /// What others may know of the user.
    pub user: UserAttrs,
    /// Membership attributes in a channel.
    #[serde(default)]
    pub attrs: ChannelMemberAttrs,
    /// Membership attributes in a dialogue.
    #[serde(default)]
    pub dialogue: DialogueMemberAttrs,
    /// Whether the member has hidden the dialogue.
    #[serde(default)]
    pub hides: bool,
    /// The record by which the member joined.
    #[serde(default)]
    pub joined: u64,
    /// What was said of the member when their way in was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Object>,
    /// The last record of a dialogue that the member has discarded.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub discarded: u64,
    /// Attributes that are unset at a time, microseconds since 1970.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ends: BTreeMap<Text, u64>,
    /// The record by which the member wanted nothing of a dialogue to be highlighted any more.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub noticed: u64,
    /// The master who has brought the member, a puppet, into the audience, and speaks for it: while the master is
    /// there, so is the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub master: Option<Id>,
    /// What its owner has set of the member, who is the owner's puppet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub puppet: Option<Puppet>,
}

/// How an audience was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// When, microseconds since 1970.
    pub time: u64,
    /// The queue's record that says so.
    pub seq: u64,
}

/// What others order of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ConversationOrder {
    /// Be a channel, for an audience.
    Open(Opening),
    /// Be a channel, which is made with its realm.
    Begin(Beginning),
    /// The audience was asked for, or is no more: webhooks are told.
    Asked(Asked),
    /// Tell a webhook once more what it was not told in time.
    Replay(Hook),
    /// Erase what was said.
    Erase,
    /// Erase what was said, at a time.
    EraseAt {
        /// When, microseconds since 1970.
        time: u64,
    },
    /// See whether somebody serves the audience still.
    Look,
    /// Open or close, if the schedule says so.
    Hours,
    /// Unset what was set for members until now.
    Ends,
    /// A member has a connection, or none: the answer to being sought.
    Sought {
        /// Who.
        user: Id,
        /// Whether they have one.
        here: bool,
    },
    /// The queue to which the customer was given back is gone.
    QueueGone,
    /// The queue of the audience has said whether its customer may go to another one.
    Transferred {
        /// The record by which it was asked.
        seq: u64,
        /// Whether they may.
        allowed: bool,
    },
    /// Say what an access key opens to one who may send it to others.
    Sendable {
        /// Its digest.
        digest: Id,
        /// Who wants to send it.
        by: Id,
    },
    /// Say who the customer of an access key is.
    Customer {
        /// Its digest.
        digest: Id,
    },
    /// Say which queue the audience came from to which an access key leads.
    QueueOf {
        /// Its digest.
        digest: Id,
    },
    /// Take in a customer who came by an access key.
    Admit {
        /// Its digest.
        digest: Id,
        /// Who.
        user: Id,
        /// What others may know of them.
        card: UserAttrs,
    },
    /// Say whether somebody may send a file.
    MayUpload {
        /// Who.
        user: Id,
        /// Whether it is to a user, with whom there need not be a dialogue yet.
        in_dialogue: bool,
    },
    /// Say whether somebody may read the message that a file came with.
    Reads {
        /// Which file.
        file: Id,
        /// Who.
        user: Id,
    },
    /// Say what a session is told of the conversation when it begins.
    Glimpse {
        /// Whose session.
        user: Id,
    },
    /// Tell a file whether a message has it.
    HasFile {
        /// Which.
        file: Id,
    },
    /// Show how far a file is that somebody sends.
    Uploading(crate::file::parts::News),
    /// Take in a file that came in parts and is complete.
    TakeFile {
        /// Which.
        file: Box<crate::file::Described>,
        /// What may be known of its owner.
        card: UserAttrs,
        /// The other user of a dialogue, with what may be known of them.
        peer: Option<(Id, UserAttrs)>,
    },
    /// Tell in the dialogue of two that one invited the other to a channel.
    Invited {
        /// Who invites, and whom: each with what others may know of them.
        people: [(Id, UserAttrs); 2],
        /// What the message says.
        content: Object,
        /// The digest of the key, by which what comes twice is told.
        digest: Id,
    },
    /// A member's attributes changed.
    UserChanged {
        /// Who.
        user: Id,
        /// The attributes as they are now.
        attrs: UserAttrs,
        /// Whose puppet they are, if they are one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        puppet: Option<Puppet>,
    },
    /// A user is gone for good.
    Gone {
        /// Who.
        user: Id,
    },
    /// A member has a connection now, or none.
    Presence {
        /// Who.
        user: Id,
        /// Whether they have one.
        connected: bool,
        /// Since when nobody sits before it, a Unix time.
        #[serde(default)]
        idle: Option<u64>,
    },
}

/// What happens in a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConversationRecord {
    /// A channel was made.
    Opened {
        /// The realm.
        realm: Option<Id>,
        /// Attributes.
        attrs: ChannelAttrs,
        /// Members.
        members: Vec<(Id, Member)>,
        /// What the customer said when asking for the audience.
        metadata: Option<Object>,
        /// The queue's record by which the audience was accepted; 0 for other channels.
        #[serde(default, skip_serializing_if = "is_zero")]
        accepted: u64,
        /// What it counts for in the queue's statistics.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        share: Option<Share>,
        /// How the audience was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<Request>,
    },
    /// The audience was accepted again, after its agent had vanished.
    Accepted {
        /// The queue's record by which.
        accepted: u64,
        /// What it counts for from now on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        share: Option<Share>,
        /// Who accepted it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        agent: Option<Id>,
        /// How it was asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<Request>,
    },
    /// The audience was asked for, or is no more.
    Asked(Asked),
    /// A dialogue began.
    DialogueOpened {
        /// Both.
        members: Vec<(Id, Member)>,
    },
    /// Somebody joined.
    Joined {
        /// Who.
        user: Id,
        /// As a member.
        member: Member,
        /// Whether somebody else added them, who is answered by this.
        #[serde(default, skip_serializing_if = "is_false")]
        added: bool,
    },
    /// Somebody left.
    Parted {
        /// Who.
        user: Id,
        /// Why, if not of their own will.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cause: Option<Text>,
        /// The command that this answers, where it is not the record's own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Command>,
    },
    /// The channel's attributes changed.
    Changed {
        /// The realm.
        realm: Option<Id>,
        /// The attributes as they are now.
        attrs: ChannelAttrs,
        /// Why, if not by `update_channel`.
        cause: Option<Text>,
    },
    /// A member's attributes changed.
    MemberUpdated {
        /// Who.
        user: Id,
        /// The attributes as they are now.
        attrs: ChannelMemberAttrs,
        /// Those that are unset at a time, microseconds since 1970.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        ends: BTreeMap<Text, u64>,
    },
    /// One's own side of a dialogue changed.
    DialogueUpdated {
        /// Who.
        user: Id,
        /// The other one.
        peer: Id,
        /// The attributes as they are now.
        attrs: DialogueMemberAttrs,
        /// Whether it is hidden.
        hidden: bool,
        /// Whether nothing so far is highlighted any more.
        #[serde(default, skip_serializing_if = "is_false")]
        noticed: bool,
    },
    /// Somebody has discarded the older part of a dialogue, for themselves.
    Discarded {
        /// Who.
        user: Id,
        /// The other one.
        peer: Id,
        /// The last record of that part.
        through: u64,
    },
    /// A member's user attributes changed.
    UserChanged {
        /// Who.
        user: Id,
        /// The attributes as they are now.
        attrs: UserAttrs,
        /// Whose puppet they are, if they are one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        puppet: Option<Puppet>,
    },
    /// A message.
    Message(Message),
    /// What is left of a message that was erased.
    Erased {
        /// Whether the server itself had written it.
        #[serde(default, skip_serializing_if = "is_false")]
        server: bool,
    },
    /// What was said so far was erased.
    TranscriptDeleted {
        /// The audience, if the channel is one's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        audience: Option<Id>,
        /// The files that went with it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        files: Vec<Id>,
    },
    /// Messages were hidden, or shown again.
    MessagesUpdated {
        /// Whether they are hidden now.
        hidden: bool,
        /// Who did it.
        by: Id,
        /// Whose they are, if all of a user's were meant.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        author: Option<Id>,
        /// Those of which followers are told, in their order.
        messages: Vec<u64>,
    },
    /// The agent wants the customer to go to another queue.
    Transferring {
        /// Which.
        queue: Id,
        /// The agent.
        by: Id,
        /// The agent's command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Command>,
        /// The master whose command it is, if the agent is a puppet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        master: Option<Id>,
    },
    /// The customer stays.
    TransferRefused,
    /// Somebody made an access key.
    AccessMade(AccessMade),
    /// Somebody joined by an access key.
    AccessSpent(AccessSpent),
    /// A session follows without its user's joining, by a signature.
    Followed {
        /// The session's digest.
        session: Id,
        /// What it was told.
        found: ChannelFound,
    },
    /// Somebody was told of an invitation.
    Invited {
        /// The digest of its key.
        digest: Id,
    },
    /// Deleted.
    Deleted {
        /// Who were members.
        members: Vec<Id>,
    },
}

/// A message.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Its type.
    #[serde(rename = "type")]
    pub message_type: Text,
    /// Who wrote it, and what they were called; none for the server's own messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<(Id, Option<Text>)>,
    /// Both users of the dialogue, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<(Id, Id)>,
    /// Who gets it beside the author; none means everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipients: Option<Vec<Id>>,
    /// Whether it is folded.
    #[serde(default, skip_serializing_if = "is_false")]
    pub fold: bool,
    /// Whether it is hidden from those who are no moderators.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hidden: bool,
    /// Seconds after which it is of no use; such a message is not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<f64>,
    /// The file that it is about, if the server made it for one: what a client writes of files is its own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Id>,
    /// The content.
    pub parts: Vec<Part>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(value: &u64) -> bool {
    *value == 0
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_false(value: &bool) -> bool {
    !value
}

impl Message {
    /// The data of a metadata message, with its author.
    pub fn metadata(&self) -> Option<(Id, Object)> {
        if self.message_type != "ninchat.com/metadata" {
            return None;
        }
        let (author, _) = self.author.as_ref()?;
        let mut content: Value = serde_json::from_slice(&self.parts.first()?.0).ok()?;
        match content.get_mut("data")?.take() {
            Value::Object(data) => Some((author.clone(), data)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
