//! Following: which sessions of this hub follow which streams, and how far each has come.
//!
//! Each follower has its own next sequence. What arrives in order is shown at once; after a gap, or
//! when a session comes back, the missing records are read from the store. A publish is never needed
//! for truth, only for speed.

mod behind;

use crate::hub::Hub;
use crate::letter::{Attach, Attached, Job, Letter, LineUp, Outcome, Publish, Seat};
use crate::publish::Shown;
use crate::session::{SessionActor, SessionMessage};
use actix::prelude::*;
use levee_domain::view::{Effect, Stream, View, roles::Roles};
use levee_domain::{Command, roles};
use levee_proto::{Body, Id};
use levee_store::Shard;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

/// How many records one read brings.
const PAGE: usize = 200;
/// Customers up to this position hear of every move at once.
pub(crate) const FIRST: usize = 10;

/// The follow lists of a hub.
#[derive(Default)]
pub(crate) struct Follows {
    /// Streams that sessions here follow.
    streams: RefCell<HashMap<Stream, Follow>>,
    /// Other hubs that follow streams of entities here.
    elsewhere: RefCell<HashMap<Stream, Vec<Seat>>>,
}

/// A stream that is followed.
#[derive(Default)]
struct Follow {
    /// The last sequence that was heard of.
    head: u64,
    followers: Vec<Follower>,
}

/// A session that follows a stream.
struct Follower {
    session: Id,
    /// Shared with the hub's list: an address is some hundred bytes large.
    address: Rc<Addr<SessionActor>>,
    user: Id,
    roles: Roles,
    /// The next record to show; 0 means whatever comes after the head at the time of attaching.
    next: u64,
    /// Waits for the owner's answer.
    asking: bool,
    /// Asked once more how the stream stands, while what comes is shown as before.
    unsure: bool,
    /// Reads from the store.
    reading: bool,
    /// Its user is out of the stream, says the owner, and it has not heard how: it is shown what it missed up to
    /// that, and nothing of what came after.
    leaving: bool,
    /// The position in a queue that was shown last.
    position: u64,
}

impl Follows {
    /// Notes that another hub follows a stream of an entity here.
    pub(crate) fn follow_from(&self, stream: &Stream, seat: &Seat, own: &Seat) {
        if seat != own {
            let mut elsewhere = self.elsewhere.borrow_mut();
            let seats = elsewhere.entry(stream.clone()).or_default();
            if !seats.contains(seat) {
                seats.push(seat.clone());
            }
        }
    }

    /// Notes that another hub follows a stream no more.
    pub(crate) fn detached(&self, stream: &Stream, seat: &Seat) {
        let mut elsewhere = self.elsewhere.borrow_mut();
        if let Some(seats) = elsewhere.get_mut(stream) {
            seats.retain(|other| other != seat);
            if seats.is_empty() {
                elsewhere.remove(stream);
            }
        }
    }

    /// Forgets the hubs of nodes that are gone: they follow nothing any more, and did not say so.
    pub(crate) fn forget(&self, gone: &[Id]) {
        self.elsewhere.borrow_mut().retain(|_, seats| {
            seats.retain(|seat| !gone.contains(&seat.node));
            !seats.is_empty()
        });
    }

    /// The streams of some shards that sessions here follow.
    pub(crate) fn of_shards(&self, shards: &[Shard]) -> Vec<Stream> {
        let streams = self.streams.borrow();
        streams.keys().filter(|stream| shards.binary_search(&stream.shard()).is_ok()).cloned().collect()
    }

    /// The other hubs that follow a stream of an entity here.
    pub(crate) fn seats(&self, stream: &Stream) -> Vec<Seat> {
        self.elsewhere.borrow().get(stream).cloned().unwrap_or_default()
    }

    fn with<T>(&self, stream: &Stream, session: &Id, f: impl FnOnce(&mut Follower) -> T) -> Option<T> {
        let mut streams = self.streams.borrow_mut();
        streams.get_mut(stream)?.followers.iter_mut().find(|f| f.session == *session).map(f)
    }
}

impl Hub {
    /// A session begins to follow a stream, from the record after `after`; without one, from now on.
    pub(crate) fn follow(self: &Rc<Self>, stream: &Stream, attach: Attach, after: Option<u64>) {
        let Some(address) = self.sessions.borrow().get(&attach.session).cloned() else { return };
        {
            let mut streams = self.follows.streams.borrow_mut();
            let follow = streams.entry(stream.clone()).or_default();
            if !follow.followers.iter().any(|f| f.session == attach.session) {
                if follow.followers.is_empty() {
                    // Most streams have one or two followers, and there are many streams.
                    follow.followers.reserve_exact(1);
                }
                follow.followers.push(Follower {
                    session: attach.session.clone(),
                    address,
                    user: attach.user.clone(),
                    roles: 0,
                    next: after.map_or(0, |seq| seq + 1),
                    asking: true,
                    unsure: false,
                    reading: false,
                    leaving: false,
                    position: 0,
                });
            }
        }
        self.route(stream.clone(), Job::Attach(attach));
    }

