//! A client's actions: what the session answers itself, and where the others go.

use super::gather::Purpose;
use super::target::{may_act_through, target};
use super::{CloseReason, Following, SessionActor};
use crate::bring::{self, Provision};
use crate::files::{Brings, Sent};
use crate::letter::{Act, Asker, Job, Outcome};
use crate::{places, puppets};
use actix::prelude::*;
use bytes::Bytes;
use levee_domain::jitsi::Room;
use levee_domain::machine::Actor as Who;
use levee_domain::search::Search;
use levee_domain::session::Admission;
use levee_domain::view::{Kind, Stream};
use levee_proto::actions::session::UpdateSession;
use levee_proto::envelope::Splice;
use levee_proto::{
    Action, Body, ConversationAction, Envelope, ErrorType, Id, RealmAction, Rejection, SessionAction,
    UserAction, events, ids,
};
use std::sync::Arc;

/// How many channels a session may follow without joining them.
const LOOKS_ON: usize = 100;

impl SessionActor {
    pub(super) fn act(
        &mut self,
        envelope: Envelope,
        header: Bytes,
        parts: Vec<Bytes>,
        ctx: &mut Context<Self>,
    ) {
        if let Some(event_id) = envelope.event_id {
            if let Err(rejection) = self.machine.acknowledge(event_id) {
                self.reject(&rejection, envelope.action_id, ctx);
                return self.flush(ctx);
            }
            self.note_dirty();
        }
        let action_id = envelope.action_id;
        let decided = envelope.decode(&header).and_then(|action| match self.machine.admit(action_id)? {
            Admission::Answered => Ok(()),
            Admission::Fresh | Admission::Retry => self.dispatch(action, &envelope, header, parts, ctx),
        });
        if let Err(rejection) = decided {
            self.reject(&rejection, action_id, ctx);
        }
        self.flush(ctx);
    }

    fn dispatch(
        &mut self,
        action: Action,
        envelope: &Envelope,
        header: Bytes,
        parts: Vec<Bytes>,
        ctx: &mut Context<Self>,
    ) -> Result<(), Rejection> {
        let action_id = envelope.action_id;
        let user = match &envelope.puppet_id {
            Some(puppet) => {
                may_act_through(&action)?;
                puppets::can_be(puppet)?;
                puppet
            }
            None => &self.user,
        };
        let stream = match &action {
            Action::Session(action) if *user != self.user => {
                self.own_through(user.clone(), action.clone(), envelope.clone(), ctx);
                return Ok(());
            }
            Action::Session(action) => return self.own(action, envelope, &user.clone(), ctx),
            Action::User(UserAction::DescribeUser(describe))
                if describe.user_id.as_ref().is_none_or(|id| *id == self.user) && *user == self.user =>
            {
                self.describe_self(action_id, ctx);
                return Ok(());
            }
            Action::User(UserAction::CreateUser(_)) => Stream::user(&self.derive("user", action_id)),
            Action::Conversation(ConversationAction::FollowChannel(_))
                if self.looks_on().len() >= LOOKS_ON =>
            {
                return Err(Rejection::new(ErrorType::ChannelQuotaExceeded));
            }
            Action::Realm(RealmAction::CreateRealm(_)) => Stream::realm(&self.derive("realm", action_id)),
            Action::Conversation(ConversationAction::CreateChannel(_)) => {
                Stream::conversation(&self.derive("channel", action_id))
            }
            other if bring::is_sought(other) => Stream::user(user),
            other => target(other, user)?,
        };
        let act = Act {
            asker: Asker { seat: self.hub.seat.clone(), id: self.id.clone(), action_id },
            actor: Who {
                user: user.clone(),
                master: (*user != self.user).then(|| self.user.clone()),
                session: self.id.clone(),
                action_id,
                card: self.card.clone(),
                puppet: self.puppet.as_deref().cloned(),
                message_types: self.machine.message_types.clone(),
                origin: places::origin(&action, &self.peer, self.hub.shared.options.places.as_deref()),
                found: None,
            },
            name: envelope.action.clone(),
            header,
            parts,
            settled: self.machine.settled(),
            after: None,
            action: Some(action),
        };
        self.pass_on_in_order(stream, act, ctx)
    }

