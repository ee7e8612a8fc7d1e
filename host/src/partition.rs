//! A share of the customers: who there is, who of them is in memory, and which of those the next
//! checkpoint has to write.
//!
//! A checkpoint is the state at one log position, exactly: at the cut the epoch grows, and whoever
//! changes a customer of the epoch before it first saves the row as it was. So the applier never
//! waits for a checkpoint, and replay after it needs no guard against facts applied twice.
//!
//! The customers in memory are a cache in front of the state store, and one rule makes it safe:
//! whoever is known and not in memory stands in the store as they are. So only those leave whom a
//! written checkpoint has, the applier alone lets them go and fetches them back, and a reader may
//! read a row whenever it likes. Who goes: whoever was not touched since the hand came round last.

use std::collections::VecDeque;

use engine::apply::next_moment;
use engine::customer::Customer;
use engine::ids::{CustomerId, ProjectNo};
use engine::time::Timestamp;

use crate::columns::changed::Changed;
use crate::customer_row::{self, Pool};
use crate::known::{Known, Stands, Turn};
use crate::limits::{EVICTION_PATIENCE, SAVED_PER_LOCK};
use crate::rows;
use crate::spread::{SpreadMap, SpreadSet};
use crate::waits::Waits;

pub(crate) type Key = (ProjectNo, CustomerId);

/// The rows of a customer as of the cut.
pub(crate) struct Saved {
    pub(crate) key: Key,
    /// `None`: deleted.
    pub(crate) row: Option<Vec<u8>>,
    pub(crate) waits: Index,
}

/// What becomes of the row in the index of what waits.
#[derive(Debug, PartialEq)]
pub(crate) enum Index {
    /// There is none, and none is needed.
    Nothing,
    Put(Vec<u8>),
    Delete,
}

/// A customer in memory.
pub(crate) struct Held {
    pub(crate) customer: Customer,
    /// The timer that stands for them.
    pub(crate) wake: Option<Timestamp>,
    /// The epoch of the latest change; 0: none since they were read.
    touched: u64,
    /// See [`Changed`].
    noted: u32,
    /// Whether a checkpoint took them since.
    saved: bool,
    /// Whether the store has, or will have, an index row of what waits for them.
    indexed: bool,
    /// Touched since the hand came by.
    used: bool,
    /// On the list of those to be weighed.
    moved: bool,
    /// The epoch in which they were weighed.
    weighed: u64,
    /// Bytes, roughly.
    weight: usize,
    is_signpost: bool,
}

impl Held {
    fn new(customer: Customer) -> Held {
        Held {
            wake: next_moment(&customer),
            touched: 0,
            noted: 0,
            saved: true,
            indexed: !Waits::of(&customer).is_empty(),
            used: false,
            moved: false,
            weighed: 0,
            weight: 0,
            is_signpost: customer.merged_into.is_some(),
            customer,
        }
    }

    fn save(&mut self, key: Key) -> Saved {
        let waits = Waits::of(&self.customer);
        let index = match (waits.is_empty(), self.indexed) {
            (true, false) => Index::Nothing,
            (true, true) => Index::Delete,
            (false, _) => Index::Put(rows::row(&waits)),
        };
        self.indexed = !waits.is_empty();
        self.saved = true;
        Saved { key, row: Some(customer_row::write(&self.customer)), waits: index }
    }

    fn weigh(&mut self, epoch: u64) {
        self.weighed = epoch;
        self.weight = size_of::<Key>() * 2 + size_of::<Held>() + self.customer.heap_bytes();
    }
}

/// Where a customer is.
pub(crate) enum Found<'a> {
    /// In memory.
    Here(&'a Customer),
    /// In the state store, as they are.
    Stored(Stands),
    Nobody,
}

