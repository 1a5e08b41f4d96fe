//! How many mails may be asked for to one address, whoever asks: users come and go, and each has limits of its own only.
//! Each node counts for itself, whether the address is known here or not.

use levee_proto::{Id, ids};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The time within which wishes are counted, in microseconds.
const HOUR: u64 = 3_600 * 1_000_000;
/// How many wishes there may be for one address.
const TO_ONE: usize = 10;
/// How many addresses there may be.
const ADDRESSES: usize = 10_000;

/// The wishes of the last hour: when they came, by the addresses' digests.
#[derive(Default)]
pub(crate) struct MailRate(Mutex<HashMap<Id, Vec<u64>>>);

impl MailRate {
    /// Counts one more wish. False if there were too many.
    pub(crate) fn allow(&self, address: &str, now: u64) -> bool {
        let mut wishes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = ids::digest(address);
        if wishes.len() >= ADDRESSES && !wishes.contains_key(&digest) {
            wishes.retain(|_, times| times.last().is_some_and(|time| time + HOUR > now));
            if wishes.len() >= ADDRESSES {
                return false;
            }
        }
        let times = wishes.entry(digest).or_default();
        times.retain(|time| time + HOUR > now);
        let allowed = times.len() < TO_ONE;
        if allowed {
            times.push(now);
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_counted_per_address_and_forgotten_after_an_hour() {
        let rate = MailRate::default();
        for time in 0..TO_ONE as u64 {
            assert!(rate.allow("a@b.c", time));
        }
        assert!(!rate.allow("a@b.c", 20) && rate.allow("d@b.c", 20));
        assert!(rate.allow("a@b.c", HOUR) && !rate.allow("a@b.c", HOUR), "one of them is an hour ago");
        for number in 2..ADDRESSES {
            assert!(rate.allow(&format!("{number}@b.c"), HOUR));
        }
        assert!(!rate.allow("x@b.c", HOUR) && rate.allow("d@b.c", HOUR));
        assert!(rate.allow("x@b.c", 2 * HOUR + 20), "there is room again");
    }
}
