//! The store, seen from outside: whatever happens to the process or to its files, what was acknowledged is given back
//! or missed loudly.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod log_life;
mod log_damage;
mod log_crash;
mod state;
mod figures;

use std::fs;
use std::path::{Path, PathBuf};

use store::log::{Log, LogOptions, Sync};

/// Small segments, so that a test crosses many.
fn small() -> LogOptions {
    LogOptions { segment_bytes: 4096, sync: Sync::Always }
}

fn open(dir: &Path) -> Log {
    Log::open(dir, small()).unwrap().0
}

fn payloads(log: &Log) -> Vec<Vec<u8>> {
    log.reader().iterate(0).map(|record| record.unwrap().payload).collect()
}

/// Different for each number, of a length between 0 and `most`.
fn payload(number: u64, most: u64) -> Vec<u8> {
    let length = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    (0..length % (most + 1)).map(|at| (number.wrapping_mul(31) + at * 7) as u8).collect()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == "seg")).collect();
    segments.sort();
    segments
}

/// A log as the next start would find it if the process died now.
fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
