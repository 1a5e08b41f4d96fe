//! What followers of a conversation see.

use super::records::{ConversationRecord, Message};
use super::{Conversation, Form};
use crate::machine::{Glance, Moment};
use crate::puppet::Puppet;
use crate::rights::{Right, Standing};
use crate::view::{Effect, To, View, roles};
use levee_proto::attrs::{ChannelMemberAttrs, DialogueMemberAttrs, UserAttrs};
use levee_proto::types::seconds;
use levee_proto::{Body, Id, Object, events, ids};
use serde_json::{Value, json};
use std::sync::Arc;

pub(super) fn of(id: &Id, seq: u64, time: u64, record: &ConversationRecord) -> Vec<View> {
    let channel_id = id.clone();
    match record {
        // Those who are in it learn of it by entering it.
        ConversationRecord::Opened { .. }
        | ConversationRecord::Accepted { .. }
        // What comes of it will be told.
        | ConversationRecord::Transferring { .. }
        | ConversationRecord::TransferRefused
        | ConversationRecord::AccessSpent(_)
        | ConversationRecord::Asked(_)
        | ConversationRecord::Invited { .. }
        | ConversationRecord::DialogueOpened { .. } => Vec::new(),
        ConversationRecord::Joined { user, member, added } => vec![View {
            // Who joins is answered by entering it.
            answers: *added,
            ..View::new(
                To::Peers(user.clone()),
                &events::ChannelMemberJoined {
                    channel_id,
                    user_id: user.clone(),
                    user_attrs: member.user.clone(),
                    member_attrs: member.attrs.clone(),
                    member_metadata: member.metadata.clone(),
                    puppet_attrs: member.puppet.as_ref().map(|puppet| puppet.attrs.clone()),
                },
            )
        }],
        ConversationRecord::Parted { user, cause, command } => {
            let event_cause = cause.clone();
            let parted =
                events::ChannelParted { channel_id: channel_id.clone(), event_cause: event_cause.clone() };
            let others = events::ChannelMemberParted { channel_id, user_id: user.clone(), event_cause };
            vec![
                View {
                    command: command.clone(),
                    ..View::new(To::Only(vec![user.clone()]), &parted).with(Effect::Leave)
                },
                View::new(To::Peers(user.clone()), &others),
            ]
        }
        ConversationRecord::Changed { realm, attrs, cause } => {
            let updated = events::ChannelUpdated {
                channel_id,
                channel_attrs: attrs.clone(),
                realm_id: realm.clone(),
                event_cause: Some(cause.clone().unwrap_or_else(|| "channel_update".into())),
            };
            let leave = View::effect(To::Roles(roles::WATCHER), Effect::Leave);
            let ends = super::follow::is_followable(attrs).is_none().then_some(leave);
            [View::new(To::All, &updated)].into_iter().chain(ends).collect()
        }
        ConversationRecord::MemberUpdated { user, attrs, .. } => {
            let mut has = roles::MEMBER;
            if attrs.moderator.is_some() || attrs.operator.is_some() {
                has |= roles::MODERATOR;
            }
            vec![
                member_updated(id, user, attrs),
                View::effect(To::Only(vec![user.clone()]), Effect::Become(has)),
            ]
        }
        ConversationRecord::DialogueUpdated { user, peer, attrs, hidden, .. } => {
            let mut members = Object::new();
            members.insert(user.to_string(), json!(attrs));
            let event = |with: &Id, hidden: bool| events::DialogueUpdated {
                user_id: with.clone(),
                dialogue_members: members.clone(),
                dialogue_status: hidden.then(|| "hidden".into()),
                ..Default::default()
            };
            vec![
                View::new(To::Only(vec![user.clone()]), &event(peer, *hidden)),
                View::new(To::Only(vec![peer.clone()]), &event(user, false)).aside(),
            ]
        }
        ConversationRecord::Discarded { user, peer, through } => {
            let event = events::HistoryDiscarded {
                message_id: ids::message(*through),
                user_id: Some(peer.clone()),
                ..Default::default()
            };
            vec![View::new(To::Only(vec![user.clone()]), &event)]
        }
        ConversationRecord::AccessMade(made) => made.views(),
        ConversationRecord::Followed { session, found } => {
            vec![View::new(To::Session(session.clone()), found).with(Effect::LookOn)]
        }
        ConversationRecord::UserChanged { user, attrs, puppet } => {
            let event = events::UserUpdated {
                user_id: user.clone(),
                user_attrs: attrs.clone(),
                puppet_masters: puppet.as_ref().map(Puppet::masters),
                ..Default::default()
            };
            vec![View::new(To::Peers(user.clone()), &event).aside()]
        }
        ConversationRecord::TranscriptDeleted { audience, .. } => {
            let (channel_id, audience_id) = (Some(channel_id), audience.clone());
            let event = events::TranscriptDeleted { channel_id, audience_id, ..Default::default() };
            vec![View::new(To::All, &event)]
        }
        // Whoever was away missed it for good; who sends it again learns so.
        ConversationRecord::Erased { .. } => {
            let (message_id, channel_id) = (ids::message(seq), Some(channel_id));
            vec![View::new(To::All, &events::MessageDeleted { message_id, channel_id, user_id: None })]
        }
        ConversationRecord::MessagesUpdated { hidden, messages, .. } => {
            super::moderate::views(id, messages, *hidden)
        }
        ConversationRecord::Message(content) => message(id, ids::message(seq), time, content),
        ConversationRecord::Deleted { .. } => {
            vec![View::new(To::All, &events::ChannelDeleted { channel_id }).with(Effect::Leave)]
        }
    }
}