    /// A session follows a stream no more.
    pub(crate) fn unfollow(self: &Rc<Self>, stream: &Stream, session: &Id) {
        let gone = {
            let mut streams = self.follows.streams.borrow_mut();
            let Some(follow) = streams.get_mut(stream) else { return };
            follow.followers.retain(|f| f.session != *session);
            follow.followers.is_empty() && streams.remove(stream).is_some()
        };
        if gone {
            self.detach(stream);
        }
    }

    fn detach(self: &Rc<Self>, stream: &Stream) {
        let shard = stream.shard();
        let Some(owner) = self.shared.placement.owner(shard) else { return };
        let seat = Seat { node: owner.node, arbiter: self.shared.arbiter(shard) };
        if seat != self.seat {
            self.send(&seat, Letter::Detach(stream.clone(), self.seat.clone()));
        }
    }

    /// The session's roles in a stream, if it follows it.
    pub(crate) fn roles_in(&self, stream: &Stream, session: &Id) -> Option<Roles> {
        self.follows.with(stream, session, |f| f.roles)
    }

    /// The owner's answer to a session that begins to follow.
    pub(crate) fn attached(self: &Rc<Self>, attached: Attached) {
        let stream = attached.stream.clone();
        let session = attached.session.clone();
        let address = {
            let mut streams = self.follows.streams.borrow_mut();
            let follow = streams.get_mut(&stream);
            match follow {
                Some(follow) => {
                    follow.head = follow.head.max(attached.head);
                    let found = follow.followers.iter_mut().find(|f| f.session == session);
                    found.map(|follower| {
                        follower.asking = false;
                        follower.unsure = false;
                        follower.roles = attached.roles;
                        if follower.next == 0 {
                            follower.next = attached.head + 1;
                        }
                        follower.leaving = attached.roles == 0 && follower.next <= attached.head;
                        follower.address.clone()
                    })
                }
                None => None,
            }
        };
        // A session may also ask about what it does not follow.
        let address = address.or_else(|| self.sessions.borrow().get(&session).cloned());
        let Some(address) = address else { return };
        if address.try_send(SessionMessage::Attached(Box::new(attached))).is_err() {
            self.shared.metrics.drop("session_mailbox");
            self.follows.with(&stream, &session, |follower| follower.unsure = true);
        }
        self.catch_up(&stream, &session);
    }

    /// Shows a publish to the followers here, and to whoever waits for it as an answer.
    pub(crate) fn see(self: &Rc<Self>, publish: &Publish) {
        let mut served = false;
        let mut behind = Vec::new();
        let mut leaving = Vec::new();
        {
            let mut streams = self.follows.streams.borrow_mut();
            if let Some(follow) = streams.get_mut(&publish.stream) {
                if publish.seq > 0 {
                    follow.head = follow.head.max(publish.seq);
                }
                for follower in &mut follow.followers {
                    let asks = publish.asker.as_ref().is_some_and(|asker| asker.id == follower.session);
                    if publish.seq == 0 {
                        if follower.is_in() {
                            served |= asks;
                            follower.show(publish);
                        }
                        continue;
                    }
                    if publish.seq < follower.next && !follower.asking {
                        // It was shown before. Who asks again gets it again.
                        continue;
                    }
                    served |= asks;
                    if !follower.is_in() || follower.reading {
                        continue;
                    }
                    if publish.seq > follower.next {
                        behind.push(follower.session.clone());
                        continue;
                    }
                    match follower.show(publish) {
                        Some(leaves) => {
                            follower.next = publish.seq + 1;
                            if leaves {
                                leaving.push(follower.session.clone());
                            }
                        }
                        // Its mailbox is full: it gets this from the store.
                        None => behind.push(follower.session.clone()),
                    }
                }
            }
        }
        for session in leaving {
            self.unfollow(&publish.stream, &session);
        }
        for session in behind {
            self.catch_up(&publish.stream, &session);
        }
        if let (Some(asker), false) = (&publish.asker, served)
            && asker.seat == self.seat
        {
            let view = publish.views.iter().find(|view| view.answers);
            if let Some((view, body)) = view.and_then(|view| Some((view, view.body.clone()?))) {
                let outcome = match view.effect {
                    Effect::LookOn => Outcome::Followed(publish.stream.clone(), publish.seq, body),
                    _ => Outcome::Events(vec![(body, None)]),
                };
                self.answer(asker.clone(), outcome);
            }
        }
    }

