use super::*;
use serde_json::{Value, json};

mod hours;
mod property;
mod reasons;

fn parse(value: Value) -> Result<Schedule, String> {
    let Value::Object(object) = value else { panic!("not an object: {value}") };
    Schedule::parse(&object).map_err(|rejection| rejection.to_string())
}

fn schedule(value: Value) -> Schedule {
    parse(value).unwrap()
}

/// The same hours on every day.
fn daily(zone: &str, hours: Value) -> Schedule {
    schedule(json!({"timezone": zone, "week": vec![hours; 7]}))
}

fn at(time: &str) -> u64 {
    micros(time.parse().unwrap()).unwrap()
}

/// The changes after an instant, as often as asked: when, and whether it is open from then on.
fn changes(schedule: &Schedule, after: &str, count: usize) -> Vec<(String, bool)> {
    let next = |&now: &u64| schedule.next_change(now);
    std::iter::successors(next(&at(after)), next)
        .take(count)
        .map(|now| (timestamp(now).to_string(), schedule.is_open(now).unwrap()))
        .collect()
}

/// Fails unless a schedule opens and closes in turn at these instants, opening first.
#[track_caller]
fn opens_and_closes(schedule: &Schedule, after: &str, times: &[&str]) {
    assert_eq!(schedule.is_open(at(after)), Some(false), "after {after}");
    let expected: Vec<_> =
        times.iter().enumerate().map(|(index, time)| ((*time).to_owned(), index % 2 == 0)).collect();
    assert_eq!(changes(schedule, after, times.len()), expected);
}
