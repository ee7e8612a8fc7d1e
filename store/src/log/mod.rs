//! The log: the ordered truth of the product, and the only storage code of our own.
//!
//! Everything that happened (facts) and everything that was decided (rulings) is a record here; all other data can be
//! computed from it again. So it has one duty, to give back what it has acknowledged or to say loudly that it cannot,
//! and it is built around four rules:
//!
//! - **One writer, group commit.** Any thread may append; one committer writes what is staged, syncs once and then
//!   names the durable end. A record is acknowledged when the durable end is beyond it.
//! - **A failed sync is final.** Nobody knows what the disk holds after it, so the log stops and never asks again.
//! - **A full disk is met before a record is taken.** Segments are reserved ahead (`spare`); without room `append`
//!   refuses, nothing is half done, and it resumes by itself.
//! - **Damage is told from an unfinished write.** See `recover` for the rules and `frame` for what they rest on.
//!
//! Dramatis personae: `Appender` (stages, assigns positions) and `Committer` (writes, syncs) share one `Tail`;
//! `LogReader` reads from the tail or from the segments. `Log` is the first two together; `Log::split` parts them for
//! a writer thread of its own, so that the next group is staged while the disk syncs the one before.
//!
//! In the folder: `FORMAT`, `LOCK`, `WITNESS`, `00000000000000000000.seg` (the name is the position of the first
//! record) and at times `spare-0.tmp`.
//!
//! Not here: what a record means, retention and archiving, waking up whoever waits for a commit.

mod error;
mod frame;
mod segment;
mod witness;
mod disk;
mod create;
mod scan;
mod recover;
mod spare;
mod append;
mod commit;
mod read;
mod verify;
mod copy;
#[cfg(test)]
mod tests;

pub use append::Appender;
pub use commit::Committer;
pub use copy::{Closed, Cut, Piece, assemble, closed};
pub use error::LogError;
pub use read::LogReader;
pub use verify::{Report, verify};

use std::path::Path;

/// Stated in `FORMAT` and in each segment. A change of the layout is a new number, and old numbers stay readable.
pub const FORMAT_VERSION: u32 = 1;
/// The largest payload of one record.
pub const MAX_RECORD_BYTES: u64 = frame::MAX_PAYLOAD;
/// Smaller segments would be mostly header and footer.
const MIN_SEGMENT_BYTES: u64 = 1024;

/// Logical byte offset of a record from the beginning of the log. It only grows, also over restarts, and is the
/// record's name everywhere else.
pub type Position = u64;

#[derive(Clone, Copy, Debug)]
pub struct LogOptions {
    /// Size of the segments made from now on; also the least room that a log needs. A record must fit into one.
    pub segment_bytes: u64,
    pub sync: Sync,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    Always,
    /// For benches and for showing that the tests notice: a power cut loses acknowledged records.
    Never,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions { segment_bytes: 64 * 1024 * 1024, sync: Sync::Always }
    }
}

/// What opening a log has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Behind the last record.
    pub end: Position,
    /// Bytes of a commit that was not finished, cut back now. None of it had been acknowledged.
    pub torn_bytes: u64,
    /// Records that the last witness did not know of: none after `close`, those of about a second after a crash.
    pub records_in_tail: u64,
    /// There is no record in it yet.
    pub empty: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub position: Position,
    /// Position of the record after this one.
    pub next: Position,
    pub partition: u8,
    /// Version of the payload's encoding.
    pub format: u8,
    pub payload: Vec<u8>,
}

/// A log opened for writing.
pub struct Log {
    appender: Appender,
    committer: Committer,
}

impl Log {
    /// Opens the log in `dir`, or makes an empty one there. Refuses a damaged log.
    pub fn open(dir: &Path, options: LogOptions) -> Result<(Log, Recovered), LogError> {
        recover::open(dir, options)
    }

    /// See [`Appender::append`].
    pub fn append(
        &mut self,
        partition: u8,
        format: u8,
        payload: &[u8],
    ) -> Result<Position, LogError> {
        self.appender.append(partition, format, payload)
    }

    /// See [`Committer::commit`].
    pub fn commit(&mut self) -> Result<Position, LogError> {
        self.committer.commit()
    }

    /// See [`Committer::settle`].
    pub fn settle(&mut self) -> Result<(), LogError> {
        self.committer.settle()
    }

    /// See [`Committer::close`].
    pub fn close(self) -> Result<Position, LogError> {
        self.committer.close()
    }

    /// For one thread (or several) that appends and another that commits.
    pub fn split(self) -> (Appender, Committer) {
        (self.appender, self.committer)
    }

    /// Behind the last record appended, durable or not.
    pub fn end(&self) -> Position {
        self.appender.end()
    }

    /// Behind the last record that will survive a power cut.
    pub fn durable(&self) -> Position {
        self.committer.durable()
    }

    pub fn reader(&self) -> LogReader {
        self.appender.reader()
    }
}
