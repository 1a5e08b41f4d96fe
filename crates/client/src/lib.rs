//! A client of the protocol, for tests, for the load harness and for the demo's seed.
//!
//! Three layers, each usable by itself:
//! - [`raw`]: one WebSocket without any memory, for input that no decent client would send;
//! - [`requests`]: single HTTP requests to the long poll, the call interface and the service discovery;
//! - [`session`]: a session that outlives its connections: it numbers actions, retries those without an
//!   answer, acknowledges and recognises events, over a WebSocket or a long poll.
//!
//! On them stand [`chat`], a crowd of customers and agents that talk, and [`check`], which tells from what
//! each of them recorded ([`record`]) whether the server kept its promises.
//!
//! The crate sees the wire only. It never looks at how a server keeps what it is told.

pub mod address;
pub mod chat;
pub mod check;
pub mod error;
pub mod event;
pub mod http;
mod net;
pub mod raw;
pub mod record;
pub mod requests;
pub mod session;
pub mod tus;

pub use bytes::Bytes;

pub use address::{Address, Trust};
pub use error::{Ended, Error, Result};
pub use event::Event;
pub use raw::{Frame, RawSocket};
pub use session::{Events, Options, Reply, Session, Transport};
