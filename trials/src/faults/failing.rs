//! The disk answers with an error: at every sync, at every write, for once and for ever.
//!
//! After a failed sync nothing may be acknowledged, because nobody knows what the disk holds. The process stops, and
//! the power goes. Or it is started again, goes on, and the power goes then: the bytes of the failed sync look clean to
//! the kernel by that time, and only who writes them once more gets them to the disk.

use super::Options;
use super::child::DISK_FAILED;
use super::choose;
use super::crash::leave;
use super::disk::{Disk, Keep};
use super::naive::Flaw;
use super::subject::{Sizes, Subject, Verdict};
use super::table::Row;
use super::trace::{self, Event, Step};
use super::workshop::{Ended, Fault, On, What, Workshop, data, said};
use crate::dice::Dice;

const COMMITS: u64 = 100;

/// An error at every sync.
pub(super) fn sync(workshop: &Workshop, options: &Options, times: u64) -> anyhow::Result<Row> {
    let often = if times == 0 { "for ever" } else { "once" };
    let mut row = Row::new(format!("log: EIO at sync, {often}, then power cut"));
    let trial = |subject, points, row: &mut Row| {
        Failing { workshop, options, subject, on: On::Sync, what: What::Eio, times }
            .run(points, row)
    };
    trial(Subject::Log, options.points, &mut row)?;
    if times == 1 {
        let mut control = Row::new("");
        trial(Subject::Naive(Flaw::SyncsAgain), Some(20), &mut control)?;
        row.controls.push((Flaw::SyncsAgain.name().to_owned(), control.guilty()));
    }
    Ok(row)
}

/// An error at every write, after half of it.
pub(super) fn write(workshop: &Workshop, options: &Options) -> anyhow::Result<Row> {
    let mut row = Row::new("log: EIO at write, then power cut");
    let failing = |subject, times| {
        let (on, what) = (On::Write, What::ShortEio);
        Failing { workshop, options, subject, on, what, times }
    };
    failing(Subject::Log, 0).run(options.points, &mut row)?;
    let mut control = Row::new("");
    failing(Subject::Naive(Flaw::NoCutBack), 2).run(Some(20), &mut control)?;
    row.controls.push((Flaw::NoCutBack.name().to_owned(), control.guilty()));
    Ok(row)
}

/// No room for a while, in the middle of a write; the process goes on by itself.
pub(super) fn short_of_room(workshop: &Workshop, options: &Options) -> anyhow::Result<Row> {
    let mut row = Row::new("log: ENOSPC at write for a while");
    let failing = |subject| {
        let (on, what) = (On::Write, What::ShortEnospc);
        Failing { workshop, options, subject, on, what, times: 4 }
    };
    failing(Subject::Log).run(options.points, &mut row)?;
    let mut control = Row::new("");
    failing(Subject::Naive(Flaw::NoCutBack)).run(Some(20), &mut control)?;
    row.controls.push((Flaw::NoCutBack.name().to_owned(), control.guilty()));
    Ok(row)
}

struct Failing<'a> {
    workshop: &'a Workshop,
    options: &'a Options,
    subject: Subject,
    on: On,
    what: What,
    times: u64,
}

impl Failing<'_> {
    fn run(&self, points: Option<u64>, row: &mut Row) -> anyhow::Result<()> {
        let room = self.workshop.room("room")?;
        let whole = self.workshop.run(self.subject, &room, COMMITS, Fault::NONE)?;
        let total = match self.on {
            On::Sync => trace::syncs(&whole.steps),
            On::Write | On::Any => trace::writes(&whole.steps),
        };
        let mut dice = Dice::new(self.options.seed ^ 4);
        for at in choose(total, points, &mut dice) {
            self.run_at(at, &mut dice, row)?;
        }
        Ok(())
    }

    fn run_at(&self, at: u64, dice: &mut Dice, row: &mut Row) -> anyhow::Result<()> {
        let point = format!("error at number {at}");
        let room = self.workshop.room("room")?;
        let before = self.workshop.room("before")?;
        let fault = Fault { what: self.what, on: self.on, at, times: self.times };
        let ended = self.workshop.run(self.subject, &room, COMMITS, fault)?;
        self.check_end(&point, &ended, row);
        let acknowledged = ended.acknowledged();
        let mut disk = Disk::found(&ended.steps, &before)?;
        ended.steps.iter().for_each(|step| disk.apply(step));
        for way in 0..3 {
            let cut = self.workshop.path("cut")?;
            leave(&disk, way, dice, &cut)?;
            let verdict = self.subject.judge(&data(&cut), acknowledged, Sizes::Mixed);
            row.note(&format!("{point}, power cut, way {way}"), verdict);
        }
        // Started again instead, and the power goes after that.
        let again = self.workshop.run(self.subject, &room, 4, Fault::NONE)?;
        if !again.status.success() {
            row.note(&format!("{point}, restart"), Verdict::Refused(again.errors));
            return Ok(());
        }
        again.steps.iter().for_each(|step| disk.apply(step));
        let cut = self.workshop.path("cut")?;
        disk.leave(Keep::Nothing, &cut)?;
        let acknowledged = acknowledged.max(again.acknowledged());
        let verdict = self.subject.judge(&data(&cut), acknowledged, Sizes::Mixed);
        row.note(&format!("{point}, restart, power cut"), verdict);
        Ok(())
    }

    /// It stopped with its code and acknowledged nothing after a failed sync; or it went on after a full disk.
    fn check_end(&self, point: &str, ended: &Ended, row: &mut Row) {
        let code = ended.status.code();
        if self.subject != Subject::Log {
            return;
        }
        // A start that meets a full disk refuses; a log that is open goes on.
        let goes_on = self.what == What::ShortEnospc && !ended.errors.contains(" is full: ");
        let expected = if goes_on { 0 } else { DISK_FAILED.into() };
        if code != Some(expected) {
            row.note_broken(format!("{point}: ended with {code:?}, {}", ended.errors));
        }
        if self.what == What::Eio && says_after_failure(&ended.steps) {
            row.note_broken(format!("{point}: something was acknowledged after it"));
        }
    }
}

/// Whether anything was acknowledged after a sync had failed.
pub(super) fn says_after_failure(steps: &[Step]) -> bool {
    let is_failed = |step: &Step| {
        step.failed && matches!(step.event, Event::Sync { .. } | Event::SyncFolder { .. })
    };
    steps
        .iter()
        .skip_while(|step| !is_failed(step))
        .any(|step| said(step, "acknowledged").is_some())
}
