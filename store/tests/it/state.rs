//! The state: atomic batches, order of the keys, and the way out when it cannot be opened.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use store::state::{Keyspace, Order, State, StateError};

const DIR: &str = "TIDINGS_TEST_STATE";

fn keys(
    rows: impl Iterator<Item = Result<(store::state::Slice, store::state::Slice), StateError>>,
) -> Vec<String> {
    rows.map(|row| String::from_utf8(row.unwrap().0.to_vec()).unwrap()).collect()
}

#[test]
fn rows_come_back_in_order_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("state");
    let mut state = State::open(&dir).unwrap();
    for keyspace in Keyspace::ALL {
        let mut batch = state.batch();
        for key in ["a/1", "a/2", "a/3", "b/1"] {
            batch.put(keyspace, key.as_bytes(), keyspace.name().as_bytes());
        }
        assert_eq!((batch.len(), batch.is_empty()), (4, false));
        batch.commit().unwrap();
        let mut batch = state.batch();
        batch.delete(keyspace, b"a/2");
        batch.commit().unwrap();
    }
    for _ in 0..2 {
        for keyspace in Keyspace::ALL {
            assert_eq!(
                state.get(keyspace, b"a/1").unwrap().as_deref(),
                Some(keyspace.name().as_bytes())
            );
            assert_eq!(state.get(keyspace, b"a/2").unwrap(), None);
            assert!(state.contains(keyspace, b"a/3").unwrap());
            assert_eq!(keys(state.scan_prefix(keyspace, b"a/", Order::Forward)), ["a/1", "a/3"]);
            assert_eq!(keys(state.scan_prefix(keyspace, b"a/", Order::Reverse)), ["a/3", "a/1"]);
            assert_eq!(
                keys(state.range(keyspace, b"a/2".as_slice()..b"b/1", Order::Forward)),
                ["a/3"]
            );
            assert_eq!(
                keys(state.range(keyspace, b"a/1".as_slice()..b"c", Order::Reverse)),
                ["b/1", "a/3", "a/1"]
            );
            assert!(keys(state.range(keyspace, b"z".as_slice()..b"a", Order::Forward)).is_empty());
        }
        state.sync().unwrap();
        drop(state);
        state = State::open(&dir).unwrap();
    }
}

#[test]
fn a_key_that_is_too_long_or_empty_refuses_its_batch() {
    let folder = tempfile::tempdir().unwrap();
    let state = State::open(&folder.path().join("state")).unwrap();
    for key in [vec![1; 70_000], Vec::new()] {
        let mut batch = state.batch();
        batch.put(Keyspace::Config, b"good", b"");
        batch.put(Keyspace::Config, &key, b"");
        assert!(matches!(batch.commit(), Err(StateError::BadKey { .. })));
        assert_eq!(state.get(Keyspace::Config, b"good").unwrap(), None);
    }
}

#[test]
fn an_unusable_state_is_set_aside_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("state");
    let state = State::open(&dir).unwrap();
    let locked = State::open(&dir).map(|_| ()).unwrap_err();
    assert!(matches!(locked, StateError::Locked { .. }), "{locked}");
    drop(state);
    fs::write(dir.join("FORMAT"), "tidings state, format 0\n").unwrap();
    let error = State::open(&dir).map(|_| ()).unwrap_err();
    assert!(matches!(error, StateError::Unusable { .. }), "{error}");
    assert_eq!(State::set_aside(&dir).unwrap(), folder.path().join("state.bad-1"));
    drop(State::open(&dir).unwrap());

    let journal = fs::read_dir(dir.join("fjall")).unwrap().map(|entry| entry.unwrap().path());
    for path in journal.filter(|path| path.is_file()) {
        fs::write(path, [0xA5; 100]).unwrap();
    }
    let error = State::open(&dir).map(|_| ()).unwrap_err();
    assert!(matches!(error, StateError::Unusable { .. }), "{error}");
    assert_eq!(State::set_aside(&dir).unwrap(), folder.path().join("state.bad-2"));
    drop(State::open(&dir).unwrap());
}

#[test]
fn a_first_start_that_was_interrupted_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let building = folder.path().join("state.tmp");
    fs::create_dir_all(building.join("fjall/keyspaces")).unwrap();
    drop(State::open(&folder.path().join("state")).unwrap());
    assert!(!building.exists());
}

/// Not a test by itself: the process that is killed. Each batch writes its number into three keyspaces.
#[test]
fn child() {
    let Ok(dir) = env::var(DIR) else { return };
    let state = State::open(Path::new(&dir)).unwrap();
    let applied = state.get(Keyspace::Meta, b"applied").unwrap();
    let first = applied.map_or(0, |value| u64::from_be_bytes(value[..].try_into().unwrap()));
    let mut out = std::io::stdout().lock();
    writeln!(out).unwrap();
    for number in first + 1.. {
        let value = number.to_be_bytes();
        let mut batch = state.batch();
        batch.put(Keyspace::Meta, b"applied", &value);
        batch.put(
            Keyspace::Customers,
            &(number % 97).to_be_bytes(),
            &[value.repeat(40), vec![0; 400]].concat(),
        );
        batch.put(Keyspace::Seen, &value, &value);
        batch.commit().unwrap();
        writeln!(out, "applied {number}").unwrap();
    }
}

#[test]
fn a_batch_is_whole_after_kill_nine() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("state");
    let mut before = 0;
    for round in 0..8 {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "state::child", "--nocapture", "--test-threads=1"])
            .env(DIR, &dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let applied: Vec<u64> = lines
            .by_ref()
            .filter_map(|line| line.strip_prefix("applied ")?.parse().ok())
            .take(500 + round * 331)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();

        let state = State::open(&dir).unwrap();
        let value = state.get(Keyspace::Meta, b"applied").unwrap().unwrap();
        let found = u64::from_be_bytes(value[..].try_into().unwrap());
        assert!(found >= *applied.last().unwrap() && applied[0] == before + 1);
        let mut newest = BTreeMap::new();
        for number in 1..=found {
            assert!(state.contains(Keyspace::Seen, &number.to_be_bytes()).unwrap());
            newest.insert(number % 97, number);
        }
        assert!(!state.contains(Keyspace::Seen, &(found + 1).to_be_bytes()).unwrap());
        for (customer, number) in newest {
            let row = state.get(Keyspace::Customers, &customer.to_be_bytes()).unwrap().unwrap();
            assert_eq!(row[..8], number.to_be_bytes());
        }
        before = found;
    }
}
