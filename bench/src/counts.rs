//! Exact counts of audiences: ours, and the same filters by DuckDB, Polars and chDB in the same run.
//!
//! The data set comes from a seed and is written as plain columns for the others. They are asked in
//! two ways: over tables of events, as a team would have them, and over columns laid out like ours
//! (the latest, the second latest …), which somebody would have to keep up to date. All counts have
//! to be equal.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};
use engine::customer::{Attribute, Customer, Occurrence};
use engine::fact::event_key;
use engine::ids::{CustomerId, ProjectNo};
use engine::outreach::compile;
use engine::project::Project;
use engine::time::Timestamp;
use engine::value::Value;
use host::columns::{Mirror, Question, Reachable};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value as Json, json};
use simulator::worlds::dice::Dice;

use crate::report::{Finding, Goal, Table};
use crate::setting::Setting;
use crate::stats::{Figure, number, percentile};

/// 2026-11-22T12:00:00Z.
const NOW: i64 = 1_795_348_800_000;
const DAY: i64 = 86_400_000;
const RUNS: usize = 21;
/// Kinds of events, and how many of them a customer has on average; three are never asked about.
const EVENTS: [(&str, u64); 6] =
    [("order", 2), ("login", 5), ("page_view", 3), ("search", 2), ("invite", 1), ("export", 1)];
const ASKED: usize = 3;
const PLANS: [&str; 4] = ["free", "starter", "pro", "business"];
const DOMAINS: [&str; 4] = ["example.com", "example.org", "mail.example", "post.example"];

/// One customer as everybody gets them.
struct Person {
    plan: usize,
    country: usize,
    age: u8,
    value: f64,
    consent: bool,
    created: i64,
    domain: usize,
    /// By kind, sorted.
    events: Vec<Vec<i64>>,
}

fn person(dice: &mut Dice) -> Person {
    let skewed = |dice: &mut Dice, end: u64| (dice.below(end) * dice.below(end) / end) as usize;
    let past = |dice: &mut Dice, days: i64| NOW - dice.below((days * DAY) as u64) as i64;
    let (plan, country) = (skewed(dice, 4), skewed(dice, 40));
    let age = 18 + dice.below(60) as u8;
    let value = dice.below(200_000) as f64 / 100.0;
    let (consent, created) = (dice.chance(60), past(dice, 1_000));
    let domain = dice.below(4) as usize;
    let events = EVENTS.iter().map(|(_, average)| {
        // Most have few, some many; and the latest days are the busiest.
        let count = if dice.chance(25) { 0 } else { dice.below(average * 2) + dice.below(3) };
        let mut at: Vec<i64> = (0..count)
            .map(|_| {
                let days = dice.one(&[7, 30, 90, 400]);
                past(dice, days)
            })
            .collect();
        at.sort_unstable();
        at
    });
    let events = events.collect();
    Person { plan, country, age, value, consent, created, domain, events }
}

fn country(number: usize) -> String {
    let letter = |number: usize| char::from(b'A' + (number % 26) as u8);
    [letter(number * 7), letter(number * 3 + number / 26 + 1)].iter().collect()
}

/// As the engine has them, with what else customers have.
fn customer(person: &Person, number: u64) -> Customer {
    let mut customer = Customer {
        user_id: Some(format!("user-{number}")),
        first_seen: Some(Timestamp(person.created)),
        last_seen: person.events.iter().filter_map(|at| at.last()).max().copied().map(Timestamp),
        ..Customer::default()
    };
    let email = format!("user{number}@{}", DOMAINS[person.domain]);
    let text = |text: &str| Value::Text(text.to_owned());
    for (key, value) in [
        ("plan", text(PLANS[person.plan])),
        ("country", text(&country(person.country))),
        ("age", Value::Number(person.age.into())),
        ("value", Value::Number(person.value)),
        ("newsletter", Value::Bool(person.consent)),
        ("created_at", Value::Text(Timestamp(person.created).to_rfc3339())),
        ("email", Value::Text(email)),
        ("language", text(["en", "de", "fr", "es", "it"][number as usize % 5])),
        ("browser", text(["firefox", "chrome", "safari"][number as usize % 3])),
        ("company_size", Value::Number((number % 37) as f64)),
        ("seats", Value::Number((number % 11) as f64)),
        ("tags", Value::List(vec![text(["a", "b", "c"][number as usize % 3])])),
    ] {
        customer.attributes.insert(key.into(), Attribute { value, changed: Timestamp(0) });
    }
    for ((name, _), times) in EVENTS.iter().zip(&person.events) {
        let series = customer.series.entry(event_key(name)).or_default();
        let occurrence = |at: &i64| Occurrence { at: Timestamp(*at), position: 0 };
        series.occurrences = times.iter().map(occurrence).collect();
    }
    customer
}

