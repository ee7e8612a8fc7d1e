//! What waits for a customer: their next moment, due deliveries, attempts under way.
//!
//! It follows from the customer alone, and the state store keeps it beside their row, for those who
//! wait for something. So a start finds again what is waiting without reading everybody.

use engine::apply::next_moment;
use engine::customer::Customer;
use engine::delivery::{Delivery, DeliveryState};
use engine::fact::{AttemptOutcome, Fact};
use engine::ids::DeliveryId;
use engine::outreach::content::OutreachType;
use engine::time::Timestamp;
use serde::{Deserialize, Serialize};
use store::state::{Keyspace, Order};

use crate::due::{DueChange, due_at};
use crate::locks::{lock, read};
use crate::open::OpenError;
use crate::partition::Key;
use crate::rows;
use crate::shared::Shared;
use crate::timers::Timers;

/// What waits for one customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waits {
    /// When the clock alone asks for something.
    wake: Option<Timestamp>,
    /// Deliveries for the channels outside.
    due: Vec<(DeliveryId, OutreachType, Timestamp)>,
    /// What is to be said of attempts that nobody finishes.
    interrupted: Vec<Fact>,
}

impl Waits {
    pub(crate) fn of(customer: &Customer) -> Waits {
        let mut waits = Waits { wake: next_moment(customer), ..Waits::default() };
        for delivery in customer.deliveries.values() {
            if delivery.state == DeliveryState::Attempting {
                waits.interrupted.push(interrupted(delivery));
            }
            if let Some((channel, at)) = due_at(delivery) {
                waits.due.push((delivery.id, channel, at));
            }
        }
        waits
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wake.is_none() && self.due.is_empty() && self.interrupted.is_empty()
    }
}

/// Nobody knows what became of it. Where a repetition is dropped it is repeated, elsewhere held.
fn interrupted(delivery: &Delivery) -> Fact {
    let reason = "the server stopped during the attempt".to_owned();
    let outcome = if delivery.outreach_type.is_idempotent() {
        AttemptOutcome::RetryInDoubt { reason, at: delivery.due_at }
    } else {
        AttemptOutcome::Unknown { reason }
    };
    Fact::Attempted { delivery: delivery.id, outreach: delivery.outreach, outcome }
}

/// What waits, found at start.
#[derive(Default)]
pub(crate) struct Waiting {
    pub(crate) timers: Timers,
    /// Attempts that were under way when the process ended.
    pub(crate) attempts: Vec<(Key, Fact)>,
}

/// Find the timers, the due deliveries and the attempts without an answer: of those in memory from
/// themselves, of the others from the state store.
pub(crate) fn find(shared: &Shared) -> Result<Waiting, OpenError> {
    let mut waiting = Waiting::default();
    for partition in &shared.partitions {
        for (key, customer) in read(partition).resident() {
            let waits = Waits::of(customer);
            if !waits.is_empty() {
                add(shared, &mut waiting, *key, waits);
            }
        }
    }
    for row in shared.layers.state.scan_prefix(Keyspace::Index, b"w", Order::Forward) {
        let (key, bytes) = row?;
        let bad = || OpenError::Checkpoint("a row of the index cannot be read".to_owned());
        let key = key.get(1..).and_then(rows::read_customer_key).ok_or_else(bad)?;
        if read(shared.partition(key.1)).is_stored(key) {
            let waits = rows::unrow::<Waits>(&bytes).ok_or_else(bad)?;
            add(shared, &mut waiting, key, waits);
        }
    }
    waiting.attempts.sort_by_key(|(key, _)| *key);
    Ok(waiting)
}

fn add(shared: &Shared, waiting: &mut Waiting, key: Key, waits: Waits) {
    if let Some(wake) = waits.wake {
        // Whoever is in memory, or read later, finds the same moment in themselves.
        waiting.timers.add(key, wake);
    }
    waiting.attempts.extend(waits.interrupted.into_iter().map(|fact| (key, fact)));
    let mut due = lock(&shared.due);
    for (delivery, channel, at) in waits.due {
        due.note(DueChange {
            project: key.0,
            customer: key.1,
            delivery,
            due_at: Some((channel, at)),
            attempted: false,
        });
    }
}