    /// Sends an action to its owner, after what it needs was found out.
    pub(super) fn pass_on(&mut self, stream: Stream, mut act: Act, ctx: &mut Context<Self>) {
        let asks = act.action.clone().filter(|action| match action {
            // Who is in a dialogue already is known there.
            Action::Conversation(ConversationAction::SendMessage(send))
                if send.identity_name.is_none() && self.follows.contains_key(&stream) =>
            {
                false
            }
            other => Brings::of(other).is_some() || bring::asks(other),
        });
        let puppet = act.actor.master.is_some();
        if asks.is_none() && !puppet {
            return self.send_act(stream, act);
        }
        let (hub, me) = (self.hub.clone(), self.user.clone());
        let secret = self.secret(act.asker.action_id);
        let realms = self.follows.keys().filter(|stream| stream.kind == Kind::Realm && !puppet);
        let realms = realms.map(|stream| stream.id.clone()).collect();
        let file = self.derive("file", act.asker.action_id);
        let brings = asks.as_ref().and_then(Brings::of).is_some();
        let held_up = brings.then(|| stream.clone());
        held_up.iter().for_each(|stream| self.hold_up(stream.clone()));
        let looking = async move {
            let action_id = act.asker.action_id;
            let found = async move {
                if puppet {
                    (act.actor.card, act.actor.puppet) = hub.puppet(&act.actor.user, &me).await?;
                }
                let Some(action) = asks else { return Ok((stream, act, None)) };
                if let Some(brings) = Brings::of(&action) {
                    let sent = Sent { brings, user: &act.actor.user, file, stream: &stream };
                    act.actor.found = Some(hub.take_in(sent, &mut act.parts).await);
                    return Ok((stream, act, None));
                }
                let provided = hub.provide(&action, &act.actor.user, stream, realms, || secret);
                let Provision { answer, stream, found } = provided.await?;
                act.actor.found = found;
                Ok((stream, act, answer))
            };
            (action_id, found.await)
        };
        ctx.spawn(looking.into_actor(self).map(move |(action_id, found), actor, ctx| {
            match found {
                Ok((.., Some(answer))) => {
                    actor.tell(answer, action_id, ctx);
                    actor.flush(ctx);
                }
                Ok((stream, act, None)) => actor.send_act(stream, act),
                Err(rejection) => {
                    actor.reject(&rejection, action_id, ctx);
                    actor.flush(ctx);
                }
            }
            if let Some(stream) = held_up {
                actor.go_on_with(stream, ctx);
            }
        }));
    }

    /// A secret for an access key: the same for a retry of the same action.
    pub(super) fn secret(&self, action_id: Option<u64>) -> Id {
        action_id.map_or_else(
            || ids::from_bytes(self.shard, &rand::random::<[u8; 17]>()),
            |action_id| ids::secret(self.shard, &self.seed, action_id),
        )
    }

    /// An id for something new: the same for a retry of the same action.
    fn derive(&self, what: &str, action_id: Option<u64>) -> Id {
        let cause =
            action_id.map_or_else(|| format!("once {:x}", rand::random::<u128>()), |id| id.to_string());
        ids::derive(self.shard, &[what, &self.id, &cause])
    }

    /// Actions that the session answers itself, through a puppet: if it is this user's.
    fn own_through(
        &mut self,
        puppet: Id,
        action: SessionAction,
        envelope: Envelope,
        ctx: &mut Context<Self>,
    ) {
        let (hub, me, of) = (self.hub.clone(), self.user.clone(), puppet.clone());
        let looking = async move { hub.puppet(&of, &me).await };
        ctx.spawn(looking.into_actor(self).map(move |card, actor, ctx| {
            let done = card.and_then(|_| actor.own(&action, &envelope, &puppet, ctx));
            if let Err(rejection) = done {
                actor.reject(&rejection, envelope.action_id, ctx);
            }
            actor.flush(ctx);
        }));
    }

    /// Actions that the session answers itself, for its user or for a puppet of theirs.
    fn own(
        &mut self,
        action: &SessionAction,
        envelope: &Envelope,
        user: &Id,
        ctx: &mut Context<Self>,
    ) -> Result<(), Rejection> {
        let action_id = envelope.action_id;
        match action {
            SessionAction::CreateSession(_) => {
                Err(Rejection::malformed("a connection has one session, and this one has it"))
            }
            SessionAction::ResumeSession(_)
                if envelope.session_id.as_ref().is_some_and(|id| ids::digest(id) != self.id) =>
            {
                Err(Rejection::malformed("a connection has one session, and this one has another"))
            }
            // The acknowledgement in its envelope is all that there is to it.
            SessionAction::ResumeSession(_) => {
                self.machine.settle(action_id);
                Ok(())
            }
            SessionAction::CloseSession(_) => {
                self.end(None, CloseReason::Closed, true, ctx);
                Ok(())
            }
            SessionAction::Ping(_) => {
                self.tell(Arc::new(Body::new(&events::Pong::default())), action_id, ctx);
                Ok(())
            }
            SessionAction::DescribeConn(_) => {
                let found = events::ConnFound { conn_address: self.peer.clone() };
                self.tell(Arc::new(Body::new(&found)), action_id, ctx);
                Ok(())
            }
            SessionAction::BeginIce(_) => {
                let begun = self.hub.shared.options.ice.begun(user, crate::now());
                self.tell(Arc::new(Body::new(&begun)), action_id, ctx);
                Ok(())
            }
            SessionAction::Search(of) => {
                let search = Search::new(&of.search_term, true, true)?;
                self.search(user.clone(), search, of.realm_id.clone(), action_id, ctx);
                Ok(())
            }
            SessionAction::SearchUsers(of) => {
                let search = Search::new(&of.search_term, true, false)?;
                self.search(user.clone(), search, of.realm_id.clone(), action_id, ctx);
                Ok(())
            }
            SessionAction::SearchChannels(of) => {
                let search = Search::new(&of.search_term, false, true)?;
                self.search(user.clone(), search, of.realm_id.clone(), action_id, ctx);
                Ok(())
            }
            SessionAction::UpdateSession(update) => {
                self.machine.settle(action_id);
                self.update(update)
            }
        }
    }

