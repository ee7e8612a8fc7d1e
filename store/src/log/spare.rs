//! Segments reserved ahead of their use, so that a full disk is met here and not in the middle of a record.
//!
//! A spare has no position yet: where the current segment ends is known only when a record no longer fits. So it lies
//! under a temporary name and gets its header and its name when it becomes a segment.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::LogError;
use super::append::Tail;
use super::disk::{Disk, io_error};

/// A full disk is asked again this often, not with every record that is refused.
const ASK_AGAIN: Duration = Duration::from_millis(100);

pub(super) struct Spares {
    pub(super) segment_bytes: u64,
    ready: Mutex<Ready>,
}

#[derive(Default)]
struct Ready {
    spares: VecDeque<Spare>,
    made: u64,
    refused: Option<Instant>,
}

pub(super) struct Spare {
    pub(super) file: File,
    pub(super) path: PathBuf,
}

impl Spares {
    pub(super) fn new(segment_bytes: u64) -> Spares {
        Spares { segment_bytes, ready: Mutex::new(Ready::default()) }
    }

    /// Makes one more spare if no unclaimed one is left. Appenders and the committer may come at the same time; the
    /// one that waits finds it done.
    pub(super) fn prepare(&self, disk: &Disk, tail: &Mutex<Tail>) -> Result<(), LogError> {
        let mut ready = self.ready();
        if tail.lock().unwrap_or_else(PoisonError::into_inner).spares > 0 {
            return Ok(());
        }
        if ready.refused.is_some_and(|refused| refused.elapsed() < ASK_AGAIN) {
            return Err(LogError::Full { dir: disk.dir.clone(), needs: self.segment_bytes });
        }
        let path = disk.dir.join(format!("spare-{}.tmp", ready.made));
        match disk.reserve(&path, self.segment_bytes) {
            Ok(file) => ready.spares.push_back(Spare { file, path }),
            Err(error) => {
                ready.refused = Some(Instant::now());
                return Err(error);
            }
        }
        ready.made += 1;
        ready.refused = None;
        tail.lock().unwrap_or_else(PoisonError::into_inner).spares += 1;
        Ok(())
    }

    /// The oldest spare, for the committer. `append` has made sure that there is one.
    pub(super) fn take(&self) -> Option<Spare> {
        self.ready().spares.pop_front()
    }

    /// Puts back what could not be used because the disk was full.
    pub(super) fn put_back(&self, spare: Spare) {
        self.ready().spares.push_front(spare);
    }

    fn ready(&self) -> MutexGuard<'_, Ready> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Spares that an earlier process has left behind may have another size.
pub(super) fn remove_all(dir: &Path) -> Result<(), LogError> {
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        let entry = entry.map_err(io_error("list", dir))?;
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("spare-") && name.ends_with(".tmp")) {
            fs::remove_file(entry.path()).map_err(io_error("remove", &entry.path()))?;
        }
    }
    Ok(())
}
