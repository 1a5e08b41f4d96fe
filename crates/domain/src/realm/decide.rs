//! What a realm decides.

use super::{Decision, Realm, RealmMember, RealmRecord, visits};
use crate::account::{AccountOrder, Thing};
use crate::conversation::{Beginning, first_attrs};
use crate::found::Found;
use crate::machine::{Actor, Answer, Emit, Machine, Moment, Step, entry_after, header};
use crate::puppet::Puppet;
use crate::rights::{Right, Standing};
use crate::view::Stream;
use crate::{schedule, settings};
use levee_proto::actions::realm::CreateRealm;
use levee_proto::attrs::{ChannelAttrs, RealmAttrs, RealmMemberAttrsPatch, UserAttrs, Writable};
use levee_proto::{ErrorType, Id, MemberAction, Object, RealmAction, Rejection, events, ids};
use serde_json::{Value, json};

/// How many queues a realm may have.
const MAX_QUEUES: usize = 1000;

/// The id of the channel that is made with a realm.
pub fn first_channel(realm: &Id) -> Id {
    ids::derive(ids::shard(realm).unwrap_or_default(), &["first channel", realm])
}

impl Realm {
    fn absent(id: &Id) -> Rejection {
        Rejection::new(ErrorType::RealmNotFound).about("realm_id", id)
    }

    /// Refuses who may not: to those outside, the realm is not there.
    pub(super) fn allow(&self, at: &Moment<'_>, standing: Standing, right: Right) -> Result<(), Rejection> {
        if standing.may(right) {
            Ok(())
        } else if standing.may(Right::SeeRealm) {
            Err(Rejection::denied().about("realm_id", at.id))
        } else {
            Err(Self::absent(at.id))
        }
    }

    pub(super) fn act(&self, at: &Moment<'_>, actor: &Actor, action: RealmAction) -> Decision {
        let standing = self.standing(&actor.user);
        match action {
            RealmAction::CreateRealm(create) => self.create(at, actor, create),
            RealmAction::DeleteRealm(_) => self.delete(at, standing),
            RealmAction::CreateTag(create) => self.create_tag(at, actor, standing, &create.tag_attrs),
            RealmAction::DescribeTag(describe) => self.describe_tag(at, standing, describe.tag_id),
            RealmAction::DescribeTags(describe) => self.describe_tags(at, standing, describe),
            RealmAction::UpdateTag(update) => self.update_tag(standing, update.tag_id, &update.tag_attrs),
            RealmAction::DeleteTag(delete) => self.delete_tag(standing, delete.tag_id),
            RealmAction::CreateSite(create) => self.create_site(at, actor, standing, create),
            RealmAction::DescribeSites(describe) => self.describe_sites(at, standing, describe),
            RealmAction::UpdateSite(update) => self.update_site(at, actor, standing, update),
            RealmAction::DeleteSite(delete) => self.delete_site(at, actor, standing, delete.site_key),
            _ if !self.exists() => Err(Self::absent(at.id)),
            RealmAction::DescribeRealm(_) => {
                let inside = standing.may(Right::SeeRealm);
                let account = actor.found.as_ref().and_then(Found::account);
                let owner_account = account.filter(|_| standing.may(Right::ManageRealm)).cloned();
                Ok(Step::emit(Answer::event(&events::RealmFound {
                    realm_id: at.id.clone(),
                    realm_attrs: RealmAttrs { owner_account, ..self.attrs.clone() },
                    realm_settings: inside.then(|| self.settings.clone()),
                    realm_members: inside.then(|| self.members()),
                })))
            }
            RealmAction::DescribeRealmQueues(describe) => {
                // Which queues there are; the session asks each for the rest, and follows it.
                let stage = describe.track_stage.as_ref();
                visits::check(stage, describe.track_metadata.as_ref())?;
                let queues = self.wanted_queues(describe.queue_ids.as_ref());
                // Through a puppet it sees its own place in them.
                let answer = match &actor.master {
                    None => json!([at.id, queues]),
                    Some(_) => json!([at.id, queues, actor.user]),
                };
                let step = Step::emit(Emit::Answer(Answer::Value(answer)));
                // Its own people are no visitors.
                let visits = standing < Standing::RealmMember;
                Ok(if visits { visits::tell(step, actor, &queues, true, stage) } else { step })
            }
            RealmAction::Track(track) => {
                let stage = Some(&track.track_stage);
                visits::check(stage, Some(&track.track_metadata))?;
                let queues = self.wanted_queues(track.queue_ids.as_ref());
                let step = Step::emit(Answer::event(&events::Ack::default()));
                Ok(visits::tell(step, actor, &queues, false, stage))
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
                let change = update.realm_settings.unwrap_or_default();
                settings::check_queue_defaults(&change)?;
                let settings = settings::changed(&self.settings, change)?;
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
                schedule::keep(
                    create.queue_attrs.schedule.as_ref().and_then(Option::as_ref),
                    &mut None,
                    at.now,
                )?;
                let command = actor.command();
                let cause = command.as_ref().map_or_else(|| at.now.to_string(), |c| c.action_id.to_string());
                // The same for a retry: so is the id that was reserved.
                let reserved = actor.found.as_ref().and_then(|found| found.reserved().first());
                let reserved = reserved.map(|of| of.id.clone());
                let queue = reserved.unwrap_or_else(|| {
                    ids::derive(ids::shard(at.id).unwrap_or_default(), &["queue", &actor.session, &cause])
                });
                if self.queues.contains(&queue) {
                    return Err(Rejection::new(ErrorType::Internal).because("the id is taken"));
                }
                let order = json!({"Create": {"realm": at.id, "attrs": create.queue_attrs,
                    "by": actor.listener(),
                    "command": command}});
                // The queue answers, as soon as it is there.
                let owned = AccountOrder::Owned {
                    thing: Thing::Queues,
                    id: queue.clone(),
                    seq: at.seq + 1,
                    size: None,
                };
                let mut step = Step::record(RealmRecord::QueueAdded { queue: queue.clone() })
                    .and(Emit::Forward(Stream::queue(&queue), order));
                step.emits.extend(self.account(owned));
                Ok(step)
            }
        }
    }

