//! What a user decides.

use super::records::{Entrance, NewUser, Proof, UserOrder, UserRecord};
use super::{MAX_SESSIONS, Presence, SESSIONS, User, presence};
use crate::access::AccessType;
use crate::highlight::Words;
use crate::machine::{Actor, Answer, Claim, Command, Emit, Moment, Step};
use crate::puppet::Puppet;
use crate::settings;
use crate::view::Stream;
use bytes::Bytes;
use levee_proto::actions::user::CreateUser;
use levee_proto::attrs::{PuppetAttrs, UserAttrs, Writable};
use levee_proto::{ErrorType, Id, Object, Rejection, UserAction, events};
use serde_json::{Value, json};

pub(super) type Decision = Result<Step<UserRecord>, Rejection>;

impl User {
    fn was_told(&self, command: &Command) -> bool {
        // A session that is gone has nobody to tell.
        !self.sessions.contains_key(&command.session)
            || self.told.get(&command.session).is_some_and(|told| told.contains(&command.action_id))
    }

    fn identify(&self, proof: &Proof, now: u64) -> Result<(), Rejection> {
        let right = match proof {
            Proof::Audience(channel, _) => self.created && self.host.as_ref() == Some(channel),
            Proof::Access(digest) => {
                let key = self.access.known(digest, now)?;
                self.created && key.access_type == AccessType::Session
            }
            Proof::Verified => self.created,
            // Digests of 128-bit secrets: comparing them tells nothing about the secret.
            Proof::Token(digest) => self.auth.as_ref() == Some(digest),
            Proof::Master(master) => self.master.as_ref() == Some(master),
        };
        if right && self.attrs.deleted.is_none() {
            Ok(())
        } else {
            Err(Rejection::new(ErrorType::AccessDenied))
        }
    }

    fn enter(&self, at: &Moment<'_>, entrance: Entrance) -> Decision {
        let Entrance { create, proof, session, row, nonce, puppet } = entrance;
        if self.sessions.contains_key(&session) {
            // Asked again, for the answer got lost. Only who made the session knows its digest.
            return Ok(Step::emit(Emit::Answer(Answer::Value(Value::Null))));
        }
        let mut step = Step::nothing();
        match create {
            Some(new) if !self.created => step = self.create(at, new)?,
            // A master's own name for a puppet leads to the same one each time.
            Some(_) if matches!(proof, Proof::Master(_)) => {
                if self.attrs.deleted.is_some() {
                    return Err(Rejection::new(ErrorType::UserNotFound).about("user_id", at.id));
                }
                self.identify(&proof, at.now)?;
            }
            Some(_) if matches!(proof, Proof::Audience(..)) => self.identify(&proof, at.now)?,
            Some(_) => return Err(Rejection::new(ErrorType::Internal).because("the id is taken")),
            None => self.identify(&proof, at.now)?,
        }
        if self.sessions.len() >= MAX_SESSIONS {
            return Err(Rejection::new(ErrorType::SendRateLimited).because("the user has too many sessions"));
        }
        if let (Some(attrs), Some(master)) = (puppet.filter(|attrs| *attrs != self.puppet), &self.master) {
            let (master, user) = (master.clone(), self.attrs.clone());
            let puppet = Puppet { master: master.clone(), attrs: attrs.clone() };
            step.emits.extend(self.tell_change(at.id, &user, Some(puppet)));
            step.records.push(UserRecord::PuppetChanged { master, attrs, user });
        }
        step.emits.extend(nonce.map(|nonce| nonce.spent(ErrorType::AccessAlreadySpent)));
        step.emits.push(Emit::Claim(Claim {
            namespace: SESSIONS,
            key: session.clone(),
            value: Some(Bytes::from(row)),
            absent: true,
            refusal: Rejection::new(ErrorType::Internal).because("the session exists"),
        }));
        step.records.push(UserRecord::SessionOpened { session });
        if let Proof::Audience(channel, digest) = &proof {
            // Again each time: they may have left it.
            let card = step.records.iter().find_map(|record| match record {
                UserRecord::Created { attrs, .. } => Some(attrs),
                _ => None,
            });
            let order =
                json!({"Admit": {"digest": digest, "user": at.id, "card": card.unwrap_or(&self.attrs)}});
            step.emits.push(Emit::Forward(Stream::conversation(channel), order));
        }
        Ok(step.and(Emit::Answer(Answer::Value(Value::Null))))
    }

