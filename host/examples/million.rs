//! A million customers with room for some of them: memory, start after a hard stop, and what an
//! event costs when its customer is in memory and when not.
//!
//! `cargo run --release -p tidings-host --example million -- build DIR` makes them and ends without
//! a goodbye; `open DIR` starts on what that left; `events DIR` plays events over few and
//! over all.
//! `CUSTOMERS`, `EVENTS` (of each) and `CUSTOMERS_MB` change
//! the size.

#![expect(clippy::unwrap_used, reason = "a measurement that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use engine::fact::Names;
use engine::ids::ProjectNo;
use engine::project::ProjectChange;
use engine::time::Timestamp;
use engine::value::Value;
use host::command::{Command, Submission, Track};
use host::{Clock, Host, Options};

const SHOP: ProjectNo = ProjectNo(1);
const NOON: i64 = 1_795_348_800_000;
const BATCH: u64 = 500;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}

fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

fn timed<T>(what: &str, count: u64, work: impl FnOnce() -> T) -> T {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let done = work();
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let each = cpu * 1e6 / count as f64;
    println!("{what}: {wall:.2} s wall, {cpu:.2} s CPU, {each:.2} us each; {} MB RSS", rss_mb());
    done
}

fn open(dir: &Path) -> (Host, Arc<AtomicI64>) {
    let clock = Arc::new(AtomicI64::new(NOON));
    let mut options =
        Options { clock: Clock::Virtual(Arc::clone(&clock)), sync: false, ..Options::default() };
    if let Ok(megabytes) = std::env::var("CUSTOMERS_MB") {
        options.customers_bytes = megabytes.parse::<usize>().unwrap() * 1024 * 1024;
    }
    (Host::open(dir, options).unwrap(), clock)
}

fn send(host: &Host, count: u64, command: impl Fn(u64) -> Command) {
    let mut next = 0;
    while next < count {
        let commands = (next..count.min(next + BATCH)).map(&command).collect();
        next += BATCH;
        host.submit(
            Submission { project: SHOP, commands },
            Box::new(|answers| {
                assert!(answers.unwrap().iter().all(Result::is_ok));
            }),
        );
        while host.waiting().0 > 20_000 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    host.wait_idle();
}

fn names(customer: u64) -> Names {
    Names { user_id: Some(format!("customer-{customer}")), anonymous_id: None }
}

fn identify(customer: u64) -> Command {
    let text = |text: String| Some(Value::Text(text));
    let mut changes: std::collections::BTreeMap<String, Option<Value>> = [
        ("email".to_owned(), text(format!("customer-{customer}@example.com"))),
        ("name".to_owned(), text(format!("Mara Weber {customer}"))),
        ("plan".to_owned(), text(["free", "pro", "team"][(customer % 3) as usize].to_owned())),
        ("timezone".to_owned(), text("Europe/Berlin".to_owned())),
    ]
    .into();
    for place in 0..8 {
        let value = (customer * 31 + place) % 1_000;
        changes.insert(format!("custom_number_{place}"), Some(Value::Number(value as f64)));
        changes.insert(format!("custom_text_{place}"), text(format!("value {value}")));
    }
    let message_id = format!("i{customer}");
    Command::Identify { names: names(customer), message_id, changes, historical: false }
}

fn event(customer: u64, kind: u64, message_id: String) -> Command {
    Command::Track(Track {
        names: names(customer),
        message_id,
        name: format!("event {kind}"),
        at: Timestamp(i64::MAX),
        properties: "{\"amount\":12}".to_owned(),
        changes: std::collections::BTreeMap::new(),
        historical: false,
        page: None,
    })
}

fn build(dir: &Path) {
    let (customers, events) = (number("CUSTOMERS", 1_000_000), number("EVENTS", 50));
    let (host, clock) = open(dir);
    let created = Command::Change(ProjectChange::Created { id: "shop".into() });
    host.submit_and_wait(Submission { project: SHOP, commands: vec![created] }).unwrap();
    timed("identify, 20 attributes", customers, || send(&host, customers, identify));
    for round in 0..events {
        clock.fetch_add(36_000_000, Ordering::AcqRel);
        host.clock_moved();
        let one =
            |customer| event(customer, (round + customer) % 10, format!("{round}-{customer}"));
        timed("a round of events over all", customers, || send(&host, customers, one));
    }
    println!("{} MB of customers in memory", host.customers_in_memory() / 1024 / 1024);
    std::process::abort();
}

fn events(dir: &Path) {
    let (host, clock) = timed("open", 1, || open(dir));
    clock.fetch_add(36_000_000_000, Ordering::AcqRel);
    let customers = number("CUSTOMERS", 1_000_000);
    let count = number("COUNT", 300_000);
    for round in 0..3 {
        let spread = |number: u64| number.wrapping_mul(2_654_435_761) % customers;
        let few = |number: u64| event(spread(number % 5_000), 1, format!("f{round}-{number}"));
        timed("events over 5,000 customers", count, || send(&host, count, few));
        let all =
            |number: u64| event(spread(number + round * count), 1, format!("a{round}-{number}"));
        timed("events over all customers", count, || send(&host, count, all));
    }
    host.checkpoint();
    timed("idle for five seconds", 1, || std::thread::sleep(Duration::from_secs(5)));
    timed("everybody, for the hash", customers, || host.state_hash().unwrap());
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dir = |place: usize| Path::new(arguments.get(place).unwrap());
    match arguments.first().map(String::as_str) {
        Some("build") => build(dir(1)),
        Some("open") => {
            println!("before: {} MB RSS", rss_mb());
            let (host, _) = timed("open", 1, || open(dir(1)));
            println!("{} customers", host.customer_count(SHOP));
            std::process::abort();
        }
        Some("events") => events(dir(1)),
        _ => println!("build DIR, open DIR or events DIR"),
    }
}
