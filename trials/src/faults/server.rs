//! The whole program: events are posted, what was answered 200 must be there when a clean `tidings serve` has started
//! on what the fault has left.
//!
//! "There" is asked over HTTP, by the timelines of the customers: every acknowledged event, nothing that was not sent,
//! nothing twice. Then the state is asked too: as it is, and computed again from the log alone, it must be the same.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context as _;
use host::{Host, Options as HostOptions};
use serde_json::{Value as Json, json};

use super::choose;
use super::crash::{at_points, copy_folder, leave};
use super::damage::{Damage, harm};
use super::disk::Disk;
use super::subject::Verdict;
use super::table::Row;
use super::trace::{self, Event, Step};
use super::workshop::{Fault, On, What, Workshop, data};
use super::{Options, child::DISK_FAILED};
use crate::client::{Client, event};
use crate::dice::Dice;
use crate::server::{PATIENCE, Plan, Server};

const USERS: u64 = 5;
const EVENTS_PER_BATCH: u64 = 3;
const BATCHES: u64 = 40;
/// Requests before the first batch: is it ready, an outreach, going live with it.
const REQUESTS_BEFORE: usize = 3;
pub(super) const NUMBER: &str = "trial_number";
const FIRST_OPERATIONS: u64 = 200;
/// A server costs a hundred times what a log costs; a night has no time for more of them.
const MOST_RUNS: u64 = 60;
const MOST_CUTS: u64 = 300;
const MOST_DAMAGES: u64 = 40;

/// What became of a server and of what was posted to it.
pub(super) struct Session {
    steps: Vec<Step>,
    sent: u64,
    acknowledged: u64,
    /// None: it did not end by itself, or not in order.
    code: Option<i32>,
    /// It was ready once.
    started: bool,
}

/// Kill -9 at every operation from the first start on.
pub(super) fn kill(workshop: &Workshop, options: &Options, whole: &Session) -> anyhow::Result<Row> {
    let mut row = Row::new("server: kill -9");
    let mut dice = Dice::new(options.seed ^ 10);
    for at in choose(trace::operations(&whole.steps), runs(options), &mut dice) {
        let what = if at % 2 == 0 { What::Kill } else { What::Tear };
        kill_at(workshop, Fault::once(what, On::Any, at), BATCHES, &mut row)?;
    }
    row.controls.push(("forged answers".to_owned(), forged(workshop)?));
    Ok(row)
}

/// A first start, killed at each of its operations.
pub(super) fn first_start(
    workshop: &Workshop,
    options: &Options,
    whole: &Session,
) -> anyhow::Result<Row> {
    let mut row = Row::new("server: first start");
    let mut dice = Dice::new(options.seed ^ 11);
    let operations = trace::operations(until_ready(&whole.steps)).min(FIRST_OPERATIONS);
    for at in choose(operations, runs(options), &mut dice) {
        kill_at(workshop, Fault::once(What::Kill, On::Any, at), 0, &mut row)?;
    }
    let before = workshop.room("before")?;
    let points = choose(operations, options.points, &mut dice);
    cut_at(workshop, whole, &before, &points, &mut dice, &mut row)?;
    Ok(row)
}

/// The power goes at every operation.
pub(super) fn cut(workshop: &Workshop, options: &Options, whole: &Session) -> anyhow::Result<Row> {
    let mut row = Row::new("server: power cut");
    let before = workshop.room("before")?;
    let mut dice = Dice::new(options.seed ^ 12);
    let points = Some(options.points.unwrap_or(MOST_CUTS));
    let points = choose(trace::operations(&whole.steps), points, &mut dice);
    cut_at(workshop, whole, &before, &points, &mut dice, &mut row)?;

    // The same server on a disk that says "synced" and does not do it.
    let mut control = Row::new("");
    let room = workshop.room("room")?;
    let syncs = trace::syncs(&whole.steps);
    let lying = Fault { what: What::Lie, on: On::Sync, at: syncs / 2, times: 0 };
    let session = post(workshop, &room, lying, BATCHES)?;
    let operations = trace::operations(&session.steps);
    let points = [operations * 3 / 4, operations * 7 / 8, operations];
    cut_at(workshop, &session, &before, &points, &mut dice, &mut control)?;
    row.controls.push(("lying disk".to_owned(), control.guilty()));
    Ok(row)
}

