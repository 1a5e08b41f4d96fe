//! A user: attributes, credentials, sessions, and what the user belongs to.
//!
//! A user's sessions follow the user's stream, and learn from it which conversations, realms and
//! queues to follow beside it.

use crate::machine::{Answer, Claim, Columns, Command, Emit, Entry, Glance, Input, Machine, Moment, Step};
use crate::view::{Effect, Stream, To, View, roles};
use bytes::Bytes;
use levee_proto::attrs::{IdentityAttrs, UserAttrs, UserAttrsPatch};
use levee_proto::{Action, Body, ErrorType, Id, Object, Rejection, Text, UserAction, events};
use levee_proto::{attrs::Writable, limits};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The namespace of session rows in the directory.
pub const SESSIONS: &str = "session";
/// The namespace of identities in the directory.
pub const IDENTITIES: &str = "identity";
/// In a user's glance, for the user's session and not for the wire: what to follow.
pub const FOLLOWS: &str = "$follows";
/// In a user's glance, for the user's session and not for the wire: how far conversations were read.
pub const READ: &str = "$read";
/// How many sessions a user may have.
const MAX_SESSIONS: usize = 64;

/// A user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Attributes.
    pub attrs: UserAttrs,
    /// Settings, the user's own.
    pub settings: Object,
    /// The digest of the user's token.
    auth: Option<Id>,
    /// Identities: type, name, attributes.
    pub identities: BTreeMap<Text, BTreeMap<Text, IdentityAttrs>>,
    /// Open sessions, by digest.
    pub sessions: BTreeMap<Id, Presence>,
    /// Channels, with the record by which the user joined.
    pub channels: BTreeMap<Id, u64>,
    /// Dialogues by the other user: the conversation, and the record by which it began.
    pub dialogues: BTreeMap<Id, (Id, u64)>,
    /// Realms, with the record by which the user joined.
    pub realms: BTreeMap<Id, u64>,
    /// Queues that the user serves.
    pub queues: BTreeMap<Id, u64>,
    /// Queues in which the user waits.
    pub waiting: BTreeMap<Id, Wait>,
    /// How far conversations were read.
    pub read: BTreeMap<Id, u64>,
    /// Commands that were answered by what others told.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    told: BTreeMap<Id, BTreeSet<u64>>,
    created: bool,
}

/// Whether a session has a connection, and whether somebody sits before it. Not recorded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// It has no connection.
    #[serde(default, skip)]
    pub away: bool,
}

/// A place in a queue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// The audience.
    pub audience: Id,
    /// The record of the queue by which it was requested.
    pub seq: u64,
}

/// Who somebody claims to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Proof {
    /// Whoever has the token of this digest.
    Token(Id),
    /// It was verified already (a password, by the cluster).
    Verified,
}

/// A user to be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewUser {
    /// Attributes.
    pub attrs: UserAttrsPatch,
    /// Settings.
    pub settings: Object,
    /// The digest of the token.
    pub auth: Id,
    /// An identity: type, name, attributes, and the directory row that claims it.
    pub identity: Option<(Text, Text, IdentityAttrs, String)>,
}

