//! What a queue decides.

use super::audience::Asking;
use super::stats::Share;
use super::*;
use crate::conversation::Conversation;
use crate::found::Found;
use crate::jitsi::Room;
use crate::{schedule, settings};

impl Queue {
    pub(super) fn act(&self, at: &Moment<'_>, actor: &Actor, action: QueueAction) -> Decision {
        let standing = self.standing(at, &actor.user);
        let denied = || Err(Rejection::denied().about("queue_id", at.id));
        match action {
            QueueAction::DescribeQueue(_) => {
                let mut step = Step::emit(Answer::event(&self.found(at, &actor.user)));
                // Its own people are no visitors.
                if standing < Standing::RealmMember {
                    let visit =
                        json!({"Visit": {"command": actor.command(), "described": true, "stage": null}});
                    step.emits.push(Emit::Tell(Stream::queue(at.id), visit));
                }
                Ok(step)
            }
            QueueAction::GetQueueStats(get) => {
                if !standing.may(Right::SeeStats) {
                    return denied();
                }
                Ok(Step::emit(Emit::Answer(Answer::Stats(self.stats.wanted(at, &get)?))))
            }
            QueueAction::UpdateQueue(update) => {
                let realm = self.realm.clone().unwrap_or_default();
                let mut attrs = self.attrs.clone();
                let mut timer = None;
                if let Some(patch) = &update.queue_attrs {
                    if standing < Standing::Member {
                        return denied();
                    }
                    patch.check(|writable| standing.writes(writable, false))?;
                    patch.apply(&mut attrs);
                    if patch.schedule.is_some() {
                        timer = Some(schedule::keep(attrs.schedule.as_ref(), &mut attrs.closed, at.now)?);
                    }
                }
                let mut settings = self.settings.clone();
                if let Some(change) = update.queue_settings {
                    if !standing.may(Right::ManageQueue) {
                        return denied();
                    }
                    settings::check_delete_delay(&change)?;
                    settings = settings::changed(&settings, change)?;
                }
                if standing < Standing::Member {
                    return denied();
                }
                let mut step = Step::record(QueueRecord::Changed { realm, attrs, settings, cause: None });
                step.emits.extend(timer);
                Ok(step)
            }
            QueueAction::DeleteQueue(_) => {
                if !standing.may(Right::ManageQueue) {
                    return denied();
                }
                let realm = Stream::realm(&self.realm.clone().unwrap_or_default());
                let order = json!({"QueueDeleted": {"queue": at.id}});
                Ok(self.delete(at).and(Emit::Forward(realm, order)))
            }
            QueueAction::RequestAudience(request) => self.request(at, actor, request.into()),
            QueueAction::DescribeQueueTranscripts(describe) => {
                self.describe_transcripts(at, actor, standing, &describe)
            }
            QueueAction::DeleteQueueTranscripts(delete) => self.delete_transcripts(at, standing, &delete),
            QueueAction::AcceptAudience(accept) => self.accept(at, actor, standing, accept.audience_id),
            QueueAction::CreateAudience(create) => self.create_audience(at, actor, standing, create),
            QueueAction::RegisterAudience(register) => self.register(at, actor, register.into()),
        }
    }

    /// Lets go of all who serve it and of all who wait.
    fn delete(&self, at: &Moment<'_>) -> Step<QueueRecord> {
        let realm = self.realm.clone().unwrap_or_default();
        let mut step = Step::record(QueueRecord::Deleted { realm });
        for user in self.members.keys() {
            let order = json!({"QueueParted": {"queue": at.id}});
            step.emits.push(Emit::Forward(Stream::user(user), order));
        }
        step.emits.extend(self.waiting.iter().map(|waiter| waits_not(at.id, waiter)));
        step
    }

    fn request(&self, at: &Moment<'_>, actor: &Actor, asking: Asking) -> Decision {
        let refuse = |error_type| Err(Rejection::new(error_type).about("queue_id", at.id));
        if self.attrs.suspended.is_some() {
            return refuse(ErrorType::QueueIsSuspended);
        }
        if self.attrs.closed.is_some() {
            return refuse(ErrorType::QueueIsClosed);
        }
        if self.attrs.capacity.is_some_and(|capacity| self.waiting.len() as u64 >= capacity) {
            return refuse(ErrorType::QueueIsFull);
        }
        if self.position(&actor.user).is_some() {
            return Err(Rejection::denied()
                .because("you wait in this queue already")
                .about("queue_id", at.id));
        }
        let (waiter, renamed) = self.asks(at, actor, asking)?;
        let order = self.waits(at, &waiter, self.waiting.len() + 1, actor.command());
        let user = Stream::user(&actor.user);
        let mut step =
            Step::record(QueueRecord::Requested { waiter }).and(Emit::Forward(user.clone(), order));
        step.emits.extend(actor.enters(self, at, &step.records));
        step.emits.extend(renamed.map(|name| Emit::Forward(user, json!({"Rename": {"name": name}}))));
        Ok(step)
    }

