//! Moments at which the clock alone asks for something: one entry per customer who waits for any,
//! found from the customer's own state, so that a restart finds the same. Nothing polls.

use std::collections::BTreeSet;

use engine::ids::{CustomerId, ProjectNo};
use engine::time::Timestamp;

use crate::locks::write;
use crate::partition::Key;
use crate::shared::Shared;

/// The timers of all customers.
#[derive(Default)]
pub(crate) struct Timers {
    waiting: BTreeSet<(Timestamp, ProjectNo, CustomerId)>,
}

impl Timers {
    /// A customer's next moment, found at start.
    pub(crate) fn add(&mut self, key: Key, wake: Timestamp) {
        self.waiting.insert((wake, key.0, key.1));
    }

    /// The customer's next moment is now this one.
    pub(crate) fn set(&mut self, shared: &Shared, key: Key, wake: Option<Timestamp>) {
        let before = write(shared.partition(key.1)).set_wake(key, wake);
        if before == wake {
            return;
        }
        if let Some(before) = before {
            self.waiting.remove(&(before, key.0, key.1));
        }
        if let Some(wake) = wake {
            self.waiting.insert((wake, key.0, key.1));
        }
    }

    /// A customer whose moment has come.
    pub(crate) fn due(&self, now: Timestamp) -> Option<Key> {
        let (at, project, customer) = self.waiting.first()?;
        (*at <= now).then_some((*project, *customer))
    }

    /// The next moment.
    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.waiting.first().map(|(at, _, _)| *at)
    }
}
