//! The folder of the log: who may use it, which format it is in, and how a new one comes to be.
//!
//! A new log is built under a temporary name, synced and renamed, so that a crash at any moment of the first start
//! leaves either nothing or a whole log. The lock is taken before anything is looked at, in the temporary folder too;
//! it moves along with the rename.

use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::disk::{Disk, io_error};
use super::segment::{self, Header};
use super::witness::{Testimony, Witness};
use super::{FORMAT_VERSION, LogError};

const LOCK: &str = "LOCK";
const FORMAT: &str = "FORMAT";
const FORMAT_PREFIX: &str = "tidings log, format ";

/// Is there a log? An empty or missing folder is none; a folder with anything else in it is refused.
pub(super) fn exists(dir: &Path) -> Result<bool, LogError> {
    if dir.join(FORMAT).try_exists().map_err(io_error("look at", dir))? {
        return Ok(true);
    }
    let mut entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(io_error("list", dir)(error)),
    };
    match entries.next() {
        None => Ok(false),
        Some(_) => Err(LogError::NotALog { dir: dir.to_owned() }),
    }
}

/// The lock on a folder, held as long as this lives.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Said aloud, because a child process that is being started in this moment holds the descriptor a little longer.
        // Should it fail, closing the file does the same.
        self.0.unlock().ok();
    }
}

pub(super) fn lock(dir: &Path) -> Result<Lock, LogError> {
    let path = dir.join(LOCK);
    let open = File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let file = open.map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(LogError::Locked { dir: dir.to_owned() }),
        Err(TryLockError::Error(error)) => Err(io_error("lock", &path)(error)),
    }
}

pub(super) fn check_format(dir: &Path) -> Result<(), LogError> {
    let path = dir.join(FORMAT);
    let bytes = fs::read(&path).map_err(io_error("read", &path))?;
    let text = String::from_utf8_lossy(&bytes);
    let found = text.trim_end().strip_prefix(FORMAT_PREFIX).unwrap_or("that cannot be recognized");
    if found == FORMAT_VERSION.to_string() {
        Ok(())
    } else {
        Err(LogError::UnknownFormat { path, found: found.to_owned() })
    }
}

/// Makes an empty log and answers its lock.
pub(super) fn create(disk: &Disk, segment_bytes: u64) -> Result<Lock, LogError> {
    let dir = &disk.dir;
    let building = temporary_name(dir);
    fs::create_dir_all(&building).map_err(io_error("create", &building))?;
    let lock = lock(&building)?;
    clear(&building)?;

    // Any number that an outsider cannot guess, so that no payload can be made to look like a frame of this log.
    let log_id = RandomState::new().hash_one(std::process::id());
    let path = segment::path_of(&building, 0);
    let header = Header { log_id, base: 0, link: log_id, bytes: segment_bytes };
    let file = disk.reserve(&path, segment_bytes)?;
    disk.write(&file, &path, &header.encode(), 0)?;
    disk.sync(&file, &path)?;
    Witness::create(disk, &building, Testimony { log_id, begin: 0, end: 0, last_base: 0 })?;
    write_format(disk, &building)?;
    disk.sync_dir(&building)?;

    fs::rename(&building, dir).map_err(io_error("rename", &building))?;
    disk.sync_dir(parent_of(dir))?;
    Ok(lock)
}

/// From here on it is a log.
pub(super) fn write_format(disk: &Disk, dir: &Path) -> Result<(), LogError> {
    let path = dir.join(FORMAT);
    let file = File::create(&path).map_err(io_error("create", &path))?;
    disk.write(&file, &path, format!("{FORMAT_PREFIX}{FORMAT_VERSION}\n").as_bytes(), 0)?;
    disk.sync(&file, &path)
}

pub(super) fn parent_of(dir: &Path) -> &Path {
    match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => dir,
    }
}

/// What an interrupted first start has left behind.
fn clear(building: &Path) -> Result<(), LogError> {
    for entry in fs::read_dir(building).map_err(io_error("list", building))? {
        let entry = entry.map_err(io_error("list", building))?;
        if entry.file_name() != LOCK {
            fs::remove_file(entry.path()).map_err(io_error("remove", &entry.path()))?;
        }
    }
    Ok(())
}

fn temporary_name(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".tmp");
    PathBuf::from(name)
}
