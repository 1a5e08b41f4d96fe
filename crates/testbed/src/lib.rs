//! Real servers for tests and fault runs: PostgreSQL and Redis, each with a folder and a port of its own,
//! each gone when its handle is dropped. They can be killed, stopped, paused and started again.
//!
//! Nothing here is part of what is shipped.

mod postgres;
mod process;
mod redis;

pub use postgres::Postgres;
pub use process::{Signal, free_port, signal};
pub use redis::Redis;

/// What goes wrong: in words, for whoever runs a test.
pub type Result<T, E = String> = std::result::Result<T, E>;
