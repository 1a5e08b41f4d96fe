//! What a channel decides about its members.

use super::decide::joined;
use super::records::{ConversationRecord, Member};
use super::{Conversation, Decision, Form, views};
use crate::jitsi::Room;
use crate::machine::{Actor, Answer, Due, Emit, Moment, Step, Timer};
use crate::rights::{Right, Standing};
use levee_proto::attrs::{ChannelMemberAttrs, ChannelMemberAttrsPatch, Writable};
use levee_proto::types::micros;
use levee_proto::{ErrorType, Id, MemberAction, Object, Rejection, Text};
use serde_json::{Value, json};
use std::collections::BTreeMap;

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
        let room = Room {
            room: at.id.clone(),
            moderator: standing >= Standing::Moderator,
            who: Some(actor.named()),
        };
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
                    return Ok(Step::record(ConversationRecord::MemberUpdated {
                        user: add.user_id,
                        attrs,
                        ends: BTreeMap::new(),
                    }));
                }
                let (user, puppet) = (target.user.clone(), target.puppet.clone());
                let member = Member { user, attrs, puppet, ..Member::default() };
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
                let change = parse(update.member_attrs)?;
                change.check(|writable| standing.writes(writable, oneself))?;
                let mut attrs = member.attrs.clone();
                change.apply(&mut attrs);
                let ends = ends(at, &member.ends, &change, &attrs, update.interval_end)?;
                if change.names() == ["writing"] {
                    return Ok(Step::emit(Emit::Publish(vec![views::member_updated(
                        at.id,
                        &update.user_id,
                        &attrs,
                    )])));
                }
                attrs.writing = None;
                let timer = (ends != member.ends).then(|| self.next_end(&[(&update.user_id, &ends)]));
                let user = update.user_id;
                let mut step = Step::record(ConversationRecord::MemberUpdated { user, attrs, ends });
                step.emits.extend(timer);
                Ok(step)
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

    /// Unsets what was set for members until now.
    pub(super) fn end_what_is_due(&self, at: &Moment<'_>) -> Step<ConversationRecord> {
        let mut step = Step::nothing();
        let mut left = Vec::new();
        for (user, member) in &self.members {
            let (over, ends): (BTreeMap<_, _>, BTreeMap<_, _>) =
                member.ends.clone().into_iter().partition(|(_, end)| *end <= at.now);
            if over.is_empty() {
                continue;
            }
            let unset: Object = over.keys().map(|name| (name.to_string(), Value::Null)).collect();
            let mut attrs = member.attrs.clone();
            if let Ok(change) = serde_json::from_value::<ChannelMemberAttrsPatch>(Value::Object(unset)) {
                change.apply(&mut attrs);
            }
            left.push((user, ends.clone()));
            step.records.push(ConversationRecord::MemberUpdated { user: user.clone(), attrs, ends });
        }
        let left: Vec<_> = left.iter().map(|(user, ends)| (*user, ends)).collect();
        step.and(self.next_end(&left))
    }

    /// Rings when the next attribute of a member ends, with what is changed now.
    fn next_end(&self, changed: &[(&Id, &BTreeMap<Text, u64>)]) -> Emit {
        let unchanged =
            self.members.iter().filter(|(user, _)| changed.iter().all(|(other, _)| other != user));
        let ends = unchanged.map(|(_, member)| &member.ends).chain(changed.iter().map(|(_, ends)| *ends));
        match ends.flat_map(BTreeMap::values).min() {
            Some(next) => Emit::Wait(Timer::Member, Due::At(*next)),
            None => Emit::Unwait(Timer::Member),
        }
    }
}