    fn accept(&self, at: &Moment<'_>, actor: &Actor, standing: Standing, wanted: Option<Id>) -> Decision {
        if !self.members.contains_key(&actor.user) || !standing.may(Right::ServeQueue) {
            return Err(Rejection::denied().about("queue_id", at.id));
        }
        let waiter = match &wanted {
            Some(audience) => self
                .waiting
                .iter()
                .find(|waiter| waiter.audience == *audience)
                .ok_or_else(|| Rejection::new(ErrorType::AudienceNotFound).about("queue_id", at.id))?,
            None => self
                .waiting
                .front()
                .ok_or_else(|| Rejection::new(ErrorType::QueueIsEmpty).about("queue_id", at.id))?,
        };
        if waiter.user == actor.user {
            return Err(Rejection::denied().because("nobody accepts themselves"));
        }
        let channel = Conversation::of_audience(&waiter.audience);
        let mut share = Share::new(&actor.user, waiter.metadata.as_ref(), at.now);
        if let Some(tagged) = waiter.prelude.as_ref().and_then(Prelude::tagged) {
            share.tag(&tagged);
        }
        let masters = [(&waiter.user, &waiter.master), (&actor.user, &actor.master)];
        let masters: BTreeMap<_, _> =
            masters.into_iter().filter_map(|(puppet, master)| Some((puppet, master.as_ref()?))).collect();
        let agent = Self::shows(at, actor.puppet.as_ref());
        let puppets = [(&waiter.user, &waiter.puppet), (&actor.user, &agent)];
        let puppets: BTreeMap<_, _> =
            puppets.into_iter().filter_map(|(user, puppet)| Some((user, puppet.as_ref()?))).collect();
        let mut order = json!({"Open": {
            "realm": self.realm,
            "attrs": {"audience_id": waiter.audience, "queue_id": at.id, "requester_id": waiter.user,
                "private": true, "disclosed_since": at.now / 1_000_000, "upload": self.attrs.upload,
                "video": self.attrs.video},
            "members": [
                [waiter.user, waiter.card, {}],
                [actor.user, *actor.card, {"operator": true}],
            ],
            "metadata": waiter.metadata,
            "command": actor.command(),
            "accepted": at.seq + 1,
            "source": waiter.source,
            "share": share,
            "request": {"time": waiter.since, "seq": waiter.seq},
            "prelude": waiter.prelude,
            "masters": masters,
            "puppets": puppets,
        }});
        if at.realm.is_some_and(|realm| !realm.webhooks.is_empty()) {
            order["Open"]["hooks"] = true.into();
        }
        let (audience, agent) = (waiter.audience.clone(), actor.user.clone());
        let record = QueueRecord::Accepted { audience, agent, share: Some(share) };
        Ok(Step::record(record)
            .and(Self::begins(at, &waiter.audience, waiter.since, &actor.user))
            // Whoever waits hears of their place before they are met.
            .and(Emit::ForwardAfter(Stream::conversation(&channel), order, Stream::user(&waiter.user)))
            .and(waits_not(at.id, waiter)))
    }

    /// The room for group video, where the queue has one: for those who serve it and those who wait.
    pub(super) fn room(&self, at: &Moment<'_>, actor: &Actor) -> Decision {
        let standing = self.standing(at, &actor.user);
        let serves = standing.may(Right::Meet);
        let enabled = self.attrs.video.as_deref() == Some("group");
        if !enabled || !serves && self.position(&actor.user).is_none() {
            return Err(Rejection::denied().because("no group video for you here").about("queue_id", at.id));
        }
        let room = Room { room: at.id.clone(), moderator: serves, who: Some(actor.named()) };
        Ok(Step::emit(Emit::Answer(Answer::Value(json!({"video": room})))))
    }

