//! Deliveries that wait for a channel outside: email, push, webhook, WhatsApp, SMS.
//!
//! Only durable decisions come here, so nothing leaves before it is ruled. A delivery is handed
//! out once and stays in flight until its attempt comes back as a fact.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use engine::delivery::{Delivery, DeliveryState};
use engine::ids::{CustomerId, DeliveryId, ProjectNo};
use engine::outreach::content::OutreachType;
use engine::time::Timestamp;

/// A delivery that is to be attempted at a moment.
pub(crate) type Entry = (Timestamp, ProjectNo, CustomerId, DeliveryId);

/// An entry in the line of its channel.
type Place = (OutreachType, Entry);

/// The queue: a line for each channel, so that whoever has no room for one takes from the others.
#[derive(Default)]
pub(crate) struct DueQueue {
    waiting: BTreeMap<OutreachType, BTreeSet<Entry>>,
    places: HashMap<(ProjectNo, DeliveryId), Place>,
    in_flight: HashSet<(ProjectNo, DeliveryId)>,
    /// Came due again while in flight, without an attempt that came back.
    meanwhile: HashMap<(ProjectNo, DeliveryId), Place>,
}

/// What a change of a delivery means for the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DueChange {
    pub(crate) project: ProjectNo,
    pub(crate) customer: CustomerId,
    pub(crate) delivery: DeliveryId,
    /// On which channel to attempt it, and when; `None`: nothing is to be done.
    pub(crate) due_at: Option<(OutreachType, Timestamp)>,
    /// An attempt came back.
    pub(crate) attempted: bool,
}

/// Which channel outside a delivery wants, and when.
pub(crate) fn due_at(delivery: &Delivery) -> Option<(OutreachType, Timestamp)> {
    let waits = delivery.state == DeliveryState::Due && !delivery.outreach_type.is_in_app();
    waits.then_some((delivery.outreach_type, delivery.due_at))
}

impl DueQueue {
    /// Note a change that is durable now.
    pub(crate) fn note(&mut self, change: DueChange) {
        let name = (change.project, change.delivery);
        if let Some((channel, entry)) = self.places.remove(&name)
            && let Some(line) = self.waiting.get_mut(&channel)
        {
            line.remove(&entry);
        }
        self.meanwhile.remove(&name);
        if change.attempted {
            self.in_flight.remove(&name);
        }
        let Some((channel, at)) = change.due_at else { return };
        let entry = (at, change.project, change.customer, change.delivery);
        if self.in_flight.contains(&name) {
            self.meanwhile.insert(name, (channel, entry));
            return;
        }
        self.line_up((channel, entry));
    }

    fn line_up(&mut self, (channel, entry): Place) {
        self.waiting.entry(channel).or_default().insert(entry);
        self.places.insert((entry.1, entry.3), (channel, entry));
    }

    /// Hand out what is due on a channel; each once.
    pub(crate) fn take(
        &mut self,
        channel: OutreachType,
        now: Timestamp,
        limit: usize,
    ) -> Vec<Entry> {
        let mut taken = Vec::new();
        let Some(line) = self.waiting.get_mut(&channel) else { return taken };
        while taken.len() < limit {
            let Some(entry) = line.first().copied() else { break };
            if entry.0 > now {
                break;
            }
            line.remove(&entry);
            self.places.remove(&(entry.1, entry.3));
            self.in_flight.insert((entry.1, entry.3));
            taken.push(entry);
        }
        taken
    }

    /// Whoever took it will not attempt it after all.
    pub(crate) fn put_back(&mut self, channel: OutreachType, entry: Entry) {
        let name = (entry.1, entry.3);
        if self.in_flight.remove(&name) {
            let place = self.meanwhile.remove(&name).unwrap_or((channel, entry));
            self.line_up(place);
        }
    }

    /// What was taken is not due as it was any more, but may have come due again meanwhile.
    pub(crate) fn forget(&mut self, project: ProjectNo, delivery: DeliveryId) {
        let name = (project, delivery);
        self.in_flight.remove(&name);
        if let Some(place) = self.meanwhile.remove(&name) {
            self.line_up(place);
        }
    }

    /// The next moment at which something is due on a channel.
    pub(crate) fn next(&self, channel: OutreachType) -> Option<Timestamp> {
        self.waiting.get(&channel)?.first().map(|entry| entry.0)
    }
}
