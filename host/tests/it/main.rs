//! The host from outside: one binary, one file per promise.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

/// Room for everybody. The same tests run with next to none in `tests/tiny`.
const CUSTOMERS_BYTES: usize = host::limits::CUSTOMERS_BYTES;

mod world;
mod durability;
mod dedupe;
mod identity;
mod numbers;
mod overload;
mod questions;
mod sending;
mod launching;
mod folders;
mod full_disk;
mod cache;
mod figures;
