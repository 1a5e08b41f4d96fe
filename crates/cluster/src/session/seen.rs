//! What a session sees of the streams that it follows.

use super::target::absent;
use super::{Announce, CloseReason, Following, SessionActor};
use crate::letter::Attached;
use crate::publish::Shown;
use actix::prelude::*;
use levee_domain::Command;
use levee_domain::user::PUPPET;
use levee_domain::view::{Effect, Kind, Stream, roles};
use levee_proto::attrs::UserAttrs;
use levee_proto::envelope::Splice;
use levee_proto::{Body, Text};
use std::sync::Arc;

impl SessionActor {
    /// Takes in what is seen of a stream.
    pub(super) fn seen(&mut self, stream: &Stream, seq: u64, shown: Vec<Shown>, ctx: &mut Context<Self>) {
        // Of several events of one record, each may answer.
        let is_known = self.machine.position(stream).is_some_and(|position| seq <= position);
        for item in shown {
            // An owner that was asked twice answers twice.
            if let Some(action_id) = item.action_id.filter(|id| seq > 0 && !self.machine.awaits(*id))
                && is_known
            {
                tracing::debug!(session = %self.id, action_id, "a reply came again");
                continue;
            }
            match item.effect {
                Effect::None | Effect::Become(_) | Effect::LookOn => {}
                Effect::Follow { stream: other, from, command } => {
                    self.enter(other, from, command, item.body);
                    continue;
                }
                Effect::Quit { stream: other } => {
                    if self.hub.roles_in(&other, &self.id).is_some_and(|has| has & roles::MEMBER == 0) {
                        // Whoever went on from a queue before its owner has answered was in it all the same.
                        self.announce(&other, None, ctx);
                        self.quit(&other);
                    }
                }
                // What was not heard of that, the stream's owner still tells.
                Effect::Left { stream: other } if self.follows.contains_key(&other) => self.ask_again(&other),
                Effect::Left { stream: other } => self.machine.leave(&other),
                Effect::Leave => {
                    self.follows.remove(stream);
                    self.read.remove(&stream.id);
                }
                Effect::End => {
                    if let Some(body) = item.body {
                        self.tell(body, item.action_id, ctx);
                        self.flush(ctx);
                    }
                    return self.end(None, CloseReason::Closed, false, ctx);
                }
            }
            let Some(body) = item.body else { continue };
            match (stream.kind, body.event()) {
                // The card that goes with actions must follow.
                (Kind::User, "user_updated") => self.ask_again(stream),
                // A puppet waits now, for whom queues were watched.
                (Kind::User, "audience_enqueued") => self.stop_watching(),
                _ => {}
            }
            let mark = (seq > 0).then_some((stream, seq));
            let splice = Splice { action_id: item.action_id, ..Splice::default() };
            self.push(body, splice, item.message_type.as_deref(), mark, ctx);
        }
        if seq > 0 && !self.flags.ended {
            self.machine.mark(stream, seq);
            self.enter_unheard(ctx);
        }
        self.note_dirty();
        self.flush(ctx);
    }

    pub(super) fn note_dirty(&mut self) {
        if !self.flags.dirty && self.machine.has_changed_cursors() {
            self.flags.dirty = true;
            self.look_soon();
        }
    }

    /// The user entered a stream: the session follows it, and announces that.
    pub(super) fn enter(
        &mut self,
        stream: Stream,
        seq: u64,
        command: Option<Command>,
        otherwise: Option<Arc<Body>>,
    ) {
        let known = self.follows.get(&stream).map(|following| following.entered);
        if known.is_some_and(|entered| entered >= seq) {
            return; // announced already, or about to be
        }
        self.follows.insert(
            stream.clone(),
            Following {
                entered: seq,
                announce: Some(Box::new(Announce { command, otherwise })),
                watched: false,
            },
        );
        if known.is_some() {
            self.ask_again(&stream);
        } else {
            self.follow(&stream, Some(seq));
        }
    }

    /// Follows a stream without announcing it.
    pub(super) fn follow(&mut self, stream: &Stream, after: Option<u64>) {
        self.follows.or_default(stream);
        let attach = self.hub.attaching(&self.id, &self.user);
        self.hub.follow(stream, attach, after);
    }

    /// Asks a stream's owner once more how it stands.
    pub(super) fn ask_again(&self, stream: &Stream) {
        let attach = self.hub.attaching(&self.id, &self.user);
        self.hub.ask_again(stream, attach);
    }

    pub(super) fn quit(&mut self, stream: &Stream) {
        self.follows.remove(stream);
        self.machine.forget(stream);
        self.hub.unfollow(stream, &self.id);
    }

    fn queues_watched(&self) -> impl Iterator<Item = &Stream> {
        let watched = self.follows.iter().filter(|(_, following)| following.watched);
        watched.map(|(stream, _)| stream).filter(|stream| stream.kind == Kind::Queue)
    }

