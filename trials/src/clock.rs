//! Clock jumps: the wall's clock of the real server is set forward and back by hours, days and
//! years, while `once` outreaches, delays and failing webhooks are in flight.
//!
//! Nothing may be sent twice, no delay may end early by the log's time, that time may not run
//! backwards, and whoever waits may not wait until the wall has caught up. The clock is a small
//! library under the server (`shim/clock.c`), compiled on the spot.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use engine::time::{Zone, parse_moment_or_day};
use serde_json::{Value as Json, json};

use crate::client::{Client, event};
use crate::receiver::{Answer, Receiver};
use crate::server::{PATIENCE, Plan, Server};

const SHIM: &str = include_str!("../shim/clock.c");
const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const YEARS: i64 = 5 * 365 * DAY;
/// Where the clock is set to, from where it is right, one after the other.
pub const ALL_JUMPS: &[i64] =
    &[0, HOUR, 0, -HOUR, 0, DAY, 0, -DAY, 0, -YEARS, 0, 400, 0, -400, 0, YEARS, 0, YEARS, -HOUR, 0];
/// Every customer of the once outreach comes back after each jump.
const CUSTOMERS: usize = 20;
/// The delay that is waited for after each jump, in seconds.
const DELAY: i64 = 2;
/// Outreaches that send.
const OUTREACHES: [&str; 2] = ["once", "late"];
/// Faults that are kept word for word.
const MOST_WORDS: usize = 20;

/// What a run found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Times the clock was set.
    pub jumps: usize,
    /// Starts, the first one included.
    pub starts: usize,
    /// Deliveries that were looked at.
    pub deliveries: usize,
    /// Webhooks received, repetitions included.
    pub calls: usize,
    /// The longest that a delay took after a jump.
    pub longest: Duration,
    /// Messages that must be one and are several, or none.
    pub not_once: usize,
    /// Deliveries that left before their moment, by the log's time.
    pub early: usize,
    /// Everything else.
    pub others: usize,
    /// The first faults, in words.
    pub words: Vec<String>,
}

impl Findings {
    /// How many things were not as they must be.
    pub fn faults(&self) -> usize {
        self.not_once + self.early + self.others
    }

    /// In one line.
    pub fn figures(&self) -> String {
        format!(
            "{} jumps of the clock, {} starts; {} deliveries, {} webhooks received: {} not exactly \
             once, {} early, {} other faults; a delay of {DELAY} s took at most {:.1} s",
            self.jumps,
            self.starts,
            self.deliveries,
            self.calls,
            self.not_once,
            self.early,
            self.others,
            self.longest.as_secs_f64(),
        )
    }

    fn say(&mut self, words: String) {
        if self.words.len() < MOST_WORDS {
            self.words.push(words);
        }
    }
}

/// Set the clock as told, one after the other.
///
/// # Errors
/// There is no C compiler, the server does not start, or a delivery does not come.
pub fn run(jumps: &[i64], scratch: &Path) -> anyhow::Result<Findings> {
    let clock = WallClock::make(scratch)?;
    let receiver = Receiver::start()?;
    // One in four fails at first, so that second attempts wait while the clock is set.
    let mut failed = BTreeSet::new();
    receiver.answer_by(Box::new(move |id, _, number| {
        match number % 4 == 0 && failed.insert(id.to_owned()) {
            true => Answer::Status(500),
            false => Answer::Status(200),
        }
    }));
    let plan = Plan::new(scratch.join("data"))?
        .with_webhooks()
        .with("LD_PRELOAD", clock.library.as_os_str())
        .with("TRIAL_CLOCK", clock.file.as_os_str());
    let mut server = Server::start(plan)?;
    set_up(&mut server.client()?, &receiver)?;
    let mut found = Findings { starts: 1, ..Findings::default() };
    for (number, offset) in jumps.iter().enumerate() {
        // What was posted before the jump is in flight during it.
        post(&mut server.client()?, number, "before")?;
        clock.set(*offset)?;
        found.jumps += 1;
        match number % 5 {
            3 => {
                server.kill()?;
                server.start_again()?;
                found.starts += 1;
            }
            4 => {
                anyhow::ensure!(server.terminate()?.success(), "the server did not end well");
                server.start_again()?;
                found.starts += 1;
            }
            _ => {}
        }
        post(&mut server.client()?, number, "after")?;
        found.longest = found.longest.max(wait_for_all(&mut server.client()?, number)?);
    }
    look(&mut server.client()?, &receiver, jumps.len(), &mut found)?;
    for complaint in server.complaints() {
        found.others += 1;
        found.say(format!("the server's log: {complaint}"));
    }
    anyhow::ensure!(server.terminate()?.success(), "the server did not end well");
    std::fs::remove_dir_all(server.data())?;
    Ok(found)
}

