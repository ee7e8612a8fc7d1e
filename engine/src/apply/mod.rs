//! Commands in, changes and effects out: the one door through which facts reach a customer.
//!
//! [`decide`] is the live path: apply the fact, judge, enact the ruling. [`replay`] is the other
//! one: apply the fact, enact the ruling that was recorded. Both leave the same customer behind,
//! which is what makes state a function of the log.

mod absorb;
mod derived;
mod merge;
mod receipt;
pub(crate) mod enact;

use crate::customer::Customer;
use crate::decision::{Ruling, judge};
use crate::delivery::DeliveryState;
use crate::fact::Fact;
use crate::ids::{CustomerId, DeliveryId, OutreachNo};
use crate::project::Project;
use crate::situation::{Happening, History};
use crate::time::Timestamp;

pub use derived::properties_in;
pub use receipt::settles;

/// What a fact led to. The customer is already changed.
#[derive(Debug, Default, PartialEq)]
pub struct Outcome {
    /// The decisions; with the fact it goes into the log.
    pub ruling: Ruling,
    /// Deliveries that began or changed, each once.
    pub changed: Vec<DeliveryId>,
}

/// Which customer, when, and in which project a fact is applied.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) project: &'a Project,
    pub(crate) id: CustomerId,
    /// Where the record of the fact lies in the log.
    pub(crate) position: u64,
    /// The server's acceptance time.
    pub(crate) now: Timestamp,
}

/// What applying a fact left to be judged.
#[derive(Default)]
pub(crate) struct Absorbed {
    /// Events, derived ones included, in the order in which they are judged.
    pub(crate) happenings: Vec<Happening>,
    /// What else asks for a judgement.
    pub(crate) call: Option<Call>,
    /// Deliveries that the fact itself changed.
    pub(crate) changed: Vec<DeliveryId>,
}

/// A judgement asked for by something other than an event.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Call {
    /// Attributes were written: property triggers.
    Write,
    /// An event moved what events keep (`last_seen`, `session_count`): property triggers on them.
    /// A late or historical one only sets their timers.
    Seen { silent: bool },
    /// Something changed without triggering; only the timers of property triggers are set.
    Stored,
    /// A timer: delays that are over, dates that have come.
    Clock,
    /// A property trigger went live.
    WentLive(OutreachNo),
    /// The customer belongs to the snapshot of a one-off.
    Launched(OutreachNo, u32),
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
    let place = Place { project, id, position, now };
    let absorbed = absorb::absorb(place, customer, fact);
    let ruling = judge::judge(place, customer, &absorbed, history);
    let mut changed = absorbed.changed;
    add_changed(&mut changed, &ruling);
    enact::forget_old(customer);
    Outcome { ruling, changed }
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
    let place = Place { project, id, position, now };
    let absorbed = absorb::absorb(place, customer, fact);
    let mut changed = absorbed.changed;
    enact::ruling(place, customer, &absorbed.happenings, ruling);
    add_changed(&mut changed, ruling);
    enact::forget_old(customer);
    changed
}

fn add_changed(changed: &mut Vec<DeliveryId>, ruling: &Ruling) {
    changed.extend(ruling.transitions.iter().map(|transition| transition.delivery));
    for decision in &ruling.decisions {
        if let crate::decision::Outcome::Send { delivery, .. } = &decision.outcome {
            changed.push(*delivery);
        }
    }
    changed.sort_unstable();
    changed.dedup();
}

/// The next moment at which [`Fact::ClockStruck`] has something to do for this customer: a delay
/// is over, a delivery expires, a date may have come true.
pub fn next_moment(customer: &Customer) -> Option<Timestamp> {
    let mut next: Option<Timestamp> = None;
    let mut consider = |at: Timestamp| next = Some(next.map_or(at, |next| next.min(at)));
    for delivery in customer.deliveries.values() {
        if delivery.state == DeliveryState::Waiting {
            consider(delivery.due_at);
        }
        if matches!(delivery.state, DeliveryState::Waiting | DeliveryState::Due)
            && let Some(at) = delivery.expires_at
        {
            consider(at);
        }
    }
    for wake in customer.wakes.values() {
        if let Some(at) = wake.at {
            consider(at);
        }
    }
    next
}
