//! Opening a log: find its end, and tell a torn tail from damage.
//!
//! A commit that was not finished may leave anything behind the last synced byte, and that is nobody's loss: it had
//! not been acknowledged. It is overwritten with zeros and reported. Everything else that does not read as it should
//! is damage, and the log refuses to open. What stops the scan is damage when
//! - the witness says that the records went further,
//! - a commit that begins behind it is whole (it was written after this place had been synced),
//! - the segment is sealed (the footer was written after the records had been synced), or
//! - the file ends there (segments are reserved in full, so someone has cut it).
//!
//! What cannot be told from a torn tail is damage to the very last commit, for as long as the witness does not cover
//! it: one second under load, and not at all after `settle` or `close`.
//!
//! Only the last segment is read. Of the sealed ones before it the headers and footers must fit together; their
//! records are checked whenever they are read, and all of them by `verify`.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::append::{Appender, Group, Shared, Tail};
use super::commit::{Active, Committer};
use super::create;
use super::disk::{Disk, io_error, read_up_to};
use super::scan::{Scanner, Step};
use super::segment::{self, Footer, OpenSegment, Segments};
use super::spare::{self, Spares};
use super::witness::{Testimony, Witness};
use super::{Log, LogError, LogOptions, MIN_SEGMENT_BYTES, Position, Recovered};

/// How a segment without successor ends.
pub(super) struct Ending {
    pub(super) end: Position,
    pub(super) link: u64,
    pub(super) last: Position,
    pub(super) records: u64,
    /// Records that the witness did not know of.
    pub(super) records_in_tail: u64,
    /// Bytes of an unfinished commit behind the end.
    pub(super) torn_bytes: u64,
    pub(super) sealed: bool,
}

pub(super) fn open(dir: &Path, options: LogOptions) -> Result<(Log, Recovered), LogError> {
    let segment_bytes = options.segment_bytes.max(MIN_SEGMENT_BYTES);
    let disk = Disk::new(dir, options.sync);
    let lock = if create::exists(dir)? {
        create::lock(dir)?
    } else {
        create::create(&disk, segment_bytes)?
    };
    create::check_format(dir)?;
    let witness = Witness::open(dir)?;
    let testimony = witness.testimony;
    let bases = list_segments(dir, testimony)?;
    let (last_base, sealed) = check_sealed(dir, &bases, testimony.log_id)?;
    let segment = Arc::new(OpenSegment::open(dir, last_base, testimony.log_id)?);
    check_continues(&segment, sealed.as_ref())?;
    let ending = find_end(&segment, testimony)?;
    spare::remove_all(dir)?;
    // A crash may have come between a rename and the sync of its directory.
    disk.sync_dir(dir)?;
    disk.sync_dir(create::parent_of(dir))?;

    let active = activate(&disk, &segment, &ending, testimony)?;
    let recovered = Recovered {
        end: ending.end,
        torn_bytes: ending.torn_bytes,
        records_in_tail: ending.records_in_tail,
        empty: ending.end == testimony.begin,
    };
    let room = if ending.sealed { 0 } else { active.header.capacity() - (ending.end - last_base) };
    let shared = Arc::new(Shared {
        disk,
        log_id: testimony.log_id,
        durable: AtomicU64::new(ending.end),
        tail: Mutex::new(Tail {
            end: ending.end,
            link: ending.link,
            base: last_base,
            room,
            spares: 0,
            staged: Group::empty(ending.end),
            writing: None,
            idle: Vec::new(),
            stuck: false,
        }),
        spares: Spares::new(segment_bytes),
        segments: Segments::new(dir, testimony.log_id, bases),
    });
    let mut committer =
        Committer { shared: shared.clone(), active, witness, parts_written: 0, _lock: lock };
    committer.settle()?;
    Ok((Log { appender: Appender { shared }, committer }, recovered))
}

