//! A million customers of twenty attributes on one server: what they cost in memory, what it does
//! when nothing happens, a one-off to all of them, and a start after a kill.

use std::time::{Duration, Instant};

use crate::process::{most_resident, resident};
use crate::report::{Finding, Goal};
use crate::rows::one_off::launch;
use crate::setting::Setting;
use crate::stats::{Figure, number};
use crate::subject::{BATCH, Subject};

const MIB: f64 = 1024.0 * 1024.0;
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) fn run(setting: &Setting) -> anyhow::Result<()> {
    let customers: u64 = setting.pick(50_000, 1_000_000, 1_000_000);
    let events: u64 = setting.pick(50_000, 1_000_000, 50_000_000);
    let mut finding = Finding::new("million", "A million customers");
    let mut subject = Subject::start(setting, "million")?;
    std::thread::sleep(Duration::from_secs(1));
    let empty = resident(subject.pid()?)? as f64 / MIB;
    finding.figure(Figure::new("memory of the empty server", "MiB", vec![empty]));
    subject.publish(0, 1_000, PATIENCE)?;
    import(&mut finding, &subject, customers)?;
    memory(&mut finding, &subject, customers, events, empty)?;
    idle(setting, &mut finding, &subject, customers)?;
    let spent = launch(&subject, "news", customers)?;
    let shown = number(customers as f64);
    let what = format!("one-off to {shown} customers, decided and durable");
    finding.figure(Figure::new(&what, "s", vec![spent.wall]));
    let each = spent.micros_each(customers);
    finding.figure(Figure::new("one-off, CPU per customer", "µs", vec![each]));
    let held = resident(subject.pid()?)? as f64 / MIB;
    finding.figure(Figure::new("memory after the one-off", "MiB", vec![held]));
    finding.goal(Goal {
        what: "one-off to 1 M customers, decided and durable",
        goal: "≤ 20 s",
        measured: format!(
            "{} s to {shown} customers ({} s of CPU)",
            number(spent.wall),
            number(spent.cpu)
        ),
        met: spent.wall * 1e6 / customers as f64 <= 20.0,
        why: String::new(),
    });
    restart(setting, &mut finding, &mut subject, customers)?;
    subject.finish()?;
    finding.save(setting)
}

fn import(finding: &mut Finding, subject: &Subject, customers: u64) -> anyhow::Result<()> {
    let used = subject.used()?;
    subject.import(0, customers)?;
    let spent = used.spent(subject.pid()?)?;
    finding.figure(Figure::new(
        "import of a customer over HTTP, CPU",
        "µs",
        vec![spent.micros_each(customers)],
    ));
    finding.figure(Figure::new(
        "import of customers over HTTP",
        "/s",
        vec![spent.per_second(customers)],
    ));
    Ok(())
}

fn memory(
    finding: &mut Finding,
    subject: &Subject,
    customers: u64,
    events: u64,
    empty: f64,
) -> anyhow::Result<()> {
    settle(subject)?;
    let pid = subject.pid()?;
    let with_customers = resident(pid)? as f64 / MIB;
    subject.events(1, events / BATCH * BATCH, customers)?;
    settle(subject)?;
    let with_events = resident(pid)? as f64 / MIB;
    let most = most_resident(pid)? as f64 / MIB;
    finding.figure(Figure::new(
        &format!("memory with {} customers", number(customers as f64)),
        "MiB",
        vec![with_customers],
    ));
    finding.figure(Figure::new(
        &format!("memory with {} events of theirs", number(events as f64)),
        "MiB",
        vec![with_events],
    ));
    finding.figure(Figure::new("most memory so far", "MiB", vec![most]));
    let per_event = (with_events - with_customers).max(0.0) * MIB / events as f64;
    let at_goal = (with_customers * 1e6 / customers as f64) + per_event * 50e6 / MIB;
    finding.figure(Figure::new("memory per event of history", "B", vec![per_event]));
    finding.goal(Goal {
        what: "memory, 1 M customers × 20 attributes with 50 M events of history",
        goal: "≤ 1.5 GB",
        measured: format!(
            "{} MiB with {} events; carried on to 50 M events {} MiB",
            number(with_events),
            number(events as f64),
            number(at_goal)
        ),
        met: at_goal * MIB <= 1.5e9,
        why: "Customers in memory are bounded, so the straight line is too high: the ids of the \
              latest events and what no checkpoint has written yet fill up first. `--whole` sends \
              all 50 M."
            .to_owned(),
    });
    finding.goal(Goal {
        what: "memory of the empty server",
        goal: "≤ 60 MB",
        measured: format!("{} MiB", number(empty)),
        met: empty * MIB <= 60e6,
        why: String::new(),
    });
    Ok(())
}

/// Wait until nothing is written any more: CPU stands still for two seconds.
fn settle(subject: &Subject) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let used = subject.used()?;
        std::thread::sleep(Duration::from_secs(2));
        if used.spent(subject.pid()?)?.cpu < 0.03 || Instant::now() > deadline {
            return Ok(());
        }
    }
}

fn idle(
    setting: &Setting,
    finding: &mut Finding,
    subject: &Subject,
    customers: u64,
) -> anyhow::Result<()> {
    let mut shares = Vec::new();
    for _ in 0..setting.pick(1, 2, 5) {
        let used = subject.used()?;
        std::thread::sleep(Duration::from_secs(10));
        let spent = used.spent(subject.pid()?)?;
        shares.push(spent.cpu / spent.wall * 100.0);
    }
    let figure = Figure::new(
        &format!("idle with 1,000 live outreaches and {} customers", number(customers as f64)),
        "% of a core",
        shares,
    );
    finding.figure(figure.clone());
    finding.goal(Goal {
        what: "idle with 1,000 live outreaches, 1 M customers",
        goal: "< 0.5 % of a core",
        measured: figure.shown(),
        met: figure.median() < 0.5,
        why: String::new(),
    });
    Ok(())
}

fn restart(
    setting: &Setting,
    finding: &mut Finding,
    subject: &mut Subject,
    customers: u64,
) -> anyhow::Result<()> {
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for turn in 0..setting.pick(1, 3, 5) {
        // A second of traffic before each kill, so that there is a tail to replay.
        subject.events(1_000 + turn, 20_000, customers)?;
        subject.server.kill()?;
        let began = Instant::now();
        subject.server.start_again()?;
        walls.push(began.elapsed().as_secs_f64());
        cpus.push(crate::process::cpu_seconds(subject.pid()?)?);
    }
    let wall = Figure::new(
        &format!("start after kill -9 with {} customers", number(customers as f64)),
        "s",
        walls,
    );
    finding.figure(wall.clone());
    finding.figure(Figure::new("the same, CPU", "s", cpus));
    finding.goal(Goal {
        what: "start after kill -9, 1 M customers",
        goal: "≤ 3 s",
        measured: wall.shown(),
        met: wall.median() * 1e6 / customers as f64 <= 3.0,
        why: "Until ready to serve, with 20,000 events since the latest checkpoint at most."
            .to_owned(),
    });
    Ok(())
}
