//! What a schedule has to look like.

use super::{Hours, Schedule};
use jiff::civil::Date;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use levee_proto::{Object, Rejection};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Display;

/// All that a schedule may have.
const PROPERTIES: [&str; 5] = ["disabled", "timezone", "week", "annual", "exceptions"];

/// One-time exceptions.
const EXCEPTIONS: usize = 1000;

/// Entries of a day, `null` included.
const TIMES: usize = 48;

/// A leap year, to try a month and a day in.
const LEAP_YEAR: i16 = 2000;

impl Schedule {
    /// Understands a `schedule` attribute. `timezone` (a name of the IANA database, in its spelling) and
    /// `week` are needed; the others may be left out or `null`. Hours have one digit or two, minutes two.
    /// There is no `24:00`: what is open until the end of a day has no last closing time, or `null`.
    /// A disabled schedule has to be valid too.
    ///
    /// # Errors
    /// `request_malformed`, with the place and the reason.
    pub fn parse(schedule: &Object) -> Result<Self, Rejection> {
        if let Some(name) = schedule.keys().find(|name| !PROPERTIES.contains(&name.as_str())) {
            return Err(wrong("schedule", format_args!("has no property {}", quoted(name))));
        }
        let exceptions = entries(schedule, "exceptions", date)?;
        if exceptions.len() > EXCEPTIONS {
            return Err(wrong("schedule.exceptions", format_args!("has more than {EXCEPTIONS} days")));
        }
        Ok(Self {
            disabled: match schedule.get("disabled") {
                None | Some(Value::Null) => false,
                Some(Value::Bool(disabled)) => *disabled,
                Some(_) => return Err(wrong("schedule.disabled", "is not a boolean")),
            },
            zone: zone(schedule.get("timezone"))?,
            week: week(schedule.get("week"))?,
            annual: entries(schedule, "annual", month_and_day)?,
            exceptions,
        })
    }
}

/// A rejection that tells where and why.
fn wrong(place: impl Display, reason: impl Display) -> Rejection {
    Rejection::malformed(format!("{place} {reason}"))
}

/// The beginning of what was given, without control characters.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(40).collect::<String>())
}

fn zone(value: Option<&Value>) -> Result<TimeZone, Rejection> {
    const PLACE: &str = "schedule.timezone";
    let name = match value {
        None => return Err(wrong(PLACE, "is missing")),
        Some(Value::String(name)) => name,
        Some(_) => return Err(wrong(PLACE, "is not a string")),
    };
    let zone = TimeZoneDatabase::bundled().get(name).ok();
    zone.filter(|zone| zone.iana_name() == Some(name))
        .ok_or_else(|| wrong(PLACE, format_args!("{} is not in the time zone database", quoted(name))))
}

fn week(value: Option<&Value>) -> Result<[Hours; 7], Rejection> {
    const PLACE: &str = "schedule.week";
    let days = match value {
        None => return Err(wrong(PLACE, "is missing")),
        Some(Value::Array(days)) => days,
        Some(_) => return Err(wrong(PLACE, "is not an array")),
    };
    let mut week = <[Hours; 7]>::default();
    if days.len() > week.len() {
        return Err(wrong(PLACE, "has more than 7 days"));
    }
    for (index, (day, value)) in week.iter_mut().zip(days).enumerate() {
        *day = hours(&format!("{PLACE}[{index}]"), value)?;
    }
    Ok(week)
}

/// Days that have hours of their own, by what their keys say.
fn entries<K: Ord>(
    schedule: &Object,
    name: &str,
    key: impl Fn(&str) -> Result<K, &'static str>,
) -> Result<BTreeMap<K, Hours>, Rejection> {
    let place = format!("schedule.{name}");
    let days = match schedule.get(name) {
        None | Some(Value::Null) => return Ok(BTreeMap::new()),
        Some(Value::Object(days)) => days,
        Some(_) => return Err(wrong(place, "is not an object")),
    };
    let entry = |(day, value): (&String, &Value)| {
        let place = format!("{place}[{}]", quoted(day));
        Ok((key(day).map_err(|reason| wrong(&place, reason))?, hours(&place, value)?))
    };
    days.iter().map(entry).collect()
}

