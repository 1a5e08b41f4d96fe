//! What a conversation decides.

use super::part::Part;
use super::records::{ConversationOrder, ConversationRecord, Member, Message};
use super::transcript::Named;
use super::{Conversation, Decision, Form, terms, views};
use crate::found::Found;
use crate::machine::{Actor, Answer, Due, Emit, Machine, Moment, Step, Timer};
use crate::puppet::Puppet;
use crate::rights::{Right, Standing};
use crate::schedule;
use crate::view::{Stream, To};
use bytes::Bytes;
use levee_proto::actions::conversation::{SendMessage, UpdateDialogue};
use levee_proto::attrs::{ChannelAttrs, DialogueMemberAttrsPatch, UserAttrs, Writable};
use levee_proto::{ConversationAction, ErrorType, Id, Rejection, ids, messages};
use serde_json::{Value, json};

impl Conversation {
    pub(super) fn act(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        action: ConversationAction,
        parts: Vec<Bytes>,
    ) -> Decision {
        let standing = self.standing(at, &actor.user);
        let channel = self.form == Form::Channel;
        match action {
            ConversationAction::CreateChannel(create) => self.create(at, actor, create),
            ConversationAction::SendMessage(send) => self.send(at, actor, standing, send, parts),
            ConversationAction::SendFile(send) => self.send_file(at, actor, &send),
            ConversationAction::CreateUpload(create) => self.create_upload(at, actor, create),
            ConversationAction::LoadHistory(load) => self.load(actor, standing, load),
            ConversationAction::UpdateDialogue(update) => self.update_dialogue(at, actor, update),
            ConversationAction::DiscardHistory(discard) => self.discard(at, actor, &discard),
            ConversationAction::GetTranscript(get) => self.get_transcript(at, actor, standing, get),
            ConversationAction::DeleteTranscript(delete) => {
                let (channel, dialogue) = (&delete.channel_id, &delete.dialogue_id);
                let named = Named { channel, dialogue, audience: &delete.audience_id };
                self.delete_transcript(at, actor, standing, named)
            }
            ConversationAction::TransferAudience(transfer) => self.transfer(at, actor, standing, transfer),
            ConversationAction::FollowChannel(follow) => self.follow(at, actor, standing, &follow),
            ConversationAction::JoinChannel(join) if channel || join.access_key.is_some() => {
                self.join(at, actor, standing, &join)
            }
            // What one may not see looks absent.
            _ if !channel || self.is_hidden_from(standing) => Err(Self::absent(at.id)),
            ConversationAction::DescribeChannel(_) => {
                let mut found = views::found(self, at, &actor.user, standing);
                found.channel_status = self.status(actor).map(Into::into);
                Ok(Step::emit(Answer::event(&found)))
            }
            ConversationAction::UpdateChannel(update) => {
                if standing < Standing::Operator {
                    return Err(Rejection::denied().about("channel_id", at.id));
                }
                update.channel_attrs.check(|writable| standing.writes(writable, false))?;
                let mut attrs = terms::changed(&self.attrs, &update.channel_attrs, at.now)?;
                let named = update.channel_attrs.schedule.is_some();
                let keep = || schedule::keep(attrs.schedule.as_ref(), &mut attrs.closed, at.now);
                let timer = named.then(keep).transpose()?;
                let realm = self.realm.clone();
                let mut step = Step::record(ConversationRecord::Changed { realm, attrs, cause: None });
                step.emits.extend(timer);
                Ok(step)
            }
            ConversationAction::UpdateMessage(update) => self.update_message(at, actor, standing, &update),
            ConversationAction::UpdateUserMessages(update) => {
                self.update_user_messages(at, actor, standing, &update)
            }
            ConversationAction::DeleteChannel(_) => {
                if !standing.may(Right::DeleteChannel) || self.attrs.suspended.is_none() {
                    return Err(Rejection::denied()
                        .because("only a suspended channel can be deleted, by an operator")
                        .about("channel_id", at.id));
                }
                let members: Vec<Id> = self.members.keys().cloned().collect();
                let mut step = Step::record(ConversationRecord::Deleted { members: members.clone() });
                step.emits.extend(self.access.revoked());
                step.emits.extend(members.iter().map(|user| parted(at.id, user)));
                if self.attrs.audience_id.is_some() {
                    // Its transcript is read without being a member, and must not outlive it.
                    step.emits.extend(self.erase(at));
                }
                Ok(step)
            }
            ConversationAction::JoinChannel(_) => Err(Self::absent(at.id)),
            ConversationAction::PartChannel(_) => {
                if !self.members.contains_key(&actor.user) {
                    return Err(Self::absent(at.id));
                }
                Ok(self.part(at, &actor.user, false))
            }
        }
    }

