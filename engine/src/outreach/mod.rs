//! What we could say: the definition somebody wrote, and the outreach compiled from it.

pub mod definition;
pub mod content;
pub mod problem;
pub mod compiled;
pub mod compile;
pub mod context;
