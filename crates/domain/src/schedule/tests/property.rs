//! What holds for every schedule, checked against a clock on the wall that is never put back.

use super::*;
use jiff::tz::TimeZoneDatabase;
use proptest::prelude::*;

const ZONES: &[&str] = &[
    "UTC",
    "EET",
    "Europe/Helsinki",
    "Europe/Dublin",
    "America/New_York",
    "America/St_Johns",
    "America/Havana",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Antarctica/Troll",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Apia",
];

/// Hours of a day: quarters of an hour, often those at which clocks are changed.
fn hours() -> impl Strategy<Value = Value> {
    let quarter = prop_oneof![0..20u16, 0..96u16];
    let times = proptest::collection::btree_set(quarter, 0..7);
    (any::<bool>(), times, 0..3usize).prop_map(|(null_first, times, nulls)| {
        let first = (null_first && !times.is_empty()).then_some(Value::Null);
        let times =
            times.into_iter().map(|quarter| json!(format!("{}:{:02}", quarter / 4, quarter % 4 * 15)));
        first.into_iter().chain(times).chain(vec![Value::Null; nulls]).collect()
    })
}

/// Schedules, and an instant close to a change of their clocks.
fn schedules() -> impl Strategy<Value = (Schedule, u64)> {
    let week = proptest::collection::vec(hours(), 0..=7);
    let annual = proptest::collection::vec((1..=12u8, 1..=28u8, hours()), 0..20);
    let around = (1_230_000_000..2_300_000_000i64, -3 * 86_400..3 * 86_400i64);
    (proptest::sample::select(ZONES), week, annual, around, hours()).prop_map(
        |(zone, week, annual, (second, distance), exception)| {
            let near = Timestamp::from_second(second).unwrap();
            let zoned = TimeZoneDatabase::bundled().get(zone).unwrap();
            let near = zoned.following(near).next().map_or(near, |change| change.timestamp());
            let date = zoned.to_datetime(near).date().to_string();
            let annual: serde_json::Map<_, _> = annual
                .into_iter()
                .map(|(month, day, hours)| (format!("{month:02}/{day:02}"), hours))
                .collect();
            let given = json!({
                "timezone": zone, "week": week, "annual": annual, "exceptions": {date: exception}
            });
            (schedule(given), ((near.as_second() + distance) * 1_000_000).unsigned_abs())
        },
    )
}

/// What the clock shows if it stands still when others are put back: the latest that was shown.
fn latest_shown(zone: &TimeZone, now: Timestamp) -> jiff::civil::DateTime {
    let day = jiff::SignedDuration::from_hours(26);
    let tick = jiff::SignedDuration::from_nanos(1);
    zone.preceding(now + tick)
        .map(|change| change.timestamp())
        .take_while(|&change| change > now - day)
        .map(|change| zone.to_datetime(change - tick))
        .chain([zone.to_datetime(now)])
        .max()
        .unwrap()
}

/// Whether it is open by what that clock shows.
fn open_by_the_clock(schedule: &Schedule, now: u64) -> bool {
    let shown = latest_shown(&schedule.zone, timestamp(now));
    let minute = shown.hour() as u16 * 60 + shown.minute() as u16;
    let stayed = schedule.hours(shown.date().yesterday().unwrap()).stays_open();
    schedule.hours(shown.date()).open(stayed).any(|(opening, closing)| (opening..closing).contains(&minute))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn nothing_changes_before_the_next_change_and_then_it_does((schedule, now) in schedules()) {
        let open = schedule.is_open(now);
        let next = schedule.next_change(now);
        let until = next.unwrap_or_else(|| schedule.next_look(now).unwrap());
        prop_assert!(until > now);
        let step = (until - now).div_ceil(64);
        for at in (now..until).step_by(step as usize).chain([until - 1]) {
            prop_assert_eq!(schedule.is_open(at), open);
            prop_assert_eq!(Some(open_by_the_clock(&schedule, at)), open);
        }
        if next.is_some() {
            prop_assert_eq!(schedule.is_open(until), open.map(|open| !open));
            prop_assert_eq!(Some(open_by_the_clock(&schedule, until)), open.map(|open| !open));
        }
    }

    #[test]
    fn it_is_open_as_the_clock_on_the_wall_says((schedule, now) in schedules()) {
        for quarter in 0..2 * 96 {
            let at = now + quarter * 15 * 60_000_000;
            prop_assert_eq!(schedule.is_open(at), Some(open_by_the_clock(&schedule, at)));
        }
    }
}