fn is(key: &str, test: Json) -> Json {
    let kind = if key == "newsletter" { "custom_attribute" } else { "attribute" };
    json!({"kind": kind, "attribute": key, "test": test})
}

fn any_of(key: &str, values: &[&str]) -> Json {
    is(key, json!({"kind": "is_any_of", "values": values}))
}

fn did(event: &str, count: Json, days: u32) -> Json {
    json!({"kind": "event", "event": event, "test": {"kind": "count", "count": count},
        "window": {"kind": "last", "amount": days, "unit": "days"}})
}

fn least(n: u64) -> Json {
    json!({"kind": "at_least", "n": n})
}

fn group(kind: &str, conditions: Vec<Json>) -> Json {
    json!({"kind": kind, "conditions": conditions})
}

fn all(conditions: Vec<Json>) -> Json {
    group("all", conditions)
}

/// From one condition to six, nested, with windows.
fn filters() -> Vec<(&'static str, Json)> {
    let none = json!({"kind": "exactly", "n": 0});
    let pro = is("plan", json!({"kind": "is", "value": "pro"}));
    let paid = is("plan", json!({"kind": "is_not", "value": "free"}));
    let young = is("age", json!({"kind": "between", "min": 25, "max": 40}));
    let near =
        any_of("country", &[&country(0), &country(1), &country(2), &country(5), &country(9)]);
    let yes = is("newsletter", json!({"kind": "is_true"}));
    let worth = |least: f64| is("value", json!({"kind": "at_least", "value": least}));
    let new = is("created_at", json!({"kind": "less_than_ago", "amount": 30, "unit": "days"}));
    let old = is("created_at", json!({"kind": "more_than_ago", "amount": 365, "unit": "days"}));
    let org = is("email", json!({"kind": "ends_with", "value": "@example.org"}));
    vec![
        ("plan", all(vec![pro.clone()])),
        ("country, age", all(vec![near.clone(), young.clone()])),
        ("new, newsletter, paid", all(vec![new, yes.clone(), paid.clone()])),
        ("ordered in 30 days", all(vec![did("order", least(1), 30)])),
        (
            "5 conditions, 2 windows",
            all(vec![
                paid.clone(),
                near.clone(),
                young.clone(),
                did("order", least(1), 90),
                did("login", least(3), 30),
            ]),
        ),
        (
            "6 conditions, nested, 2 windows",
            all(vec![
                paid,
                group("any", vec![near, worth(1_500.0)]),
                group("none", vec![did("login", least(1), 14)]),
                did("order", least(2), 180),
                young,
                yes.clone(),
            ]),
        ),
        (
            "gone quiet: 5 conditions, 3 windows",
            all(vec![
                did("order", none.clone(), 60),
                did("order", least(1), 3_650),
                old,
                did("login", none, 30),
                worth(100.0),
            ]),
        ),
        (
            "part of a text, 4 conditions, 2 windows",
            all(vec![
                org,
                yes,
                did("page_view", json!({"kind": "between", "min": 1, "max": 5}), 7),
                group("any", vec![did("order", least(3), 365), pro]),
            ]),
        ),
    ]
}

/// Counts of one filter: matched, then each condition alone and cumulative.
type Counts = Vec<u64>;

/// Measure ours and the others'.
///
/// # Errors
/// The others cannot be run, or count otherwise.
pub(crate) fn run(setting: &Setting) -> anyhow::Result<()> {
    let mut finding =
        Finding::new("counts", "Exact counts of audiences, beside DuckDB, Polars and chDB");
    let asked = std::env::var("COUNTS_CUSTOMERS").ok().and_then(|text| text.parse().ok());
    let sizes: Vec<u64> = match asked {
        Some(customers) => vec![customers],
        None => setting.pick(vec![100_000], vec![1_000_000], vec![1_000_000, 5_000_000]),
    };
    for customers in sizes {
        measure(setting, &mut finding, customers)?;
    }
    finding.note(
        "Milliseconds of CPU, warm, median of 21 runs (lowest–highest); all counts equal. Each answer \
         has the count of every condition alone, step by step, and of all together. Ours adds ten \
         of those who match. \"As ours\": over columns with the latest, second latest … moment of \
         each event, which these engines do not keep up to date by themselves.",
    );
    finding.save(setting)
}