    pub(super) fn part(&self, at: &Moment<'_>, user: &Id, removed: bool) -> Step<ConversationRecord> {
        let cause = removed.then(|| "member_remove".into());
        let mut step = Step::record(ConversationRecord::Parted { user: user.clone(), cause, command: None })
            .and(parted(at.id, user));
        let changed = |attrs| {
            let cause = Some("member_part".into());
            ConversationRecord::Changed { realm: self.realm.clone(), attrs, cause }
        };
        let is_customer = self.attrs.audience_id.is_some() && self.attrs.requester_id.as_ref() == Some(user);
        if self.members.len() > 1 && is_customer && self.attrs.closed.is_none() {
            // Nobody is there to be talked to. That is how bots hear that an audience has ended.
            step.records.push(changed(ChannelAttrs { closed: Some(true), ..self.attrs.clone() }));
        }
        if self.members.len() == 1 {
            // The last one leaves: an audience's channel stays to be read, any other one is gone.
            step.records.push(if self.attrs.audience_id.is_some() {
                changed(ChannelAttrs { suspended: Some(true), ..self.attrs.clone() })
            } else {
                step.emits.extend(self.access.revoked());
                ConversationRecord::Deleted { members: Vec::new() }
            });
        }
        step
    }

    fn send(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        standing: Standing,
        send: SendMessage,
        parts: Vec<Bytes>,
    ) -> Decision {
        messages::check(&send.message_type, &parts)?;
        let mut step = Step::nothing();
        // Whose an identity is, was looked up.
        if send.user_id.is_some() || send.identity_name.is_some() {
            self.begin_dialogue(at, actor, &mut step)?;
        } else {
            self.may_send(at, &actor.user, standing, &send.message_type)?;
        }
        let member = self.members.get(&actor.user);
        let recipients = match send.message_recipient_ids {
            None => None,
            Some(ids) => {
                if let Some(stranger) = ids.iter().find(|id| !self.members.contains_key(*id)) {
                    return Err(Rejection::new(ErrorType::UserNotFound).about("user_id", stranger));
                }
                Some(ids)
            }
        };
        let ttl = send.message_ttl;
        if ttl.is_some_and(|ttl| !ttl.is_finite() || !(0.0..=86_400.0).contains(&ttl)) {
            return Err(Rejection::malformed("message_ttl is between 0 and 86400 seconds"));
        }
        let message = Message {
            message_type: send.message_type,
            author: Some((actor.user.clone(), actor.card.name.clone())),
            between: self.between(actor),
            recipients,
            fold: send.message_fold.unwrap_or_default(),
            hidden: member.is_some_and(|member| member.attrs.autohide.is_some()),
            ttl,
            file: None,
            parts: parts.into_iter().map(Part).collect(),
        };
        if ttl.is_some() {
            let id = ids::unstored_message(at.seq, self.unstored + 1);
            return Ok(step.and(Emit::Publish(views::message(at.id, id, at.now, &message))));
        }
        step.records.push(ConversationRecord::Message(message));
        Ok(step)
    }

    pub(super) fn between(&self, actor: &Actor) -> Option<(Id, Id)> {
        let peer = match self.form {
            Form::Channel => return None,
            _ => {
                self.peer_of(&actor.user).or(actor.found.as_ref().and_then(Found::peer).map(|(id, _)| id))?
            }
        };
        Some((actor.user.clone(), peer.clone()))
    }

    /// Makes the dialogue with its first message.
    pub(super) fn begin_dialogue(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        step: &mut Step<ConversationRecord>,
    ) -> Result<(), Rejection> {
        if self.form == Form::Dialogue {
            return Ok(());
        }
        let no_peer = || Rejection::new(ErrorType::UserNotFound);
        let (peer, card) = actor.found.as_ref().and_then(Found::peer).ok_or_else(no_peer)?;
        if *peer == actor.user {
            return Err(Rejection::denied().because("a dialogue takes two"));
        }
        let me = (actor.user.clone(), (*actor.card).clone());
        self.open_dialogue(at, me, (peer.clone(), (**card).clone()), step);
        Ok(())
    }