/// What others order of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum UserOrder {
    /// Open a session, of a new user if one is given.
    Enter {
        /// The user to be made.
        create: Option<NewUser>,
        /// Who they claim to be.
        proof: Proof,
        /// The session's digest.
        session: Id,
        /// The session's row in the directory.
        row: String,
    },
    /// Check a claim; answers the user's card.
    Identify {
        /// Who they claim to be.
        proof: Proof,
    },
    /// Answer what others may know of the user.
    Card,
    /// End a session.
    Leave {
        /// The session's digest.
        session: Id,
    },
    /// A session's connection came or went.
    Presence {
        /// The session's digest.
        session: Id,
        /// Whether it has a connection.
        connected: bool,
    },
    /// The user is in a channel.
    Joined {
        /// The channel.
        channel: Id,
        /// The channel's record.
        seq: u64,
        /// The command that caused it.
        command: Option<Command>,
    },
    /// The user is not in a channel any more.
    Parted {
        /// The channel.
        channel: Id,
    },
    /// The user has a dialogue.
    Met {
        /// The other user.
        peer: Id,
        /// The conversation.
        dialogue: Id,
        /// Its first record.
        seq: u64,
        /// The command that caused it.
        command: Option<Command>,
    },
    /// The user is a member of a realm.
    RealmJoined {
        /// The realm.
        realm: Id,
        /// Its record.
        seq: u64,
        /// The command that caused it.
        command: Option<Command>,
    },
    /// The user is not a member of a realm any more.
    RealmParted {
        /// The realm.
        realm: Id,
    },
    /// The user serves a queue.
    QueueJoined {
        /// The queue.
        queue: Id,
        /// Its record.
        seq: u64,
    },
    /// The user does not serve a queue any more.
    QueueParted {
        /// The queue.
        queue: Id,
    },
    /// The user waits in a queue.
    Waits {
        /// The queue.
        queue: Id,
        /// The audience.
        audience: Id,
        /// The queue's record.
        seq: u64,
        /// The command that caused it.
        command: Option<Command>,
    },
    /// The user does not wait any more.
    WaitsNot {
        /// The queue.
        queue: Id,
        /// The audience.
        audience: Id,
    },
    /// An event that answers a command which another entity passed on.
    Told {
        /// The command.
        command: Command,
        /// The event's header.
        event: Value,
    },
    /// The user has read a conversation up to a message.
    Read {
        /// The conversation.
        conversation: Id,
        /// As the event calls it: a channel, or the other user.
        peer: Option<Id>,
        /// The message.
        message_id: Id,
        /// The session that said so.
        session: Id,
    },
}

/// What happens to a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserRecord {
    /// Made.
    Created {
        /// Attributes.
        attrs: UserAttrs,
        /// Settings.
        settings: Object,
        /// The digest of the token.
        auth: Id,
        /// An identity.
        identity: Option<(Text, Text, IdentityAttrs)>,
    },
    /// A session was opened.
    SessionOpened {
        /// Its digest.
        session: Id,
    },
    /// A session ended.
    SessionClosed {
        /// Its digest.
        session: Id,
    },
    /// Attributes or settings changed.
    Changed {
        /// The attributes as they are now.
        attrs: UserAttrs,
        /// The settings as they are now.
        settings: Object,
    },
    /// Joined a channel.
    ChannelJoined {
        /// The channel.
        channel: Id,
        /// The channel's record.
        seq: u64,
        /// The command that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Command>,
    },
    /// Left a channel.
    ChannelParted {
        /// The channel.
        channel: Id,
    },
    /// Has a dialogue.
    DialogueBegan {
        /// The other user.
        peer: Id,
        /// The conversation.
        dialogue: Id,
        /// Its record.
        seq: u64,
        /// The command that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Command>,
    },
    /// Joined a realm.
    RealmJoined {
        /// The realm.
        realm: Id,
        /// Its record.
        seq: u64,
        /// The command that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Command>,
    },
    /// Left a realm.
    RealmParted {
        /// The realm.
        realm: Id,
    },
    /// Serves a queue.
    QueueJoined {
        /// The queue.
        queue: Id,
        /// Its record.
        seq: u64,
    },
    /// Serves a queue no more.
    QueueParted {
        /// The queue.
        queue: Id,
    },
    /// Waits in a queue.
    WaitBegan {
        /// The queue.
        queue: Id,
        /// The audience.
        audience: Id,
        /// The queue's record.
        seq: u64,
        /// The command that caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<Command>,
    },
    /// Waits no more.
    WaitEnded {
        /// The queue.
        queue: Id,
    },
    /// Got an answer to a command which another entity passed on.
    Told {
        /// The command.
        command: Command,
        /// The event's header.
        event: Value,
    },
    /// Has read a conversation.
    Read {
        /// The conversation.
        conversation: Id,
        /// The other user, if it is a dialogue.
        peer: Option<Id>,
        /// The message.
        message_id: Id,
        /// The session that said so.
        session: Id,
    },
    /// Deleted.
    Deleted {
        /// The user.
        user: Id,
    },
}

