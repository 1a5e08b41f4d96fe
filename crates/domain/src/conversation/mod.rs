//! A conversation: a channel or a dialogue. Both are members and a log of messages.

mod access;
mod account;
mod audience;
mod beginning;
mod course;
mod customers;
mod decide;
mod files;
mod follow;
mod history;
mod hooks;
mod info;
mod join;
mod listing;
mod members;
mod moderate;
mod opening;
mod part;
mod prelude;
mod records;
mod share;
pub(crate) mod terms;
#[cfg(test)]
mod tests;
mod transcript;
mod transfer;
mod uploads;
mod views;

pub(crate) use beginning::{Beginning, first_attrs};
pub use hooks::{Known, message_body};
pub use part::Part;
pub use prelude::Prelude;
pub use records::{ConversationOrder, ConversationRecord, Member};

use crate::access::AccessKeys;
use crate::machine::{Answer, Columns, Emit, Entry, Glance, Input, Machine, Moment, Step, Timer};
use crate::past::Wanted;
use crate::queue::stats::Share;
use crate::rights::{Right, Standing};
use crate::view::View;
use levee_proto::attrs::ChannelAttrs;
use levee_proto::messages::flags;
use levee_proto::{Action, ConversationAction, ErrorType, Id, Object, Rejection, VideoAction};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The type of the messages that files come with.
const FILE: &str = "ninchat.com/file";

type Decision = Result<Step<ConversationRecord>, Rejection>;

/// A channel or a dialogue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Conversation {
    form: Form,
    realm: Option<Id>,
    /// Channel attributes; unused in a dialogue.
    pub attrs: ChannelAttrs,
    /// Members.
    pub members: BTreeMap<Id, Member>,
    /// What the customer said when asking for the audience.
    metadata: Option<Object>,
    /// The latest values of metadata messages, by user.
    message_metadata: BTreeMap<Id, Object>,
    /// The last message: its sequence and its time.
    last_message: Option<(u64, u64)>,
    /// The queue's record by which the audience was accepted last.
    #[serde(default)]
    accepted: u64,
    /// What the audience counts for in the queue's statistics.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share: Option<Share>,
    /// The customer is about to go to another queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transfer: Option<transfer::Transfer>,
    /// Access keys to the channel.
    #[serde(default, skip_serializing_if = "AccessKeys::is_empty")]
    access: AccessKeys,
    /// Invitations that were written lately, by the digests of their keys.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    invitations: VecDeque<Id>,
    /// The queue's last record that was told for webhooks.
    #[serde(default, skip_serializing_if = "is_zero")]
    asked: u64,
    /// The record by which it was opened, if that is not the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    opened: u64,
    /// How the audience went, if this is one's channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    course: Option<course::Course>,
    /// When members have written lately, where a rate limits that.
    #[serde(default, skip_serializing_if = "terms::Pace::is_empty")]
    pace: terms::Pace,
    /// The files of its messages.
    #[serde(default, skip_serializing_if = "files::Attachments::is_empty")]
    files: files::Attachments,
    /// Files that came lately.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    arrived: VecDeque<Id>,
    /// Who of those that serve the audience had no connection when they were sought; not recorded.
    #[serde(skip)]
    missing: BTreeSet<Id>,
    /// Messages that were not stored since the last stored record; not recorded.
    #[serde(skip)]
    unstored: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference
fn is_zero(value: &u64) -> bool {
    *value == 0
}

/// What a conversation is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
enum Form {
    /// Nothing yet.
    #[default]
    Absent,
    /// A channel.
    Channel,
    /// A dialogue of two.
    Dialogue,
    /// It was deleted.
    Deleted,
}

impl Conversation {
    fn absent(id: &Id) -> Rejection {
        Rejection::new(ErrorType::ChannelNotFound).about("channel_id", id)
    }

    /// How a user stands to the channel.
    fn standing(&self, at: &Moment<'_>, user: &Id) -> Standing {
        let in_realm = match at.realm.map(|realm| realm.standing(user)) {
            // An operator of the realm operates its channels; its owner owns them.
            Some(standing) => standing,
            None => Standing::Stranger,
        };
        let here = match self.members.get(user).map(|member| &member.attrs) {
            _ if self.attrs.owner_id.as_ref() == Some(user) => Standing::Owner,
            Some(attrs) if attrs.operator.is_some() => Standing::Operator,
            Some(attrs) if attrs.moderator.is_some() => Standing::Moderator,
            Some(_) => Standing::Member,
            None => Standing::Stranger,
        };
        in_realm.max(here)
    }

    /// Whether the channel looks absent: a private one to all but its members, one of a realm to those
    /// outside.
    fn is_hidden_from(&self, standing: Standing) -> bool {
        let invited_only = self.attrs.private.is_some() && !standing.may(Right::SeeChannel);
        let of_realm = self.realm.is_some() && self.attrs.public.is_none();
        invited_only || of_realm && standing == Standing::Stranger
    }

    /// The other user of a dialogue.
    fn peer_of(&self, user: &Id) -> Option<&Id> {
        (self.form == Form::Dialogue).then(|| self.members.keys().find(|id| *id != user)).flatten()
    }
}

