//! What one accepted event costs the process: `cargo bench -p tidings-host --bench ingest -- [events] [outreaches]`.
//!
//! CPU by thread from the kernel's own books, bytes from `/proc/self/io`. Nobody waits for a figure
//! here; `valgrind --tool=callgrind` on the same binary counts instructions.

#![allow(clippy::unwrap_used, reason = "a bench")]

use std::collections::BTreeMap;
use std::path::Path;

use engine::fact::Names;
use engine::ids::ProjectNo;
use engine::project::{ProjectChange, Status};
use engine::time::Timestamp;
use engine::value::Value;
use host::command::{Command, Submission, Track};
use host::{Host, Options};

const SHOP: ProjectNo = ProjectNo(1);
const CUSTOMERS: u64 = 100_000;
const BATCH: u64 = 100;

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|word| word.parse().ok()).collect();
    let events = numbers.first().copied().unwrap_or(1_000_000);
    let outreaches = numbers.get(1).copied().unwrap_or(100);
    let dir = tempfile::TempDir::new().unwrap();
    // By bytes alone, as at full speed; a slow machine must not write more of them.
    let checkpoint_every = std::time::Duration::from_secs(3_600);
    let options = Options { sync: false, checkpoint_every, ..Options::default() };
    let host = Host::open(dir.path(), options).unwrap();
    let change = |change| send(&host, vec![Command::Change(change)]);
    change(ProjectChange::Created { id: "shop".into() });
    for number in 0..outreaches {
        let id = format!("o{number}");
        // A hundred names, each with its share of the outreaches; those after the first ask for a
        // property that few events have.
        let name = format!("event {}", number % 100);
        let mut definition = serde_json::json!({
            "name": "A modal",
            "trigger": {"kind": "event", "event": name},
            "content": {"kind": "modal", "title": "Hello"}
        });
        if number >= 100 {
            definition["trigger"]["where"] = serde_json::json!({"kind": "property", "property": "plan",
                "test": {"kind": "is", "value": format!("plan {number}")}});
        }
        let (definition, author) = (definition.to_string(), String::new());
        change(ProjectChange::OutreachSaved { id: id.clone(), definition, author });
        change(ProjectChange::StatusSet { id, status: Status::Live });
    }
    run("identify, 5 attributes", &host, dir.path(), CUSTOMERS.min(events), identify);
    run("events", &host, dir.path(), events, event);
    run("the same again", &host, dir.path(), events / 10, event);
}

fn identify(number: u64) -> Command {
    let value = |at: u64| Some(Value::Text(format!("value {}", (number + at) % 100)));
    let changes = (0..5).map(|at| (format!("attribute{at}"), value(at))).collect();
    let message_id = format!("i{number}");
    Command::Identify { names: user(number), message_id, changes, historical: false }
}

/// About 300 bytes as JSON.
fn event(number: u64) -> Command {
    let properties = format!(
        r#"{{"amount":{},"plan":"free","currency":"EUR","product":"a pair of shoes, size {}","campaign":"autumn","url":"https://shop.example/products/{}","quantity":1,"gift":false}}"#,
        number % 1_000,
        number % 50,
        number % 5_000,
    );
    Command::Track(Track {
        names: user(number.wrapping_mul(2_654_435_761) % CUSTOMERS),
        message_id: format!("3f0c9a52-5b7e-4f7c-{number:016x}"),
        name: format!("event {}", number % 150),
        at: Timestamp(i64::MAX),
        properties,
        changes: BTreeMap::new(),
        historical: false,
        page: None,
    })
}

fn user(number: u64) -> Names {
    Names { user_id: Some(format!("user-{number}")), anonymous_id: None }
}

fn send(host: &Host, commands: Vec<Command>) {
    let answers = host.submit_and_wait(Submission { project: SHOP, commands }).unwrap();
    for answer in answers {
        answer.unwrap();
    }
}

fn run(what: &str, host: &Host, dir: &Path, count: u64, command: fn(u64) -> Command) {
    let before = (by_thread(), written(), host.position());
    let mut next = 0;
    while next < count {
        let commands = (next..count.min(next + BATCH)).map(command).collect();
        next += BATCH;
        host.submit(Submission { project: SHOP, commands }, Box::new(|_| {}));
        while host.waiting().0 > 20_000 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
    host.wait_idle();
    host.checkpoint();
    let after = (by_thread(), written(), host.position());
    let each = |total: u64| total as f64 / count as f64;
    println!("{what} ({count}):");
    let mut sum = 0;
    for (name, now) in &after.0 {
        let spent = now - before.0.get(name).copied().unwrap_or(0);
        // What makes the commands is no part of what they cost.
        if name != "main" {
            sum += spent;
        }
        println!("  {name:<16} {:>7.2} us CPU each", each(spent) / 1_000.0);
    }
    println!("  {:<16} {:>7.2} us CPU each", "without main", each(sum) / 1_000.0);
    println!(
        "  {:.0} bytes each to the log, {:.0} written over all, {} MB in the store",
        each(after.2 - before.2),
        each(after.1 - before.1),
        size(&dir.join("store")) / 1_000_000,
    );
}

/// Nanoseconds on a CPU, by the name of the thread.
fn by_thread() -> BTreeMap<String, u64> {
    let mut sums = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let path = task.unwrap().path();
        let Ok(stat) = std::fs::read_to_string(path.join("schedstat")) else { continue };
        let mut name = std::fs::read_to_string(path.join("comm")).unwrap().trim().to_owned();
        if path.file_name().unwrap().to_string_lossy() == std::process::id().to_string() {
            "main".clone_into(&mut name);
        }
        let spent: u64 = stat.split(' ').next().unwrap().parse().unwrap();
        *sums.entry(name).or_insert(0) += spent;
    }
    sums
}

/// Bytes given to `write` and its kin, cached or not.
fn written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    let line = io.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
    line.trim().parse().unwrap()
}

fn size(path: &Path) -> u64 {
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().map(|entry| size(&entry.unwrap().path())).sum()
    } else {
        std::fs::metadata(path).map_or(0, |meta| meta.len())
    }
}