    pub(super) fn open_dialogue(
        &self,
        at: &Moment<'_>,
        (user, card): (Id, UserAttrs),
        (peer, peer_card): (Id, UserAttrs),
        step: &mut Step<ConversationRecord>,
    ) {
        for (user, other) in [(&user, &peer), (&peer, &user)] {
            let order =
                json!({"Met": {"peer": other, "dialogue": at.id, "seq": at.seq + 1, "command": null}});
            step.emits.push(Emit::Forward(Stream::user(user), order));
        }
        let member = |user: UserAttrs| Member { user, ..Member::default() };
        let members = vec![(user, member(card)), (peer, member(peer_card))];
        step.records.push(ConversationRecord::DialogueOpened { members });
    }

    pub(super) fn may_send(
        &self,
        at: &Moment<'_>,
        user: &Id,
        standing: Standing,
        message_type: &str,
    ) -> Result<(), Rejection> {
        self.may_write(at, user, standing, message_type)?;
        self.keeps_pace(at, user, standing)
    }

    /// Whether a user may write such a message, at any pace.
    pub(super) fn may_write(
        &self,
        at: &Moment<'_>,
        user: &Id,
        standing: Standing,
        message_type: &str,
    ) -> Result<(), Rejection> {
        let Some(member) = self.members.get(user).filter(|_| self.form == Form::Channel) else {
            return Err(Self::absent(at.id));
        };
        let refuse = |reason: &str| Err(Rejection::denied().because(reason).about("channel_id", at.id));
        let is_metadata = message_type == "ninchat.com/metadata";
        if self.attrs.suspended.is_some() {
            return refuse("the channel is suspended");
        }
        if self.attrs.closed.is_some() && !is_metadata {
            return refuse("the channel is closed");
        }
        if member.attrs.silenced.is_some() && !standing.may(Right::SpeakSilenced) {
            return refuse("you are silenced");
        }
        if message_type == "ninchat.com/notice" && !standing.may(Right::Notify) {
            return refuse("notices are the operators'");
        }
        if self.is_blacklisted(message_type) {
            return Err(Rejection::new(ErrorType::MessageNotSupported).about("message_type", message_type));
        }
        Ok(())
    }

    fn update_dialogue(&self, at: &Moment<'_>, actor: &Actor, update: UpdateDialogue) -> Decision {
        let Some(member) = self.members.get(&actor.user).filter(|_| self.form == Form::Dialogue) else {
            return Err(Rejection::new(ErrorType::UserNotFound).about("user_id", &update.user_id));
        };
        let change: DialogueMemberAttrsPatch =
            serde_json::from_value(Value::Object(update.member_attrs.unwrap_or_default()))
                .map_err(|e| Rejection::malformed(e.to_string()))?;
        change.check(|writable| writable == Writable::OneSelf)?;
        if change.rating.flatten().is_some_and(|rating| !(-1..=1).contains(&rating)) {
            return Err(Rejection::malformed("rating is between -1 and 1"));
        }
        let hidden = match update.dialogue_status.as_deref() {
            None => member.hides,
            Some("visible") => false,
            Some("hidden") => true,
            Some(_) => return Err(Rejection::malformed("dialogue_status is visible or hidden")),
        };
        let mut attrs = member.dialogue.clone();
        change.apply(&mut attrs);
        let noticed = update.dialogue_status.is_some() && !hidden;
        if change.names() == ["writing"] && hidden == member.hides && !noticed {
            let view = views::dialogue_updated(self, at, &actor.user, &attrs);
            return Ok(Step::emit(Emit::Publish(view)));
        }
        let (user, peer) = (actor.user.clone(), self.peer_of(&actor.user).cloned().unwrap_or_default());
        Ok(Step::record(ConversationRecord::DialogueUpdated { user, peer, attrs, hidden, noticed }))
    }

    fn keep_hours(&self, at: &Moment<'_>) -> Step<ConversationRecord> {
        let mut attrs = self.attrs.clone();
        let timer = schedule::keep(self.attrs.schedule.as_ref(), &mut attrs.closed, at.now)
            .unwrap_or(Emit::Unwait(Timer::Schedule));
        if attrs == self.attrs {
            return Step::emit(timer);
        }
        let (realm, cause) = (self.realm.clone(), Some("channel_schedule".into()));
        Step::record(ConversationRecord::Changed { realm, attrs, cause }).and(timer)
    }