    pub(super) fn manage(&self, at: &Moment<'_>, actor: &Actor, action: MemberAction) -> Decision {
        let standing = self.standing(at, &actor.user);
        let denied = || Err(Rejection::denied().about("queue_id", at.id));
        match action {
            MemberAction::AddMember(add) => {
                if !standing.may(Right::ManageQueue) {
                    return denied();
                }
                let Some(member) = at.realm.and_then(|realm| realm.members.get(&add.user_id)) else {
                    return Err(Rejection::new(ErrorType::UserNotFound).about("user_id", &add.user_id));
                };
                let limit = actor.found.as_ref().and_then(Found::limit);
                let full = limit.is_some_and(|limit| self.members.len() as u64 >= limit);
                if full && !self.members.contains_key(&add.user_id) {
                    return Err(Rejection::new(ErrorType::QueueMemberQuotaExceeded).about("queue_id", at.id));
                }
                let record =
                    QueueRecord::MemberJoined { user: add.user_id.clone(), card: member.user.clone() };
                let order = json!({"QueueJoined": {"queue": at.id, "seq": at.seq + 1}});
                Ok(Step::record(record).and(Emit::Forward(Stream::user(&add.user_id), order)))
            }
            MemberAction::RemoveMember(remove) => {
                let oneself = remove.user_id == actor.user;
                if !oneself && !standing.may(Right::ManageQueue) {
                    return denied();
                }
                if !self.members.contains_key(&remove.user_id) {
                    return Err(Rejection::new(ErrorType::UserNotFound).about("user_id", &remove.user_id));
                }
                Ok(self.part(at, remove.user_id, !oneself))
            }
            MemberAction::UpdateMember(_) => Err(Rejection::malformed("queue members have no attributes")),
        }
    }

    /// Whether customers may be transferred to another queue.
    fn lets_go_to(&self, queue: &Id) -> bool {
        let allowed = self.settings.get("transfer_queue_ids").and_then(serde_json::Value::as_array);
        self.exists() && allowed.is_some_and(|ids| ids.iter().any(|id| id.as_str() == Some(queue)))
    }

    fn part(&self, at: &Moment<'_>, user: Id, removed: bool) -> Step<QueueRecord> {
        let order = json!({"QueueParted": {"queue": at.id}});
        let forward = Emit::Forward(Stream::user(&user), order);
        let realm = self.realm.clone().unwrap_or_default();
        Step::record(QueueRecord::MemberParted { realm, user, removed }).and(forward)
    }

    /// Takes somebody in, whatever the limits.
    fn take_in(&self, at: &Moment<'_>, waiter: Waiter, seq: u64, first: bool) -> Step<QueueRecord> {
        let known = self.returned.iter().any(|(audience, last)| *audience == waiter.audience && *last >= seq);
        if known || self.position(&waiter.user).is_some() {
            return Step::nothing();
        }
        let place = if first { 1 } else { self.waiting.len() + 1 };
        let waits = self.waits(at, &waiter, place, None);
        let to = Stream::user(&waiter.user);
        let open = Self::waits_again(at, &waiter.audience);
        let record = match first {
            true => QueueRecord::Returned { waiter, seq },
            false => QueueRecord::Transferred { waiter, seq },
        };
        Step::record(record).and(open).and(Emit::Forward(to, waits))
    }