    /// Makes the user.
    fn create(&self, at: &Moment<'_>, new: NewUser) -> Decision {
        new.attrs.check(|writable| writable == Writable::OneSelf)?;
        let mut attrs = UserAttrs { guest: Some(true), ..UserAttrs::default() };
        new.attrs.apply(&mut attrs);
        let settings = settings::changed(&Object::new(), new.settings)?;
        let (auth, master, puppet, host) = (new.auth, new.master, new.puppet, new.host);
        let identity = None;
        let mut step =
            Step::record(UserRecord::Created { attrs, settings, auth, identity, master, puppet, host });
        if let Some(identity) = new.identity {
            let added = self.add_identity(at, identity)?;
            step.records.extend(added.records);
            step.emits.extend(added.emits);
        }
        Ok(step)
    }

    /// A user makes another one, and is its master.
    pub(super) fn create_puppet(&self, at: &Moment<'_>, actor: &Actor, create: CreateUser) -> Decision {
        let mut puppet = PuppetAttrs::default();
        create.puppet_attrs.unwrap_or_default().apply(&mut puppet);
        self.create(
            at,
            NewUser {
                attrs: create.user_attrs.unwrap_or_default(),
                settings: create.user_settings.unwrap_or_default(),
                auth: None,
                master: Some(actor.user.clone()),
                puppet,
                identity: None,
                host: None,
            },
        )
    }

    fn leave(&self, me: &Id, session: Id) -> Step<UserRecord> {
        if !self.sessions.contains_key(&session) {
            return Step::nothing();
        }
        let mut step = Step::record(UserRecord::SessionClosed { session: session.clone() });
        step.emits.push(Emit::Claim(Claim {
            namespace: SESSIONS,
            key: session,
            value: None,
            absent: false,
            refusal: Rejection::new(ErrorType::Internal),
        }));
        if self.sessions.len() == 1 {
            // A puppet comes back when its master wants it.
            let guest = self.attrs.guest.is_some() && self.master.is_none() && self.host.is_none();
            self.vanish(me, &mut step, guest);
            if guest {
                step.emits.extend(self.access.revoked());
                step.emits.extend(self.let_go_of_identities());
                step.records.push(UserRecord::Deleted { user: me.clone() });
            }
        }
        step
    }

    /// The last session is gone: nobody waits any more, and a guest is nowhere any more.
    fn vanish(&self, me: &Id, step: &mut Step<UserRecord>, everywhere: bool) {
        for (queue, wait) in self.waiting.iter().filter(|(_, wait)| everywhere || !wait.stays) {
            step.emits.push(Emit::Forward(
                Stream::queue(queue),
                json!({"Drop": {"audience": wait.audience, "cause": "audience_drop"}}),
            ));
        }
        if everywhere {
            for conversation in self.channels.keys().chain(self.dialogues.values().map(|(id, _)| id)) {
                let gone = json!({"Gone": {"user": me}});
                step.emits.push(Emit::Forward(Stream::conversation(conversation), gone));
            }
        } else {
            self.tell_presence(me, step, (false, None));
        }
    }

    /// Attributes or settings change: those who see the user hear of it.
    fn changed(&self, me: &Id, attrs: UserAttrs, settings: Object, icon: Option<Id>) -> Step<UserRecord> {
        let told = (attrs != self.attrs).then(|| self.tell_change(me, &attrs, self.as_puppet()));
        let mut step = Step::record(UserRecord::Changed { attrs, settings, icon });
        step.emits.extend(told.into_iter().flatten());
        step
    }

