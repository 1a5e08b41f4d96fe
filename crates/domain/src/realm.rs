//! A realm: an organisation with its members and queues.

use crate::machine::{Actor, Answer, Columns, Emit, Entry, Glance, Input, Machine, Moment, Step};
use crate::rights::{Right, Standing};
use crate::view::{Effect, Stream, To, View, roles};
use levee_proto::attrs::{RealmAttrs, RealmMemberAttrs, RealmMemberAttrsPatch, UserAttrs, Writable};
use levee_proto::{Action, ErrorType, Id, MemberAction, Object, RealmAction, Rejection, events, ids};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many queues a realm may have.
const MAX_QUEUES: usize = 1000;

/// A realm.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Realm {
    /// Attributes.
    pub attrs: RealmAttrs,
    /// Settings.
    pub settings: Object,
    /// Members.
    pub members: BTreeMap<Id, RealmMember>,
    /// Queues.
    pub queues: Vec<Id>,
}

/// A member of a realm.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RealmMember {
    /// What others may know of the user.
    pub user: UserAttrs,
    /// Membership attributes.
    pub attrs: RealmMemberAttrs,
}

/// What others order of a realm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum RealmOrder {
    /// A queue was deleted.
    QueueDeleted {
        /// The queue.
        queue: Id,
    },
}

/// What happens to a realm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RealmRecord {
    /// Made.
    Created {
        /// Attributes.
        attrs: RealmAttrs,
        /// Settings.
        settings: Object,
        /// The owner's card.
        owner: UserAttrs,
    },
    /// Attributes or settings changed.
    Changed {
        /// The attributes as they are now.
        attrs: RealmAttrs,
        /// The settings as they are now.
        settings: Object,
    },
    /// Somebody joined.
    MemberJoined {
        /// Who.
        user: Id,
        /// As a member.
        member: RealmMember,
    },
    /// A member's attributes changed.
    MemberUpdated {
        /// Who.
        user: Id,
        /// The attributes as they are now.
        attrs: RealmMemberAttrs,
    },
    /// Somebody left.
    MemberParted {
        /// Who.
        user: Id,
        /// Whether somebody else removed them.
        removed: bool,
    },
    /// A queue was made.
    QueueAdded {
        /// The queue.
        queue: Id,
    },
    /// A queue was deleted.
    QueueRemoved {
        /// The queue.
        queue: Id,
    },
}

type Decision = Result<Step<RealmRecord>, Rejection>;

impl Realm {
    /// How a user stands to the realm.
    pub fn standing(&self, user: &Id) -> Standing {
        match self.members.get(user) {
            _ if self.attrs.owner_id.as_ref() == Some(user) => Standing::Owner,
            Some(member) if member.attrs.operator.is_some() => Standing::Operator,
            Some(_) => Standing::RealmMember,
            None => Standing::Stranger,
        }
    }

    fn members(&self) -> Object {
        self.members
            .iter()
            .map(|(id, member)| {
                (id.to_string(), json!({"user_attrs": member.user, "member_attrs": member.attrs}))
            })
            .collect()
    }

    fn absent(id: &Id) -> Rejection {
        Rejection::new(ErrorType::RealmNotFound).about("realm_id", id)
    }

    fn act(&self, at: &Moment<'_>, actor: &Actor, action: RealmAction) -> Decision {
        let standing = self.standing(&actor.user);
        match action {
            RealmAction::CreateRealm(create) => self.create(at, actor, create),
            _ if !self.exists() => Err(Self::absent(at.id)),
            RealmAction::DescribeRealm(_) => {
                let inside = standing.may(Right::SeeRealm);
                Ok(Step::emit(Answer::event(&events::RealmFound {
                    realm_id: at.id.clone(),
                    realm_attrs: self.attrs.clone(),
                    realm_settings: inside.then(|| self.settings.clone()),
                    realm_members: inside.then(|| self.members()),
                })))
            }
            RealmAction::DescribeRealmQueues(describe) => {
                // Which queues there are; the session asks each for the rest, and follows it.
                let wanted = |id: &&Id| describe.queue_ids.as_ref().is_none_or(|some| some.contains(*id));
                let queues: Vec<_> = self.queues.iter().filter(wanted).collect();
                Ok(Step::emit(Emit::Answer(Answer::Value(json!([at.id, queues])))))
            }
            RealmAction::UpdateRealm(update) => {
                if !standing.may(Right::ManageRealm) {
                    return Err(Rejection::denied().about("realm_id", at.id));
                }
                let mut attrs = self.attrs.clone();
                if let Some(patch) = &update.realm_attrs {
                    patch.check(|writable| standing.writes(writable, false))?;
                    patch.apply(&mut attrs);
                }
                let mut settings = self.settings.clone();
                for (key, value) in update.realm_settings.unwrap_or_default() {
                    if value.is_null() {
                        settings.remove(&key);
                    } else {
                        settings.insert(key, value);
                    }
                }
                Ok(Step::record(RealmRecord::Changed { attrs, settings }))
            }
            RealmAction::CreateQueue(create) => {
                if !standing.may(Right::ManageRealm) {
                    return Err(Rejection::denied().about("realm_id", at.id));
                }
                if self.queues.len() >= MAX_QUEUES {
                    return Err(Rejection::new(ErrorType::QueueQuotaExceeded));
                }
                create.queue_attrs.check(|writable| standing.writes(writable, false))?;
                let command = actor.command();
                let cause = command.as_ref().map_or_else(|| at.now.to_string(), |c| c.action_id.to_string());
                let queue = ids::derive(shard(at.id), &["queue", &actor.session, &cause]);
                let order = json!({"Create": {"realm": at.id, "attrs": create.queue_attrs, "by": actor.user,
                    "command": command}});
                // The queue answers, as soon as it is there.
                Ok(Step::record(RealmRecord::QueueAdded { queue: queue.clone() })
                    .and(Emit::Forward(Stream::queue(&queue), order)))
            }
        }
    }

