//! What is decided together, and committed together.

use super::EntityActor;
use super::look::Look;
use crate::letter::{Act, Job, Letter};
use actix::prelude::*;
use levee_domain::Command;
use levee_domain::entity::Outcome as Decided;
use levee_domain::machine::{Claim, Emit, Entry, Input, Machine, Moment};
use levee_domain::past::Past;
use levee_domain::realm::Realm;
use levee_proto::{Action, ErrorType, Rejection};
use std::rc::Rc;

/// How many jobs one commit carries at most.
const JOBS: usize = 256;
/// How many bytes of payload.
const BYTES: usize = 4 << 20;

/// Jobs that were decided, and what they came to.
pub(super) struct Batch<M: Machine> {
    pub(super) after: u64,
    pub(super) now: u64,
    pub(super) done: Vec<Done<M>>,
    bytes: usize,
}

/// A job and its decision.
pub(super) struct Done<M: Machine> {
    pub(super) job: Job,
    pub(super) result: Result<Product<M>, Rejection>,
}

/// What a job came to.
pub(super) enum Product<M: Machine> {
    /// Records from this sequence on, and what to do once they are durable.
    Step { first: u64, records: Vec<Entry<M::Record>>, emits: Vec<Emit> },
    /// It took effect before, by this record.
    Repeated(u64),
    /// A session wants to follow: it is answered by the state after the batch.
    Glance,
}

impl<M: Machine> Batch<M> {
    /// The jobs, to be decided once more.
    pub(super) fn jobs(self) -> Vec<Job> {
        self.done.into_iter().map(|done| done.job).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// The claims, each with the place of its job.
    pub(super) fn claims(&self) -> impl Iterator<Item = (usize, &Claim)> {
        self.done.iter().enumerate().flat_map(|(at, done)| {
            let emits = match &done.result {
                Ok(Product::Step { emits, .. }) => emits.as_slice(),
                _ => &[],
            };
            emits.iter().filter_map(move |emit| match emit {
                Emit::Claim(claim) => Some((at, claim)),
                _ => None,
            })
        })
    }

    pub(super) fn has_changes(&self) -> bool {
        self.done.iter().any(|done| match &done.result {
            Ok(Product::Step { records, emits, .. }) => {
                !records.is_empty()
                    || emits.iter().any(|emit| {
                        matches!(
                            emit,
                            Emit::Claim(_)
                                | Emit::Forward(..)
                                | Emit::ForwardAfter(..)
                                | Emit::Mail(_)
                                | Emit::Hook(_)
                                | Emit::Amend(_)
                                | Emit::Wait(..)
                                | Emit::Unwait(_)
                        )
                    })
            }
            _ => false,
        })
    }
}

impl<M: Machine> EntityActor<M> {
    /// Decides jobs until the batch is full, or something must be read first.
    pub(super) fn decide(&mut self, ctx: &mut Context<Self>) -> Batch<M> {
        let mut batch = Batch { after: self.entity.seq, now: crate::now(), done: Vec::new(), bytes: 0 };
        while batch.done.len() < JOBS && batch.bytes < BYTES {
            let Some(mut job) = self.inbox.pop_front() else { break };
            if self.overtakes(&job) {
                if let Job::Act(act) = job {
                    self.hub.send(&act.asker.seat.clone(), Letter::Moved(act.asker));
                }
                continue;
            }
            let input = match input::<M>(&mut job) {
                Ok(input) => input,
                Err(rejection) => {
                    batch.done.push(Done { job, result: Err(rejection) });
                    continue;
                }
            };
            let wanted = match &input {
                Some(input) => self.entity.machine.wants_realm(input).cloned(),
                None => self.entity.machine.realm().cloned(),
            };
            let realm = wanted.as_ref().and_then(|id| self.hub.realms.fresh(id));
            if let (Some(id), None) = (wanted, &realm) {
                self.inbox.push_front(job);
                if batch.is_empty() {
                    self.refresh_realm(id, ctx);
                }
                break;
            }
            let Some(input) = input else {
                batch.done.push(Done { job, result: Ok(Product::Glance) });
                continue;
            };
            let past = match self.look(&batch, &input, realm.as_deref().map(|e| &e.machine)) {
                Look::Nothing => None,
                Look::Ready(past) => Some(past),
                Look::First(wanted) => {
                    self.inbox.push_front(job);
                    if batch.is_empty() {
                        self.read(wanted, ctx);
                    }
                    break;
                }
            };
            if let Job::Act(act) = &job {
                self.hub.shared.metrics.actions.with_label_values(&[&act.name]).inc();
                self.entity.settle(&act.actor, act.settled, batch.now);
                batch.bytes += act.parts.iter().map(bytes::Bytes::len).sum::<usize>();
            }
            let result = {
                let realm = realm.as_deref().map(|e| &e.machine);
                self.decide_one(&mut batch.now, input, realm, past.as_ref())
            };
            // Somebody who became a member just now must not be refused by an old copy of the realm.
            if let (Err(_), Some(id)) = (&result, realm.as_ref().and(self.entity.machine.realm().cloned()))
                && !self.rechecked
            {
                self.inbox.push_front(job);
                if batch.is_empty() {
                    self.rechecked = true;
                    self.refresh_realm(id, ctx);
                }
                break;
            }
            self.rechecked = false;
            batch.done.push(Done { job, result });
        }
        batch
    }

