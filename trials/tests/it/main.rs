//! Small runs of the trials, on the real program.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that fails shall say so")]

mod clock;
mod faults;
mod kills;
mod life;
mod overload;
mod poison;
mod zones;
