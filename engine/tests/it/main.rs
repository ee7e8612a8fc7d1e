//! The engine seen from outside. One binary, because each is a link of its own.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod definitions;
mod scenarios;
mod many_events;
mod listeners;
