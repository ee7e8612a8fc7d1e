//! What can go wrong with the log, in sentences for the person who is woken up by them.
//!
//! Each error names the file, the place in it and the consequence. Nothing here is retried inside the log: whether to
//! answer 507, to stop the process or to restore a backup is the caller's decision, and the variants are cut so that
//! this decision is a plain `match`.

use std::io;
use std::path::PathBuf;

use super::{FORMAT_VERSION, Position};

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("cannot {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },

    /// Answer 507 and go on serving reads; the log takes records again by itself when there is room.
    #[error("the disk of {} is full: {needs} more bytes cannot be reserved for the log; free some space, records are accepted again by themselves", dir.display())]
    Full { dir: PathBuf, needs: u64 },

    #[error("a record of {bytes} bytes is larger than the log takes ({limit} bytes)")]
    TooLarge { bytes: u64, limit: u64 },

    #[error(
        "{staged} bytes wait to be written to the log, more than it keeps in memory ({limit}); the disk is slower than the intake"
    )]
    Backlog { staged: u64, limit: u64 },

    /// Stop the process. After a failed sync nobody knows what the disk holds, and asking again would be answered "fine".
    #[error(
        "the log has stopped because the disk failed: {why}; nothing was acknowledged after that, check the disk and restart"
    )]
    Poisoned { why: String },

    #[error("the log in {} is in use by another process; only one may write it, stop the other one first", dir.display())]
    Locked { dir: PathBuf },

    #[error("{} is written in log format {found}, this binary reads format {reads}; use the version of Tidings that wrote it", path.display(), reads = FORMAT_VERSION)]
    UnknownFormat { path: PathBuf, found: String },

    #[error("{} holds files but no log (there is no FORMAT file); choose an empty folder or restore the missing file", dir.display())]
    NotALog { dir: PathBuf },

    #[error("{} is damaged at byte {offset} (log position {position}): {what}; restore this file from a backup", file.display())]
    Corrupt { file: PathBuf, offset: u64, position: Position, what: &'static str },

    #[error("{} has lost its end: good records stop at byte {offset} (log position {end}), but records up to position {witness} had been acknowledged; restore this file from a backup", file.display())]
    LostTail { file: PathBuf, offset: u64, end: Position, witness: Position },

    #[error("{} is missing: the records from position {position} on were in it; restore this file from a backup", file.display())]
    MissingSegment { file: PathBuf, position: Position },

    #[error("there is no record at log position {at}; the log in {} goes from {begin} to {end}", dir.display())]
    NoRecord { dir: PathBuf, at: Position, begin: Position, end: Position },
}
