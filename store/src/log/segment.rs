//! One file of the log: a header, frames without gaps, zeros, and, once sealed, a footer in its last bytes.
//!
//! A segment is reserved in full before its first record, so the end of its records is marked by zeros and not by the
//! end of the file. That makes an outside truncation visible: a file that ends where its records end has lost
//! something. Positions count frames only (no headers, no footers), so they run on from one segment to the next.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::disk::{io_error, read_up_to};
use super::{FORMAT_VERSION, LogError, Position};

pub(super) const HEADER_BYTES: u64 = 64;
pub(super) const FOOTER_BYTES: u64 = 96;

const HEADER_MAGIC: &[u8; 8] = b"tdngsegm";
const FOOTER_MAGIC: &[u8; 8] = b"tdngseal";

/// Open files kept for readers; old segments are read by replay and by a person's question, one after the other.
const MAX_OPEN_FILES: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) log_id: u64,
    /// Position of the first record.
    pub(super) base: Position,
    /// The link that the first record carries.
    pub(super) link: u64,
    /// The size of the file.
    pub(super) bytes: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) records: u64,
    pub(super) base: Position,
    pub(super) last: Position,
    pub(super) end: Position,
    /// The link that the first record of the next segment carries.
    pub(super) link: u64,
    /// BLAKE3 of all frames.
    pub(super) hash: [u8; 32],
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES as usize] {
        let mut bytes = [0; HEADER_BYTES as usize];
        bytes[0..8].copy_from_slice(HEADER_MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.log_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.base.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.link.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.bytes.to_le_bytes());
        seal_with_crc(&mut bytes);
        bytes
    }

    /// Reads and checks the header of the segment that is expected to begin at `base`.
    pub(super) fn read(
        file: &File,
        path: &Path,
        base: Position,
        log_id: u64,
    ) -> Result<Header, LogError> {
        let damaged =
            |what| LogError::Corrupt { file: path.to_owned(), offset: 0, position: base, what };
        let mut bytes = [0; HEADER_BYTES as usize];
        if read_up_to(file, path, &mut bytes, 0)? < bytes.len() {
            return Err(damaged("the file is too short for its header"));
        }
        if &bytes[0..8] != HEADER_MAGIC || !crc_agrees(&bytes) {
            return Err(damaged("the header does not match its checksum"));
        }
        let version = u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        if version != FORMAT_VERSION {
            return Err(LogError::UnknownFormat {
                path: path.to_owned(),
                found: version.to_string(),
            });
        }
        let header = Header {
            log_id: u64_at(&bytes, 16),
            base: u64_at(&bytes, 24),
            link: u64_at(&bytes, 32),
            bytes: u64_at(&bytes, 40),
        };
        if header.log_id != log_id {
            return Err(damaged("the file belongs to another log"));
        }
        if header.base != base {
            return Err(damaged("the file carries the name of another segment"));
        }
        if header.bytes < HEADER_BYTES + FOOTER_BYTES {
            return Err(damaged("the header states an impossible size"));
        }
        Ok(header)
    }

    /// Where in the file a position is.
    pub(super) fn offset(&self, position: Position) -> u64 {
        HEADER_BYTES + (position - self.base)
    }

    /// Bytes for frames.
    pub(super) fn capacity(&self) -> u64 {
        self.bytes - HEADER_BYTES - FOOTER_BYTES
    }

    pub(super) fn footer_offset(&self) -> u64 {
        self.bytes - FOOTER_BYTES
    }
}

impl Footer {
    pub(super) fn encode(&self) -> [u8; FOOTER_BYTES as usize] {
        let mut bytes = [0; FOOTER_BYTES as usize];
        bytes[0..8].copy_from_slice(FOOTER_MAGIC);
        bytes[8..16].copy_from_slice(&self.records.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.base.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.last.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.end.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.link.to_le_bytes());
        bytes[48..80].copy_from_slice(&self.hash);
        seal_with_crc(&mut bytes);
        bytes
    }

