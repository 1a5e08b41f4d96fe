//! Actions on their way: each waits here for its reply, and is sent again if that does not come.
//!
//! All actions of a session on one stream go one way at a time, in their order. When the stream's owner
//! changes, or a letter got lost, all that have no reply go again, in the same order: their owner
//! recognises what took effect before.

use super::SessionActor;
use crate::letter::{Act, Job};
use actix::prelude::*;
use levee_domain::view::Stream;
use levee_proto::{Action, ConversationAction, ErrorType, Id, Rejection};
use std::time::{Duration, Instant};

/// After how long without a reply an action is sent again.
const AGAIN: Duration = Duration::from_millis(1500);
/// How soon after it came to the wrong place.
const MOVED_AGAIN: Duration = Duration::from_millis(200);
/// For how long at all.
const PATIENCE: Duration = Duration::from_secs(30);

/// The actions on one stream that have no reply yet.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// Which node they were sent to.
    to: Option<Id>,
    acts: Vec<Sent>,
    sent: Option<Instant>,
    /// They will be sent again in a moment.
    again: bool,
}

#[derive(Debug)]
struct Sent {
    act: Act,
    since: Instant,
}

impl Lane {
    fn has(&self, action_id: u64) -> bool {
        self.acts.iter().any(|sent| sent.act.asker.action_id == Some(action_id))
    }
}

/// Whether what an action does is kept in its stream, so that others can be told to come after it.
fn is_kept(act: &Act) -> bool {
    match &act.action {
        Some(Action::Conversation(ConversationAction::SendMessage(send))) => send.message_ttl.is_none(),
        action => matches!(action, Some(Action::Conversation(ConversationAction::SendFile(_)))),
    }
}

/// Whether an action may be sent twice: what is not kept is not recognised.
fn may_repeat(act: &Act) -> bool {
    !matches!(&act.action,
        Some(Action::Conversation(ConversationAction::SendMessage(send))) if send.message_ttl.is_some())
}

impl SessionActor {
    /// Sends an action to the owner of its stream.
    pub(super) fn send_act(&mut self, stream: Stream, mut act: Act) {
        let Some(action_id) = act.asker.action_id.filter(|_| may_repeat(&act)) else {
            return self.hub.route(stream, Job::Act(Box::new(act)));
        };
        let owner = self.hub.shared.placement.owner(stream.shard()).map(|owner| owner.node);
        if self.lanes.get(&stream).is_some_and(|lane| lane.has(action_id)) {
            return; // a retry of what is on its way
        }
        let sure = self.hub.is_sure();
        let lane = self.lanes.or_default(&stream);
        act.after =
            lane.acts.iter().rev().find(|sent| is_kept(&sent.act)).and_then(|sent| sent.act.asker.action_id);
        let first = lane.acts.is_empty();
        let now = Instant::now();
        lane.acts.push(Sent { act: act.clone(), since: now });
        if first {
            (lane.to, lane.sent) = (owner.clone(), Some(now));
        }
        if lane.to == owner && !lane.again && sure {
            if owner.is_some() {
                self.hub.route(stream, Job::Act(Box::new(act)));
            }
        } else {
            self.send_again(&stream);
        }
        self.look_soon();
    }

    /// An action has its reply.
    pub(super) fn replied(&mut self, action_id: u64) {
        let Some(stream) =
            self.lanes.iter().find(|(_, lane)| lane.has(action_id)).map(|(stream, _)| stream.clone())
        else {
            return;
        };
        if let Some(lane) = self.lanes.get_mut(&stream) {
            lane.acts.retain(|sent| sent.act.asker.action_id != Some(action_id));
            if lane.acts.is_empty() {
                self.lanes.remove(&stream);
            }
        }
    }

    /// An action came to a node that does not own its stream.
    pub(super) fn moved(&mut self, action_id: u64, ctx: &mut Context<Self>) {
        let Some(stream) =
            self.lanes.iter().find(|(_, lane)| lane.has(action_id)).map(|(stream, _)| stream.clone())
        else {
            return;
        };
        if let Some(lane) = self.lanes.get_mut(&stream)
            && !std::mem::replace(&mut lane.again, true)
        {
            ctx.run_later(MOVED_AGAIN, move |actor, _| actor.send_again(&stream));
        }
    }

    fn send_again(&mut self, stream: &Stream) {
        let owner = self.hub.shared.placement.owner(stream.shard()).map(|owner| owner.node);
        let Some(lane) = self.lanes.get_mut(stream) else { return };
        lane.again = false;
        lane.sent = Some(Instant::now());
        if !self.hub.is_sure() {
            // Another node may have taken the session: what it sends could take effect a second time.
            lane.to = None;
            return;
        }
        lane.to.clone_from(&owner);
        if owner.is_none() {
            return; // until there is one
        }
        self.hub.shared.metrics.sent_again.inc_by(lane.acts.len() as u64);
        let mut after = None;
        let mut acts = Vec::with_capacity(lane.acts.len());
        for sent in &mut lane.acts {
            // Those before it that have their replies are no matter any more.
            sent.act.after = after;
            if is_kept(&sent.act) {
                after = sent.act.asker.action_id;
            }
            acts.push(sent.act.clone());
        }
        for act in acts {
            self.hub.route(stream.clone(), Job::Act(Box::new(act)));
        }
    }

    /// Looks after actions that have no reply yet.
    pub(super) fn look_after_acts(&mut self, ctx: &mut Context<Self>) {
        if self.lanes.is_empty() {
            return;
        }
        let (mut late, mut hopeless) = (Vec::new(), Vec::new());
        for (stream, lane) in self.lanes.iter() {
            let owner = self.hub.shared.placement.owner(stream.shard()).map(|owner| owner.node);
            let lost =
                |sent: Instant| sent.elapsed() >= AGAIN || self.hub.lost.get().is_some_and(|at| sent < at);
            if owner != lane.to || lane.sent.is_none_or(lost) {
                late.push(stream.clone());
            }
            let given_up = lane.acts.iter().filter(|sent| sent.since.elapsed() >= PATIENCE);
            hopeless.extend(given_up.filter_map(|sent| sent.act.asker.action_id));
        }
        for action_id in hopeless {
            self.hub.shared.metrics.drop("no_reply");
            let rejection = Rejection::new(ErrorType::Internal).because("no answer in time; try again");
            self.reject(&rejection, Some(action_id), ctx);
        }
        for stream in late {
            self.send_again(&stream);
        }
        self.look_soon();
        self.flush(ctx);
    }
}
