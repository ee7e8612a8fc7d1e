//! What is wrong with a definition: where, which fault, and how to mend it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One fault of a definition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// JSON pointer to the faulty node, such as `/audience/filter/conditions/0/test/value`.
    pub pointer: String,
    /// A stable word for the fault, such as `unknown_event_name`.
    pub code: String,
    /// One sentence: what is wrong and how to repair it.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(pointer: &str, code: &str, message: impl Into<String>) -> Problem {
        Problem { pointer: pointer.to_owned(), code: code.to_owned(), message: message.into() }
    }
}
