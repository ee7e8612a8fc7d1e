//! Bits flip, files are cut, blocks are swapped, repeated, zeroed: it is said aloud, or it did no harm.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::Options;
use super::crash::copy_folder;
use super::naive::Flaw;
use super::subject::{EVEN_BYTES, Sizes, Subject, payload};
use super::table::Row;
use super::workshop::Workshop;
use crate::dice::Dice;

const RECORDS: u64 = 160;
/// Damages of each kind when all points are wanted: there are more than anybody can try.
const ALL_FLIPS: u64 = 2000;
const ALL_CUTS: u64 = 400;
const ALL_BLOCKS: u64 = 600;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    Flip,
    /// The file is shorter, or gone.
    Cut,
    Block,
}

impl Damage {
    pub(super) const ALL: [Damage; 3] = [Damage::Flip, Damage::Cut, Damage::Block];

    pub(super) fn name(self) -> &'static str {
        match self {
            Damage::Flip => "bit flips",
            Damage::Cut => "truncations",
            Damage::Block => "blocks swapped, repeated, zeroed",
        }
    }

    pub(super) fn points(self, options: &Options) -> u64 {
        options.points.unwrap_or(match self {
            Damage::Flip => ALL_FLIPS,
            Damage::Cut => ALL_CUTS,
            Damage::Block => ALL_BLOCKS,
        })
    }

    /// The log with this flaw cannot notice.
    fn control(self) -> Flaw {
        match self {
            Damage::Flip | Damage::Cut => Flaw::NoChecksum,
            Damage::Block => Flaw::NoChain,
        }
    }
}

/// One kind of damage to a log that was closed, and to one that was not.
pub(super) fn log(workshop: &Workshop, options: &Options, damage: Damage) -> anyhow::Result<Row> {
    let mut row = Row::new(format!("log: {}", damage.name()));
    harm_all(workshop, options, Subject::Log, damage, damage.points(options), &mut row)?;
    let mut control = Row::new("");
    let flaw = damage.control();
    harm_all(workshop, options, Subject::Naive(flaw), damage, 60, &mut control)?;
    row.controls.push((flaw.name().to_owned(), control.guilty()));
    Ok(row)
}

fn harm_all(
    workshop: &Workshop,
    options: &Options,
    subject: Subject,
    damage: Damage,
    points: u64,
    row: &mut Row,
) -> anyhow::Result<()> {
    let mut dice = Dice::new(options.seed ^ 5);
    for close in [true, false] {
        let gold = workshop.path("gold")?;
        let settled = write(subject, &gold, close)?;
        for _ in 0..points.div_ceil(2) {
            let harmed = workshop.path("harmed")?;
            copy_folder(&gold, &harmed)?;
            let place = harm(&harmed, damage, &mut dice)?;
            row.note_damage(&place, subject.judge(&harmed, settled, Sizes::Even));
        }
    }
    Ok(())
}

/// Writes a log and answers how many of its records damage may not take in silence. Those of the last commit before a
/// crash look like a torn write, as long as the witness does not cover them.
fn write(subject: Subject, dir: &Path, close: bool) -> anyhow::Result<u64> {
    let (mut store, _) = subject.open(dir)?;
    let refused = |refusal| anyhow::anyhow!("{refusal}");
    for number in 0..RECORDS {
        store.append(&payload(number, Sizes::Even)).map_err(refused)?;
        if number % 4 == 3 {
            store.commit().map_err(refused)?;
        }
        if number == RECORDS / 2 {
            store.settle().map_err(refused)?;
        }
    }
    if close {
        store.close()?;
        return Ok(RECORDS);
    }
    Ok(RECORDS - 4)
}

/// Does one damage somewhere and says where.
pub(super) fn harm(folder: &Path, damage: Damage, dice: &mut Dice) -> anyhow::Result<String> {
    let files = files(folder)?;
    let total: u64 = files.iter().map(|(_, used)| used).sum();
    let (path, at) = place(&files, dice.below(total)).context("there is nothing to damage")?;
    let shown = path.strip_prefix(folder).unwrap_or(path).display().to_string();
    let file = File::options().read(true).write(true).open(path)?;
    match damage {
        Damage::Flip => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at)?;
            let bit = dice.below(8);
            file.write_all_at(&[byte[0] ^ (1 << bit)], at)?;
            Ok(format!("{shown}, byte {at}, bit {bit}"))
        }
        Damage::Cut if dice.percent(5) => {
            fs::remove_file(path)?;
            Ok(format!("{shown} removed"))
        }
        Damage::Cut => {
            file.set_len(at)?;
            Ok(format!("{shown} cut to {at} bytes"))
        }
        Damage::Block => {
            let other = place(&files, dice.below(total)).map_or(path, |(path, _)| path);
            harm_block(&file, at, other, dice).map(|what| format!("{shown}, {what}"))
        }
    }
}

/// Swaps two blocks of a file, writes one over another (also one of another file), or zeroes one.
fn harm_block(file: &File, at: u64, other: &Path, dice: &mut Dice) -> anyhow::Result<String> {
    // Blocks of the disk, its sectors, and frames of the log, which begin behind its header.
    let frame = EVEN_BYTES + 18;
    let (size, begin) = [(512, 0), (4096, 0), (frame, 64)][dice.below(3) as usize];
    let length = file.metadata()?.len();
    let blocks = (length.saturating_sub(begin) / size).max(1);
    let first = begin + at.saturating_sub(begin) / size * size;
    let second = begin + dice.below(blocks) * size;
    let one = block(file, first, size)?;
    let two = block(file, second, size)?;
    let what = match dice.below(4) {
        0 => {
            file.write_all_at(&vec![0; one.len()], first)?;
            "zeroed"
        }
        1 => {
            let from = block(&File::open(other)?, first, size)?;
            file.write_all_at(&from[..from.len().min(one.len())], first)?;
            "replaced by that of another file"
        }
        2 => {
            file.write_all_at(&two[..two.len().min(one.len())], first)?;
            "replaced by another one"
        }
        _ => {
            let both = one.len().min(two.len());
            file.write_all_at(&two[..both], first)?;
            file.write_all_at(&one[..both], second)?;
            "swapped with another one"
        }
    };
    Ok(format!("block of {size} bytes at {first} {what} (at {second})"))
}

fn block(file: &File, at: u64, size: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![0; size as usize];
    let count = file.read_at(&mut bytes, at)?;
    bytes.truncate(count);
    Ok(bytes)
}

/// The file and the byte in it that this number means.
fn place(files: &[(PathBuf, u64)], mut number: u64) -> Option<(&Path, u64)> {
    for (path, used) in files {
        if number < *used {
            return Some((path, number));
        }
        number -= used;
    }
    None
}

/// All files and how much of each is used: its last byte that is not zero tells.
fn files(folder: &Path) -> anyhow::Result<Vec<(PathBuf, u64)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
            continue;
        }
        let used = super::disk::used_bytes(&path)?;
        if used > 0 {
            found.push((path, used));
        }
    }
    found.sort();
    Ok(found)
}
