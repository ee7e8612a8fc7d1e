//! The real host on a real folder, and what a crash leaves of it.
//!
//! A crash is a copy: the files as they are while the host does nothing, and of the commit that was
//! under way any part. The next life begins on the copy, so the one before may close as it likes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use engine::time::Timestamp;
use host::{Clock, Host, Options};

use crate::model::clock::Ms;
use crate::worlds::dice::Dice;

/// Small, so that worlds also see a log of several segments.
const SEGMENT_BYTES: u64 = 128 * 1024;
/// What a disk writes at once.
const SECTOR: usize = 512;
/// No checkpoint comes by itself: a world says when, or it would depend on the speed of the machine.
const NEVER: Duration = Duration::from_secs(1_000_000);

/// Files by their path below the data folder.
type Files = Vec<(PathBuf, Vec<u8>)>;

/// A folder as a crash leaves it.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    pub(super) log: Files,
    pub(super) store: Files,
}

/// What of a commit under way reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    Nothing,
    Everything,
    /// A kill: so many bytes of it, in thousandths.
    Beginning(u64),
    /// A power cut: some sectors of it.
    Sectors(u64),
}

/// A host, its clock and its folder.
#[derive(Debug)]
pub(super) struct Machine {
    root: PathBuf,
    life: u32,
    clock: Arc<AtomicI64>,
    pub(super) host: Host,
}

impl Machine {
    pub(super) fn new(root: &Path, now: Ms) -> Result<Machine, String> {
        let clock = Arc::new(AtomicI64::new(now));
        let host = open(&root.join("life-0"), &clock)?;
        Ok(Machine { root: root.to_owned(), life: 0, clock, host })
    }

    /// The moment as the host sees it.
    pub(super) fn now(&self) -> Ms {
        self.host.now().0
    }

    /// The moment as the wall shows it.
    pub(super) fn wall(&self) -> Ms {
        self.clock.load(Ordering::Acquire)
    }

    /// Set the clock, and let happen what is due then.
    pub(super) fn set_clock(&self, now: Ms) {
        self.clock.store(now, Ordering::Release);
        self.host.clock_moved();
        self.host.wait_idle();
    }

    fn dir(&self) -> PathBuf {
        self.root.join(format!("life-{}", self.life))
    }

    /// The folder as it is now. Only while nothing is under way.
    pub(super) fn image(&self, with_store: bool) -> Result<Image, String> {
        let dir = self.dir();
        let store = if with_store { read(&dir, Path::new("store"))? } else { Files::new() };
        Ok(Image { log: read(&dir, Path::new("log"))?, store })
    }

    /// Begin the next life on an image; what the life before still writes is thrown away.
    pub(super) fn resume(&mut self, image: &Image) -> Result<(), String> {
        let before = self.dir();
        self.life += 1;
        let dir = self.dir();
        for (path, bytes) in image.log.iter().chain(&image.store) {
            let path = dir.join(path);
            let folder = path.parent().unwrap_or(&dir);
            std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
            std::fs::write(&path, bytes).map_err(|error| error.to_string())?;
        }
        let host = open(&dir, &self.clock)?;
        drop(std::mem::replace(&mut self.host, host));
        std::fs::remove_dir_all(before).map_err(|error| error.to_string())
    }
}

fn open(dir: &Path, clock: &Arc<AtomicI64>) -> Result<Host, String> {
    let options = Options {
        clock: Clock::Virtual(Arc::clone(clock)),
        segment_bytes: SEGMENT_BYTES,
        checkpoint_every: NEVER,
        ..Options::default()
    };
    let host = Host::open(dir, options).map_err(|error| error.to_string())?;
    host.wait_idle();
    match host.fault() {
        Some(fault) => Err(fault),
        None => Ok(host),
    }
}

fn read(dir: &Path, below: &Path) -> Result<Files, String> {
    let mut files = Files::new();
    let entries = std::fs::read_dir(dir.join(below)).map_err(|error| error.to_string())?;
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let path = below.join(entry.file_name());
        if entry.path().is_dir() {
            files.extend(read(dir, &path)?);
        } else {
            let bytes = std::fs::read(entry.path()).map_err(|error| error.to_string())?;
            files.push((path, bytes));
        }
    }
    files.sort();
    Ok(files)
}

/// The log after a commit that was not finished. The witness is that of before: it is written
/// after the records.
pub(super) fn interrupted(before: &Files, after: &Files, left: Left) -> Files {
    let known = |path: &PathBuf| before.iter().find(|(other, _)| other == path);
    let grown = |(path, bytes): &&(PathBuf, Vec<u8>)| {
        is_segment(path) && known(path).is_none_or(|(_, old)| old != bytes)
    };
    let changed: Vec<_> = after.iter().filter(grown).collect();
    match (left, changed.as_slice()) {
        (Left::Nothing, _) | (_, []) => before.clone(),
        // A segment was full: it was sealed in between, so there is no single commit to cut.
        (Left::Everything, _) | (_, [_, _, ..]) => {
            let witness = before.iter().find(|(path, _)| path.ends_with("WITNESS"));
            let mut files = after.clone();
            for (path, bytes) in &mut files {
                if changed.len() == 1
                    && path.ends_with("WITNESS")
                    && let Some((_, old)) = witness
                {
                    bytes.clone_from(old);
                }
            }
            files
        }
        (Left::Beginning(_) | Left::Sectors(_), [(path, bytes)]) => {
            let Some((_, old)) = known(path) else { return after.clone() };
            let cut = cut(old, bytes, left);
            let files = before.iter().map(|(other, bytes)| {
                let bytes = if other == path { cut.clone() } else { bytes.clone() };
                (other.clone(), bytes)
            });
            files.collect()
        }
    }
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "seg")
}

fn cut(old: &[u8], new: &[u8], left: Left) -> Vec<u8> {
    let differs = |place: &usize| old.get(*place) != new.get(*place);
    let first = (0..new.len()).find(differs).unwrap_or(0);
    let end = (0..new.len()).rev().find(differs).map_or(0, |last| last + 1);
    let mut dice = match left {
        Left::Sectors(seed) => Some(Dice::new(seed)),
        Left::Nothing | Left::Everything | Left::Beginning(_) => None,
    };
    let written = match left {
        Left::Beginning(thousandths) => {
            let share = usize::try_from(thousandths).unwrap_or(0).min(1_000);
            first + (end - first) * share / 1_000
        }
        Left::Nothing | Left::Everything | Left::Sectors(_) => first,
    };
    let mut bytes = old.to_vec();
    let mut sector = usize::MAX;
    let mut reached = false;
    for place in first..end {
        if place / SECTOR != sector {
            sector = place / SECTOR;
            reached = dice.as_mut().is_some_and(|dice| dice.chance(60));
        }
        if (reached || place < written)
            && let (Some(byte), Some(new)) = (bytes.get_mut(place), new.get(place))
        {
            *byte = *new;
        }
    }
    bytes
}

/// A moment as the host takes it.
pub(super) fn stamp(at: Ms) -> Timestamp {
    Timestamp(at)
}