/// The hours of a day: opening and closing times in turn.
fn hours(place: &str, value: &Value) -> Result<Hours, Rejection> {
    let times = match value {
        Value::Null => return Ok(Hours::default()),
        Value::Array(times) if times.len() > TIMES => {
            return Err(wrong(place, format_args!("has more than {TIMES} times")));
        }
        Value::Array(times) => times,
        _ => return Err(wrong(place, "is neither null nor an array of times")),
    };
    let given = times.iter().rposition(|time| !time.is_null()).map_or(0, |last| last + 1);
    let (mut until, mut ranges) = (None, Vec::new());
    let (mut opened, mut last) = (None, None);
    for (index, time) in times[..given].iter().enumerate() {
        let wrong = |reason: &dyn Display| Err(wrong(format_args!("{place}[{index}]"), reason));
        let minute = match time {
            Value::Null if index == 0 => continue,
            Value::Null => return wrong(&"is null, but neither first nor last"),
            Value::String(text) => match minute(text) {
                Ok(minute) => minute,
                Err(reason) => return wrong(&format_args!("{} {reason}", quoted(text))),
            },
            _ => return wrong(&"is neither null nor a string"),
        };
        if last.is_some_and(|last| minute <= last) {
            return wrong(&"is not later than the time before it");
        }
        last = Some(minute);
        match (index % 2, opened.take()) {
            (0, _) => opened = Some(minute),
            (_, Some(opening)) => ranges.push((opening, minute)),
            (_, None) => until = Some(minute),
        }
    }
    ranges.extend(opened.map(|opening| (opening, super::DAY)));
    Ok(Hours { until, ranges: ranges.into() })
}

/// A time of the day in minutes.
fn minute(text: &str) -> Result<u16, &'static str> {
    const FORM: &str = "is not a time such as 9:00 or 17:30";
    let (hour, minute) = text.split_once(':').ok_or(FORM)?;
    let hour = number(hour, 2).or_else(|| number(hour, 1)).ok_or(FORM)?;
    let minute = number(minute, 2).ok_or(FORM)?;
    match (hour, minute) {
        (24, 0) => Err("is no time of that day: null as the last closing time means its end"),
        (0..24, 0..60) => Ok(hour * 60 + minute),
        _ => Err("is no time of the day"),
    }
}

/// A number that is written with so many digits.
fn number(text: &str, digits: usize) -> Option<u16> {
    let fits = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    fits.then(|| text.parse().ok())?
}

const NO_SUCH_DAY: &str = "does not exist";

/// A day of every year, `MM/DD`.
fn month_and_day(key: &str) -> Result<(i8, i8), &'static str> {
    const FORM: &str = "is not of the form MM/DD, with zeros in front";
    let (month, day) = key.split_once('/').ok_or(FORM)?;
    let date = existing(LEAP_YEAR, number(month, 2).ok_or(FORM)?, number(day, 2).ok_or(FORM)?)?;
    Ok((date.month(), date.day()))
}

/// A day, `YYYY-MM-DD`.
fn date(key: &str) -> Result<Date, &'static str> {
    const FORM: &str = "is not of the form YYYY-MM-DD, with zeros in front";
    let (year, rest) = key.split_once('-').ok_or(FORM)?;
    let (month, day) = rest.split_once('-').ok_or(FORM)?;
    let year = number(year, 4).and_then(|year| i16::try_from(year).ok()).ok_or(FORM)?;
    existing(year, number(month, 2).ok_or(FORM)?, number(day, 2).ok_or(FORM)?)
}

/// A day of the calendar, if there is one.
fn existing(year: i16, month: u16, day: u16) -> Result<Date, &'static str> {
    let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) else { return Err(NO_SUCH_DAY) };
    Date::new(year, month, day).map_err(|_| NO_SUCH_DAY)
}
