//! Ingest and decide, the whole server: batches of 100 over HTTP, with 100 live outreaches and
//! with 1,000.

use std::time::Duration;

use crate::report::{Finding, Goal};
use crate::setting::Setting;
use crate::stats::{Figure, number};
use crate::subject::Subject;

const RUNS: u64 = 5;
/// Nobody waits longer for outreaches to go live.
const PATIENCE: Duration = Duration::from_secs(120);

/// What five runs of a load showed.
pub(crate) struct Ladder {
    /// Microseconds of CPU per event.
    pub(crate) cpu: Figure,
    /// Events per second on the wall.
    pub(crate) rate: Figure,
    /// Decisions per event.
    pub(crate) decisions: f64,
}

pub(crate) fn run(setting: &Setting) -> anyhow::Result<()> {
    let customers = setting.pick(10_000, 100_000, 100_000);
    let events = setting.pick(20_000, 200_000, 1_000_000);
    let mut finding = Finding::new("ingest", "Ingest and decide over HTTP");
    let subject = Subject::start(setting, "ingest")?;
    subject.publish(0, 100, PATIENCE)?;
    subject.import(0, customers)?;
    let hundred = measure(&subject, 1, events, customers, "100 live outreaches")?;
    finding.figure(hundred.cpu.clone());
    finding.figure(hundred.rate.clone());
    subject.publish(100, 1_000, PATIENCE)?;
    let thousand = measure(&subject, 20, events, customers, "1,000 live outreaches")?;
    finding.figure(thousand.cpu.clone());
    finding.figure(thousand.rate.clone());
    finding.note(format!(
        "{} customers, {} events a run of 300 bytes each, 16 connections; decisions per event: {} \
         with 100 outreaches, {} with 1,000.",
        number(customers as f64),
        number(events as f64),
        number(hundred.decisions),
        number(thousand.decisions)
    ));
    subject.finish()?;
    let (cpu, rate) = (hundred.cpu.median(), hundred.rate.median());
    finding.goal(Goal {
        what: "ingest + decide, 100 live outreaches, batches of 100 over HTTP, whole server process: CPU",
        goal: "≤ 10 µs CPU per event",
        measured: hundred.cpu.shown(),
        met: cpu <= 10.0,
        why: String::new(),
    });
    finding.goal(Goal {
        what: "the same: events per second",
        goal: "≥ 100 k events/s",
        measured: hundred.rate.shown(),
        met: rate >= 100_000.0,
        why: format!(
            "The load runs on the same {} cores as the server; by CPU alone the server would take {} \
             events/s and core.",
            setting.machine.cores,
            number(1e6 / cpu)
        ),
    });
    let ratio = thousand.cpu.median() / cpu;
    finding.goal(Goal {
        what: "1,000 live outreaches instead of 100",
        goal: "≤ 1.5 × the CPU",
        measured: format!("{ratio:.2} × ({})", thousand.cpu.shown()),
        met: ratio <= 1.5,
        why: format!(
            "Ten times the outreaches also make {} decisions per event instead of {}.",
            number(thousand.decisions),
            number(hundred.decisions)
        ),
    });
    finding.save(setting)
}

/// Five runs of so many events, after one that warms up.
pub(crate) fn measure(
    subject: &Subject,
    first_run: u64,
    events: u64,
    customers: u64,
    what: &str,
) -> anyhow::Result<Ladder> {
    subject.events(first_run, events / 4, customers)?;
    let (mut cpu, mut rate) = (Vec::new(), Vec::new());
    let before = subject.decisions()?;
    for run in 1..=RUNS {
        let used = subject.used()?;
        subject.events(first_run + run, events, customers)?;
        let spent = used.spent(subject.pid()?)?;
        cpu.push(spent.micros_each(events));
        rate.push(spent.per_second(events));
    }
    let decisions = (subject.decisions()? - before) as f64 / (RUNS * events) as f64;
    Ok(Ladder {
        cpu: Figure::new(&format!("CPU per event, {what}"), "µs", cpu),
        rate: Figure::new(&format!("events per second, {what}"), "/s", rate),
        decisions,
    })
}
