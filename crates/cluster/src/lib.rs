//! Actors around the machines: sessions, entities, the router between them, placement and timers.
//!
//! One thread of a node is an *arbiter*. Each has a [`hub`]: the sessions, entities and follow lists
//! of the shards that are assigned to it. Letters travel between hubs, be they on the same thread, on
//! another thread of the node, or on another node. This crate knows nothing of HTTP.

mod agenda;
mod alike;
mod bring;
pub mod call;
pub mod enter;
mod entity;
pub mod files;
mod find_out;
mod follow;
mod highlights;
mod history;
mod hooks;
pub mod hub;
mod identities;
pub mod letter;
mod mail_rate;
pub mod metrics;
pub mod node;
mod nonces;
mod outbox;
mod past;
mod placement;
pub mod places;
mod post;
pub mod publish;
mod puppets;
mod quotas;
mod realms;
pub mod relay;
mod router;
mod search;
pub mod session;
mod sites;
mod stats;
mod transcript;
mod whereabouts;

pub use files::{FileOptions, Scanner, Verdict};
pub use hooks::{Answered, Call, Caller, ListedKey, SigningKey, list_keys, new_kid, rotate_keys};
pub use hub::Hub;
pub use levee_domain::account::Quotas;
pub use levee_domain::ice::IceServers;
pub use levee_domain::jitsi::Jitsi;
pub use levee_domain::session::Bounds;
pub use node::{Node, NodeOptions, SPEAKS, StartError};
pub use outbox::{Mailer, Undelivered};
pub use session::{CloseReason, Connection, Flow, Outgoing, SessionActor, SessionMessage};

use std::time::{SystemTime, UNIX_EPOCH};

/// Microseconds since 1970, by this machine's clock.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}