    fn search(
        &self,
        user: Id,
        search: Search,
        realm: Option<Id>,
        action_id: Option<u64>,
        ctx: &mut Context<Self>,
    ) {
        let hub = self.hub.clone();
        let searching = async move { hub.search(user, search, realm).await };
        ctx.spawn(searching.into_actor(self).map(move |found, actor, ctx| {
            actor.answered(action_id, found.map_or_else(Outcome::Rejected, Outcome::Events), ctx);
            actor.flush(ctx);
        }));
    }

    /// The client tells whether somebody sits before it, or up to which message a conversation was read.
    fn update(&mut self, update: &UpdateSession) -> Result<(), Rejection> {
        if let Some(idle) = update.session_idle
            && idle != self.idle.is_some()
        {
            self.idle = idle.then(|| crate::now() / 1_000_000);
            self.tell_presence(self.connected);
        }
        let Some(message_id) = &update.message_id else { return Ok(()) };
        let seq =
            ids::message_seq(message_id).ok_or_else(|| Rejection::malformed("message_id is none of ours"))?;
        let (conversation, peer) = match (&update.channel_id, &update.user_id) {
            (Some(channel), None) => (channel.clone(), None),
            (None, Some(user)) => (ids::dialogue(&self.user, user), Some(user.clone())),
            _ => return Err(Rejection::malformed("exactly one of channel_id and user_id is given")),
        };
        if !self.follows.contains_key(&Stream::conversation(&conversation)) {
            return Err(Rejection::new(ErrorType::ChannelNotFound).about("channel_id", &conversation));
        }
        let read = self.read.or_default(&conversation);
        if *read < seq {
            *read = seq;
            let order = serde_json::json!({"Read": {"conversation": conversation, "peer": peer,
                "message_id": message_id, "session": self.id}});
            self.hub.route(Stream::user(&self.user), Job::Tell(order));
        }
        Ok(())
    }

    fn describe_self(&mut self, action_id: Option<u64>, ctx: &mut Context<Self>) {
        let streams: Vec<_> =
            self.follows.keys().filter(|stream| !self.only_watches(stream)).cloned().collect();
        for stream in &streams {
            self.ask_again(stream);
        }
        self.gather(Purpose::Found { user: Default::default() }, action_id, streams, ctx);
    }

    /// Whether the session only looks on at something.
    pub(super) fn only_watches(&self, stream: &Stream) -> bool {
        self.follows.get(stream).is_some_and(|following| following.watched)
    }

    /// Takes in an answer.
    pub(super) fn answered(&mut self, action_id: Option<u64>, outcome: Outcome, ctx: &mut Context<Self>) {
        if action_id.is_some_and(|id| !self.machine.awaits(id)) {
            return; // it was sent twice, and the first answer is here
        }
        match outcome {
            Outcome::Rejected(rejection) => self.reject(&rejection, action_id, ctx),
            Outcome::Events(all) => {
                for (body, history_length) in all {
                    // `history_results` itself carries its length in its body.
                    let results = body.event() == "history_results";
                    let splice = Splice {
                        action_id,
                        history_length: history_length.filter(|_| !results),
                        ..Splice::default()
                    };
                    self.push(body, splice, None, None, ctx);
                }
            }
            Outcome::Value(mut value) => {
                let mut take = |name: &str| value.get_mut(name).map(serde_json::Value::take);
                if let Some(room) = take("video") {
                    self.discover_jitsi(action_id, room, ctx);
                } else if let Some(file) = take("file") {
                    self.describe_file(action_id, file, ctx);
                } else if let Some(upload) = take("upload") {
                    self.create_upload(action_id, upload, ctx);
                } else {
                    self.describe_queues(action_id, value, ctx);
                }
            }
            Outcome::Followed(stream, seq, body) => self.look_on(stream, seq, (body, action_id), ctx),
        }
    }

