//! The server: everything around the engine that one process needs.
//!
//! [`http`] is the border, [`worker`] hands over what is due, [`cli`] is the command line;
//! [`serve`] ties them together. The server knows everyone; nobody knows it.

pub mod backup;
pub mod cli;
pub mod config;
pub mod http;
pub mod keys;
pub mod limits;
mod listen;
pub(crate) mod secret;
pub mod serve;
pub(crate) mod signals;
pub(crate) mod worker;
