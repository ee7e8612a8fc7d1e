//! Reads a whole log and believes nothing: every frame, every link, every footer and every file hash.
//!
//! For `tidings check` and for backups. It changes nothing, but it takes the lock, because a log that is being
//! written always looks torn at its end.

use std::path::Path;
use std::sync::Arc;

use super::recover::{check_continues, find_end, hash_frames, list_segments, sealed_footer};
use super::scan::{Scanner, Step};
use super::segment::{Footer, OpenSegment, path_of};
use super::witness::Witness;
use super::{LogError, Position, create};

/// A log in which nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub begin: Position,
    pub end: Position,
    pub segments: u64,
    pub sealed: u64,
    pub records: u64,
    /// Bytes of a commit that was not finished and not acknowledged; the next start cuts them back.
    pub torn_bytes: u64,
    /// Records younger than the witness: damage that shortens the log to fewer than these cannot be noticed.
    pub records_in_tail: u64,
}

pub fn verify(dir: &Path) -> Result<Report, LogError> {
    if !create::exists(dir)? {
        return Err(LogError::NotALog { dir: dir.to_owned() });
    }
    let _lock = create::lock(dir)?;
    create::check_format(dir)?;
    let testimony = Witness::open(dir)?.testimony;
    let bases = list_segments(dir, testimony)?;
    let begin = testimony.begin;
    let mut report = Report {
        begin,
        end: begin,
        segments: 0,
        sealed: 0,
        records: 0,
        torn_bytes: 0,
        records_in_tail: 0,
    };
    let mut before: Option<Footer> = None;
    for (index, base) in bases.iter().enumerate() {
        if *base != report.end {
            return Err(LogError::MissingSegment {
                file: path_of(dir, report.end),
                position: report.end,
            });
        }
        let segment = Arc::new(OpenSegment::open(dir, *base, testimony.log_id)?);
        check_continues(&segment, before.as_ref())?;
        report.segments += 1;
        if index + 1 < bases.len() {
            let footer = sealed_footer(&segment)?;
            read_sealed(&segment, testimony.log_id, &footer)?;
            report.sealed += 1;
            report.records += footer.records;
            report.end = footer.end;
            before = Some(footer);
            continue;
        }
        let ending = find_end(&segment, testimony)?;
        if ending.sealed {
            check_hash(&segment, &sealed_footer(&segment)?)?;
            report.sealed += 1;
        }
        report.records += ending.records;
        report.end = ending.end;
        report.torn_bytes = ending.torn_bytes;
        report.records_in_tail = ending.records_in_tail;
    }
    Ok(report)
}

fn read_sealed(segment: &Arc<OpenSegment>, log_id: u64, footer: &Footer) -> Result<(), LogError> {
    let header = segment.header;
    let mut scanner = Scanner::new(segment.clone(), log_id, header.base, Some(header.link));
    let (mut records, mut last) = (0, header.base);
    while scanner.position() < footer.end {
        let at = scanner.position();
        match scanner.step()? {
            Step::Frame { position, .. } => {
                records += 1;
                last = position;
            }
            Step::End => {
                return Err(
                    segment.corrupt(at, "the segment is sealed, but records are missing here")
                );
            }
            Step::Bad(what) => return Err(segment.corrupt(at, what)),
        }
    }
    let agrees = scanner.position() == footer.end
        && records == footer.records
        && last == footer.last
        && scanner.link() == Some(footer.link);
    if !agrees {
        return Err(segment.corrupt(footer.end, "the footer does not agree with the records"));
    }
    check_hash(segment, footer)
}

fn check_hash(segment: &OpenSegment, footer: &Footer) -> Result<(), LogError> {
    let mut hasher = blake3::Hasher::new();
    hash_frames(segment, footer.end, &mut hasher)?;
    if *hasher.finalize().as_bytes() == footer.hash {
        return Ok(());
    }
    Err(segment.corrupt(footer.end, "the records do not match the hash in the footer"))
}
