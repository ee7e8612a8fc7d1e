//! When one event happened, of all customers: exact to the millisecond, about four bytes an
//! occurrence.
//!
//! Each piece holds the moments of its customers as differences, the latest first, and beside them
//! the latest as a number of seconds that is scanned. "At least three times since then" asks where
//! the third latest lies: such a rank is laid out when it is first asked for, and serves every
//! window from then on. Where the seconds leave it open, the exact moments are read.

use super::piece::{PIECE, Plane, place_of};

/// Seconds, roughly, since 2020, of who has none.
pub(super) const NEVER: i32 = i32::MIN;
const BASE: i64 = 1_577_836_800_000 >> 10;
/// Ranks laid out per event; the oldest makes room.
const RANKS: usize = 6;

/// A moment as a number of seconds of 1,024 milliseconds; what lies decades away is all one.
pub(super) fn coarse(ms: i64) -> i32 {
    let near = ((ms >> 10) - BASE).clamp(i64::from(NEVER) + 1, i64::from(i32::MAX));
    i32::try_from(near).unwrap_or(i32::MAX)
}

fn fine(coarse: i32) -> i64 {
    (i64::from(coarse) + BASE) << 10
}

/// Which of the moments of a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rank {
    /// The n-th latest, from 1.
    Latest(u64),
    /// The first.
    First,
}

/// The moments of one event.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) last: Plane<i32>,
    /// Where the moments of a customer begin in the bytes of the piece, + 1.
    start: Plane<u32>,
    pieces: Vec<Piece>,
    ranks: Vec<(Rank, Plane<i32>)>,
    /// No moment is later.
    pub(super) newest: i64,
}

#[derive(Debug, Default)]
struct Piece {
    bytes: Vec<u8>,
    /// Bytes that nobody uses any more.
    unused: usize,
}

impl Series {
    pub(super) fn new() -> Series {
        Series {
            last: Plane::new(NEVER),
            start: Plane::new(0),
            pieces: Vec::new(),
            ranks: Vec::new(),
            newest: i64::MIN,
        }
    }

    /// Set the moments of a customer, the latest first; none takes them away.
    /// `buffer` is the caller's, to be used again.
    pub(super) fn set(
        &mut self,
        slot: u32,
        times: impl ExactSizeIterator<Item = i64> + Clone,
        buffer: &mut Vec<u8>,
    ) {
        buffer.clear();
        let latest = times.clone().next();
        write(times.clone(), buffer);
        let number = place_of(slot).0;
        let start = self.start.get(slot);
        if start != 0
            && let Some(piece) = self.pieces.get_mut(number)
        {
            let old = piece.record(start);
            if old.starts_with(buffer) && latest.is_some() && self.last.get(slot) == last_of(latest)
            {
                return;
            }
            piece.unused += length(old);
        }
        self.newest = self.newest.max(latest.unwrap_or(i64::MIN));
        self.last.set(slot, last_of(latest));
        for (rank, plane) in &mut self.ranks {
            plane.set(slot, place(times.clone(), *rank).map_or(NEVER, coarse));
        }
        if latest.is_none() {
            self.start.set(slot, 0);
            return;
        }
        if number >= self.pieces.len() {
            self.pieces.resize_with(number + 1, Piece::default);
        }
        if let Some(piece) = self.pieces.get_mut(number) {
            // A piece holds less than four thousand million bytes: it is written anew before.
            let start = u32::try_from(piece.bytes.len() + 1).unwrap_or(0);
            piece.bytes.extend_from_slice(buffer);
            self.start.set(slot, start);
        }
        self.tidy(number);
    }

    /// The moments of a customer, the latest first.
    pub(super) fn times(&self, slot: u32) -> Times<'_> {
        let start = self.start.get(slot);
        let piece = self.pieces.get(place_of(slot).0);
        let bytes = piece.filter(|_| start != 0).map_or(&[][..], |piece| piece.record(start));
        Times::new(bytes, fine(self.last.get(slot)))
    }

    /// The rank as it is laid out.
    pub(super) fn rank(&self, wanted: Rank) -> Option<&Plane<i32>> {
        if wanted == Rank::Latest(1) {
            return Some(&self.last);
        }
        self.ranks.iter().find(|(rank, _)| *rank == wanted).map(|(_, plane)| plane)
    }

    /// Lay a rank out, unless it is.
    pub(super) fn lay_out(&mut self, rank: Rank) {
        if self.rank(rank).is_some() {
            return;
        }
        let mut plane = Plane::new(NEVER);
        for (slot, _) in self.last.iter() {
            plane.set(slot, place(self.times(slot), rank).map_or(NEVER, coarse));
        }
        if self.ranks.len() >= RANKS {
            self.ranks.remove(0);
        }
        self.ranks.push((rank, plane));
    }

    pub(super) fn bytes(&self) -> usize {
        let ranks: usize = self.ranks.iter().map(|(_, plane)| plane.bytes()).sum();
        let pieces: usize = self.pieces.iter().map(|piece| piece.bytes.capacity()).sum();
        self.last.bytes() + self.start.bytes() + ranks + pieces
    }

    /// Write a piece anew when most of it is unused.
    fn tidy(&mut self, number: usize) {
        let Some(piece) = self.pieces.get_mut(number) else { return };
        if piece.unused <= piece.bytes.len() / 2 || piece.unused < PIECE {
            return;
        }
        let mut bytes = Vec::with_capacity(piece.bytes.len() - piece.unused + PIECE);
        let first = u32::try_from(number * PIECE).unwrap_or(u32::MAX);
        for slot in first..first.saturating_add(4_096) {
            let start = self.start.get(slot);
            if start != 0 {
                let record = piece.record(start);
                let moved = u32::try_from(bytes.len() + 1).unwrap_or(0);
                bytes.extend_from_slice(record.get(..length(record)).unwrap_or_default());
                self.start.set(slot, moved);
            }
        }
        *piece = Piece { bytes, unused: 0 };
    }
}

