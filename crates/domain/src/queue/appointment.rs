//! When an audience is meant to be: the `audience` attribute of its channel.

use jiff::civil::DateTime;
use jiff::tz::TimeZoneDatabase;
use levee_proto::{Object, Rejection};
use serde_json::Value;

/// How its times are written.
const FORMAT: &str = "%Y-%m-%dT%H:%M:%S";
/// How long they are then: a year of four digits, and no digit left out.
const LENGTH: usize = "2020-01-01T12:00:00".len();

/// Fails unless the object says when an audience begins and ends, as far as it says that.
///
/// # Errors
/// `request_malformed`, with the property and the reason.
pub(super) fn check(audience: &Object) -> Result<(), Rejection> {
    let wrong = |name: &str, reason: &str| Err(Rejection::malformed(format!("audience.{name} {reason}")));
    let (mut begin, mut end) = (None, None);
    for (name, value) in audience {
        let Value::String(text) = value else { return wrong(name, "is not a string") };
        let time = || DateTime::strptime(FORMAT, text).ok().filter(|_| text.len() == LENGTH);
        match name.as_str() {
            "begin_timestamp" => begin = time(),
            "end_timestamp" => end = time(),
            "timezone" => {
                let zone = TimeZoneDatabase::bundled().get(text).ok();
                if zone.is_none_or(|zone| zone.iana_name() != Some(text)) {
                    return wrong(name, "is not in the time zone database");
                }
                continue;
            }
            _ => return wrong(&name.chars().take(40).collect::<String>(), "is not known"),
        }
        if time().is_none() {
            return wrong(name, "is not a time like 2020-01-01T12:00:00");
        }
    }
    match (begin, end) {
        (Some(begin), Some(end)) if end < begin => wrong("end_timestamp", "is before its beginning"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn times_and_their_zone_are_checked() {
        let (begin, end) = ("2026-03-01T09:30:00", "2026-03-01T10:00:00");
        for good in [
            json!({}),
            json!({"begin_timestamp": begin, "end_timestamp": end, "timezone": "Europe/Helsinki"}),
            json!({"end_timestamp": end}),
        ] {
            assert_eq!(check(good.as_object().unwrap()), Ok(()), "{good}");
        }
        for bad in [
            json!({"begin_timestamp": end, "end_timestamp": begin}),
            json!({"begin_timestamp": "2026-03-01"}),
            json!({"begin_timestamp": "2026-3-01T9:30:00"}),
            json!({"begin_timestamp": "2026-02-30T09:30:00"}),
            json!({"begin_timestamp": 5}),
            json!({"timezone": "Mars/Olympus"}),
            json!({"room": "5"}),
        ] {
            assert!(check(bad.as_object().unwrap()).is_err(), "{bad}");
        }
    }
}
