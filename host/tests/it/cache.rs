//! Who is in memory makes no difference: the same commands lead to the same decisions and the same
//! state with room for everybody, with room for ten, through restarts and kills, and from the log.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use engine::fact::{AttemptOutcome, ReceiptKind};
use engine::ids::CustomerId;
use engine::project::{ProjectChange, Status};
use engine::value::Value;
use host::command::{Command, Submission, Track};
use host::{Clock, Host, Options};
use serde_json::{Value as Json, json};

use crate::world::{NOON, SHOP, both, guest_named, one, track, user_named};

const ROOMY: usize = 64 * 1024 * 1024;
const TINY: usize = 16 * 1024;
const STEPS: u64 = 240;
const MINUTE: i64 = 60_000;

/// Dice that fall the same for a step, whoever throws them.
struct Dice(u64);

impl Dice {
    fn new(seed: u64, step: u64) -> Dice {
        Dice((seed << 32 | step).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % most
    }
}

fn outreaches() -> Vec<(&'static str, Json)> {
    let on = |event: &str, content: Json| json!({"name": event, "trigger": {"kind": "event", "event": event}, "content": content});
    let modal = || json!({"kind": "modal", "title": "Hello"});
    let mut delayed = on("left", modal());
    delayed["trigger"]["delay"] = json!({"amount": 40, "unit": "minutes"});
    let mut often = on("bought", json!({"kind": "webhook", "url": "https://example.com/in"}));
    often["frequency"] = json!({"kind": "every_time"});
    let mail = on("signed_up", json!({"kind": "email", "subject": "Hello", "text": "Welcome"}));
    let property = json!({
        "name": "Pro",
        "trigger": {"kind": "user_property", "where": {
            "kind": "custom_attribute", "attribute": "level", "test": {"kind": "is", "value": "pro"}
        }},
        "content": modal()
    });
    let news = json!({
        "name": "News", "trigger": {"kind": "one_off"},
        "audience": {"kind": "one_off", "filter": {
            "kind": "event", "event": "bought"
        }},
        "content": {"kind": "news", "title": "News", "body": [{"kind": "paragraph", "text": "Hi"}]}
    });
    vec![
        ("once", on("looked", modal())),
        ("delayed", delayed),
        ("often", often),
        ("mail", mail),
        ("property", property),
        ("news", news),
    ]
}

fn set_up(host: &Host) {
    one(host, Command::Change(ProjectChange::Created { id: "shop".into() })).unwrap();
    for (id, definition) in outreaches() {
        let (definition, author) = (definition.to_string(), String::new());
        let saved = ProjectChange::OutreachSaved { id: id.into(), definition, author };
        one(host, Command::Change(saved)).unwrap();
        if id != "news" {
            let live = ProjectChange::StatusSet { id: id.into(), status: Status::Live };
            one(host, Command::Change(live)).unwrap();
        }
    }
}

fn open(dir: &Path, clock: &Arc<AtomicI64>, memory: usize) -> Host {
    let options = Options {
        clock: Clock::Virtual(Arc::clone(clock)),
        segment_bytes: 4 * 1024 * 1024,
        customers_bytes: memory,
        ..Options::default()
    };
    Host::open(dir, options).unwrap()
}

/// Some steps of the life that belongs to a seed; what each came to, as text.
fn live(host: &Host, clock: &AtomicI64, seed: u64, steps: Range<u64>) -> Vec<String> {
    let mut lines = Vec::new();
    for step in steps {
        let mut dice = Dice::new(seed, step);
        clock.store(NOON + i64::try_from(step).unwrap() * 7 * MINUTE, Ordering::Release);
        host.clock_moved();
        host.wait_idle();
        if step == STEPS / 2 {
            one(host, Command::Change(ProjectChange::Launched { id: "news".into() })).unwrap();
        }
        let commands = (0..1 + dice.below(8)).map(|n| command(&mut dice, seed, step, n)).collect();
        let answers = host.submit_and_wait(Submission { project: SHOP, commands });
        let mut line = format!("{answers:?}");
        if dice.below(12) == 0 {
            host.checkpoint();
        }
        host.wait_idle();
        line += &answer_back(host, &mut dice, step);
        lines.push(if std::env::var("RAW").is_ok() { line } else { blake3_of(&line) });
    }
    host.wait_idle();
    lines
}

fn blake3_of(line: &str) -> String {
    engine::ids::CustomerId::of_user(SHOP, line).to_string()
}

fn command(dice: &mut Dice, seed: u64, step: u64, number: u64) -> Command {
    let (user, guest) = (format!("user-{}", dice.below(50)), format!("guest-{}", dice.below(50)));
    let id = format!("{seed}-{step}-{number}");
    let names = match dice.below(8) {
        0 => both(&user, &guest),
        1 | 2 => guest_named(&guest),
        _ => user_named(&user),
    };
    let customer = CustomerId::of_user(SHOP, &user);
    match dice.below(20) {
        0..=3 => {
            let level = ["free", "pro", "team"][dice.below(3) as usize];
            let value = Some(Value::Text(level.to_owned()));
            let changes = BTreeMap::from([
                ("level".to_owned(), value),
                (format!("key{}", dice.below(9)), Some(Value::Number(dice.below(100) as f64))),
            ]);
            Command::Identify { names, message_id: id, changes, historical: false }
        }
        4 => Command::Alias {
            previous: guest_named(&guest),
            names: user_named(&user),
            message_id: id,
        },
        5 => Command::Erase { customer },
        6 => Command::Consent {
            customer,
            channel: "email".into(),
            topic: String::new(),
            allowed: dice.below(2) == 0,
        },
        7 => Command::AllowAgain { customer, outreach: "once".into() },
        _ => {
            let event = ["looked", "left", "bought", "signed_up", "came"][dice.below(5) as usize];
            match track(names, event, &id) {
                Command::Track(track) => Command::Track(Track { page: Some(id), ..track }),
                other => other,
            }
        }
    }
}

/// Channels try what is due, customers look at what lies in their inbox.
fn answer_back(host: &Host, dice: &mut Dice, step: u64) -> String {
    let mut commands = Vec::new();
    for (_, customer, delivery) in host.due(8) {
        let outcome = match dice.below(3) {
            0 => AttemptOutcome::Rejected { reason: "no".to_owned() },
            1 => AttemptOutcome::Retry {
                reason: "later".to_owned(),
                at: host.now().plus_ms(30 * MINUTE),
            },
            _ => AttemptOutcome::Accepted { provider_id: "p".to_owned() },
        };
        commands.push(Command::Started { customer, delivery: delivery.id });
        commands.push(Command::Attempted { customer, delivery: delivery.id, outcome });
    }
    for number in 0..4 {
        let user = CustomerId::of_user(SHOP, &format!("user-{}", dice.below(50)));
        for delivery in host.inbox(SHOP, user).unwrap() {
            let kinds = [ReceiptKind::Displayed, ReceiptKind::Clicked, ReceiptKind::Dismissed];
            commands.push(Command::Receipt {
                delivery: delivery.id,
                customer: None,
                kind: kinds[dice.below(3) as usize],
                receipt_id: format!("{step}-{number}"),
                at: None,
                detail: "{}".to_owned(),
            });
        }
    }
    let answers = host.submit_and_wait(Submission { project: SHOP, commands });
    host.wait_idle();
    format!("{answers:?}")
}

fn hash(host: &Host) -> String {
    let hash = host.state_hash().unwrap();
    let listed = host.customers(SHOP, None, None, None, 1_000).unwrap();
    assert_eq!(listed.len() as u64, host.customer_count(SHOP));
    format!("{hash:x?} {:?} {:?}", host.counts(SHOP), host.next_due())
}

const CHILD: &str = "TIDINGS_TEST_CACHE";

/// Not a test of its own: the middle of a life, in a process that ends by a kill.
#[test]
#[ignore = "the child of the test that compares"]
fn child_that_lives_and_is_killed() {
    let Ok(arguments) = std::env::var(CHILD) else { return };
    let (seed, folder) = arguments.split_once(' ').unwrap();
    let clock = Arc::new(AtomicI64::new(NOON));
    let host = open(Path::new(folder), &clock, TINY);
    for line in live(&host, &clock, seed.parse().unwrap(), STEPS / 3..STEPS * 2 / 3) {
        println!("line {line}");
    }
    println!("end");
    std::process::abort();
}

fn killed(seed: u64, folder: &Path) -> Vec<String> {
    let output = Process::new(std::env::current_exe().unwrap())
        .args(["cache::child_that_lives_and_is_killed", "--exact", "--ignored", "--nocapture"])
        .env(CHILD, format!("{seed} {}", folder.display()))
        .stderr(Stdio::null())
        .output()
        .unwrap();
    assert!(!output.status.success(), "it ended by a kill");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\nend"), "it came to the end of its part");
    text.lines().filter_map(|line| line.split_once("line ")).map(|(_, rest)| rest.into()).collect()
}

#[test]
fn who_is_in_memory_makes_no_difference() {
    for seed in 1..=4 {
        let clock = Arc::new(AtomicI64::new(NOON));
        let dir = tempfile::TempDir::new().unwrap();
        let host = open(dir.path(), &clock, ROOMY);
        set_up(&host);
        let lines = live(&host, &clock, seed, 0..STEPS);
        let whole = hash(&host);
        assert!(host.customers_in_memory() > TINY, "seed {seed}: more than fit into the other");
        drop(host);

        let dir = tempfile::TempDir::new().unwrap();
        let clock = Arc::new(AtomicI64::new(NOON));
        let host = open(dir.path(), &clock, TINY);
        set_up(&host);
        let mut parts = live(&host, &clock, seed, 0..STEPS / 3);
        drop(host);
        parts.extend(killed(seed, dir.path()));
        let host = open(dir.path(), &clock, TINY);
        parts.extend(live(&host, &clock, seed, STEPS * 2 / 3..STEPS));
        host.checkpoint();
        host.wait_idle();
        assert!(host.customers_in_memory() <= TINY, "seed {seed}: those who have no room are gone");
        for (step, (one, other)) in lines.iter().zip(&parts).enumerate() {
            assert_eq!(one, other, "seed {seed}, step {step}");
        }
        assert_eq!(lines.len(), parts.len());
        assert_eq!(hash(&host), whole, "seed {seed}: the same state");
        drop(host);
        let host = open(dir.path(), &clock, TINY);
        assert_eq!(hash(&host), whole, "seed {seed}: after a restart");
        drop(host);
        std::fs::remove_dir_all(dir.path().join("store")).unwrap();
        let host = open(dir.path(), &clock, TINY);
        assert_eq!(hash(&host), whole, "seed {seed}: from the log");
    }
}
