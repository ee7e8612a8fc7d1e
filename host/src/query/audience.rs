//! Who matches a filter, asked of all customers.

use engine::condition::holds;
use engine::customer::Customer;
use engine::ids::CustomerId;
use engine::outreach::compiled::Condition;
use engine::project::Project;
use engine::situation::{History, Occasion, Situation};
use engine::time::Timestamp;

/// Whether a customer matches; no filter matches everybody.
pub(crate) fn matches(
    filter: Option<&Condition>,
    project: &Project,
    id: CustomerId,
    customer: &Customer,
    occasion: Occasion<'_>,
    now: Timestamp,
    history: &dyn History,
) -> bool {
    let Some(filter) = filter else { return true };
    let zone = project.zone_of(customer);
    let situation = Situation { project, id, customer, occasion, now, zone, history };
    holds(filter, &situation)
}
