//! Copies of a log: everything before one position, from a log that is being written or from one that is closed, and
//! the way back to a log that opens.
//!
//! What was synced never changes, so a copy needs no pause: it is the sealed segments as they are and the beginning of
//! the last one. Nothing is encoded anew; a copy carries the checksums and the chain of its original.
//!
//! Not here: how the pieces travel, and what else belongs to a backup.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, io_error};
use super::recover::{find_end, list_segments};
use super::segment::{self, Footer, OpenSegment, path_of};
use super::witness::{Testimony, Witness};
use super::{LogError, LogReader, Position, Report, Sync, create, verify};

/// Everything that a log holds before a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    pub begin: Position,
    /// Behind the last record.
    pub end: Position,
    /// In their order; only the last one is not whole.
    pub pieces: Vec<Piece>,
}

/// The beginning of the file of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub path: PathBuf,
    /// Its name in any log.
    pub name: String,
    /// So much of it belongs to the cut.
    pub bytes: u64,
}

/// A log that nobody writes, locked as long as this lives.
pub struct Closed {
    pub cut: Cut,
    _lock: create::Lock,
}

impl LogReader {
    /// Everything durable as of this call, read and checked from the first record to the last.
    ///
    /// # Errors
    /// A record is damaged: a copy of it would be worth nothing.
    pub fn cut(&self) -> Result<Cut, LogError> {
        let (begin, end) = (self.begin(), self.durable());
        for record in self.iterate(begin).take_while(|record| before(record, end)) {
            record?;
        }
        cut_at(&self.shared.disk.dir, begin, end, self.shared.log_id)
    }
}

fn before(record: &Result<super::Record, LogError>, end: Position) -> bool {
    record.as_ref().map_or(true, |record| record.position < end)
}

/// Everything in a log that is closed, verified; nobody can open it until the answer is dropped.
///
/// # Errors
/// It is in use or damaged.
pub fn closed(dir: &Path) -> Result<Closed, LogError> {
    let report = verify(dir)?;
    let lock = create::lock(dir)?;
    let testimony = Witness::open(dir)?.testimony;
    Ok(Closed { cut: cut_at(dir, report.begin, report.end, testimony.log_id)?, _lock: lock })
}

fn cut_at(dir: &Path, begin: Position, end: Position, log_id: u64) -> Result<Cut, LogError> {
    let mut pieces = Vec::new();
    for base in segment::list(dir)? {
        // The last segment may be empty, and a log has at least one.
        if base >= end && base > begin {
            break;
        }
        let segment = OpenSegment::open(dir, base, log_id)?;
        let sealed = Footer::read(&segment.file, &segment.path, &segment.header)?;
        let whole = sealed.is_some_and(|footer| footer.end <= end);
        let bytes = if whole { segment.header.bytes } else { segment.header.offset(end) };
        let name = path_of(Path::new(""), base).to_string_lossy().into_owned();
        pieces.push(Piece { path: segment.path.clone(), name, bytes });
    }
    Ok(Cut { begin, end, pieces })
}

/// Makes a log that opens of the pieces of a cut, which lie in `dir` under their names and nothing else. The log is
/// read from the first record to the last before it is called one.
///
/// # Errors
/// The pieces are damaged, or are not all of the cut that ended at `end`.
pub fn assemble(dir: &Path, end: Position) -> Result<Report, LogError> {
    let disk = Disk::new(dir, Sync::Always);
    let bases = segment::list(dir)?;
    let missing = || LogError::MissingSegment { file: path_of(dir, end), position: end };
    let (Some(begin), Some(last_base)) = (bases.first().copied(), bases.last().copied()) else {
        return Err(missing());
    };
    let path = path_of(dir, last_base);
    let file =
        File::options().read(true).write(true).open(&path).map_err(io_error("open", &path))?;
    let log_id = segment::log_id(&file, &path)?;
    let header = segment::Header::read(&file, &path, last_base, log_id)?;
    // Segments are reserved in full; what is behind the records reads as zeros.
    let size = file.metadata().map_err(io_error("look at", &path))?.len();
    if size < header.bytes {
        file.set_len(header.bytes).map_err(io_error("reserve space for", &path))?;
    }
    disk.sync(&file, &path)?;
    let testimony = Testimony { log_id, begin, end, last_base };
    list_segments(dir, testimony)?;
    let segment = Arc::new(OpenSegment::open(dir, last_base, log_id)?);
    if find_end(&segment, testimony)?.end != end {
        return Err(segment.corrupt(end, "there are records behind the end of the copy"));
    }
    Witness::create(&disk, dir, testimony)?;
    create::write_format(&disk, dir)?;
    disk.sync_dir(dir)?;
    verify(dir)
}
