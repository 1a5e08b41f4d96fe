//! Latencies, as they are measured.

use anyhow::Result;
use hdrhistogram::Histogram;
use levee_client::record::Latency;
use serde::Serialize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Everything between a microsecond and two minutes is told apart, to three digits.
const LONGEST_MICROS: u64 = 120_000_000;

/// Latencies so far.
pub(crate) struct Latencies {
    replies: Mutex<Histogram<u64>>,
    deliveries: Mutex<Histogram<u64>>,
}

/// The distribution of a latency, in milliseconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Percentiles {
    /// How many were measured.
    pub(crate) count: u64,
    /// Half were as fast as this.
    pub(crate) p50: f64,
    /// 90 of 100 were.
    pub(crate) p90: f64,
    /// 99 of 100 were.
    pub(crate) p99: f64,
    /// 999 of 1000 were.
    pub(crate) p999: f64,
    /// The slowest.
    pub(crate) max: f64,
}

impl Latencies {
    pub(crate) fn new() -> Result<Self> {
        let empty = || Histogram::new_with_bounds(1, LONGEST_MICROS, 3).map(Mutex::new);
        Ok(Self { replies: empty()?, deliveries: empty()? })
    }

    pub(crate) fn add(&self, latency: Latency) {
        let (histogram, took) = match latency {
            Latency::Reply(took) => (&self.replies, took),
            Latency::Delivery(took) => (&self.deliveries, took),
        };
        histogram.lock().unwrap_or_else(PoisonError::into_inner).saturating_record(micros(took));
    }

    /// How many replies came.
    pub(crate) fn replies(&self) -> u64 {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// From sending a message to its acknowledgement.
    pub(crate) fn reply(&self) -> Percentiles {
        Percentiles::of(&self.replies)
    }

    /// From sending a message to its coming to the other party.
    pub(crate) fn delivery(&self) -> Percentiles {
        Percentiles::of(&self.deliveries)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(LONGEST_MICROS).max(1)
}

impl Percentiles {
    fn of(histogram: &Mutex<Histogram<u64>>) -> Self {
        let histogram = histogram.lock().unwrap_or_else(PoisonError::into_inner);
        let at = |quantile: f64| histogram.value_at_quantile(quantile) as f64 / 1000.0;
        Self {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: histogram.max() as f64 / 1000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_in_milliseconds() {
        let latencies = Latencies::new().unwrap();
        for millis in 1..=100 {
            latencies.add(Latency::Reply(Duration::from_millis(millis)));
        }
        let reply = latencies.reply();
        assert_eq!(reply.count, 100);
        for (found, expected) in [(reply.p50, 50.0), (reply.p99, 99.0), (reply.max, 100.0)] {
            assert!((found - expected).abs() < 0.5, "{found} for {expected}");
        }
        assert_eq!(latencies.delivery().count, 0);
    }

    #[test]
    fn what_took_too_long_counts_as_the_longest() {
        let latencies = Latencies::new().unwrap();
        latencies.add(Latency::Delivery(Duration::from_secs(1_000_000)));
        assert!(latencies.delivery().max >= 119_000.0);
    }
}
