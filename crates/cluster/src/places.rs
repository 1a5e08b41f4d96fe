//! Where an address is on earth, as far as a file in MaxMind's format knows that the operator supplies.

use levee_proto::{Action, Object, QueueAction};
use maxminddb::{MaxMindDbError, Reader};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

/// A file of places, read into memory.
pub struct Places(Reader<Vec<u8>>);

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Places").field(&self.0.metadata().database_type).finish()
    }
}

/// What the file says of a network; each part may be missing.
#[derive(Debug, Default, Deserialize)]
struct Place {
    #[serde(default)]
    city: Named,
    #[serde(default)]
    country: Named,
    #[serde(default)]
    subdivisions: Vec<Named>,
    #[serde(default)]
    location: Location,
}

#[derive(Debug, Default, Deserialize)]
struct Named {
    iso_code: Option<String>,
    #[serde(default)]
    names: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
    time_zone: Option<String>,
}

impl Named {
    fn english(&self) -> Option<Value> {
        self.names.get("en").map(|name| json!(name))
    }
}

impl Places {
    /// Reads a file.
    ///
    /// # Errors
    /// When it can't be read, or is of another format.
    pub fn open(path: &Path) -> Result<Self, MaxMindDbError> {
        Reader::open_readfile(path).map(Self)
    }

    /// What is known of an address: names in English, coordinates, the time zone.
    fn of(&self, address: IpAddr) -> Object {
        let place = match self.0.lookup(address).and_then(|found| found.decode::<Place>()) {
            Ok(place) => place.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(%error, "a place can't be looked up");
                Place::default()
            }
        };
        [
            ("country", place.country.english()),
            ("country_code", place.country.iso_code.map(Value::from)),
            ("region", place.subdivisions.first().and_then(Named::english)),
            ("city", place.city.english()),
            ("latitude", place.location.latitude.map(Value::from)),
            ("longitude", place.location.longitude.map(Value::from)),
            ("timezone", place.location.time_zone.map(Value::from)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
    }
}

/// Where a customer's action came from, for the queues that want to know it.
pub(crate) fn origin(action: &Action, peer: &str, places: Option<&Places>) -> Option<Object> {
    let asks =
        matches!(action, Action::Queue(QueueAction::RequestAudience(_) | QueueAction::RegisterAudience(_)));
    let address: IpAddr = peer.parse().ok().filter(|_| asks)?;
    let mut origin = places.map(|places| places.of(address)).unwrap_or_default();
    origin.insert("ip".into(), json!(peer));
    Some(origin)
}
