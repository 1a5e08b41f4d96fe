//! When it is open.

use super::*;

#[test]
fn hours_are_those_of_the_time_zone_in_winter_and_in_summer() {
    for (zone, winter, summer) in [
        ("UTC", ["09:00", "17:00"], ["09:00", "17:00"]),
        ("Europe/Helsinki", ["07:00", "15:00"], ["06:00", "14:00"]),
        ("America/New_York", ["14:00", "22:00"], ["13:00", "21:00"]),
        ("Asia/Kathmandu", ["03:15", "11:15"], ["03:15", "11:15"]),
    ] {
        let schedule = daily(zone, json!(["9:00", "17:00"]));
        for (day, times) in [("2024-01-15", winter), ("2024-07-15", summer)] {
            let times = times.map(|time| format!("{day}T{time}:00Z"));
            opens_and_closes(&schedule, &format!("{day}T00:00:00Z"), &[&times[0], &times[1]]);
        }
    }
}

#[test]
fn a_time_that_spring_skips_is_the_end_of_the_gap() {
    for (zone, hours, after, times) in [
        // 3:00 becomes 4:00 at 01:00Z.
        (
            "Europe/Helsinki",
            ["3:30", "5:00"],
            "2024-03-30T22:00:00Z",
            ["2024-03-31T01:00:00Z", "2024-03-31T02:00:00Z"],
        ),
        (
            "Europe/Helsinki",
            ["2:00", "3:30"],
            "2024-03-30T22:00:00Z",
            ["2024-03-31T00:00:00Z", "2024-03-31T01:00:00Z"],
        ),
        // Nothing is left of this day, and the next one is as usual.
        (
            "Europe/Helsinki",
            ["3:10", "3:50"],
            "2024-03-30T22:00:00Z",
            ["2024-04-01T00:10:00Z", "2024-04-01T00:50:00Z"],
        ),
        // 2:00 becomes 3:00 at 07:00Z.
        (
            "America/New_York",
            ["2:30", "3:30"],
            "2024-03-10T05:00:00Z",
            ["2024-03-10T07:00:00Z", "2024-03-10T07:30:00Z"],
        ),
        // 2:00 becomes 2:30 at 15:30Z.
        (
            "Australia/Lord_Howe",
            ["1:45", "2:15"],
            "2024-10-05T14:00:00Z",
            ["2024-10-05T15:15:00Z", "2024-10-05T15:30:00Z"],
        ),
        (
            "Australia/Lord_Howe",
            ["2:15", "3:00"],
            "2024-10-05T14:00:00Z",
            ["2024-10-05T15:30:00Z", "2024-10-05T16:00:00Z"],
        ),
        // Midnight becomes 1:00 at 22:00Z.
        (
            "Africa/Cairo",
            ["0:30", "2:00"],
            "2024-04-25T21:00:00Z",
            ["2024-04-25T22:00:00Z", "2024-04-25T23:00:00Z"],
        ),
    ] {
        opens_and_closes(&daily(zone, json!(hours)), after, &times);
    }
}

#[test]
fn a_time_that_autumn_repeats_is_the_first_of_the_two() {
    for (zone, hours, after, times) in [
        // 4:00 becomes 3:00 at 01:00Z.
        (
            "Europe/Helsinki",
            ["3:30", "12:00"],
            "2024-10-26T22:00:00Z",
            ["2024-10-27T00:30:00Z", "2024-10-27T10:00:00Z"],
        ),
        (
            "Europe/Helsinki",
            ["2:00", "3:30"],
            "2024-10-26T22:00:00Z",
            ["2024-10-26T23:00:00Z", "2024-10-27T00:30:00Z"],
        ),
        (
            "Europe/Helsinki",
            ["2:00", "4:00"],
            "2024-10-26T22:00:00Z",
            ["2024-10-26T23:00:00Z", "2024-10-27T02:00:00Z"],
        ),
        // 2:00 becomes 1:00 at 06:00Z.
        (
            "America/New_York",
            ["1:30", "2:30"],
            "2024-11-03T04:00:00Z",
            ["2024-11-03T05:30:00Z", "2024-11-03T07:30:00Z"],
        ),
        // 2:00 becomes 1:30 at 15:00Z.
        (
            "Australia/Lord_Howe",
            ["1:45", "2:15"],
            "2024-04-06T14:00:00Z",
            ["2024-04-06T14:45:00Z", "2024-04-06T15:45:00Z"],
        ),
        // One minute after midnight becomes 23:01 of the day before, at 02:31Z.
        (
            "America/St_Johns",
            ["0:00", "12:00"],
            "2010-11-07T02:00:00Z",
            ["2010-11-07T02:30:00Z", "2010-11-07T15:30:00Z"],
        ),
    ] {
        opens_and_closes(&daily(zone, json!(hours)), after, &times);
    }
    let schedule = daily("Europe/Helsinki", json!(["3:15", "3:45"]));
    let repeated = at("2024-10-27T01:30:00Z");
    assert_eq!(schedule.is_open(repeated), Some(false));
    assert_eq!(schedule.next_change(repeated), Some(at("2024-10-28T01:15:00Z")));
}

