//! The ids that were seen, so that the same event counts once.
//!
//! Nearly every id that comes is new, so "was it seen?" must be answered with no without asking the
//! state store. The latest ids are in memory as they are: a generation. When it has grown up its
//! ids go into the store, a row for all that begin alike, and a filter stays behind that says
//! either "no" or "look there". Until then each checkpoint adds what came since the one before.
//!
//! An id is kept for [`SEEN_FOR_MS`] by the clock of the log, and longer where ids are few;
//! of very many only the latest [`SEEN_GENERATIONS`] generations are kept. A generation
//! is forgotten as a whole.

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use engine::ids::EventId;
use engine::time::Timestamp;
use serde::{Deserialize, Serialize};
use store::state::{Batch, Keyspace, Order, State, StateError};

use crate::limits::{SEEN_FOR_MS, SEEN_GENERATIONS, SEEN_PER_ROW};
use crate::rows;
use crate::spread::SpreadSet;

/// Bits of an id that name its row: some 200 ids to a row of a generation.
const ROW_BITS: u32 = 12;
/// Bytes of a filter in one row.
const PIECE_WORDS: usize = 4_096;

/// All ids that are known.
pub(crate) struct Seen {
    /// So many ids are a generation.
    grown_up: usize,
    number: u32,
    young: SpreadSet<u128>,
    latest: Timestamp,
    /// What no checkpoint has yet, and the row in which it will stand.
    unwritten: Vec<u128>,
    rows: u32,
    /// Grown up, and on its way into the store.
    leaving: Option<Arc<Leaving>>,
    /// Oldest first.
    old: VecDeque<Old>,
}

/// A generation in the store.
struct Old {
    number: u32,
    latest: Timestamp,
    filter: Filter,
}

/// A generation that goes into the store.
struct Leaving {
    number: u32,
    latest: Timestamp,
    ids: SpreadSet<u128>,
    filter: OnceLock<Filter>,
    /// Rows in which its ids stood one checkpoint after the other.
    rows: u32,
}

/// What a checkpoint writes.
#[derive(Default)]
pub(crate) struct SeenCut {
    number: u32,
    row: u32,
    ids: Vec<u128>,
    leaving: Option<Arc<Leaving>>,
    forgotten: Vec<u32>,
}

/// An id in its partition. A partition needs six bits, and the id has enough without them.
pub(crate) fn name((partition, id): (u8, EventId)) -> u128 {
    (id.0 & !0x3f) | u128::from(partition & 0x3f)
}

impl Seen {
    pub(crate) fn new(grown_up: usize) -> Seen {
        Seen {
            grown_up,
            number: 0,
            young: SpreadSet::default(),
            latest: Timestamp(0),
            unwritten: Vec::new(),
            rows: 0,
            leaving: None,
            old: VecDeque::new(),
        }
    }

