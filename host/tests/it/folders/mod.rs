//! Data folders of every format there ever was: this binary opens them, with and without their
//! state, and finds in them what was there.
//!
//! `fixtures/data-folders/` has one folder per format: `data`, each of its files packed by itself,
//! and `expected.json`, the portrait of what it holds. A new format gets the next one by
//! `cargo test -p tidings-host --test it -- --ignored make_a_data_folder` and keeps the old ones.

mod pack;
mod portrait;
mod story;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use host::{Host, OpenError, Options};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::world::options;

const DATA: &str = "data";
const EXPECTED: &str = "expected.json";

fn shelf() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/data-folders")
}

fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(shelf()).unwrap().map(|entry| entry.unwrap().path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

fn small(clock: i64) -> Options {
    Options {
        segment_bytes: story::SEGMENT_BYTES,
        ..options(&Arc::new(AtomicI64::new(clock)), &Arc::default())
    }
}

/// Open at a moment and look at everything.
fn look(dir: &Path, clock: i64) -> Json {
    let host = Host::open(dir, small(clock)).unwrap();
    host.wait_idle();
    portrait::of(&host)
}

fn expected(folder: &Path) -> (i64, Json) {
    let expected: Json = serde_json::from_slice(&pack::read(&folder.join(EXPECTED))).unwrap();
    (expected["opened_at"].as_i64().unwrap(), expected["portrait"].clone())
}

/// The first difference in words; a diff of two whole portraits is nothing to read.
fn difference(path: &str, one: &Json, other: &Json) -> Option<String> {
    let next = |key: &str, one: Option<&Json>, other: Option<&Json>| {
        let path = format!("{path}/{key}");
        difference(&path, one.unwrap_or(&Json::Null), other.unwrap_or(&Json::Null))
    };
    match (one, other) {
        (Json::Object(one), Json::Object(other)) => {
            let keys = one.keys().chain(other.keys());
            keys.into_iter().find_map(|key| next(key, one.get(key), other.get(key)))
        }
        (Json::Array(one), Json::Array(other)) => (0..one.len().max(other.len()))
            .find_map(|place| next(&place.to_string(), one.get(place), other.get(place))),
        (one, other) if one == other => None,
        (one, other) => Some(format!("{path} is {one}, {other} is expected")),
    }
}

fn assert_same(folder: &Path, how: &str, found: &Json, expected: &Json) {
    if let Some(difference) = difference("", found, expected) {
        panic!("{} {how}: {difference}", folder.display());
    }
}

#[test]
fn every_data_folder_opens_to_what_it_held() {
    let folders = folders();
    assert!(!folders.is_empty());
    for folder in folders {
        let (opened_at, expected) = expected(&folder);
        let dir = TempDir::new().unwrap();
        pack::unpack(&folder.join(DATA), dir.path());
        assert_same(&folder, "with its state", &look(dir.path(), opened_at), &expected);
        // Not the state that the first opening has left.
        let dir = TempDir::new().unwrap();
        pack::unpack(&folder.join(DATA), dir.path());
        std::fs::remove_dir_all(dir.path().join("store")).unwrap();
        assert_same(&folder, "from its log alone", &look(dir.path(), opened_at), &expected);
        assert_same(&folder, "once more", &look(dir.path(), opened_at), &expected);
    }
}

#[test]
fn a_data_folder_goes_on() {
    for folder in folders() {
        let (opened_at, _) = expected(&folder);
        let dir = TempDir::new().unwrap();
        pack::unpack(&folder.join(DATA), dir.path());
        let host = Host::open(dir.path(), small(opened_at)).unwrap();
        host.wait_idle();
        story::goes_on(&host);
        host.wait_idle();
        let hash = host.state_hash().unwrap();
        let portrait = portrait::of(&host);
        drop(host);
        std::fs::remove_dir_all(dir.path().join("store")).unwrap();
        let host = Host::open(dir.path(), small(opened_at)).unwrap();
        assert_eq!(host.state_hash().unwrap(), hash, "{}", folder.display());
        assert_same(&folder, "after more", &portrait::of(&host), &portrait);
    }
}

/// The youngest folder, unpacked.
fn youngest() -> (TempDir, i64, Json) {
    let folder = folders().pop().unwrap();
    let (opened_at, expected) = expected(&folder);
    let dir = TempDir::new().unwrap();
    pack::unpack(&folder.join(DATA), dir.path());
    (dir, opened_at, expected)
}

fn refusal(dir: &Path) -> String {
    let refused = Host::open(dir, small(0));
    let error: OpenError = refused.err().unwrap();
    error.to_string()
}

#[test]
fn a_record_of_a_later_format_is_refused_in_words() {
    let (dir, _, _) = youngest();
    let options = store::log::LogOptions {
        segment_bytes: story::SEGMENT_BYTES,
        sync: store::log::Sync::Always,
    };
    let (mut log, _) = store::log::Log::open(&dir.path().join("log"), options).unwrap();
    log.append(0, u8::MAX, b"something new").unwrap();
    log.commit().unwrap();
    log.close().unwrap();
    let words = refusal(dir.path());
    assert!(words.contains("has format 255"), "{words}");
    assert!(words.contains("use the version of Tidings that wrote it"), "{words}");
}

#[test]
fn a_log_of_a_later_format_is_refused_in_words() {
    let (dir, _, _) = youngest();
    std::fs::write(dir.path().join("log/FORMAT"), "tidings log, format 99\n").unwrap();
    let words = refusal(dir.path());
    assert!(words.contains("is written in log format 99"), "{words}");
    assert!(words.contains("use the version of Tidings that wrote it"), "{words}");
}

/// The state is no promise: whatever wrote it, it is set aside and computed again.
#[test]
fn a_state_of_a_later_format_is_set_aside() {
    let (dir, opened_at, expected) = youngest();
    std::fs::write(dir.path().join("store/FORMAT"), "tidings state, format 99\n").unwrap();
    assert_same(dir.path(), "without the state", &look(dir.path(), opened_at), &expected);
    assert!(dir.path().join("store.bad-1").exists());
}

#[test]
#[ignore = "makes the folder of a new format; run by hand, once per format"]
fn make_a_data_folder() {
    let folder = shelf().join(format!("format-{}", host::record::FORMAT));
    assert!(!folder.exists(), "{} is there already and stays as it is", folder.display());
    let (dir, opened_at) = story::live();
    // Before it is opened once more.
    pack::pack(dir.path(), &folder.join(DATA));
    let portrait = look(dir.path(), opened_at);
    story::assert_rich(&portrait);
    let expected = json!({"opened_at": opened_at, "portrait": portrait});
    pack::write(&folder.join(EXPECTED), expected.to_string().as_bytes());
}
