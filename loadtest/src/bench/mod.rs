//! What the benchmark is made of: connections, traffic, programs under test, measurements and a table.

pub(crate) mod client;
pub(crate) mod cpu;
pub(crate) mod frame;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod report;
pub(crate) mod traffic;
