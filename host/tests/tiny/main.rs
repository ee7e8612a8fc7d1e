//! Every promise of the host again, with room for about ten customers in memory: the others come
//! and go between any two commands.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

const CUSTOMERS_BYTES: usize = 16 * 1024;

#[path = "../it/world.rs"]
mod world;
#[path = "../it/durability.rs"]
mod durability;
#[path = "../it/dedupe.rs"]
mod dedupe;
#[path = "../it/identity.rs"]
mod identity;
#[path = "../it/overload.rs"]
mod overload;
#[path = "../it/questions.rs"]
mod questions;
#[path = "../it/sending.rs"]
mod sending;
#[path = "../it/launching.rs"]
mod launching;
#[path = "../it/numbers.rs"]
mod numbers;
#[path = "../it/folders/mod.rs"]
mod folders;
#[path = "../it/full_disk.rs"]
mod full_disk;
