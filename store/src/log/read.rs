//! Reading records back, while others append and commit.
//!
//! A record is looked for where it is youngest first: in the staged group, in the group being written, in a segment.
//! Whatever the place, its checksum is checked, so a position that is not the beginning of a record is found out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::append::{Group, Shared};
use super::disk::read_up_to;
use super::frame::{Content, HEAD_BYTES, Head};
use super::scan::{Scanner, Step};
use super::segment::OpenSegment;
use super::{LogError, Position, Record};

/// One read gets most records whole.
const GUESS_BYTES: usize = 4096;

/// Reads records from any thread; clones are cheap.
#[derive(Clone)]
pub struct LogReader {
    pub(super) shared: Arc<Shared>,
}

impl LogReader {
    /// The record at a position that `append` or another record's `next` has named, durable or not.
    pub fn read(&self, at: Position) -> Result<Record, LogError> {
        let shared = &*self.shared;
        shared.disk.alive()?;
        let tail = shared.tail();
        if at >= tail.end {
            let end = tail.end;
            drop(tail);
            return Err(self.no_record(at, end));
        }
        if at >= tail.staged.from {
            return self.read_from_group(&tail.staged, at);
        }
        let writing = tail.writing.clone();
        drop(tail);
        match writing {
            Some(group) if at >= group.from => self.read_from_group(&group, at),
            Some(_) | None => self.read_from_segment(at),
        }
    }

    /// All records from a position on, up to the durable end as of this call.
    pub fn iterate(
        &self,
        from: Position,
    ) -> impl Iterator<Item = Result<Record, LogError>> + use<> {
        Records {
            reader: self.clone(),
            at: from,
            end: self.durable(),
            scanner: None,
            failed: false,
        }
    }

    /// The first position that the log holds.
    pub fn begin(&self) -> Position {
        self.shared.segments.begin()
    }

    pub fn durable(&self) -> Position {
        self.shared.durable.load(Ordering::Acquire)
    }

    fn read_from_group(&self, group: &Group, at: Position) -> Result<Record, LogError> {
        let start = (at - group.from) as usize;
        let rest = group.bytes.get(start..).unwrap_or_default();
        let head = Head::parse(rest);
        let length = head.and_then(|head| head.frame_bytes());
        let frame = length.and_then(|length| rest.get(..length as usize));
        let content =
            head.zip(frame).and_then(|(head, frame)| head.check(self.shared.log_id, at, frame));
        match (content, length) {
            (Some(content), Some(length)) => Ok(record(at, at + length, content)),
            (None, _) | (_, None) => Err(self.no_record(at, group.from + group.bytes.len() as u64)),
        }
    }

    fn read_from_segment(&self, at: Position) -> Result<Record, LogError> {
        let Some(segment) = self.segment_of(at)? else {
            return Err(self.no_record(at, self.durable()));
        };
        let header = segment.header;
        let offset = header.offset(at);
        let room = header.footer_offset().saturating_sub(offset);
        let mut bytes = vec![0; GUESS_BYTES.min(room as usize)];
        let count = read_up_to(&segment.file, &segment.path, &mut bytes, offset)?;
        bytes.truncate(count);
        let Some(head) = bytes.get(..HEAD_BYTES).and_then(Head::parse) else {
            return Err(segment.corrupt(at, "the file ends before this record"));
        };
        let Some(length) = head.frame_bytes().filter(|length| *length <= room) else {
            return Err(segment.corrupt(at, "the length of the record is impossible"));
        };
        let have = bytes.len();
        bytes.resize(length as usize, 0);
        if bytes.len() > have {
            let more =
                read_up_to(&segment.file, &segment.path, &mut bytes[have..], offset + have as u64)?;
            if have + more < length as usize {
                return Err(segment.corrupt(at, "the file ends in the middle of a record"));
            }
        }
        match head.check(self.shared.log_id, at, &bytes) {
            Some(content) => Ok(record(at, at + length, content)),
            None => Err(segment.corrupt(at, "the record does not match its checksum")),
        }
    }

    fn segment_of(&self, at: Position) -> Result<Option<Arc<OpenSegment>>, LogError> {
        match self.shared.segments.base_of(at) {
            Some(base) => Ok(Some(self.shared.segments.open(base)?)),
            None => Ok(None),
        }
    }

    fn no_record(&self, at: Position, end: Position) -> LogError {
        LogError::NoRecord { dir: self.shared.disk.dir.clone(), at, begin: self.begin(), end }
    }
}

struct Records {
    reader: LogReader,
    at: Position,
    end: Position,
    scanner: Option<Scanner>,
    failed: bool,
}

impl Iterator for Records {
    type Item = Result<Record, LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.at >= self.end {
            return None;
        }
        let record = self.read_next();
        match &record {
            Ok(record) => self.at = record.next,
            Err(_) => self.failed = true,
        }
        Some(record)
    }
}

impl Records {
    fn read_next(&mut self) -> Result<Record, LogError> {
        let Some(base) = self.reader.shared.segments.base_of(self.at) else {
            return Err(self.reader.no_record(self.at, self.end));
        };
        let mut scanner = match self.scanner.take() {
            Some(scanner) if scanner.segment().header.base == base => scanner,
            before => self.enter(base, before.as_ref())?,
        };
        let segment = scanner.segment().clone();
        let record = match scanner.step()? {
            Step::Frame { position, next, content } => record(position, next, content),
            Step::End => {
                return Err(
                    segment.corrupt(self.at, "there is no record where one had been acknowledged")
                );
            }
            Step::Bad(what) => return Err(segment.corrupt(self.at, what)),
        };
        self.scanner = Some(scanner);
        Ok(record)
    }

    /// Begins to read a segment; when it is entered from the one before, its header must continue that one.
    fn enter(&self, base: Position, before: Option<&Scanner>) -> Result<Scanner, LogError> {
        let shared = &self.reader.shared;
        let segment = shared.segments.open(base)?;
        let header_link = segment.header.link;
        if before.and_then(Scanner::link).is_some_and(|link| link != header_link) {
            return Err(segment.corrupt(base, "the file does not continue the segment before it"));
        }
        let link = (self.at == base).then_some(header_link);
        Ok(Scanner::new(segment, shared.log_id, self.at, link))
    }
}

fn record(position: Position, next: Position, content: Content<'_>) -> Record {
    Record {
        position,
        next,
        partition: content.partition,
        format: content.format,
        payload: content.payload.to_vec(),
    }
}