/// An error at every sync, once or for ever; then the power goes.
pub(super) fn sync(
    workshop: &Workshop,
    options: &Options,
    whole: &Session,
    times: u64,
) -> anyhow::Result<Row> {
    let often = if times == 0 { "for ever" } else { "once" };
    let mut row = Row::new(format!("server: EIO at sync, {often}, then power cut"));
    let mut dice = Dice::new(options.seed ^ 13);
    for at in choose(trace::syncs(&whole.steps), runs(options), &mut dice) {
        let fault = Fault { what: What::Eio, on: On::Sync, at, times };
        fail(workshop, fault, &mut dice, &mut row)?;
    }
    Ok(row)
}

/// An error at every write, after half of it; then the power goes.
pub(super) fn write(
    workshop: &Workshop,
    options: &Options,
    whole: &Session,
) -> anyhow::Result<Row> {
    let mut row = Row::new("server: EIO at write, then power cut");
    let mut dice = Dice::new(options.seed ^ 14);
    for at in choose(trace::writes(&whole.steps), runs(options), &mut dice) {
        let fault = Fault { what: What::ShortEio, on: On::Write, at, times: 2 };
        fail(workshop, fault, &mut dice, &mut row)?;
    }
    Ok(row)
}

/// Damage in the log or in the state of a server that was stopped in order.
pub(super) fn harm_it(
    workshop: &Workshop,
    options: &Options,
    damage: Damage,
) -> anyhow::Result<Row> {
    let mut row = Row::new(format!("server: {}", damage.name()));
    let gold = workshop.room("gold")?;
    let session = post(workshop, &gold, Fault::NONE, BATCHES)?;
    let mut dice = Dice::new(options.seed ^ 15);
    for turn in 0..options.points.unwrap_or(MOST_DAMAGES) {
        let room = workshop.path("harmed")?;
        copy_folder(&gold, &room)?;
        let part = if turn % 2 == 0 { "log" } else { "store" };
        let place = harm(&data(&room).join(part), damage, &mut dice)?;
        let verdict = verify(&room, session.acknowledged, session.sent)?;
        row.note_damage(&format!("{part}: {place}"), verdict);
    }
    Ok(row)
}

/// The first start: everything before the first answer.
fn until_ready(steps: &[Step]) -> &[Step] {
    let first = steps.iter().position(is_answer).unwrap_or(steps.len());
    &steps[..first]
}

fn runs(options: &Options) -> Option<u64> {
    Some(options.points.unwrap_or(MOST_RUNS))
}

/// One run to which nothing happens: its operations are the points of all trials.
pub(super) fn record(workshop: &Workshop) -> anyhow::Result<Session> {
    let session = post(workshop, &workshop.room("room")?, Fault::NONE, BATCHES)?;
    anyhow::ensure!(
        session.code == Some(0) && session.acknowledged == session.sent,
        "the server failed by itself: {:?}, {} of {}",
        session.code,
        session.acknowledged,
        session.sent
    );
    Ok(session)
}

fn kill_at(workshop: &Workshop, fault: Fault, batches: u64, row: &mut Row) -> anyhow::Result<()> {
    let room = workshop.room("room")?;
    let killed = post(workshop, &room, fault, batches)?;
    let verdict = verify(&room, killed.acknowledged, killed.sent)?;
    row.note(&format!("killed at operation {}", fault.at), verdict);
    Ok(())
}

fn cut_at(
    workshop: &Workshop,
    session: &Session,
    before: &Path,
    points: &[u64],
    dice: &mut Dice,
    row: &mut Row,
) -> anyhow::Result<()> {
    at_points(&session.steps, before, points, |disk, done, until| {
        let way = dice.below(4);
        let room = workshop.path("cut")?;
        leave(disk, way, dice, &room)?;
        let verdict = verify(&room, acknowledged(until), session.sent)?;
        row.note(&format!("cut after operation {done}, way {way}"), verdict);
        Ok(())
    })
}