/// The first positions of all segments; none may be missing at either end.
pub(super) fn list_segments(dir: &Path, testimony: Testimony) -> Result<Vec<Position>, LogError> {
    let bases = segment::list(dir)?;
    let missing =
        |position| LogError::MissingSegment { file: segment::path_of(dir, position), position };
    if bases.first() != Some(&testimony.begin) {
        return Err(missing(testimony.begin));
    }
    if bases.last().is_none_or(|last| *last < testimony.last_base) {
        return Err(missing(testimony.last_base));
    }
    Ok(bases)
}

/// Checks that the sealed segments follow each other; answers the first position of the last segment and the footer
/// before it.
fn check_sealed(
    dir: &Path,
    bases: &[Position],
    log_id: u64,
) -> Result<(Position, Option<Footer>), LogError> {
    let mut before: Option<Footer> = None;
    let mut last_base = 0;
    for (index, base) in bases.iter().enumerate() {
        last_base = *base;
        if let Some(end) = before.as_ref().map(|footer| footer.end).filter(|end| end != base) {
            return Err(LogError::MissingSegment {
                file: segment::path_of(dir, end),
                position: end,
            });
        }
        if index + 1 == bases.len() {
            break;
        }
        let segment = OpenSegment::open(dir, *base, log_id)?;
        check_continues(&segment, before.as_ref())?;
        before = Some(sealed_footer(&segment)?);
    }
    Ok((last_base, before))
}

/// The footer of a segment that has a successor.
pub(super) fn sealed_footer(segment: &OpenSegment) -> Result<Footer, LogError> {
    let footer = Footer::read(&segment.file, &segment.path, &segment.header)?;
    footer.ok_or_else(|| LogError::Corrupt {
        file: segment.path.clone(),
        offset: segment.header.footer_offset(),
        position: segment.header.base,
        what: "its footer is missing or does not match its checksum, though a later segment exists",
    })
}

pub(super) fn check_continues(
    segment: &OpenSegment,
    before: Option<&Footer>,
) -> Result<(), LogError> {
    match before {
        Some(footer) if footer.link != segment.header.link => Err(segment
            .corrupt(segment.header.base, "the file does not continue the segment before it")),
        Some(_) | None => Ok(()),
    }
}

/// Reads a segment without successor to its end and judges what stopped the reading.
pub(super) fn find_end(
    segment: &Arc<OpenSegment>,
    testimony: Testimony,
) -> Result<Ending, LogError> {
    let header = segment.header;
    let footer = Footer::read(&segment.file, &segment.path, &header)?;
    let mut scanner =
        Scanner::new(segment.clone(), testimony.log_id, header.base, Some(header.link));
    let (mut records, mut records_in_tail, mut last) = (0, 0, header.base);
    let bad = loop {
        match scanner.step()? {
            Step::Frame { position, .. } => {
                records += 1;
                records_in_tail += u64::from(position >= testimony.end);
                last = position;
            }
            Step::End => break None,
            Step::Bad(what) => break Some(what),
        }
    };
    let end = scanner.position();
    if footer.as_ref().is_some_and(|footer| footer.end != end || footer.records != records) {
        return Err(segment
            .corrupt(end, bad.unwrap_or("the segment is sealed, but records are missing here")));
    }
    if end < testimony.end {
        return Err(match bad {
            Some(what) if is_whole(segment)? => segment.corrupt(end, what),
            Some(_) | None => lost_tail(segment, end, testimony.end),
        });
    }
    check_not_cut(segment, end)?;
    let torn_bytes = if footer.is_some() { 0 } else { judge_tail(&mut scanner, bad)? };
    let link = scanner.link().unwrap_or(header.link);
    Ok(Ending { end, link, last, records, records_in_tail, torn_bytes, sealed: footer.is_some() })
}