impl Piece {
    /// From the first byte of a customer's moments on.
    fn record(&self, start: u32) -> &[u8] {
        start.checked_sub(1).and_then(|start| self.bytes.get(start as usize..)).unwrap_or_default()
    }
}

fn last_of(latest: Option<i64>) -> i32 {
    latest.map_or(NEVER, coarse)
}

/// The moment of a rank, from the latest on.
fn place(mut times: impl Iterator<Item = i64>, rank: Rank) -> Option<i64> {
    match rank {
        Rank::Latest(n) => times.nth(usize::try_from(n).ok()?.checked_sub(1)?),
        Rank::First => times.last(),
    }
}

/// Moments, the latest first.
#[derive(Clone, Debug)]
pub(super) struct Times<'a> {
    bytes: &'a [u8],
    left: u64,
    here: i64,
}

impl<'a> Times<'a> {
    fn new(mut bytes: &'a [u8], near: i64) -> Times<'a> {
        let left = take(&mut bytes);
        Times { bytes, left, here: near }
    }
}

impl Iterator for Times<'_> {
    type Item = i64;

    fn next(&mut self) -> Option<i64> {
        self.left = self.left.checked_sub(1)?;
        self.here = self.here.wrapping_sub(unfold(take(&mut self.bytes)));
        Some(self.here)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        (left, Some(left))
    }
}

/// How many, then how far each lies before the one before; the latest before its own second.
fn write(times: impl ExactSizeIterator<Item = i64>, out: &mut Vec<u8>) {
    let count = times.len() as u64;
    put(count, out);
    let mut here = None;
    for at in times {
        let from = here.unwrap_or_else(|| fine(coarse(at)));
        put(fold(from.wrapping_sub(at)), out);
        here = Some(at);
    }
}

/// The bytes of the moments at the beginning of `record`.
fn length(record: &[u8]) -> usize {
    let mut rest = record;
    let count = take(&mut rest);
    for _ in 0..count {
        take(&mut rest);
    }
    record.len() - rest.len()
}

/// A difference of either sign: small ones are short. They lie before, so positive ones are even.
fn fold(difference: i64) -> u64 {
    (difference.wrapping_shl(1) ^ (difference >> 63)).cast_unsigned()
}

fn unfold(folded: u64) -> i64 {
    (folded >> 1).cast_signed() ^ -((folded & 1).cast_signed())
}

/// Seven bits a byte, the lowest first.
fn put(mut number: u64, out: &mut Vec<u8>) {
    loop {
        let byte = u8::try_from(number & 127).unwrap_or(0);
        number >>= 7;
        if number == 0 {
            out.push(byte);
            return;
        }
        out.push(byte | 128);
    }
}

fn take(bytes: &mut &[u8]) -> u64 {
    let (mut number, mut shift) = (0_u64, 0_u32);
    while let Some((byte, rest)) = bytes.split_first() {
        *bytes = rest;
        number |= u64::from(byte & 127).checked_shl(shift).unwrap_or(0);
        if byte & 128 == 0 {
            break;
        }
        shift += 7;
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(slot: u32, round: u32) -> Vec<i64> {
        let mut all: Vec<i64> = (0..(slot + round) % 9)
            .map(|n| 1_790_000_000_000 - i64::from(n * n) * i64::from(slot) * 1_003 - i64::from(n))
            .collect();
        if slot.is_multiple_of(97) {
            all.extend([i64::MAX - 1, 0, -9_000_000_000_000, i64::MIN + 1]);
        }
        all.sort_unstable_by(|one, other| other.cmp(one));
        all
    }

    #[test]
    fn moments_come_back_to_the_millisecond() {
        let (mut series, mut buffer) = (Series::new(), Vec::new());
        series.lay_out(Rank::Latest(2));
        for round in 0..4 {
            for slot in 0..9_000 {
                let all = moments(slot, round);
                series.set(slot, all.iter().copied(), &mut buffer);
            }
        }
        series.lay_out(Rank::First);
        series.lay_out(Rank::Latest(3));
        for slot in 0..9_000 {
            let all = moments(slot, 3);
            assert_eq!(series.times(slot).collect::<Vec<_>>(), all, "{slot}");
            let expected = |place: Option<&i64>| place.copied().map_or(NEVER, coarse);
            let rank = |rank| series.rank(rank).unwrap().get(slot);
            assert_eq!(rank(Rank::Latest(1)), expected(all.first()));
            assert_eq!(rank(Rank::Latest(2)), expected(all.get(1)));
            assert_eq!(rank(Rank::Latest(3)), expected(all.get(2)));
            assert_eq!(rank(Rank::First), expected(all.last()));
        }
        assert!(series.bytes() < 9_000 * 80, "what was replaced is given back");
    }

    #[test]
    fn coarse_moments_keep_the_order() {
        let edges =
            [i64::MIN, -1_000_000_000_000_000, 0, 1_023, 1_024, 1_795_000_000_000, i64::MAX];
        for pair in edges.windows(2) {
            assert!(coarse(pair[0]) <= coarse(pair[1]));
            assert!(coarse(pair[0]) > NEVER);
        }
    }
}