pub(super) fn member_updated(id: &Id, user: &Id, attrs: &ChannelMemberAttrs) -> View {
    View::new(
        To::Roles(roles::MEMBER),
        &events::ChannelMemberUpdated {
            channel_id: id.clone(),
            user_id: user.clone(),
            member_attrs: attrs.clone(),
        },
    )
}

pub(super) fn user_updated(to: To, user: &Id, attrs: &UserAttrs) -> View {
    let event =
        events::UserUpdated { user_id: user.clone(), user_attrs: attrs.clone(), ..Default::default() };
    View::new(to, &event).aside()
}

pub(super) fn dialogue_updated(
    of: &Conversation,
    _at: &Moment<'_>,
    user: &Id,
    attrs: &DialogueMemberAttrs,
) -> Vec<View> {
    of.members
        .keys()
        .filter_map(|viewer| {
            let mut members = dialogue_members(of);
            members.insert(user.to_string(), json!(attrs));
            let event = events::DialogueUpdated {
                user_id: of.peer_of(viewer)?.clone(),
                dialogue_members: members,
                ..Default::default()
            };
            Some(View::new(To::Only(vec![viewer.clone()]), &event))
        })
        .collect()
}

pub(super) fn dialogue_members(of: &Conversation) -> Object {
    of.members.iter().map(|(id, member)| (id.to_string(), json!(member.dialogue))).collect()
}

/// The views of a message: one in a channel, one for each side of a dialogue.
pub(super) fn message(id: &Id, message_id: Id, time: u64, content: &Message) -> Vec<View> {
    let view = |to: To, channel: Option<Id>, user: Option<Id>| {
        let (author, name) = content.author.clone().map_or((None, None), |(id, name)| (Some(id), name));
        let event = events::MessageReceived {
            message_id: message_id.clone(),
            message_time: seconds(time),
            message_type: content.message_type.clone(),
            channel_id: channel,
            user_id: user,
            message_user_id: author,
            message_user_name: name,
            message_fold: content.fold.then_some(true),
            message_hidden: content.hidden.then_some(true),
            message_recipient_ids: content.recipients.clone(),
            message_ttl: content.ttl,
            history_length: None,
        };
        let parts = content.parts.iter().map(|part| part.0.clone()).collect();
        View {
            body: Some(Arc::new(Body::with_parts(&event, parts))),
            message_type: Some(content.message_type.clone()),
            // The server's own messages are of what was done, beside what answers it.
            answers: content.author.is_some(),
            ..View::effect(to, Effect::None)
        }
    };
    if let Some((author, peer)) = &content.between {
        return vec![
            view(To::Only(vec![author.clone()]), None, Some(peer.clone())),
            view(To::Only(vec![peer.clone()]), None, Some(author.clone())),
        ];
    }
    let author = content.author.as_ref().map(|(id, _)| id.clone());
    let to = match &content.recipients {
        Some(users) => To::Only(users.iter().cloned().chain(author).collect()),
        // The author sees it too, or would wait for the reply for ever.
        None if content.hidden => To::RolesOr(roles::MODERATOR, author.unwrap_or_default()),
        None => To::All,
    };
    vec![view(to, Some(id.clone()), None)]
}