    /// Those who see the user hear of what is to be seen now.
    fn tell_change(&self, me: &Id, attrs: &UserAttrs, puppet: Option<Puppet>) -> Vec<Emit> {
        let order = json!({"UserChanged": {"user": me, "attrs": attrs, "puppet": puppet}});
        let conversations = self.channels.keys().chain(self.dialogues.values().map(|(id, _)| id));
        let to = conversations.map(Stream::conversation).chain(self.realms.keys().map(Stream::realm));
        to.map(|to| Emit::Forward(to, order.clone())).collect()
    }

    fn tell_presence(&self, me: &Id, step: &mut Step<UserRecord>, (connected, idle): (bool, Option<u64>)) {
        let conversations = self.channels.keys().chain(self.dialogues.values().map(|(id, _)| id));
        for conversation in conversations {
            step.emits.push(Emit::Tell(
                Stream::conversation(conversation),
                json!({"Presence": {"user": me, "connected": connected, "idle": idle}}),
            ));
        }
    }

    pub(super) fn act(&self, at: &Moment<'_>, actor: &Actor, action: UserAction) -> Decision {
        let own = actor.user == *at.id;
        match action {
            UserAction::DescribeUser(_) => Ok(Step::emit(Answer::event(&events::UserFound {
                user_id: at.id.clone(),
                user_attrs: self.card(),
                user_identities: self.visible_identities(own),
                user_settings: own.then(|| self.settings.clone()),
                puppet_masters: self.masters().filter(|_| own || self.master.as_ref() == Some(&actor.user)),
                ..Default::default()
            }))),
            UserAction::UpdateUser(update) => {
                if !own {
                    return Err(Rejection::denied());
                }
                let icon = self.new_icon(at, actor, &update)?;
                let mut attrs = self.attrs.clone();
                if let Some(patch) = &update.user_attrs {
                    patch.check(|writable| writable == Writable::OneSelf)?;
                    if patch.guest == Some(Some(true)) && self.attrs.guest.is_none() {
                        return Err(Rejection::denied().because("a full user can't become a guest"));
                    }
                    patch.apply(&mut attrs);
                }
                let settings = settings::changed(&self.settings, update.user_settings.unwrap_or_default())?;
                let icon = match icon {
                    Some((icon, url)) => {
                        attrs.iconurl = Some(url);
                        Some(icon)
                    }
                    None => self.icon.clone().filter(|_| attrs.iconurl.is_some()),
                };
                Ok(self.changed(at.id, attrs, settings, icon))
            }
            // The one action of a user who is not there yet.
            UserAction::CreateUser(_) => Err(Rejection::new(ErrorType::Internal).because("the id is taken")),
            UserAction::DeleteUser(delete) => {
                if !own {
                    return Err(Rejection::denied());
                }
                let given = delete.user_auth.as_ref().map(|token| levee_proto::ids::digest(token));
                let confirmed = actor.master.is_some() || given.is_some() && given == self.auth;
                if self.attrs.guest.is_none() && !confirmed {
                    return Err(Rejection::new(ErrorType::AccessDenied));
                }
                let mut step = Step::record(UserRecord::Deleted { user: at.id.clone() });
                self.vanish(at.id, &mut step, true);
                step.emits.extend(self.access.revoked());
                for session in self.sessions.keys() {
                    step.emits.push(Emit::Claim(Claim {
                        namespace: SESSIONS,
                        key: session.clone(),
                        value: None,
                        absent: false,
                        refusal: Rejection::new(ErrorType::Internal),
                    }));
                }
                step.emits.extend(self.let_go_of_identities());
                step.emits.extend(self.keys.unclaimed());
                Ok(step)
            }
        }
    }