type Decision = Result<Step<UserRecord>, Rejection>;

impl User {
    /// What others may know of the user.
    pub fn card(&self) -> UserAttrs {
        UserAttrs { connected: Some(self.connected()).filter(|c| *c), ..self.attrs.clone() }
    }

    /// Whether some session has a connection.
    pub fn connected(&self) -> bool {
        self.sessions.values().any(|presence| !presence.away)
    }

    fn was_told(&self, command: &Command) -> bool {
        // A session that is gone has nobody to tell.
        !self.sessions.contains_key(&command.session)
            || self.told.get(&command.session).is_some_and(|told| told.contains(&command.action_id))
    }

    fn identify(&self, proof: &Proof) -> Result<(), Rejection> {
        let right = match proof {
            Proof::Verified => self.created,
            // Digests of 128-bit secrets: comparing them tells nothing about the secret.
            Proof::Token(digest) => self.auth.as_ref() == Some(digest),
        };
        if right && self.attrs.deleted.is_none() {
            Ok(())
        } else {
            Err(Rejection::new(ErrorType::AccessDenied))
        }
    }

    fn enter(&self, create: Option<NewUser>, proof: &Proof, session: Id, row: String) -> Decision {
        let mut step = Step::nothing();
        match create {
            Some(new) if !self.created => {
                new.attrs.check(|writable| writable == Writable::OneSelf)?;
                let mut attrs = UserAttrs { guest: Some(true), ..UserAttrs::default() };
                new.attrs.apply(&mut attrs);
                let identity = new.identity.map(|(kind, name, attrs, row)| {
                    step.emits.push(Emit::Claim(Claim {
                        namespace: IDENTITIES,
                        key: kind.clone() + ":" + &name,
                        value: Some(Bytes::from(row)),
                        absent: true,
                        refusal: Rejection::new(ErrorType::IdentityAlreadyExists)
                            .about("identity_name", &name),
                    }));
                    (kind, name, attrs)
                });
                let record = UserRecord::Created { attrs, settings: new.settings, auth: new.auth, identity };
                step.records.push(record);
            }
            Some(_) => return Err(Rejection::new(ErrorType::Internal).because("the id is taken")),
            None => self.identify(proof)?,
        }
        if self.sessions.len() >= MAX_SESSIONS && !self.sessions.contains_key(&session) {
            return Err(Rejection::new(ErrorType::SendRateLimited).because("the user has too many sessions"));
        }
        step.emits.push(Emit::Claim(Claim {
            namespace: SESSIONS,
            key: session.clone(),
            value: Some(Bytes::from(row)),
            absent: true,
            refusal: Rejection::new(ErrorType::Internal).because("the session exists"),
        }));
        step.records.push(UserRecord::SessionOpened { session });
        Ok(step.and(Emit::Answer(Answer::Value(Value::Null))))
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
            self.vanish(me, &mut step, self.attrs.guest.is_some());
        }
        step
    }

    /// The last session is gone: nobody waits any more, and a guest is nowhere any more.
    fn vanish(&self, me: &Id, step: &mut Step<UserRecord>, everywhere: bool) {
        for (queue, wait) in &self.waiting {
            step.emits.push(Emit::Forward(
                Stream::queue(queue),
                json!({"Drop": {"audience": wait.audience, "cause": "audience_drop"}}),
            ));
        }
        if everywhere {
            for channel in self.channels.keys() {
                step.emits.push(Emit::Forward(Stream::conversation(channel), json!({"Gone": {"user": me}})));
            }
        } else {
            self.tell_presence(me, step, false);
        }
    }

    fn tell_presence(&self, me: &Id, step: &mut Step<UserRecord>, connected: bool) {
        let conversations = self.channels.keys().chain(self.dialogues.values().map(|(id, _)| id));
        for conversation in conversations {
            step.emits.push(Emit::Tell(
                Stream::conversation(conversation),
                json!({"Presence": {"user": me, "connected": connected}}),
            ));
        }
    }

    fn act(&self, at: &Moment<'_>, own: bool, action: UserAction) -> Decision {
        match action {
            UserAction::DescribeUser(_) => Ok(Step::emit(Answer::event(&events::UserFound {
                user_id: at.id.clone(),
                user_attrs: self.card(),
                user_identities: self.visible_identities(own),
                user_settings: own.then(|| self.settings.clone()),
                ..Default::default()
            }))),
            UserAction::UpdateUser(update) => {
                if !own {
                    return Err(Rejection::denied());
                }
                let mut attrs = self.attrs.clone();
                if let Some(patch) = &update.user_attrs {
                    patch.check(|writable| writable == Writable::OneSelf)?;
                    if patch.guest == Some(Some(true)) && self.attrs.guest.is_none() {
                        return Err(Rejection::denied().because("a full user can't become a guest"));
                    }
                    patch.apply(&mut attrs);
                }
                let mut settings = self.settings.clone();
                for (key, value) in update.user_settings.unwrap_or_default() {
                    if value.is_null() {
                        settings.remove(&key);
                    } else {
                        settings.insert(key, value);
                    }
                }
                if serde_json::to_vec(&settings).map_or(0, |text| text.len()) > limits::OBJECT_BYTES {
                    return Err(Rejection::malformed("user_settings are too long"));
                }
                let mut step = Step::record(UserRecord::Changed { attrs: attrs.clone(), settings });
                if attrs != self.attrs {
                    let order = json!({"UserChanged": {"user": at.id, "attrs": attrs}});
                    for channel in self.channels.keys().chain(self.dialogues.values().map(|(id, _)| id)) {
                        step.emits.push(Emit::Forward(Stream::conversation(channel), order.clone()));
                    }
                }
                Ok(step)
            }
            UserAction::DeleteUser(delete) => {
                if !own {
                    return Err(Rejection::denied());
                }
                let given = delete.user_auth.as_ref().map(|token| levee_proto::ids::digest(token));
                if self.attrs.guest.is_none() && (given.is_none() || given != self.auth) {
                    return Err(Rejection::new(ErrorType::AccessDenied));
                }
                let mut step = Step::record(UserRecord::Deleted { user: at.id.clone() });
                self.vanish(at.id, &mut step, true);
                for session in self.sessions.keys() {
                    step.emits.push(Emit::Claim(Claim {
                        namespace: SESSIONS,
                        key: session.clone(),
                        value: None,
                        absent: false,
                        refusal: Rejection::new(ErrorType::Internal),
                    }));
                }
                for (kind, names) in &self.identities {
                    for name in names.keys() {
                        step.emits.push(Emit::Claim(Claim {
                            namespace: IDENTITIES,
                            key: kind.clone() + ":" + name,
                            value: None,
                            absent: false,
                            refusal: Rejection::new(ErrorType::Internal),
                        }));
                    }
                }
                Ok(step)
            }
        }
    }

    /// Identities as another user, or the user, may see them.
    pub fn visible_identities(&self, own: bool) -> Object {
        let mut all = Object::new();
        for (kind, names) in &self.identities {
            let visible: Object = names
                .iter()
                .filter(|(_, attrs)| own || attrs.public.is_some())
                .map(|(name, attrs)| {
                    let shown = if own { serde_json::to_value(attrs).unwrap_or_default() } else { json!({}) };
                    (name.to_string(), shown)
                })
                .collect();
            if !visible.is_empty() {
                all.insert(kind.to_string(), Value::Object(visible));
            }
        }
        all
    }
}

