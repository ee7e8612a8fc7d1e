//! One attribute of all customers.
//!
//! Few distinct values are codes of one byte, more of two, and texts that nearly everybody has
//! differently of four. Numbers and moments with many values lie in order instead: the upper half of
//! an order-preserving key is scanned, the lower half is looked at only where the upper one is that
//! of the bound. What does not fit (a text among numbers) is kept beside.

use std::collections::BTreeMap;

use engine::time::{self, Timestamp};
use engine::value::Value;

use super::dictionary::{DISTINCT, Dictionary, ELSEWHERE, FIRST, MISSING};
use super::piece::Plane;

/// The upper half of the key of who has no value, and of who has one of another kind.
pub(super) const NO_KEY: i32 = i32::MIN;
pub(super) const ODD_KEY: i32 = i32::MIN + 1;
/// Codes of one byte.
const BYTE: u32 = 255;
/// Unused values of a long dictionary beyond which it is written anew.
const UNUSED: usize = 65_536;

/// What lies in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Numbers.
    Number,
    /// Texts that name a moment with its offset from UTC.
    Moment,
}

/// Values in order.
#[derive(Debug)]
pub(super) struct Ordered {
    pub(super) kind: Kind,
    pub(super) upper: Plane<i32>,
    pub(super) lower: Plane<u32>,
    /// Values of another kind.
    pub(super) odd: BTreeMap<u32, Value>,
}

/// The values by customer.
#[derive(Debug)]
pub(super) enum Cells {
    Byte(Plane<u8>),
    Pair(Plane<u16>),
    Wide(Plane<u32>),
    Ordered(Ordered),
}

/// An attribute.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) cells: Cells,
    pub(super) dictionary: Dictionary,
    /// Whether some value was ever one that only the row knows.
    pub(super) has_elsewhere: bool,
    /// How many have a value.
    set: usize,
}

impl Column {
    pub(super) fn new() -> Column {
        let (cells, dictionary) = (Cells::Byte(Plane::new(0)), Dictionary::new());
        Column { cells, dictionary, has_elsewhere: false, set: 0 }
    }

    pub(super) fn is_set(&self, slot: u32) -> bool {
        match &self.cells {
            Cells::Byte(plane) => plane.get(slot) != 0,
            Cells::Pair(plane) => plane.get(slot) != 0,
            Cells::Wide(plane) => plane.get(slot) != MISSING,
            Cells::Ordered(ordered) => ordered.upper.get(slot) != NO_KEY,
        }
    }

    /// The value of a customer; `Err`: only the row knows.
    pub(super) fn value(&self, slot: u32) -> Result<Option<Value>, ()> {
        let code = match &self.cells {
            Cells::Byte(plane) => u32::from(plane.get(slot)),
            Cells::Pair(plane) => u32::from(plane.get(slot)),
            Cells::Wide(plane) => plane.get(slot),
            Cells::Ordered(ordered) => return ordered.value(slot),
        };
        match code {
            MISSING => Ok(None),
            ELSEWHERE => Err(()),
            code => self.dictionary.value(code).map(Some).ok_or(()),
        }
    }

    /// Set the value of a customer, or take it away.
    pub(super) fn set(&mut self, slot: u32, value: Option<&Value>) {
        let had = self.is_set(slot);
        self.set = self.set + usize::from(value.is_some()) - usize::from(had);
        let Some(value) = value else {
            if had {
                self.put(slot, MISSING);
            }
            return;
        };
        if let Cells::Ordered(ordered) = &mut self.cells {
            ordered.set(slot, value);
            return;
        }
        let code = self.dictionary.code(value);
        self.has_elsewhere |= code == ELSEWHERE;
        self.make_room(code);
        match &mut self.cells {
            // It became one while room was made.
            Cells::Ordered(ordered) => ordered.set(slot, value),
            Cells::Byte(_) | Cells::Pair(_) | Cells::Wide(_) => self.put(slot, code),
        }
        if self.dictionary.len() > self.set * 2 + UNUSED {
            self.write_anew();
        }
    }

    /// Set the value of a customer to a moment, written as the engine writes moments.
    pub(super) fn set_moment(&mut self, slot: u32, at: Option<Timestamp>) {
        if self.set == 0 && self.dictionary.len() == 0 {
            self.cells = Cells::Ordered(Ordered::new(Kind::Moment));
        }
        if let (Cells::Ordered(ordered), Some(at)) = (&mut self.cells, at)
            && ordered.kind == Kind::Moment
        {
            self.set += usize::from(ordered.upper.get(slot) == NO_KEY);
            ordered.put(slot, key_of_moment(at));
            return;
        }
        self.set(slot, at.map(|at| Value::Text(at.to_rfc3339())).as_ref());
    }

