//! What the tables know of themselves, for the documents and types that are generated from them.

/// A parameter of an action or an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parameter {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its Rust type, as written in the table.
    pub ty: &'static str,
    /// Whether it is always there.
    pub required: bool,
}

/// An action's row.
#[derive(Debug, Clone, Copy)]
pub struct ActionInfo {
    /// Its name on the wire.
    pub name: &'static str,
    /// Who decides it.
    pub owner: &'static str,
    /// Whether it has a handler; otherwise it is refused with `action_not_supported`.
    pub done: bool,
    /// What it does.
    pub summary: &'static str,
    /// Its parameters beside the common ones.
    pub parameters: &'static [Parameter],
}

/// An event's row.
#[derive(Debug, Clone, Copy)]
pub struct EventInfo {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it says.
    pub summary: &'static str,
    /// Its parameters beside `event_id` and `action_id`.
    pub parameters: &'static [Parameter],
}

/// An attribute's row.
#[derive(Debug, Clone, Copy)]
pub struct AttributeInfo {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its Rust type.
    pub ty: &'static str,
    /// Who may write it.
    pub writable: crate::attrs::Writable,
}
