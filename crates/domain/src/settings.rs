//! Settings of users, realms and queues: objects of whatever their owners like, of limited size.

use levee_proto::{Object, Rejection, limits};

/// Settings after a change, in which `null` unsets.
///
/// # Errors
/// `request_malformed` when they would be too long.
pub(crate) fn changed(settings: &Object, change: Object) -> Result<Object, Rejection> {
    let mut settings = settings.clone();
    for (key, value) in change {
        if value.is_null() {
            settings.remove(&key);
        } else {
            settings.insert(key, value);
        }
    }
    if serde_json::to_vec(&settings).map_or(usize::MAX, |text| text.len()) > limits::OBJECT_BYTES {
        return Err(Rejection::malformed("the settings are too long"));
    }
    Ok(settings)
}

/// The setting after how many seconds transcripts are erased.
const DELETE_DELAY: &str = "transcript_delete_delay";
/// The setting of a realm that its queues fall back on.
const QUEUE_DEFAULTS: &str = "default_queue_settings";
/// The longest time after which transcripts can be erased, in seconds: a hundred years.
const MAX_DELAY: u64 = 100 * 366 * 86_400;

/// After how many seconds transcripts are erased, as a queue's settings say.
pub(crate) fn delete_delay(settings: &Object) -> Option<u64> {
    settings.get(DELETE_DELAY)?.as_u64().filter(|delay| *delay <= MAX_DELAY)
}

/// What a realm's queues fall back on, as its settings say.
pub(crate) fn queue_defaults(settings: &Object) -> Option<&Object> {
    settings.get(QUEUE_DEFAULTS)?.as_object()
}

/// Refuses a change of a queue's settings that names a delay that is none.
///
/// # Errors
/// `request_malformed`.
pub(crate) fn check_delete_delay(change: &Object) -> Result<(), Rejection> {
    match change.get(DELETE_DELAY) {
        Some(value) if !value.is_null() && delete_delay(change).is_none() => {
            Err(Rejection::malformed("transcript_delete_delay is a number of seconds"))
        }
        _ => Ok(()),
    }
}

/// Refuses a change of a realm's settings that would have its queues fall back on what is none.
///
/// # Errors
/// `request_malformed`.
pub(crate) fn check_queue_defaults(change: &Object) -> Result<(), Rejection> {
    match (change.get(QUEUE_DEFAULTS), queue_defaults(change)) {
        (Some(value), None) if !value.is_null() => {
            Err(Rejection::malformed("default_queue_settings is an object"))
        }
        (_, defaults) => defaults.map_or(Ok(()), check_delete_delay),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(value: Value) -> Object {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_delay_is_a_number_of_seconds_in_a_queues_settings_and_in_what_they_fall_back_on() {
        for (value, fine) in [
            (json!(0), true),
            (json!(86_400), true),
            (Value::Null, true),
            (json!(-1), false),
            (json!(1.5), false),
            (json!("soon"), false),
            (json!(u64::MAX), false),
        ] {
            let queue = object(json!({"transcript_delete_delay": value}));
            assert_eq!(check_delete_delay(&queue).is_ok(), fine, "{value}");
            assert_eq!(delete_delay(&queue), value.as_u64().filter(|_| fine), "{value}");
            let realm = object(json!({"default_queue_settings": queue}));
            assert_eq!(check_queue_defaults(&realm).is_ok(), fine, "{value}");
            assert_eq!(queue_defaults(&realm), Some(&queue));
        }
        assert!(check_queue_defaults(&object(json!({"default_queue_settings": 5}))).is_err());
        assert!(check_queue_defaults(&object(json!({"default_queue_settings": null}))).is_ok());
        assert!(check_queue_defaults(&object(json!({"x": 5}))).is_ok());
    }

    #[test]
    fn a_change_sets_and_unsets_and_is_bounded() {
        let before = object(json!({"a": 1, "b": 2}));
        let after = changed(&before, object(json!({"a": null, "c": [3], "d": null}))).unwrap();
        assert_eq!(after, object(json!({"b": 2, "c": [3]})));
        let long = object(json!({"c": "x".repeat(limits::OBJECT_BYTES)}));
        assert!(changed(&before, long).is_err());
    }
}
