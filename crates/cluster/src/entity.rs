//! The one actor around every machine that is an entity: user, realm, queue, conversation, file.
//!
//! It loads the machine, decides what waits in its inbox against the state so far, commits all of it
//! at once, and only then answers and publishes. Nothing is decided while a commit is under way.

mod batch;
mod commit;
mod forwards;
mod look;
pub(crate) mod timers;

use crate::hub::Hub;
use crate::letter::{AskedOutcome, Asker, Attached, Job, Letter, LineUp, Outcome};
use crate::{hooks, outbox, realms};
use actix::prelude::*;
use forwards::{Forward, Forwards};
use levee_domain::machine::{Machine, Timer};
use levee_domain::view::{Kind, Stream};
use levee_domain::{Entity, conversation::Conversation, file::File, queue::Queue, realm::Realm, user::User};
use levee_proto::{ErrorType, Id, Rejection};
use levee_store::{Epoch, StoreError};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How many jobs may wait for one entity.
const INBOX: usize = 8192;
/// How many jobs may wait in its mailbox, before the inbox takes them.
const MAILBOX: usize = 1024;
/// After how many records a snapshot is taken.
const SNAPSHOT_EVERY: u64 = 256;
/// After how long a forward that was not confirmed is sent again.
const FORWARD_AGAIN: Duration = Duration::from_secs(2);
/// How long an answer waits for the lease to be renewed before that is looked at again.
const LEASE_AGAIN: Duration = Duration::from_millis(100);
/// How often members hear of a queue's line at most.
const LINE_EVERY: Duration = Duration::from_millis(200);
/// How often everybody in it does.
const FULL_LINE_EVERY: Duration = Duration::from_secs(2);

/// What comes to an entity.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) enum EntityMessage {
    /// Something to do.
    Job(Job),
    /// Nobody needed it for a while.
    Sleep,
    /// Its shard is another node's now.
    Lost,
}

/// Starts the entity of a stream on this thread.
pub(crate) fn start(hub: Rc<Hub>, stream: Stream) -> Recipient<EntityMessage> {
    match stream.kind {
        Kind::User => EntityActor::<User>::open(hub, stream),
        Kind::Realm => EntityActor::<Realm>::open(hub, stream),
        Kind::Queue => EntityActor::<Queue>::open(hub, stream),
        Kind::Conversation => EntityActor::<Conversation>::open(hub, stream),
        Kind::File => EntityActor::<File>::open(hub, stream),
    }
}

/// The actor.
pub(crate) struct EntityActor<M: Machine> {
    hub: Rc<Hub>,
    stream: Stream,
    entity: Entity<M>,
    inbox: VecDeque<Job>,
    /// Loads or commits: nothing is decided meanwhile.
    busy: bool,
    /// Its shard is another node's now: it stops as soon as it is not busy.
    lost: bool,
    /// The epoch under which it was loaded.
    epoch: Option<Epoch>,
    forwards: Forwards,
    /// It looks after them.
    watching: bool,
    /// When its timers ring.
    timers: BTreeMap<Timer, u64>,
    snapshot_at: u64,
    /// The first job in the inbox was refused once, by a copy of the realm that was read before it came.
    rechecked: bool,
    /// What was read for the first job in the inbox.
    looked: Option<look::Looked>,
    line: LineClock,
}

/// When a queue's line was told last, and whether there is news.
#[derive(Default)]
struct LineClock {
    news: bool,
    news_for_all: bool,
    armed: bool,
    told: Option<Instant>,
    told_all: Option<Instant>,
}

impl<M: Machine> EntityActor<M> {
    fn open(hub: Rc<Hub>, stream: Stream) -> Recipient<EntityMessage> {
        let actor = Self {
            hub,
            stream,
            entity: Entity::default(),
            inbox: VecDeque::new(),
            busy: true,
            lost: false,
            epoch: None,
            forwards: Forwards::default(),
            watching: false,
            timers: BTreeMap::new(),
            snapshot_at: 0,
            rechecked: false,
            looked: None,
            line: LineClock::default(),
        };
        let address = Self::create(|ctx| {
            ctx.set_mailbox_capacity(MAILBOX);
            actor
        });
        address.recipient()
    }

    fn epoch_now(&self) -> Option<Epoch> {
        self.hub.shared.placement.epoch(self.stream.shard(), &self.hub.shared.node)
    }