    pub(super) fn obey(&self, at: &Moment<'_>, order: ConversationOrder) -> Step<ConversationRecord> {
        match order {
            ConversationOrder::Open(opening) => self.open(at, opening),
            ConversationOrder::Begin(beginning) => self.begin(at, beginning),
            ConversationOrder::Asked(asked) => self.asked(asked),
            ConversationOrder::Replay(hook) => Step::emit(Emit::Hook(hook)),
            ConversationOrder::Erase => self.erased(at),
            ConversationOrder::EraseAt { time } if self.form == Form::Channel => {
                Step::emit(Emit::Wait(Timer::Transcript, Due::At(time)))
            }
            ConversationOrder::EraseAt { .. } => Step::nothing(),
            ConversationOrder::Look => self.look_for_agent(at),
            ConversationOrder::Hours => self.keep_hours(at),
            ConversationOrder::Ends => self.end_what_is_due(at),
            // They were answered before.
            ConversationOrder::Sought { .. }
            | ConversationOrder::Sendable { .. }
            | ConversationOrder::Customer { .. }
            | ConversationOrder::MayUpload { .. } => Step::nothing(),
            ConversationOrder::Reads { file, user } => {
                Step::emit(Emit::Answer(Answer::Value(json!(self.reads(at, &file, &user)))))
            }
            ConversationOrder::Glimpse { user } => {
                let summary = self.glance(at, &user).summary;
                Step::emit(Emit::Answer(Answer::Value(Value::Object(summary))))
            }
            order @ (ConversationOrder::Uploading(_) | ConversationOrder::TakeFile { .. }) => {
                self.obey_about_uploads(at, order)
            }
            ConversationOrder::HasFile { file } => self.has_file(&file),
            ConversationOrder::QueueOf { digest } => {
                let queue = self.customer(at, &digest).ok().and(self.attrs.queue_id.as_ref());
                Step::emit(Emit::Answer(Answer::Value(json!(queue))))
            }
            ConversationOrder::Admit { digest, user, card } => self.admit(at, &digest, user, card),
            ConversationOrder::QueueGone => self.queue_gone(),
            ConversationOrder::Transferred { seq, allowed } => self.transferred(at, seq, allowed),
            ConversationOrder::Invited { people, content, digest } => {
                self.invited(at, people, &content, digest)
            }
            ConversationOrder::UserChanged { user, attrs, puppet } => {
                let puppet = Puppet::shown(puppet.as_ref(), self.owner(at));
                match self.members.get(&user) {
                    Some(member) if member.user != attrs || member.puppet != puppet => {
                        Step::record(ConversationRecord::UserChanged { user, attrs, puppet })
                    }
                    _ => Step::nothing(),
                }
            }
            ConversationOrder::Gone { user }
                if self.form == Form::Channel && self.members.contains_key(&user) =>
            {
                self.part(at, &user, false)
            }
            ConversationOrder::Gone { user } => match self.members.get(&user) {
                Some(member) if self.form == Form::Dialogue && member.user.deleted.is_none() => {
                    let attrs = UserAttrs { deleted: Some(true), ..UserAttrs::default() };
                    Step::record(ConversationRecord::UserChanged { user, attrs, puppet: None })
                }
                _ => Step::nothing(),
            },
            ConversationOrder::Presence { user, connected, idle } => match self.members.get(&user) {
                Some(member) if (member.user.connected.is_some(), member.user.idle) != (connected, idle) => {
                    let mut attrs = member.user.clone();
                    (attrs.connected, attrs.idle) = (connected.then_some(true), idle);
                    Step::emit(Emit::Publish(vec![views::user_updated(
                        To::Peers(user.clone()),
                        &user,
                        &attrs,
                    )]))
                }
                _ => Step::nothing(),
            },
        }
    }
}

/// The user learns that they are in the channel by its next record.
pub(super) fn joined(at: &Moment<'_>, user: &Id, command: Option<crate::Command>) -> Emit {
    joined_by(at, at.seq + 1, user, command)
}

/// The user learns that they are in the channel by a record.
pub(super) fn joined_by(at: &Moment<'_>, seq: u64, user: &Id, command: Option<crate::Command>) -> Emit {
    let order = json!({"Joined": {"channel": at.id, "seq": seq, "command": command}});
    Emit::Forward(Stream::user(user), order)
}

pub(super) fn parted(channel: &Id, user: &Id) -> Emit {
    Emit::Forward(Stream::user(user), json!({"Parted": {"channel": channel}}))
}
