//! The positions of customers' own records since a cut: one list for all of them, in which each
//! entry points to the one before it of the same customer. A list for each would be an allocation
//! for each.

use crate::partition::Key;
use crate::spread::SpreadMap;

#[derive(Default)]
pub(crate) struct Trails {
    /// The latest entry of each customer.
    latest: SpreadMap<Key, usize>,
    entries: Vec<Entry>,
}

struct Entry {
    position: u64,
    before: Option<usize>,
}

impl Trails {
    /// A customer's record; later than all before. One record may hold several facts about them.
    pub(crate) fn add(&mut self, key: Key, position: u64) {
        let place = self.entries.len();
        let before = self.latest.insert(key, place);
        let known = before.and_then(|before| self.entries.get(before));
        if known.is_some_and(|known| known.position == position) {
            self.latest.extend(before.map(|before| (key, before)));
            return;
        }
        self.entries.push(Entry { position, before });
    }

    /// The positions of a customer, newest first.
    pub(crate) fn of(&self, key: Key) -> impl Iterator<Item = u64> + '_ {
        let mut next = self.latest.get(&key).copied();
        std::iter::from_fn(move || {
            let entry = self.entries.get(next?)?;
            next = entry.before;
            Some(entry.position)
        })
    }

    /// The positions of a customer.
    pub(crate) fn rising(&self, key: Key) -> Vec<u64> {
        let mut positions: Vec<u64> = self.of(key).collect();
        positions.reverse();
        positions
    }

    /// Everybody.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Key> + '_ {
        self.latest.keys().copied()
    }

    /// The customer is erased.
    pub(crate) fn remove(&mut self, key: Key) {
        self.latest.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use engine::ids::{CustomerId, ProjectNo};

    use super::*;

    #[test]
    fn everybody_has_their_own_trail() {
        let key = |number| (ProjectNo(1), CustomerId(number));
        let mut trails = Trails::default();
        for (number, position) in [(1, 10), (2, 20), (1, 30), (1, 30), (1, 40)] {
            trails.add(key(number), position);
        }
        assert_eq!(trails.of(key(1)).collect::<Vec<u64>>(), [40, 30, 10]);
        assert_eq!(trails.rising(key(2)), [20]);
        trails.remove(key(1));
        assert_eq!(trails.rising(key(1)), [0; 0]);
    }
}
