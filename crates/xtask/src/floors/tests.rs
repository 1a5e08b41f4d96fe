//! Made-up graphs that must fail, and one that must pass.

use super::*;
use crate::repo::Dependency;

fn package(name: &str, dependencies: &[(&str, Option<&str>)]) -> Package {
    let dependencies = dependencies
        .iter()
        .map(|(name, kind)| Dependency { name: (*name).into(), kind: kind.map(Into::into) })
        .collect();
    Package { name: name.into(), dependencies }
}

fn complaints(name: &str, dependency: &str, kind: Option<&str>) -> Vec<String> {
    check(&[package(name, &[(dependency, kind)])])
}

#[test]
fn arrows_down_pass() {
    let graph = [
        package("levee-proto", &[("serde", None)]),
        package("levee-domain", &[("levee-proto", None), ("serde_json", None)]),
        package("levee-client", &[("levee-proto", None), ("tokio", None)]),
        package("levee-cluster", &[("levee-domain", None), ("levee-store", None), ("actix", None)]),
        package("levee-gateway", &[("levee-cluster", None), ("levee-web", None), ("actix-web", None)]),
        package("levee-gateway", &[("levee-client", Some("dev"))]),
        package("levee-server", &[("levee-gateway", None), ("levee-client", None), ("actix-rt", None)]),
        package("levee-loadtest", &[("levee-client", None), ("levee-proto", None)]),
    ];
    assert_eq!(check(&graph), Vec::<String>::new());
}

#[test]
fn arrows_up_and_sideways_fail() {
    for (from, to) in [
        ("levee-domain", "levee-cluster"),
        ("levee-proto", "levee-domain"),
        ("levee-cluster", "levee-gateway"),
        ("levee-cluster", "levee-outbound"),
        ("levee-outbound", "levee-cluster"),
        ("levee-outbound", "levee-store"),
        ("levee-gateway", "levee-server"),
        ("levee-store", "levee-proto"),
        ("levee-bus", "levee-store"),
        ("levee-proto", "levee-web"),
        ("levee-domain", "levee-client"),
        ("levee-server", "levee-xtask"),
        ("levee-server", "levee-loadtest"),
        ("levee-proto", "levee-proto"),
    ] {
        assert_eq!(complaints(from, to, None).len(), 1, "{from} -> {to}");
        assert_eq!(complaints(from, to, Some("build")).len(), 1, "{from} -> {to} for building");
    }
}

#[test]
fn tests_follow_the_floors_too_but_for_the_client() {
    assert_eq!(complaints("levee-domain", "levee-cluster", Some("dev")).len(), 1);
    assert_eq!(complaints("levee-domain", "levee-client", Some("dev")).len(), 1);
    assert!(complaints("levee-cluster", "levee-client", Some("dev")).is_empty());
    assert!(complaints("levee-server", "levee-client", Some("dev")).is_empty());
}

#[test]
fn the_gateway_sees_neither_store_nor_bus() {
    assert_eq!(complaints("levee-gateway", "levee-store", None).len(), 1);
    assert_eq!(complaints("levee-gateway", "levee-bus", Some("dev")).len(), 1);
}

#[test]
fn the_client_and_the_load_harness_see_the_wire_only() {
    for to in ["levee-store", "levee-bus", "levee-domain", "levee-cluster"] {
        assert_eq!(complaints("levee-client", to, None).len(), 1, "client -> {to}");
        assert_eq!(complaints("levee-loadtest", to, None).len(), 1, "loadtest -> {to}");
    }
}

#[test]
fn actix_stays_out_of_the_lower_floors() {
    for from in ["levee-proto", "levee-store", "levee-bus", "levee-web", "levee-domain", "levee-client"] {
        for to in ["actix", "actix-rt", "actix-web", "actix-web-actors", "actix_codec"] {
            assert_eq!(complaints(from, to, None).len(), 1, "{from} -> {to}");
        }
    }
    assert!(complaints("levee-cluster", "actix", None).is_empty());
}

#[test]
fn a_crate_without_a_floor_fails() {
    let wrong = check(&[package("levee-surprise", &[])]);
    assert_eq!(wrong.len(), 1);
    assert!(wrong[0].contains("levee-surprise has no floor"), "{wrong:?}");
}

#[test]
fn what_is_contained_stays_contained() {
    assert!(complaints("levee-bus", "bincode", None).is_empty());
    assert_eq!(complaints("levee-store", "bincode", None).len(), 1);
    assert_eq!(complaints("levee-cluster", "bincode", None).len(), 1);
    assert!(complaints("levee-gateway", "actix-web-actors", None).is_empty());
    assert_eq!(complaints("levee-cluster", "actix-web-actors", None).len(), 1);
    assert_eq!(complaints("levee-server", "actix-web-actors", None).len(), 1);
}

#[test]
fn the_machines_stay_pure() {
    for to in ["tokio", "rand", "chrono"] {
        assert_eq!(complaints("levee-domain", to, None).len(), 1, "domain -> {to}");
        assert_eq!(complaints("levee-proto", to, None).len(), 1, "proto -> {to}");
        assert!(complaints("levee-store", to, None).is_empty());
    }
    assert!(complaints("levee-domain", "rand", Some("dev")).is_empty());
}