/// A clock that we set.
struct WallClock {
    library: PathBuf,
    file: PathBuf,
}

impl WallClock {
    fn make(scratch: &Path) -> anyhow::Result<WallClock> {
        let (source, library) = (scratch.join("clock.c"), scratch.join("clock.so"));
        std::fs::write(&source, SHIM)?;
        let mut compile = Command::new("cc");
        compile.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source);
        let done = compile.output().context("starting cc, the C compiler")?;
        let said = String::from_utf8_lossy(&done.stderr);
        anyhow::ensure!(done.status.success(), "cc: {said}");
        let clock = WallClock { library, file: scratch.join("offset") };
        std::fs::write(&clock.file, 0_i64.to_ne_bytes())?;
        Ok(clock)
    }

    /// So many milliseconds from the right time. Written in place: the server has mapped the file.
    fn set(&self, offset: i64) -> anyhow::Result<()> {
        let file = std::fs::File::options().write(true).open(&self.file)?;
        file.write_all_at(&offset.to_ne_bytes(), 0)?;
        Ok(())
    }
}

fn set_up(client: &mut Client, receiver: &Receiver) -> anyhow::Result<()> {
    let once = json!({
        "name": "Once",
        "trigger": {"kind": "event", "event": "came"},
        "frequency": {"kind": "once"},
        "content": {"kind": "webhook", "url": receiver.url("/once/{{ customer.user_id }}")},
    });
    let late = json!({
        "name": "Late",
        "trigger": {"kind": "event", "event": "bought",
            "delay": {"amount": DELAY, "unit": "seconds"}},
        "frequency": {"kind": "every_time"},
        "content": {"kind": "webhook", "url": receiver.url("/late/{{ event.properties.order }}")},
    });
    client.go_live("once", &once)?;
    client.go_live("late", &late)
}

/// Everybody comes, again, and buys something.
fn post(client: &mut Client, jump: usize, when: &str) -> anyhow::Result<()> {
    let mut items = Vec::new();
    for number in 0..CUSTOMERS {
        let (user, order) = (format!("u{number}"), format!("{jump}-{when}-{number}"));
        items.push(event(&format!("c{order}"), &user, "came", &json!({})));
        // A customer of this jump alone, whose once is in flight during it.
        let new = format!("n{jump}-{when}");
        items.push(event(&format!("n{order}"), &new, "came", &json!({})));
        items.push(event(&format!("b{order}"), &user, "bought", &json!({"order": order})));
    }
    let answer = client.batch(&items)?;
    let accepted = answer.json().get("accepted").and_then(Json::as_u64);
    anyhow::ensure!(accepted == Some(items.len() as u64), "{} {}", answer.status, answer.text());
    Ok(())
}

