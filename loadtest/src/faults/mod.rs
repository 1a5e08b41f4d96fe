//! What a fault run is made of: machines of its own, nodes on them, a load, and one fault after the other.

pub(crate) mod balancer;
pub(crate) mod cluster;
pub(crate) mod hosts;
pub(crate) mod load;
pub(crate) mod node;
pub(crate) mod report;
pub(crate) mod scenes;
pub(crate) mod table;
