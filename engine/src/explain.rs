//! Why, and why not: the same gates, every one of them asked, with the actual values.

use serde::Serialize;
use utoipa::ToSchema;

/// The answer to "why did this customer (not) get this outreach?".
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Explanation {
    /// Would it be sent?
    pub sends: bool,
    /// The first gate that refuses.
    pub refused_by: Option<String>,
    /// One sentence.
    pub sentence: String,
    /// Every gate, in the order in which they are asked.
    pub gates: Vec<GateReport>,
}

/// What one gate says.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct GateReport {
    /// The gate's name: `status`, `schedule`, `trigger` …
    pub gate: String,
    /// `passes`, `refuses`, `holds` (sent later) or `open` (judged where the message is shown).
    pub verdict: String,
    /// One sentence with the actual values.
    pub sentence: String,
    /// The conditions, where the gate has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Trace>,
}

/// A condition with its answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Trace {
    /// JSON pointer to the condition in the definition.
    pub pointer: String,
    /// The condition in words.
    pub sentence: String,
    /// Does it hold?
    pub holds: bool,
    /// The actual value in words, such as `plan is free` or `2 times`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
    /// The smallest change that would turn the answer, when it does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// The conditions inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub conditions: Vec<Trace>,
}