fn fail(workshop: &Workshop, fault: Fault, dice: &mut Dice, row: &mut Row) -> anyhow::Result<()> {
    let point = format!("error at number {}", fault.at);
    let room = workshop.room("room")?;
    let before = workshop.room("before")?;
    let session = post(workshop, &room, fault, BATCHES)?;
    check_end(&point, fault, &session, row);
    let mut disk = Disk::found(&session.steps, &before)?;
    session.steps.iter().for_each(|step| disk.apply(step));
    let way = dice.below(4);
    let cut = workshop.path("cut")?;
    leave(&disk, way, dice, &cut)?;
    let verdict = verify(&cut, session.acknowledged, session.sent)?;
    row.note(&format!("{point}, power cut, way {way}"), verdict);
    let verdict = verify(&room, session.acknowledged, session.sent)?;
    row.note(&format!("{point}, restart"), verdict);
    Ok(())
}

/// When the log has met the error, nothing that came after is acknowledged and the process stops
/// with its code. One answer may be on its way: its batch was synced before, and is written to the
/// client by another thread; the power cut that follows tells whether it was. The state may fail as
/// it likes: it is computed again.
fn check_end(point: &str, fault: Fault, session: &Session, row: &mut Row) {
    let log = trace::below(&session.steps, "log");
    let hit = session.steps.iter().position(|step| match &step.event {
        Event::Sync { file, .. } | Event::Write { file, .. } => step.failed && log.contains(file),
        Event::SyncFolder { folder, .. } => step.failed && log.contains(folder),
        _ => false,
    });
    let Some(hit) = hit else { return };
    if acknowledged(&session.steps) > acknowledged(&session.steps[..hit]) + EVENTS_PER_BATCH {
        row.note_broken(format!("{point}: something was acknowledged after it"));
    }
    // A start that is refused says why; nothing was promised yet.
    let stopped = session.code == Some(i32::from(DISK_FAILED))
        || (!session.started && session.code.is_some_and(|code| code != 0));
    if !stopped {
        let what = fault.what;
        row.note_broken(format!("{point} ({what:?}): it ended with {:?}", session.code));
    }
}

/// Starts a server in `room` with this fault ahead of it, posts batches for as long as they are accepted, and waits
/// for its end.
fn post(workshop: &Workshop, room: &Path, fault: Fault, batches: u64) -> anyhow::Result<Session> {
    let trace = workshop.trace();
    let mut plan = Plan::new(data(room))?;
    plan.env = fault.environment(&workshop.shim, room, &trace);
    let mut server = Server::new(plan);
    server.spawn()?;
    let (mut sent, mut acknowledged) = (0, 0);
    let started = server.wait_until_ready(PATIENCE);
    if started.is_ok() {
        let mut client = server.client()?;
        let welcomed = client.go_live("hook", &hook()).is_ok();
        for batch in (0..batches).take_while(|_| welcomed) {
            let numbers = batch * EVENTS_PER_BATCH..(batch + 1) * EVENTS_PER_BATCH;
            sent = numbers.end;
            match client.batch(&numbers.map(numbered).collect::<Vec<_>>()) {
                Ok(answer) if answer.status == 200 => acknowledged = sent,
                Ok(_) | Err(_) => break,
            }
        }
    }
    let code = match &started {
        Ok(()) if acknowledged == batches * EVENTS_PER_BATCH && server.is_alive()? => {
            server.terminate()?.code()
        }
        Ok(()) => server.wait_for_its_end(PATIENCE)?.code(),
        Err(error) => code_in(&format!("{error:#}")),
    };
    server.kill()?;
    let steps = trace::read(&trace)?;
    Ok(Session { steps, sent, acknowledged, code, started: started.is_ok() })
}

/// The exit code in the words of a failed start.
fn code_in(words: &str) -> Option<i32> {
    let (_, rest) = words.split_once("exit status: ")?;
    rest.split(')').next()?.parse().ok()
}