#[test]
fn a_clock_that_is_put_back_to_yesterday_closes_nothing() {
    let mut given = json!({"timezone": "America/St_Johns", "week": [null, null, null, null, null, null, ["0:00", "12:00"]]});
    let sunday = schedule(given.clone());
    given["week"] = json!([null, null, null, null, null, ["12:00", "23:30"]]);
    let saturday = schedule(given);
    // At 02:31Z it is Saturday, 23:01, once more.
    for (now, open) in [
        ("2010-11-07T01:59:59Z", [true, false]),
        ("2010-11-07T02:00:00Z", [false, false]),
        ("2010-11-07T02:30:00Z", [false, true]),
        ("2010-11-07T02:31:00Z", [false, true]),
        ("2010-11-07T02:45:00Z", [false, true]),
        ("2010-11-07T03:30:00Z", [false, true]),
    ] {
        assert_eq!([&saturday, &sunday].map(|schedule| schedule.is_open(at(now)).unwrap()), open, "{now}");
    }
    assert_eq!(sunday.next_change(at("2010-11-07T02:45:00Z")), Some(at("2010-11-07T15:30:00Z")));
    assert_eq!(saturday.next_change(at("2010-11-07T02:45:00Z")), Some(at("2010-11-13T15:30:00Z")));
}

#[test]
fn a_day_that_a_country_skipped_has_no_hours() {
    let schedule = daily("Pacific/Apia", json!(["9:00", "17:00"]));
    opens_and_closes(
        &schedule,
        "2011-12-29T18:00:00Z",
        &["2011-12-29T19:00:00Z", "2011-12-30T03:00:00Z", "2011-12-30T19:00:00Z", "2011-12-31T03:00:00Z"],
    );
    let never = schedule_of_one_day("Pacific/Apia", "2011-12-30", json!(["0:00"]));
    assert_eq!(never.next_change(at("2011-12-01T00:00:00Z")), None);
}

fn schedule_of_one_day(zone: &str, date: &str, hours: Value) -> Schedule {
    schedule(json!({"timezone": zone, "week": [], "exceptions": {date: hours}}))
}

/// What offices have: shorter days, a break, a year with holidays.
fn office() -> Value {
    json!({
        "timezone": "Europe/Helsinki",
        "week": [
            ["9:00", "17:00"], ["9:00", "17:00"], ["9:00", "12:00", "13:30", "17:00"],
            ["9:00", "17:00"], ["10:00", "15:30"], null, null
        ],
        "annual": {"12/24": ["9:00", "12:00"], "12/25": null},
        "exceptions": {"2015-06-19": null}
    })
}

#[test]
fn an_office_opens_by_the_week_the_year_and_the_exceptions() {
    let office = schedule(office());
    // Thursday; Friday is an exception; Monday.
    opens_and_closes(
        &office,
        "2015-06-18T00:00:00Z",
        &["2015-06-18T06:00:00Z", "2015-06-18T14:00:00Z", "2015-06-22T06:00:00Z", "2015-06-22T14:00:00Z"],
    );
    // A Wednesday with a break, Thursday, Friday, Monday.
    opens_and_closes(
        &office,
        "2015-06-24T00:00:00Z",
        &[
            "2015-06-24T06:00:00Z",
            "2015-06-24T09:00:00Z",
            "2015-06-24T10:30:00Z",
            "2015-06-24T14:00:00Z",
            "2015-06-25T06:00:00Z",
            "2015-06-25T14:00:00Z",
            "2015-06-26T07:00:00Z",
            "2015-06-26T12:30:00Z",
            "2015-06-29T06:00:00Z",
        ],
    );
    // Every year: a Tuesday until noon, no Wednesday, a whole Thursday.
    opens_and_closes(
        &office,
        "2024-12-24T00:00:00Z",
        &["2024-12-24T07:00:00Z", "2024-12-24T10:00:00Z", "2024-12-26T07:00:00Z", "2024-12-26T15:00:00Z"],
    );
}