/// Until nothing waits any more; how long that took.
fn wait_for_all(client: &mut Client, jump: usize) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    loop {
        let mut open = Vec::new();
        for state in ["waiting", "due", "attempting"] {
            open.extend(client.all(&format!("/api/v1/deliveries?state={state}"))?);
        }
        if open.is_empty() {
            return Ok(begin.elapsed());
        }
        let first = open.first().map(ToString::to_string).unwrap_or_default();
        anyhow::ensure!(
            begin.elapsed() < PATIENCE,
            "after jump {jump}, {} deliveries do not come, such as {first}",
            open.len()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the server says of itself and what the receiver was given.
fn look(
    client: &mut Client,
    receiver: &Receiver,
    jumps: usize,
    found: &mut Findings,
) -> anyhow::Result<()> {
    let mut expected: BTreeSet<String> =
        (0..CUSTOMERS).map(|number| format!("/once/u{number}")).collect();
    for jump in 0..jumps {
        for when in ["before", "after"] {
            expected.insert(format!("/once/n{jump}-{when}"));
            expected.extend((0..CUSTOMERS).map(|number| format!("/late/{jump}-{when}-{number}")));
        }
    }
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for call in receiver.calls() {
        found.calls += 1;
        ids.entry(call.path).or_default().insert(call.id);
    }
    for path in expected.iter().chain(ids.keys()).collect::<BTreeSet<_>>() {
        let times = ids.get(path).map_or(0, BTreeSet::len);
        if times != 1 || !expected.contains(path) {
            found.not_once += 1;
            found.say(format!("{path}: {times} different webhooks"));
        }
    }
    for outreach in OUTREACHES {
        let delay = if outreach == "late" { DELAY * 1_000 } else { 0 };
        for delivery in client.all(&format!("/api/v1/deliveries?outreach={outreach}"))? {
            found.deliveries += 1;
            let id = delivery.get("id").and_then(Json::as_str).context("a delivery has an id")?;
            let whole = client.get_json(&format!("/api/v1/deliveries/{id}"))?;
            if let Some(why) = is_early(&whole, delay)? {
                found.early += 1;
                found.say(format!("{why}: {whole}"));
            }
        }
    }
    if found.deliveries != expected.len() {
        found.not_once += 1;
        found.say(format!("{} deliveries, {} expected", found.deliveries, expected.len()));
    }
    backwards(client, found)
}

/// Whether a delivery left before its moment, or lived backwards.
fn is_early(delivery: &Json, delay: i64) -> anyhow::Result<Option<&'static str>> {
    let decided = moment(delivery, "decided_at")?;
    let steps = delivery.get("steps").and_then(Json::as_array).context("a delivery has steps")?;
    let mut before = decided;
    let mut failed_at = None;
    for step in steps {
        let at = moment(step, "at")?;
        let state = step.get("state").and_then(Json::as_str).unwrap_or_default();
        let attempts = step.get("attempts").and_then(Json::as_u64).unwrap_or_default();
        if at < before {
            return Ok(Some("a step before the one before it"));
        }
        before = at;
        if state == "sent" && at - decided < delay {
            return Ok(Some("sent before the end of its delay"));
        }
        // The first pause is five seconds, less a fifth.
        if state == "sent" && failed_at.is_some_and(|failed| at - failed < 4_000) {
            return Ok(Some("tried again before the end of the pause"));
        }
        if state == "due" && attempts > 0 {
            failed_at = Some(at);
        }
    }
    Ok(None)
}

/// By their places in the log, no fact is earlier than the one before it.
fn backwards(client: &mut Client, found: &mut Findings) -> anyhow::Result<()> {
    let mut facts = BTreeMap::new();
    for number in 0..CUSTOMERS {
        for entry in client.all(&format!("/api/v1/customers/u{number}/timeline"))? {
            let position = entry.get("position").and_then(Json::as_u64).unwrap_or_default();
            facts.insert(position, moment(&entry, "at")?);
        }
    }
    let times: Vec<i64> = facts.into_values().collect();
    let back = times.windows(2).filter(|pair| pair.first() > pair.last()).count();
    if back > 0 {
        found.others += back;
        found.say(format!("the log's time ran backwards {back} times"));
    }
    Ok(())
}

fn moment(json: &Json, key: &str) -> anyhow::Result<i64> {
    let text = json.get(key).and_then(Json::as_str).with_context(|| format!("no {key}"))?;
    let at = parse_moment_or_day(text, &Zone::utc());
    Ok(at.with_context(|| format!("{key} is {text}"))?.0)
}
