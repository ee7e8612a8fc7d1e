//! A small disk that is really full: it is refused in the right words, what was acknowledged stays, and when there is
//! room again it goes on by itself.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Options;
use super::naive::Flaw;
use super::server::{NUMBER, verify};
use super::subject::{Refusal, Sizes, Store, Subject, Verdict, payload};
use super::table::Row;
use super::workshop::{Workshop, data};
use crate::client::{Client, Response, event};
use crate::dice::Dice;
use crate::server::{PATIENCE, Plan, Server};

const LOG_DISK: &str = "1m";
/// A segment of the log and what the state needs, and room for a ballast.
const SERVER_DISK: &str = "256m";
/// More records than the small disk can hold.
const MOST_RECORDS: u64 = 20_000;
/// Segments are large, so events are too: a segment is full after some thousands of them.
const EVENT_BYTES: usize = 8 * 1024;
const EVENTS_PER_BATCH: u64 = 50;
const MOST_BATCHES: u64 = 1_000;

/// A tmpfs of its own; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None with the reason when the system does not let us.
    fn mount(at: PathBuf, size: &str) -> anyhow::Result<Result<SmallDisk, String>> {
        let size = format!("size={size}");
        let mount =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&at).output();
        Ok(match mount {
            Ok(done) if done.status.success() => Ok(SmallDisk(at)),
            Ok(done) => Err(String::from_utf8_lossy(&done.stderr).trim().to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Takes all the room there is but so much.
    fn fill(&self, spare: usize) -> anyhow::Result<Ballast> {
        let path = self.0.join("ballast");
        let mut file = File::create(&path)?;
        while file.write_all(&[7; 4096]).is_ok() {}
        let size = file.metadata()?.len();
        file.set_len(size.saturating_sub(spare as u64))?;
        Ok(Ballast(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still looks into it shall not keep it.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}

struct Ballast(PathBuf);

impl Ballast {
    fn remove(self) -> anyhow::Result<()> {
        Ok(fs::remove_file(self.0)?)
    }
}

/// The log on a full disk, with a little room left, a different little each time.
pub(super) fn log(workshop: &Workshop, options: &Options) -> anyhow::Result<Row> {
    let mut row = Row::new("log: full disk (tmpfs)");
    let rounds = options.points.map_or(40, |points| points.div_ceil(10).max(3));
    let mut dice = Dice::new(options.seed ^ 30);
    let mut control = Row::new("");
    for round in 0..rounds {
        let spare = dice.below(128 * 1024) as usize;
        for (subject, row) in
            [(Subject::Log, &mut row), (Subject::Naive(Flaw::NoCutBack), &mut control)]
        {
            let disk = match SmallDisk::mount(workshop.room("disk")?, LOG_DISK)? {
                Ok(disk) => disk,
                Err(why) => {
                    row.skipped = Some(format!("no tmpfs can be mounted: {why}"));
                    break;
                }
            };
            let verdict = fill_and_free(&disk, subject, spare)?;
            row.note(&format!("round {round}, {spare} bytes left"), verdict);
        }
    }
    if row.skipped.is_none() {
        row.controls.push((Flaw::NoCutBack.name().to_owned(), control.guilty()));
    }
    Ok(row)
}

fn fill_and_free(disk: &SmallDisk, subject: Subject, spare: usize) -> anyhow::Result<Verdict> {
    let dir = disk.0.join("data");
    let (mut store, _) = subject.open(&dir)?;
    let ballast = disk.fill(spare)?;
    let mut writer = Writer { count: 0, staged: false };
    let refusal = loop {
        match writer.write(&mut store) {
            Ok(()) if writer.count < MOST_RECORDS => {}
            Ok(()) => anyhow::bail!("the small disk does not become full"),
            Err(refusal) => break refusal,
        }
    };
    if let Refusal::Stopped(why) = refusal {
        return Ok(Verdict::Refused(format!("it stopped on a full disk: {why}")));
    }
    ballast.remove()?;
    // By itself, and soon; nobody measures how soon.
    let deadline = Instant::now() + PATIENCE;
    for _ in 0..20 {
        while let Err(refusal) = writer.write(&mut store) {
            if matches!(refusal, Refusal::Stopped(_)) || Instant::now() > deadline {
                return Ok(Verdict::Refused(format!("it does not go on: {refusal}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    drop(store);
    Ok(subject.judge(&dir, writer.count, Sizes::Mixed))
}

/// Writes one record after the other; what a full disk left staged is not brought again.
struct Writer {
    count: u64,
    staged: bool,
}

impl Writer {
    fn write(&mut self, store: &mut Store) -> Result<(), Refusal> {
        if !self.staged {
            store.append(&payload(self.count, Sizes::Mixed))?;
        }
        self.staged = store.keeps_staged();
        store.commit()?;
        self.staged = false;
        self.count += 1;
        Ok(())
    }
}

/// The server on a full disk: 507 for events, answers for readers, and on by itself.
pub(super) fn server(workshop: &Workshop) -> anyhow::Result<Row> {
    let mut row = Row::new("server: full disk (tmpfs)");
    let disk = match SmallDisk::mount(workshop.room("disk")?, SERVER_DISK)? {
        Ok(disk) => disk,
        Err(why) => {
            row.skipped = Some(format!("no tmpfs can be mounted: {why}"));
            return Ok(row);
        }
    };
    let mut server = Server::start(Plan::new(data(&disk.0))?)?;
    let mut client = server.client()?;
    let ballast = disk.fill(0)?;
    let mut batch = 0;
    let refused = loop {
        let answer = post(&mut client, batch)?;
        if answer.status != 200 || batch > MOST_BATCHES {
            break answer;
        }
        batch += 1;
    };
    if refused.status != 507 || refused.header("retry-after").is_none() {
        row.note_broken(format!(
            "it answers {} on a full disk: {}",
            refused.status,
            refused.text()
        ));
    }
    let reading = client.get("/api/v1/customers/user-0")?.status;
    if reading != 200 {
        row.note_broken(format!("a reader is answered {reading} while the disk is full"));
    }
    ballast.remove()?;
    let deadline = Instant::now() + PATIENCE;
    let more = batch + 5;
    while batch < more && Instant::now() < deadline {
        match post(&mut client, batch)?.status {
            200 => batch += 1,
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
    if batch < more {
        row.note_broken("it does not go on when there is room again".to_owned());
    }
    let code = server.terminate()?.code();
    if code != Some(0) {
        row.note_broken(format!("it ended with {code:?}"));
    }
    let sent = (batch + 1) * EVENTS_PER_BATCH;
    let verdict = verify(&disk.0, batch * EVENTS_PER_BATCH, sent)?;
    row.note("filled, freed, stopped", verdict);
    Ok(row)
}

fn post(client: &mut Client, batch: u64) -> anyhow::Result<Response> {
    let numbers = batch * EVENTS_PER_BATCH..(batch + 1) * EVENTS_PER_BATCH;
    let large = "x".repeat(EVENT_BYTES);
    let numbered = |number: u64| {
        let (id, user) = (format!("event-{number}"), format!("user-{}", number % 5));
        event(&id, &user, "filled", &json!({NUMBER: number, "large": large}))
    };
    client.batch(&numbers.map(numbered).collect::<Vec<_>>())
}
