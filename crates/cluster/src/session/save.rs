//! A session's row in the store, and what happens to a session that nobody comes back to.

use super::{CloseReason, Connection, SessionActor, SessionRow};
use actix::prelude::*;
use levee_store::Commit;

/// How many seconds after which it is told again that a session has no connection.
const PRESENCE_AGAIN: u64 = 15;

impl SessionActor {
    /// Writes the session's row: a ceiling, or cursors.
    pub(super) fn save(&mut self, ceiling: Option<u64>, ctx: &mut Context<Self>) {
        if self.flags.saving || self.flags.ended {
            self.flags.dirty |= ceiling.is_none();
            return;
        }
        let ceiling = ceiling.unwrap_or_else(|| self.machine.ceiling());
        self.flags.saving = true;
        self.flags.dirty = false;
        self.machine.saving_cursors();
        let commit = self.row_commit(&self.row(ceiling));
        let answers = std::mem::take(&mut self.unsaved);
        let store = self.hub.store();
        let writing = async move { store.commit(commit).await };
        ctx.spawn(writing.into_actor(self).map(move |written, actor, ctx| {
            actor.flags.saving = false;
            if written.is_err() {
                actor.unsaved.extend(answers.iter().cloned());
            }
            match written {
                Ok(()) => {
                    actor.version += 1;
                    actor.machine.reserved(ceiling);
                    for (body, action_id) in answers {
                        if action_id.is_some_and(|id| !actor.machine.awaits(id)) {
                            continue; // it was asked twice
                        }
                        actor.tell(body, action_id, ctx);
                    }
                    actor.flush(ctx);
                }
                Err(levee_store::StoreError::Taken { .. }) => {
                    actor.check_row(ctx);
                }
                Err(error) => {
                    if matches!(error, levee_store::StoreError::Full) {
                        actor.hub.shared.set_full(true);
                    }
                    tracing::warn!(%error, "a session was not saved; trying again");
                    actor.flags.dirty = true;
                    actor.look_soon();
                }
            }
        }));
    }

    /// The row has another version than expected: it went on elsewhere, or was closed; or an earlier write
    /// did arrive although the store did not say so.
    fn check_row(&mut self, ctx: &mut Context<Self>) {
        let (hub, session) = (self.hub.clone(), self.id.clone());
        let reading = async move { hub.session_row(&session).await };
        self.flags.saving = true;
        ctx.spawn(reading.into_actor(self).map(|read, actor, ctx| {
            actor.flags.saving = false;
            match read {
                // Only this actor writes that it lives here.
                Ok(Some((version, row))) if row.node == actor.hub.shared.node => {
                    actor.version = version;
                    actor.flags.dirty = true;
                    actor.look_soon();
                }
                Ok(_) => actor.end(None, CloseReason::GoingAway, false, ctx),
                Err(_) => {
                    actor.flags.dirty = true;
                    actor.look_soon();
                }
            }
        }));
    }

    /// The session's row as it is now.
    pub(super) fn row(&self, ceiling: u64) -> SessionRow {
        SessionRow {
            shard: self.shard,
            user: self.user.clone(),
            types: self.machine.message_types.to_vec(),
            ceiling,
            cursors: self.machine.cursors().iter().map(|(stream, seq)| (stream.key(), *seq)).collect(),
            looks_on: self.looks_on(),
            node: self.hub.shared.node.clone(),
            epoch: self.epoch,
            parked: None,
        }
    }

    /// The commit that writes the row, unless somebody else has written it meanwhile.
    pub(super) fn row_commit(&self, row: &SessionRow) -> Commit {
        self.hub.session_commit(self.shard, &self.id, row, self.version)
    }

    /// The hub's tick: saves what changed, and ends a session that nobody came back to.
    pub(super) fn look(&mut self, ctx: &mut Context<Self>) {
        self.flags.looks = false;
        self.look_after_acts(ctx);
        if self.flags.ended {
            return;
        }
        if let Some(Connection::Poll(waiting)) = &self.connection
            && waiting.is_closed()
        {
            self.disconnected();
        }
        if self.connection.is_none() {
            let away = self.away_since.elapsed();
            if away >= self.hub.shared.options.session_ttl {
                tracing::debug!(session = %self.id, "nobody came back to the session");
                return self.end(None, CloseReason::Gone, true, ctx);
            }
            if self.connected && away >= self.hub.shared.options.presence_grace {
                self.connected = false;
                self.tell_presence(false);
            } else if !self.connected && away.as_secs().is_multiple_of(PRESENCE_AGAIN) {
                // Who owns the user may have forgotten: presence is not stored.
                self.tell_presence(false);
            }
            self.look_soon();
        }
        if self.flags.dirty || self.machine.wants_ceiling().is_some() {
            let ceiling = self.machine.wants_ceiling();
            self.save(ceiling, ctx);
        }
    }
}