/// A webhook that each event sends, so that decisions and deliveries are part of what must last.
fn hook() -> Json {
    json!({
        "name": "A hook",
        "trigger": {"kind": "event", "event": "tried"},
        "frequency": {"kind": "every_time"},
        "content": {"kind": "webhook", "url": "https://receiver.example/tried", "body": ""},
    })
}

fn numbered(number: u64) -> Json {
    let (id, user) = (format!("event-{number}"), format!("user-{}", number % USERS));
    event(&id, &user, "tried", &json!({NUMBER: number}))
}

/// Events that had been answered 200 by the end of these steps.
fn acknowledged(steps: &[Step]) -> u64 {
    let answers = steps.iter().filter(|step| is_answer(step));
    let good = |step: &&Step| match &step.event {
        Event::Said { text, .. } => text.get(9..12) == Some(b"200"),
        _ => false,
    };
    answers.skip(REQUESTS_BEFORE).filter(good).count() as u64 * EVENTS_PER_BATCH
}

fn is_answer(step: &Step) -> bool {
    matches!(&step.event, Event::Said { to, text } if *to > 2 && text.starts_with(b"HTTP/1.1 "))
}

/// A clean start on what is in `room`, and what it has.
pub(super) fn verify(room: &Path, acknowledged: u64, sent: u64) -> anyhow::Result<Verdict> {
    std::fs::create_dir_all(room)?;
    let mut server = Server::new(Plan::new(data(room))?);
    if let Err(error) = server.start_again() {
        return Ok(Verdict::Refused(format!("{error:#}")));
    }
    let found = match numbers(&mut server.client()?) {
        Ok(found) => found,
        Err(error) => return Ok(Verdict::Refused(format!("{error:#}"))),
    };
    let code = server.terminate()?.code();
    if code != Some(0) {
        return Ok(Verdict::Refused(format!("it does not end in order: {code:?}")));
    }
    if let Some((number, times)) =
        found.iter().find(|(number, times)| **number >= sent || **times > 1)
    {
        return Ok(Verdict::Silent(format!("event {number} of {sent} is there {times} times")));
    }
    let there = found.keys().filter(|number| **number < acknowledged).count() as u64;
    if there < acknowledged {
        return Ok(Verdict::Lost(format!("{there} of {acknowledged} acknowledged events")));
    }
    same_again(&data(room))
}

/// The state as it is against the state computed again from the log.
fn same_again(data: &Path) -> anyhow::Result<Verdict> {
    let hash = || -> anyhow::Result<[u8; 32]> {
        let host = Host::open(data, HostOptions::default())?;
        let hash = host.state_hash()?;
        host.close();
        Ok(hash)
    };
    let found = hash().context("opening the data folder")?;
    std::fs::remove_dir_all(data.join("store"))?;
    let again = hash().context("computing the state again")?;
    if found == again {
        return Ok(Verdict::Whole);
    }
    Ok(Verdict::Silent("the state is not what the log says".to_owned()))
}

/// How often each numbered event stands in the timelines.
fn numbers(client: &mut Client) -> anyhow::Result<BTreeMap<u64, u64>> {
    let mut found = BTreeMap::new();
    for user in 0..USERS {
        let path = format!("/api/v1/customers/user-{user}/timeline");
        if client.get(&path)?.status == 404 {
            continue;
        }
        for entry in client.all(&path)? {
            if let Some(number) = number_in(&entry) {
                *found.entry(number).or_insert(0) += 1;
            }
        }
    }
    Ok(found)
}

fn number_in(value: &Json) -> Option<u64> {
    match value {
        Json::Object(fields) => match fields.get(NUMBER) {
            Some(number) => number.as_u64(),
            None => fields.values().find_map(number_in),
        },
        Json::Array(items) => items.iter().find_map(number_in),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => None,
    }
}

/// The control of the kills: one event more is claimed to have been acknowledged than was.
fn forged(workshop: &Workshop) -> anyhow::Result<u64> {
    let room = workshop.room("room")?;
    let session = post(workshop, &room, Fault::NONE, 2)?;
    let verdict = verify(&room, session.acknowledged + 1, session.sent + 1)?;
    Ok(u64::from(matches!(verdict, Verdict::Lost(_))))
}
