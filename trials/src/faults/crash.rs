//! The process dies, or the power goes, at every operation: of a run, of a recovery, of a first start.
//!
//! Kills are real. Power cuts are computed from the record of one run, in three ways at each point; what had been
//! acknowledged by then stands in the same record.

use std::path::Path;

use super::choose;
use super::disk::{self, Disk, Keep};
use super::subject::{Sizes, Subject, Verdict};
use super::table::Row;
use super::trace::{self, Step};
use super::workshop::{Fault, On, What, Workshop, acknowledged, data};
use super::{Options, naive::Flaw};
use crate::dice::Dice;

/// Operations of a first start that are tried.
const FIRST_OPERATIONS: u64 = 200;
/// The first of them, which make the folder, are always tried.
const ITS_MAKING: u64 = 40;
/// How a point is asked: nothing unsynced, some of it (twice), a torn write.
const WAYS: u64 = 4;

/// Kill -9 at every operation, in every second one in the middle of the write.
pub(super) fn kill(workshop: &Workshop, options: &Options) -> anyhow::Result<Row> {
    let mut row = Row::new("log: kill -9");
    let commits = options.commits(120);
    let trial =
        |subject, points, row: &mut Row| kill_at(workshop, options, subject, commits, points, row);
    trial(Subject::Log, options.points, &mut row)?;
    let mut control = Row::new("");
    trial(Subject::Naive(Flaw::Buffered), Some(20), &mut control)?;
    row.controls.push((Flaw::Buffered.name().to_owned(), control.guilty()));
    Ok(row)
}

fn kill_at(
    workshop: &Workshop,
    options: &Options,
    subject: Subject,
    commits: u64,
    points: Option<u64>,
    row: &mut Row,
) -> anyhow::Result<()> {
    let whole = workshop.run(subject, &workshop.room("room")?, commits, Fault::NONE)?;
    anyhow::ensure!(whole.status.success(), "the child failed by itself: {}", whole.errors);
    for at in choose(trace::operations(&whole.steps), points, &mut Dice::new(options.seed)) {
        let room = workshop.room("room")?;
        let what = if at % 2 == 0 { What::Kill } else { What::Tear };
        let killed = workshop.run(subject, &room, commits, Fault::once(what, On::Any, at))?;
        let verdict = subject.judge(&data(&room), killed.acknowledged(), Sizes::Mixed);
        row.note(&format!("killed at operation {at}"), verdict);
    }
    Ok(())
}

/// The power goes at every operation.
pub(super) fn cut(workshop: &Workshop, options: &Options) -> anyhow::Result<Row> {
    let mut row = Row::new("log: power cut");
    let commits = options.commits(400);
    let run = Run::record(workshop, Subject::Log, commits, Fault::NONE)?;
    run.cut(workshop, options, options.points, &mut row)?;
    let mut control = Row::new("");
    let flaw = Flaw::NoSync;
    let run = Run::record(workshop, Subject::Naive(flaw), 20, Fault::NONE)?;
    run.cut(workshop, options, Some(20), &mut control)?;
    row.controls.push((flaw.name().to_owned(), control.guilty()));
    // The same log on a disk that says "synced" and does not do it: the checker must see through that too.
    let lying = Fault { what: What::Lie, on: On::Sync, at: 30, times: 0 };
    let mut control = Row::new("");
    let run = Run::record(workshop, Subject::Log, 40, lying)?;
    run.cut(workshop, options, Some(20), &mut control)?;
    row.controls.push(("lying disk".to_owned(), control.guilty()));
    Ok(row)
}

/// The power goes, and goes again while the log recovers from that.
pub(super) fn cut_twice(workshop: &Workshop, options: &Options) -> anyhow::Result<Row> {
    let mut row = Row::new("log: power cut, and again in the recovery");
    let run = Run::record(workshop, Subject::Log, options.commits(60), Fault::NONE)?;
    let mut dice = Dice::new(options.seed ^ 2);
    for at in choose(trace::operations(&run.steps), options.points, &mut dice) {
        let (disk, acknowledged) = run.until(at)?;
        let room = workshop.path("room")?;
        disk.leave(Keep::Some(&mut dice), &room)?;
        let copy = workshop.path("copy")?;
        copy_folder(&room, &copy)?;
        let second = workshop.run(Subject::Log, &room, 4, Fault::NONE)?;
        if !second.status.success() {
            row.note(&format!("operation {at}"), Verdict::Refused(second.errors.clone()));
            continue;
        }
        let again = Run { subject: Subject::Log, disk: copy, steps: second.steps, acknowledged };
        again.cut(workshop, &Options { seed: dice.any(), ..*options }, Some(3), &mut row)?;
    }
    Ok(row)
}

/// The first start is killed, and the power goes in it. There may be nothing afterwards; it must start.
pub(super) fn first_start(workshop: &Workshop, options: &Options) -> anyhow::Result<Row> {
    let mut row = Row::new("log: first start");
    first_start_of(workshop, options, Subject::Log, &mut row)?;
    let mut control = Row::new("");
    let flaw = Flaw::MadeInPlace;
    first_start_of(workshop, options, Subject::Naive(flaw), &mut control)?;
    row.controls.push((flaw.name().to_owned(), control.guilty()));
    Ok(row)
}