    /// Reads the state anew: at the start, and whenever what is in memory may be wrong.
    fn load(&mut self, ctx: &mut Context<Self>) {
        self.busy = true;
        self.looked = None;
        self.epoch = self.epoch_now();
        let (store, stream) = (self.hub.store(), self.stream.clone());
        let loading = async move {
            let entity = realms::load::<M>(&stream, &*store).await?;
            let open = store.open(&stream.key()).await?;
            Ok::<_, StoreError>((entity, open))
        };
        ctx.spawn(loading.into_actor(self).map(|loaded, actor, ctx| match loaded {
            Ok((entity, open)) => {
                actor.snapshot_at = entity.seq;
                actor.entity = entity;
                actor.busy = false;
                actor.restore_timers(&open);
                actor.restore_forwards(open);
                actor.watch_forwards(ctx);
                actor.drain(ctx);
            }
            Err(StoreError::Damaged(reason)) => {
                tracing::error!(stream = %actor.stream, reason, "the entity can't be loaded");
                actor.refuse_all(&Rejection::new(ErrorType::Internal).because("it can't be loaded"));
                ctx.stop();
            }
            Err(error) => {
                tracing::warn!(stream = %actor.stream, %error, "loading failed; trying again");
                ctx.run_later(Duration::from_millis(500), |actor, ctx| actor.load(ctx));
            }
        }));
    }

    fn restore_forwards(&mut self, open: Vec<levee_store::AgendaItem>) {
        let items: Vec<_> =
            open.into_iter().filter(|item| !timers::is_timer(item) && !outbox::is_mail(item)).collect();
        let (hooks, items): (Vec<_>, Vec<_>) = items.into_iter().partition(hooks::is_hook);
        self.hub.take_up_hooks(&hooks);
        self.forwards = Forwards::restore(items);
        self.send_forwards();
    }

    /// Sends the first open forward to each receiver (again).
    fn send_forwards(&mut self) {
        for (key, forward) in self.forwards.under_way() {
            self.send_forward(key, forward);
        }
    }

    fn send_forward(&self, key: Id, Forward { to, order, .. }: Forward) {
        self.hub.route(to, Job::Forward { from: self.stream.clone(), key, order });
    }

    /// A forward has arrived: what waited for that may go.
    fn confirmed(&mut self, to: &Stream, key: &Id) {
        let Some(next) = self.forwards.confirm(to, key) else { return };
        self.hub.confirmed.borrow_mut().push((self.stream.shard(), self.stream.key(), key.clone()));
        for (key, forward) in next {
            self.send_forward(key, forward);
        }
    }

    /// Takes jobs into the inbox, or refuses them if that is full.
    fn take(&mut self, job: Job, ctx: &mut Context<Self>) {
        if let Job::Confirmed { to, key } = &job {
            return self.confirmed(to, key);
        }
        if let Job::Wake = &job {
            return self.drain(ctx);
        }
        if self.inbox.len() >= INBOX {
            self.hub.shared.metrics.drop("entity_inbox");
            return self.refuse(&job, Rejection::new(ErrorType::SendRateLimited).because("too much at once"));
        }
        self.inbox.push_back(job);
        self.drain(ctx);
    }

    /// Decides what waits, batch by batch, until a batch has something to commit.
    fn drain(&mut self, ctx: &mut Context<Self>) {
        if self.lost && !self.busy {
            return self.fenced(Vec::new(), ctx);
        }
        if !self.busy {
            self.ring();
        }
        if !self.busy && !self.inbox.is_empty() {
            match self.epoch_now() {
                None => return self.fenced(Vec::new(), ctx),
                // The shard was elsewhere meanwhile: what is in memory may be outdated.
                now if now != self.epoch => return self.load(ctx),
                Some(_) => {}
            }
        }
        while !self.busy && !self.inbox.is_empty() {
            let batch = self.decide(ctx);
            if batch.is_empty() {
                return;
            }
            self.busy = true;
            if batch.has_changes() {
                self.commit(batch, ctx);
            } else if self.hub.shared.has_lease() {
                self.finish(batch, ctx);
            } else {
                // Another node may have decided something since: an answer that no commit confirms
                // could be wrong.
                self.again(batch.jobs());
                ctx.run_later(LEASE_AGAIN, |actor, ctx| {
                    actor.busy = false;
                    actor.drain(ctx);
                });
            }
        }
    }

    /// Reads the realm anew, then goes on.
    fn refresh_realm(&mut self, realm: Id, ctx: &mut Context<Self>) {
        self.busy = true;
        let hub = self.hub.clone();
        let reading = async move { hub.realms.refresh(&*hub.shared.store, &realm).await };
        ctx.spawn(reading.into_actor(self).map(|read, actor, ctx| match read {
            Ok(()) => {
                actor.busy = false;
                actor.drain(ctx);
            }
            Err(error) => {
                tracing::warn!(%error, "reading a realm failed; trying again");
                ctx.run_later(Duration::from_millis(500), |actor, ctx| {
                    actor.busy = false;
                    actor.drain(ctx);
                });
            }
        }));
    }