    fn create(
        &self,
        at: &Moment<'_>,
        actor: &Actor,
        create: levee_proto::actions::realm::CreateRealm,
    ) -> Decision {
        if self.exists() {
            return Err(Rejection::new(ErrorType::RealmAlreadyExists));
        }
        if actor.card.guest.is_some() {
            return Err(Rejection::denied().because("a guest can't own a realm"));
        }
        if create.channel_attrs.is_some() {
            return Err(
                Rejection::new(ErrorType::ActionNotSupported).because("channel_attrs is not supported yet")
            );
        }
        let mut attrs = RealmAttrs { owner_id: Some(actor.user.clone()), ..RealmAttrs::default() };
        if let Some(patch) = &create.realm_attrs {
            patch.check(|writable| matches!(writable, Writable::Initially | Writable::Operator))?;
            patch.apply(&mut attrs);
        }
        let settings = create.realm_settings.unwrap_or_default();
        let order = json!({"RealmJoined": {"realm": at.id, "seq": at.seq + 1, "command": actor.command()}});
        Ok(Step::record(RealmRecord::Created { attrs, settings, owner: (*actor.card).clone() })
            .and(Emit::Forward(Stream::user(&actor.user), order)))
    }

    fn manage(&self, at: &Moment<'_>, actor: &Actor, action: MemberAction) -> Decision {
        if !self.exists() {
            return Err(Self::absent(at.id));
        }
        let standing = self.standing(&actor.user);
        let no_member = |user: &Id| Rejection::new(ErrorType::UserNotFound).about("user_id", user);
        let patch = |attrs: Object| {
            serde_json::from_value::<RealmMemberAttrsPatch>(Value::Object(attrs))
                .map_err(|e| Rejection::malformed(e.to_string()))
        };
        let denied = || Err(Rejection::denied().about("realm_id", at.id));
        match action {
            MemberAction::AddMember(add) => {
                if !standing.may(Right::ManageRealm) {
                    return denied();
                }
                let change = patch(add.member_attrs.unwrap_or_default())?;
                let mut member = self.members.get(&add.user_id).cloned().unwrap_or_default();
                change.apply(&mut member.attrs);
                let record = RealmRecord::MemberJoined { user: add.user_id.clone(), member };
                let order = json!({"RealmJoined": {"realm": at.id, "seq": at.seq + 1, "command": null}});
                Ok(Step::record(record).and(Emit::Forward(Stream::user(&add.user_id), order)))
            }
            MemberAction::UpdateMember(update) => {
                if !standing.may(Right::ManageRealm) {
                    return denied();
                }
                let mut member =
                    self.members.get(&update.user_id).cloned().ok_or_else(|| no_member(&update.user_id))?;
                if self.attrs.owner_id.as_ref() == Some(&update.user_id) {
                    return denied();
                }
                let change = patch(update.member_attrs)?;
                change.check(|writable| standing.writes(writable, false))?;
                change.apply(&mut member.attrs);
                Ok(Step::record(RealmRecord::MemberUpdated { user: update.user_id, attrs: member.attrs }))
            }
            MemberAction::RemoveMember(remove) => {
                let oneself = remove.user_id == actor.user;
                if !oneself && !standing.may(Right::ManageRealm) {
                    return denied();
                }
                if !self.members.contains_key(&remove.user_id) {
                    return Err(no_member(&remove.user_id));
                }
                if self.attrs.owner_id.as_ref() == Some(&remove.user_id) {
                    return Err(Rejection::denied().because("the owner can't leave"));
                }
                let order = json!({"RealmParted": {"realm": at.id}});
                let mut step = Step::record(RealmRecord::MemberParted {
                    user: remove.user_id.clone(),
                    removed: !oneself,
                })
                .and(Emit::Forward(Stream::user(&remove.user_id), order));
                for queue in &self.queues {
                    let order = json!({"MemberGone": {"user": remove.user_id}});
                    step.emits.push(Emit::Forward(Stream::queue(queue), order));
                }
                Ok(step)
            }
        }
    }
}

