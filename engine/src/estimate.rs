//! How many a filter matches: total, and per condition alone and cumulative.

use serde::Serialize;
use utoipa::ToSchema;

/// The counts of one filter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Estimate {
    /// All customers.
    pub total: u64,
    /// Those who match.
    pub matched: u64,
    /// Those who match and can be reached on the channel asked for.
    pub reachable: u64,
    /// Per condition (every node of the tree) its own count, and for the conditions of the
    /// outermost group the count of those who match it and all before it.
    pub conditions: Vec<ConditionCount>,
}

/// The counts of one condition.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct ConditionCount {
    /// JSON pointer to the condition.
    pub pointer: String,
    /// Customers who match it alone.
    pub alone: u64,
    /// Customers who match it and everything before it in the outermost group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cumulative: Option<u64>,
}
