//! A machine with its sequence, its clock and the commands that it has seen.

use crate::machine::{Actor, Command, Entry, Input, Machine, Moment, Step};
use crate::realm::Realm;
use levee_proto::{Id, Rejection};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How many commands of one session an entity remembers at most.
const REMEMBERED: usize = 1024;
/// How many sessions an entity remembers commands of at most.
const SESSIONS: usize = 4096;
/// For how long a command is remembered at least, in microseconds: after its reply was acknowledged, a copy may
/// still be on its way, by the bus, the post, or in a node that stood still.
const COPIES: u64 = 60_000_000;

/// A machine, and what every entity has beside it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Entity<M: Machine> {
    /// The sequence of the last record.
    pub seq: u64,
    /// The time of the last record.
    pub time: u64,
    /// The machine.
    pub machine: M,
    /// Session → action → the record that answered it.
    commands: BTreeMap<Id, BTreeMap<u64, Seen>>,
}

/// The record by which a command took effect.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Seen {
    seq: u64,
    time: u64,
}

impl<M: Machine> Default for Entity<M> {
    fn default() -> Self {
        Self { seq: 0, time: 0, machine: M::default(), commands: BTreeMap::new() }
    }
}

/// What an input comes to.
#[derive(Debug)]
pub enum Outcome<R> {
    /// Something new.
    Step(Step<Entry<R>>),
    /// The command took effect before, with the record of this sequence.
    Repeated(u64),
}

impl<M: Machine> Entity<M> {
    /// The moment of a decision.
    pub fn moment<'a>(&self, now: u64, id: &'a Id, realm: Option<&'a Realm>) -> Moment<'a> {
        Moment { now: now.max(self.time), id, seq: self.seq, realm, past: None }
    }

    /// Decides an input, once per command.
    ///
    /// # Errors
    /// The machine's rejection.
    pub fn decide(&self, at: &Moment<'_>, input: Input<M::Order>) -> Result<Outcome<M::Record>, Rejection> {
        let command = match &input {
            Input::Action(actor, ..) => actor.command(),
            Input::Order(_) => None,
        };
        if let Some(seq) = command.as_ref().and_then(|command| self.seen(command)) {
            return Ok(Outcome::Repeated(seq));
        }
        let step = self.machine.decide(at, input)?;
        let mut command = command;
        // The first record carries the command: what it shows is the reply.
        let records =
            step.records.into_iter().map(|record| Entry { v: 1, command: command.take(), record }).collect();
        Ok(Outcome::Step(Step { records, emits: step.emits }))
    }

    /// Lets a record happen.
    pub fn apply(&mut self, time: u64, entry: &Entry<M::Record>) {
        self.seq += 1;
        self.time = self.time.max(time);
        if let Some(command) = &entry.command {
            self.remember(command);
        }
        self.machine.apply(self.seq, time, &entry.record);
    }

    fn remember(&mut self, command: &Command) {
        let seen = Seen { seq: self.seq, time: self.time };
        let of_session = self.commands.entry(command.session.clone()).or_default();
        of_session.insert(command.action_id, seen);
        if of_session.len() > REMEMBERED {
            of_session.pop_first();
        }
        if self.commands.len() > SESSIONS {
            let oldest = self
                .commands
                .iter()
                .min_by_key(|(_, seen)| seen.last_key_value().map_or(0, |(_, seen)| seen.seq))
                .map(|(session, _)| session.clone());
            if let Some(oldest) = oldest {
                self.commands.remove(&oldest);
            }
        }
    }

    /// The record by which a command took effect.
    pub fn seen(&self, command: &Command) -> Option<u64> {
        self.commands.get(&command.session)?.get(&command.action_id).map(|seen| seen.seq)
    }

    /// Forgets commands whose replies the session has acknowledged, up to `settled`, when no copy of them can come
    /// any more.
    pub fn settle(&mut self, actor: &Actor, settled: u64, now: u64) {
        if let Some(of_session) = self.commands.get_mut(&actor.session) {
            while let Some(first) = of_session.first_entry()
                && *first.key() <= settled
                && first.get().time + COPIES <= now
            {
                first.remove();
            }
            if of_session.is_empty() {
                self.commands.remove(&actor.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conversation::Conversation;
    use crate::table::Table;
    use serde_json::json;
    use std::sync::Arc;

    #[test]
    fn a_command_is_remembered_while_it_is_open_and_while_copies_of_it_may_come() {
        let mut table = Table::<Conversation>::new();
        table.act_as("ann", Some(5), "create_channel", json!({}), &[]).unwrap();
        let session = Id::from("session-of-ann");
        let actor = Actor {
            user: "ann".into(),
            master: None,
            session: session.clone(),
            action_id: Some(6),
            card: Arc::default(),
            puppet: None,
            message_types: Arc::default(),
            origin: None,
            found: None,
        };
        let command = Command { session, action_id: 5 };
        let took_effect = table.now;
        table.entity.settle(&actor, 4, took_effect + 2 * COPIES);
        assert_eq!(table.entity.seen(&command), Some(1), "its reply is not acknowledged");
        table.entity.settle(&actor, 5, took_effect + COPIES - 1);
        assert_eq!(table.entity.seen(&command), Some(1), "a copy of it may come");
        table.entity.settle(&actor, 5, took_effect + COPIES);
        assert_eq!(table.entity.seen(&command), None);
        assert!(table.entity.commands.is_empty());
    }
}
