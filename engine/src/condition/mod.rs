//! The questions a rule asks of a customer, and the answers in four shapes.
//!
//! [`eval`] answers yes or no; it is the hot path and does nothing else. [`turns`] says when the
//! clock alone may turn the answer, so that timers need no polling. [`trace`] says why, in the words of
//! [`sentence`]. [`count`] adds the answers up for estimates. All of them look at the same compiled
//! condition and the same [`crate::situation::Situation`], so they cannot disagree.
//!
//! Deliberately not here: reading and checking what somebody wrote; that is
//! [`crate::outreach::compile`].

pub mod test;
pub mod eval;
pub mod turns;
pub mod sentence;
pub mod trace;
pub mod count;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod words_tests;

pub use count::tally;
pub use eval::{holds, holds_for};
pub use sentence::sentence;
pub use trace::{trace, trace_for};
pub use turns::next_turn;