/// The bytes of an unfinished commit behind the scanner, unless a later commit proves that they were finished.
fn judge_tail(scanner: &mut Scanner, bad: Option<&'static str>) -> Result<u64, LogError> {
    let written_end = scanner.written_end()?;
    let start = scanner.segment().header.offset(scanner.position());
    if scanner.finds_later_commit(written_end)?.is_some() {
        let what =
            bad.unwrap_or("a record has been overwritten with zeros; later records are whole");
        return Err(scanner.segment().corrupt(scanner.position(), what));
    }
    Ok(written_end - start)
}

/// A segment that is shorter than it was reserved has been cut by someone; that is harmless only when nothing but
/// space never written is gone.
fn check_not_cut(segment: &OpenSegment, end: Position) -> Result<(), LogError> {
    if is_whole(segment)? {
        return Ok(());
    }
    let mut next = [0; super::frame::HEAD_BYTES];
    let count = read_up_to(&segment.file, &segment.path, &mut next, segment.header.offset(end))?;
    if count == next.len() && next.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    Err(segment.corrupt(end, "the file is shorter than it was made, its end has been cut off"))
}

fn is_whole(segment: &OpenSegment) -> Result<bool, LogError> {
    let metadata = segment.file.metadata().map_err(io_error("look at", &segment.path))?;
    Ok(metadata.len() >= segment.header.bytes)
}

fn lost_tail(segment: &OpenSegment, end: Position, witness: Position) -> LogError {
    LogError::LostTail {
        file: segment.path.clone(),
        offset: segment.header.offset(end),
        end,
        witness,
    }
}

/// Makes the last segment ready for more: the torn tail is cut back to zeros, and the header and the records that the
/// witness does not cover are written once more and synced. After a kill they may still be only in the memory of the
/// system, and after a failed sync that memory counts as written, so that a sync alone would do nothing for them.
fn activate(
    disk: &Disk,
    segment: &OpenSegment,
    ending: &Ending,
    testimony: Testimony,
) -> Result<Active, LogError> {
    let path = segment.path.clone();
    let file =
        File::options().read(true).write(true).open(&path).map_err(io_error("open", &path))?;
    let header = segment.header;
    if !is_whole(segment)? {
        file.set_len(header.bytes).map_err(io_error("extend", &path))?;
    }
    disk.write(&file, &path, &header.encode(), 0)?;
    let end_offset = header.offset(ending.end);
    let mut chunk = vec![0; 64 * 1024];
    let mut offset = header.offset(testimony.end.max(header.base));
    while offset < end_offset {
        let wanted = (end_offset - offset).min(chunk.len() as u64) as usize;
        let count = read_up_to(&file, &path, &mut chunk[..wanted], offset)?;
        if count == 0 {
            return Err(segment.corrupt(ending.end, "the file became shorter while it was read"));
        }
        disk.write(&file, &path, &chunk[..count], offset)?;
        offset += count as u64;
    }
    chunk.fill(0);
    let torn_end = end_offset + ending.torn_bytes;
    while offset < torn_end {
        let count = (torn_end - offset).min(chunk.len() as u64);
        disk.write(&file, &path, &chunk[..count as usize], offset)?;
        offset += count;
    }
    disk.sync(&file, &path)?;
    let mut active = Active::new(file, path, header);
    active.records = ending.records;
    active.last = ending.last;
    active.end = ending.end;
    hash_frames(segment, ending.end, &mut active.hasher)?;
    Ok(active)
}

/// Hashes all frames of a segment in big pieces, which is several times faster than one by one.
pub(super) fn hash_frames(
    segment: &OpenSegment,
    end: Position,
    hasher: &mut blake3::Hasher,
) -> Result<(), LogError> {
    let mut chunk = vec![0; 1024 * 1024];
    let mut offset = segment.header.offset(segment.header.base);
    let limit = segment.header.offset(end);
    while offset < limit {
        let wanted = (limit - offset).min(chunk.len() as u64) as usize;
        let count = read_up_to(&segment.file, &segment.path, &mut chunk[..wanted], offset)?;
        hasher.update(&chunk[..count]);
        if count < wanted {
            break;
        }
        offset += count as u64;
    }
    Ok(())
}