fn members(of: &Conversation) -> Object {
    of.members
        .iter()
        .map(|(id, member)| {
            let shown = json!({"user_attrs": member.user, "member_attrs": member.attrs});
            (id.to_string(), Puppet::beside(member.puppet.as_ref(), shown))
        })
        .collect()
}

fn members_metadata(of: &Conversation) -> Option<Object> {
    let said =
        of.members.iter().filter_map(|(id, member)| Some((id.to_string(), json!(member.metadata.as_ref()?))));
    Some(said.collect::<Object>()).filter(|said| !said.is_empty())
}

fn message_metadata(of: &Conversation) -> Option<Object> {
    (!of.message_metadata.is_empty()).then(|| {
        of.message_metadata.iter().map(|(id, data)| (id.to_string(), Value::Object(data.clone()))).collect()
    })
}

pub(super) fn found(
    of: &Conversation,
    _at: &Moment<'_>,
    user: &Id,
    standing: Standing,
) -> events::ChannelFound {
    let inside = of.members.contains_key(user) || standing >= Standing::Operator;
    events::ChannelFound {
        channel_id: _at.id.clone(),
        channel_attrs: of.attrs.clone(),
        realm_id: of.realm.clone(),
        channel_members: inside.then(|| members(of)),
        channel_member_count: (standing >= Standing::Operator).then_some(of.members.len() as u64),
        message_time: of.last_message.filter(|_| inside).map(|(_, time)| seconds(time)),
        audience_metadata: of.metadata.clone().filter(|_| inside),
        member_message_metadata: message_metadata(of).filter(|_| inside),
        channel_members_metadata: members_metadata(of).filter(|_| inside),
        ..Default::default()
    }
}

pub(super) fn glance(of: &Conversation, at: &Moment<'_>, user: &Id) -> Glance {
    let Some(member) = of.members.get(user) else {
        return Glance { roles: of.onlooker(), ..Glance::default() };
    };
    let mut has = roles::MEMBER;
    if of.standing(at, user).may(Right::SeeHidden) {
        has |= roles::MODERATOR;
    }
    let mut summary = Object::new();
    summary.insert("$last_message".into(), json!(of.last_message.map(|(seq, _)| seq)));
    let (after, since) = of.visible_to(user).unwrap_or((u64::MAX, 0));
    summary.insert("$visible".into(), json!((after.max(member.noticed), since, has & roles::MODERATOR != 0)));
    let entry = if of.form == Form::Channel {
        let found = found(of, at, user, Standing::Member);
        summary.insert("channel_attrs".into(), json!(of.attrs));
        if let Some(realm) = &of.realm {
            summary.insert("realm_id".into(), json!(realm));
        }
        Body::new(&events::ChannelJoined {
            channel_id: found.channel_id,
            channel_attrs: found.channel_attrs,
            channel_members: members(of),
            realm_id: found.realm_id,
            message_time: found.message_time,
            audience_metadata: found.audience_metadata,
            member_message_metadata: found.member_message_metadata,
            channel_members_metadata: found.channel_members_metadata,
            ..Default::default()
        })
    } else {
        let peer = of.peer_of(user).cloned().unwrap_or_default();
        summary.insert("$peer".into(), json!(peer));
        summary.insert("dialogue_members".into(), json!(dialogue_members(of)));
        if member.hides {
            summary.insert("dialogue_status".into(), json!("hidden"));
        }
        Body::new(&events::DialogueUpdated {
            user_id: peer,
            dialogue_members: dialogue_members(of),
            message_time: of.last_message.map(|(_, time)| seconds(time)),
            ..Default::default()
        })
    };
    Glance { roles: has, summary, entry: Some(Arc::new(entry)), latest: None }
}