#[test]
fn an_exception_beats_the_year_which_beats_the_week() {
    let mut given = json!({"timezone": "UTC", "week": vec![json!(["8:00", "9:00"]); 7]});
    let opening = |given: &Value| schedule(given.clone()).next_change(at("2024-02-29T00:00:00Z")).unwrap();
    assert_eq!(opening(&given), at("2024-02-29T08:00:00Z"));
    given["annual"] = json!({"02/29": ["10:00", "11:00"]});
    assert_eq!(opening(&given), at("2024-02-29T10:00:00Z"));
    given["exceptions"] = json!({"2024-02-29": ["12:00", "13:00"]});
    assert_eq!(opening(&given), at("2024-02-29T12:00:00Z"));
    given["exceptions"] = json!({"2024-02-29": null});
    assert_eq!(opening(&given), at("2024-03-01T08:00:00Z"));
    given["exceptions"] = json!({"2024-02-29": []});
    assert_eq!(opening(&given), at("2024-03-01T08:00:00Z"));
}

#[test]
fn the_leap_day_of_a_year_is_no_day_of_another() {
    let leap = schedule(json!({"timezone": "UTC", "week": [], "annual": {"02/29": ["9:00", "10:00"]}}));
    assert_eq!(leap.next_change(at("2023-02-01T00:00:00Z")), Some(at("2024-02-29T09:00:00Z")));
    assert_eq!(leap.next_change(at("2024-03-01T00:00:00Z")), None);
}

#[test]
fn nights_go_on_past_midnight() {
    let nights = schedule(json!({
        "timezone": "EET",
        "week": [
            [null, "0:30"],
            ["18:00", null, null, null],
            [null, "4:00", "18:00"],
            [null, "4:00", "18:00", null],
            [null, "4:00"],
            [],
            ["23:30"]
        ]
    }));
    // From Sunday to Sunday.
    opens_and_closes(
        &nights,
        "2024-01-14T12:00:00Z",
        &[
            "2024-01-14T21:30:00Z",
            "2024-01-14T22:30:00Z",
            "2024-01-16T16:00:00Z",
            "2024-01-17T02:00:00Z",
            "2024-01-17T16:00:00Z",
            "2024-01-18T02:00:00Z",
            "2024-01-18T16:00:00Z",
            "2024-01-19T02:00:00Z",
            "2024-01-21T21:30:00Z",
        ],
    );
    assert_eq!(nights.is_open(at("2024-01-16T22:00:00Z")), Some(true), "Tuesday's midnight");
}

#[test]
fn a_night_belongs_to_the_day_on_which_it_began() {
    let mut given = json!({"timezone": "UTC", "week": vec![json!([null, "4:00", "18:00"]); 7]});
    given["exceptions"] = json!({"2024-01-16": null});
    // The 15th ends at midnight, and nothing of the 16th is left to go on with on the 17th.
    opens_and_closes(
        &schedule(given.clone()),
        "2024-01-15T12:00:00Z",
        &["2024-01-15T18:00:00Z", "2024-01-16T00:00:00Z", "2024-01-17T18:00:00Z", "2024-01-18T04:00:00Z"],
    );
    given["exceptions"] = json!({"2024-01-16": ["9:00", "12:00"]});
    opens_and_closes(
        &schedule(given.clone()),
        "2024-01-15T12:00:00Z",
        &[
            "2024-01-15T18:00:00Z",
            "2024-01-16T00:00:00Z",
            "2024-01-16T09:00:00Z",
            "2024-01-16T12:00:00Z",
            "2024-01-17T18:00:00Z",
        ],
    );
    // An exception can go on with the night before as well.
    given["exceptions"] = json!({"2024-01-16": [null, "2:00"]});
    opens_and_closes(
        &schedule(given),
        "2024-01-15T12:00:00Z",
        &["2024-01-15T18:00:00Z", "2024-01-16T02:00:00Z", "2024-01-17T18:00:00Z"],
    );
}

