//! What is tried: the log, the state, and the controls that must be caught, behind one set of questions.
//!
//! Record number `n` of a run is always the same bytes, so a checker needs no list of what was written: it asks
//! whether the records are those of the numbers 0, 1, 2 … and whether the acknowledged ones are among them.

use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use store::log::{Log, LogError, LogOptions, Sync};

use super::naive::{Flaw, Naive};

/// Small, so that a run crosses many segments.
const SEGMENT_BYTES: u64 = 16 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Log,
    Naive(Flaw),
    /// The state; its questions are in `ledger`.
    State,
    /// The state, used wrongly: a batch in two halves.
    TornState,
}

/// Why a commit was not acknowledged.
#[derive(Debug)]
pub(super) enum Refusal {
    /// May be tried again.
    Full,
    Stopped(String),
}

/// What a folder turned out to be after all that was done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Every acknowledged record is there, and it goes on.
    Whole,
    /// It opens as if nothing were wrong, and acknowledged records are missing.
    Lost(String),
    /// It opens as if nothing were wrong, and gives back what was never written.
    Silent(String),
    /// It says that it cannot.
    Refused(String),
}

pub(super) enum Store {
    Log(Box<Log>),
    Naive(Naive),
}

impl Subject {
    pub(super) fn name(self) -> &'static str {
        match self {
            Subject::Log => "log",
            Subject::Naive(flaw) => flaw.name(),
            Subject::State => "state",
            Subject::TornState => "torn-batches",
        }
    }

    pub(super) fn named(name: &str) -> Option<Subject> {
        let flaws = Flaw::ALL.map(Subject::Naive);
        [Subject::Log, Subject::State, Subject::TornState]
            .into_iter()
            .chain(flaws)
            .find(|subject| subject.name() == name)
    }

    /// Opens it and reads all there is.
    pub(super) fn open(self, dir: &Path) -> anyhow::Result<(Store, Vec<Vec<u8>>)> {
        match self {
            Subject::Log => {
                let options = LogOptions { segment_bytes: SEGMENT_BYTES, sync: Sync::Always };
                let (log, _) = Log::open(dir, options)?;
                let mut payloads = Vec::new();
                for record in log.reader().iterate(log.reader().begin()) {
                    payloads.push(record?.payload);
                }
                Ok((Store::Log(Box::new(log)), payloads))
            }
            Subject::Naive(flaw) => {
                let (naive, payloads) = Naive::open(dir, flaw)?;
                Ok((Store::Naive(naive), payloads))
            }
            Subject::State | Subject::TornState => anyhow::bail!("the state holds no records"),
        }
    }

    /// Opens what a fault has left and looks whether the promises hold: nothing acknowledged is gone, nothing is
    /// there that was not written, and it takes one more record that is still there after another start.
    pub(super) fn judge(self, dir: &Path, acknowledged: u64, sizes: Sizes) -> Verdict {
        let found = match self.look(dir, sizes) {
            Ok((_, found)) if found < acknowledged => {
                return Verdict::Lost(format!("{found} of {acknowledged} acknowledged records"));
            }
            Ok((mut store, found)) => {
                store.append(&payload(found, sizes)).ok();
                if let Err(refusal) = store.commit() {
                    return Verdict::Refused(format!("it takes nothing more: {refusal}"));
                }
                found + 1
            }
            Err(verdict) => return verdict,
        };
        match self.look(dir, sizes) {
            Ok((_, again)) if again != found => {
                Verdict::Lost(format!("{again} of {found} records after another start"))
            }
            Ok(_) => Verdict::Whole,
            Err(verdict) => verdict,
        }
    }

    /// Opens it and counts the records, if they are the right ones.
    fn look(self, dir: &Path, sizes: Sizes) -> Result<(Store, u64), Verdict> {
        let (store, payloads) =
            self.open(dir).map_err(|error| Verdict::Refused(format!("{error:#}")))?;
        for (number, found) in payloads.iter().enumerate() {
            if *found != payload(number as u64, sizes) {
                let why = format!("record {number} of {} is not what was written", payloads.len());
                return Err(Verdict::Silent(why));
            }
        }
        Ok((store, payloads.len() as u64))
    }
}

impl Store {
    pub(super) fn append(&mut self, payload: &[u8]) -> Result<(), Refusal> {
        match self {
            Store::Log(log) => log.append(1, 1, payload).map(drop).map_err(refusal),
            Store::Naive(naive) => {
                naive.append(payload);
                Ok(())
            }
        }
    }

    pub(super) fn commit(&mut self) -> Result<(), Refusal> {
        match self {
            Store::Log(log) => log.commit().map(drop).map_err(refusal),
            Store::Naive(naive) => naive.commit(),
        }
    }

    /// Whether what a full disk has refused is still staged, so that it need not be brought again.
    pub(super) fn keeps_staged(&self) -> bool {
        matches!(self, Store::Log(_))
    }

    /// What a quiet moment is used for.
    pub(super) fn settle(&mut self) -> Result<(), Refusal> {
        match self {
            Store::Log(log) => log.settle().map_err(refusal),
            Store::Naive(_) => Ok(()),
        }
    }

    pub(super) fn close(self) -> anyhow::Result<()> {
        match self {
            Store::Log(log) => log.close().map(drop).context("closing the log"),
            Store::Naive(_) => Ok(()),
        }
    }
}

fn refusal(error: LogError) -> Refusal {
    match error {
        LogError::Full { .. } => Refusal::Full,
        other => Refusal::Stopped(other.to_string()),
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Full => out.write_str("the disk is full"),
            Refusal::Stopped(why) => out.write_str(why),
        }
    }
}

/// How long the records are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sizes {
    Mixed,
    /// All the same, so that each block of a disk can stand in for another one.
    Even,
}

/// A frame of the control fills a block then.
pub(super) const EVEN_BYTES: u64 = 504;

/// The record of a number; no two are the same.
pub(super) fn payload(number: u64, sizes: Sizes) -> Vec<u8> {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let length = match sizes {
        Sizes::Mixed => 8 + (mixed >> 32) % 700,
        Sizes::Even => EVEN_BYTES,
    };
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.extend((8..length).map(|at| (mixed.rotate_left(at as u32) ^ at) as u8));
    bytes
}
