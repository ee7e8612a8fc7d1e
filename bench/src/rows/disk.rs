//! What is written to the disk per event: to the log, and over all.

use crate::report::{Finding, Goal};
use crate::setting::Setting;
use crate::stats::{Figure, number};
use crate::subject::Subject;
use crate::world::EVENT_BYTES;

const RUNS: u64 = 5;

pub(crate) fn run(setting: &Setting) -> anyhow::Result<()> {
    let customers = setting.pick(10_000, 100_000, 100_000);
    let events = setting.pick(20_000, 300_000, 1_000_000);
    let mut finding = Finding::new("disk", "Bytes written per event");
    let mut subject = Subject::start(setting, "disk")?;
    subject.publish(0, 100, std::time::Duration::from_secs(60))?;
    subject.import(0, customers)?;
    let (mut log, mut all) = (Vec::new(), Vec::new());
    for run in 1..=RUNS {
        // Each run begins and ends with a stopped server: the log has a definite end, and what
        // checkpoints write late belongs to the run that made it.
        subject.server.terminate()?;
        let before = log_end(&subject)?;
        subject.server.start_again()?;
        let used = subject.used()?;
        subject.events(run, events, customers)?;
        // A checkpoint comes every ten seconds; two of them have written all.
        std::thread::sleep(std::time::Duration::from_secs(
            if setting.size == crate::setting::Size::Quick { 1 } else { 11 },
        ));
        let spent = used.spent(subject.pid()?)?;
        subject.server.terminate()?;
        log.push((log_end(&subject)? - before) as f64 / events as f64);
        all.push(spent.written as f64 / events as f64);
        subject.server.start_again()?;
    }
    let bytes = EVENT_BYTES as f64;
    let log = Figure::new("bytes of log per event", "B", log);
    let all = Figure::new("bytes that the process made the disk write per event", "B", all);
    finding.figure(log.clone());
    finding.figure(all.clone());
    finding.note(format!(
        "Events of {EVENT_BYTES} bytes as they stand in the batch; {} a run, {} customers, 100 live \
         outreaches, batches of 100. The second figure is `write_bytes` of /proc: log with its \
         preallocation, journal and tables of the state, compaction.",
        number(events as f64),
        number(customers as f64)
    ));
    subject.finish()?;
    let ratio = log.median() / bytes;
    finding.goal(Goal {
        what: "disk written per 300-byte event: to the log",
        goal: "≤ 1.3 × its bytes",
        measured: format!("{ratio:.2} × ({})", log.shown()),
        met: ratio <= 1.3,
        why: String::new(),
    });
    let ratio = all.median() / bytes;
    finding.goal(Goal {
        what: "disk written per 300-byte event: over all",
        goal: "≤ 3 × its bytes",
        measured: format!("{ratio:.2} × ({})", all.shown()),
        met: ratio <= 3.0,
        why: "A checkpoint writes the row of every customer who changed, and the state store \
              writes it again in its journal and its tables; with 100,000 customers and so few \
              events each, nearly every event pays for a row. Next: the time of an event beside \
              the row instead of in it."
            .to_owned(),
    });
    finding.save(setting)
}

fn log_end(subject: &Subject) -> anyhow::Result<u64> {
    Ok(store::log::verify(&subject.server.data().join("log"))?.end)
}