#[test]
fn what_opens_at_midnight_does_not_close_before() {
    let schedule = schedule(
        json!({"timezone": "UTC", "week": [["18:00"], ["0:00", "6:00"], [null, "0:00", "9:00", "10:00"]]}),
    );
    opens_and_closes(
        &schedule,
        "2024-01-15T12:00:00Z",
        &["2024-01-15T18:00:00Z", "2024-01-16T06:00:00Z", "2024-01-17T09:00:00Z", "2024-01-17T10:00:00Z"],
    );
}

#[test]
fn nulls_at_the_end_mean_nothing() {
    let (short, long) = (
        json!([["9:00", "17:00"]]),
        json!([["9:00", "17:00", null, null], null, [null, null], null, null, [], null]),
    );
    let [short, long] = [short, long].map(|week| schedule(json!({"timezone": "UTC", "week": week})));
    assert_eq!(short, long);
    assert_eq!(
        daily("UTC", json!(["9:00"])).next_change(at("2024-01-15T12:00:00Z")),
        daily("UTC", json!(["9:00", null])).next_change(at("2024-01-15T12:00:00Z")),
    );
}

#[test]
fn an_opening_time_that_has_passed_leaves_it_open() {
    let office = schedule(office());
    assert_eq!(office.is_open(at("2015-06-18T05:59:59.999999Z")), Some(false));
    assert_eq!(office.is_open(at("2015-06-18T06:00:00Z")), Some(true));
    assert_eq!(office.is_open(at("2015-06-18T13:59:59.999999Z")), Some(true));
    assert_eq!(office.is_open(at("2015-06-18T14:00:00Z")), Some(false));
}

#[test]
fn a_disabled_schedule_says_nothing() {
    let mut given = office();
    given["disabled"] = json!(true);
    let disabled = schedule(given.clone());
    let now = at("2015-06-18T10:00:00Z");
    assert_eq!(
        (disabled.is_open(now), disabled.next_change(now), disabled.next_look(now)),
        (None, None, None)
    );
    given["disabled"] = json!(false);
    assert_eq!(schedule(given), schedule(office()));
}

#[test]
fn where_nothing_changes_one_looks_again_after_the_horizon() {
    let now = at("2024-01-15T12:34:56Z");
    let later = now + u64::from(HORIZON_DAYS) * 24 * 3_600_000_000;
    for (hours, open) in [(json!(["0:00"]), true), (json!(null), false), (json!([null, "4:00"]), false)] {
        let constant = daily("Europe/Helsinki", hours);
        assert_eq!(constant.is_open(now), Some(open));
        assert_eq!((constant.next_change(now), constant.next_look(now)), (None, Some(later)));
    }
    let far = schedule_of_one_day("UTC", "2030-01-01", json!(["0:00", "0:01"]));
    assert_eq!((far.next_change(now), far.next_look(now)), (None, Some(later)));
    let mut looks = std::iter::successors(Some(now), |&now| far.next_look(now)).skip(1);
    assert_eq!(looks.find(|&now| far.is_open(now) == Some(true)), Some(at("2030-01-01T00:00:00Z")));
    let office = schedule(office());
    assert_eq!(office.next_look(now), office.next_change(now));
}

#[test]
fn the_horizon_is_looked_at_as_a_whole() {
    let now = at("2024-01-15T23:59:59Z");
    let last = schedule_of_one_day("UTC", "2025-02-18", json!(["23:59"]));
    assert_eq!(last.next_change(now), Some(at("2025-02-18T23:59:00Z")));
    assert_eq!(at("2025-02-18T23:59:59Z") - now, u64::from(HORIZON_DAYS) * 24 * 3_600_000_000);
}

#[test]
fn the_ends_of_time_are_no_trouble() {
    for zone in ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        let schedule = daily(zone, json!(["0:00", "0:01", "12:00", "23:59"]));
        for now in [0, 1, i64::MAX as u64, u64::MAX, at("9999-12-29T00:00:00Z")] {
            assert!(schedule.is_open(now).is_some());
            assert!(schedule.next_change(now).is_none_or(|next| next > now));
        }
        assert!(schedule.next_change(0).is_some());
        assert_eq!(schedule.next_change(u64::MAX), None);
    }
}
