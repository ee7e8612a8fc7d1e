//! Latency at a given rate: half and four fifths of what the server takes at most. Batches are due
//! at fixed moments whatever the server does, and count from then.

use crate::report::{Finding, Table};
use crate::setting::Setting;
use crate::stats::{number, percentile};
use crate::subject::{BATCH, Subject};

pub(crate) fn run(setting: &Setting) -> anyhow::Result<()> {
    let customers = setting.pick(10_000, 100_000, 100_000);
    let events = setting.pick(20_000, 200_000, 1_000_000);
    let seconds = setting.pick(2.0, 10.0, 60.0);
    let mut finding = Finding::new("open", "Latency at half and at four fifths of capacity");
    let subject = Subject::start(setting, "open")?;
    subject.publish(0, 100, std::time::Duration::from_secs(60))?;
    subject.import(0, customers)?;
    subject.events(1, events / 4, customers)?;
    let used = subject.used()?;
    subject.events(2, events, customers)?;
    let capacity = used.spent(subject.pid()?)?.per_second(events);
    let mut lines = Vec::new();
    for (run, share) in [(3, 0.5), (4, 0.8)] {
        let rate = capacity * share;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let count = (rate * seconds) as u64 / BATCH * BATCH;
        let used = subject.used()?;
        let done = subject.events_at(run, count, customers, rate)?;
        let spent = used.spent(subject.pid()?)?;
        let at = |percent| number(percentile(&done.latencies, percent));
        lines.push(vec![
            format!("{:.0} %", share * 100.0),
            number(rate),
            number(spent.per_second(count)),
            at(50.0),
            at(95.0),
            at(99.0),
            at(100.0),
            number(spent.micros_each(count)),
            done.refused.to_string(),
        ]);
    }
    let head = [
        "of capacity",
        "wanted/s",
        "reached/s",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "max ms",
        "CPU µs/event",
        "429s",
    ];
    finding.table(Table {
        title: "Batches of 100, from due to durably answered".to_owned(),
        head: head.map(str::to_owned).to_vec(),
        lines,
    });
    finding.note(format!(
        "Capacity here is what a closed load of 16 connections reached in the same run: {} events/s, \
         with the load on the same {} cores.",
        number(capacity),
        setting.machine.cores
    ));
    subject.finish()?;
    finding.save(setting)
}
