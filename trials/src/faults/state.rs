//! The state store, which is rented: it is asked for whole batches in their order and for nothing else.

use std::path::Path;

use super::crash::{at_points, copy_folder, leave};
use super::damage::{Damage, harm};
use super::disk::Disk;
use super::subject::{Subject, Verdict};
use super::table::Row;
use super::workshop::{Ended, Fault, On, What, Workshop, acknowledged, data, synced};
use super::{Options, choose, ledger, trace};
use crate::dice::Dice;

const BATCHES: u64 = 64;
const MOST_RUNS: u64 = 200;
const MOST_DAMAGES: u64 = 600;

/// Kill -9 at every operation: what was committed is there.
pub(super) fn kill(workshop: &Workshop, options: &Options) -> anyhow::Result<Row> {
    let mut row = Row::new("state: kill -9");
    kill_all(workshop, options, Subject::State, options.points, &mut row)?;
    let mut control = Row::new("");
    kill_all(workshop, options, Subject::TornState, Some(60), &mut control)?;
    row.controls.push((Subject::TornState.name().to_owned(), control.guilty()));
    Ok(row)
}

fn kill_all(
    workshop: &Workshop,
    options: &Options,
    subject: Subject,
    points: Option<u64>,
    row: &mut Row,
) -> anyhow::Result<()> {
    let whole = record(workshop, subject)?;
    let points = Some(points.unwrap_or(MOST_RUNS));
    let mut dice = Dice::new(options.seed ^ 20);
    for at in choose(trace::operations(&whole.steps), points, &mut dice) {
        let room = workshop.room("room")?;
        let what = if at % 2 == 0 { What::Kill } else { What::Tear };
        let killed = workshop.run(subject, &room, BATCHES, Fault::once(what, On::Any, at))?;
        let verdict = ledger::judge(&data(&room), acknowledged(&killed.steps), BATCHES);
        row.note(&format!("killed at operation {at}"), verdict);
    }
    Ok(())
}

/// The power goes at every operation: what was synced is there, and the rest from the end is gone in order.
pub(super) fn cut(workshop: &Workshop, options: &Options) -> anyhow::Result<Row> {
    let mut row = Row::new("state: power cut");
    let whole = record(workshop, Subject::State)?;
    cut_all(workshop, options, &whole, options.points, &mut row)?;
    let mut control = Row::new("");
    let lying = Fault { what: What::Lie, on: On::Sync, at: 20, times: 0 };
    let ended = workshop.run(Subject::State, &workshop.room("room")?, BATCHES, lying)?;
    cut_all(workshop, options, &ended, Some(40), &mut control)?;
    row.controls.push(("lying disk".to_owned(), control.guilty()));
    Ok(row)
}

fn cut_all(
    workshop: &Workshop,
    options: &Options,
    ended: &Ended,
    points: Option<u64>,
    row: &mut Row,
) -> anyhow::Result<()> {
    let mut dice = Dice::new(options.seed ^ 21);
    let before = workshop.room("before")?;
    let points = choose(trace::operations(&ended.steps), points, &mut dice);
    at_points(&ended.steps, &before, &points, |disk, done, until| {
        let way = dice.below(4);
        let room = workshop.path("cut")?;
        leave(disk, way, &mut dice, &room)?;
        let verdict = ledger::judge(&data(&room), synced(until), BATCHES);
        row.note(&format!("cut after operation {done}, way {way}"), verdict);
        Ok(())
    })
}

/// The first start is killed at each of its operations.
pub(super) fn first_start(workshop: &Workshop, options: &Options) -> anyhow::Result<Row> {
    let mut row = Row::new("state: first start");
    let whole = workshop.run(Subject::State, &workshop.room("room")?, 2, Fault::NONE)?;
    let mut dice = Dice::new(options.seed ^ 22);
    let operations = trace::operations(&whole.steps).min(200);
    for at in choose(operations, options.points, &mut dice) {
        let room = workshop.room("room")?;
        workshop.run(Subject::State, &room, 2, Fault::once(What::Kill, On::Any, at))?;
        row.note(&format!("killed at operation {at}"), ledger::judge(&data(&room), 0, 2));
    }
    Ok(row)
}