    /// Note that the customer has a value, or has none; which, only the row knows.
    pub(super) fn set_elsewhere(&mut self, slot: u32, has: bool) {
        self.set(slot, None);
        if !has {
            return;
        }
        self.set += 1;
        self.has_elsewhere = true;
        match &mut self.cells {
            Cells::Ordered(ordered) => ordered.upper.set(slot, ODD_KEY),
            Cells::Byte(_) | Cells::Pair(_) | Cells::Wide(_) => self.put(slot, ELSEWHERE),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let cells = match &self.cells {
            Cells::Byte(plane) => plane.bytes(),
            Cells::Pair(plane) => plane.bytes(),
            Cells::Wide(plane) => plane.bytes(),
            Cells::Ordered(ordered) => {
                ordered.upper.bytes() + ordered.lower.bytes() + ordered.odd.len() * 64
            }
        };
        cells + self.dictionary.bytes()
    }

    /// A code that fits into the cells, or [`MISSING`].
    fn put(&mut self, slot: u32, code: u32) {
        match &mut self.cells {
            Cells::Byte(plane) => plane.set(slot, u8::try_from(code).unwrap_or(1)),
            Cells::Pair(plane) => plane.set(slot, u16::try_from(code).unwrap_or(1)),
            Cells::Wide(plane) => plane.set(slot, code),
            Cells::Ordered(ordered) => {
                ordered.upper.set(slot, NO_KEY);
                ordered.lower.set(slot, 0);
                ordered.odd.remove(&slot);
            }
        }
    }

    /// See to it that the code fits.
    fn make_room(&mut self, code: u32) {
        let cells = match &self.cells {
            Cells::Byte(plane) if code > BYTE => match self.order() {
                Some(ordered) => Cells::Ordered(ordered),
                None => Cells::Pair(plane.convert(0, u16::from)),
            },
            Cells::Pair(plane) if code >= DISTINCT => Cells::Wide(plane.convert(0, u32::from)),
            Cells::Byte(_) | Cells::Pair(_) | Cells::Wide(_) | Cells::Ordered(_) => return,
        };
        if matches!(cells, Cells::Ordered(_)) {
            self.dictionary = Dictionary::of_many();
        }
        self.cells = cells;
    }

    /// Put what there is in order, when most of it is of one kind that can be.
    fn order(&self) -> Option<Ordered> {
        let (mut numbers, mut moments) = (0_usize, 0_usize);
        self.dictionary.each(|value| {
            numbers += usize::from(key_of(Kind::Number, value).is_some());
            moments += usize::from(key_of(Kind::Moment, value).is_some());
        });
        let most = self.dictionary.len() / 10 * 9;
        let kind = match (numbers >= most, moments >= most) {
            (true, _) => Kind::Number,
            (false, true) => Kind::Moment,
            (false, false) => return None,
        };
        let Cells::Byte(plane) = &self.cells else { return None };
        let mut ordered = Ordered::new(kind);
        for (slot, code) in plane.iter() {
            match self.dictionary.value(u32::from(code)) {
                Some(value) => ordered.set(slot, &value),
                None => ordered.upper.set(slot, ODD_KEY),
            }
        }
        Some(ordered)
    }

    /// Leave out the values that nobody has any more.
    fn write_anew(&mut self) {
        let old = std::mem::replace(&mut self.dictionary, Dictionary::of_many());
        let Cells::Wide(plane) = &mut self.cells else {
            self.dictionary = old;
            return;
        };
        let all: Vec<(u32, u32)> = plane.iter().collect();
        for (slot, code) in all {
            let new = old.value(code).map_or(ELSEWHERE, |value| self.dictionary.code(&value));
            plane.set(slot, new);
        }
    }
}

impl Ordered {
    fn new(kind: Kind) -> Ordered {
        let (upper, lower) = (Plane::new(NO_KEY), Plane::new(0));
        Ordered { kind, upper, lower, odd: BTreeMap::new() }
    }

    fn put(&mut self, slot: u32, key: u64) {
        let (upper, lower) = halves(key);
        self.upper.set(slot, upper);
        self.lower.set(slot, lower);
        self.odd.remove(&slot);
    }

    fn set(&mut self, slot: u32, value: &Value) {
        if let Some(key) = key_of(self.kind, value) {
            self.put(slot, key);
            return;
        }
        self.upper.set(slot, ODD_KEY);
        self.lower.set(slot, 0);
        let mut beside = Dictionary::of_many();
        if beside.code(value) == FIRST {
            self.odd.insert(slot, value.clone());
        } else {
            self.odd.remove(&slot);
        }
    }

    pub(super) fn key(&self, slot: u32) -> u64 {
        whole(self.upper.get(slot), self.lower.get(slot))
    }

