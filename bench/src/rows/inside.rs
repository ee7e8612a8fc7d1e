//! The same inside the process: commands handed to the host, without HTTP and JSON of batches.
//!
//! A child of ours is the process, so that its CPU is the host's and nobody else's. What makes the
//! commands runs between the measured parts; they wait ready in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command as Process, Stdio};

use anyhow::{Context as _, anyhow};
use engine::fact::Names;
use engine::ids::ProjectNo;
use engine::project::{ProjectChange, Status};
use engine::time::Timestamp;
use engine::value::Value;
use host::command::{Command, Submission, Track};
use host::{Clock, Host, Options};
use serde_json::{Value as Json, json};

use crate::process::Used;
use crate::report::{Finding, Goal};
use crate::setting::Setting;
use crate::stats::Figure;
use crate::subject::BATCH;
use crate::world;

const SHOP: ProjectNo = ProjectNo(1);
const RUNS: u64 = 5;
/// Commands made at a time; they wait in memory until the clock runs.
const READY: u64 = 100_000;
/// Commands that may wait in the host before we pause.
const WAITING: usize = 20_000;

pub(crate) fn run(setting: &Setting) -> anyhow::Result<()> {
    let customers: u64 = setting.pick(10_000, 100_000, 100_000);
    let events: u64 = setting.pick(20_000, 300_000, 1_000_000);
    let folder = setting.scratch.join("inside");
    let child = Process::new(std::env::current_exe()?)
        .arg("inside-child")
        .arg(&folder)
        .args([customers.to_string(), events.to_string(), "100".to_owned()])
        .stderr(Stdio::inherit())
        .output()?;
    anyhow::ensure!(child.status.success(), "the child failed: {}", child.status);
    let answer: Json = serde_json::from_slice(&child.stdout).context("the child's answer")?;
    let runs = |key: &str| -> Vec<f64> {
        answer
            .get(key)
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .flat_map(Json::as_f64)
            .collect()
    };
    let mut finding = Finding::new("inside", "Ingest and decide inside the process");
    let cpu = Figure::new("CPU per event, 100 live outreaches", "µs", runs("cpu"));
    finding.figure(cpu.clone());
    finding.figure(Figure::new("events per second", "/s", runs("rate")));
    finding.figure(Figure::new(
        "CPU per attribute write (20 attributes, new customer)",
        "µs",
        runs("identify"),
    ));
    finding.note(
        "Submissions of 100 commands to the host, durable; all threads of the process. The \
         checkpoints that fall into the time count.",
    );
    finding.goal(Goal {
        what: "ingest + decide inside the process",
        goal: "≤ 3 µs CPU per event",
        measured: cpu.shown(),
        met: cpu.median() <= 3.0,
        why: String::new(),
    });
    std::fs::remove_dir_all(&folder)?;
    finding.save(setting)
}

/// The child: `inside-child FOLDER CUSTOMERS EVENTS OUTREACHES`.
pub(crate) fn child(arguments: &[&str]) -> anyhow::Result<()> {
    let [folder, customers, events, outreaches] = arguments else {
        return Err(anyhow!("inside-child FOLDER CUSTOMERS EVENTS OUTREACHES"));
    };
    let (customers, events): (u64, u64) = (customers.parse()?, events.parse()?);
    let options = Options { clock: Clock::Wall, ..Options::default() };
    let host = Host::open(Path::new(folder), options)?;
    change(&host, ProjectChange::Created { id: "shop".into() })?;
    for number in 0..outreaches.parse()? {
        let id = format!("o{number}");
        let definition = world::outreach(number).to_string();
        let author = String::new();
        change(&host, ProjectChange::OutreachSaved { id: id.clone(), definition, author })?;
        change(&host, ProjectChange::StatusSet { id, status: Status::Live })?;
    }
    let (identify, _) = send(&host, customers, identify)?;
    let (mut cpu, mut rate) = (Vec::new(), Vec::new());
    send(&host, events / 4, |number| track(0, number, customers))?;
    for run in 1..=RUNS {
        let (micros, per_second) = send(&host, events, |number| track(run, number, customers))?;
        cpu.push(micros);
        rate.push(per_second);
    }
    host.close();
    println!("{}", json!({"cpu": cpu, "rate": rate, "identify": [identify]}));
    Ok(())
}

/// Microseconds of CPU for each command, and commands per second.
fn send(host: &Host, count: u64, make: impl Fn(u64) -> Command) -> anyhow::Result<(f64, f64)> {
    let (mut cpu, mut wall) = (0.0, 0.0);
    for begin in (0..count).step_by(usize::try_from(READY)?) {
        let end = count.min(begin + READY);
        let mut ready: Vec<Vec<Command>> = Vec::new();
        for batch in (begin..end).step_by(usize::try_from(BATCH)?) {
            ready.push((batch..end.min(batch + BATCH)).map(&make).collect());
        }
        let used = Used::by(std::process::id())?;
        for commands in ready {
            host.submit(Submission { project: SHOP, commands }, Box::new(|_| {}));
            while host.waiting().0 > WAITING {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
        host.wait_idle();
        let spent = used.spent(std::process::id())?;
        cpu += spent.cpu;
        wall += spent.wall;
    }
    Ok((cpu * 1e6 / count as f64, count as f64 / wall))
}

fn change(host: &Host, change: ProjectChange) -> anyhow::Result<()> {
    let submission = Submission { project: SHOP, commands: vec![Command::Change(change)] };
    let answer = host.submit_and_wait(submission)?.pop().context("no answer")?;
    answer.map(|_| ()).map_err(|refused| anyhow!("{refused}"))
}

fn named(user: u64) -> Names {
    Names { user_id: Some(format!("u{user}")), anonymous_id: None }
}

fn track(run: u64, number: u64, customers: u64) -> Command {
    let (user, name, properties) = world::event_parts(run, number, customers);
    Command::Track(Track {
        names: named(user),
        message_id: world::message(run, number),
        name,
        at: Timestamp(i64::MAX),
        properties,
        changes: BTreeMap::new(),
        historical: false,
        page: None,
    })
}

fn identify(number: u64) -> Command {
    let mut text = String::new();
    world::customer(number, &mut text);
    let json: Json = serde_json::from_str(&text).unwrap_or_default();
    let traits = json.get("traits").and_then(Json::as_object).into_iter().flatten();
    let changes = traits.map(|(key, value)| (key.clone(), Value::from_json(value))).collect();
    Command::Identify {
        names: named(number),
        message_id: format!("c{number:x}"),
        changes,
        historical: false,
    }
}