    pub(crate) fn has(&self, state: &State, id: u128) -> Result<bool, StateError> {
        if self.young.contains(&id)
            || self.leaving.as_ref().is_some_and(|leaving| leaving.ids.contains(&id))
        {
            return Ok(true);
        }
        for old in self.old.iter().rev() {
            if !old.filter.may_have(id) {
                continue;
            }
            let row = state.get(Keyspace::Seen, &row_key(old.number, id))?;
            if row.is_some_and(|row| ids_of(&row).any(|other| other == id)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(crate) fn add(&mut self, id: u128, now: Timestamp) {
        self.latest = self.latest.max(now);
        if self.young.insert(id) {
            self.unwritten.push(id);
        }
    }

    /// What came since the latest cut belongs to a checkpoint.
    pub(crate) fn cut(&mut self) -> SeenCut {
        let ids = std::mem::take(&mut self.unwritten);
        let mut cut = SeenCut { number: self.number, row: self.rows, ids, ..SeenCut::default() };
        if self.young.len() >= self.grown_up {
            let leaving = Arc::new(Leaving {
                number: self.number,
                latest: self.latest,
                ids: std::mem::take(&mut self.young),
                filter: OnceLock::new(),
                rows: self.rows,
            });
            self.leaving = Some(Arc::clone(&leaving));
            cut.leaving = Some(leaving);
            (self.number, self.rows) = (self.number + 1, 0);
        } else {
            self.rows += cut.rows_of_ids();
        }
        let horizon = self.latest.plus_ms(-SEEN_FOR_MS);
        while let Some(oldest) = self.old.front()
            && (oldest.latest < horizon || self.old.len() > SEEN_GENERATIONS)
        {
            cut.forgotten.push(oldest.number);
            self.old.pop_front();
        }
        cut
    }

    /// The checkpoint is in the store.
    pub(crate) fn settle(&mut self) {
        let Some(leaving) = self.leaving.take() else { return };
        let filter = leaving.filter.get().cloned().unwrap_or_else(|| Filter::of(&leaving.ids));
        self.old.push_back(Old { number: leaving.number, latest: leaving.latest, filter });
    }

    /// From the store. `None`: a row makes no sense.
    pub(crate) fn load(state: &State, grown_up: usize) -> Result<Option<Seen>, StateError> {
        let mut seen = Seen::new(grown_up);
        for row in state.scan_prefix(Keyspace::Seen, b"g", Order::Forward) {
            let (key, row) = row?;
            let (Some(number), Some(header)) = (number_of(&key), rows::unrow::<Header>(&row))
            else {
                return Ok(None);
            };
            let Some(filter) = Filter::load(state, number, header.blocks)? else { return Ok(None) };
            seen.old.push_back(Old { number, latest: header.latest, filter });
            seen.latest = seen.latest.max(header.latest);
            seen.number = number + 1;
        }
        for row in state.scan_prefix(Keyspace::Seen, b"y", Order::Forward) {
            let (key, row) = row?;
            match number_of(&key) {
                // Those before it may all be forgotten.
                Some(number) if seen.rows == 0 && number >= seen.number => seen.number = number,
                Some(number) if number == seen.number => {}
                Some(_) | None => return Ok(None),
            }
            seen.young.extend(ids_of(&row));
            seen.rows += 1;
        }
        Ok(Some(seen))
    }
}

impl SeenCut {
    fn rows_of_ids(&self) -> u32 {
        u32::try_from(self.ids.len().div_ceil(SEEN_PER_ROW)).unwrap_or(u32::MAX)
    }

    pub(crate) fn put(&self, batch: &mut Batch) {
        match &self.leaving {
            Some(leaving) => leaving.put(batch),
            None => {
                for (row, ids) in (self.row..).zip(self.ids.chunks(SEEN_PER_ROW)) {
                    batch.put(Keyspace::Seen, &piece_key(b'y', self.number, row), &bytes_of(ids));
                }
            }
        }
        for number in &self.forgotten {
            batch.delete(Keyspace::Seen, &header_key(*number));
            for row in 0..1_u128 << ROW_BITS {
                batch.delete(Keyspace::Seen, &row_key(*number, row << (128 - ROW_BITS)));
            }
        }
    }
}

/// What is known of an old generation besides its ids.
#[derive(Serialize, Deserialize)]
struct Header {
    latest: Timestamp,
    blocks: u64,
}

impl Leaving {
    fn put(&self, batch: &mut Batch) {
        let mut ids: Vec<u128> = self.ids.iter().copied().collect();
        ids.sort_unstable();
        for ids in ids.chunk_by(|one, other| one >> (128 - ROW_BITS) == other >> (128 - ROW_BITS)) {
            if let Some(first) = ids.first() {
                batch.put(Keyspace::Seen, &row_key(self.number, *first), &bytes_of(ids));
            }
        }
        let filter = self.filter.get_or_init(|| Filter::of(&self.ids));
        filter.put(self.number, batch);
        let header = Header { latest: self.latest, blocks: filter.blocks.len() as u64 };
        batch.put(Keyspace::Seen, &header_key(self.number), &rows::row(&header));
        for row in 0..self.rows {
            batch.delete(Keyspace::Seen, &piece_key(b'y', self.number, row));
        }
    }
}

/// A Bloom filter in blocks of one cache line, sixteen bits for each id: one id in a thousand that
/// was never seen is looked for in the store.
#[derive(Clone)]
struct Filter {
    blocks: Vec<[u64; 8]>,
}

impl Filter {
    fn of(ids: &SpreadSet<u128>) -> Filter {
        let mut filter = Filter { blocks: vec![[0; 8]; ids.len() / 32 + 1] };
        for id in ids {
            let (place, marks) = filter.marks(*id);
            if let Some(block) = filter.blocks.get_mut(place) {
                for (word, mark) in block.iter_mut().zip(marks) {
                    *word |= mark;
                }
            }
        }
        filter
    }

    fn may_have(&self, id: u128) -> bool {
        let (place, marks) = self.marks(id);
        let block = self.blocks.get(place);
        block.is_none_or(|block| block.iter().zip(marks).all(|(word, mark)| word & mark != 0))
    }

    /// The block of an id, and a bit for each of its words. Ids are hashes, so their bits serve.
    #[expect(clippy::cast_possible_truncation, reason = "the upper half of a product of halves")]
    fn marks(&self, id: u128) -> (usize, [u64; 8]) {
        let place = ((id >> 64) * self.blocks.len() as u128) >> 64;
        let mut bits = (id >> 6) as u64;
        let marks = std::array::from_fn(|_| {
            let mark = 1 << (bits & 63);
            bits >>= 6;
            mark
        });
        (place as usize, marks)
    }

    fn put(&self, number: u32, batch: &mut Batch) {
        for (piece, blocks) in (0..).zip(self.blocks.chunks(PIECE_WORDS / 8)) {
            let words = blocks.iter().flatten().flat_map(|word| word.to_le_bytes());
            let bytes: Vec<u8> = words.collect();
            batch.put(Keyspace::Seen, &piece_key(b'f', number, piece), &bytes);
        }
    }

    fn load(state: &State, number: u32, blocks: u64) -> Result<Option<Filter>, StateError> {
        let mut words = Vec::new();
        let mut prefix = [b'f'; 5];
        prefix[1..].copy_from_slice(&number.to_be_bytes());
        for row in state.scan_prefix(Keyspace::Seen, &prefix, Order::Forward) {
            let row = row?.1;
            let (numbers, _) = row.as_chunks::<8>();
            words.extend(numbers.iter().map(|bytes| u64::from_le_bytes(*bytes)));
        }
        let (whole, _) = words.as_chunks::<8>();
        Ok((whole.len() as u64 == blocks).then(|| Filter { blocks: whole.to_vec() }))
    }
}

fn bytes_of(ids: &[u128]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.to_le_bytes()).collect()
}

fn ids_of(row: &[u8]) -> impl Iterator<Item = u128> + '_ {
    row.as_chunks::<16>().0.iter().map(|bytes| u128::from_le_bytes(*bytes))
}

/// `i`, generation, the first bits of the ids → ids, rising.
fn row_key(number: u32, id: u128) -> [u8; 7] {
    let mut key = [b'i'; 7];
    key[1..5].copy_from_slice(&number.to_be_bytes());
    let [first, second, ..] = (id >> (128 - ROW_BITS) << (128 - ROW_BITS)).to_be_bytes();
    key[5..].copy_from_slice(&[first, second]);
    key
}

/// `g`, generation → what is known of it.
fn header_key(number: u32) -> [u8; 5] {
    let mut key = [b'g'; 5];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

/// `f`, generation, piece → a piece of its filter; `y`, generation, row → ids of the young one.
fn piece_key(kind: u8, number: u32, piece: u32) -> [u8; 9] {
    let mut key = [kind; 9];
    key[1..5].copy_from_slice(&number.to_be_bytes());
    key[5..].copy_from_slice(&piece.to_be_bytes());
    key
}

fn number_of(key: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(key.get(1..5)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> u128 {
        engine::ids::hash(&[&number.to_be_bytes()])
    }

    fn checkpoint(seen: &mut Seen, state: &State) {
        let mut batch = state.batch();
        seen.cut().put(&mut batch);
        batch.commit().unwrap();
        seen.settle();
    }

    #[test]
    fn ids_are_known_over_generations_and_restarts_until_their_time_is_over() {
        let dir = tempfile::TempDir::new().unwrap();
        let state = State::open(&dir.path().join("state")).unwrap();
        let mut seen = Seen::new(10_000);
        let many = 25_000;
        for number in 0..many {
            seen.add(id(number), Timestamp(1));
            if number % 4_000 == 0 {
                checkpoint(&mut seen, &state);
            }
        }
        let knows = |seen: &Seen| {
            let known = (0..many).step_by(997).filter(|one| seen.has(&state, id(*one)).unwrap());
            let new = (many..50_000).step_by(97).filter(|one| seen.has(&state, id(*one)).unwrap());
            (known.count() as u64, new.count())
        };
        let all = (26, 0);
        assert_eq!(knows(&seen), all);
        assert!(seen.old.len() >= 2, "some have left memory");
        checkpoint(&mut seen, &state);
        let mut seen = Seen::load(&state, 10_000).unwrap().unwrap();
        assert_eq!(knows(&seen), all, "after a restart");

        seen.add(id(u64::MAX), Timestamp(SEEN_FOR_MS + 2));
        checkpoint(&mut seen, &state);
        assert!(!seen.has(&state, id(0)).unwrap(), "too old");
        assert!(seen.has(&state, id(u64::MAX)).unwrap());
        let left = state.scan_prefix(Keyspace::Seen, b"i", Order::Forward).count();
        assert_eq!(left, 0, "and its rows are gone");
    }

    #[test]
    fn the_filter_lets_few_strangers_through() {
        let ids: SpreadSet<u128> = (0..10_000).map(id).collect();
        let filter = Filter::of(&ids);
        assert!(ids.iter().all(|id| filter.may_have(*id)));
        let strangers = (10_000..110_000).filter(|number| filter.may_have(id(*number))).count();
        assert!(strangers < 300, "{strangers} of 100,000");
    }

    #[test]
    fn the_same_id_in_two_partitions_is_two() {
        let event = EventId(id(1));
        assert_ne!(name((1, event)), name((2, event)));
    }
}
