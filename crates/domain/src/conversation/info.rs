//! What the server itself writes into a conversation: the messages `ninchat.com/info/*`, by which its history
//! tells who came and went, and what was changed.
//!
//! They follow from the records beside them, whatever caused those: an action, an order or a timer.

use super::part::Part;
use super::records::{ConversationRecord, Member, Message};
use super::{Conversation, Form};
use crate::machine::Step;
use levee_proto::attrs::ChannelAttrs;
use levee_proto::{Id, Object, messages};
use serde_json::{Value, json};

#[cfg(test)]
mod tests;

/// The cause that a transfer has, in messages and events.
pub(super) const TRANSFER: &str = "audience_transfer";

impl Conversation {
    /// A message that the server itself writes.
    pub(super) fn info(message_type: &str, content: &Value) -> ConversationRecord {
        ConversationRecord::Message(Message {
            message_type: message_type.into(),
            parts: vec![Part(content.to_string().into())],
            ..Message::default()
        })
    }

    /// Adds what is told of the records of a decision, after all of them: a command is answered by the first.
    pub(super) fn with_infos(&self, mut step: Step<ConversationRecord>) -> Step<ConversationRecord> {
        if step.records.is_empty() {
            return step;
        }
        let accepts = step.records.iter().any(|record| matches!(record, ConversationRecord::Accepted { .. }));
        let ends = step.records.iter().any(|record| matches!(record, ConversationRecord::Deleted { .. }));
        let mut attrs = &self.attrs;
        let mut infos = Vec::new();
        for record in &step.records {
            match record {
                ConversationRecord::Opened { attrs, members, .. } => {
                    infos.extend(members.iter().filter_map(|(user, member)| began(attrs, user, member)));
                }
                ConversationRecord::Joined { user, member, .. } if accepts => {
                    infos.extend(began(attrs, user, member));
                }
                ConversationRecord::Joined { user, member, .. } => {
                    infos.push(Self::info("ninchat.com/info/join", &joined(user, member)));
                }
                ConversationRecord::Parted { user, cause, .. } => {
                    let mut content = named(user, self.members.get(user));
                    content.extend(cause.as_ref().map(|cause| ("cause".to_owned(), json!(cause))));
                    infos.push(Self::info("ninchat.com/info/part", &Value::Object(content)));
                }
                ConversationRecord::Changed { attrs: new, cause, .. } => {
                    infos.extend(changed(attrs, new, cause.as_deref()));
                    attrs = new;
                }
                ConversationRecord::MemberUpdated { user, attrs, .. } => {
                    infos.extend(self.members.get(user).and_then(|member| updated(user, member, attrs)));
                }
                ConversationRecord::UserChanged { user, attrs, .. } => {
                    infos.extend(self.user_changed(user, attrs));
                }
                ConversationRecord::Accepted { .. }
                | ConversationRecord::DialogueOpened { .. }
                | ConversationRecord::DialogueUpdated { .. }
                | ConversationRecord::Discarded { .. }
                | ConversationRecord::Message(_)
                | ConversationRecord::MessagesUpdated { .. }
                | ConversationRecord::TranscriptDeleted { .. }
                | ConversationRecord::Erased { .. }
                | ConversationRecord::Transferring { .. }
                | ConversationRecord::TransferRefused
                | ConversationRecord::AccessMade(_)
                | ConversationRecord::Followed { .. }
                | ConversationRecord::AccessSpent(_)
                | ConversationRecord::Asked(_)
                | ConversationRecord::Invited { .. }
                | ConversationRecord::Deleted { .. } => {}
            }
        }
        let unwanted = attrs.blacklisted_message_types.clone().unwrap_or_default();
        if !ends {
            // Nobody reads what is gone.
            step.records.extend(infos);
        }
        if step.records.iter().any(|record| matches!(record, ConversationRecord::Opened { .. })) {
            // What people say in it comes after what is told of its beginning.
            step.records.sort_by_key(
                |record| matches!(record, ConversationRecord::Message(message) if message.author.is_some()),
            );
        }
        if !unwanted.is_empty() {
            step.records.retain(|record| match record {
                ConversationRecord::Message(message) if message.author.is_none() => {
                    !messages::matches(&unwanted, &message.message_type)
                }
                _ => true,
            });
        }
        step
    }

