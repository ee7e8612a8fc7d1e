//! What can go wrong with the state. None of it can lose anything: the log has it all.

use std::io;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Set it aside and rebuild it from the log.
    #[error("the state in {} cannot be used: {why}; it can be set aside and rebuilt from the log", dir.display())]
    Unusable { dir: PathBuf, why: String },

    /// Not the state's fault: a rebuild would meet the same.
    #[error("cannot {doing} the state in {}: {source}", dir.display())]
    Io { doing: &'static str, dir: PathBuf, source: io::Error },

    #[error("the state in {} is in use by another process; stop the other one first", dir.display())]
    Locked { dir: PathBuf },

    #[error("cannot read from keyspace {keyspace} of the state: {source}")]
    Read { keyspace: &'static str, source: fjall::Error },

    #[error(
        "a row in keyspace {keyspace} of the state makes no sense; stop, move the state away, and it is computed again from the log"
    )]
    BadRow { keyspace: &'static str },

    #[error("cannot write a batch of {operations} changes to the state: {source}")]
    Write { operations: usize, source: fjall::Error },

    #[error("cannot bring the state to the disk: {source}")]
    Sync { source: fjall::Error },

    #[error(
        "the state takes keys of 1 to {limit} bytes, not of {bytes}; the batch was not written"
    )]
    BadKey { bytes: usize, limit: usize },
}
