//! engine

pub mod template;
