//! Real servers for tests and fault runs: PostgreSQL, Redis and a mail server and a
//! receiver of webhooks, each with a folder and a port of its own,
//! each gone when its handle is dropped. They can be killed, stopped, paused and started again. With the
//! feature `s3` there is an S3 server too. And there are files of places, as operators have them.
//!
//! Nothing here is part of what is shipped.

mod places;
mod postgres;
mod process;
mod receiver;
mod redis;
#[cfg(feature = "s3")]
mod s3;
mod smtp;

pub use places::places;
pub use postgres::Postgres;
pub use process::{Signal, free_port, signal};
pub use receiver::{Behaviour, Received, Receiver};
pub use redis::Redis;
#[cfg(feature = "s3")]
pub use s3::S3;
pub use smtp::{Smtp, Taken, Verdict};

/// What goes wrong: in words, for whoever runs a test.
pub type Result<T, E = String> = std::result::Result<T, E>;
