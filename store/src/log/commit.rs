//! Making records durable: the only code that writes to the log while it is in use.
//!
//! A commit is one write and one sync per segment it touches (nearly always one). When a record did not fit into the
//! current segment, the committer seals it on the way: sync the records, write the footer, sync it (so that a footer
//! proves the records before it), then give the spare its header and its name. Each of these steps may be done twice,
//! which is what a commit stopped by a full disk does when it is called again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::append::{Part, Shared};
use super::create::Lock;
use super::segment::{self, Footer, Header};
use super::spare::Spare;
use super::witness::{Testimony, Witness};
use super::{LogError, Position};

/// Writes what the appenders have staged. There is one per log, and it holds the lock on the folder.
pub struct Committer {
    pub(super) shared: Arc<Shared>,
    pub(super) active: Active,
    pub(super) witness: Witness,
    /// Parts of the group in hand that are written; more than none only after a full disk.
    pub(super) parts_written: usize,
    /// Held, not used: given back when the committer is gone.
    pub(super) _lock: Lock,
}

/// The segment being written.
pub(super) struct Active {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) header: Header,
    pub(super) records: u64,
    pub(super) last: Position,
    pub(super) end: Position,
    pub(super) hasher: blake3::Hasher,
}

impl Committer {
    /// Makes all records staged so far durable and answers the durable end.
    ///
    /// `Full` leaves them staged: call again when there is room, and acknowledge nothing before. Any other error stops
    /// the log for good.
    pub fn commit(&mut self) -> Result<Position, LogError> {
        self.shared.disk.alive()?;
        let Some(group) = self.shared.tail().take_group() else { return Ok(self.durable()) };
        let mut rolled = false;
        for part in &group.parts[self.parts_written..] {
            if part.opens_segment && self.active.header.base != part.from {
                self.roll(part).inspect_err(|error| self.note_full(error))?;
                rolled = true;
            }
            self.write(part, group.bytes_of(part)).inspect_err(|error| self.note_full(error))?;
            self.parts_written += 1;
        }
        self.shared.disk.sync(&self.active.file, &self.active.path)?;
        self.parts_written = 0;
        drop(group);
        self.shared.durable.store(self.active.end, Ordering::Release);
        self.shared.tail().release_group();
        self.after_commit(rolled)?;
        Ok(self.active.end)
    }

    /// For a quiet moment: brings the witness up to the durable end, so that the last commit before a long pause is
    /// covered by it too.
    pub fn settle(&mut self) -> Result<(), LogError> {
        let testimony = self.testimony();
        if self.witness.testimony == testimony {
            return self.shared.disk.alive();
        }
        self.witness.write(&self.shared.disk, testimony)
    }

    /// Commits what is staged and leaves a witness of it. Without this the log is as after a crash, which is fine too.
    pub fn close(mut self) -> Result<Position, LogError> {
        let end = self.commit()?;
        self.settle()?;
        Ok(end)
    }

    pub fn durable(&self) -> Position {
        self.shared.durable.load(Ordering::Acquire)
    }

    fn write(&mut self, part: &Part, bytes: &[u8]) -> Result<(), LogError> {
        let active = &mut self.active;
        self.shared.disk.write(
            &active.file,
            &active.path,
            bytes,
            active.header.offset(part.from),
        )?;
        active.hasher.update(bytes);
        active.records += part.records;
        active.last = part.last;
        active.end = part.end;
        Ok(())
    }

    /// Seals the active segment and begins the next one with `part`.
    fn roll(&mut self, part: &Part) -> Result<(), LogError> {
        let disk = &self.shared.disk;
        let active = &self.active;
        let footer = Footer {
            records: active.records,
            base: active.header.base,
            last: active.last,
            end: active.end,
            link: part.link,
            hash: *active.hasher.finalize().as_bytes(),
        };
        disk.sync(&active.file, &active.path)?;
        disk.write(&active.file, &active.path, &footer.encode(), active.header.footer_offset())?;
        disk.sync(&active.file, &active.path)?;
        let Some(spare) = self.shared.spares.take() else {
            return Err(LogError::Full {
                dir: disk.dir.clone(),
                needs: self.shared.spares.segment_bytes,
            });
        };
        let header = Header {
            log_id: self.shared.log_id,
            base: part.from,
            link: part.link,
            bytes: self.shared.spares.segment_bytes,
        };
        let path = segment::path_of(&disk.dir, part.from);
        if let Err(error) = self.name_spare(&spare, header, &path) {
            self.shared.spares.put_back(spare);
            return Err(error);
        }
        self.active = Active::new(spare.file, path, header);
        self.shared.segments.add(part.from);
        Ok(())
    }

    fn name_spare(&self, spare: &Spare, header: Header, path: &Path) -> Result<(), LogError> {
        let disk = &self.shared.disk;
        disk.write(&spare.file, &spare.path, &header.encode(), 0)?;
        disk.sync(&spare.file, &spare.path)?;
        disk.rename(&spare.path, path)?;
        disk.sync_dir(&disk.dir)
    }

    /// The records are safe already; what follows only prepares for later, and `append` meets again what hinders it.
    fn after_commit(&mut self, rolled: bool) -> Result<(), LogError> {
        if rolled || self.witness.is_due() {
            only_poison(self.settle())?;
        }
        let nearly_full =
            self.active.end - self.active.header.base > self.active.header.capacity() / 2;
        if nearly_full && self.shared.tail().spares == 0 {
            only_poison(self.shared.prepare_spare())?;
        }
        Ok(())
    }

    fn note_full(&self, error: &LogError) {
        if matches!(error, LogError::Full { .. }) {
            self.shared.tail().stuck = true;
        }
    }

    pub(super) fn testimony(&self) -> Testimony {
        Testimony {
            log_id: self.shared.log_id,
            begin: self.shared.segments.begin(),
            end: self.durable(),
            last_base: self.active.header.base,
        }
    }
}

impl Active {
    pub(super) fn new(file: File, path: PathBuf, header: Header) -> Active {
        let base = header.base;
        Active {
            file,
            path,
            header,
            records: 0,
            last: base,
            end: base,
            hasher: blake3::Hasher::new(),
        }
    }
}

fn only_poison(result: Result<(), LogError>) -> Result<(), LogError> {
    match result {
        Err(error @ LogError::Poisoned { .. }) => Err(error),
        _ => Ok(()),
    }
}
