//! The floors of the workspace: arrows between crates point down only.

#[cfg(test)]
mod tests;

use crate::repo::{Package, Repo};
use anyhow::{Result, bail};

/// One crate's place.
struct Place {
    name: &'static str,
    floor: u8,
    /// The only crates of the workspace it may see, where the floor alone allows too much.
    only: Option<&'static [&'static str]>,
    /// Whether it may depend on the actix family.
    actix: bool,
}

const fn place(name: &'static str, floor: u8) -> Place {
    Place { name, floor, only: None, actix: floor >= 2 }
}

/// Every crate and its floor. Tools that nothing depends on stand on the floor above the server.
static PLACES: &[Place] = &[
    place("levee-proto", 0),
    place("levee-store", 0),
    place("levee-bus", 0),
    place("levee-web", 0),
    place("levee-domain", 1),
    Place { only: Some(&["levee-proto"]), ..place("levee-client", 1) },
    place("levee-cluster", 2),
    // What goes out is handed to it by the server: it needs no actors.
    Place { only: Some(&["levee-proto", "levee-domain"]), actix: false, ..place("levee-outbound", 2) },
    // The gateway reaches what is stored through the cluster alone.
    Place {
        only: Some(&["levee-proto", "levee-domain", "levee-web", "levee-cluster"]),
        ..place("levee-gateway", 3)
    },
    place("levee-server", 4),
    Place { only: Some(&[]), actix: false, ..place("levee-testbed", 0) },
    Place {
        only: Some(&["levee-proto", "levee-client", "levee-testbed"]),
        actix: false,
        ..place("levee-loadtest", 5)
    },
    Place { only: Some(&["levee-proto", "levee-domain"]), actix: false, ..place("levee-fuzz", 5) },
    Place { only: Some(&["levee-proto"]), actix: false, ..place("levee-xtask", 5) },
];

/// Crates of others that one crate of ours contains, each behind a decision record.
static CONTAINED: &[(&str, &str)] = &[("bincode", "levee-bus"), ("actix-web-actors", "levee-gateway")];

/// Crates that stay pure, and what would end that: I/O, clocks, chance.
static PURE: &[&str] = &["levee-proto", "levee-domain"];
static IMPURE: &[&str] =
    &["tokio", "mio", "socket2", "rand", "getrandom", "fastrand", "chrono", "time", "uuid"];

/// Checks the workspace; prints what is wrong.
///
/// # Errors
/// When something is wrong.
pub(crate) fn run(repo: &Repo) -> Result<()> {
    let wrong = check(&repo.packages);
    for complaint in &wrong {
        println!("{complaint}");
    }
    if !wrong.is_empty() {
        bail!("{} arrows between crates point the wrong way", wrong.len());
    }
    println!("{} crates, every arrow points down", repo.packages.len());
    Ok(())
}

/// What is wrong with a graph of packages, a sentence each.
fn check(packages: &[Package]) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in packages {
        let Some(place) = find(&package.name) else {
            wrong.push(format!("{} has no floor: add it to the table of floors", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let complaint = match find(&dependency.name) {
                Some(below) => inside(place, below, dependency.kind.as_deref()),
                None => outside(place, &dependency.name, dependency.kind.as_deref()),
            };
            wrong.extend(complaint.map(|why| format!("{} -> {}: {why}", package.name, dependency.name)));
        }
    }
    wrong
}

fn find(name: &str) -> Option<&'static Place> {
    PLACES.iter().find(|place| place.name == name)
}

/// What is wrong with an arrow between two crates of the workspace.
fn inside(from: &Place, to: &Place, kind: Option<&str>) -> Option<String> {
    // Tests may lean on the protocol's client from any floor that sees the protocol: it is the means of
    // black-box tests, and no shipped code follows.
    let client_in_tests = to.name == "levee-client" && kind == Some("dev") && from.floor >= 2;
    if client_in_tests {
        return None;
    }
    if to.name == "levee-testbed" {
        let allowed = kind == Some("dev") || from.floor == 5;
        return (!allowed).then(|| "it is for tests and the project's own commands".into());
    }
    if to.floor >= from.floor {
        return Some(if from.floor == to.floor {
            format!("both are on floor {}", from.floor)
        } else {
            format!("floor {} must not see floor {}", from.floor, to.floor)
        });
    }
    match from.only {
        Some(only) if !only.contains(&to.name) => Some(format!("it may see {} only", only.join(", "))),
        _ => None,
    }
}

/// What is wrong with an arrow to somebody else's crate.
fn outside(from: &Place, name: &str, kind: Option<&str>) -> Option<String> {
    let name = name.replace('_', "-");
    if (name == "actix" || name.starts_with("actix-")) && !from.actix {
        return Some(format!("actix begins on floor 2, this is floor {}", from.floor));
    }
    if let Some((_, home)) = CONTAINED.iter().find(|(contained, _)| *contained == name)
        && *home != from.name
    {
        return Some(format!("it is contained in {home}"));
    }
    if PURE.contains(&from.name) && IMPURE.contains(&name.as_str()) && kind != Some("dev") {
        return Some("this crate is pure: no I/O, no clock, no chance".into());
    }
    None
}
