//! Commits a batch, and does what follows from it.

use super::batch::{Batch, Done, Product};
use super::forwards::{self, Forward};
use super::{EntityActor, FORWARD_AGAIN, SNAPSHOT_EVERY, timers};
use crate::letter::{AskedOutcome, Job, Letter, Outcome, Publish};
use crate::{hooks, outbox};
use actix::prelude::*;
use bytes::Bytes;
use levee_domain::machine::{Answer, Emit, Machine};
use levee_domain::view::{Kind, Stream};
use levee_proto::{ErrorType, Rejection};
use levee_store::{
    AgendaChange, Amendment, Commit, DirectoryChange, Expect, NewRecord, Read, Snapshot, StoreError,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// After how long an entity is loaded again whose commit failed.
const LOAD_AGAIN: Duration = Duration::from_millis(500);

impl<M: Machine> EntityActor<M> {
    /// Writes a batch.
    pub(super) fn commit(&mut self, batch: Batch<M>, ctx: &mut Context<Self>) {
        let shard = self.stream.shard();
        let Some(epoch) = self.hub.shared.placement.epoch(shard, &self.hub.shared.node) else {
            return self.fenced(batch.jobs(), ctx);
        };
        let mut commit =
            Commit { shard, epoch, stream: self.stream.key(), after: batch.after, ..Commit::default() };
        let (mut forward, mut mails, mut hooked) = (0, 0, 0);
        for done in &batch.done {
            let Ok(Product::Step { records, emits, .. }) = &done.result else { continue };
            for entry in records {
                match serde_json::to_vec(entry) {
                    Ok(body) => {
                        let columns = M::columns(&entry.record);
                        commit.records.push(NewRecord {
                            time: batch.now,
                            kind: columns.kind,
                            author: columns.author,
                            flags: columns.flags,
                            body: body.into(),
                        });
                    }
                    Err(error) => {
                        tracing::error!(%error, stream = %self.stream, "a record can't be written");
                        return self.failed(batch, ctx);
                    }
                }
            }
            for emit in emits {
                match emit {
                    Emit::Claim(claim) => commit.directory.push(DirectoryChange {
                        namespace: claim.namespace.into(),
                        key: claim.key.clone(),
                        expect: if claim.absent { Expect::Absent } else { Expect::Any },
                        value: claim.value.clone(),
                    }),
                    Emit::Amend(amend) => commit.amend.push(Amendment {
                        after: amend.after,
                        before: amend.before,
                        with_flags: amend.with_flags,
                        author: amend.author.clone(),
                        set_flags: amend.set_flags,
                        clear_flags: amend.clear_flags,
                        body: amend.body.clone(),
                    }),
                    Emit::Forward(..) | Emit::ForwardAfter(..) => {
                        let key = forwards::key(batch.after, batch.now, forward);
                        forward += 1;
                        let body = Forward::of(emit).map(|forward| forward.body()).unwrap_or_default();
                        commit.agenda.push(AgendaChange::Put { key, due: batch.now, body });
                    }
                    Emit::Mail(mail) => {
                        let key = outbox::key(batch.after, batch.now, mails);
                        mails += 1;
                        commit.agenda.push(AgendaChange::Put {
                            key,
                            due: batch.now,
                            body: outbox::body(mail),
                        });
                    }
                    Emit::Hook(hook) => {
                        let new = || hooks::key(batch.after, batch.now, hooked, &hook.webhook);
                        let key = hook.key.clone().unwrap_or_else(new);
                        hooked += 1;
                        commit.agenda.push(AgendaChange::Put {
                            key,
                            due: batch.now,
                            body: hooks::body(hook),
                        });
                    }
                    Emit::Wait(timer, due) => commit.agenda.push(AgendaChange::Put {
                        key: timers::key(*timer),
                        due: self.rings_at(*due, batch.now),
                        body: Bytes::new(),
                    }),
                    Emit::Unwait(timer) => {
                        commit.agenda.push(AgendaChange::Remove { key: timers::key(*timer) });
                    }
                    Emit::Answer(_)
                    | Emit::Publish(_)
                    | Emit::Tell(..)
                    | Emit::Discard(_)
                    | Emit::Join(_)
                    | Emit::Drop(_) => {}
                }
            }
        }
        self.hub.shared.metrics.batch.observe(batch.done.len() as f64);
        self.hub.shared.metrics.inbox.observe(self.inbox.len() as f64);
        // What is erased must not live on in a saved state.
        let erases = commit.amend.iter().any(|amendment| amendment.body.is_some());
        let due = self.entity.seq - self.snapshot_at >= SNAPSHOT_EVERY;
        if erases || due && !commit.records.is_empty() {
            commit.snapshot = serde_json::to_vec(&self.entity).ok().map(Bytes::from);
            self.snapshot_at = self.entity.seq;
        }
        let store = self.hub.store();
        let since = Instant::now();
        let writing = async move { store.commit(commit).await };
        ctx.spawn(writing.into_actor(self).map(move |written, actor, ctx| match written {
            Ok(()) => {
                if actor.stream.kind != Kind::File {
                    actor.hub.shared.files.committed(since.elapsed());
                }
                actor.finish(batch, ctx);
                actor.drain(ctx);
            }
            Err(error) => actor.not_committed(batch, &error, ctx),
        }));
    }

    fn not_committed(&mut self, mut batch: Batch<M>, error: &StoreError, ctx: &mut Context<Self>) {
        let conflicts = &self.hub.shared.metrics.conflicts;
        match error {
            StoreError::Fenced { .. } => {
                conflicts.with_label_values(&["fenced"]).inc();
                self.fenced(batch.jobs(), ctx);
            }
            StoreError::Conflict { .. } => {
                conflicts.with_label_values(&["sequence"]).inc();
                self.again(batch.jobs());
                self.load(ctx);
            }
            StoreError::Taken { namespace, key } => {
                conflicts.with_label_values(&["taken"]).inc();
                let guilty = batch
                    .claims()
                    .find(|(_, claim)| claim.namespace == namespace.as_str() && claim.key == *key)
                    .map(|(at, claim)| (at, claim.refusal.clone()));
                if let Some((at, refusal)) = guilty {
                    let done = batch.done.remove(at);
                    self.refuse(&done.job, refusal);
                }
                self.again(batch.jobs());
                self.load(ctx);
            }
            StoreError::Full => {
                self.hub.shared.metrics.drop("disk_full");
                self.hub.shared.set_full(true);
                self.failed(batch, ctx);
            }
            error => {
                // Whether it was written is not known; what was is recognised by its commands.
                tracing::warn!(%error, stream = %self.stream, "a commit failed; trying again");
                self.again(batch.jobs());
                ctx.run_later(LOAD_AGAIN, |actor, ctx| actor.load(ctx));
            }
        }
    }

    /// Puts jobs back to the front of the inbox.
    pub(super) fn again(&mut self, jobs: Vec<Job>) {
        for job in jobs.into_iter().rev() {
            self.inbox.push_front(job);
        }
    }

    fn failed(&mut self, batch: Batch<M>, ctx: &mut Context<Self>) {
        let rejection = Rejection::new(ErrorType::Internal).because("it can't be stored now");
        for done in batch.done {
            self.refuse(&done.job, rejection.clone());
        }
        // What is due is tried again after a while, not at once.
        ctx.run_later(LOAD_AGAIN, |actor, ctx| actor.load(ctx));
    }

    /// Another node owns the shard now: whoever asked for something asks there.
    pub(super) fn fenced(&mut self, jobs: Vec<Job>, ctx: &mut Context<Self>) {
        tracing::debug!(stream = %self.stream, "another node owns this now");
        self.hub.entities.borrow_mut().remove(&self.stream);
        for job in jobs.into_iter().chain(std::mem::take(&mut self.inbox)) {
            self.hub.not_here(self.stream.clone(), job);
        }
        ctx.stop();
    }

    /// Does what follows from a batch that is durable.
    pub(super) fn finish(&mut self, batch: Batch<M>, ctx: &mut Context<Self>) {
        self.busy = false;
        let (mut forward, mut mails, mut hooked) = (0, 0, 0);
        let mut changed = false;
        let realm = self.realm_now();
        for Done { job, result } in batch.done {
            match result {
                Err(rejection) => {
                    if let Job::Forward { from, .. } = &job {
                        // It would be refused for ever: say so, and let the sender go on.
                        tracing::error!(%from, to = %self.stream, %rejection, "a forward was refused");
                        self.hub.shared.metrics.drop("forward_refused");
                        self.acknowledge(&job);
                    }
                    self.refuse(&job, rejection);
                }
                Ok(Product::Glance) => {
                    if let Job::Attach(attach) = job {
                        self.glance(attach, realm.as_deref().map(|e| &e.machine));
                    }
                }
                Ok(Product::Repeated(seq)) => self.repeat(&job, seq),
                Ok(Product::Step { first, records, emits }) => {
                    let mut asker = match &job {
                        Job::Act(act) => Some(act.asker.clone()),
                        _ => None,
                    };
                    changed |= records.iter().any(|entry| M::moves_line(&entry.record));
                    for (seq, entry) in (first..).zip(&records) {
                        let views = M::views(&self.stream.id, seq, batch.now, entry);
                        // The first record answers; what shows nothing is answered by other means.
                        let asker = if views.iter().any(|view| view.answers) { asker.take() } else { None };
                        self.publish(Publish {
                            stream: self.stream.clone(),
                            seq,
                            views: Arc::new(views),
                            command: entry.command.clone(),
                            asker,
                        });
                    }
                    for emit in emits {
                        match emit {
                            Emit::Mail(mail) => {
                                let key = outbox::key(batch.after, batch.now, mails);
                                mails += 1;
                                self.hub.take_up_mail(self.stream.clone(), key, batch.now, mail);
                            }
                            Emit::Hook(hook) => {
                                hooked += 1;
                                self.hub.take_up_hook(hook.webhook, self.stream.clone(), batch.now);
                            }
                            emit => self.emit(&job, emit, (batch.after, batch.now), &mut forward),
                        }
                    }
                    self.acknowledge(&job);
                }
            }
        }
        if changed {
            self.line.news = true;
            self.line.news_for_all = true;
            self.tell_line(ctx);
        }
        self.watch_forwards(ctx);
        if mails > 0 {
            self.hub.send_mails();
        }
        if hooked > 0 {
            self.hub.tell_webhooks();
        }
    }

    fn emit(&mut self, job: &Job, emit: Emit, (after, now): (u64, u64), forward: &mut usize) {
        match emit {
            Emit::Claim(_) | Emit::Amend(_) | Emit::Mail(_) | Emit::Hook(_) => {}
            Emit::Discard(blob) => self.hub.discard(self.stream.clone(), blob),
            Emit::Join(join) => self.hub.join(self.stream.clone(), *join),
            Emit::Drop(reason) => self.hub.shared.metrics.drop(reason),
            Emit::Wait(timer, due) => self.wait(timer, self.rings_at(due, now)),
            Emit::Unwait(timer) => self.unwait(timer),
            Emit::Tell(to, order) => self.hub.route(to, Job::Tell(order)),
            Emit::Forward(..) | Emit::ForwardAfter(..) => {
                let key = forwards::key(after, now, *forward);
                *forward += 1;
                if let Some(new) = Forward::of(&emit)
                    && self.forwards.add(key.clone(), new.clone())
                {
                    self.send_forward(key, new);
                }
            }
            Emit::Publish(views) => {
                let asker = match job {
                    Job::Act(act) => Some(act.asker.clone()),
                    _ => None,
                };
                self.publish(Publish {
                    stream: self.stream.clone(),
                    seq: 0,
                    views: Arc::new(views),
                    command: None,
                    asker,
                });
            }
            Emit::Answer(answer) => match job {
                Job::Act(act) => match answer {
                    Answer::Event(body) => self.answer(&act.asker, Outcome::Events(vec![(body, None)])),
                    Answer::Value(value) => self.answer(&act.asker, Outcome::Value(value)),
                    Answer::Stats(wanted) => {
                        let (hub, stream, asker) = (self.hub.clone(), self.stream.clone(), act.asker.clone());
                        actix::spawn(async move {
                            let outcome = crate::stats::load(hub.store(), stream, wanted).await;
                            hub.send(&asker.seat.clone(), Letter::Answer(asker, outcome));
                        });
                    }
                    Answer::Followed(seq, body) => {
                        self.answer(&act.asker, Outcome::Followed(self.stream.clone(), seq, body));
                    }
                    Answer::History(wanted) => {
                        let (hub, stream, asker) = (self.hub.clone(), self.stream.clone(), act.asker.clone());
                        actix::spawn(async move {
                            let outcome = crate::history::load(hub.store(), stream, wanted).await;
                            hub.send(&asker.seat.clone(), Letter::Answer(asker, outcome));
                        });
                    }
                    Answer::Transcript(wanted) => {
                        let (hub, stream, asker) = (self.hub.clone(), self.stream.clone(), act.asker.clone());
                        actix::spawn(async move {
                            let outcome = crate::transcript::load(&*hub.store(), &stream, *wanted).await;
                            hub.send(&asker.seat.clone(), Letter::Answer(asker, outcome));
                        });
                    }
                },
                Job::Ask { seat, token, .. } => {
                    if let Answer::Value(value) = answer {
                        self.hub.send(seat, Letter::Asked(*token, AskedOutcome::Done(value)));
                    }
                }
                _ => {}
            },
        }
    }

    /// Confirms a forward: what it ordered is durable.
    fn acknowledge(&self, job: &Job) {
        if let Job::Forward { from, key, .. } = job {
            let confirmed = Job::Confirmed { to: self.stream.clone(), key: key.clone() };
            self.hub.route(from.clone(), confirmed);
        }
    }

    /// Shows something to the followers, and to whoever waits for it as an answer.
    fn publish(&self, publish: Publish) {
        let asks = publish.asker.as_ref().map(|asker| &asker.seat);
        let mut seats = self.hub.follows.seats(&self.stream);
        if let Some(seat) = asks.filter(|seat| **seat != self.hub.seat && !seats.contains(seat)) {
            seats.push(seat.clone());
        }
        for seat in seats {
            self.hub.send(&seat, Letter::Publish(publish.clone()));
        }
        self.hub.see(&publish);
    }

    /// Answers a command that took effect before: by the record of that time.
    fn repeat(&self, job: &Job, seq: u64) {
        let Job::Act(act) = job else { return };
        let (hub, stream, asker) = (self.hub.clone(), self.stream.clone(), act.asker.clone());
        actix::spawn(async move {
            let records = hub.shared.store.read(Read::after(stream.key(), seq - 1, 1)).await;
            let Ok([record]) = records.as_deref() else {
                tracing::warn!(%stream, seq, "the reply to a repeated command can't be read");
                return;
            };
            tracing::debug!(%stream, seq, session = %asker.id, "a command was repeated");
            // As a publish, so that a session that is behind gets it in its place, after what came before.
            let seat = asker.seat.clone();
            let publish = Publish { asker: Some(asker), ..crate::publish::replay(&stream, record) };
            hub.send(&seat, Letter::Publish(publish));
        });
    }

    /// Sends forwards again until they are confirmed.
    pub(super) fn watch_forwards(&mut self, ctx: &mut Context<Self>) {
        if self.forwards.is_empty() || std::mem::replace(&mut self.watching, true) {
            return;
        }
        ctx.run_later(FORWARD_AGAIN, |actor, ctx| {
            actor.watching = false;
            actor.send_forwards();
            actor.watch_forwards(ctx);
        });
    }

    pub(super) fn save_snapshot(&self) {
        if self.entity.seq == self.snapshot_at || self.entity.seq < 16 {
            return;
        }
        let Ok(body) = serde_json::to_vec(&self.entity) else { return };
        let snapshot = Snapshot { seq: self.entity.seq, body: body.into() };
        let (store, stream): (_, Stream) = (self.hub.store(), self.stream.clone());
        actix::spawn(async move {
            if let Err(error) = store.save(&stream.key(), snapshot).await {
                tracing::debug!(%error, %stream, "a snapshot was not saved");
            }
        });
    }
}
