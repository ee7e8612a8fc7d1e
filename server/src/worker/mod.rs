//! What the server does without being asked: hand over what is due.

pub(crate) mod dispatch;
mod attempt;
mod outgoing;
mod pace;