    fn user_changed(&self, user: &Id, attrs: &levee_proto::attrs::UserAttrs) -> Option<ConversationRecord> {
        let before = self.members.get(user)?;
        let deleted = attrs.deleted.is_some() && before.user.deleted.is_none();
        if before.user.name == attrs.name && !deleted {
            return None;
        }
        let mut content = Object::new();
        content.insert("user_id".into(), json!(user));
        let mut put = |name: &str, value: Option<Value>| content.extend(value.map(|v| (name.to_owned(), v)));
        put(
            "user_name",
            attrs.name.as_ref().or(before.user.name.as_ref().filter(|_| deleted)).map(|name| json!(name)),
        );
        put("user_name_old", before.user.name.as_ref().filter(|_| !deleted).map(|name| json!(name)));
        put("user_deleted", deleted.then_some(json!(true)));
        Some(match Self::info("ninchat.com/info/user", &Value::Object(content)) {
            ConversationRecord::Message(message) if self.form == Form::Dialogue => {
                let between = self.peer_of(user).map(|peer| (user.clone(), peer.clone()));
                ConversationRecord::Message(Message { between, ..message })
            }
            record => record,
        })
    }
}

/// What is told of an audience's beginning. To its customer it is what the conversation starts with; whoever
/// accepted it knows.
fn began(attrs: &ChannelAttrs, user: &Id, member: &Member) -> Option<ConversationRecord> {
    let customer = attrs.requester_id.as_ref().filter(|customer| *customer != user)?;
    match Conversation::info("ninchat.com/info/join", &joined(user, member)) {
        ConversationRecord::Message(message) => {
            Some(ConversationRecord::Message(Message { recipients: Some(vec![customer.clone()]), ..message }))
        }
        _ => None,
    }
}

fn named(user: &Id, member: Option<&Member>) -> Object {
    let mut content = Object::new();
    content.insert("user_id".into(), json!(user));
    let name = member.and_then(|member| member.user.name.as_ref());
    content.extend(name.map(|name| ("user_name".to_owned(), json!(name))));
    content
}

fn joined(user: &Id, member: &Member) -> Value {
    let mut content = named(user, Some(member));
    for (name, is) in [("member_invitee", member.attrs.invitee), ("member_silenced", member.attrs.silenced)] {
        content.extend(is.map(|is| (name.to_owned(), json!(is))));
    }
    Value::Object(content)
}

/// What is told of a change of attributes; nothing if there is none.
fn changed(old: &ChannelAttrs, new: &ChannelAttrs, cause: Option<&str>) -> Option<ConversationRecord> {
    let mut content = json!({"channel_attrs_old": old, "channel_attrs_new": new});
    if let Some(cause) = cause.filter(|cause| *cause == TRANSFER) {
        content["cause"] = json!(cause);
    }
    (old != new).then(|| Conversation::info("ninchat.com/info/channel", &content))
}

/// What is told of a member's change: whether they take part, and whether they may write.
fn updated(
    user: &Id,
    member: &Member,
    new: &levee_proto::attrs::ChannelMemberAttrs,
) -> Option<ConversationRecord> {
    let old = &member.attrs;
    let mut content = named(user, Some(member));
    let mut differs = false;
    for (name, was, is) in
        [("member_invitee", old.invitee, new.invitee), ("member_silenced", old.silenced, new.silenced)]
    {
        differs |= was != is;
        if was.or(is).is_some() {
            content.insert(name.into(), json!(is.unwrap_or_default()));
        }
    }
    differs.then(|| Conversation::info("ninchat.com/info/member", &Value::Object(content)))
}
