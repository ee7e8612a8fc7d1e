//! Chance with a seed: splitmix64, so that a world is the same on every machine.

/// A source of numbers that only depends on its seed.
#[derive(Clone, Debug)]
pub struct Dice {
    state: u64,
}

impl Dice {
    /// The same seed, the same numbers.
    pub fn new(seed: u64) -> Dice {
        Dice { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d }
    }

    /// Any number.
    pub fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number smaller than this; 0 when there is none.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.roll() % end }
    }

    /// So many times out of a hundred.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    #[expect(clippy::indexing_slicing, reason = "pools are never empty and the place is inside")]
    pub fn pick<'a, T>(&mut self, pool: &'a [T]) -> &'a T {
        let place = usize::try_from(self.below(pool.len() as u64)).unwrap_or(0);
        &pool[place]
    }

    /// One of these, as its own.
    pub fn one<T: Clone>(&mut self, pool: &[T]) -> T {
        self.pick(pool).clone()
    }
}
