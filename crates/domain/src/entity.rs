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
    commands: BTreeMap<Id, BTreeMap<u64, u64>>,
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
        Moment { now: now.max(self.time), id, seq: self.seq, realm }
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
        let seq = self.seq;
        let of_session = self.commands.entry(command.session.clone()).or_default();
        of_session.insert(command.action_id, seq);
        if of_session.len() > REMEMBERED {
            of_session.pop_first();
        }
        if self.commands.len() > SESSIONS {
            let oldest = self
                .commands
                .iter()
                .min_by_key(|(_, seen)| seen.last_key_value().map_or(0, |(_, seq)| *seq))
                .map(|(session, _)| session.clone());
            if let Some(oldest) = oldest {
                self.commands.remove(&oldest);
            }
        }
    }

    /// The record by which a command took effect.
    pub fn seen(&self, command: &Command) -> Option<u64> {
        self.commands.get(&command.session)?.get(&command.action_id).copied()
    }

    /// Forgets commands whose replies the session has acknowledged: up to `settled`.
    pub fn settle(&mut self, actor: &Actor, settled: u64) {
        if let Some(of_session) = self.commands.get_mut(&actor.session) {
            *of_session = of_session.split_off(&(settled + 1));
            if of_session.is_empty() {
                self.commands.remove(&actor.session);
            }
        }
    }
}
