//! How a session begins: it follows its user, then all that the user belongs to.

use super::gather::Purpose;
use super::{Birth, Following, HELD, SessionActor, SessionMessage, Unheard};
use crate::letter::Attached;
use actix::prelude::*;
use levee_domain::found::Reading;
use levee_domain::user::{Entered, FOLLOWS, READ};
use levee_domain::view::{Kind, Stream};
use levee_proto::{ErrorType, Id, Object, Rejection, Text, events};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

impl SessionActor {
    /// Attaches to the user; the rest follows from the answer.
    pub(super) fn begin(&mut self) {
        let user = Stream::user(&self.user);
        let after = match self.beginning.as_ref().and_then(|beginning| beginning.birth.as_ref()) {
            Some(Birth::Again { .. }) => self.machine.position(&user),
            _ => None,
        };
        self.follow(&user, after);
    }

    /// The user's owner has answered for the first time.
    pub(super) fn born(&mut self, attached: &Attached, ctx: &mut Context<Self>) {
        let Some(birth) = self.beginning.as_mut().and_then(|beginning| beginning.birth.take()) else {
            return;
        };
        if attached.roles == 0 {
            // The user is gone.
            let gone = Rejection::new(ErrorType::SessionNotFound);
            return self.end(Some(&gone), super::CloseReason::Gone, false, ctx);
        }
        if let Some(read) = attached.summary.get(READ) {
            let read = serde_json::from_value::<BTreeMap<Id, u64>>(read.clone()).unwrap_or_default();
            self.read = read.into_iter().collect();
        }
        let follows = follows(&attached.summary);
        match birth {
            Birth::New { session_id, user_auth, action_id } => {
                // From now on: what was before, the client loads as history.
                let mut streams = Vec::new();
                for (stream, how) in follows {
                    let following = Following { entered: how.seq, ..Following::default() };
                    self.follows.insert(stream.clone(), following);
                    self.follow(&stream, None);
                    streams.push(stream);
                }
                // No event may come before this one, so others are held back until all have answered.
                let purpose = Purpose::Created { session_id, user_auth, user: attached.summary.clone() };
                self.gather(purpose, action_id, streams, ctx);
            }
            Birth::Again { parked, looks_on } => {
                self.take_up(parked);
                self.look_on_again(looks_on);
                self.ask_how_it_ended(&follows);
                let mut unheard =
                    Unheard { until: attached.head, entered: Vec::new(), held: VecDeque::new() };
                for (stream, how) in follows {
                    let known = self.follows.get(&stream).filter(|known| known.entered >= how.seq);
                    match self.machine.position(&stream) {
                        // Its user has joined a channel that it looked on.
                        _ if self.only_watches(&stream) => unheard.entered.push((stream, how)),
                        // It stands to it as it did where it left.
                        position if known.is_some() => self.follow(&stream, position.or(Some(how.seq))),
                        Some(cursor) => {
                            let following = Following { entered: how.seq, ..Following::default() };
                            self.follows.insert(stream.clone(), following);
                            self.follow(&stream, Some(cursor));
                        }
                        // The client may not have heard that its user entered it.
                        None => unheard.entered.push((stream, how)),
                    }
                }
                self.unheard = Some(Box::new(unheard));
                self.enter_unheard(ctx);
                self.go_on(ctx);
            }
        }
    }

    /// Enters what its user's stream did not tell of, once that was read. One that was never read begins now.
    pub(super) fn enter_unheard(&mut self, ctx: &mut Context<Self>) {
        let position = self.machine.position(&Stream::user(&self.user));
        let unheard = self.unheard.take_if(|unheard| position.is_none_or(|at| at >= unheard.until));
        let Some(unheard) = unheard else { return };
        let Unheard { entered, held, until: _ } = *unheard;
        for (stream, how) in entered {
            self.enter(stream, how.seq, how.command, None);
        }
        for message in held {
            self.handle(message, ctx);
        }
    }

    /// Holds an action until the session follows what its user has entered: whoever comes back sends again what was
    /// answered before, and the answer to that has its place behind what was missed. What need not wait is given back.
    pub(super) fn hold_until_heard(
        &mut self,
        message: SessionMessage,
        ctx: &mut Context<Self>,
    ) -> Option<SessionMessage> {
        let Some(unheard) = self.unheard.as_mut() else { return Some(message) };
        match message {
            SessionMessage::Act(act, taken) if unheard.held.len() >= HELD => {
                self.hub.shared.metrics.drop("session_held");
                let full = Rejection::new(ErrorType::SendRateLimited).because("too much waits");
                self.reject(&full, act.0.action_id, ctx);
                self.flush(ctx);
                taken.map(|taken| taken.send(()));
                None
            }
            act @ SessionMessage::Act(..) => {
                unheard.held.push_back(act);
                None
            }
            other => Some(other),
        }
    }

    /// Stands to its streams as it did when it left its last node.
    fn take_up(&mut self, parked: Option<Box<super::Parked>>) {
        let Some(parked) = parked else { return };
        self.idle = parked.idle();
        if self.peer.is_empty() {
            self.peer = parked.peer().clone();
        }
        let user = Stream::user(&self.user);
        for (stream, following) in parked.follows().filter(|(stream, _)| *stream != user) {
            let watched = following.watched.then_some(following.entered);
            self.follows.insert(stream.clone(), following);
            if let Some(entered) = watched {
                self.watch(&stream, entered);
            }
        }
    }