    /// The channels that it looks on at, each with the record after which.
    pub(super) fn looks_on(&self) -> Vec<(Text, u64)> {
        let watched = self
            .follows
            .iter()
            .filter(|(stream, following)| following.watched && stream.kind == Kind::Conversation);
        watched.map(|(stream, following)| (stream.key(), following.entered)).collect()
    }

    /// The session may look on at a channel: so it does, and its client hears of it as soon as that is kept.
    pub(super) fn look_on(
        &mut self,
        stream: Stream,
        seq: u64,
        answer: (Arc<Body>, Option<u64>),
        ctx: &mut Context<Self>,
    ) {
        if !self.follows.contains_key(&stream) {
            let following = Following { entered: seq, watched: true, ..Following::default() };
            self.follows.insert(stream.clone(), following);
            self.follow(&stream, Some(seq));
        }
        self.unsaved.push(answer);
        self.flags.dirty = true;
        self.look_soon();
        self.save(None, ctx);
    }

    pub(super) fn attached(&mut self, attached: Attached, ctx: &mut Context<Self>) {
        let stream = attached.stream.clone();
        if stream == Stream::user(&self.user) {
            if let Some(card) = attached.summary.get("user_attrs") {
                let card = serde_json::from_value::<UserAttrs>(card.clone()).unwrap_or_default();
                if self.connected && card.connected.is_none() {
                    // What was told of that got lost.
                    self.tell_presence(true);
                }
                self.card = self.hub.alike.card(card);
                let puppet = attached.summary.get(PUPPET).cloned();
                self.puppet = puppet.and_then(|puppet| serde_json::from_value(puppet).ok());
            }
            self.born(&attached, ctx);
        }
        // Whoever was taken from a queue before this answer came has quit it already, in vain. Members part by a record of
        // the stream itself, which comes next and is shown.
        let waited = self.follows.get(&stream).and_then(|following| following.announce.as_ref());
        let waited = waited.is_some_and(|announce| announce.otherwise.is_some());
        let announces = self.announce(&stream, attached.entry.clone(), ctx);
        if let Some(latest) = &attached.latest
            && !announces
            && self.follows.contains_key(&stream)
            && attached.roles != 0
            && self.gathers.is_empty()
        {
            self.latest(stream.key(), latest.clone(), ctx);
        }
        let is_out = waited && attached.entry.is_none() && attached.roles & roles::MEMBER == 0;
        if is_out || attached.roles == 0 && !self.hears_the_end(&stream) {
            self.quit(&stream);
        }
        self.gathered(attached, ctx);
        self.note_dirty();
        self.flush(ctx);
    }

    /// Tells of a stream that the user has entered, unless that was told: what its owner says of that, or else what
    /// goes with it. Says whether it was to be told.
    fn announce(&mut self, stream: &Stream, entry: Option<Arc<Body>>, ctx: &mut Context<Self>) -> bool {
        let Some(following) = self.follows.get_mut(stream) else { return false };
        let Some(announce) = following.announce.take() else { return false };
        let entered = following.entered;
        match stream.kind {
            Kind::Conversation => self.announce_waits(ctx),
            Kind::Queue => self.stop_watching(),
            Kind::User | Kind::Realm | Kind::File => {}
        }
        let Announce { command, otherwise } = *announce;
        let action_id = command.filter(|c| c.session == self.id).map(|c| c.action_id);
        match entry.or(otherwise) {
            Some(body) => {
                let splice = Splice { action_id, ..Splice::default() };
                self.push(body, splice, None, Some((stream, entered)), ctx);
            }
            // In and out again before it could be told: the action has an answer all the same, unless it had one.
            None if action_id.is_some_and(|id| !self.machine.has_answered(id)) => {
                self.reject(&absent(stream), action_id, ctx);
            }
            None => {}
        }
        true
    }

    /// Tells of the places in queues whose owners have not answered yet: a customer hears of one before they are met.
    fn announce_waits(&mut self, ctx: &mut Context<Self>) {
        let has_own =
            |following: &Following| following.announce.as_ref().is_some_and(|of| of.otherwise.is_some());
        let waits = self.follows.iter().filter(|(_, following)| has_own(following));
        for queue in waits.map(|(stream, _)| stream.clone()).collect::<Vec<_>>() {
            self.announce(&queue, None, ctx);
        }
    }

    /// Whether the session, whose user is out of a stream, is still to hear how that came.
    fn hears_the_end(&self, stream: &Stream) -> bool {
        let Some(following) = self.follows.get(stream) else { return false };
        let had = if following.watched { roles::WATCHER } else { roles::MEMBER };
        self.hub.show_end(stream, &self.id, had)
    }

    /// Watching a realm's queues ends when an audience is requested.
    pub(super) fn stop_watching(&mut self) {
        let watched: Vec<_> = self.queues_watched().cloned().collect();
        for stream in watched {
            self.quit(&stream);
        }
    }

    /// The latest value of something goes out at once, or is held while nobody can take it.
    pub(super) fn latest(&mut self, key: Text, body: Arc<Body>, ctx: &mut Context<Self>) {
        self.machine.hold_latest(key, body);
        self.flush(ctx);
    }
}