    /// A file has said what it is, and that the user may read it. Through a puppet, that is the puppet.
    fn describe_file(&mut self, action_id: Option<u64>, file: serde_json::Value, ctx: &mut Context<Self>) {
        let hub = self.hub.clone();
        let finding = async move { hub.file_found(file).await };
        ctx.spawn(finding.into_actor(self).map(move |found, actor, ctx| {
            match found {
                Ok(found) => actor.tell(Arc::new(Body::new(&found)), action_id, ctx),
                Err(rejection) => actor.reject(&rejection, action_id, ctx),
            }
            actor.flush(ctx);
        }));
    }

    /// A conversation has said that the user may send a file.
    fn create_upload(&mut self, action_id: Option<u64>, upload: serde_json::Value, ctx: &mut Context<Self>) {
        let (hub, file) = (self.hub.clone(), self.derive("file", action_id));
        let creating = async move { hub.upload_created(upload, file).await };
        ctx.spawn(creating.into_actor(self).map(move |created, actor, ctx| {
            match created {
                Ok(created) => actor.tell(Arc::new(Body::new(&created)), action_id, ctx),
                Err(rejection) => actor.reject(&rejection, action_id, ctx),
            }
            actor.flush(ctx);
        }));
    }

    /// The owner of a channel or a queue has said which room is its.
    fn discover_jitsi(&mut self, action_id: Option<u64>, room: serde_json::Value, ctx: &mut Context<Self>) {
        let jitsi = &self.hub.shared.options.jitsi;
        match serde_json::from_value::<Room>(room) {
            Ok(mut room) if !jitsi.domain.is_empty() => {
                let me = || (self.user.clone(), self.card.name.clone());
                let (user, name) = room.who.take().unwrap_or_else(me);
                let found = jitsi.discovered(&room, &user, name.as_deref(), crate::now());
                self.tell(Arc::new(Body::new(&found)), action_id, ctx);
            }
            _ => {
                let none = Rejection::new(ErrorType::ActionNotSupported).because("there is no Jitsi server");
                self.reject(&none, action_id, ctx);
            }
        }
    }

    /// A realm has said which queues it has: each is asked, and followed.
    fn describe_queues(&mut self, action_id: Option<u64>, value: serde_json::Value, ctx: &mut Context<Self>) {
        let (realm, queues, puppet) = match serde_json::from_value::<(Id, Vec<Id>)>(value.clone()) {
            Ok((realm, queues)) => (realm, queues, None),
            Err(_) => {
                let Ok((realm, queues, puppet)) = serde_json::from_value(value) else { return };
                (realm, queues, Some(puppet))
            }
        };
        let streams: Vec<_> = queues.iter().map(Stream::queue).collect();
        for stream in &streams {
            if !self.follows.contains_key(stream) {
                self.follows.insert(stream.clone(), Following { watched: true, ..Following::default() });
                self.follow(stream, None);
            } else if puppet.is_none() {
                self.ask_again(stream);
            }
        }
        match puppet {
            None => self.gather(Purpose::Queues { realm }, action_id, streams, ctx),
            Some(puppet) => self.describe_queues_to(puppet, action_id, realm, streams, ctx),
        }
    }

    /// What a puppet sees of a realm's queues. The session itself hears of their changes.
    fn describe_queues_to(
        &mut self,
        puppet: Id,
        action_id: Option<u64>,
        realm: Id,
        queues: Vec<Stream>,
        ctx: &mut Context<Self>,
    ) {
        let hub = self.hub.clone();
        let asking = async move {
            let asked = queues.into_iter().map(|queue| {
                let hub = hub.clone();
                let order = serde_json::json!({"Seen": {"user": puppet}});
                async move { (queue.id.clone(), hub.ask(queue, order).await) }
            });
            // One that is gone by now is left out.
            let seen = futures_util::future::join_all(asked).await.into_iter();
            seen.filter_map(|(queue, summary)| match summary {
                Ok(serde_json::Value::Object(mut summary)) if !summary.is_empty() => {
                    summary.remove("realm_id");
                    Some((queue.to_string(), summary.into()))
                }
                _ => None,
            })
            .collect()
        };
        ctx.spawn(asking.into_actor(self).map(move |realm_queues, actor, ctx| {
            let found = events::RealmQueuesFound { realm_id: realm, realm_queues };
            actor.tell(Arc::new(Body::new(&found)), action_id, ctx);
            actor.flush(ctx);
        }));
    }
}