    /// Asks about streams that the client knows, and its user is not in any more: it has not heard how that came.
    fn ask_how_it_ended(&mut self, follows: &[(Stream, Entered)]) {
        let user = Stream::user(&self.user);
        let known: BTreeSet<_> = self.machine.cursors().keys().chain(self.follows.keys()).cloned().collect();
        let ended = |stream: &Stream| {
            let looks_on = self.follows.get(stream).is_some_and(|following| following.watched);
            *stream != user && !looks_on && !follows.iter().any(|(other, _)| other == stream)
        };
        for stream in known.into_iter().filter(ended).collect::<Vec<_>>() {
            let entered = self.follows.get(&stream).map(|following| following.entered);
            self.follow(&stream, self.machine.position(&stream).or(entered));
        }
    }

    /// Looks on at channels as it did before its node crashed.
    fn look_on_again(&mut self, channels: Vec<(Id, u64)>) {
        for (stream, entered) in
            channels.into_iter().filter_map(|(key, seq)| Some((Stream::from_key(&key)?, seq)))
        {
            if !self.follows.contains_key(&stream) {
                let following = Following { entered, watched: true, ..Following::default() };
                self.follows.insert(stream.clone(), following);
                self.watch(&stream, entered);
            }
        }
    }

    /// Follows what it only looks on at: of a queue the latest matters, of a channel every message.
    fn watch(&mut self, stream: &Stream, entered: u64) {
        let after = (stream.kind == Kind::Conversation)
            .then(|| self.machine.position(stream).unwrap_or_default().max(entered));
        self.follow(stream, after);
    }

    /// Takes up what was held until the session had begun.
    pub(super) fn go_on(&mut self, ctx: &mut Context<Self>) {
        let held = self.beginning.take().map(|beginning| beginning.held).unwrap_or_default();
        for message in held {
            self.handle(message, ctx);
        }
        self.flush(ctx);
        self.look_soon();
    }
}

/// What a user's sessions follow.
fn follows(summary: &Object) -> Vec<(Stream, Entered)> {
    summary.get(FOLLOWS).cloned().and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
}

/// What `session_created` and `user_found` say of all that a user belongs to.
#[derive(Default)]
pub(super) struct Belongings {
    pub(super) channels: Object,
    pub(super) dialogues: Object,
    pub(super) realms: Object,
    pub(super) realms_member: Object,
    pub(super) queues: Object,
}

impl Belongings {
    /// Adds what a stream's owner has answered; `read` is how far the user has read it, `highlighted` whether what came
    /// after that has one of the user's words.
    pub(super) fn add(&mut self, stream: &Stream, mut summary: Object, read: Option<u64>, highlighted: bool) {
        let id = stream.id.to_string();
        let last = summary.remove("$last_message").and_then(|value| value.as_u64());
        let peer = summary.remove("$peer");
        summary.remove("$visible");
        let status = last.and_then(|last| Reading { read, highlighted }.status(last));
        match stream.kind {
            // Nobody follows a file.
            levee_domain::Kind::User | levee_domain::Kind::File => {}
            levee_domain::Kind::Realm => {
                if let Some(attrs) = summary.remove("member_attrs").filter(Value::is_object) {
                    self.realms_member.insert(id.clone(), attrs);
                }
                self.realms.insert(id, summary.remove("realm_attrs").unwrap_or_default());
            }
            levee_domain::Kind::Queue => {
                self.queues.insert(id, Value::Object(summary));
            }
            levee_domain::Kind::Conversation => match peer.as_ref().and_then(Value::as_str) {
                Some(peer) => {
                    if let Some(status) = status {
                        summary.entry("dialogue_status").or_insert_with(|| status.into());
                    }
                    self.dialogues.insert(peer.to_owned(), Value::Object(summary));
                }
                None => {
                    if let Some(status) = status {
                        summary.insert("channel_status".into(), status.into());
                    }
                    self.channels.insert(id, Value::Object(summary));
                }
            },
        }
    }
}

/// The event that opens a session.
pub(super) fn created(
    session_id: Text,
    user_id: Text,
    user_auth: Option<Text>,
    user: &Object,
    (user_account, has): (Object, Belongings),
) -> events::SessionCreated {
    let object = |key: &str| user.get(key).and_then(Value::as_object).cloned().unwrap_or_default();
    let attrs = user.get("user_attrs").cloned().unwrap_or_default();
    events::SessionCreated {
        session_id,
        user_id,
        user_auth,
        puppet_masters: user.get("puppet_masters").and_then(Value::as_object).cloned(),
        user_account,
        user_attrs: serde_json::from_value(attrs).unwrap_or_default(),
        user_settings: object("user_settings"),
        user_identities: object("user_identities"),
        user_channels: has.channels,
        user_dialogues: has.dialogues,
        user_realms: has.realms,
        user_realms_member: (!has.realms_member.is_empty()).then_some(has.realms_member),
        user_queues: (!has.queues.is_empty()).then_some(has.queues),
        ..Default::default()
    }
}
