//! Pure state machines of the chat: session, user, realm, queue, conversation, file.
//!
//! A machine decides what an action or an order means ([`Machine::decide`]) and is the fold of its
//! records ([`Machine::apply`]). It knows no actor framework, does no I/O, reads no clock and draws no
//! random number: all that comes in as arguments, so that every rule can be tested as a table.

pub mod access;
pub mod account;
pub mod conversation;
pub mod entity;
pub mod few;
pub mod file;
pub mod found;
pub mod highlight;
pub mod hook;
pub mod ice;
pub mod identity;
pub mod jitsi;
pub mod machine;
pub mod mail;
pub mod master;
pub mod past;
pub mod puppet;
pub mod questionnaire;
pub mod queue;
pub mod realm;
pub mod rights;
pub mod schedule;
pub mod search;
pub mod session;
mod settings;
pub mod site;
#[cfg(test)]
mod table;
pub mod user;
pub mod view;

pub use entity::Entity;
pub use few::Few;
pub use machine::{Actor, Answer, Command, Emit, History, Input, Machine, Moment, Step};
pub use view::{Effect, Kind, Line, Stream, To, View, roles};