fn measure(setting: &Setting, finding: &mut Finding, customers: u64) -> anyhow::Result<()> {
    let folder = setting.scratch.join(format!("counts-{customers}"));
    fs::create_dir_all(&folder)?;
    println!("  {} customers: writing and reading", number(customers as f64));
    let began = cpu_ms();
    let (mut mirror, filling) = fill(&folder, customers)?;
    let memory = mirror.memory();
    let bytes: usize = memory.iter().map(|(_, bytes)| bytes).sum();
    let each = |bytes: usize| bytes as f64 / customers as f64;
    let parts: Vec<String> =
        memory.iter().map(|(what, bytes)| format!("{what} {}", number(each(*bytes)))).collect();
    finding.note(format!(
        "{} customers with 12 attributes and 6 kinds of events: {} bytes each in columns ({}); \
         {} µs of CPU each to read them in (of {} s in all).",
        number(customers as f64),
        number(each(bytes)),
        parts.join(", "),
        number(filling * 1_000.0 / customers as f64),
        number((cpu_ms() - began) / 1_000.0),
    ));
    let project = Project::new(ProjectNo(1), "shop");
    let mut ours = Vec::new();
    for (name, filter) in filters() {
        ours.push(count(&mut mirror, &project, name, &filter)?);
    }
    drop(mirror);
    let asked: Vec<Json> = filters().iter().map(|(_, filter)| filter.clone()).collect();
    let question = json!({"now": NOW, "runs": RUNS, "filters": asked,
        "plans": PLANS, "countries": (0..40).map(country).collect::<Vec<_>>(), "domains": DOMAINS,
        "events": EVENTS[..ASKED].iter().map(|(name, _)| name).collect::<Vec<_>>()});
    fs::write(folder.join("question.json"), question.to_string())?;
    let theirs = peers(setting, &folder)?;
    compare(finding, customers, &ours, &theirs)?;
    Ok(fs::remove_dir_all(&folder)?)
}

/// Write the columns for the others, and fill ours; answers the CPU milliseconds of the filling.
fn fill(folder: &Path, customers: u64) -> anyhow::Result<(Mirror, f64)> {
    let file = |name: &str| -> anyhow::Result<BufWriter<File>> {
        Ok(BufWriter::with_capacity(1 << 20, File::create(folder.join(name))?))
    };
    let mut columns =
        ["plan", "country", "age", "value", "newsletter", "created_at", "domain"].map(file);
    let mut events = Vec::new();
    for (name, _) in &EVENTS[..ASKED] {
        events.push((file(&format!("{name}.customer"))?, file(&format!("{name}.at"))?));
    }
    let (dice, mut mirror, mut filling) = (&mut Dice::new(1), Mirror::default(), 0.0);
    for number in 0..customers {
        let person = person(dice);
        let cells: [&[u8]; 7] = [
            &[person.plan as u8],
            &[person.country as u8],
            &[person.age],
            &person.value.to_le_bytes(),
            &[u8::from(person.consent)],
            &person.created.to_le_bytes(),
            &[person.domain as u8],
        ];
        for (column, cell) in columns.iter_mut().zip(cells) {
            column.as_mut().map_err(|error| anyhow::anyhow!("{error}"))?.write_all(cell)?;
        }
        for ((ids, at), times) in events.iter_mut().zip(&person.events) {
            for time in times {
                ids.write_all(&(number as u32).to_le_bytes())?;
                at.write_all(&time.to_le_bytes())?;
            }
        }
        let customer = customer(&person, number);
        let id = CustomerId::of_user(ProjectNo(1), customer.user_id.as_deref().unwrap_or_default());
        let before = cpu_ms();
        mirror.set(id, &customer);
        filling += cpu_ms() - before;
    }
    Ok((mirror, filling))
}

struct Ours {
    name: &'static str,
    counts: Counts,
    ms: Vec<f64>,
}

fn count(
    mirror: &mut Mirror,
    project: &Project,
    name: &'static str,
    filter: &Json,
) -> anyhow::Result<Ours> {
    let problems =
        |problems: Vec<_>| anyhow::anyhow!("the filter {name:?} has faults: {problems:?}");
    let filter = compile::read_filter(&filter.to_string(), "/filter").map_err(problems)?;
    let filter = compile::compile_filter(project, None, "/filter", &filter).map_err(problems)?;
    let (now, threads) = (Timestamp(NOW), 1);
    let (reach, sample) = (Reachable::Anyhow, 10);
    let question = Question { project, filter: Some(&filter), reach, now, sample, threads };
    let (mut counts, mut ms) = (Vec::new(), Vec::new());
    for run in 0..=RUNS {
        let before = cpu_ms();
        let counted = mirror.count(&question, &|_, _| false);
        // The first one warms up.
        if run > 0 {
            ms.push(cpu_ms() - before);
        }
        ensure!(counted.rows == 0, "{name}: the columns had to ask rows");
        counts = vec![counted.estimate.matched];
        for line in &counted.estimate.conditions[1..] {
            counts.push(line.alone);
            counts.extend(line.cumulative);
        }
    }
    println!("  {name:<42} {:>8} of CPU, {} match", shown(&ms), counts[0]);
    Ok(Ours { name, counts, ms })
}

