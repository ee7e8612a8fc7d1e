//! What grows with what: the cost of an event and of a count with the number of customers, the
//! cost of an event with the number of outreaches and with the length of histories.

use std::time::Duration;

use serde_json::{Value, json};

use crate::chart::Chart;
use crate::report::{Finding, Table};
use crate::setting::Setting;
use crate::stats::{Figure, number};
use crate::subject::Subject;

const RUNS: u64 = 3;

pub(crate) fn run(setting: &Setting) -> anyhow::Result<()> {
    let mut finding = Finding::new("growth", "What grows with what");
    customers(setting, &mut finding)?;
    outreaches(setting, &mut finding)?;
    histories(setting, &mut finding)?;
    finding.save(setting)
}

/// Five conditions, one of them on what happened in the last 30 days.
fn filter() -> Value {
    let is = |key: &str, value: &str| json!({"kind": "attribute", "attribute": key, "test": {"kind": "is", "value": value}});
    json!({"kind": "all", "conditions": [
        is("plan", "pro"),
        {"kind": "any", "conditions": [is("country", "de"), is("country", "fr")]},
        {"kind": "attribute", "attribute": "age", "test": {"kind": "at_least", "value": 30}},
        {"kind": "custom_attribute", "attribute": "attribute3",
            "test": {"kind": "is_not", "value": "value 7"}},
        {"kind": "event", "event": "event 3",
            "test": {"kind": "count", "count": {"kind": "at_least", "n": 1}},
            "window": {"kind": "last", "amount": 30, "unit": "days"}},
    ]})
}

fn customers(setting: &Setting, finding: &mut Finding) -> anyhow::Result<()> {
    let ladder: &[u64] = setting.pick(
        &[1_000, 10_000, 50_000],
        &[10_000, 100_000, 1_000_000],
        &[10_000, 100_000, 1_000_000, 5_000_000],
    );
    let events = setting.pick(20_000, 100_000, 200_000);
    let subject = Subject::start(setting, "growth-customers")?;
    subject.publish(0, 100, Duration::from_secs(60))?;
    let mut client = subject.client()?;
    let (mut known, mut per_event, mut per_count, mut lines) =
        (0, Vec::new(), Vec::new(), Vec::new());
    for (step, customers) in ladder.iter().copied().enumerate() {
        subject.import(known, customers)?;
        known = customers;
        let what = format!("CPU per event, {} customers", number(customers as f64));
        let cpu = events_cost(&subject, 10 * (step as u64 + 1), events, customers, &what)?;
        subject.count(&mut client, &filter())?;
        let mut counts = Vec::new();
        for _ in 0..5 {
            // Small counts are below one tick of the clock, so several of them make a run.
            let times = (200_000 / customers).max(1);
            let used = subject.used()?;
            for _ in 0..times {
                subject.count(&mut client, &filter())?;
            }
            counts.push(used.spent(subject.pid()?)?.cpu * 1e3 / times as f64);
        }
        let counts = Figure::new(
            &format!("CPU of a count, {} customers", number(customers as f64)),
            "ms",
            counts,
        );
        finding.figure(cpu.clone());
        finding.figure(counts.clone());
        per_event.push((customers as f64, cpu.median()));
        per_count.push((customers as f64, counts.median()));
        lines.push(vec![number(customers as f64), cpu.shown(), counts.shown()]);
    }
    subject.finish()?;
    let head = ["customers", "CPU per event", "CPU per count of five conditions"];
    finding.table(Table {
        title: "With the number of customers (100 live outreaches)".to_owned(),
        head: head.map(str::to_owned).to_vec(),
        lines,
    });
    let chart = Chart {
        title: "Cost with the number of customers".to_owned(),
        across: "customers".to_owned(),
        up: "CPU".to_owned(),
        series: vec![("an event, µs".to_owned(), per_event), ("a count, ms".to_owned(), per_count)],
    };
    chart.save(setting, "customers")
}

