//! What is refused, and how it is said.

use super::*;

/// A schedule in which one property is something else.
fn with(name: &str, value: Value) -> Value {
    let mut given = json!({"timezone": "UTC", "week": []});
    given[name] = value;
    given
}

#[track_caller]
fn refused(given: Value, reason: &str) {
    assert_eq!(parse(given).unwrap_err(), format!("request_malformed: {reason}"));
}

#[test]
fn a_time_zone_is_one_of_the_database() {
    for name in ["UTC", "EET", "Europe/Helsinki", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "EST5EDT"] {
        assert!(parse(with("timezone", json!(name))).is_ok(), "{name}");
    }
    for name in
        ["", "Mars/Olympus", "utc", "europe/helsinki", " UTC", "+02:00", "Etc/Unknown", "../UTC", "EET-2EEST"]
    {
        refused(
            with("timezone", json!(name)),
            &format!("schedule.timezone {name:?} is not in the time zone database"),
        );
    }
    refused(
        with("timezone", json!(format!("\u{202e}{}", "x".repeat(10_000)))),
        &format!("schedule.timezone \"\\u{{202e}}{}\" is not in the time zone database", "x".repeat(39)),
    );
    refused(with("timezone", json!(null)), "schedule.timezone is not a string");
    refused(with("timezone", json!(2)), "schedule.timezone is not a string");
    refused(json!({"week": []}), "schedule.timezone is missing");
}

#[test]
fn a_week_has_seven_days_at_most() {
    assert!(parse(with("week", json!([null, null, null, null, null, null, ["9:00"]]))).is_ok());
    refused(
        with("week", json!([null, null, null, null, null, null, null, null])),
        "schedule.week has more than 7 days",
    );
    refused(with("week", json!(null)), "schedule.week is not an array");
    refused(with("week", json!({"0": ["9:00"]})), "schedule.week is not an array");
    refused(json!({"timezone": "UTC"}), "schedule.week is missing");
    for day in [json!("9:00"), json!(9), json!(true), json!({"9:00": "17:00"})] {
        refused(with("week", json!([null, day])), "schedule.week[1] is neither null nor an array of times");
    }
}

#[test]
fn times_are_hours_and_minutes() {
    for time in ["0:00", "00:00", "9:00", "09:00", "23:59"] {
        assert!(parse(with("week", json!([[time]]))).is_ok(), "{time}");
    }
    for time in [
        "", ":", "9", "9:0", "9:000", "009:00", "9:00:00", "9.00", " 9:00", "9:00 ", "+9:00", "-9:00",
        "9:+1", "٩:٠٠",
    ] {
        refused(
            with("week", json!([["0:00", time]])),
            &format!("schedule.week[0][1] {time:?} is not a time such as 9:00 or 17:30"),
        );
    }
    for time in ["24:01", "25:00", "9:60", "99:99"] {
        refused(
            with("week", json!([[time]])),
            &format!("schedule.week[0][0] {time:?} is no time of the day"),
        );
    }
    refused(
        with("week", json!([["18:00", "24:00"]])),
        "schedule.week[0][1] \"24:00\" is no time of that day: null as the last closing time means its end",
    );
    for time in [json!(9), json!(["9:00"]), json!(false)] {
        refused(with("week", json!([[time]])), "schedule.week[0][0] is neither null nor a string");
    }
}

#[test]
fn times_of_a_day_ascend() {
    for (times, last) in [
        (json!(["9:00", "9:00"]), 1),
        (json!(["23:30", "0:30"]), 1),
        (json!([null, "9:00", "9:00"]), 2),
        (json!(["9:00", "12:00", "11:00", "17:00"]), 2),
    ] {
        let reason = format!("schedule.week[0][{last}] is not later than the time before it");
        refused(with("week", json!([times])), &reason);
    }
    assert!(parse(with("week", json!([[null, "0:00", "0:01"]]))).is_ok());
    refused(
        with("week", json!([["9:00", null, "13:00"]])),
        "schedule.week[0][1] is null, but neither first nor last",
    );
    refused(
        with("week", json!([[null, null, "13:00"]])),
        "schedule.week[0][1] is null, but neither first nor last",
    );
}

#[test]
fn keys_are_days_that_exist_with_zeros_in_front() {
    for day in ["01/01", "02/29", "12/31"] {
        assert!(parse(with("annual", json!({day: null}))).is_ok(), "{day}");
    }
    for day in ["", "1/1", "01/1", "1/01", "001/01", "12-24", "2015-12-24", "12/24/", "+1/01", " 1/01"] {
        refused(
            with("annual", json!({day: null})),
            &format!("schedule.annual[{day:?}] is not of the form MM/DD, with zeros in front"),
        );
    }
    for day in ["00/01", "13/01", "01/00", "01/32", "02/30", "04/31", "24/12"] {
        refused(with("annual", json!({day: null})), &format!("schedule.annual[{day:?}] does not exist"));
    }
    for day in ["2015-06-19", "2024-02-29", "9999-12-31"] {
        assert!(parse(with("exceptions", json!({day: null}))).is_ok(), "{day}");
    }
    for day in
        ["", "2015-6-19", "2015-06-1", "15-06-19", "02015-06-19", "06/19", "-2015-06-19", "2015-06-19T00:00"]
    {
        refused(
            with("exceptions", json!({day: null})),
            &format!("schedule.exceptions[{day:?}] is not of the form YYYY-MM-DD, with zeros in front"),
        );
    }
    for day in ["2015-02-29", "2015-06-31", "2015-00-01", "2015-13-01", "2015-01-00", "2100-02-29"] {
        refused(
            with("exceptions", json!({day: null})),
            &format!("schedule.exceptions[{day:?}] does not exist"),
        );
    }
    refused(
        with("exceptions", json!({"2015-06-19": ["9:00", "x"]})),
        "schedule.exceptions[\"2015-06-19\"][1] \"x\" is not a time such as 9:00 or 17:30",
    );
}

#[test]
fn other_properties_have_their_types_or_are_null_and_there_are_no_more() {
    for name in ["disabled", "annual", "exceptions"] {
        assert_eq!(parse(with(name, json!(null))), parse(json!({"timezone": "UTC", "week": []})));
    }
    refused(with("disabled", json!("true")), "schedule.disabled is not a boolean");
    refused(with("disabled", json!(1)), "schedule.disabled is not a boolean");
    refused(with("annual", json!([])), "schedule.annual is not an object");
    refused(with("exceptions", json!([["2015-06-19", null]])), "schedule.exceptions is not an object");
    refused(with("exception", json!({})), "schedule has no property \"exception\"");
    refused(json!({}), "schedule.timezone is missing");
    refused(json!({"disabled": true}), "schedule.timezone is missing");
}

#[test]
fn there_are_limits() {
    let days = |count: i64| -> Value {
        let first = jiff::civil::date(2020, 1, 1);
        let day = |n| ((first + jiff::SignedDuration::from_hours(24 * n)).to_string(), json!(["9:00"]));
        Value::Object((0..count).map(day).collect())
    };
    assert!(parse(with("exceptions", days(1000))).is_ok());
    refused(with("exceptions", days(1001)), "schedule.exceptions has more than 1000 days");
    let times = |count: u32| (0..count).map(|n| format!("{}:{:02}", n / 3, n % 3)).collect::<Vec<_>>();
    assert!(parse(with("week", json!([times(48)]))).is_ok());
    refused(with("week", json!([times(49)])), "schedule.week[0] has more than 48 times");
    refused(with("week", json!([vec![Value::Null; 49]])), "schedule.week[0] has more than 48 times");
}