fn shard(id: &Id) -> u16 {
    ids::shard(id).unwrap_or_default()
}

impl Machine for Realm {
    type Order = RealmOrder;
    type Record = RealmRecord;

    fn exists(&self) -> bool {
        self.attrs.owner_id.is_some()
    }

    fn decide(&self, at: &Moment<'_>, input: Input<RealmOrder>) -> Decision {
        match input {
            Input::Action(actor, Action::Realm(action), _) => self.act(at, &actor, action),
            Input::Action(actor, Action::Member(action), _) => self.manage(at, &actor, action),
            Input::Action(..) => Err(Rejection::new(ErrorType::ActionNotSupported)),
            Input::Order(RealmOrder::QueueDeleted { queue }) if self.queues.contains(&queue) => {
                Ok(Step::record(RealmRecord::QueueRemoved { queue }))
            }
            Input::Order(RealmOrder::QueueDeleted { .. }) => Ok(Step::nothing()),
        }
    }

    fn apply(&mut self, _seq: u64, _time: u64, record: &RealmRecord) {
        match record.clone() {
            RealmRecord::Created { attrs, settings, owner } => {
                if let Some(id) = attrs.owner_id.clone() {
                    let attrs = RealmMemberAttrs { operator: Some(true) };
                    self.members.insert(id, RealmMember { user: owner, attrs });
                }
                self.attrs = attrs;
                self.settings = settings;
            }
            RealmRecord::Changed { attrs, settings } => {
                self.attrs = attrs;
                self.settings = settings;
            }
            RealmRecord::MemberJoined { user, member } => {
                self.members.insert(user, member);
            }
            RealmRecord::MemberUpdated { user, attrs } => {
                if let Some(member) = self.members.get_mut(&user) {
                    member.attrs = attrs;
                }
            }
            RealmRecord::MemberParted { user, .. } => {
                self.members.remove(&user);
            }
            RealmRecord::QueueAdded { queue } => self.queues.push(queue),
            RealmRecord::QueueRemoved { queue } => self.queues.retain(|id| *id != queue),
        }
    }

    fn views(id: &Id, _seq: u64, _time: u64, entry: &Entry<RealmRecord>) -> Vec<View> {
        let realm_id = id.clone();
        match &entry.record {
            // Who makes a realm learns it by entering it; queues speak for themselves.
            RealmRecord::Created { .. }
            | RealmRecord::QueueAdded { .. }
            | RealmRecord::QueueRemoved { .. } => Vec::new(),
            RealmRecord::Changed { attrs, settings } => vec![View::new(
                To::All,
                &events::RealmUpdated {
                    realm_id,
                    realm_attrs: attrs.clone(),
                    realm_settings: Some(settings.clone()),
                },
            )],
            RealmRecord::MemberJoined { user, member } => vec![View::new(
                To::Except(user.clone()),
                &events::RealmMemberJoined {
                    realm_id,
                    user_id: user.clone(),
                    user_attrs: member.user.clone(),
                    member_attrs: member.attrs.clone(),
                    ..Default::default()
                },
            )],
            RealmRecord::MemberUpdated { user, attrs } => vec![View::new(
                To::All,
                &events::RealmMemberUpdated { realm_id, user_id: user.clone(), member_attrs: attrs.clone() },
            )],
            RealmRecord::MemberParted { user, removed } => {
                let event_cause = removed.then(|| "member_remove".into());
                let parted =
                    events::RealmParted { realm_id: realm_id.clone(), event_cause: event_cause.clone() };
                let others = events::RealmMemberParted { realm_id, user_id: user.clone(), event_cause };
                vec![
                    View::new(To::Only(vec![user.clone()]), &parted).with(Effect::Leave),
                    View::new(To::Except(user.clone()), &others),
                ]
            }
        }
    }

    fn columns(_record: &RealmRecord) -> Columns {
        Columns { kind: "realm".into(), ..Columns::default() }
    }

    fn glance(&self, at: &Moment<'_>, user: &Id) -> Glance {
        let standing = self.standing(user);
        if !standing.may(Right::SeeRealm) {
            return Glance::default();
        }
        let operator = if standing >= Standing::Operator { roles::OPERATOR } else { 0 };
        let entry = events::RealmJoined {
            realm_id: at.id.clone(),
            realm_attrs: self.attrs.clone(),
            realm_settings: self.settings.clone(),
            realm_members: self.members(),
        };
        let mut summary = Object::new();
        summary.insert("realm_attrs".into(), json!(self.attrs));
        summary.insert("member_attrs".into(), json!(self.members.get(user).map(|member| &member.attrs)));
        Glance {
            roles: roles::MEMBER | operator,
            summary,
            entry: Some(std::sync::Arc::new(levee_proto::Body::new(&entry))),
            latest: None,
        }
    }
}
