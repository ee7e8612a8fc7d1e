//! Commands in, changes and effects out: the one door through which facts reach a customer.
//!
//! [`decide`] is the live path: apply the fact, judge, enact the ruling. [`replay`] is the other
//! one: apply the fact, enact the ruling that was recorded. Both leave the same customer behind,
//! which is what makes state a function of the log.

use crate::customer::Customer;
use crate::decision::Ruling;
use crate::fact::Fact;
use crate::ids::{CustomerId, DeliveryId};
use crate::project::Project;
use crate::situation::History;
use crate::time::Timestamp;

/// What a fact led to. The customer is already changed.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// The decisions; with the fact it goes into the log.
    pub ruling: Ruling,
    /// Deliveries that began or changed, each once.
    pub changed: Vec<DeliveryId>,
}

/// Apply a fact at log position `position` at the moment `now`, judge it, and enact the ruling.
pub fn decide(
    project: &Project,
    id: CustomerId,
    customer: &mut Customer,
    fact: &Fact,
    position: u64,
    now: Timestamp,
    history: &dyn History,
) -> Outcome {
    let _ = (project, id, customer, fact, position, now, history);
    Outcome::default()
}

/// Apply a fact and enact the ruling that was made on it; nothing is judged.
pub fn replay(
    project: &Project,
    id: CustomerId,
    customer: &mut Customer,
    fact: &Fact,
    ruling: &Ruling,
    position: u64,
    now: Timestamp,
) -> Vec<DeliveryId> {
    let _ = (project, id, customer, fact, ruling, position, now);
    Vec::new()
}

/// The next moment at which [`Fact::ClockStruck`] has something to do for this customer: a delay
/// is over, a delivery expires, a date may have come true.
pub fn next_moment(customer: &Customer) -> Option<Timestamp> {
    let _ = customer;
    None
}

/// The properties (a JSON object) of the event with this key that a fact contains or derives;
/// what [`History`] implementors answer. `Null` when there is none.
pub fn properties_in(project: &Project, fact: &Fact, event_key: u64) -> serde_json::Value {
    let _ = (project, fact, event_key);
    serde_json::Value::Null
}
