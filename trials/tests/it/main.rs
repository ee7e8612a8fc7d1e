//! Small runs of the trials, on the real program.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails shall say so")]

mod life;
mod kills;
mod zones;
