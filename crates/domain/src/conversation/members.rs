//! What a channel decides about its members.

use super::decide::joined;
use super::records::{ConversationRecord, Member};
use super::{Conversation, Decision, Form, views};
use crate::jitsi::Room;
use crate::machine::{Actor, Answer, Due, Emit, Moment, Step, Timer};
use crate::rights::{Right, Standing};
use levee_proto::attrs::{ChannelMemberAttrs, ChannelMemberAttrsPatch, Writable};
use levee_proto::{ErrorType, Id, MemberAction, Object, Rejection};
use serde_json::{Value, json};

impl Conversation {
    /// The room for group video, where the channel has one.
    pub(super) fn room(&self, at: &Moment<'_>, actor: &Actor) -> Decision {
        let standing = self.standing(at, &actor.user);
        if self.form != Form::Channel || self.is_hidden_from(standing) {
            return Err(Self::absent(at.id));
        }
        let enabled = self.attrs.video.as_deref() == Some("group");
        if !standing.may(Right::Meet) || !self.members.contains_key(&actor.user) || !enabled {
            return Err(Rejection::denied()
                .because("no group video for you here")
                .about("channel_id", at.id));
        }
        let room = Room { room: at.id.clone(), moderator: standing >= Standing::Moderator };
        Ok(Step::emit(Emit::Answer(Answer::Value(json!({"video": room})))))
    }

    pub(super) fn manage(&self, at: &Moment<'_>, actor: &Actor, action: MemberAction) -> Decision {
        let standing = self.standing(at, &actor.user);
        if self.form != Form::Channel || standing < Standing::Member {
            return Err(Self::absent(at.id));
        }
        let no_member = |user: &Id| Rejection::new(ErrorType::UserNotFound).about("user_id", user);
        let denied = || Err(Rejection::denied().about("channel_id", at.id));
        let parse = |attrs: Object| {
            serde_json::from_value::<ChannelMemberAttrsPatch>(Value::Object(attrs))
                .map_err(|e| Rejection::malformed(e.to_string()))
        };
        match action {
            MemberAction::AddMember(add) => {
                let Some(realm) = at.realm.filter(|_| self.attrs.audience_id.is_some()) else {
                    return denied();
                };
                if realm.standing(&actor.user) < Standing::Operator {
                    return denied();
                }
                let Some(target) = realm.members.get(&add.user_id) else {
                    return Err(no_member(&add.user_id));
                };
                let change = parse(add.member_attrs.unwrap_or_default())?;
                let mut attrs = ChannelMemberAttrs { since: Some(at.now / 1_000_000), ..Default::default() };
                change.check(|writable| writable <= Writable::Operator)?;
                change.apply(&mut attrs);
                if attrs.operator.is_none() && attrs.moderator.is_none() {
                    return Err(Rejection::malformed("member_attrs sets operator or moderator"));
                }
                if self.members.contains_key(&add.user_id) {
                    return Ok(Step::record(ConversationRecord::MemberUpdated { user: add.user_id, attrs }));
                }
                let member = Member { user: target.user.clone(), attrs, ..Member::default() };
                Ok(Step::record(ConversationRecord::Joined {
                    user: add.user_id.clone(),
                    member,
                    added: true,
                })
                .and(joined(at, &add.user_id, None))
                .and(Emit::Wait(Timer::Agent, Due::AgentTimeout)))
            }
            MemberAction::UpdateMember(update) => {
                let oneself = update.user_id == actor.user;
                let Some(member) = self.members.get(&update.user_id) else {
                    return Err(no_member(&update.user_id));
                };
                if update.interval_end.is_some() {
                    return Err(Rejection::new(ErrorType::ActionNotSupported).because("interval_end"));
                }
                let change = parse(update.member_attrs)?;
                change.check(|writable| standing.writes(writable, oneself))?;
                let mut attrs = member.attrs.clone();
                change.apply(&mut attrs);
                if change.names() == ["writing"] {
                    return Ok(Step::emit(Emit::Publish(vec![views::member_updated(
                        at.id,
                        &update.user_id,
                        &attrs,
                    )])));
                }
                attrs.writing = None;
                Ok(Step::record(ConversationRecord::MemberUpdated { user: update.user_id, attrs }))
            }
            MemberAction::RemoveMember(remove) => {
                let oneself = remove.user_id == actor.user;
                let target = self.standing(at, &remove.user_id);
                let may_remove = standing.may(Right::ManageChannelMembers) && standing >= target;
                if !oneself && !may_remove {
                    return denied();
                }
                if !self.members.contains_key(&remove.user_id) {
                    return Err(no_member(&remove.user_id));
                }
                Ok(self.part(at, &remove.user_id, !oneself))
            }
        }
    }
}
