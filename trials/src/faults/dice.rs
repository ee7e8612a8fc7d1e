//! Chance with a seed, so that a trial that has found something finds it again.

/// SplitMix64: enough to choose points and sectors.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..below`.
    pub(super) fn below(&mut self, below: u64) -> u64 {
        self.next() % below.max(1)
    }

    pub(super) fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// `wanted` of the numbers `1..=total` in order, or all of them.
    pub(super) fn sample(&mut self, total: u64, wanted: Option<u64>) -> Vec<u64> {
        let mut all: Vec<u64> = (1..=total).collect();
        let Some(wanted) = wanted.filter(|wanted| *wanted < total) else { return all };
        for place in 0..wanted {
            let other = place + self.below(total - place);
            all.swap(place as usize, other as usize);
        }
        all.truncate(wanted as usize);
        all.sort_unstable();
        all
    }
}