    /// Obeys an order.
    pub(super) fn obey(&self, at: &Moment<'_>, order: UserOrder) -> Decision {
        Ok(match order {
            UserOrder::Enter(entrance) => return self.enter(at, entrance),
            UserOrder::Create { .. } if self.created => {
                Step::emit(Emit::Answer(Answer::Value(json!(self.attrs))))
            }
            UserOrder::Create { new } => {
                let step = self.create(at, new)?;
                let made = match &step.records[..] {
                    [UserRecord::Created { attrs, .. }, ..] => json!(attrs),
                    _ => Value::Null,
                };
                step.and(Emit::Answer(Answer::Value(made)))
            }
            // Nothing is refused to a realm whose owner is gone.
            UserOrder::Account(_) if !self.created || self.attrs.deleted.is_some() => {
                Step::emit(Emit::Answer(Answer::Value(Value::Null)))
            }
            UserOrder::Account(order) => {
                let record = self.account.decide(order, at.now)?.map(UserRecord::Account);
                let answer = Emit::Answer(Answer::Value(Value::Null));
                Step { records: record.into_iter().collect(), emits: vec![answer] }
            }
            UserOrder::Owns => Step::emit(Emit::Answer(Answer::Value(self.account.shown()))),
            UserOrder::Puppet { master } => {
                if !self.created || self.attrs.deleted.is_some() || self.master.as_ref() != Some(&master) {
                    return Err(Rejection::new(ErrorType::UserNotFound).about("puppet_id", at.id));
                }
                Step::emit(Emit::Answer(Answer::Value(self.card_and_puppet())))
            }
            UserOrder::HostGone { channel } if self.host.as_ref() == Some(&channel) => {
                let mut step = Step::record(UserRecord::HostGone);
                if self.sessions.is_empty() {
                    self.vanish(at.id, &mut step, true);
                    step.emits.extend(self.access.revoked());
                    step.emits.extend(self.let_go_of_identities());
                    step.records.push(UserRecord::Deleted { user: at.id.clone() });
                }
                step
            }
            UserOrder::HostGone { .. } => Step::nothing(),
            UserOrder::HasFile { file } => self.has_file(&file),
            UserOrder::Rename { name } if self.attrs.name.as_ref() == Some(&name) || !self.created => {
                Step::nothing()
            }
            UserOrder::Rename { name } => {
                let attrs = UserAttrs { name: Some(name), ..self.attrs.clone() };
                self.changed(at.id, attrs, self.settings.clone(), self.icon.clone())
            }
            UserOrder::KeyMade(made) if self.keys.contains(&made.key_type, &made.key_id) => Step::nothing(),
            UserOrder::KeyMade(made) => Step::record(UserRecord::KeyMade(made)),
            UserOrder::KeyGone(gone) if !self.keys.contains(&gone.key_type, &gone.key_id) => Step::nothing(),
            UserOrder::KeyGone(gone) => Step::record(UserRecord::KeyGone(gone)),
            UserOrder::Identify { proof } => {
                self.identify(&proof, at.now)?;
                Step::emit(Emit::Answer(Answer::Value(self.card_and_puppet())))
            }
            UserOrder::Card if !self.created || self.attrs.deleted.is_some() => {
                return Err(Rejection::new(ErrorType::UserNotFound).about("user_id", at.id));
            }
            UserOrder::Card => Step::emit(Emit::Answer(Answer::Value(self.card_and_puppet()))),
            UserOrder::Reading { conversation } => {
                let words = Words::of(&self.settings, self.attrs.name.as_deref());
                let read = self.read.get(&conversation);
                Step::emit(Emit::Answer(Answer::Value(json!((read, words)))))
            }
            UserOrder::Reach { identity, by, realms } => {
                if !self.is_reached(&identity, by == *at.id, &realms) {
                    return Err(Rejection::new(ErrorType::UserNotFound).about("user_id", at.id));
                }
                let card = serde_json::to_value(self.card()).unwrap_or_default();
                Step::emit(Emit::Answer(Answer::Value(card)))
            }
            UserOrder::Realms => {
                let realms: Vec<&Id> = self.realms.keys().collect();
                Step::emit(Emit::Answer(Answer::Value(json!(realms))))
            }
            UserOrder::Verified => {
                let verified = self.attrs.deleted.is_none() && self.is_verified();
                Step::emit(Emit::Answer(Answer::Value(json!(verified))))
            }
            UserOrder::Leave { session } => self.leave(at.id, session),
            UserOrder::Presence { session, connected, idle } => {
                let before = presence(self.sessions.values());
                let changed = Presence { away: !connected, idle };
                let after =
                    presence(self.sessions.iter().map(|(of, is)| if *of == session { &changed } else { is }));
                let mut step = Step::nothing();
                if before != after {
                    self.tell_presence(at.id, &mut step, after);
                }
                step
            }
            UserOrder::Seek { conversation, puppet } => {
                let user = puppet.as_ref().unwrap_or(at.id);
                let sought = json!({"Sought": {"user": user, "here": self.connected()}});
                Step::emit(Emit::Tell(Stream::conversation(&conversation), sought))
            }
            UserOrder::Joined { channel, .. } if self.channels.contains_key(&channel) => Step::nothing(),
            UserOrder::Joined { channel, seq, command } => {
                Step::record(UserRecord::ChannelJoined { channel, seq, command })
            }
            UserOrder::Parted { channel } if !self.channels.contains_key(&channel) => Step::nothing(),
            UserOrder::Parted { channel } => Step::record(UserRecord::ChannelParted { channel }),
            UserOrder::Met { peer, .. } if self.dialogues.contains_key(&peer) => Step::nothing(),
            UserOrder::Met { peer, dialogue, seq, command } => {
                Step::record(UserRecord::DialogueBegan { peer, dialogue, seq, command })
            }
            UserOrder::RealmJoined { realm, .. } if self.realms.contains_key(&realm) => Step::nothing(),
            UserOrder::RealmJoined { realm, seq, command } => {
                Step::record(UserRecord::RealmJoined { realm, seq, command })
            }
            UserOrder::RealmParted { realm } if !self.realms.contains_key(&realm) => Step::nothing(),
            UserOrder::RealmParted { realm } => Step::record(UserRecord::RealmParted { realm }),
            UserOrder::QueueJoined { queue, .. } if self.queues.contains_key(&queue) => Step::nothing(),
            UserOrder::QueueJoined { queue, seq } => Step::record(UserRecord::QueueJoined { queue, seq }),
            UserOrder::QueueParted { queue } if !self.queues.contains_key(&queue) => Step::nothing(),
            UserOrder::QueueParted { queue } => Step::record(UserRecord::QueueParted { queue }),
            UserOrder::Waits { queue, audience, seq, command, enqueued, stays } => {
                if self.waiting.get(&queue).is_some_and(|wait| wait.seq >= seq) {
                    return Ok(Step::nothing());
                }
                if self.sessions.is_empty() && !stays {
                    // Gone before the place in the queue was known here.
                    let drop = json!({"Drop": {"audience": audience, "cause": "audience_drop"}});
                    return Ok(Step::emit(Emit::Forward(Stream::queue(&queue), drop)));
                }
                Step::record(UserRecord::WaitBegan { queue, audience, seq, command, enqueued, stays })
            }
            UserOrder::WaitsNot { queue, audience } => {
                match self.waiting.get(&queue).filter(|wait| wait.audience == audience) {
                    Some(_) => Step::record(UserRecord::WaitEnded { queue }),
                    None => Step::nothing(),
                }
            }
            UserOrder::Told { command, .. } if self.was_told(&command) => Step::nothing(),
            UserOrder::Told { command, event } => Step::record(UserRecord::Told { command, event }),
            UserOrder::Read { conversation, peer, message_id, session } => {
                let seq = levee_proto::ids::message_seq(&message_id).unwrap_or_default();
                if self.read.get(&conversation).is_some_and(|read| *read >= seq) {
                    return Ok(Step::nothing());
                }
                Step::record(UserRecord::Read { conversation, peer, message_id, session })
            }
        })
    }
}
