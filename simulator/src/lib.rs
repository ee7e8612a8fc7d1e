//! Worlds to try the engine in: a living shop for the demo, and a naive model to agree with.

pub mod shop;