impl Machine for Conversation {
    type Order = ConversationOrder;
    type Record = ConversationRecord;

    fn exists(&self) -> bool {
        matches!(self.form, Form::Channel | Form::Dialogue)
    }

    fn realm(&self) -> Option<&Id> {
        self.realm.as_ref()
    }

    fn wants_realm<'a>(&'a self, input: &'a Input<ConversationOrder>) -> Option<&'a Id> {
        match input {
            Input::Action(_, Action::Conversation(ConversationAction::CreateChannel(create)), _) => {
                create.realm_id.as_ref()
            }
            Input::Order(ConversationOrder::Open(opening)) => opening.realm_of_hooks(),
            Input::Order(ConversationOrder::Asked(asked)) => Some(&asked.realm),
            _ => self.realm.as_ref(),
        }
    }

    fn decide(&self, at: &Moment<'_>, input: Input<ConversationOrder>) -> Decision {
        let step = match input {
            Input::Action(actor, Action::Conversation(action), parts) => {
                self.act(at, &actor, action, parts)?
            }
            Input::Action(actor, Action::Member(action), _) => self.manage(at, &actor, action)?,
            Input::Action(actor, Action::Video(VideoAction::DiscoverJitsi(_)), _) => self.room(at, &actor)?,
            Input::Action(actor, Action::Access(action), _) => self.access(at, &actor, action)?,
            Input::Action(
                _,
                Action::Session(_)
                | Action::User(_)
                | Action::Identity(_)
                | Action::Realm(_)
                | Action::Queue(_)
                | Action::File(_)
                | Action::Key(_)
                | Action::Webhook(_),
                _,
            ) => return Err(Rejection::new(ErrorType::ActionNotSupported)),
            Input::Order(ConversationOrder::Sendable { digest, by }) => self.sendable(at, &digest, &by)?,
            Input::Order(ConversationOrder::Customer { digest }) => self.tell_customer(at, &digest)?,
            Input::Order(ConversationOrder::MayUpload { user, in_dialogue }) => {
                self.may_upload(at, &user, in_dialogue)?;
                Step::emit(Emit::Answer(Answer::Value(Value::Bool(true))))
            }
            Input::Order(order) => self.obey(at, order),
        };
        let step = self.without_files(self.with_infos(step));
        let step = self.ends(at, self.with_tally(at, step));
        Ok(self.with_hooks(at, self.tell_account(at, self.tell_directory(at, self.tell_course(at, step)))))
    }

    fn apply(&mut self, seq: u64, time: u64, record: &ConversationRecord) {
        self.unstored = 0;
        self.share = share::after(self.share.take(), self.attrs.requester_id.as_ref(), time, record);
        match record.clone() {
            ConversationRecord::Opened { realm, attrs, members, metadata, accepted, .. } => {
                self.form = Form::Channel;
                self.opened = if seq > 1 { seq } else { 0 };
                self.accepted = accepted;
                self.realm = realm;
                self.attrs = attrs;
                self.metadata = metadata;
                self.members = members.into_iter().map(|(id, m)| (id, Member { joined: seq, ..m })).collect();
            }
            ConversationRecord::Accepted { accepted, .. } => self.accepted = accepted,
            ConversationRecord::DialogueOpened { members } => {
                self.form = Form::Dialogue;
                self.members = members.into_iter().collect();
            }
            ConversationRecord::Joined { user, member, .. } => {
                self.members.insert(user, Member { joined: seq, ..member });
            }
            ConversationRecord::Parted { user, .. } => {
                self.members.remove(&user);
            }
            ConversationRecord::Changed { attrs, .. } => {
                if attrs.audience_transferred.is_some() {
                    self.transfer = None;
                }
                self.attrs = attrs;
                self.settle_pace();
            }
            ConversationRecord::MemberUpdated { user, attrs, ends } => {
                if let Some(member) = self.members.get_mut(&user) {
                    member.attrs = attrs;
                    member.ends = ends;
                }
            }
            ConversationRecord::DialogueUpdated { user, attrs, hidden, noticed, .. } => {
                if let Some(member) = self.members.get_mut(&user) {
                    member.dialogue = attrs;
                    member.hides = hidden;
                    member.noticed = if noticed { seq } else { member.noticed };
                }
            }
            ConversationRecord::Discarded { user, through, .. } => {
                if let Some(member) = self.members.get_mut(&user) {
                    member.discarded = member.discarded.max(through);
                }
            }
            ConversationRecord::UserChanged { user, attrs, puppet } => {
                if let Some(member) = self.members.get_mut(&user) {
                    member.user = attrs;
                    member.puppet = puppet;
                }
            }
            ConversationRecord::Message(message) => {
                // What the server itself has written is no news to be read.
                if let Some((author, _)) = &message.author {
                    self.last_message = Some((seq, time));
                    for member in self.members.values_mut() {
                        member.hides = false;
                    }
                    self.missing.remove(author);
                    self.note_pace(author, time);
                }
                if let Some((author, data)) = message.metadata() {
                    self.message_metadata.entry(author).or_default().extend(data);
                }
            }
            ConversationRecord::Transferring { queue, by, command, master } => {
                self.transfer = Some(transfer::Transfer { seq, queue, by, command, master });
            }
            ConversationRecord::TransferRefused => self.transfer = None,
            ConversationRecord::AccessMade(made) => self.access.made(made),
            ConversationRecord::AccessSpent(spent) => self.access.spent(&spent),
            ConversationRecord::Asked(asked) => self.asked = asked.seq,
            ConversationRecord::Invited { digest } => self.remember_invitation(digest),
            // No message is kept here, and nobody who only looks on.
            ConversationRecord::MessagesUpdated { .. } | ConversationRecord::Followed { .. } => {}
            ConversationRecord::Erased { server: true } => {}
            ConversationRecord::Erased { server: false } => {
                self.last_message = Some((seq, time));
                self.members.values_mut().for_each(|member| member.hides = false);
            }
            ConversationRecord::TranscriptDeleted { .. } => {
                self.metadata = None;
                self.message_metadata.clear();
            }
            ConversationRecord::Deleted { .. } => {
                *self = Self { form: Form::Deleted, ..Self::default() };
            }
        }
        self.keep_files(seq, time, record);
        self.note_arrival(record);
        self.go_on_with_course(time, record);
    }