/// The customers of one partition.
pub(crate) struct Partition {
    pub(crate) known: Known,
    customers: SpreadMap<Key, Box<Held>>,
    /// The hand goes round here.
    clock: VecDeque<Key>,
    /// Bytes of the customers in memory, roughly.
    bytes: usize,
    epoch: u64,
    /// The latest epoch that the store has.
    written: u64,
    moved: Vec<Key>,
    dirty: Vec<Key>,
    removed: SpreadSet<Key>,
    saving: Vec<Key>,
    saved: Vec<Saved>,
    /// For the columns.
    pub(crate) changed: Changed,
}

impl Partition {
    pub(crate) fn new() -> Partition {
        Partition {
            known: Known::default(),
            customers: SpreadMap::default(),
            clock: VecDeque::new(),
            bytes: 0,
            epoch: 1,
            written: 0,
            moved: Vec::new(),
            dirty: Vec::new(),
            removed: SpreadSet::default(),
            saving: Vec::new(),
            saved: Vec::new(),
            changed: Changed::default(),
        }
    }

    pub(crate) fn find(&self, key: Key) -> Found<'_> {
        match self.customers.get(&key) {
            Some(held) => Found::Here(&held.customer),
            None => match self.known.stands(key) {
                Stands::Nobody => Found::Nobody,
                stands => Found::Stored(stands),
            },
        }
    }

    /// Whether a customer is known and not in memory.
    pub(crate) fn is_stored(&self, key: Key) -> bool {
        !self.customers.contains_key(&key) && self.known.has(key)
    }

    /// Those in memory.
    pub(crate) fn resident(&self) -> impl Iterator<Item = (&Key, &Customer)> {
        self.customers.iter().map(|(key, held)| (key, &held.customer))
    }

    /// From the state store.
    pub(crate) fn load(&mut self, key: Key, customer: Customer) -> &Customer {
        let mut held = Box::new(Held::new(customer));
        held.used = true;
        held.weigh(self.epoch);
        self.bytes += held.weight;
        self.clock.push_back(key);
        &self.customers.entry(key).insert_entry(held).into_mut().customer
    }

    /// The customer, about to be changed; a new one when there is none. Whoever is in the store is
    /// fetched before.
    pub(crate) fn touch(&mut self, key: Key) -> &mut Held {
        let epoch = self.epoch;
        let held = self.customers.entry(key).or_insert_with(|| {
            debug_assert!(!self.known.has(key), "whoever is stored is fetched first");
            self.known.set(key, Stands::Customer);
            self.clock.push_back(key);
            let mut held = Held::new(Customer::default());
            // The row of whoever was here before may still stand in the index.
            held.indexed = self.removed.contains(&key);
            Box::new(held)
        });
        self.changed.note(&mut held.noted, key);
        if held.touched != epoch {
            if !held.saved {
                self.saved.push(held.save(key));
            }
            held.touched = epoch;
            held.saved = false;
            self.dirty.push(key);
        }
        held.used = true;
        if !held.moved {
            held.moved = true;
            self.moved.push(key);
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
        self.known.set(key, Stands::Nobody);
        let held = self.customers.remove(&key)?;
        self.bytes -= held.weight;
        held.wake
    }

    /// How many the next checkpoint has to write.
    pub(crate) fn dirty(&self) -> usize {
        self.dirty.len()
    }

    /// How many bytes the next checkpoint has to write, as far as can be told without asking each.
    pub(crate) fn dirty_bytes(&self) -> usize {
        self.dirty.len().saturating_mul(self.bytes / self.customers.len().max(1))
    }

    /// Take note of what became of those who were touched; answers the bytes of all in memory.
    pub(crate) fn weigh(&mut self, pool: &Pool) -> usize {
        let mut moved = std::mem::take(&mut self.moved);
        for key in moved.drain(..) {
            let Some(held) = self.customers.get_mut(&key) else { continue };
            held.moved = false;
            let is_signpost = held.customer.merged_into.is_some();
            if is_signpost != held.is_signpost {
                held.is_signpost = is_signpost;
                let stands = if is_signpost { Stands::Signpost } else { Stands::Customer };
                self.known.set(key, stands);
            }
            // Once an epoch; the little that they grow by meanwhile is weighed at the checkpoint.
            if held.weighed != self.epoch {
                self.bytes -= held.weight;
                held.customer.share_keys(|key| pool.share(key));
                held.weigh(self.epoch);
                self.bytes += held.weight;
            }
        }
        self.moved = moved;
        self.bytes
    }

    /// Let customers go until no more than so many bytes are left, as far as that is possible.
    pub(crate) fn evict(&mut self, most: usize) -> usize {
        let mut stuck = 0;
        while self.bytes > most && stuck < EVICTION_PATIENCE {
            let Some(key) = self.clock.pop_front() else { break };
            // Whoever was forgotten leaves their place on the clock behind.
            let Some(held) = self.customers.get_mut(&key) else { continue };
            let was_used = std::mem::take(&mut held.used);
            let is_written = held.touched <= self.written;
            // A timer that was set back by hand is not to be found in the row.
            if was_used || !is_written || held.wake != next_moment(&held.customer) {
                self.clock.push_back(key);
                // Each touch pays for one more way round; who cannot go would be looked at for ever.
                stuck += usize::from(!was_used);
                continue;
            }
            self.bytes -= held.weight;
            self.customers.remove(&key);
            stuck = 0;
        }
        self.bytes
    }

    /// From here on changes belong to the next checkpoint. The one before must be drained. Answers
    /// what became of ids since the last one.
    pub(crate) fn cut(&mut self, pool: &Pool) -> Vec<Turn> {
        self.weigh(pool);
        self.epoch += 1;
        self.saving = std::mem::take(&mut self.dirty);
        for key in std::mem::take(&mut self.removed) {
            if !self.known.has(key) {
                self.saved.push(Saved { key, row: None, waits: Index::Delete });
            }
        }
        self.known.take_turns()
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
                && !held.saved
                && held.touched != self.epoch
            {
                out.push(held.save(key));
                self.bytes -= held.weight;
                held.weigh(self.epoch - 1);
                self.bytes += held.weight;
            }
        }
        false
    }

    /// What was drained is in the store.
    pub(crate) fn set_written(&mut self) {
        self.written = self.epoch - 1;
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
        for Saved { key, row, .. } in saved {
            let page =
                row.map(|row| customer_row::read(&row, &Pool::default()).unwrap().page.unwrap());
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
        partition.cut(&Pool::default());
        set(&mut partition, 1, "after");
        set(&mut partition, 1, "and again");
        partition.remove(key(2));
        set(&mut partition, 5, "new");
        partition.remove(key(3));
        set(&mut partition, 3, "back");
        let before = Some("before".to_owned());
        let rows = drain(&mut partition);
        assert_eq!(rows, (1..=4).map(|number| (key(number), before.clone())).collect());

        partition.cut(&Pool::default());
        let rows = drain(&mut partition);
        let page = |page: &str| Some(page.to_owned());
        let expected = [
            (key(1), page("and again")),
            (key(2), None),
            (key(3), page("back")),
            (key(5), page("new")),
        ];
        assert_eq!(rows, expected.into());
        partition.cut(&Pool::default());
        assert!(drain(&mut partition).is_empty(), "nothing changed since");
    }

    #[test]
    fn who_was_gone_at_the_cut_and_is_back_after_it_is_deleted_in_between() {
        let mut partition = Partition::new();
        set(&mut partition, 1, "first");
        partition.cut(&Pool::default());
        drain(&mut partition);
        partition.remove(key(1));
        partition.cut(&Pool::default());
        set(&mut partition, 1, "second");
        assert_eq!(drain(&mut partition), [(key(1), None)].into());
        partition.cut(&Pool::default());
        assert_eq!(drain(&mut partition), [(key(1), Some("second".to_owned()))].into());
    }
}