    fn value(&self, slot: u32) -> Result<Option<Value>, ()> {
        match (self.upper.get(slot), self.kind) {
            (NO_KEY, _) => Ok(None),
            (ODD_KEY, _) => self.odd.get(&slot).cloned().map(Some).ok_or(()),
            (_, Kind::Number) => Ok(Some(Value::Number(number_of(self.key(slot))))),
            // How it was written is not kept.
            (_, Kind::Moment) => Err(()),
        }
    }
}

/// The key of a number: their order is the numbers' order. Zero has one sign and a non-number none.
pub(super) fn key(number: f64) -> u64 {
    let bits = if number == 0.0 { 0 } else { number.to_bits() };
    if bits >> 63 == 0 { bits ^ (1 << 63) } else { !bits }
}

fn number_of(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key ^ (1 << 63) } else { !key })
}

/// The key of a moment. Milliseconds of all years that can be written are exact.
#[expect(clippy::cast_precision_loss, reason = "beyond 2^53 only the order counts")]
pub(super) fn key_of_moment(at: Timestamp) -> u64 {
    key(at.0 as f64)
}

/// The moment of a key.
#[expect(clippy::cast_possible_truncation, reason = "the key was made of whole milliseconds")]
pub(super) fn moment_of(key: u64) -> Timestamp {
    Timestamp(number_of(key) as i64)
}

/// The upper half in the order of signed numbers, which every processor compares; and the lower.
#[expect(clippy::cast_possible_truncation, reason = "halves")]
pub(super) fn halves(key: u64) -> (i32, u32) {
    (((key >> 32) as u32 ^ (1 << 31)).cast_signed(), key as u32)
}

fn whole(upper: i32, lower: u32) -> u64 {
    u64::from(upper.cast_unsigned() ^ (1 << 31)) << 32 | u64::from(lower)
}

fn key_of(kind: Kind, value: &Value) -> Option<u64> {
    match (kind, value) {
        (Kind::Number, Value::Number(number)) => {
            // A negative zero is written with its sign, so the row keeps it.
            let plain = !number.is_nan() && (*number != 0.0 || number.is_sign_positive());
            plain.then(|| key(*number))
        }
        (Kind::Moment, Value::Text(text)) => {
            if !time::looks_like_date(text) || text.trim().len() == 10 {
                return None;
            }
            Timestamp::parse(text).map(key_of_moment)
        }
        (Kind::Number, Value::Text(_) | Value::Bool(_) | Value::List(_))
        | (Kind::Moment, Value::Number(_) | Value::Bool(_) | Value::List(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_in_the_order_of_their_numbers() {
        let numbers = [f64::NEG_INFINITY, -1e300, -2.5, -1.0, -1e-300, 0.0, 1e-300, 1.0, 42.0, 1e9];
        for pair in numbers.windows(2) {
            assert!(key(pair[0]) < key(pair[1]), "{pair:?}");
            let ((upper, lower), (next, _)) = (halves(key(pair[0])), halves(key(pair[1])));
            assert!(upper <= next && upper > ODD_KEY);
            assert_eq!(number_of(whole(upper, lower)).to_bits(), pair[0].to_bits());
        }
        assert_eq!(key(-0.0), key(0.0));
        for ms in [0, -1, 1_795_000_000_123, -60_000_000_000_001] {
            assert_eq!(moment_of(key_of_moment(Timestamp(ms))), Timestamp(ms));
        }
    }

    /// Values of many kinds, so many that every form of the column is passed through.
    #[test]
    fn columns_keep_what_they_are_given_in_every_form() {
        type Make = fn(u32) -> Value;
        let makes: [(Make, &str); 4] = [
            (|n| Value::Number(f64::from(n) / 4.0), "ordered"),
            (|n| Value::Text(format!("name {}", n % 70_000)), "wide"),
            (|n| Value::Text(format!("{}", n % 400)), "pair"),
            (
                |n| if n.is_multiple_of(20) { Value::Bool(true) } else { Value::Number(n.into()) },
                "ordered",
            ),
        ];
        for (make, form) in makes {
            let mut column = Column::new();
            let mut expected = BTreeMap::new();
            for n in 0..80_000_u32 {
                let slot = n * 13 % 79_999;
                column.set(slot, Some(&make(n)));
                expected.insert(slot, make(n));
                if n.is_multiple_of(50) {
                    column.set(slot / 2, None);
                    expected.remove(&(slot / 2));
                }
            }
            for slot in 0..80_001 {
                assert_eq!(column.value(slot), Ok(expected.get(&slot).cloned()), "{form} {slot}");
            }
            assert_eq!(column.set, expected.len());
            let found = match column.cells {
                Cells::Byte(_) => "byte",
                Cells::Pair(_) => "pair",
                Cells::Wide(_) => "wide",
                Cells::Ordered(_) => "ordered",
            };
            assert_eq!(found, form);
        }
    }

    #[test]
    fn a_long_dictionary_forgets_what_nobody_has() {
        let mut column = Column::new();
        for n in 0..400_000_u32 {
            column.set(n % 10, Some(&Value::Text(format!("{n}"))));
        }
        assert!(column.dictionary.len() <= UNUSED + 20, "{}", column.dictionary.len());
        assert_eq!(column.value(9), Ok(Some(Value::Text("399999".into()))));
    }
}