    /// Whether an action came before one of the same session that it must follow: that got lost on the
    /// way, or was refused a moment ago.
    fn overtakes(&self, job: &Job) -> bool {
        let Job::Act(act) = job else { return false };
        let Some(after) = act.after else { return false };
        let seen = |action_id| {
            let command = Command { session: act.actor.session.clone(), action_id };
            self.entity.seen(&command).is_some()
        };
        !seen(after) && !act.actor.action_id.is_some_and(seen)
    }

    fn decide_one(
        &mut self,
        now: &mut u64,
        input: Input<M::Order>,
        realm: Option<&Realm>,
        past: Option<&Past>,
    ) -> Result<Product<M>, Rejection> {
        let id = self.stream.id.clone();
        let at = Moment { past, ..self.entity.moment(*now, &id, realm) };
        *now = at.now;
        let first = self.entity.seq + 1;
        let absorbed = M::absorbs(&input).then(|| input.clone());
        match self.entity.decide(&at, input)? {
            Decided::Repeated(seq) => Ok(Product::Repeated(seq)),
            Decided::Step(step) => {
                for record in &step.records {
                    self.entity.apply(*now, record);
                }
                if let Some(absorbed) = absorbed {
                    self.entity.machine.absorb(*now, &absorbed);
                }
                Ok(Product::Step { first, records: step.records, emits: step.emits })
            }
        }
    }

    /// The realm as it was when the batch was decided.
    pub(super) fn realm_now(&self) -> Option<Rc<levee_domain::Entity<Realm>>> {
        self.entity.machine.realm().and_then(|id| self.hub.realms.fresh(id))
    }
}

/// What a job asks the machine; `None` if it is not for the machine.
fn input<M: Machine>(job: &mut Job) -> Result<Option<Input<M::Order>>, Rejection> {
    let order = |value: &serde_json::Value| {
        serde_json::from_value(value.clone()).map(|order| Some(Input::Order(order))).map_err(|error| {
            tracing::error!(%error, "an order can't be read");
            Rejection::new(ErrorType::Internal).because("an order can't be read")
        })
    };
    match job {
        Job::Act(act) => {
            let Act { actor, parts, action, name, header, .. } = &mut **act;
            // Should the job have to be decided again, its header still tells the action.
            let action = match action.take() {
                Some(action) => action,
                None => Action::decode(name, header)?,
            };
            Ok(Some(Input::Action(actor.clone(), action, parts.clone())))
        }
        Job::Ask { order: value, .. } | Job::Forward { order: value, .. } | Job::Tell(value) => order(value),
        Job::Ring(timer) => Ok(M::rings(*timer).map(Input::Order)),
        Job::Attach(_) | Job::Confirmed { .. } | Job::Wake => Ok(None),
    }
}