    /// Tells those who wait their positions, members and watchers how long the line is.
    pub(crate) fn line_up(self: &Rc<Self>, line: &LineUp) {
        let mut streams = self.follows.streams.borrow_mut();
        let Some(follow) = streams.get_mut(&line.stream) else { return };
        let positions: HashMap<&Id, u64> =
            line.users.iter().enumerate().map(|(at, user)| (user, at as u64 + 1)).collect();
        for follower in follow.followers.iter_mut().filter(|f| f.is_in()) {
            let body = match positions.get(&follower.user) {
                Some(position) if *position != follower.position => {
                    follower.position = *position;
                    let mut event = line.waiting.clone();
                    event.queue_position = Some(*position);
                    Arc::new(Body::new(&event))
                }
                Some(_) => continue,
                None if follower.roles & roles::MEMBER != 0 => match &line.own {
                    Some((user, own)) if *user == follower.user => own.clone(),
                    _ => line.members.clone(),
                },
                None if line.full && follower.position == 0 => line.watchers.clone(),
                None => continue,
            };
            let latest = SessionMessage::Latest(line.stream.key(), body);
            if follower.address.try_send(latest).is_err() {
                // The next line brings the latest value.
                follower.position = 0;
                self.shared.metrics.drop("session_mailbox");
            }
        }
    }

    /// A session asks once more how a stream stands.
    pub(crate) fn ask_again(self: &Rc<Self>, stream: &Stream, attach: Attach) {
        self.follows.with(stream, &attach.session, |follower| follower.unsure = true);
        self.route(stream.clone(), Job::Attach(attach));
    }

    /// Asks again where an answer is overdue.
    pub(crate) fn retry_attaching(self: &Rc<Self>) {
        if self.ticks.get().is_multiple_of(2) {
            self.attach_again(|_, follower| follower.asking || follower.unsure);
        }
    }

    /// Attaches all followers of some streams again: their owners changed, or letters were lost.
    pub(crate) fn attach_all_again(self: &Rc<Self>, which: impl Fn(&Stream) -> bool) {
        self.attach_again(|stream, _| which(stream));
    }

    fn attach_again(self: &Rc<Self>, which: impl Fn(&Stream, &Follower) -> bool) {
        let mut again = Vec::new();
        for (stream, follow) in self.follows.streams.borrow_mut().iter_mut() {
            for follower in follow.followers.iter_mut().filter(|f| which(stream, f)) {
                // This question, too, or its answer may get lost.
                follower.unsure = true;
                let attach = Attach {
                    seat: self.seat.clone(),
                    session: follower.session.clone(),
                    user: follower.user.clone(),
                };
                again.push((stream.clone(), attach));
            }
        }
        for (stream, attach) in again {
            self.route(stream, Job::Attach(attach));
        }
    }
}

impl Follower {
    /// Whether its owner has said that it is in the stream.
    fn is_in(&self) -> bool {
        !self.asking && !self.leaving
    }

    /// Shows a publish. `None` if the session's mailbox is full; else whether it leaves the stream.
    fn show(&mut self, publish: &Publish) -> Option<bool> {
        let mut shown = Vec::new();
        let mut leaves = false;
        let mut becomes = None;
        for view in publish.views.iter().filter(|view| view.to.means(&self.user, &self.session, self.roles)) {
            match &view.effect {
                Effect::Leave => leaves = true,
                Effect::Become(roles) => becomes = Some(*roles),
                Effect::None
                | Effect::Follow { .. }
                | Effect::Quit { .. }
                | Effect::Left { .. }
                | Effect::LookOn
                | Effect::End => {}
            }
            shown.push(Shown {
                body: view.body.clone(),
                action_id: answers(view, publish, &self.session),
                message_type: view.message_type.clone(),
                effect: view.effect.clone(),
            });
        }
        if !shown.is_empty() {
            let seen = SessionMessage::Seen(publish.stream.clone(), publish.seq, shown);
            self.address.try_send(seen).ok()?;
        }
        if let Some(roles) = becomes {
            self.roles = roles;
        }
        Some(leaves)
    }
}

/// The session's action that a view answers.
fn answers(view: &View, publish: &Publish, session: &Id) -> Option<u64> {
    if !view.answers {
        return None;
    }
    let of = |command: &Command| (command.session == *session).then_some(command.action_id);
    view.command.as_ref().and_then(of).or_else(|| publish.command.as_ref().and_then(of)).or_else(|| {
        // What is not stored has no command.
        publish.asker.as_ref().filter(|asker| asker.id == *session)?.action_id
    })
}
