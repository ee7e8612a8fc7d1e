//! Deliveries that wait for a channel outside: email, push, webhook, WhatsApp, SMS.
//!
//! Only durable decisions come here, so nothing leaves before it is ruled. A delivery is handed
//! out once and stays in flight until its attempt comes back as a fact.

use std::collections::{BTreeSet, HashMap, HashSet};

use engine::delivery::{Delivery, DeliveryState};
use engine::ids::{CustomerId, DeliveryId, ProjectNo};
use engine::time::Timestamp;

/// A delivery that is to be attempted at a moment.
pub(crate) type Entry = (Timestamp, ProjectNo, CustomerId, DeliveryId);

/// The queue.
#[derive(Default)]
pub(crate) struct DueQueue {
    waiting: BTreeSet<Entry>,
    places: HashMap<(ProjectNo, DeliveryId), Entry>,
    in_flight: HashSet<(ProjectNo, DeliveryId)>,
    /// Came due again while in flight, without an attempt that came back.
    meanwhile: HashMap<(ProjectNo, DeliveryId), Entry>,
}

/// What a change of a delivery means for the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DueChange {
    pub(crate) project: ProjectNo,
    pub(crate) customer: CustomerId,
    pub(crate) delivery: DeliveryId,
    /// When to attempt it; `None`: nothing is to be done.
    pub(crate) due_at: Option<Timestamp>,
    /// An attempt came back.
    pub(crate) attempted: bool,
}

/// When a delivery wants a channel outside.
pub(crate) fn due_at(delivery: &Delivery) -> Option<Timestamp> {
    let waits = delivery.state == DeliveryState::Due && !delivery.outreach_type.is_in_app();
    waits.then_some(delivery.due_at)
}

impl DueQueue {
    /// Note a change that is durable now.
    pub(crate) fn note(&mut self, change: DueChange) {
        let name = (change.project, change.delivery);
        if let Some(entry) = self.places.remove(&name) {
            self.waiting.remove(&entry);
        }
        self.meanwhile.remove(&name);
        if change.attempted {
            self.in_flight.remove(&name);
        }
        let Some(at) = change.due_at else { return };
        let entry = (at, change.project, change.customer, change.delivery);
        if self.in_flight.contains(&name) {
            self.meanwhile.insert(name, entry);
            return;
        }
        self.waiting.insert(entry);
        self.places.insert(name, entry);
    }

    /// Hand out what is due; each once.
    pub(crate) fn take(&mut self, now: Timestamp, limit: usize) -> Vec<Entry> {
        let mut taken = Vec::new();
        while taken.len() < limit {
            let Some(entry) = self.waiting.first().copied() else { break };
            if entry.0 > now {
                break;
            }
            self.waiting.remove(&entry);
            self.places.remove(&(entry.1, entry.3));
            self.in_flight.insert((entry.1, entry.3));
            taken.push(entry);
        }
        taken
    }

    /// Whoever took it will not attempt it after all.
    pub(crate) fn put_back(&mut self, entry: Entry) {
        let name = (entry.1, entry.3);
        if self.in_flight.remove(&name) {
            let entry = self.meanwhile.remove(&name).unwrap_or(entry);
            self.waiting.insert(entry);
            self.places.insert(name, entry);
        }
    }

    /// What was taken is not due as it was any more, but may have come due again meanwhile.
    pub(crate) fn forget(&mut self, project: ProjectNo, delivery: DeliveryId) {
        let name = (project, delivery);
        self.in_flight.remove(&name);
        if let Some(entry) = self.meanwhile.remove(&name) {
            self.waiting.insert(entry);
            self.places.insert(name, entry);
        }
    }

    /// The next moment at which something is due.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.waiting.first().map(|entry| entry.0)
    }
}
