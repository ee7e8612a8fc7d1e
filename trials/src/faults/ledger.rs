//! What the trials of the state write: batches whose sum is known for every number of them, in all keyspaces.
//!
//! The state may be behind (the log has the rest) and it may be refused (it is computed again). It may not be something
//! that it never was: after batch `n` its rows are those of `n`, or it says that it is damaged.

use std::collections::BTreeMap;
use std::path::Path;

use store::state::{Keyspace, Order, State, StateError};

use super::subject::Verdict;

const APPLIED: &[u8] = b"applied";
/// Customers are written again and again.
const CUSTOMERS: u64 = 17;
/// A row of the timeline is deleted after so many batches.
const KEPT: u64 = 24;
/// Large rows in a keyspace with a small memtable, so that tables are written and compacted in a short run.
const LARGE: usize = 96 * 1024;

/// Applies batch `number`. With `torn`, the known flaw: the number goes into a batch of its own, first.
pub(super) fn apply(state: &State, number: u64, torn: bool) -> Result<(), StateError> {
    let value = number.to_be_bytes();
    let mut batch = state.batch();
    batch.put(Keyspace::Meta, APPLIED, &value);
    if torn {
        batch.commit()?;
        batch = state.batch();
    }
    batch.put(Keyspace::Customers, &(number % CUSTOMERS).to_be_bytes(), &row(number, 300));
    batch.put(Keyspace::Seen, &value, &value);
    batch.put(Keyspace::Timeline, &value, &[]);
    if let Some(old) = number.checked_sub(KEPT) {
        batch.delete(Keyspace::Timeline, &old.to_be_bytes());
    }
    batch.put(Keyspace::Decisions, &value, &value);
    batch.put(Keyspace::Deliveries, &(number % 5).to_be_bytes(), &row(number, 2000));
    if number.is_multiple_of(4) {
        batch.put(Keyspace::Config, &(number % 3).to_be_bytes(), &row(number, LARGE));
    }
    batch.commit()
}

/// A row by its keyspace and key.
type Place = (usize, Vec<u8>);

/// All rows after so many batches.
fn expected(batches: u64) -> BTreeMap<Place, Vec<u8>> {
    // Only the newest of each is made: they are large.
    let mut newest: BTreeMap<Place, (u64, usize)> = BTreeMap::new();
    let mut put = |keyspace: Keyspace, key: u64, number, length| {
        newest.insert((keyspace as usize, key.to_be_bytes().to_vec()), (number, length));
    };
    for number in 1..=batches {
        put(Keyspace::Customers, number % CUSTOMERS, number, 300);
        put(Keyspace::Seen, number, number, 8);
        put(Keyspace::Decisions, number, number, 8);
        put(Keyspace::Deliveries, number % 5, number, 2000);
        if number + KEPT > batches {
            put(Keyspace::Timeline, number, number, 0);
        }
        if number.is_multiple_of(4) {
            put(Keyspace::Config, number % 3, number, LARGE);
        }
    }
    let mut rows: BTreeMap<Place, Vec<u8>> =
        newest.into_iter().map(|(place, (number, length))| (place, row(number, length))).collect();
    if batches > 0 {
        rows.insert((Keyspace::Meta as usize, APPLIED.to_vec()), row(batches, 8));
    }
    rows
}

fn row(number: u64, length: usize) -> Vec<u8> {
    let mut row = number.to_be_bytes().to_vec();
    row.truncate(length);
    row.extend(
        (8..length).map(|at| (number.wrapping_mul(0x9e37_79b9) >> (at % 23)) as u8 ^ at as u8),
    );
    row
}

/// How many batches the state has.
pub(super) fn applied(state: &State) -> Result<u64, StateError> {
    let value = state.get(Keyspace::Meta, APPLIED)?;
    let number = value.and_then(|value| Some(u64::from_be_bytes(value.as_ref().try_into().ok()?)));
    Ok(number.unwrap_or(0))
}

/// Opens the state as the host does: an unusable one is set aside and computed again. Answers whether it was.
pub(super) fn open(dir: &Path, batches: u64) -> Result<(State, bool), StateError> {
    let (state, again) = match State::open(dir) {
        Err(StateError::Unusable { .. }) => {
            State::set_aside(dir).map_err(|source| StateError::Io {
                doing: "set aside",
                dir: dir.to_owned(),
                source,
            })?;
            (State::open(dir)?, true)
        }
        other => (other?, false),
    };
    if again {
        catch_up(&state, 0, batches)?;
    }
    Ok((state, again))
}

/// Opens what a fault has left: it has at least `least` batches and at most `most`, its rows are those of that many,
/// and what is missing can be applied to it.
pub(super) fn judge(dir: &Path, least: u64, most: u64) -> Verdict {
    let refused = |error: StateError| Verdict::Refused(error.to_string());
    let (state, again) = match open(dir, most) {
        Ok(opened) => opened,
        Err(error) => return refused(error),
    };
    let found = match applied(&state) {
        Ok(found) => found,
        Err(error) => return refused(error),
    };
    if found < least && !again {
        return Verdict::Lost(format!("{found} of {least} batches"));
    }
    if found > most {
        return Verdict::Silent(format!("{found} batches, and {most} were written"));
    }
    match compare(&state, found).and_then(|wrong| catch_up(&state, found, most).map(|()| wrong)) {
        Ok(Some(why)) => return Verdict::Silent(format!("after {found} of {most}: {why}")),
        Ok(None) => {}
        Err(error) => return refused(error),
    }
    match compare(&state, most) {
        Ok(Some(why)) => Verdict::Silent(format!("caught up from {found} to {most}: {why}")),
        Ok(None) => Verdict::Whole,
        Err(error) => refused(error),
    }
}

fn catch_up(state: &State, from: u64, to: u64) -> Result<(), StateError> {
    (from + 1..=to).try_for_each(|number| apply(state, number, false))
}

/// The first row that is not as it should be.
fn compare(state: &State, batches: u64) -> Result<Option<String>, StateError> {
    let mut expected = expected(batches);
    for keyspace in Keyspace::ALL {
        for row in state.scan_prefix(keyspace, &[], Order::Forward) {
            let (key, value) = row?;
            let name = keyspace.name();
            match expected.remove(&(keyspace as usize, key.to_vec())) {
                Some(wanted) if wanted == value.as_ref() => {}
                Some(_) => return Ok(Some(format!("row {key:?} of {name} is another one"))),
                None => return Ok(Some(format!("row {key:?} of {name} should not be there"))),
            }
        }
    }
    let missing = expected.into_keys().next();
    Ok(missing.map(|(keyspace, key)| {
        format!("row {key:?} of {} is missing", Keyspace::ALL[keyspace].name())
    }))
}
