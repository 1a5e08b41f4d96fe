//! A session's row in the store, and what happens to a session that nobody comes back to.

use super::{CloseReason, Connection, SessionActor, SessionRow};
use actix::prelude::*;
use bytes::Bytes;
use levee_store::{Commit, DirectoryChange, Expect};

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
        let row = SessionRow {
            shard: self.shard,
            user: self.user.clone(),
            types: self.machine.message_types.to_vec(),
            ceiling,
            cursors: self.machine.cursors().iter().map(|(stream, seq)| (stream.key(), *seq)).collect(),
        };
        let epoch = self.hub.shared.placement.epoch(self.shard, &self.hub.shared.node).unwrap_or_default();
        let commit = Commit {
            shard: self.shard,
            epoch,
            directory: vec![DirectoryChange {
                namespace: levee_domain::user::SESSIONS.into(),
                key: self.id.clone(),
                expect: Expect::Any,
                value: serde_json::to_vec(&row).ok().map(Bytes::from),
            }],
            ..Commit::default()
        };
        let store = self.hub.store();
        let writing = async move { store.commit(commit).await };
        ctx.spawn(writing.into_actor(self).map(move |written, actor, ctx| {
            actor.flags.saving = false;
            match written {
                Ok(()) => {
                    actor.machine.reserved(ceiling);
                    actor.flush(ctx);
                }
                Err(levee_store::StoreError::Fenced { .. }) => {
                    // Another node has the session's shard; it goes on there.
                    actor.end(None, CloseReason::GoingAway, false, ctx);
                }
                Err(error) => {
                    tracing::warn!(%error, "a session was not saved; trying again");
                    actor.flags.dirty = true;
                    actor.mark_dirty();
                }
            }
        }));
    }

    /// The hub's tick: saves what changed, and ends a session that nobody came back to.
    pub(super) fn look(&mut self, ctx: &mut Context<Self>) {
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
            }
            self.mark_dirty();
        }
        if self.flags.dirty || self.machine.wants_ceiling().is_some() {
            let ceiling = self.machine.wants_ceiling();
            self.save(ceiling, ctx);
        }
    }
}
