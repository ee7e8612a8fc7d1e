//! The witness: how far the log had been durable, kept beside it.
//!
//! A log alone cannot know that its end is gone: what is left looks like a shorter log. The witness remembers the
//! durable end, the first and the last segment, and is at most a second behind while records are written. Two slots
//! are written in turn, each with a checksum, so a power cut in the middle of one leaves the other.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::disk::{Disk, io_error, read_up_to};
use super::segment::{crc_agrees, seal_with_crc, u64_at};
use super::{LogError, Position};

const NAME: &str = "WITNESS";
const MAGIC: &[u8; 8] = b"tdngwitn";
/// A block of the disk each, so that writing one cannot tear the other.
const SLOT_BYTES: usize = 4096;
/// One more sync a second at most; what is younger than this is covered by the frames themselves, except for the last commit.
const EVERY: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Testimony {
    pub(super) log_id: u64,
    /// First position that the log still holds (older segments may be archived).
    pub(super) begin: Position,
    /// All records before this position had been synced.
    pub(super) end: Position,
    /// First position of the newest segment.
    pub(super) last_base: Position,
}

pub(super) struct Witness {
    file: File,
    path: PathBuf,
    turn: u64,
    written: Instant,
    pub(super) testimony: Testimony,
}

impl Witness {
    /// Writes the file of a new log. Its directory is synced by the caller.
    pub(super) fn create(disk: &Disk, dir: &Path, testimony: Testimony) -> Result<(), LogError> {
        let path = dir.join(NAME);
        let file = disk.reserve(&path, 2 * SLOT_BYTES as u64)?;
        let mut witness = Witness { file, path, turn: 0, written: Instant::now(), testimony };
        witness.write(disk, testimony)
    }

    pub(super) fn open(dir: &Path) -> Result<Witness, LogError> {
        let path = dir.join(NAME);
        let file =
            File::options().read(true).write(true).open(&path).map_err(io_error("open", &path))?;
        let mut newest: Option<(u64, Testimony)> = None;
        for slot in 0..2 {
            let mut bytes = [0; SLOT_BYTES];
            let count = read_up_to(&file, &path, &mut bytes, slot * SLOT_BYTES as u64)?;
            if count < SLOT_BYTES || &bytes[0..8] != MAGIC || !crc_agrees(&bytes) {
                continue;
            }
            let turn = u64_at(&bytes, 8);
            if newest.is_none_or(|(other, _)| turn > other) {
                let testimony = Testimony {
                    log_id: u64_at(&bytes, 16),
                    begin: u64_at(&bytes, 24),
                    end: u64_at(&bytes, 32),
                    last_base: u64_at(&bytes, 40),
                };
                newest = Some((turn, testimony));
            }
        }
        let Some((turn, testimony)) = newest else {
            let what = "neither of its two copies matches its checksum";
            return Err(LogError::Corrupt { file: path, offset: 0, position: 0, what });
        };
        Ok(Witness { file, path, turn, written: Instant::now(), testimony })
    }

    pub(super) fn write(&mut self, disk: &Disk, testimony: Testimony) -> Result<(), LogError> {
        let turn = self.turn + 1;
        let mut bytes = [0; SLOT_BYTES];
        bytes[0..8].copy_from_slice(MAGIC);
        bytes[8..16].copy_from_slice(&turn.to_le_bytes());
        bytes[16..24].copy_from_slice(&testimony.log_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&testimony.begin.to_le_bytes());
        bytes[32..40].copy_from_slice(&testimony.end.to_le_bytes());
        bytes[40..48].copy_from_slice(&testimony.last_base.to_le_bytes());
        seal_with_crc(&mut bytes);
        disk.write(&self.file, &self.path, &bytes, (turn % 2) * SLOT_BYTES as u64)?;
        disk.sync(&self.file, &self.path)?;
        self.turn = turn;
        self.written = Instant::now();
        self.testimony = testimony;
        Ok(())
    }

    pub(super) fn is_due(&self) -> bool {
        self.written.elapsed() >= EVERY
    }
}