/// CPU milliseconds of this thread.
fn cpu_ms() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

fn shown(ms: &[f64]) -> String {
    let at = |percent| number(percentile(ms, percent));
    format!("{} ({}–{})", at(50.0), at(0.0), at(100.0))
}

/// Ask the others in an environment of their own.
fn peers(setting: &Setting, folder: &Path) -> anyhow::Result<Json> {
    let here = setting.root.join("bench/peers/counts");
    let python = environment(setting, &here)?;
    let status = Command::new(python).arg(here.join("peers.py")).arg(folder).status()?;
    ensure!(status.success(), "the others failed: {status}");
    Ok(serde_json::from_str(&fs::read_to_string(folder.join("answer.json"))?)?)
}

fn environment(setting: &Setting, here: &Path) -> anyhow::Result<PathBuf> {
    let venv = setting.root.join("target/counts/venv");
    let python = venv.join("bin/python");
    if !python.exists() {
        let made = Command::new("python3").args(["-m", "venv"]).arg(&venv).status();
        ensure!(made.context("starting python3")?.success(), "no environment for Python");
    }
    let requirements = here.join("requirements.txt");
    let mut install = Command::new(&python);
    install.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements);
    ensure!(install.status()?.success(), "the others cannot be installed");
    Ok(python)
}

fn compare(
    finding: &mut Finding,
    customers: u64,
    ours: &[Ours],
    theirs: &Json,
) -> anyhow::Result<()> {
    let entries = theirs["engines"].as_array().context("no engines")?;
    let medians: Vec<f64> = ours.iter().map(|own| percentile(&own.ms, 50.0)).collect();
    let mut lines = vec![vec!["**Tidings**, 1 thread".to_owned()]];
    lines[0].extend(ours.iter().map(|own| shown(&own.ms)));
    let mut least = Vec::new();
    for entry in entries {
        let name = entry["name"].as_str().unwrap_or("?");
        let (mut line, mut ratios) = (vec![name.to_owned()], Vec::new());
        for ((place, own), median) in ours.iter().enumerate().zip(&medians) {
            let answer = &entry["answers"][place];
            let counts: Counts = serde_json::from_value(answer["counts"].clone())?;
            if counts != own.counts {
                bail!("{name} counts {counts:?} for {:?}, ours {:?}", own.name, own.counts);
            }
            let ms: Vec<f64> = serde_json::from_value(answer["ms"].clone())?;
            let ratio = percentile(&ms, 50.0) / median;
            line.push(format!("{}, {} ×", shown(&ms), number(ratio)));
            ratios.push(ratio);
        }
        least.push(format!("{name} {} ×", number(percentile(&ratios, 0.0))));
        lines.push(line);
    }
    // The short ones are there for comparison; the goal speaks of the long ones.
    let worst = medians.iter().skip(4).fold(0.0, |worst: f64, ms| worst.max(*ms));
    let what = format!("{} customers", number(customers as f64));
    let figure = format!("{what}: the dearest of 4 to 6 conditions");
    finding.figure(Figure::new(&figure, "ms", vec![worst]));
    finding.note(format!("{what}, the least by which the others cost more: {}.", least.join("; ")));
    finding.note(theirs["versions"].as_str().unwrap_or_default());
    let mut head = vec![String::new()];
    head.extend(ours.iter().map(|own| format!("{} ({} match)", own.name, own.counts[0])));
    finding.table(Table { title: format!("{what}, CPU ms"), head, lines });
    let goal = match customers {
        1_000_000 => ("exact count, 4 to 6 conditions, 1 M customers", "≤ 3 CPU ms", 3.0),
        5_000_000 => ("exact count, 4 to 6 conditions, 5 M customers", "≤ 10 CPU ms", 10.0),
        _ => return Ok(()),
    };
    let (what, goal, most) = goal;
    let measured = format!("{} ms", number(worst));
    finding.goal(Goal { what, goal, measured, met: worst <= most, why: String::new() });
    Ok(())
}
