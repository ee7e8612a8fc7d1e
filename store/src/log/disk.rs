//! Every write and sync of the log goes through here, so that the two rules about failing disks stand in one place.
//!
//! - A failed **sync** (or a write that fails for any reason but lack of space) poisons the log for good. The kernel
//!   marks the pages clean after a failed sync, so a second sync would succeed and prove nothing.
//! - A **write** that meets a full disk is harmless: nothing behind the durable end was promised, and the same bytes
//!   are written to the same place again when there is room.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::{LogError, Sync};

pub(super) struct Disk {
    pub(super) dir: PathBuf,
    sync: Sync,
    failure: OnceLock<String>,
    #[cfg(test)]
    pub(super) faults: Faults,
}

/// What the unit tests make fail. The product has no such thing.
#[cfg(test)]
#[derive(Default)]
pub(super) struct Faults {
    pub(super) sync: std::sync::atomic::AtomicBool,
    pub(super) write_full: std::sync::atomic::AtomicBool,
    pub(super) reserve_full: std::sync::atomic::AtomicBool,
}

impl Disk {
    pub(super) fn new(dir: &Path, sync: Sync) -> Disk {
        Disk {
            dir: dir.to_owned(),
            sync,
            failure: OnceLock::new(),
            #[cfg(test)]
            faults: Faults::default(),
        }
    }

    /// The error of a log that has met a failing disk before.
    pub(super) fn alive(&self) -> Result<(), LogError> {
        match self.failure.get() {
            Some(why) => Err(LogError::Poisoned { why: why.clone() }),
            None => Ok(()),
        }
    }

    pub(super) fn write(
        &self,
        file: &File,
        path: &Path,
        bytes: &[u8],
        offset: u64,
    ) -> Result<(), LogError> {
        self.alive()?;
        #[cfg(test)]
        if self.faults.write_full.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(self.full(bytes.len() as u64));
        }
        match file.write_all_at(bytes, offset) {
            Ok(()) => Ok(()),
            Err(error) if is_full(&error) => Err(self.full(bytes.len() as u64)),
            Err(error) => Err(self.poison("write", path, &error)),
        }
    }

    pub(super) fn sync(&self, file: &File, path: &Path) -> Result<(), LogError> {
        self.alive()?;
        #[cfg(test)]
        if self.faults.sync.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(self.poison("sync", path, &io::Error::other("injected")));
        }
        match self.sync {
            Sync::Always => file.sync_data().map_err(|error| self.poison("sync", path, &error)),
            Sync::Never => Ok(()),
        }
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), LogError> {
        self.alive()?;
        match fs::rename(from, to) {
            Ok(()) => Ok(()),
            Err(error) if is_full(&error) => Err(self.full(0)),
            Err(error) => Err(self.poison("rename", from, &error)),
        }
    }

    /// Makes names created in or renamed into `dir` survive a power cut.
    pub(super) fn sync_dir(&self, dir: &Path) -> Result<(), LogError> {
        self.alive()?;
        let file = File::open(dir).map_err(|error| self.poison("open", dir, &error))?;
        match self.sync {
            Sync::Always => file.sync_all().map_err(|error| self.poison("sync", dir, &error)),
            Sync::Never => Ok(()),
        }
    }

    /// Creates `path` with all its `bytes` reserved on the disk and reading as zeros, durably except for its name.
    pub(super) fn reserve(&self, path: &Path, bytes: u64) -> Result<File, LogError> {
        self.alive()?;
        let open = File::options().read(true).write(true).create(true).truncate(true).open(path);
        let file = match open {
            Ok(file) => file,
            Err(error) if is_full(&error) => return Err(self.full(bytes)),
            Err(error) => return Err(io_error("create", path)(error)),
        };
        if let Err(error) = self.allocate(&file, bytes) {
            drop(file);
            // The half-reserved file must not hold the space that others may need to get out of the trouble.
            fs::remove_file(path).map_err(io_error("remove", path))?;
            return Err(if is_full(&error) {
                self.full(bytes)
            } else {
                io_error("reserve space for", path)(error)
            });
        }
        self.alive()?;
        match self.sync {
            Sync::Always => file.sync_all().map_err(|error| self.poison("sync", path, &error))?,
            Sync::Never => {}
        }
        Ok(file)
    }

    fn allocate(&self, file: &File, bytes: u64) -> io::Result<()> {
        #[cfg(test)]
        if self.faults.reserve_full.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(io::Error::from(ErrorKind::StorageFull));
        }
        loop {
            match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                // Some file systems cannot reserve; there the size alone must do, and a full disk is met by `write`.
                Err(Errno::OPNOTSUPP) => return file.set_len(bytes),
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn full(&self, needs: u64) -> LogError {
        LogError::Full { dir: self.dir.clone(), needs }
    }

    fn poison(&self, doing: &'static str, path: &Path, error: &io::Error) -> LogError {
        let why =
            self.failure.get_or_init(|| format!("cannot {doing} {}: {error}", path.display()));
        LogError::Poisoned { why: why.clone() }
    }
}

/// For `map_err`: an operation on a file, named.
pub(super) fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> LogError {
    let path = path.to_owned();
    move |source| LogError::Io { doing, path, source }
}

/// Reads as much as there is, up to the length of `buffer`.
pub(super) fn read_up_to(
    file: &File,
    path: &Path,
    buffer: &mut [u8],
    offset: u64,
) -> Result<usize, LogError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(io_error("read", path)(error)),
        }
    }
    Ok(filled)
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
