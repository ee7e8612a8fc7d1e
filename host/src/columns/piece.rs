//! One number per customer, in pieces of 4,096: full where many have one, a short list where few do.
//!
//! A piece fits into the processor's nearest memory, so the conditions of a filter are answered piece
//! by piece, all of them, before the next. Answers are bits: one word for 64 customers.

/// Customers of one piece.
pub(super) const PIECE: usize = 4_096;
const WORDS: usize = PIECE / 64;
/// More than so many of a piece make it full; below it a list is smaller and as fast.
const FEW: usize = PIECE / 8;

/// One bit for each customer of a piece.
pub(super) type Bits = [u64; WORDS];

pub(super) const NOBODY: Bits = [0; WORDS];
pub(super) const EVERYBODY: Bits = [u64::MAX; WORDS];

/// The piece of a slot, and the place in it.
pub(super) fn place_of(slot: u32) -> (usize, u16) {
    let slot = slot as usize;
    // Smaller than the piece.
    (slot / PIECE, u16::try_from(slot % PIECE).unwrap_or(0))
}

pub(super) fn how_many(bits: &Bits) -> u64 {
    bits.iter().map(|word| u64::from(word.count_ones())).sum()
}

pub(super) fn merge(into: &mut Bits, other: &Bits, how: impl Fn(u64, u64) -> u64) {
    for (word, other) in into.iter_mut().zip(other) {
        *word = how(*word, *other);
    }
}

pub(super) fn put(bits: &mut Bits, place: u16, holds: bool) {
    let bit = 1 << (place % 64);
    if let Some(word) = bits.get_mut(usize::from(place / 64)) {
        *word = if holds { *word | bit } else { *word & !bit };
    }
}

/// The places whose bit is set.
pub(super) fn places(bits: &Bits) -> impl Iterator<Item = u16> {
    bits.iter().zip(0_u16..).flat_map(|(word, number)| {
        let mut left = *word;
        std::iter::from_fn(move || {
            let bit = u16::try_from(left.trailing_zeros()).ok().filter(|bit| *bit < 64)?;
            left &= left - 1;
            Some(number * 64 + bit)
        })
    })
}

/// What a test says of a value: yes, no, or ask elsewhere. Two bits, so that both are packed alike.
pub(super) type Answer = u8;
pub(super) const NO: Answer = 0;
pub(super) const YES: Answer = 1;
pub(super) const ASK: Answer = 2;

/// The values of one piece.
#[derive(Clone, Debug)]
enum Piece<T> {
    Few { places: Vec<u16>, values: Vec<T> },
    Full(Vec<T>),
}

/// The values of all customers; `none` is the value of who has none.
#[derive(Clone, Debug)]
pub(super) struct Plane<T> {
    pieces: Vec<Piece<T>>,
    none: T,
}

impl<T: Copy + PartialEq> Plane<T> {
    pub(super) fn new(none: T) -> Plane<T> {
        Plane { pieces: Vec::new(), none }
    }

    pub(super) fn get(&self, slot: u32) -> T {
        let (piece, place) = place_of(slot);
        let found = match self.pieces.get(piece) {
            Some(Piece::Full(values)) => values.get(usize::from(place)),
            Some(Piece::Few { places, values }) => {
                places.binary_search(&place).ok().and_then(|at| values.get(at))
            }
            None => None,
        };
        found.copied().unwrap_or(self.none)
    }

    pub(super) fn set(&mut self, slot: u32, value: T) {
        let (piece, place) = place_of(slot);
        if piece >= self.pieces.len() {
            if value == self.none {
                return;
            }
            let empty = || Piece::Few { places: Vec::new(), values: Vec::new() };
            self.pieces.resize_with(piece + 1, empty);
        }
        let none = self.none;
        let Some(piece) = self.pieces.get_mut(piece) else { return };
        match piece {
            Piece::Full(values) => {
                if let Some(old) = values.get_mut(usize::from(place)) {
                    *old = value;
                }
            }
            Piece::Few { places, values } => {
                // Customers come in the order of their slots at first, so the end is tried first.
                let found = match places.last() {
                    Some(last) if *last >= place => places.binary_search(&place),
                    Some(_) | None => Err(places.len()),
                };
                match found {
                    Ok(at) if value == none => {
                        places.remove(at);
                        values.remove(at);
                    }
                    Ok(at) => {
                        if let Some(old) = values.get_mut(at) {
                            *old = value;
                        }
                    }
                    Err(_) if value == none => {}
                    Err(at) => {
                        places.insert(at, place);
                        values.insert(at, value);
                    }
                }
                if places.len() > FEW {
                    *piece = fill(places, values, none);
                }
            }
        }
    }

    /// Ask a test of everybody in a piece: `yes` and `ask` are written.
    pub(super) fn scan(
        &self,
        piece: usize,
        (yes, ask): (&mut Bits, &mut Bits),
        test: impl Fn(T) -> Answer,
    ) {
        match self.pieces.get(piece) {
            Some(Piece::Full(values)) => {
                let (chunks, _) = values.as_chunks::<64>();
                for ((chunk, yes), ask) in chunks.iter().zip(yes).zip(ask) {
                    let answers = chunk.map(&test);
                    *yes = pack(answers.map(|answer| answer & 1));
                    *ask = pack(answers.map(|answer| answer >> 1));
                }
            }
            Some(Piece::Few { places, values }) => {
                all_alike(test(self.none), (yes, ask));
                for (place, value) in places.iter().zip(values) {
                    let answer = test(*value);
                    put(yes, *place, answer & 1 != 0);
                    put(ask, *place, answer & 2 != 0);
                }
            }
            None => all_alike(test(self.none), (yes, ask)),
        }
    }

