//! An entity's timers: rows of the agenda that say when it is to look at something again.
//!
//! The entity may sleep meanwhile: its hub keeps the time of each, and wakes it.

use super::EntityActor;
use crate::letter::Job;
use levee_domain::machine::{Due, Machine, Timer};
use levee_proto::Id;
use levee_store::AgendaItem;

/// What the names of timers begin with on the agenda; those of forwards begin otherwise.
const PREFIX: char = 't';

/// The name of a timer on the agenda.
pub(super) fn key(timer: Timer) -> Id {
    compact_str::format_compact!("{PREFIX}.{}", timer.name())
}

/// Whether an item of the agenda is a timer.
pub(crate) fn is_timer(item: &AgendaItem) -> bool {
    item.key.starts_with(PREFIX)
}

impl<M: Machine> EntityActor<M> {
    /// When a timer that is set at this time rings.
    pub(super) fn rings_at(&self, due: Due, now: u64) -> u64 {
        match due {
            Due::AgentTimeout => now + self.hub.shared.options.agent_timeout.as_micros() as u64,
            Due::At(time) => time,
        }
    }

    /// Takes up what the agenda says.
    pub(super) fn restore_timers(&mut self, open: &[AgendaItem]) {
        self.timers.clear();
        for item in open.iter().filter(|item| is_timer(item)) {
            match Timer::ALL.into_iter().find(|timer| key(*timer) == item.key) {
                Some(timer) => self.wait(timer, item.due),
                None => tracing::error!(stream = %self.stream, key = %item.key, "a timer of no known kind"),
            }
        }
    }

    pub(super) fn wait(&mut self, timer: Timer, due: u64) {
        self.timers.insert(timer, due);
        self.hub.timers.borrow_mut().insert((due, self.stream.clone()));
    }

    pub(super) fn unwait(&mut self, timer: Timer) {
        if let Some(due) = self.timers.remove(&timer) {
            self.hub.timers.borrow_mut().remove(&(due, self.stream.clone()));
        }
    }

    /// Orders what is due. It stays on the agenda until that is decided.
    pub(super) fn ring(&mut self) {
        let now = crate::now();
        let due: Vec<Timer> =
            self.timers.iter().filter(|(_, due)| **due <= now).map(|(timer, _)| *timer).collect();
        for timer in due {
            self.unwait(timer);
            self.hub.shared.metrics.timers.inc();
            self.inbox.push_back(Job::Ring(timer));
        }
    }
}
