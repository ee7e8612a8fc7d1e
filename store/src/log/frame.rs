//! One record on the disk.
//!
//! ```text
//! word  u32   bit 31: first frame of a commit; bits 0..26: bytes after the link (partition, format, payload)
//! crc   u32   CRC32C over log id, position, word, link, partition, format, payload
//! link  u64   truncated BLAKE3 over the link, CRC and word of the frame before
//! partition u8, format u8, payload
//! ```
//!
//! Why each part is there. The **CRC** finds flipped bits, and because log id and position go into it (without being
//! stored), a frame that a disk has put in the wrong place is not taken for a good one, not even by a single read. The
//! **link** finds frames dropped, swapped or duplicated by someone who kept each of them whole. The frame carries the
//! link *to the one before*, so a single read can check the CRC without knowing the neighbours. The **first-of-commit
//! bit** tells a torn tail from damage: a commit is written only after the sync of the one before succeeded, so a first
//! frame found behind a bad one proves that the bad one had been acknowledged. A word of zero is space never written.

use super::Position;

pub(super) const HEAD_BYTES: usize = 16;
/// What a record costs on top of its payload.
pub(super) const OVERHEAD: u64 = 18;
/// Larger than any batch the product accepts; a bound on what one damaged length can make a reader allocate.
pub(super) const MAX_PAYLOAD: u64 = 32 * 1024 * 1024;

const FIRST_OF_COMMIT: u32 = 1 << 31;
const BODY_PREFIX: u64 = 2;

/// Ties a frame to its log, its place in it and the frame before.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) log_id: u64,
    pub(super) position: Position,
    pub(super) link: u64,
}

#[derive(Clone, Copy)]
pub(super) struct Content<'a> {
    pub(super) partition: u8,
    pub(super) format: u8,
    pub(super) payload: &'a [u8],
}

/// The first 16 bytes, not yet believed.
#[derive(Clone, Copy)]
pub(super) struct Head {
    word: u32,
    crc: u32,
    pub(super) link: u64,
}

/// Writes a frame to the end of `out`; answers the link that the next frame carries.
pub(super) fn encode(out: &mut Vec<u8>, place: Place, first: bool, content: Content<'_>) -> u64 {
    let length = (BODY_PREFIX + content.payload.len() as u64) as u32;
    let word = if first { length | FIRST_OF_COMMIT } else { length };
    let crc = checksum(place, word, content);
    out.extend_from_slice(&word.to_le_bytes());
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&place.link.to_le_bytes());
    out.push(content.partition);
    out.push(content.format);
    out.extend_from_slice(content.payload);
    next_link(place.link, word, crc)
}

impl Head {
    pub(super) fn parse(bytes: &[u8]) -> Option<Head> {
        let word = bytes.get(0..4)?.try_into().ok()?;
        let crc = bytes.get(4..8)?.try_into().ok()?;
        let link = bytes.get(8..16)?.try_into().ok()?;
        Some(Head {
            word: u32::from_le_bytes(word),
            crc: u32::from_le_bytes(crc),
            link: u64::from_le_bytes(link),
        })
    }

    pub(super) fn is_blank(&self) -> bool {
        self.word == 0 && self.crc == 0 && self.link == 0
    }

    pub(super) fn is_first_of_commit(&self) -> bool {
        self.word & FIRST_OF_COMMIT != 0
    }

    /// The length of the whole frame, when it is one that can be.
    pub(super) fn frame_bytes(&self) -> Option<u64> {
        let body = u64::from(self.word & !FIRST_OF_COMMIT);
        (BODY_PREFIX..=BODY_PREFIX + MAX_PAYLOAD)
            .contains(&body)
            .then_some(HEAD_BYTES as u64 + body)
    }

    /// The content of a whole `frame` that begins with this head, if its checksum agrees.
    pub(super) fn check<'a>(
        &self,
        log_id: u64,
        position: Position,
        frame: &'a [u8],
    ) -> Option<Content<'a>> {
        let content = Content {
            partition: *frame.get(16)?,
            format: *frame.get(17)?,
            payload: frame.get(18..)?,
        };
        let place = Place { log_id, position, link: self.link };
        (checksum(place, self.word, content) == self.crc).then_some(content)
    }

    pub(super) fn next_link(&self) -> u64 {
        next_link(self.link, self.word, self.crc)
    }
}

fn checksum(place: Place, word: u32, content: Content<'_>) -> u32 {
    let mut fixed = [0; 30];
    fixed[0..8].copy_from_slice(&place.log_id.to_le_bytes());
    fixed[8..16].copy_from_slice(&place.position.to_le_bytes());
    fixed[16..20].copy_from_slice(&word.to_le_bytes());
    fixed[20..28].copy_from_slice(&place.link.to_le_bytes());
    fixed[28] = content.partition;
    fixed[29] = content.format;
    crc32c::crc32c_append(crc32c::crc32c(&fixed), content.payload)
}

fn next_link(link: u64, word: u32, crc: u32) -> u64 {
    let mut input = [0; 16];
    input[0..8].copy_from_slice(&link.to_le_bytes());
    input[8..12].copy_from_slice(&word.to_le_bytes());
    input[12..16].copy_from_slice(&crc.to_le_bytes());
    let hash = blake3::hash(&input);
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}
