//! Figures for the record, not promises: `cargo test --release -p tidings-host figures -- --ignored
//! --nocapture`.

use std::time::Instant;

use engine::project::ProjectChange;
use engine::value::Value;
use host::command::{Command, Submission};
use host::query::audience::Reach;
use host::{Clock, Host, Options};
use serde_json::json;

use crate::world::{SHOP, modal_on, one, track, user_named};

const CUSTOMERS: u64 = 100_000;
const EVENTS: u64 = 1_000_000;
const BATCH: u64 = 100;

fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    ticks as f64 / 100.0
}

fn timed(what: &str, count: u64, work: impl FnOnce()) {
    let (began, cpu) = (Instant::now(), cpu_seconds());
    work();
    let (wall, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    let each = cpu * 1e6 / count as f64;
    println!("{what}: {wall:.2} s, {:.0}/s, {each:.2} us CPU each", count as f64 / wall);
}

fn send_all(host: &Host, count: u64, command: impl Fn(u64) -> Command) {
    let mut next = 0;
    while next < count {
        let commands = (next..count.min(next + BATCH)).map(&command).collect();
        next += BATCH;
        host.submit(Submission { project: SHOP, commands }, Box::new(|_| {}));
        while host.waiting().0 > 20_000 {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
    host.wait_idle();
}

#[test]
#[ignore = "a bench"]
fn figures() {
    let dir = tempfile::TempDir::new().unwrap();
    let options = || Options { clock: Clock::Wall, ..Options::default() };
    let host = Host::open(dir.path(), options()).unwrap();
    one(&host, Command::Change(ProjectChange::Created { id: "shop".into() })).unwrap();
    for number in 0..100 {
        let id = format!("o{number}");
        let (definition, author) =
            (modal_on(&format!("event {number}")).to_string(), String::new());
        let change = ProjectChange::OutreachSaved { id: id.clone(), definition, author };
        one(&host, Command::Change(change)).unwrap();
        let status = engine::project::Status::Live;
        one(&host, Command::Change(ProjectChange::StatusSet { id, status })).unwrap();
    }
    timed("identify, 5 attributes", CUSTOMERS, || {
        send_all(&host, CUSTOMERS, |number| {
            let value = |at: u64| Some(Value::Text(format!("value {}", (number + at) % 100)));
            let changes = (0..5).map(|at| (format!("attribute{at}"), value(at))).collect();
            let (names, message_id) = (user_named(&number.to_string()), format!("i{number}"));
            Command::Identify { names, message_id, changes, historical: false }
        });
    });
    let event = |number: u64| {
        let user = (number.wrapping_mul(2_654_435_761) % CUSTOMERS).to_string();
        track(user_named(&user), &format!("event {}", number % 150), &format!("m{number}"))
    };
    timed("events, 100 live outreaches", EVENTS, || send_all(&host, EVENTS, event));
    timed("the same again: duplicates", EVENTS / 10, || send_all(&host, EVENTS / 10, event));
    one_off(&host);
    timed("close", 1, || host.close());
    let hash = host.state_hash().unwrap();
    drop(host);
    timed("open after a close", 1, || {
        assert_eq!(Host::open(dir.path(), options()).unwrap().state_hash().unwrap(), hash);
    });
    std::fs::remove_dir_all(dir.path().join("store")).unwrap();
    timed("open without the state", EVENTS, || {
        assert_eq!(Host::open(dir.path(), options()).unwrap().state_hash().unwrap(), hash);
    });
}

fn one_off(host: &Host) {
    let mut definition = modal_on("x");
    definition["trigger"] = json!({"kind": "one_off"});
    definition["audience"] = json!({"kind": "one_off", "filter": {
        "kind": "custom_attribute", "attribute": "attribute1",
        "test": {"kind": "is_not", "value": "value 7"}
    }});
    definition["content"] =
        json!({"kind": "news", "title": "News", "body": [{"kind": "paragraph", "text": "Hi"}]});
    let (definition, author) = (definition.to_string(), String::new());
    let change = ProjectChange::OutreachSaved { id: "news".into(), definition, author };
    one(host, Command::Change(change)).unwrap();
    let project = host.project(SHOP).unwrap();
    let outreach = project.outreach("news").unwrap().latest.as_ref().unwrap();
    timed("exact count of one condition", CUSTOMERS, || {
        host.estimate(SHOP, outreach.audience.as_ref(), Reach::Outreach(outreach)).unwrap();
    });
    timed("one-off to all", CUSTOMERS, || {
        one(host, Command::Change(ProjectChange::Launched { id: "news".into() })).unwrap();
        host.wait_idle();
    });
}
