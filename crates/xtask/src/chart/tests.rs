//! The chart's schema and the server's table of settings tell the same.

use crate::generate::settings;
use serde_json::Value;
use std::collections::BTreeSet;

/// Settings that the chart sets itself, from other values.
const OWN: &[&str] = &[
    "listen",
    "data_dir",
    "tls_cert",
    "tls_key",
    "tls_self_signed",
    "store",
    "turn_secret",
    "jitsi_secret",
    "smtp_url",
    "geoip_database",
    "blobs",
];
/// Settings that have no place in a cluster, and those of several nodes, which the chart does not run yet.
const LEFT_OUT: &[&str] = &["sqlite_synchronous", "postgres_url", "redis_url", "lease_s", "drain_s"];

#[test]
fn the_schema_knows_every_setting_and_no_other() {
    // Tests run in the folder of their package.
    let path = "../../helm/levee/values.schema.json";
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("a schema")).expect("JSON");
    let config = &schema["properties"]["config"];
    assert_eq!(config["additionalProperties"], Value::Bool(false));
    let there: BTreeSet<&str> =
        config["properties"].as_object().expect("properties").keys().map(String::as_str).collect();
    let wanted: BTreeSet<&str> =
        settings().into_iter().filter(|name| !OWN.contains(name) && !LEFT_OUT.contains(name)).collect();
    assert_eq!(there, wanted);
}
