//! Maps whose keys are hashes already, or numbers of ours: the ids of customers, deliveries and
//! events. One multiplication instead of SipHash, with a seed of this process, so that nobody can
//! choose ids that fall into one place.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};

/// A map by ids.
pub(crate) type SpreadMap<K, V> = HashMap<K, V, Spread>;
/// A set of ids.
pub(crate) type SpreadSet<K> = HashSet<K, Spread>;

/// Makes the hashers of one map.
#[derive(Clone, Copy)]
pub(crate) struct Spread(u64);

impl Default for Spread {
    fn default() -> Spread {
        Spread(RandomState::new().hash_one(0) | 1)
    }
}

impl BuildHasher for Spread {
    type Hasher = Folder;

    fn build_hasher(&self) -> Folder {
        Folder { seed: self.0, folded: self.0 }
    }
}

/// Folds the numbers of a key into one.
pub(crate) struct Folder {
    seed: u64,
    folded: u64,
}

/// The halves of a product tell of every bit of its factors.
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    let halves = (product as u64, (product >> 64) as u64);
    halves.0 ^ halves.1
}

impl Hasher for Folder {
    fn finish(&self) -> u64 {
        self.folded
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut number = [0; 8];
            for (place, byte) in number.iter_mut().zip(chunk) {
                *place = *byte;
            }
            self.write_u64(u64::from_le_bytes(number));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.write_u64(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.folded = fold(self.folded ^ number, self.seed ^ 0x9e37_79b9_7f4a_7c15);
    }

    #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
    fn write_u128(&mut self, number: u128) {
        self.write_u64(number as u64);
        self.write_u64((number >> 64) as u64);
    }
}