    fn wants(&self, at: &Moment<'_>, input: &Input<ConversationOrder>) -> Option<Wanted> {
        match input {
            Input::Action(actor, Action::Conversation(action), _) if self.form == Form::Channel => {
                self.wants_messages(action, self.standing(at, &actor.user))
            }
            Input::Order(ConversationOrder::Erase) => self.wants_opening(),
            Input::Action(..) | Input::Order(_) => None,
        }
    }

    fn amended(record: &mut ConversationRecord, bits: u32) {
        if let ConversationRecord::Message(message) = record {
            message.hidden = bits & flags::HIDDEN != 0;
        }
    }

    fn absorbs(input: &Input<ConversationOrder>) -> bool {
        match input {
            Input::Action(_, Action::Conversation(ConversationAction::SendMessage(send)), _) => {
                send.message_ttl.is_some()
            }
            Input::Action(_, action, _) => matches!(action, Action::Member(_)),
            Input::Order(order) => matches!(
                order,
                ConversationOrder::Presence { .. }
                    | ConversationOrder::Look
                    | ConversationOrder::Sought { .. }
            ),
        }
    }

    fn absorb(&mut self, now: u64, input: &Input<ConversationOrder>) {
        match input {
            Input::Order(ConversationOrder::Presence { user, connected, idle }) => {
                if let Some(member) = self.members.get_mut(user) {
                    (member.user.connected, member.user.idle) = (connected.then_some(true), *idle);
                }
                if *connected {
                    self.missing.remove(user);
                }
            }
            Input::Order(ConversationOrder::Look) => self.missing.clear(),
            Input::Order(ConversationOrder::Sought { user, here: false }) => {
                self.missing.insert(user.clone());
            }
            Input::Action(actor, Action::Conversation(ConversationAction::SendMessage(send)), _)
                if send.message_ttl.is_some() =>
            {
                self.unstored += 1;
                self.note_pace(&actor.user, now);
            }
            Input::Action(actor, Action::Member(levee_proto::MemberAction::UpdateMember(update)), _)
                if update.user_id == actor.user =>
            {
                if let (Some(writing), Some(member)) =
                    (update.member_attrs.get("writing"), self.members.get_mut(&actor.user))
                {
                    member.attrs.writing = writing.as_bool().filter(|writing| *writing);
                }
            }
            Input::Action(..) | Input::Order(_) => {}
        }
    }

    fn views(id: &Id, seq: u64, time: u64, entry: &Entry<ConversationRecord>) -> Vec<View> {
        views::of(id, seq, time, &entry.record)
    }

    fn columns(record: &ConversationRecord) -> Columns {
        match record {
            ConversationRecord::Message(message) => {
                let mut bits = flags::MESSAGE;
                if message.fold {
                    bits |= flags::FOLD;
                }
                if message.hidden {
                    bits |= flags::HIDDEN;
                }
                if message.recipients.is_some() {
                    bits |= flags::PARTIAL;
                }
                let author = message.author.as_ref().map(|(id, _)| id.clone()).unwrap_or_default();
                Columns { kind: message.message_type.clone(), author, flags: bits }
            }
            _ => Columns { kind: "conversation".into(), ..Columns::default() },
        }
    }

    fn rings(timer: Timer) -> Option<ConversationOrder> {
        match timer {
            Timer::Agent => Some(ConversationOrder::Look),
            Timer::Schedule => Some(ConversationOrder::Hours),
            Timer::Visits | Timer::File => None,
            Timer::Member => Some(ConversationOrder::Ends),
            Timer::Transcript => Some(ConversationOrder::Erase),
        }
    }

    fn glance(&self, at: &Moment<'_>, user: &Id) -> Glance {
        views::glance(self, at, user)
    }
}
