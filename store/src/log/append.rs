//! Taking records in: everything here is memory.
//!
//! The tail is what is not durable yet: the group that is being **staged** and the one that the committer is
//! **writing**. Both stay readable, because the applier reads what it has just appended. A record gets its position,
//! its place in a segment and its link when it is staged; that is why `append` must know that room is reserved: after
//! it has said yes, only a broken disk can stop the record.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::Disk;
use super::frame::{self, Content, OVERHEAD, Place};
use super::read::LogReader;
use super::segment::{FOOTER_BYTES, HEADER_BYTES, Segments};
use super::spare::Spares;
use super::{LogError, Position};

/// Bounds the memory when the disk stands still; about two segments.
const MAX_STAGED_BYTES: u64 = 128 * 1024 * 1024;
/// A larger buffer is given back after a burst.
const MAX_KEPT_BYTES: usize = 4 * 1024 * 1024;

/// What the appenders, the committer and the readers of one log have in common.
pub(super) struct Shared {
    pub(super) disk: Disk,
    pub(super) log_id: u64,
    pub(super) durable: AtomicU64,
    pub(super) tail: Mutex<Tail>,
    pub(super) spares: Spares,
    pub(super) segments: Segments,
}

pub(super) struct Tail {
    pub(super) end: Position,
    /// The link that the next record carries.
    pub(super) link: u64,
    /// First position of the segment that the next record goes to, and the bytes free in it.
    pub(super) base: Position,
    pub(super) room: u64,
    /// Prepared segments that no staged record has claimed.
    pub(super) spares: usize,
    pub(super) staged: Group,
    pub(super) writing: Option<Arc<Group>>,
    /// An emptied buffer, to spare the allocation.
    pub(super) idle: Vec<u8>,
    /// The last commit met a full disk; nothing more is taken until one succeeds.
    pub(super) stuck: bool,
}

/// The records of one commit.
pub(super) struct Group {
    pub(super) from: Position,
    pub(super) bytes: Vec<u8>,
    pub(super) parts: Vec<Part>,
}

/// The records of one commit that go to one segment.
pub(super) struct Part {
    pub(super) opens_segment: bool,
    pub(super) from: Position,
    pub(super) link: u64,
    pub(super) records: u64,
    pub(super) last: Position,
    pub(super) end: Position,
}

/// Takes records. Clones share one log; positions follow the order of the calls.
#[derive(Clone)]
pub struct Appender {
    pub(super) shared: Arc<Shared>,
}

impl Appender {
    /// Stages a record and answers its position. It is durable when a later `commit` answers an end beyond it.
    pub fn append(&self, partition: u8, format: u8, payload: &[u8]) -> Result<Position, LogError> {
        let shared = &*self.shared;
        shared.disk.alive()?;
        let bytes = OVERHEAD + payload.len() as u64;
        let limit = shared.max_payload();
        if payload.len() as u64 > limit {
            return Err(LogError::TooLarge { bytes: payload.len() as u64, limit });
        }
        loop {
            let mut tail = shared.tail();
            if tail.stuck {
                return Err(LogError::Full { dir: shared.disk.dir.clone(), needs: bytes });
            }
            let staged = tail.staged.bytes.len() as u64;
            if staged + bytes > MAX_STAGED_BYTES {
                return Err(LogError::Backlog { staged, limit: MAX_STAGED_BYTES });
            }
            if bytes <= tail.room {
                return Ok(tail.stage(
                    shared.log_id,
                    false,
                    Content { partition, format, payload },
                ));
            }
            if tail.end == tail.base {
                // A segment made with other options that is empty and still too small: a second one cannot begin here.
                return Err(LogError::TooLarge {
                    bytes: payload.len() as u64,
                    limit: tail.room.saturating_sub(OVERHEAD),
                });
            }
            if tail.spares > 0 {
                tail.spares -= 1;
                tail.base = tail.end;
                tail.room = shared.spares.segment_bytes - HEADER_BYTES - FOOTER_BYTES;
                return Ok(tail.stage(shared.log_id, true, Content { partition, format, payload }));
            }
            drop(tail);
            shared.prepare_spare()?;
        }
    }

    /// Behind the last record appended, durable or not.
    pub fn end(&self) -> Position {
        self.shared.tail().end
    }

    pub fn durable(&self) -> Position {
        self.shared.durable.load(Ordering::Acquire)
    }

    pub fn reader(&self) -> LogReader {
        LogReader { shared: self.shared.clone() }
    }
}

impl Shared {
    pub(super) fn tail(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves one more segment, unless there is one already.
    pub(super) fn prepare_spare(&self) -> Result<(), LogError> {
        self.spares.prepare(&self.disk, &self.tail)
    }

    fn max_payload(&self) -> u64 {
        let one_segment = self.spares.segment_bytes - HEADER_BYTES - FOOTER_BYTES - OVERHEAD;
        frame::MAX_PAYLOAD.min(one_segment)
    }
}

impl Tail {
    fn stage(&mut self, log_id: u64, opens_segment: bool, content: Content<'_>) -> Position {
        let position = self.end;
        let place = Place { log_id, position, link: self.link };
        let first = opens_segment || self.staged.parts.is_empty();
        if first {
            let part = Part {
                opens_segment,
                from: position,
                link: self.link,
                records: 0,
                last: position,
                end: position,
            };
            self.staged.parts.push(part);
        }
        self.link = frame::encode(&mut self.staged.bytes, place, first, content);
        let bytes = OVERHEAD + content.payload.len() as u64;
        self.end += bytes;
        self.room -= bytes;
        if let Some(part) = self.staged.parts.last_mut() {
            part.records += 1;
            part.last = position;
            part.end = self.end;
        }
        position
    }

    /// What the committer has to write: the group that a full disk has stopped, or else all that is staged.
    pub(super) fn take_group(&mut self) -> Option<Arc<Group>> {
        if self.writing.is_none() && !self.staged.parts.is_empty() {
            let next =
                Group { from: self.end, bytes: std::mem::take(&mut self.idle), parts: Vec::new() };
            self.writing = Some(Arc::new(std::mem::replace(&mut self.staged, next)));
        }
        self.writing.clone()
    }

    /// The group being written is durable; readers find it in the segment now.
    pub(super) fn release_group(&mut self) {
        self.stuck = false;
        let group = self.writing.take().and_then(|group| Arc::try_unwrap(group).ok());
        if let Some(mut group) = group.filter(|group| group.bytes.capacity() <= MAX_KEPT_BYTES) {
            group.bytes.clear();
            self.idle = group.bytes;
        }
    }
}

impl Group {
    pub(super) fn empty(from: Position) -> Group {
        Group { from, bytes: Vec::new(), parts: Vec::new() }
    }

    pub(super) fn bytes_of(&self, part: &Part) -> &[u8] {
        &self.bytes[(part.from - self.from) as usize..(part.end - self.from) as usize]
    }
}