    /// The same for a test that always knows.
    pub(super) fn scan_known(&self, piece: usize, yes: &mut Bits, test: impl Fn(T) -> bool) {
        match self.pieces.get(piece) {
            Some(Piece::Full(values)) => {
                let (chunks, _) = values.as_chunks::<64>();
                for (chunk, yes) in chunks.iter().zip(yes) {
                    *yes = pack(chunk.map(|value| u8::from(test(value))));
                }
            }
            Some(Piece::Few { places, values }) => {
                *yes = if test(self.none) { EVERYBODY } else { NOBODY };
                for (place, value) in places.iter().zip(values) {
                    put(yes, *place, test(*value));
                }
            }
            None => *yes = if test(self.none) { EVERYBODY } else { NOBODY },
        }
    }

    /// Whether nobody of a piece has a value.
    pub(super) fn is_empty(&self, piece: usize) -> bool {
        match self.pieces.get(piece) {
            Some(Piece::Full(_)) => false,
            Some(Piece::Few { places, .. }) => places.is_empty(),
            None => true,
        }
    }

    /// Everybody who has a value.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, T)> + '_ {
        let none = self.none;
        self.pieces.iter().zip(0_u32..).flat_map(move |(piece, number)| {
            let (places, values): (Option<&[u16]>, &[T]) = match piece {
                Piece::Full(values) => (None, values),
                Piece::Few { places, values } => (Some(places), values),
            };
            let first = number.saturating_mul(4_096);
            values.iter().zip(0_u16..).filter_map(move |(value, at)| {
                let place = match places {
                    Some(places) => places.get(usize::from(at)).copied()?,
                    None => at,
                };
                (*value != none).then_some((first + u32::from(place), *value))
            })
        })
    }

    /// The same values in another type.
    pub(super) fn convert<U: Copy>(&self, none: U, to: impl Fn(T) -> U) -> Plane<U> {
        let values = |values: &[T]| values.iter().map(|value| to(*value)).collect();
        let pieces = self.pieces.iter().map(|piece| match piece {
            Piece::Full(all) => Piece::Full(values(all)),
            Piece::Few { places, values: few } => {
                Piece::Few { places: places.clone(), values: values(few) }
            }
        });
        Plane { pieces: pieces.collect(), none }
    }

    pub(super) fn bytes(&self) -> usize {
        let of = |piece: &Piece<T>| match piece {
            Piece::Full(values) => values.capacity() * size_of::<T>(),
            Piece::Few { places, values } => {
                places.capacity() * 2 + values.capacity() * size_of::<T>()
            }
        };
        self.pieces.iter().map(of).sum::<usize>() + self.pieces.capacity() * size_of::<Piece<T>>()
    }
}

fn all_alike(answer: Answer, (yes, ask): (&mut Bits, &mut Bits)) {
    *yes = if answer & 1 != 0 { EVERYBODY } else { NOBODY };
    *ask = if answer & 2 != 0 { EVERYBODY } else { NOBODY };
}

fn fill<T: Copy>(places: &[u16], values: &[T], none: T) -> Piece<T> {
    let mut full = vec![none; PIECE];
    for (place, value) in places.iter().zip(values) {
        if let Some(at) = full.get_mut(usize::from(*place)) {
            *at = *value;
        }
    }
    Piece::Full(full)
}

/// 64 bytes, each 0 or 1, as one word. The product moves byte i of eight to bit i of its top byte.
fn pack(bytes: [u8; 64]) -> u64 {
    let (eights, _) = bytes.as_chunks::<8>();
    let mut word = 0;
    for (eight, shift) in eights.iter().zip([0_u32, 8, 16, 24, 32, 40, 48, 56]) {
        let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word |= bits << shift;
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_full_pieces_answer_alike() {
        for count in [0_u32, 3, 512, 513, 4_096, 5_000] {
            let mut plane = Plane::new(0_u8);
            let mut expected = vec![0_u8; 8_192];
            for number in (0..count).rev() {
                let slot = number * 7 % 8_192;
                plane.set(slot, 1 + (slot % 5) as u8);
                expected[slot as usize] = 1 + (slot % 5) as u8;
            }
            plane.set(7, 0);
            expected[7] = 0;
            let test = |value: u8| if value == 2 { ASK } else { u8::from(value > 3) };
            for piece in 0..2 {
                let (mut yes, mut ask, mut known) = (NOBODY, NOBODY, NOBODY);
                plane.scan(piece, (&mut yes, &mut ask), test);
                plane.scan_known(piece, &mut known, |value| value > 3);
                let of = |wanted: fn(u8) -> bool| -> Vec<u16> {
                    let values = expected[piece * PIECE..][..PIECE].iter().zip(0..);
                    values.filter(|(value, _)| wanted(**value)).map(|(_, place)| place).collect()
                };
                assert_eq!(places(&yes).collect::<Vec<_>>(), of(|value| value > 3), "{count}");
                assert_eq!(places(&ask).collect::<Vec<_>>(), of(|value| value == 2), "{count}");
                assert_eq!(known, yes);
            }
            let all: Vec<_> = plane.iter().collect();
            let values = expected.iter().zip(0_u32..).filter(|(value, _)| **value != 0);
            assert_eq!(all, values.map(|(value, slot)| (slot, *value)).collect::<Vec<_>>());
        }
    }
}