/// When a member's attributes end, after a change of them.
fn ends(
    at: &Moment<'_>,
    before: &BTreeMap<Text, u64>,
    change: &ChannelMemberAttrsPatch,
    attrs: &ChannelMemberAttrs,
    end: Option<f64>,
) -> Result<BTreeMap<Text, u64>, Rejection> {
    let names = change.names();
    let mut ends = before.clone();
    ends.retain(|name, _| !names.contains(&name.as_str()));
    let Some(end) = end else { return Ok(ends) };
    let [name] = names.as_slice() else {
        return Err(Rejection::malformed("interval_end goes with one attribute"));
    };
    if *name == "writing" || json!(attrs).get(name).is_none() {
        return Err(Rejection::malformed("interval_end goes with an attribute that is set and kept"));
    }
    let due = micros(end);
    if due <= at.now {
        return Err(Rejection::malformed("interval_end is a time to come, in seconds"));
    }
    ends.insert((*name).into(), due);
    Ok(ends)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Entry;
    use crate::table::{Given, ID, Table, refused};

    fn channel() -> Table<Conversation> {
        let mut table = Table::new();
        table.act("owner", "create_channel", json!({}), &[]).unwrap();
        for user in ["ann", "ben"] {
            table.act(user, "join_channel", json!({"channel_id": ID}), &[]).unwrap();
        }
        table
    }

    fn set(
        table: &mut Table<Conversation>,
        by: &str,
        user: &str,
        attrs: Value,
        end: Value,
    ) -> Given<Conversation> {
        let mut header = json!({"channel_id": ID, "user_id": user, "member_attrs": attrs});
        if !end.is_null() {
            header["interval_end"] = end;
        }
        table.act(by, "update_member", header, &[])
    }

    fn silenced(table: &Table<Conversation>, user: &str) -> bool {
        table.entity.machine.members[user].attrs.silenced.is_some()
    }

    fn timer(step: &Step<Entry<ConversationRecord>>) -> Option<&Emit> {
        step.emits
            .iter()
            .find(|emit| matches!(emit, Emit::Wait(Timer::Member, _) | Emit::Unwait(Timer::Member)))
    }

    #[test]
    fn what_is_set_until_a_time_is_unset_then() {
        let mut table = channel();
        let at = |seconds: u64| Emit::Wait(Timer::Member, Due::At(seconds * 1_000_000));
        let step = set(&mut table, "owner", "ann", json!({"silenced": true}), json!(100)).unwrap();
        assert_eq!(timer(&step), Some(&at(100)));
        let step = set(&mut table, "owner", "ben", json!({"silenced": true}), json!(50)).unwrap();
        assert_eq!(timer(&step), Some(&at(50)));
        table.now = 49_000_000;
        let step = table.order(json!("Ends")).unwrap();
        assert_eq!(
            (timer(&step), silenced(&table, "ben"), silenced(&table, "ann")),
            (Some(&at(100)), false, true)
        );
        let updated = |entry: &&Entry<ConversationRecord>| {
            matches!(entry.record, ConversationRecord::MemberUpdated { .. })
        };
        assert_eq!(step.records.iter().filter(updated).count(), 1);
        // What comes twice changes nothing.
        let step = table.order(json!("Ends")).unwrap();
        assert_eq!((timer(&step), step.records.len()), (Some(&at(100)), 0));
        table.now = 200_000_000;
        let step = table.order(json!("Ends")).unwrap();
        assert_eq!((timer(&step), silenced(&table, "ann")), (Some(&Emit::Unwait(Timer::Member)), false));
        assert_eq!(table.replayed().machine, table.entity.machine);
    }

    #[test]
    fn a_later_change_of_the_attribute_ends_the_interval_and_one_of_another_does_not() {
        let mut table = channel();
        set(&mut table, "owner", "ann", json!({"silenced": true}), json!(100)).unwrap();
        let step = set(&mut table, "owner", "ann", json!({"autohide": true}), Value::Null).unwrap();
        assert_eq!(timer(&step), None);
        let step = set(&mut table, "owner", "ann", json!({"silenced": true}), Value::Null).unwrap();
        assert_eq!(timer(&step), Some(&Emit::Unwait(Timer::Member)));
        table.now = 200_000_000;
        table.order(json!("Ends")).unwrap();
        assert!(silenced(&table, "ann"), "for good now");
    }

    #[test]
    fn an_interval_is_for_one_attribute_that_is_set_and_lies_ahead() {
        let mut table = channel();
        for (attrs, end) in [
            (json!({"silenced": true, "autohide": true}), json!(100)),
            (json!({}), json!(100)),
            (json!({"silenced": null}), json!(100)),
            (json!({"silenced": false}), json!(100)),
            (json!({"silenced": true}), json!(1)),
            (json!({"silenced": true}), json!(-5)),
        ] {
            let given = set(&mut table, "owner", "ann", attrs.clone(), end.clone());
            assert_eq!(refused(given), Some(ErrorType::RequestMalformed), "{attrs} {end}");
        }
        let own = set(&mut table, "ann", "ann", json!({"writing": true}), json!(100));
        assert_eq!(refused(own), Some(ErrorType::RequestMalformed));
        let given = set(&mut table, "ann", "ben", json!({"silenced": true}), json!(100));
        assert_eq!(refused(given), Some(ErrorType::PermissionDenied));
        assert!(!silenced(&table, "ann") && !silenced(&table, "ben"));
    }
}