    fn create(&self, at: &Moment<'_>, actor: &Actor, create: CreateRealm) -> Decision {
        if self.exists() || self.deleted {
            return Err(Rejection::new(ErrorType::RealmAlreadyExists));
        }
        if actor.card.guest.is_some() {
            return Err(Rejection::denied().because("a guest can't own a realm"));
        }
        let channel = create.channel_attrs.as_ref().map(|patch| first_attrs(patch, at.now)).transpose()?;
        let mut attrs = RealmAttrs { owner_id: Some(actor.user.clone()), ..RealmAttrs::default() };
        if let Some(patch) = &create.realm_attrs {
            patch.check(|writable| matches!(writable, Writable::Initially | Writable::Operator))?;
            patch.apply(&mut attrs);
        }
        let settings = create.realm_settings.unwrap_or_default();
        settings::check_queue_defaults(&settings)?;
        let settings = settings::changed(&Object::new(), settings)?;
        let order = json!({"RealmJoined": {"realm": at.id, "seq": at.seq + 1, "command": actor.command()}});
        let owned =
            AccountOrder::Owned { thing: Thing::Realms, id: at.id.clone(), seq: at.seq + 1, size: None };
        let mut step = Step::record(RealmRecord::Created { attrs, settings, owner: (*actor.card).clone() })
            .and(Emit::Forward(Stream::user(&actor.user), order))
            .and(owned.forward(&actor.user));
        let Some(channel) = channel else {
            step.emits.extend(actor.enters(self, at, &step.records));
            return Ok(step);
        };
        // Its master is told of both by the channel.
        let entry = actor.master.as_ref().zip(entry_after(self, at, &step.records, &actor.user));
        let beginning = Beginning {
            realm: at.id.clone(),
            attrs: ChannelAttrs { owner_id: Some(actor.user.clone()), ..channel },
            user: actor.user.clone(),
            card: (*actor.card).clone(),
            puppet: actor.puppet.clone(),
            command: actor.command(),
            through: entry.map(|(master, entry)| (master.clone(), header(&entry))),
        };
        let to = Stream::conversation(&first_channel(at.id));
        Ok(step.and(Emit::Forward(to, json!({"Begin": beginning}))))
    }

    /// Tells the owner's account of something.
    pub(super) fn account(&self, order: AccountOrder) -> Option<Emit> {
        self.attrs.owner_id.as_ref().map(|owner| order.forward(owner))
    }

    /// Takes in somebody whom an operator has invited.
    pub(super) fn admit(
        &self,
        at: &Moment<'_>,
        user: Id,
        card: UserAttrs,
        puppet: Option<&Puppet>,
    ) -> Step<RealmRecord> {
        if !self.exists() || self.members.contains_key(&user) {
            return Step::nothing();
        }
        let order = json!({"RealmJoined": {"realm": at.id, "seq": at.seq + 1, "command": null}});
        let forward = Emit::Forward(Stream::user(&user), order);
        let puppet = Puppet::shown(puppet, self.attrs.owner_id.as_ref());
        let member = RealmMember { user: card, puppet, ..RealmMember::default() };
        Step::record(RealmRecord::MemberJoined { user, member }).and(forward)
    }

    /// Only its owner deletes a realm. Its queues go with it, and so do their lines; its channels stay with
    /// their members.
    fn delete(&self, at: &Moment<'_>, standing: Standing) -> Decision {
        self.allow(at, standing, Right::DeleteRealm)?;
        let mut step = Step::record(RealmRecord::Deleted);
        step.emits.extend(self.keys.unclaimed());
        step.emits.extend(self.sites_unclaimed());
        for queue in &self.queues {
            step.emits.push(Emit::Forward(Stream::queue(queue), json!("RealmGone")));
        }
        for user in self.members.keys() {
            let order = json!({"RealmParted": {"realm": at.id}});
            step.emits.push(Emit::Forward(Stream::user(user), order));
        }
        let ids = self.queues.iter().chain([at.id]).cloned().collect();
        step.emits.extend(self.account(AccountOrder::Gone { ids, seq: at.seq + 1 }));
        Ok(step)
    }

    pub(super) fn manage(&self, at: &Moment<'_>, actor: &Actor, action: MemberAction) -> Decision {
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
                let card = actor.found.as_ref().and_then(Found::peer).map(|(_, card)| (**card).clone());
                let Some(card) = card else { return Err(no_member(&add.user_id)) };
                let mut member = self.members.get(&add.user_id).cloned().unwrap_or_default();
                member.user = card;
                let puppet = actor.brought().and_then(|brought| brought.puppet.as_ref());
                member.puppet = Puppet::shown(puppet, self.attrs.owner_id.as_ref());
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
                if update.interval_end.is_some() {
                    return Err(Rejection::malformed("interval_end is for members of channels"));
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
                    let order = json!({"MemberGone": {"user": remove.user_id, "removed": !oneself}});
                    step.emits.push(Emit::Forward(Stream::queue(queue), order));
                }
                Ok(step)
            }
        }
    }
}