    /// Answers a session's wish to follow.
    fn glance(&self, attach: crate::letter::Attach, realm: Option<&Realm>) {
        let at = self.entity.moment(crate::now(), &self.stream.id, realm);
        let glance = self.entity.machine.glance(&at, &attach.user);
        let attached = Attached {
            stream: self.stream.clone(),
            session: attach.session,
            head: self.entity.seq,
            roles: glance.roles,
            summary: glance.summary,
            entry: glance.entry,
            latest: glance.latest,
        };
        self.hub.send(&attach.seat, Letter::Attached(attached));
    }

    /// Refuses a job.
    fn refuse(&self, job: &Job, rejection: Rejection) {
        match job {
            Job::Act(act) => {
                self.hub.free(act);
                self.answer(&act.asker, Outcome::Rejected(rejection));
            }
            Job::Ask { seat, token, .. } => {
                self.hub.send(seat, Letter::Asked(*token, AskedOutcome::Refused(rejection)));
            }
            // Forwards come again; the rest may be lost.
            Job::Forward { .. }
            | Job::Tell(_)
            | Job::Attach(_)
            | Job::Confirmed { .. }
            | Job::Ring(_)
            | Job::Wake => {}
        }
    }

    fn refuse_all(&mut self, rejection: &Rejection) {
        for job in std::mem::take(&mut self.inbox) {
            self.refuse(&job, rejection.clone());
        }
    }

    fn answer(&self, asker: &Asker, outcome: Outcome) {
        self.hub.send(&asker.seat, Letter::Answer(asker.clone(), outcome));
    }

    /// Tells the line of a queue, not too often.
    fn tell_line(&mut self, ctx: &mut Context<Self>) {
        if !self.line.news && !self.line.news_for_all {
            return;
        }
        let now = Instant::now();
        let due = |told: Option<Instant>, every| told.is_none_or(|told| now.duration_since(told) >= every);
        let full = self.line.news_for_all && due(self.line.told_all, FULL_LINE_EVERY);
        let first = self.line.news && due(self.line.told, LINE_EVERY);
        if full || first {
            let at = self.entity.moment(crate::now(), &self.stream.id, None);
            let Some(mut line) = self.entity.machine.line(&at) else {
                // Only queues have a line: there is nothing to tell, now or later.
                (self.line.news, self.line.news_for_all) = (false, false);
                return;
            };
            if !full {
                line.users.truncate(crate::follow::FIRST);
            }
            self.line.news = false;
            self.line.told = Some(now);
            if full {
                self.line.news_for_all = false;
                self.line.told_all = Some(now);
            }
            let line = LineUp {
                stream: self.stream.clone(),
                full,
                users: line.users,
                members: line.members,
                own: line.own,
                watchers: line.watchers,
                waiting: line.waiting,
            };
            for seat in self.hub.follows.seats(&self.stream) {
                self.hub.send(&seat, Letter::Line(line.clone()));
            }
            self.hub.line_up(&line);
        }
        if (self.line.news || self.line.news_for_all) && !self.line.armed {
            self.line.armed = true;
            ctx.run_later(LINE_EVERY, |actor, ctx| {
                actor.line.armed = false;
                actor.tell_line(ctx);
            });
        }
    }
}

impl<M: Machine> Actor for EntityActor<M> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.hub.shared.metrics.entities.inc();
        self.load(ctx);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.hub.shared.metrics.entities.dec();
        let gone = Rejection::new(ErrorType::Internal).because("try again");
        self.refuse_all(&gone);
    }
}

impl<M: Machine> Handler<EntityMessage> for EntityActor<M> {
    type Result = ();

    fn handle(&mut self, message: EntityMessage, ctx: &mut Self::Context) {
        match message {
            EntityMessage::Job(job) => self.take(job, ctx),
            EntityMessage::Lost if self.busy => self.lost = true,
            EntityMessage::Lost => self.fenced(Vec::new(), ctx),
            EntityMessage::Sleep => {
                let idle = !self.busy
                    && self.inbox.is_empty()
                    && self.forwards.is_empty()
                    && !self.line.armed
                    && !self.entity.machine.is_counting();
                if idle {
                    self.save_snapshot();
                    self.hub.entities.borrow_mut().remove(&self.stream);
                    ctx.stop();
                }
            }
        }
    }
}
