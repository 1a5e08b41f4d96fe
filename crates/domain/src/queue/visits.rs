//! Visitors of a queue who do not ask for an audience: how often it was described, and the stages that they
//! report.
//!
//! There may be very many, and each for itself is worth no record. They are counted for some seconds and recorded
//! together: what a crash takes, or the way to another node, is the count of these seconds.

use super::{Queue, QueueRecord};
use crate::machine::{Command, Due, Emit, Moment, Step, Timer};
use levee_proto::Text;
use std::collections::{BTreeMap, BTreeSet};

/// For how long visits are counted together, in microseconds.
const TOGETHER: u64 = 10_000_000;
/// How many visits are counted together at most.
const AT_ONCE: usize = 4096;

/// Visits that are counted and not recorded yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Visits {
    described: u64,
    stages: BTreeMap<Text, u64>,
    /// What was counted, so that what is sent again counts once.
    commands: BTreeSet<Command>,
    count: usize,
}

impl Visits {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn add(&mut self, command: Option<Command>, described: bool, stage: Option<&Text>) {
        if command.is_some_and(|command| !self.commands.insert(command)) {
            return;
        }
        self.count += 1;
        self.described += u64::from(described);
        if let Some(stage) = stage {
            *self.stages.entry(stage.clone()).or_default() += 1;
        }
    }
}

impl Queue {
    /// Somebody visits: what was counted is recorded in a while, or now if it is much.
    pub(super) fn visit(&self, at: &Moment<'_>) -> Step<QueueRecord> {
        match self.visits.count {
            0 => Step::emit(Emit::Wait(Timer::Visits, Due::At(at.now + TOGETHER))),
            AT_ONCE.. => self.record_visits(),
            _ => Step::nothing(),
        }
    }

    /// Records what was counted.
    pub(super) fn count_visits(&self) -> Step<QueueRecord> {
        let step = if self.visits.is_empty() { Step::nothing() } else { self.record_visits() };
        step.and(Emit::Unwait(Timer::Visits))
    }

    fn record_visits(&self) -> Step<QueueRecord> {
        let Visits { described, stages, .. } = self.visits.clone();
        Step::record(QueueRecord::Visited { described, stages })
    }
}
