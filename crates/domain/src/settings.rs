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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn object(value: Value) -> Object {
        value.as_object().cloned().unwrap()
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
