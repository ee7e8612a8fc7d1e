//! `peer-rules make FOLDER RULES EVENTS` writes rules and events;
//! `peer-rules ours|zen|cel FOLDER` judges them and says which rules each event meets, and what
//! it cost. `json_rules.mjs` does the same with a popular package for Node.
//!
//! Everybody gets the rules by the name of the event, since anybody would do that much by hand.
//! Everybody is given the event as parsed JSON and the customer as it lies in memory; what an
//! engine does to put the event into a form it can work with is part of its cost.

mod ours;
mod peers;
mod world;

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context as _, bail};
use serde_json::json;

use world::{Event, Rule};

/// Passes over all events; the first one warms up and does not count.
const PASSES: usize = 6;

/// One way to judge.
pub(crate) trait Judge {
    /// What an event needs before the clock runs: a customer to spend.
    fn prepare(&mut self, events: &[Event]);
    /// The rules that this event meets, in order.
    fn judge(&mut self, place: usize, event: &Event, met: &mut Vec<u32>);
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match texts.as_slice() {
        ["make", folder, rules, events] => {
            world::write(Path::new(folder), rules.parse()?, events.parse()?)
        }
        [engine, folder] => {
            let folder = PathBuf::from(folder);
            let rules: Vec<Rule> = read(&folder.join("rules.json"))?;
            let events: Vec<Event> = read(&folder.join("events.json"))?;
            let began = Instant::now();
            let mut judge: Box<dyn Judge> = match *engine {
                "ours" => Box::new(ours::Ours::new(&rules)?),
                "zen" => Box::new(peers::Zen::new(&rules)?),
                "cel" => Box::new(peers::Cel::new(&rules)?),
                other => bail!("no engine is called {other:?}"),
            };
            let build = began.elapsed().as_secs_f64();
            run(engine, judge.as_mut(), &rules, &events, build)
        }
        _ => bail!("peer-rules make FOLDER RULES EVENTS | peer-rules ours|zen|cel FOLDER"),
    }
}

fn run(
    name: &str,
    judge: &mut dyn Judge,
    rules: &[Rule],
    events: &[Event],
    build: f64,
) -> anyhow::Result<()> {
    let mut runs = Vec::new();
    let (mut met, mut total, mut sum) = (Vec::new(), 0, 0u64);
    for pass in 0..PASSES {
        judge.prepare(events);
        (total, sum) = (0, 0);
        let began = cpu_nanos()?;
        for (place, event) in events.iter().enumerate() {
            met.clear();
            judge.judge(place, event, &mut met);
            total += met.len();
            for rule in &met {
                sum = sum.wrapping_mul(31).wrapping_add(u64::from(*rule) + 1) % 1_000_000_007;
            }
        }
        let nanos = cpu_nanos()? - began;
        if pass > 0 {
            runs.push(nanos as f64 / 1e3 / events.len() as f64);
        }
    }
    let answer = json!({"engine": name, "rules": rules.len(), "events": events.len(),
        "micros": runs, "met": total, "sum": sum, "build_seconds": build});
    println!("{answer}");
    Ok(())
}

/// Nanoseconds of CPU of this thread, which is the only one that works.
fn cpu_nanos() -> anyhow::Result<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(text.split(' ').next().unwrap_or_default().parse()?)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(serde_json::from_slice(&bytes)?)
}
