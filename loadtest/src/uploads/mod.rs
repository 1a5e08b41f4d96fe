//! What a run of uploads is made of: nodes, a file that nobody keeps, who carries it, and what it costs.

pub(crate) mod carry;
pub(crate) mod content;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod nodes;