impl Machine for User {
    type Order = UserOrder;
    type Record = UserRecord;

    fn exists(&self) -> bool {
        self.created
    }

    fn decide(&self, at: &Moment<'_>, input: Input<UserOrder>) -> Decision {
        let order = match input {
            Input::Action(actor, action, _) => {
                if !self.created || self.attrs.deleted.is_some() {
                    return Err(Rejection::new(ErrorType::UserNotFound).about("user_id", at.id));
                }
                return match action {
                    Action::User(action) => self.act(at, actor.user == *at.id, action),
                    _ => Err(Rejection::new(ErrorType::ActionNotSupported)),
                };
            }
            Input::Order(order) => order,
        };
        Ok(match order {
            UserOrder::Enter { create, proof, session, row } => {
                return self.enter(create, &proof, session, row);
            }
            UserOrder::Identify { proof } => {
                self.identify(&proof)?;
                let card = serde_json::to_value(self.card()).unwrap_or_default();
                Step::emit(Emit::Answer(Answer::Value(card)))
            }
            UserOrder::Card if !self.created || self.attrs.deleted.is_some() => {
                return Err(Rejection::new(ErrorType::UserNotFound).about("user_id", at.id));
            }
            UserOrder::Card => {
                let card = serde_json::to_value(self.card()).unwrap_or_default();
                Step::emit(Emit::Answer(Answer::Value(card)))
            }
            UserOrder::Leave { session } => self.leave(at.id, session),
            UserOrder::Presence { session, connected } => {
                let before = self.connected();
                let after =
                    self.sessions.iter().any(|(of, is)| if *of == session { connected } else { !is.away });
                let mut step = Step::nothing();
                if before != after {
                    self.tell_presence(at.id, &mut step, after);
                }
                step
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
            UserOrder::Waits { queue, audience, seq, command } => {
                if self.waiting.get(&queue).is_some_and(|wait| wait.seq >= seq) {
                    return Ok(Step::nothing());
                }
                if self.sessions.is_empty() {
                    // Gone before the place in the queue was known here.
                    let drop = json!({"Drop": {"audience": audience, "cause": "audience_drop"}});
                    return Ok(Step::emit(Emit::Forward(Stream::queue(&queue), drop)));
                }
                Step::record(UserRecord::WaitBegan { queue, audience, seq, command })
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

    fn apply(&mut self, _seq: u64, _time: u64, record: &UserRecord) {
        match record.clone() {
            UserRecord::Created { attrs, settings, auth, identity } => {
                self.created = true;
                self.attrs = attrs;
                self.settings = settings;
                self.auth = Some(auth);
                if let Some((kind, name, attrs)) = identity {
                    self.identities.entry(kind).or_default().insert(name, attrs);
                }
            }
            UserRecord::SessionOpened { session } => {
                self.sessions.insert(session, Presence::default());
            }
            UserRecord::SessionClosed { session } => {
                self.sessions.remove(&session);
                self.told.remove(&session);
            }
            UserRecord::Told { command, .. } => {
                let told = self.told.entry(command.session).or_default();
                told.insert(command.action_id);
                if told.len() > 256 {
                    told.pop_first();
                }
            }
            UserRecord::Changed { attrs, settings } => {
                self.attrs = attrs;
                self.settings = settings;
            }
            UserRecord::ChannelJoined { channel, seq, .. } => {
                self.channels.insert(channel, seq);
            }
            UserRecord::ChannelParted { channel } => {
                self.channels.remove(&channel);
                self.read.remove(&channel);
            }
            UserRecord::DialogueBegan { peer, dialogue, seq, .. } => {
                self.dialogues.insert(peer, (dialogue, seq));
            }
            UserRecord::RealmJoined { realm, seq, .. } => {
                self.realms.insert(realm, seq);
            }
            UserRecord::RealmParted { realm } => {
                self.realms.remove(&realm);
            }
            UserRecord::QueueJoined { queue, seq } => {
                self.queues.insert(queue, seq);
            }
            UserRecord::QueueParted { queue } => {
                self.queues.remove(&queue);
            }
            UserRecord::WaitBegan { queue, audience, seq, .. } => {
                self.waiting.insert(queue, Wait { audience, seq });
            }
            UserRecord::WaitEnded { queue } => {
                self.waiting.remove(&queue);
            }
            UserRecord::Read { conversation, message_id, .. } => {
                let seq = levee_proto::ids::message_seq(&message_id).unwrap_or_default();
                self.read.insert(conversation, seq);
            }
            UserRecord::Deleted { .. } => {
                *self = Self {
                    created: true,
                    attrs: UserAttrs { deleted: Some(true), ..UserAttrs::default() },
                    ..Self::default()
                };
            }
        }
    }

    fn absorb(&mut self, input: &Input<UserOrder>) {
        if let Input::Order(UserOrder::Presence { session, connected }) = input {
            if let Some(presence) = self.sessions.get_mut(session) {
                presence.away = !connected;
            }
        }
    }

    fn views(id: &Id, _seq: u64, _time: u64, entry: &Entry<UserRecord>) -> Vec<View> {
        let follow = |stream, from, command: &Option<Command>| {
            vec![View::effect(To::All, Effect::Follow { stream, from, command: command.clone() })]
        };
        match &entry.record {
            UserRecord::Created { .. }
            | UserRecord::SessionOpened { .. }
            | UserRecord::ChannelParted { .. }
            | UserRecord::QueueParted { .. }
            | UserRecord::RealmParted { .. } => Vec::new(),
            UserRecord::WaitEnded { queue } => {
                vec![View::effect(To::All, Effect::Quit { stream: Stream::queue(queue) })]
            }
            UserRecord::SessionClosed { session } => {
                vec![View::effect(To::Session(session.clone()), Effect::End)]
            }
            UserRecord::Changed { attrs, settings } => vec![View::new(
                To::All,
                &events::UserUpdated {
                    user_id: id.clone(),
                    user_attrs: attrs.clone(),
                    user_settings: Some(settings.clone()),
                    ..Default::default()
                },
            )],
            UserRecord::ChannelJoined { channel, seq, command } => {
                follow(Stream::conversation(channel), *seq, command)
            }
            UserRecord::DialogueBegan { dialogue, seq, command, .. } => {
                follow(Stream::conversation(dialogue), *seq, command)
            }
            UserRecord::RealmJoined { realm, seq, command } => follow(Stream::realm(realm), *seq, command),
            UserRecord::QueueJoined { queue, seq } => follow(Stream::queue(queue), *seq, &None),
            UserRecord::WaitBegan { queue, seq, command, .. } => follow(Stream::queue(queue), *seq, command),
            UserRecord::Told { command, event } => vec![View {
                command: Some(command.clone()),
                body: Some(Arc::new(Body::from_value(event))),
                answers: true,
                ..View::effect(To::Session(command.session.clone()), Effect::None)
            }],
            UserRecord::Read { conversation, peer, message_id, session } => vec![View::new(
                To::Others(session.clone()),
                &events::SessionStatusUpdated {
                    channel_id: peer.is_none().then(|| conversation.clone()),
                    user_id: peer.clone(),
                    message_id: message_id.clone(),
                },
            )],
            UserRecord::Deleted { user } => {
                let event = events::UserDeleted { user_id: user.clone() };
                vec![View::new(To::All, &event).with(Effect::End)]
            }
        }
    }

    fn columns(_record: &UserRecord) -> Columns {
        Columns { kind: "user".into(), ..Columns::default() }
    }

    fn glance(&self, at: &Moment<'_>, user: &Id) -> Glance {
        let own = user == at.id && self.created && self.attrs.deleted.is_none();
        let mut summary = Object::new();
        if own {
            summary = [
                ("user_attrs", serde_json::to_value(self.card()).unwrap_or_default()),
                ("user_settings", Value::Object(self.settings.clone())),
                ("user_identities", Value::Object(self.visible_identities(true))),
                (FOLLOWS, json!(self.follows())),
                (READ, json!(self.read)),
            ]
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect();
        }
        Glance { roles: if own { roles::MEMBER } else { 0 }, summary, ..Glance::default() }
    }
}

impl User {
    /// What a session of the user follows beside the user, each from where.
    pub fn follows(&self) -> Vec<(Stream, u64)> {
        let mut all = Vec::new();
        all.extend(self.realms.iter().map(|(id, seq)| (Stream::realm(id), *seq)));
        all.extend(self.queues.iter().map(|(id, seq)| (Stream::queue(id), *seq)));
        all.extend(self.waiting.iter().map(|(id, wait)| (Stream::queue(id), wait.seq)));
        all.extend(self.channels.iter().map(|(id, seq)| (Stream::conversation(id), *seq)));
        all.extend(self.dialogues.values().map(|(id, seq)| (Stream::conversation(id), *seq)));
        all
    }
}
