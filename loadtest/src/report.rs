//! The report of a run, for people and for machines.

use crate::figures::{Latencies, Percentiles};
use levee_client::chat::Talk;
use levee_client::check::{Kind, Verdict};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Violations that are shown in full.
const SHOWN: usize = 20;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Settings {
    pub(crate) customers: u32,
    pub(crate) agents: u32,
    pub(crate) polling: f64,
    pub(crate) rate: f64,
    pub(crate) message_bytes: u32,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    settings: Settings,
    /// Seconds from the first message to the last answer.
    seconds: f64,
    sent: u64,
    acknowledged: u64,
    /// Acknowledged messages per second.
    throughput: f64,
    refused: u64,
    unanswered: u64,
    /// Messages that were sent late, for their writer had too many without an answer.
    held_back: u64,
    /// Messages that came to somebody.
    delivered: u64,
    /// Messages that came again and were recognised.
    repeated: u64,
    /// Messages that had not come to everybody when the wait was over.
    undelivered: u64,
    /// Acknowledged messages that no history has, or that never came to a party.
    lost: u64,
    /// Messages that took effect twice.
    doubled: u64,
    reconnects: u64,
    reply_ms: Percentiles,
    delivery_ms: Percentiles,
    /// How often each promise was broken.
    violations: BTreeMap<String, u64>,
    /// The first of them.
    examples: Vec<String>,
}

impl Report {
    pub(crate) fn new(
        settings: &Settings,
        took: Duration,
        talk: Talk,
        undelivered: u64,
        verdict: &Verdict,
        latencies: &Latencies,
    ) -> Self {
        let mut violations = BTreeMap::new();
        for violation in &verdict.violations {
            *violations.entry(format!("{:?}", violation.kind)).or_default() += 1;
        }
        let count = |kinds: &[Kind]| kinds.iter().map(|kind| verdict.count(*kind) as u64).sum();
        Self {
            settings: settings.clone(),
            seconds: took.as_secs_f64(),
            sent: talk.sent,
            acknowledged: talk.acknowledged,
            throughput: talk.acknowledged as f64 / took.as_secs_f64().max(0.001),
            refused: talk.refused,
            unanswered: talk.unanswered,
            held_back: talk.held_back,
            delivered: verdict.delivered,
            repeated: verdict.repeated,
            undelivered,
            lost: count(&[Kind::Lost, Kind::Missed]),
            doubled: count(&[Kind::Doubled]),
            reconnects: verdict.reconnects,
            reply_ms: latencies.reply(),
            delivery_ms: latencies.delivery(),
            violations,
            examples: verdict.violations.iter().take(SHOWN).map(ToString::to_string).collect(),
        }
    }

    /// Whether the server kept its promises.
    pub(crate) fn kept(&self) -> bool {
        self.violations.is_empty() && self.undelivered == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { customers, agents, polling, rate, message_bytes } = &self.settings;
        writeln!(
            f,
            "{customers} customers ({:.0} % polling) and {agents} agents, {rate} messages/s each way, \
             {message_bytes} bytes\n",
            polling * 100.0
        )?;
        let rows: [(&str, String); 11] = [
            ("seconds", format!("{:.1}", self.seconds)),
            ("messages sent", self.sent.to_string()),
            ("acknowledged", self.acknowledged.to_string()),
            ("acknowledged per second", format!("{:.1}", self.throughput)),
            ("refused", self.refused.to_string()),
            ("unanswered", self.unanswered.to_string()),
            ("sent late", self.held_back.to_string()),
            ("deliveries", self.delivered.to_string()),
            ("lost", self.lost.to_string()),
            ("doubled", format!("{} (and {} recognised)", self.doubled, self.repeated)),
            ("reconnections", self.reconnects.to_string()),
        ];
        for (name, value) in rows {
            writeln!(f, "{name:<26}{value:>12}")?;
        }
        writeln!(f, "\n{:<20}{:>10}{:>10}{:>10}{:>10}{:>10}", "ms", "p50", "p90", "p99", "p99.9", "max")?;
        for (name, of) in [("send to reply", &self.reply_ms), ("send to delivery", &self.delivery_ms)] {
            writeln!(
                f,
                "{name:<20}{:>10.2}{:>10.2}{:>10.2}{:>10.2}{:>10.2}",
                of.p50, of.p90, of.p99, of.p999, of.max
            )?;
        }
        if self.kept() {
            return writeln!(f, "\nnothing lost, nothing doubled, everything in order");
        }
        writeln!(f, "\nBROKEN PROMISES: {:?}, {} undelivered", self.violations, self.undelivered)?;
        self.examples.iter().try_for_each(|example| writeln!(f, "  {example}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use levee_client::check::Violation;

    fn report(violations: Vec<Violation>, undelivered: u64) -> Report {
        let settings = Settings { customers: 2, agents: 1, polling: 0.5, rate: 1.0, message_bytes: 200 };
        let talk = Talk { sent: 10, acknowledged: 10, ..Talk::default() };
        let verdict = Verdict { violations, acknowledged: 10, delivered: 20, ..Verdict::default() };
        let latencies = Latencies::new().unwrap();
        Report::new(&settings, Duration::from_secs(5), talk, undelivered, &verdict, &latencies)
    }

    #[test]
    fn a_faultless_run_says_so() {
        let report = report(Vec::new(), 0);
        assert!(report.kept());
        let text = report.to_string();
        assert!(text.contains("acknowledged per second            2.0"), "{text}");
        assert!(text.ends_with("everything in order\n"), "{text}");
    }

    #[test]
    fn what_was_lost_is_counted_and_shown() {
        let lost = Violation { kind: Kind::Lost, who: "anna".into(), about: "text-1".into() };
        let report = report(vec![lost], 0);
        assert!(!report.kept());
        let text = report.to_string();
        assert!(text.contains("Lost: anna: text-1"), "{text}");
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["lost"], &json["violations"]["Lost"]), (&1.into(), &1.into()));
    }

    #[test]
    fn what_did_not_arrive_in_time_is_a_fault() {
        assert!(!report(Vec::new(), 3).kept());
    }
}
