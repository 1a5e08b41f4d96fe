//! The few types that parameters are made of.

use serde::{Deserialize, Serialize};

/// An identifier. Opaque to clients; its first two characters name its shard.
pub type Id = compact_str::CompactString;
/// A short text.
pub type Text = compact_str::CompactString;
/// A JSON object whose content the server passes on.
pub type Object = serde_json::Map<String, serde_json::Value>;

/// Somebody who waits in a queue, as its members see it (our own addition to the API).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// The audience that can be accepted.
    pub audience_id: Id,
    /// Who waits.
    pub user_id: Id,
    /// Their name, if they gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_name: Option<Text>,
    /// When the audience was requested, in seconds since 1970.
    pub request_time: f64,
}

/// Microseconds since 1970 as the wire's seconds.
pub fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

/// The wire's seconds as the nearest microseconds since 1970, so that a time that came from here is the same;
/// negative and absurd values become 0.
pub fn micros(seconds: f64) -> u64 {
    if seconds.is_finite() && seconds > 0.0 { (seconds * 1e6).round() as u64 } else { 0 }
}
