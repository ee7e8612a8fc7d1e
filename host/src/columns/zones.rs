//! In which time zone each customer lives, as a number.

use std::collections::HashMap;

use engine::time::Zone;

use super::piece::Plane;

/// The project's own: who has none, or one that does not exist.
pub(super) const OF_PROJECT: u16 = 0;
/// Spellings of names that are remembered. Who lives in a zone beyond them is asked by row.
const NAMES: usize = 4_000;
/// The row knows.
pub(super) const ELSEWHERE: u16 = u16::MAX;

/// The zones of a project's customers.
#[derive(Debug)]
pub(super) struct Zones {
    numbers: HashMap<String, u16>,
    zones: Vec<Option<Zone>>,
    /// How many live there.
    lived_in: Vec<usize>,
    plane: Plane<u16>,
    /// How many live in a zone without a number.
    elsewhere: usize,
}

impl Default for Zones {
    fn default() -> Zones {
        Zones {
            numbers: HashMap::new(),
            zones: vec![None],
            lived_in: vec![0],
            plane: Plane::new(OF_PROJECT),
            elsewhere: 0,
        }
    }
}

impl Zones {
    pub(super) fn set(&mut self, slot: u32, name: Option<&str>) {
        let number = name.map_or(OF_PROJECT, |name| self.number(name));
        let before = self.plane.get(slot);
        if before != number {
            self.count(before, -1);
            self.count(number, 1);
            self.plane.set(slot, number);
        }
    }

    pub(super) fn remove(&mut self, slot: u32) {
        self.set(slot, None);
    }

    pub(super) fn number_of(&self, slot: u32) -> u16 {
        self.plane.get(slot)
    }

    /// The zones somebody lives in, by number; the project's own is always one.
    pub(super) fn in_use(&self, own: &Zone) -> Vec<(u16, Zone)> {
        let mut zones = vec![(OF_PROJECT, own.clone())];
        for ((zone, lived_in), number) in self.zones.iter().zip(&self.lived_in).zip(0_u16..) {
            if let Some(zone) = zone
                && *lived_in > 0
            {
                zones.push((number, zone.clone()));
            }
        }
        zones
    }

    /// Whether somebody's zone has no number.
    pub(super) fn some_are_elsewhere(&self) -> bool {
        self.elsewhere > 0
    }

    pub(super) fn bytes(&self) -> usize {
        self.plane.bytes() + self.zones.capacity() * size_of::<Option<Zone>>()
    }

    fn count(&mut self, number: u16, change: isize) {
        let count = match number {
            ELSEWHERE => Some(&mut self.elsewhere),
            number => self.lived_in.get_mut(usize::from(number)),
        };
        if let Some(count) = count {
            *count = count.saturating_add_signed(change);
        }
    }

    fn number(&mut self, name: &str) -> u16 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let zone = Zone::named(name);
        if self.numbers.len() >= NAMES {
            return if zone.is_some() { ELSEWHERE } else { OF_PROJECT };
        }
        let number = match zone {
            None => OF_PROJECT,
            Some(_) => u16::try_from(self.zones.len()).unwrap_or(ELSEWHERE),
        };
        if zone.is_some() {
            self.zones.push(zone);
            self.lived_in.push(0);
        }
        self.numbers.insert(name.to_owned(), number);
        number
    }
}
