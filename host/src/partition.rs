//! A share of the customers in memory, and which of them the next checkpoint has to write.
//!
//! A checkpoint is the state at one log position, exactly: at the cut the epoch grows, and whoever
//! changes a customer of the epoch before it first saves the row as it was. So the applier never
//! waits for a checkpoint, and replay after it needs no guard against facts applied twice.
//!
//! All customers are resident. A bounded cache with the state store behind it is the next step when
//! memory is scarcer than here; `touch` is the place.

use std::collections::HashSet;

use engine::customer::Customer;
use engine::ids::{CustomerId, ProjectNo};
use engine::time::Timestamp;

use crate::limits::SAVED_PER_LOCK;
use crate::rows;
use crate::spread::SpreadMap;

pub(crate) type Key = (ProjectNo, CustomerId);

/// A row of the customers keyspace as of the cut; `None`: deleted.
pub(crate) type Saved = (Key, Option<Vec<u8>>);

/// A customer in memory.
pub(crate) struct Held {
    pub(crate) customer: Customer,
    /// The timer that stands for them.
    pub(crate) wake: Option<Timestamp>,
    /// The epoch of the latest change; 0: as the state store has it.
    touched: u64,
}

/// The customers of one partition.
pub(crate) struct Partition {
    customers: SpreadMap<Key, Held>,
    epoch: u64,
    dirty: Vec<Key>,
    removed: HashSet<Key>,
    saving: Vec<Key>,
    saved: Vec<Saved>,
}

impl Partition {
    pub(crate) fn new() -> Partition {
        Partition {
            customers: SpreadMap::default(),
            epoch: 1,
            dirty: Vec::new(),
            removed: HashSet::new(),
            saving: Vec::new(),
            saved: Vec::new(),
        }
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Customer> {
        self.customers.get(&key).map(|held| &held.customer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Customer)> {
        self.customers.iter().map(|(key, held)| (key, &held.customer))
    }

    /// From the state store, at start.
    pub(crate) fn load(&mut self, key: Key, customer: Customer) {
        self.customers.insert(key, Held { customer, wake: None, touched: 0 });
    }

    /// The customer, about to be changed; a new one when there is none.
    pub(crate) fn touch(&mut self, key: Key) -> &mut Held {
        let epoch = self.epoch;
        let held = self.customers.entry(key).or_insert_with(|| Held {
            customer: Customer::default(),
            wake: None,
            touched: 0,
        });
        if held.touched != epoch {
            if held.touched != 0 {
                self.saved.push((key, Some(rows::customer_row(&held.customer))));
            }
            held.touched = epoch;
            self.dirty.push(key);
        }
        held
    }

    /// Set the timer of a customer; answers the one before.
    pub(crate) fn set_wake(&mut self, key: Key, wake: Option<Timestamp>) -> Option<Timestamp> {
        let held = self.customers.get_mut(&key)?;
        std::mem::replace(&mut held.wake, wake)
    }

    /// Forget a customer; answers the timer that stood for them.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Timestamp> {
        self.touch(key);
        self.removed.insert(key);
        self.customers.remove(&key)?.wake
    }

    /// How many the next checkpoint has to write.
    pub(crate) fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// From here on changes belong to the next checkpoint. The one before must be drained.
    pub(crate) fn cut(&mut self) {
        self.epoch += 1;
        self.saving = std::mem::take(&mut self.dirty);
        for key in std::mem::take(&mut self.removed) {
            if !self.customers.contains_key(&key) {
                self.saved.push((key, None));
            }
        }
    }

    /// Move some rows as of the cut to `out`; answers whether that was the last.
    pub(crate) fn drain_saved(&mut self, out: &mut Vec<Saved>) -> bool {
        for _ in 0..SAVED_PER_LOCK {
            let Some(key) = self.saving.pop() else {
                out.append(&mut self.saved);
                return true;
            };
            // Whoever is not of the epoch of the cut was saved when they were changed.
            if let Some(held) = self.customers.get_mut(&key)
                && held.touched != 0
                && held.touched != self.epoch
            {
                out.push((key, Some(rows::customer_row(&held.customer))));
                held.touched = 0;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn key(number: u128) -> Key {
        (ProjectNo(1), CustomerId(number))
    }

    fn set(partition: &mut Partition, number: u128, page: &str) {
        partition.touch(key(number)).customer.page = Some(page.to_owned());
    }

    fn drain(partition: &mut Partition) -> BTreeMap<Key, Option<String>> {
        let mut saved = Vec::new();
        while !partition.drain_saved(&mut saved) {}
        let count = saved.len();
        let mut rows = BTreeMap::new();
        for (key, row) in saved {
            let page = row.map(|row| rows::unrow::<Customer>(&row).unwrap().page.unwrap());
            rows.insert(key, page);
        }
        assert_eq!(rows.len(), count, "each row once");
        rows
    }

    #[test]
    fn a_checkpoint_holds_what_was_there_at_the_cut() {
        let mut partition = Partition::new();
        for number in 1..=4 {
            set(&mut partition, number, "before");
        }
        partition.cut();
        set(&mut partition, 1, "after");
        set(&mut partition, 1, "and again");
        partition.remove(key(2));
        set(&mut partition, 5, "new");
        partition.remove(key(3));
        set(&mut partition, 3, "back");
        let before = Some("before".to_owned());
        let rows = drain(&mut partition);
        assert_eq!(rows, (1..=4).map(|number| (key(number), before.clone())).collect());

        partition.cut();
        let rows = drain(&mut partition);
        let page = |page: &str| Some(page.to_owned());
        let expected = [
            (key(1), page("and again")),
            (key(2), None),
            (key(3), page("back")),
            (key(5), page("new")),
        ];
        assert_eq!(rows, expected.into());
        partition.cut();
        assert!(drain(&mut partition).is_empty(), "nothing changed since");
    }

    #[test]
    fn who_was_gone_at_the_cut_and_is_back_after_it_is_deleted_in_between() {
        let mut partition = Partition::new();
        set(&mut partition, 1, "first");
        partition.cut();
        drain(&mut partition);
        partition.remove(key(1));
        partition.cut();
        set(&mut partition, 1, "second");
        assert_eq!(drain(&mut partition), [(key(1), None)].into());
        partition.cut();
        assert_eq!(drain(&mut partition), [(key(1), Some("second".to_owned()))].into());
    }
}
