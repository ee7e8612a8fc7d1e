//! The engine on one machine: the log, the state, and the loop that joins them.
//!
//! Commands go into a bounded queue. One applier thread takes them in order, applies and judges
//! each, appends fact and ruling to the log, and goes on while the writer thread makes the group
//! durable; then the answers leave and the effects are published. Partitions are locks, so readers
//! see one customer whole.

pub mod command;
