//! Node-to-node delivery and its gap detection.
//!
//! A bus carries opaque messages from node to node: quickly, in order per pair of nodes, and without
//! any promise. What gets lost is noticed (each frame carries a counter per pair), said as a
//! [`Incoming::Gap`], and made good from the store by the floors above. Never trust it to deliver.

mod frame;
pub mod memory;
pub mod metrics;
pub mod redis;

pub use frame::{Frame, VERSION};

use async_trait::async_trait;
use bytes::Bytes;
use compact_str::CompactString;

/// A node's name, one per incarnation.
pub type Node = CompactString;

/// Why a message could not be handed to the bus.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BusError {
    /// Nobody of that name is known.
    #[error("node {0} is not reachable")]
    Unreachable(Node),
    /// Too much waits to be sent.
    #[error("the bus is congested")]
    Congested,
    /// The bus carries nothing at the moment.
    #[error("the bus is away")]
    Away,
    /// What carries the bus can't be used as it is configured.
    #[error("{0}")]
    Refused(String),
    /// A frame of another version, or no frame at all.
    #[error("a frame can't be read: {0}")]
    Frame(String),
}

/// What comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// A message.
    Message {
        /// Its sender.
        from: Node,
        /// The content.
        body: Bytes,
    },
    /// Something of a sender was lost: look at the store.
    Gap {
        /// The sender.
        from: Node,
    },
    /// What was sent to a node reached nobody.
    Unreached {
        /// The node.
        to: Node,
    },
    /// The bus carries nothing from now on; what was sent in the last seconds may be lost too.
    Down,
    /// The bus carries again.
    Up,
}

/// A node's way to the others.
pub trait Bus: Send + Sync {
    /// Hands a message over, to be delivered soon or not at all.
    ///
    /// # Errors
    /// When it is known at once that it won't be delivered.
    fn send(&self, to: &str, body: Bytes) -> Result<(), BusError>;
}

/// What comes in for a node.
#[async_trait]
pub trait Inbox: Send {
    /// What comes next; `None` when the node was disconnected for good.
    async fn next(&mut self) -> Option<Incoming>;
}

/// Encodes a message for the bus: the only place where bincode is spoken.
///
/// # Errors
/// [`BusError::Frame`] for what bincode can't carry.
pub fn encode<T: serde::Serialize>(message: &T) -> Result<Bytes, BusError> {
    bincode::serde::encode_to_vec(message, bincode::config::standard())
        .map(Bytes::from)
        .map_err(|e| BusError::Frame(e.to_string()))
}

/// Decodes a message of the bus.
///
/// # Errors
/// [`BusError::Frame`] for damaged bytes.
pub fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, BusError> {
    bincode::serde::decode_from_slice(bytes, bincode::config::standard())
        .map(|(message, _)| message)
        .map_err(|e| BusError::Frame(e.to_string()))
}