fn outreaches(setting: &Setting, finding: &mut Finding) -> anyhow::Result<()> {
    let ladder: &[u64] =
        setting.pick(&[10, 100, 1_000], &[10, 1_000, 100_000], &[10, 100, 1_000, 10_000, 100_000]);
    // Making them is not what is measured, and a hundred thousand may take for ever.
    let patience = Duration::from_secs(setting.pick(10, 45, 1_800));
    let events = setting.pick(20_000, 100_000, 200_000);
    let customers = 10_000;
    let subject = Subject::start(setting, "growth-outreaches")?;
    subject.import(0, customers)?;
    let (mut known, mut points, mut lines) = (0, Vec::new(), Vec::new());
    for (step, wanted) in ladder.iter().copied().enumerate() {
        let used = subject.used()?;
        let complete = subject.publish(known, wanted, patience)?;
        let spent = used.spent(subject.pid()?)?;
        let live = subject.live()?;
        let what = format!("CPU per event, {} live outreaches", number(live as f64));
        let first_run = 1_000 * (step as u64 + 1);
        let cpu = events_cost(&subject, first_run, events, customers, &what)?;
        points.push((live as f64, cpu.median()));
        let making = spent.cpu * 1e3 / (live - known).max(1) as f64;
        lines.push(vec![number(live as f64), cpu.shown(), format!("{} ms", number(making))]);
        finding.figure(cpu);
        known = live;
        if !complete {
            finding.note(format!(
                "{} outreaches were wanted; after {} s of making them {} were live, and that was measured.",
                number(wanted as f64), patience.as_secs(), number(live as f64)
            ));
            break;
        }
    }
    subject.finish()?;
    let head = ["live outreaches", "CPU per event", "CPU to make one and go live"];
    finding.table(Table {
        title: "With the number of live outreaches (10,000 customers, 20 names of events)"
            .to_owned(),
        head: head.map(str::to_owned).to_vec(),
        lines,
    });
    let chart = Chart {
        title: "Cost of an event with the number of live outreaches".to_owned(),
        across: "live outreaches".to_owned(),
        up: "CPU, µs".to_owned(),
        series: vec![("an event, µs".to_owned(), points)],
    };
    chart.save(setting, "outreaches")
}

fn histories(setting: &Setting, finding: &mut Finding) -> anyhow::Result<()> {
    // Events of each customer, and how many customers.
    let ladder: &[(u64, u64)] = setting.pick(
        &[(10, 1_000), (1_000, 20)],
        &[(10, 2_000), (1_000, 100), (100_000, 2)],
        &[(10, 10_000), (1_000, 1_000), (100_000, 10)],
    );
    let events = setting.pick(5_000, 20_000, 50_000);
    let (mut points, mut lines) = (Vec::new(), Vec::new());
    for (step, (length, customers)) in ladder.iter().copied().enumerate() {
        let subject = Subject::start(setting, &format!("growth-history-{length}"))?;
        subject.publish(0, 100, Duration::from_secs(60))?;
        subject.import(0, customers)?;
        subject.events(5, length * customers, customers)?;
        let what = format!("CPU per event, histories of {} events", number(length as f64));
        let first_run = 10_000 * (step as u64 + 1);
        let cpu = events_cost(&subject, first_run, events, customers, &what)?;
        points.push((length as f64, cpu.median()));
        lines.push(vec![number(length as f64), number(customers as f64), cpu.shown()]);
        finding.figure(cpu);
        subject.finish()?;
    }
    let head = ["events of each customer", "customers", "CPU per event"];
    finding.table(Table {
        title: "With the length of a customer's history (100 live outreaches)".to_owned(),
        head: head.map(str::to_owned).to_vec(),
        lines,
    });
    let chart = Chart {
        title: "Cost of an event with the length of the customer's history".to_owned(),
        across: "events in the history of each customer".to_owned(),
        up: "CPU, µs".to_owned(),
        series: vec![("an event, µs".to_owned(), points)],
    };
    chart.save(setting, "histories")
}

fn events_cost(
    subject: &Subject,
    run: u64,
    events: u64,
    customers: u64,
    what: &str,
) -> anyhow::Result<Figure> {
    let mut runs = Vec::new();
    for turn in 0..RUNS {
        let used = subject.used()?;
        subject.events(run + turn, events, customers)?;
        runs.push(used.spent(subject.pid()?)?.micros_each(events));
    }
    Ok(Figure::new(what, "µs", runs))
}
