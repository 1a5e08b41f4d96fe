//! How a channel begins that is no audience's: whoever makes it is its first member, and an operator.

use super::decide::joined;
use super::records::{ConversationRecord, Member};
use super::{Conversation, Decision, Form, terms};
use crate::machine::{Actor, Command, Emit, Machine, Moment, Step};
use crate::puppet::Puppet;
use crate::rights::Standing;
use crate::schedule;
use levee_proto::actions::conversation::CreateChannel;
use levee_proto::attrs::{ChannelAttrs, ChannelAttrsPatch, ChannelMemberAttrs, UserAttrs, Writable};
use levee_proto::{ErrorType, Id, Rejection};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a realm orders of the channel that is made with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Beginning {
    /// The realm.
    pub(crate) realm: Id,
    /// Attributes; the realm has checked that they are valid.
    pub(crate) attrs: ChannelAttrs,
    /// Who makes both.
    pub(crate) user: Id,
    /// What others may know of them.
    pub(crate) card: UserAttrs,
    /// Whose puppet they are, if they are one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) puppet: Option<Puppet>,
    /// The command that makes both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Command>,
    /// The master who acts through a puppet, and what tells them of the realm: they are told of both at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) through: Option<(Id, Value)>,
}

/// The attributes of a channel that somebody makes.
///
/// # Errors
/// When they can't be chosen, or are not valid.
pub(crate) fn first_attrs(patch: &ChannelAttrsPatch, now: u64) -> Result<ChannelAttrs, Rejection> {
    patch.check(|writable| matches!(writable, Writable::Initially | Writable::Operator))?;
    if patch.audience.is_some() {
        return Err(Rejection::denied().because("audience is an attribute of create_audience"));
    }
    let attrs = terms::changed(&ChannelAttrs::default(), patch, now)?;
    if attrs.schedule.is_some() {
        schedule::keep(attrs.schedule.as_ref(), &mut None, now)?;
    }
    Ok(attrs)
}

impl Conversation {
    pub(super) fn create(&self, at: &Moment<'_>, actor: &Actor, create: CreateChannel) -> Decision {
        if self.form != Form::Absent {
            return Err(Rejection::new(ErrorType::Internal).because("the id is taken"));
        }
        let mut attrs = first_attrs(&create.channel_attrs.unwrap_or_default(), at.now)?;
        attrs.owner_id = Some(actor.user.clone());
        if let Some(realm_id) = &create.realm_id {
            let absent = || Rejection::new(ErrorType::RealmNotFound).about("realm_id", realm_id);
            let realm = at.realm.filter(|realm| realm.exists()).ok_or_else(absent)?;
            match realm.standing(&actor.user) {
                Standing::Stranger => return Err(absent()),
                standing if standing < Standing::Operator => {
                    return Err(Rejection::denied().about("realm_id", realm_id));
                }
                _ => attrs.owner_id = realm.attrs.owner_id.clone(),
            }
        }
        let who = (&actor.user, (*actor.card).clone(), actor.puppet.as_ref());
        let mut step = Self::opened(at, create.realm_id, attrs, who, actor.command())?;
        step.emits.extend(actor.enters(self, at, &step.records));
        Ok(step)
    }

    /// Begins with its realm. What comes twice changes nothing.
    pub(super) fn begin(&self, at: &Moment<'_>, beginning: Beginning) -> Step<ConversationRecord> {
        let Beginning { realm, attrs, user, card, puppet, command, through } = beginning;
        if self.form != Form::Absent {
            return Step::nothing();
        }
        let who = (&user, card, puppet.as_ref());
        let Ok(mut step) = Self::opened(at, Some(realm), attrs, who, command.clone()) else {
            return Step::nothing();
        };
        if let (Some((master, first)), Some(command)) = (through, &command) {
            let told = Emit::entered_both(self, at, &step.records, (&master, &user), command, first);
            step.emits.extend(told);
        }
        step
    }

    /// Opens a channel with its first member.
    fn opened(
        at: &Moment<'_>,
        realm: Option<Id>,
        mut attrs: ChannelAttrs,
        (user, card, puppet): (&Id, UserAttrs, Option<&Puppet>),
        command: Option<Command>,
    ) -> Decision {
        let member = Member {
            user: card,
            puppet: Puppet::shown(puppet, attrs.owner_id.as_ref()),
            attrs: ChannelMemberAttrs {
                operator: Some(true),
                since: Some(at.now / 1_000_000),
                ..Default::default()
            },
            ..Member::default()
        };
        let keep = || schedule::keep(attrs.schedule.as_ref(), &mut attrs.closed, at.now);
        let timer = attrs.schedule.is_some().then(keep).transpose()?;
        let record = ConversationRecord::Opened {
            realm,
            attrs,
            members: vec![(user.clone(), member)],
            metadata: None,
            accepted: 0,
            share: None,
            request: None,
        };
        let mut step = Step::record(record).and(joined(at, user, command));
        step.emits.extend(timer);
        Ok(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::{ID, Table, forwards};
    use crate::view::Stream;
    use levee_proto::Object;
    use serde_json::json;

    fn beginning(through: &Value) -> Value {
        let attrs = json!({"name": "Lobby", "owner_id": "owner"});
        json!({"Begin": {"realm": "00realm", "attrs": attrs, "user": "owner", "card": {"name": "Owner"},
            "command": {"session": "s", "action_id": 3}, "through": through}})
    }

    #[test]
    fn a_channel_begins_once_with_its_realm_and_its_maker() {
        let mut table: Table<Conversation> = Table::new();
        let step = table.order(beginning(&Value::Null)).unwrap();
        let owner = Stream::user(&"owner".into());
        assert_eq!(forwards(&step), [(owner.clone(), "Joined".into()), (owner, "Account".into())]);
        let joined =
            json!({"Joined": {"channel": ID, "seq": 1, "command": {"session": "s", "action_id": 3}}});
        assert!(matches!(&step.emits[0], Emit::Forward(_, order) if *order == joined));
        let machine = &table.entity.machine;
        assert_eq!(
            (machine.realm.as_deref(), machine.attrs.name.as_deref()),
            (Some("00realm"), Some("Lobby"))
        );
        let member = &machine.members["owner"];
        assert_eq!((member.attrs.operator, member.user.name.as_deref()), (Some(true), Some("Owner")));
        assert_eq!(table.order(beginning(&Value::Null)).unwrap(), Step::nothing());
    }

    #[test]
    fn a_master_is_told_of_realm_and_channel_at_once() {
        let mut table: Table<Conversation> = Table::new();
        let first = json!({"event": "realm_joined", "realm_id": "00realm"});
        let step = table.order(beginning(&json!(["master", first]))).unwrap();
        let told: Vec<&Object> = step
            .emits
            .iter()
            .filter_map(|emit| match emit {
                Emit::Forward(to, order) if *to == Stream::user(&"master".into()) => {
                    order["Told"].as_object()
                }
                _ => None,
            })
            .collect();
        let [told] = told[..] else { panic!("{step:?}") };
        assert_eq!(told["command"], json!({"session": "s", "action_id": 3}));
        assert_eq!(told["event"][0], first);
        assert_eq!(told["event"][1]["event"], "channel_joined");
        assert_eq!(told["event"][1]["channel_id"], ID);
    }
}
