//! Which hours were asked for, and what they are called.

use super::{HOUR, Hour, Stats};
use crate::machine::Moment;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use levee_proto::actions::queue::GetQueueStats;
use levee_proto::{Body, Object, Rejection, events};
use std::collections::BTreeMap;

/// How many hours can be asked for at a time: a month.
const LENGTH: u64 = 31 * 24;
/// How many groups an answer has at most.
const SHOWN: usize = 20_000;

/// Hours that were asked for, with what is known of them beside what is written down.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// The first one.
    pub from: u64,
    /// The one after the last.
    pub until: u64,
    /// The last record of the queue that is in what is known: what is written down later is in it already.
    pub through: u64,
    /// What is known of them.
    pub hours: BTreeMap<u64, Hour>,
}

impl Wanted {
    /// Before this time, microseconds since 1970, nothing was written down of them.
    pub fn since(&self) -> u64 {
        self.from.saturating_mul(HOUR)
    }

    /// Adds what was written down.
    pub fn add(&mut self, number: u64, hour: &Hour) {
        if (self.from..self.until).contains(&number) {
            self.hours.entry(number).or_default().merge(hour, 1);
        }
    }

    /// The answer.
    ///
    /// # Errors
    /// `request_malformed` when it would be too long.
    pub fn answer(self) -> Result<Body, Rejection> {
        if self.hours.values().map(Hour::groups).sum::<usize>() > SHOWN {
            return Err(Rejection::malformed("the answer would be too long: stats_length can be less"));
        }
        let shown = self.hours.into_iter().filter_map(|(number, hour)| Some((name(number)?, hour.shown()?)));
        let queue_stats: Object = shown.collect();
        Ok(Body::new(&events::QueueStatsContents { queue_stats }))
    }
}

impl Stats {
    /// The hours that an action asks for.
    pub(in crate::queue) fn wanted(&self, at: &Moment<'_>, get: &GetQueueStats) -> Result<Wanted, Rejection> {
        if !(1..=LENGTH).contains(&get.stats_length) {
            return Err(Rejection::malformed(format!("stats_length is 1 to {LENGTH} hours")));
        }
        let (from, until) = match &get.stats_hour {
            Some(text) => {
                let from = number(text).ok_or_else(|| Rejection::malformed("stats_hour is no YYYYMMDDHH"))?;
                (from, from + get.stats_length)
            }
            None => {
                let until = self.latest.unwrap_or(at.now / HOUR) + 1;
                (until.saturating_sub(get.stats_length), until)
            }
        };
        let hours = self.hours.range(from..until).map(|(number, hour)| (*number, hour.clone())).collect();
        Ok(Wanted { from, until, through: at.seq, hours })
    }
}

/// The name of an hour, `YYYYMMDDHH` in UTC.
pub fn name(number: u64) -> Option<String> {
    let second = i64::try_from(number.checked_mul(3600)?).ok()?;
    let time = TimeZone::UTC.to_datetime(jiff::Timestamp::from_second(second).ok()?);
    Some(format!("{:04}{:02}{:02}{:02}", time.year(), time.month(), time.day(), time.hour()))
}

/// The hours since 1970 until the one of this name.
pub fn number(name: &str) -> Option<u64> {
    if name.len() != 10 || !name.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let part = |from: usize, to: usize| name[from..to].parse::<i16>().ok();
    let small = |from: usize| part(from, from + 2).and_then(|part| i8::try_from(part).ok());
    let date = Date::new(part(0, 4)?, small(4)?, small(6)?).ok()?;
    let time = date.to_datetime(jiff::civil::Time::new(small(8)?, 0, 0, 0).ok()?);
    let second = TimeZone::UTC.to_timestamp(time).ok()?.as_second();
    u64::try_from(second / 3600).ok().filter(|_| second >= 0)
}
