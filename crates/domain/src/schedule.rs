//! Opening hours of channels and queues: what their `schedule` attribute says of an instant.
//!
//! **Which hours a day has.** Those of its one-time exception, else of its yearly one, else of its
//! weekday; never a mixture of them. An annual `02/29` counts in leap years only.
//!
//! **Around midnight.** A day whose last closing time is left out, or `null`, is open until its end. If
//! the day after begins with `null`, it stays open until the closing time that follows; otherwise it
//! closes at midnight, unless it opens again at `0:00`. A day that begins with `null` goes on with what
//! the day before left open: if that day was closed in the end, such as by an exception, nothing opens.
//! So a night belongs to the day on which it began. Around the clock is `["0:00"]` on every day.
//!
//! **When clocks are changed.** A time stands for the first instant at which the clock on the wall shows
//! it or a later one. So one that is skipped in spring is the end of the gap, and one that comes twice in
//! autumn is the first of the two, for opening and for closing alike: what closed in the repeated hour
//! does not open again in its repetition. Hours that lie within a gap are none.
//!
//! The time zone database is compiled in, so that every node of a release agrees and no file is read.

use crate::machine::{Due, Emit, Timer};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{AmbiguousOffset, TimeZone};
use levee_proto::{Object, Rejection};
use std::collections::BTreeMap;

mod parse;
#[cfg(test)]
mod tests;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// For how many days [`Schedule::next_change`] looks ahead at least: a year and a month.
pub const HORIZON_DAYS: u16 = 400;

/// The hours of one day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Hours {
    /// When it closes what the day before left open.
    until: Option<u16>,
    /// When it opens and closes, in minutes; the last may close at [`DAY`], which leaves it open.
    ranges: Box<[(u16, u16)]>,
}

impl Hours {
    /// Whether it is open past midnight, if the next day goes on with it.
    fn stays_open(&self) -> bool {
        self.ranges.last().is_some_and(|&(_, closing)| closing == DAY)
    }

    /// All that is open, if the day before did or did not stay open.
    fn open(&self, stayed: bool) -> impl Iterator<Item = (u16, u16)> {
        let rest = self.until.filter(|_| stayed).map(|closing| (0, closing));
        rest.into_iter().chain(self.ranges.iter().copied())
    }
}

/// A valid schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    disabled: bool,
    zone: TimeZone,
    /// Monday first.
    week: [Hours; 7],
    /// By month and day.
    annual: BTreeMap<(i8, i8), Hours>,
    exceptions: BTreeMap<Date, Hours>,
}

/// Microseconds since 1970 as an instant; those after the year 9999 are its end.
fn timestamp(micros: u64) -> Timestamp {
    let micros = i64::try_from(micros).unwrap_or(i64::MAX);
    Timestamp::from_microsecond(micros).unwrap_or(Timestamp::MAX)
}

/// Makes a `closed` attribute what the `schedule` beside it says at a time, and tells when to do that again. Without
/// a schedule, and with one that is disabled, it stays as it is.
///
/// # Errors
/// `request_malformed` for one that is not valid.
pub fn keep(schedule: Option<&Object>, closed: &mut Option<bool>, now: u64) -> Result<Emit, Rejection> {
    let schedule = schedule.map(Schedule::parse).transpose()?;
    let opens = schedule.and_then(|schedule| Some((schedule.is_open(now)?, schedule.next_look(now)?)));
    let Some((open, next)) = opens else { return Ok(Emit::Unwait(Timer::Schedule)) };
    *closed = (!open).then_some(true);
    Ok(Emit::Wait(Timer::Schedule, Due::At(next)))
}

impl Schedule {
    /// Whether it is open at an instant, in microseconds since 1970. At an opening time it is, at a
    /// closing time it is not any more. `None` if the schedule is disabled.
    pub fn is_open(&self, at_micros: u64) -> Option<bool> {
        if self.disabled {
            return None;
        }
        let at = timestamp(at_micros);
        // When clocks are put back across midnight, the day after has begun already.
        let mut days = self.days_from(at).take(2);
        Some(days.any(|day| day.ranges().any(|(opening, closing)| opening <= at && at < closing)))
    }

