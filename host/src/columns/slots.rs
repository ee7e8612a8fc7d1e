//! Which slot is whose. The table is one array of slots that looks the ids up where they lie: some
//! eight bytes a customer besides the id itself.

use engine::ids::CustomerId;

use super::piece::{Bits, NOBODY, place_of, put};

/// The slots of a project's customers.
#[derive(Debug, Default)]
pub(super) struct Slots {
    ids: Vec<CustomerId>,
    free: Vec<u32>,
    /// One bit per slot: somebody's.
    taken: Vec<Bits>,
    /// Slot + 1 by the id's hash, the next place when taken; 0: nobody. A power of two, or empty.
    table: Vec<u32>,
    count: usize,
}

impl Slots {
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// How many pieces there are.
    pub(super) fn pieces(&self) -> usize {
        self.taken.len()
    }

    /// Who is there, of a piece.
    pub(super) fn taken(&self, piece: usize) -> Bits {
        self.taken.get(piece).copied().unwrap_or(NOBODY)
    }

    pub(super) fn id(&self, slot: u32) -> Option<CustomerId> {
        self.ids.get(slot as usize).copied()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = (u32, CustomerId)> + '_ {
        let taken = |slot: u32| {
            let (piece, place) = place_of(slot);
            let word = self.taken.get(piece).and_then(|bits| bits.get(usize::from(place / 64)));
            word.is_some_and(|word| word >> (place % 64) & 1 != 0)
        };
        (0_u32..).zip(&self.ids).map(|(slot, id)| (slot, *id)).filter(move |(slot, _)| taken(*slot))
    }

    /// The slot of a customer.
    pub(super) fn find(&self, id: CustomerId) -> Option<u32> {
        let at = self.place(id)?;
        self.table.get(at).and_then(|entry| entry.checked_sub(1))
    }

    /// The slot of a customer, perhaps a new one, and whether it is new.
    /// `None`: there are four thousand million already.
    pub(super) fn find_or_add(&mut self, id: CustomerId) -> Option<(u32, bool)> {
        if let Some(slot) = self.find(id) {
            return Some((slot, false));
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => u32::try_from(self.ids.len()).ok().filter(|slot| *slot < u32::MAX - 1)?,
        };
        if slot as usize == self.ids.len() {
            self.ids.push(id);
        } else if let Some(old) = self.ids.get_mut(slot as usize) {
            *old = id;
        }
        let (piece, place) = place_of(slot);
        if piece >= self.taken.len() {
            self.taken.resize(piece + 1, NOBODY);
        }
        if let Some(taken) = self.taken.get_mut(piece) {
            put(taken, place, true);
        }
        self.count += 1;
        if self.count * 3 > self.table.len() * 2 {
            self.grow();
        } else {
            self.enter(id, slot);
        }
        Some((slot, true))
    }

    /// Give a slot back.
    pub(super) fn remove(&mut self, id: CustomerId) -> Option<u32> {
        let mut hole = self.place(id)?;
        let slot = self.table.get(hole)?.checked_sub(1)?;
        // Whoever stands behind the hole and would be looked for before it moves up.
        let mask = self.table.len() - 1;
        let mut here = hole;
        loop {
            here = (here + 1) & mask;
            let Some(entry) = self.table.get(here).copied().filter(|entry| *entry != 0) else {
                break;
            };
            let home = self.id(entry - 1).map_or(here, |id| self.home(id));
            if (here.wrapping_sub(home) & mask) >= (here.wrapping_sub(hole) & mask) {
                if let Some(at) = self.table.get_mut(hole) {
                    *at = entry;
                }
                hole = here;
            }
        }
        if let Some(at) = self.table.get_mut(hole) {
            *at = 0;
        }
        let (piece, place) = place_of(slot);
        if let Some(taken) = self.taken.get_mut(piece) {
            put(taken, place, false);
        }
        self.free.push(slot);
        self.count -= 1;
        Some(slot)
    }

    pub(super) fn bytes(&self) -> usize {
        self.ids.capacity() * 16
            + self.free.capacity() * 4
            + self.taken.capacity() * size_of::<Bits>()
            + self.table.capacity() * 4
    }

    /// Where in the table the customer stands.
    fn place(&self, id: CustomerId) -> Option<usize> {
        if self.table.is_empty() {
            return None;
        }
        let mut here = self.home(id);
        loop {
            let slot = self.table.get(here)?.checked_sub(1)?;
            if self.id(slot) == Some(id) {
                return Some(here);
            }
            here = (here + 1) & (self.table.len() - 1);
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "some bits of a hash")]
    fn home(&self, id: CustomerId) -> usize {
        // Ids are hashes, but a crowd at one place would cost so much that nothing is taken for sure.
        let mixed = ((id.0 >> 64) as u64 ^ id.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (mixed >> 32) as usize & (self.table.len() - 1)
    }

    fn enter(&mut self, id: CustomerId, slot: u32) {
        let mask = self.table.len() - 1;
        let mut here = self.home(id);
        while let Some(entry) = self.table.get_mut(here) {
            if *entry == 0 {
                *entry = slot + 1;
                return;
            }
            here = (here + 1) & mask;
        }
    }

    fn grow(&mut self) {
        self.table = vec![0; (self.table.len() * 2).max(64)];
        let all: Vec<(u32, CustomerId)> = self.ids().collect();
        for (slot, id) in all {
            self.enter(id, slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn slots_agree_with_a_map() {
        let (mut slots, mut map) = (Slots::default(), BTreeMap::new());
        let mut state = 1_u64;
        for _ in 0..60_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Few hashes, so that many customers contend for the same place.
            let number = u128::from(state >> 40) % 3_000;
            let id = CustomerId((number % 50) << 8 | number << 64);
            if state >> 33 & 3 == 0 {
                assert_eq!(slots.remove(id), map.remove(&id));
            } else {
                let (slot, new) = slots.find_or_add(id).unwrap();
                assert_eq!(map.insert(id, slot).is_none(), new);
            }
        }
        assert_eq!(slots.count(), map.len());
        let mut all: Vec<_> = slots.ids().map(|(slot, id)| (id, slot)).collect();
        all.sort_unstable();
        assert_eq!(all, map.iter().map(|(id, slot)| (*id, *slot)).collect::<Vec<_>>());
        for (id, slot) in map {
            assert_eq!(slots.find(id), Some(slot));
        }
    }
}
