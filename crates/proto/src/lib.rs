//! The wire of the chat: actions, events, attributes, errors, ids and frames.
//!
//! This crate owns every name that travels between a client and the server. It is pure: it never does
//! I/O, never reads a clock and never draws a random number.

pub mod actions;
pub mod attrs;
pub mod catalog;
pub mod envelope;
pub mod error;
pub mod events;
pub mod frames;
pub mod framing;
pub mod ids;
pub mod limits;
pub mod messages;
pub mod types;

pub use actions::{
    AccessAction, Action, ConversationAction, FileAction, IdentityAction, KeyAction, MemberAction,
    QueueAction, RealmAction, SessionAction, UserAction, VideoAction, WebhookAction,
};
pub use envelope::{Body, Envelope, Splice};
pub use error::{ErrorType, Rejection};
pub use types::{Id, Object, Text};