fn first_start_of(
    workshop: &Workshop,
    options: &Options,
    subject: Subject,
    row: &mut Row,
) -> anyhow::Result<()> {
    let run = Run::record(workshop, subject, 60, Fault::NONE)?;
    let first = trace::operations(&run.steps).min(FIRST_OPERATIONS);
    let mut points: Vec<u64> = (1..=first.min(ITS_MAKING)).collect();
    let later =
        choose(first.saturating_sub(ITS_MAKING), options.points, &mut Dice::new(options.seed));
    points.extend(later.iter().map(|at| at + ITS_MAKING));
    for at in points {
        let room = workshop.room("room")?;
        let killed = workshop.run(subject, &room, 60, Fault::once(What::Kill, On::Any, at))?;
        let verdict = subject.judge(&data(&room), killed.acknowledged(), Sizes::Mixed);
        row.note(&format!("killed at operation {at}"), verdict);
        run.cut_at(workshop, options, at, row)?;
    }
    Ok(())
}

/// One run and the record of it.
pub(super) struct Run {
    pub(super) subject: Subject,
    /// What the disk held before it.
    pub(super) disk: std::path::PathBuf,
    pub(super) steps: Vec<Step>,
    /// What had been acknowledged before it.
    pub(super) acknowledged: u64,
}

impl Run {
    /// A run from an empty folder.
    pub(super) fn record(
        workshop: &Workshop,
        subject: Subject,
        commits: u64,
        fault: Fault,
    ) -> anyhow::Result<Run> {
        let ended = workshop.run(subject, &workshop.room("room")?, commits, fault)?;
        anyhow::ensure!(ended.status.success(), "the child failed by itself: {}", ended.errors);
        let disk = workshop.room("before")?;
        Ok(Run { subject, disk, steps: ended.steps, acknowledged: 0 })
    }

    fn cut(
        &self,
        workshop: &Workshop,
        options: &Options,
        points: Option<u64>,
        row: &mut Row,
    ) -> anyhow::Result<()> {
        let mut dice = Dice::new(options.seed ^ 1);
        let chosen = choose(trace::operations(&self.steps), points, &mut dice);
        self.cut_points(workshop, &chosen, &mut dice, row)
    }

    fn cut_at(
        &self,
        workshop: &Workshop,
        options: &Options,
        at: u64,
        row: &mut Row,
    ) -> anyhow::Result<()> {
        self.cut_points(workshop, &[at], &mut Dice::new(options.seed ^ at), row)
    }

    /// Cuts at each of these operations, in each way.
    fn cut_points(
        &self,
        workshop: &Workshop,
        points: &[u64],
        dice: &mut Dice,
        row: &mut Row,
    ) -> anyhow::Result<()> {
        at_points(&self.steps, &self.disk, points, |disk, done, until| {
            let acknowledged = self.acknowledged.max(acknowledged(until));
            for way in 0..WAYS {
                let room = workshop.path("cut")?;
                leave(disk, way, dice, &room)?;
                let verdict = self.subject.judge(&data(&room), acknowledged, Sizes::Mixed);
                row.note(&format!("cut after operation {done}, way {way}"), verdict);
            }
            Ok(())
        })
    }

    /// The disk and what was acknowledged after so many operations.
    fn until(&self, operations: u64) -> anyhow::Result<(Disk, u64)> {
        let mut disk = Disk::found(&self.steps, &self.disk)?;
        let mut done = 0;
        for (place, step) in self.steps.iter().enumerate() {
            if step.is_operation && done == operations {
                return Ok((disk, acknowledged(&self.steps[..place])));
            }
            disk.apply(step);
            done += u64::from(step.is_operation);
        }
        Ok((disk, acknowledged(&self.steps)))
    }
}

/// Walks through a run once and stops behind each of these operations, before the next one: with the disk as it is
/// then, the operation, and the steps until there.
pub(super) fn at_points(
    steps: &[Step],
    before: &Path,
    points: &[u64],
    mut stop: impl FnMut(&Disk, u64, &[Step]) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut points = points.iter().copied().peekable();
    let mut disk = Disk::found(steps, before)?;
    let mut done = 0;
    for (place, step) in steps.iter().enumerate() {
        disk.apply(step);
        done += u64::from(step.is_operation);
        // What is said before the next operation is said before the cut.
        let is_last = steps.get(place + 1).is_none_or(|next| next.is_operation);
        if is_last && points.next_if_eq(&done).is_some() {
            stop(&disk, done, &steps[..=place])?;
        }
    }
    Ok(())
}

/// One of the ways in which a disk keeps what it was not told to keep.
pub(super) fn leave(disk: &Disk, way: u64, dice: &mut Dice, to: &Path) -> anyhow::Result<()> {
    match way % WAYS {
        0 => disk.leave(Keep::Nothing, to),
        1 => disk.leave(Keep::Torn(dice), to),
        _ => disk.leave(Keep::Some(dice), to),
    }
}

/// Replaces a folder by a copy of another one.
pub(super) fn copy_folder(from: &Path, to: &Path) -> anyhow::Result<()> {
    if to.is_dir() {
        std::fs::remove_dir_all(to)?;
    }
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let below = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &below)?;
        } else {
            disk::copy(&entry.path(), &below)?;
        }
    }
    Ok(())
}
