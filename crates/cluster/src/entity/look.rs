//! What must be read from the store before a job can be decided, beyond the state.

use super::EntityActor;
use super::batch::Batch;
use actix::prelude::*;
use levee_domain::machine::{Input, Machine};
use levee_domain::past::{Past, Wanted};
use levee_domain::realm::Realm;
use std::time::Duration;

/// After how long a reading that failed is tried again.
const AGAIN: Duration = Duration::from_millis(500);

/// What was read.
pub(super) struct Looked {
    wanted: Wanted,
    /// The last record when it was read.
    seq: u64,
    past: Past,
}

/// What a job needs to be decided.
pub(super) enum Look {
    /// Nothing beyond the state.
    Nothing,
    /// This, which was read.
    Ready(Past),
    /// To read this first.
    First(Wanted),
}

impl<M: Machine> EntityActor<M> {
    /// What a job needs to be decided. Whatever is read is read between two batches, so that all records are in
    /// the store by then, and the job is the first of the next one.
    pub(super) fn look(&mut self, batch: &Batch<M>, input: &Input<M::Order>, realm: Option<&Realm>) -> Look {
        if let Input::Action(actor, ..) = input
            && actor.command().is_some_and(|command| self.entity.seen(&command).is_some())
        {
            return Look::Nothing;
        }
        let at = self.entity.moment(batch.now, &self.stream.id, realm);
        let Some(wanted) = self.entity.machine.wants(&at, input) else { return Look::Nothing };
        match self.looked.take() {
            Some(looked) if batch.is_empty() && looked.seq == self.entity.seq && looked.wanted == wanted => {
                Look::Ready(looked.past)
            }
            _ => Look::First(wanted),
        }
    }

    /// Reads, then goes on.
    pub(super) fn read(&mut self, wanted: Wanted, ctx: &mut Context<Self>) {
        self.busy = true;
        let (store, stream, seq) = (self.hub.store(), self.stream.clone(), self.entity.seq);
        let reading = async move {
            let past = crate::past::find(&*store, &stream, &wanted).await;
            past.map(|past| Looked { wanted, seq, past })
        };
        ctx.spawn(reading.into_actor(self).map(|read, actor, ctx| match read {
            Ok(looked) => {
                actor.looked = Some(looked);
                actor.busy = false;
                actor.drain(ctx);
            }
            Err(error) => {
                tracing::warn!(%error, stream = %actor.stream, "reading earlier records failed; trying again");
                ctx.run_later(AGAIN, |actor, ctx| {
                    actor.busy = false;
                    actor.drain(ctx);
                });
            }
        }));
    }
}
