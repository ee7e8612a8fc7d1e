//! A one-off to everybody: a hundred thousand customers, several times over.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::process::Spent;
use crate::report::Finding;
use crate::setting::Setting;
use crate::stats::{Figure, number};
use crate::subject::Subject;
use crate::world;

const RUNS: u64 = 5;
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) fn run(setting: &Setting) -> anyhow::Result<()> {
    let customers = setting.pick(10_000, 100_000, 100_000);
    let shown = number(customers as f64);
    let mut finding = Finding::new("one-off", &format!("A one-off to {shown} customers"));
    let subject = Subject::start(setting, "one-off")?;
    subject.import(0, customers)?;
    let (mut wall, mut cpu) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let spent = launch(&subject, &format!("news-{run}"), customers)?;
        wall.push(spent.wall);
        cpu.push(spent.micros_each(customers));
    }
    finding.figure(Figure::new("launch to decided and durable for all", "s", wall));
    finding.figure(Figure::new("CPU per customer", "µs", cpu));
    finding.note("Five outreaches one after the other, to the same customers.");
    subject.finish()?;
    finding.save(setting)
}

/// Launch to everybody; done when every customer was decided on.
pub(crate) fn launch(subject: &Subject, id: &str, customers: u64) -> anyhow::Result<Spent> {
    let mut client = subject.client()?;
    let body = json!({"id": id, "definition": world::news()});
    client.post_json("/api/v1/outreaches", &body)?;
    let used = subject.used()?;
    client.post_json(&format!("/api/v1/outreaches/{id}/launch"), &Value::Null)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let outreach = client.get_json(&format!("/api/v1/outreaches/{id}"))?;
        let sends = outreach.pointer("/counts/sends").and_then(Value::as_u64).unwrap_or(0);
        if sends >= customers {
            // Counts may be a group commit ahead of the disk; one more command is behind it.
            let after = json!({"userId": "u0", "event": "after the launch"});
            client.post_json("/v1/track", &after)?;
            return used.spent(subject.pid()?);
        }
        anyhow::ensure!(Instant::now() < deadline, "{sends} of {customers} were decided");
        std::thread::sleep(Duration::from_millis(20));
    }
}