    /// The footer, or `None` when there is no valid one (the segment is not sealed, or its end is damaged).
    pub(super) fn read(
        file: &File,
        path: &Path,
        header: &Header,
    ) -> Result<Option<Footer>, LogError> {
        let mut bytes = [0; FOOTER_BYTES as usize];
        let count = read_up_to(file, path, &mut bytes, header.footer_offset())?;
        if count < bytes.len() || &bytes[0..8] != FOOTER_MAGIC || !crc_agrees(&bytes) {
            return Ok(None);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(&bytes[48..80]);
        let footer = Footer {
            records: u64_at(&bytes, 8),
            base: u64_at(&bytes, 16),
            last: u64_at(&bytes, 24),
            end: u64_at(&bytes, 32),
            link: u64_at(&bytes, 40),
            hash,
        };
        let possible = footer.base == header.base
            && footer.end >= footer.base
            && footer.end - footer.base <= header.capacity();
        Ok(possible.then_some(footer))
    }
}

/// Which log a segment says that it belongs to; whether the header is sound is asked by [`Header::read`].
pub(super) fn log_id(file: &File, path: &Path) -> Result<u64, LogError> {
    let mut bytes = [0; HEADER_BYTES as usize];
    read_up_to(file, path, &mut bytes, 0)?;
    Ok(u64_at(&bytes, 16))
}

pub(super) fn path_of(dir: &Path, base: Position) -> PathBuf {
    dir.join(format!("{base:020}.seg"))
}

/// The first positions of all segments in `dir`, in order.
pub(super) fn list(dir: &Path) -> Result<Vec<Position>, LogError> {
    let mut bases = Vec::new();
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        let name = entry.map_err(io_error("list", dir))?.file_name();
        let digits = name.to_str().and_then(|name| name.strip_suffix(".seg"));
        if let Some(base) =
            digits.filter(|digits| digits.len() == 20).and_then(|digits| digits.parse().ok())
        {
            bases.push(base);
        }
    }
    bases.sort_unstable();
    Ok(bases)
}

/// The segments that readers may use, and a few open files of them.
pub(super) struct Segments {
    dir: PathBuf,
    log_id: u64,
    bases: RwLock<Vec<Position>>,
    open: Mutex<VecDeque<Arc<OpenSegment>>>,
}

pub(super) struct OpenSegment {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) header: Header,
}

impl Segments {
    pub(super) fn new(dir: &Path, log_id: u64, bases: Vec<Position>) -> Segments {
        Segments {
            dir: dir.to_owned(),
            log_id,
            bases: RwLock::new(bases),
            open: Mutex::new(VecDeque::new()),
        }
    }

    pub(super) fn add(&self, base: Position) {
        self.bases.write().unwrap_or_else(PoisonError::into_inner).push(base);
    }

    pub(super) fn begin(&self) -> Position {
        self.bases.read().unwrap_or_else(PoisonError::into_inner).first().copied().unwrap_or(0)
    }

    /// The first position of the segment that holds `at`.
    pub(super) fn base_of(&self, at: Position) -> Option<Position> {
        let bases = self.bases.read().unwrap_or_else(PoisonError::into_inner);
        bases
            .partition_point(|base| *base <= at)
            .checked_sub(1)
            .and_then(|index| bases.get(index).copied())
    }

    pub(super) fn open(&self, base: Position) -> Result<Arc<OpenSegment>, LogError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let known = open.iter().position(|segment| segment.header.base == base);
        if let Some(segment) = known.and_then(|index| open.remove(index)) {
            open.push_front(segment.clone());
            return Ok(segment);
        }
        let segment = Arc::new(OpenSegment::open(&self.dir, base, self.log_id)?);
        open.truncate(MAX_OPEN_FILES - 1);
        open.push_front(segment.clone());
        Ok(segment)
    }
}

impl OpenSegment {
    pub(super) fn open(dir: &Path, base: Position, log_id: u64) -> Result<OpenSegment, LogError> {
        let path = path_of(dir, base);
        let file = File::open(&path).map_err(io_error("open", &path))?;
        let header = Header::read(&file, &path, base, log_id)?;
        Ok(OpenSegment { file, path, header })
    }

    pub(super) fn corrupt(&self, position: Position, what: &'static str) -> LogError {
        LogError::Corrupt {
            file: self.path.clone(),
            offset: self.header.offset(position),
            position,
            what,
        }
    }
}

/// The last four bytes of a fixed block are the CRC32C of the rest.
pub(super) fn seal_with_crc(bytes: &mut [u8]) {
    let split = bytes.len() - 4;
    let crc = crc32c::crc32c(&bytes[..split]);
    bytes[split..].copy_from_slice(&crc.to_le_bytes());
}

pub(super) fn crc_agrees(bytes: &[u8]) -> bool {
    let (content, crc) = bytes.split_at(bytes.len() - 4);
    crc32c::crc32c(content).to_le_bytes() == crc
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}