/// An error at every sync or every write: an error, or no harm; then the power goes.
pub(super) fn fail(workshop: &Workshop, options: &Options, on: On) -> anyhow::Result<Row> {
    let (name, what, times) = match on {
        On::Sync => ("sync", What::Eio, 1),
        On::Write | On::Any => ("write", What::ShortEio, 2),
    };
    let mut row = Row::new(format!("state: EIO at {name}, then power cut"));
    let whole = record(workshop, Subject::State)?;
    let total = match on {
        On::Sync => trace::syncs(&whole.steps),
        On::Write | On::Any => trace::writes(&whole.steps),
    };
    let points = Some(options.points.unwrap_or(MOST_RUNS));
    let mut dice = Dice::new(options.seed ^ 23);
    for at in choose(total, points, &mut dice) {
        let room = workshop.room("room")?;
        let before = workshop.room("before")?;
        let fault = Fault { what, on, at, times };
        let ended = workshop.run(Subject::State, &room, BATCHES, fault)?;
        let mut disk = Disk::found(&ended.steps, &before)?;
        ended.steps.iter().for_each(|step| disk.apply(step));
        let cut = workshop.path("cut")?;
        leave(&disk, dice.below(4), &mut dice, &cut)?;
        // The host waits for no sync of the state but the last: being behind costs time, not data.
        let verdict = ledger::judge(&data(&cut), 0, BATCHES);
        row.note(&format!("error at number {at}, power cut"), verdict);
        let verdict = ledger::judge(&data(&room), 0, BATCHES);
        row.note(&format!("error at number {at}, restart"), verdict);
    }
    Ok(row)
}

/// Damage: the state is refused, or rebuilt, or says so when it is read, or is as it was.
pub(super) fn harm_it(
    workshop: &Workshop,
    options: &Options,
    damage: Damage,
) -> anyhow::Result<Row> {
    let mut row = Row::new(format!("state: {}", damage.name()));
    let gold = workshop.path("gold")?;
    let (state, _) = ledger::open(&gold, 0)?;
    for number in 1..=BATCHES {
        ledger::apply(&state, number, false)?;
    }
    drop(state);
    let mut dice = Dice::new(options.seed ^ 24);
    let points = options.points.unwrap_or(MOST_DAMAGES);
    for _ in 0..points {
        let harmed = workshop.path("harmed")?;
        copy_folder(&gold, &harmed)?;
        let place = harm(&harmed, damage, &mut dice)?;
        row.note_damage(&place, judge_harmed(&harmed));
        forget_set_aside(workshop)?;
    }
    // The checker must see a state that is another one.
    let forged = workshop.path("harmed")?;
    copy_folder(&gold, &forged)?;
    let (state, _) = ledger::open(&forged, 0)?;
    ledger::apply(&state, BATCHES - 1, false)?;
    ledger::apply(&state, BATCHES, false)?;
    let mut wrong = state.batch();
    wrong.put(store::state::Keyspace::Seen, &7u64.to_be_bytes(), b"other");
    wrong.commit()?;
    drop(state);
    let caught = matches!(judge_harmed(&forged), Verdict::Silent(_));
    row.controls.push(("forged row".to_owned(), u64::from(caught)));
    Ok(row)
}

/// Being behind is no harm: the host applies the log from there.
fn judge_harmed(dir: &Path) -> Verdict {
    ledger::judge(dir, 0, BATCHES)
}

fn forget_set_aside(workshop: &Workshop) -> anyhow::Result<()> {
    workshop.path("harmed.bad-1").map(drop)
}

fn record(workshop: &Workshop, subject: Subject) -> anyhow::Result<Ended> {
    let ended = workshop.run(subject, &workshop.room("room")?, BATCHES, Fault::NONE)?;
    anyhow::ensure!(ended.status.success(), "the child failed by itself: {}", ended.errors);
    Ok(ended)
}
