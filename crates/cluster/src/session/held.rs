//! Actions that wait for one before them, on the same stream, whose bytes are still being taken in: what a user writes
//! after a file comes after the file.

use super::SessionActor;
use crate::letter::Act;
use actix::prelude::*;
use bytes::Bytes;
use levee_domain::view::Stream;
use levee_proto::{ErrorType, Rejection};
use std::collections::VecDeque;

/// How many actions wait on a stream at most.
const WAITING: usize = 64;
/// How many bytes of payload they have at most.
const BYTES: usize = 4 << 20;

impl SessionActor {
    /// Sends an action on, when it is its turn.
    ///
    /// # Errors
    /// `send_rate_limited` when too much waits.
    pub(super) fn pass_on_in_order(
        &mut self,
        stream: Stream,
        act: Act,
        ctx: &mut Context<Self>,
    ) -> Result<(), Rejection> {
        let Some(waiting) = self.held.get_mut(&stream) else {
            self.pass_on(stream, act, ctx);
            return Ok(());
        };
        let bytes = waiting.iter().chain([&act]).flat_map(|act| &act.parts).map(Bytes::len).sum::<usize>();
        if waiting.len() >= WAITING || bytes > BYTES {
            self.hub.shared.metrics.drop("held");
            return Err(Rejection::new(ErrorType::SendRateLimited).because("too much waits for a file"));
        }
        waiting.push_back(act);
        Ok(())
    }

    /// Holds up what comes for a stream.
    pub(super) fn hold_up(&mut self, stream: Stream) {
        self.held.insert(stream, VecDeque::new());
    }

    /// Goes on with what was held up, until something holds it up again.
    pub(super) fn go_on_with(&mut self, stream: Stream, ctx: &mut Context<Self>) {
        for act in self.held.remove(&stream).unwrap_or_default() {
            let action_id = act.asker.action_id;
            if let Err(rejection) = self.pass_on_in_order(stream.clone(), act, ctx) {
                self.reject(&rejection, action_id, ctx);
                self.flush(ctx);
            }
        }
    }
}
