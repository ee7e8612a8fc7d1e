//! Reads the frames of one segment in order and says exactly where and how the good ones stop.
//!
//! Recovery, `verify` and the reader's iteration all go through this one loop, so there is one opinion about what a
//! good frame is. What a stop *means* (the end, a torn tail, damage) is for them to decide.

use std::sync::Arc;

use super::disk::read_up_to;
use super::frame::{Content, HEAD_BYTES, Head, OVERHEAD};
use super::segment::OpenSegment;
use super::{LogError, Position};

/// Big enough that reading ahead costs nothing, small enough for several iterations at once.
const CHUNK_BYTES: usize = 256 * 1024;

pub(super) struct Scanner {
    segment: Arc<OpenSegment>,
    log_id: u64,
    position: Position,
    /// What the next frame must carry; unknown when the scan begins in the middle.
    link: Option<u64>,
    buffer: Vec<u8>,
    buffer_offset: u64,
}

pub(super) enum Step<'a> {
    Frame {
        position: Position,
        next: Position,
        content: Content<'a>,
    },
    /// No frame here: never written, or no room for another one.
    End,
    Bad(&'static str),
}

impl Scanner {
    pub(super) fn new(
        segment: Arc<OpenSegment>,
        log_id: u64,
        from: Position,
        link: Option<u64>,
    ) -> Scanner {
        Scanner { segment, log_id, position: from, link, buffer: Vec::new(), buffer_offset: 0 }
    }

    /// Behind the last good frame.
    pub(super) fn position(&self) -> Position {
        self.position
    }

    /// The link that the frame at `position` has to carry.
    pub(super) fn link(&self) -> Option<u64> {
        self.link
    }

    pub(super) fn segment(&self) -> &Arc<OpenSegment> {
        &self.segment
    }

    pub(super) fn step(&mut self) -> Result<Step<'_>, LogError> {
        let position = self.position;
        let offset = self.segment.header.offset(position);
        let room = self.segment.header.footer_offset().saturating_sub(offset);
        if room < OVERHEAD {
            return Ok(Step::End);
        }
        let Some(head) = self.bytes(offset, HEAD_BYTES)?.and_then(Head::parse) else {
            return Ok(Step::Bad("the file ends where its records end; the rest was cut off"));
        };
        if head.is_blank() {
            return Ok(Step::End);
        }
        let Some(length) = head.frame_bytes().filter(|length| *length <= room) else {
            return Ok(Step::Bad("the length of the record is impossible"));
        };
        if self.link.is_some_and(|link| link != head.link) {
            return Ok(Step::Bad("the record does not continue the one before it"));
        }
        let log_id = self.log_id;
        let next = position + length;
        // The buffer is filled first and borrowed again, so that a bad frame leaves the scanner as it was.
        if self.bytes(offset, length as usize)?.is_none() {
            return Ok(Step::Bad("the file ends in the middle of a record"));
        }
        let start = (offset - self.buffer_offset) as usize;
        let frame = &self.buffer[start..start + length as usize];
        let Some(content) = head.check(log_id, position, frame) else {
            return Ok(Step::Bad("the record does not match its checksum"));
        };
        self.position = next;
        self.link = Some(head.next_link());
        Ok(Step::Frame { position, next, content })
    }

    /// A bad frame or the end is where the scanner stands. Looks behind it for the beginning of a later commit, which
    /// proves that what stands here had been synced.
    pub(super) fn finds_later_commit(
        &mut self,
        written_end: u64,
    ) -> Result<Option<Position>, LogError> {
        let header = self.segment.header;
        let mut offset = header.offset(self.position) + 1;
        while offset + OVERHEAD <= written_end {
            let position = header.base + (offset - super::segment::HEADER_BYTES);
            let Some(head) = self.bytes(offset, HEAD_BYTES)?.and_then(Head::parse) else {
                return Ok(None);
            };
            let length = head.frame_bytes().filter(|length| offset + length <= written_end);
            if let (true, Some(length)) = (head.is_first_of_commit(), length) {
                let log_id = self.log_id;
                if self
                    .bytes(offset, length as usize)?
                    .is_some_and(|frame| head.check(log_id, position, frame).is_some())
                {
                    return Ok(Some(position));
                }
            }
            offset += 1;
        }
        Ok(None)
    }

    /// The file offset behind the last byte between the scanner and the footer that is not zero; the scanner's own
    /// offset when nothing was written there.
    pub(super) fn written_end(&mut self) -> Result<u64, LogError> {
        let start = self.segment.header.offset(self.position);
        let limit = self.segment.header.footer_offset();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut written = start;
        let mut offset = start;
        while offset < limit {
            let wanted = (limit - offset).min(CHUNK_BYTES as u64) as usize;
            let count =
                read_up_to(&self.segment.file, &self.segment.path, &mut chunk[..wanted], offset)?;
            if let Some(last) = chunk[..count].iter().rposition(|byte| *byte != 0) {
                written = offset + last as u64 + 1;
            }
            if count < wanted {
                break;
            }
            offset += count as u64;
        }
        Ok(written)
    }

    /// `length` bytes at a file offset, or `None` when the file ends before them.
    fn bytes(&mut self, offset: u64, length: usize) -> Result<Option<&[u8]>, LogError> {
        let buffered = offset >= self.buffer_offset
            && offset + length as u64 <= self.buffer_offset + self.buffer.len() as u64;
        if !buffered {
            self.buffer.resize(length.max(CHUNK_BYTES), 0);
            let count =
                read_up_to(&self.segment.file, &self.segment.path, &mut self.buffer, offset)?;
            self.buffer.truncate(count);
            self.buffer_offset = offset;
        }
        let start = (offset - self.buffer_offset) as usize;
        Ok(self.buffer.get(start..start + length))
    }
}