    /// The first instant after this one at which [`is_open`](Self::is_open) becomes another, both in
    /// microseconds since 1970. `None` if the schedule is disabled, or if there is no such instant within
    /// [`HORIZON_DAYS`]: whoever wants to be told of a change anyway sets a timer by
    /// [`next_look`](Self::next_look).
    pub fn next_change(&self, after_micros: u64) -> Option<u64> {
        if self.disabled {
            return None;
        }
        let after = timestamp(after_micros);
        let mut open_until = None;
        // Today, and two more for clocks that are changed.
        for day in self.days_from(after).take(usize::from(HORIZON_DAYS) + 3) {
            for (opening, closing) in day.ranges().filter(|&(_, closing)| closing > after) {
                match open_until {
                    None if opening > after => return micros(opening),
                    Some(until) if opening > until => return micros(until),
                    _ => open_until = Some(closing),
                }
            }
            // What ends with the day may go on with the next.
            if let Some(until) = open_until
                && until < day.at(DAY)?
            {
                return micros(until);
            }
        }
        None
    }

    /// When to look at the schedule again: at the next change, or after [`HORIZON_DAYS`] without one.
    /// `None` if the schedule is disabled.
    pub fn next_look(&self, after_micros: u64) -> Option<u64> {
        if self.disabled {
            return None;
        }
        let horizon = u64::from(HORIZON_DAYS) * u64::from(DAY) * 60_000_000;
        self.next_change(after_micros).or_else(|| after_micros.checked_add(horizon))
    }

    /// The days from an instant's on, by the date that the clock on the wall shows. Those before ended
    /// when it showed this date first.
    fn days_from(&self, at: Timestamp) -> impl Iterator<Item = Day<'_>> {
        let today = self.zone.to_datetime(at).date();
        let mut stayed = today.yesterday().is_ok_and(|date| self.hours(date).stays_open());
        std::iter::successors(Some(today), |date| date.tomorrow().ok()).map(move |date| {
            let hours = self.hours(date);
            let day = Day { zone: &self.zone, date, hours, stayed };
            stayed = hours.stays_open();
            day
        })
    }

    /// The hours of a day: exceptions beat the year, which beats the week.
    fn hours(&self, date: Date) -> &Hours {
        self.exceptions
            .get(&date)
            .or_else(|| self.annual.get(&(date.month(), date.day())))
            .unwrap_or_else(|| &self.week[date.weekday().to_monday_zero_offset().unsigned_abs() as usize])
    }
}

/// An instant as microseconds since 1970.
fn micros(at: Timestamp) -> Option<u64> {
    u64::try_from(at.as_microsecond()).ok()
}

/// A day of the calendar, in a time zone.
struct Day<'a> {
    zone: &'a TimeZone,
    date: Date,
    hours: &'a Hours,
    /// Whether the day before stayed open.
    stayed: bool,
}

impl Day<'_> {
    /// From when until when it is open; each begins no earlier than the one before ended.
    fn ranges(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        self.hours
            .open(self.stayed)
            .filter_map(|(opening, closing)| Some((self.at(opening)?, self.at(closing)?)))
            .filter(|(opening, closing)| opening < closing)
    }

    /// The first instant at which the clock on the wall shows a minute or a later one; `None` at the
    /// end of the calendar.
    fn at(&self, minute: u16) -> Option<Timestamp> {
        let date = if minute < DAY { self.date } else { self.date.tomorrow().ok()? };
        let minute = i8::try_from(minute % 60).ok().zip(i8::try_from(minute % DAY / 60).ok());
        let time = minute.map(|(minute, hour)| date.at(hour, minute, 0, 0))?;
        let ambiguous = self.zone.to_ambiguous_timestamp(time);
        let AmbiguousOffset::Gap { after, .. } = ambiguous.offset() else {
            return ambiguous.earlier().ok();
        };
        let before = after.to_timestamp(time).ok()?;
        self.zone.following(before).find(|change| change.offset() == after).map(|change| change.timestamp())
    }
}
