//! The table at the end: figures, limits, and whether each is met.

use super::cpu::{Median, Run};
use std::fmt::Write;

/// Bytes that an idle session may hold.
pub(crate) const SESSION_LIMIT: f64 = 4096.0;
/// What an unstored message should cost at most, relays.
const UNSTORED_AIM: f64 = 2.0;
/// What a stored one should.
const STORED_AIM: f64 = 4.0;

/// All that was measured.
#[derive(Default)]
pub(crate) struct Report {
    /// Name, bytes per idle session, whether the limit is for it.
    pub(crate) memory: Vec<(&'static str, f64, bool)>,
    /// Name, whether it stores; rounds at a bounded rate; one at full speed. The relay is the first.
    pub(crate) cpu: Vec<Messages>,
}

/// What messages cost one program.
pub(crate) struct Messages {
    pub(crate) name: &'static str,
    /// How many relays it should cost at most; none for what is there for comparison only.
    pub(crate) aim: Option<f64>,
    pub(crate) rounds: Vec<Run>,
    pub(crate) full: Option<Run>,
}

impl Messages {
    pub(crate) fn relay() -> Self {
        Self { name: "bare relay", aim: None, rounds: Vec::new(), full: None }
    }
    pub(crate) fn unstored() -> Self {
        Self { name: "levee, not stored", aim: Some(UNSTORED_AIM), rounds: Vec::new(), full: None }
    }
    pub(crate) fn stored() -> Self {
        Self { name: "levee, stored in SQLite", aim: Some(STORED_AIM), rounds: Vec::new(), full: None }
    }
    pub(crate) fn in_memory() -> Self {
        Self { name: "levee, stored in memory", aim: None, rounds: Vec::new(), full: None }
    }
}

impl Report {
    /// Whether every limit that must be met is met.
    pub(crate) fn holds(&self) -> bool {
        self.memory.iter().all(|(_, bytes, limited)| !limited || *bytes <= SESSION_LIMIT)
    }

    /// The table.
    pub(crate) fn table(&self) -> String {
        let mut out = String::new();
        if !self.memory.is_empty() {
            let _ = writeln!(out, "{:<34} {:>10} {:>12}", "An idle guest session", "bytes", "limit");
            for (name, bytes, limited) in &self.memory {
                let verdict = match limited {
                    false => String::new(),
                    true if *bytes <= SESSION_LIMIT => format!("{SESSION_LIMIT:>12.0}  met"),
                    true => format!("{SESSION_LIMIT:>12.0}  EXCEEDED"),
                };
                let _ = writeln!(out, "  {name:<32} {bytes:>10.0} {verdict}");
            }
        }
        let Some(relay) = self.cpu.first() else { return out };
        let cost = |of: &Messages| Median::of(of.rounds.iter().map(Run::total));
        let base = cost(relay).value;
        let _ = writeln!(
            out,
            "{:<34} {:>8} {:>15} {:>13} {:>9} {:>7} {:>6}",
            "A message of 200 bytes",
            "CPU µs",
            "least to most",
            "user + kernel",
            "messages/s",
            "relays",
            "aim"
        );
        for of in &self.cpu {
            let Median { value, least, most } = cost(of);
            let part = |part: fn(&Run) -> f64| Median::of(of.rounds.iter().map(part)).value;
            let relays = value / base;
            let verdict = match of.aim {
                None => String::new(),
                Some(aim) if relays <= aim => format!("{aim:>6}  met"),
                Some(aim) => format!("{aim:>6}  missed"),
            };
            let _ = writeln!(
                out,
                "  {:<32} {value:>8.1} {:>15} {:>13} {:>9.0} {relays:>8.2} {verdict}",
                of.name,
                format!("{least:.1} to {most:.1}"),
                format!("{:.1} + {:.1}", part(|run| run.user), part(|run| run.system)),
                part(|run| run.rate),
            );
        }
        for (of, run) in self.cpu.iter().filter_map(|of| Some((of, of.full?))) {
            let _ = writeln!(
                out,
                "  {:<32} {:>8.1} {:>15} {:>13} {:>9.0} {:>8}",
                format!("{}, full speed", of.name),
                run.total(),
                format!("{:.0} % of a core", run.load * 100.0),
                format!("{:.1} + {:.1}", run.user, run.system),
                run.rate,
                "",
            );
        }
        out
    }
}