    pub(super) fn obey(&self, at: &Moment<'_>, order: QueueOrder) -> Step<QueueRecord> {
        match order {
            QueueOrder::Create { .. } if self.realm.is_some() => Step::nothing(),
            QueueOrder::Create { realm, attrs: patch, by, command, .. } => {
                let mut attrs = QueueAttrs::default();
                patch.apply(&mut attrs);
                // The realm has checked that it is valid.
                let timer = schedule::keep(attrs.schedule.as_ref(), &mut attrs.closed, at.now).ok();
                let mut step =
                    Step::record(QueueRecord::Created { realm: realm.clone(), attrs: attrs.clone() });
                step.emits.extend(timer.filter(|_| attrs.schedule.is_some()));
                if let Some(command) = command {
                    let event = events::QueueCreated {
                        queue_id: at.id.clone(),
                        queue_attrs: attrs,
                        realm_id: Some(realm),
                        ..Default::default()
                    };
                    step.emits.push(Emit::told(&by, &command, &event));
                }
                step
            }
            QueueOrder::Return { conversation, .. } if !self.exists() => {
                Step::emit(Emit::Forward(Stream::conversation(&conversation), json!("QueueGone")))
            }
            QueueOrder::Return { waiter, seq, .. } => self.take_in(at, waiter, seq, true),
            QueueOrder::Transfer { queue, conversation, seq } => {
                let order = json!({"Transferred": {"seq": seq, "allowed": self.lets_go_to(&queue)}});
                Step::emit(Emit::Forward(Stream::conversation(&conversation), order))
            }
            QueueOrder::Enqueue { realm, waiter, conversation, seq }
                if !self.exists() || realm != self.realm =>
            {
                // It is gone, or none of ours: they are first in the queue that they came from.
                let source = waiter.source.as_ref().and_then(|source| source.get("queue_id")?.as_str());
                let Some(source) = source.map(|id| Stream::queue(&id.into())) else { return Step::nothing() };
                let order = json!({"Return": {"waiter": waiter, "conversation": conversation, "seq": seq}});
                Step::emit(Emit::Forward(source, order))
            }
            QueueOrder::Enqueue { waiter, seq, .. } => self.take_in(at, waiter, seq, false),
            QueueOrder::Drop { audience, cause } => {
                match self.waiting.iter().find(|waiter| waiter.audience == audience) {
                    Some(waiter) => {
                        Step::record(QueueRecord::Dropped { audience, cause }).and(waits_not(at.id, waiter))
                    }
                    None => Step::nothing(),
                }
            }
            QueueOrder::Seen { user } => {
                let summary = self.glance(at, &user).summary;
                Step::emit(Emit::Answer(Answer::Value(json!(summary))))
            }
            QueueOrder::Attrs => Step::emit(Emit::Answer(Answer::Value(json!(self.shown(false))))),
            QueueOrder::MemberGone { user, removed } if self.members.contains_key(&user) => {
                self.part(at, user, removed)
            }
            QueueOrder::RealmGone if self.exists() => self.delete(at),
            QueueOrder::MemberGone { .. } | QueueOrder::RealmGone => Step::nothing(),
            QueueOrder::Hours => self.keep_hours(at),
            QueueOrder::Visit { .. } if !self.exists() => Step::nothing(),
            QueueOrder::Visit { .. } => self.visit(at),
            QueueOrder::Count => self.count_visits(),
            QueueOrder::Tally { conversation, seq, .. }
                if !self.exists() || self.stats.knows(&conversation, seq) =>
            {
                Step::nothing()
            }
            QueueOrder::Tally { conversation, seq, before, after } => {
                Step::record(QueueRecord::Tallied { conversation, seq, before, after })
            }
            QueueOrder::Ended { audience, instead } => self.ended(at, audience, instead),
            QueueOrder::Erased(erased) => self.erased(at, &erased),
            QueueOrder::Clear => self.clear(at),
        }
    }

    /// The user learns of their place in the queue by its next record. Whoever is met before they could look is told
    /// by what is said here.
    fn waits(
        &self,
        at: &Moment<'_>,
        waiter: &Waiter,
        place: usize,
        command: Option<Command>,
    ) -> serde_json::Value {
        let mut queue_attrs = self.attrs.public();
        queue_attrs.length = Some(self.waiting.len() as u64 + 1);
        let enqueued = events::AudienceEnqueued {
            queue_id: at.id.clone(),
            queue_attrs,
            queue_position: place as u64,
            audience_id: waiter.audience.clone(),
        };
        json!({"Waits": {"queue": at.id, "audience": waiter.audience, "seq": at.seq + 1, "command": command,
            "enqueued": enqueued, "stays": waiter.master.is_some()}})
    }

    fn keep_hours(&self, at: &Moment<'_>) -> Step<QueueRecord> {
        let mut attrs = self.attrs.clone();
        let timer =
            schedule::keep(self.attrs.schedule.as_ref().filter(|_| self.exists()), &mut attrs.closed, at.now);
        let timer = timer.unwrap_or(Emit::Unwait(Timer::Schedule));
        if attrs == self.attrs {
            return Step::emit(timer);
        }
        let (realm, settings) = (self.realm.clone().unwrap_or_default(), self.settings.clone());
        let cause = Some("queue_schedule".into());
        Step::record(QueueRecord::Changed { realm, attrs, settings, cause }).and(timer)
    }
}

fn waits_not(queue: &Id, waiter: &Waiter) -> Emit {
    let order = json!({"WaitsNot": {"queue": queue, "audience": waiter.audience}});
    Emit::Forward(Stream::user(&waiter.user), order)
}
