//! `cargo xtask nightly`: what is too long for every change. Each part is a command that anybody can
//! repeat; the figures that it prints last, on a line that begins with `= `, go into its row of the
//! table of `docs/reliability.md`.

use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, bail};

use crate::{cargo, needs, root, step, target};

const PAGE: &str = "docs/reliability.md";
const BEGIN: &str = "<!-- figures: written by `cargo xtask nightly` -->\n";
const END: &str = "<!-- end of figures -->\n";

/// One part: what is promised, and the command that shows it.
struct Part {
    name: &'static str,
    promise: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
}

/// What came of a part.
struct Found {
    part: &'static Part,
    passed: bool,
    figures: String,
    minutes: f64,
}

const fn part(
    name: &'static str,
    promise: &'static str,
    program: &'static str,
    arguments: &'static [&'static str],
) -> Part {
    Part { name, promise, program, arguments }
}

/// In the order in which they run.
const PARTS: &[Part] = &[
    part(
        "model",
        "The engine decides as the contract says: random histories, lived by the engine and by a \
         naive model, and replayed from the log",
        "agree",
        &["--worlds", "1000000"],
    ),
    part(
        "worlds",
        "Every promise holds through crashes, outages, repetitions and jumps of the clock: seeded \
         worlds of the whole host",
        "sim",
        &["--from", "1", "--seeds", "10000", "--threads", "2"],
    ),
    part(
        "faults",
        "What was answered 2xx is there after a kill, a power cut, an I/O error, a full disk; \
         damage is never silent",
        "trials",
        &["faults", "--points", "all"],
    ),
    part(
        "kills",
        "The real server, killed under load: nothing acknowledged is lost, once is once, every \
         webhook ends",
        "trials",
        &["kills", "--rounds", "1000", "--seed", "1"],
    ),
    part(
        "stops",
        "A graceful stop under load loses and repeats nothing",
        "trials",
        &["stops", "--rounds", "50"],
    ),
    part("clock", "Clock jumps repeat nothing and fire nothing early", "trials", &["clock"]),
    part("zones", "Civil time is what Python's zoneinfo says", "trials", &["zones"]),
    part(
        "poison",
        "A hostile input is refused with words and stops nothing",
        "trials",
        &["poison"],
    ),
    part(
        "overload",
        "Too much is refused early, in bounded memory, and what was accepted is not lost",
        "trials",
        &["overload", "--seconds", "300", "--factor", "10"],
    ),
];

/// Run all parts, or those that are named, and write their rows. False: a promise is
/// broken.
///
/// # Errors
/// Something does not build or cannot be started.
pub(crate) fn run(names: &[String]) -> anyhow::Result<bool> {
    for name in names {
        if !PARTS.iter().any(|part| part.name == name) {
            let known: Vec<_> = PARTS.iter().map(|part| part.name).collect();
            bail!("no part is called {name:?}; there are {}", known.join(", "));
        }
    }
    needs::install()?;
    let mut build = Command::new(cargo());
    build.args(["build", "--workspace", "--locked", "--release", "--bins"]);
    if !step::run("build for the night", &mut build)?.passed {
        return Ok(false);
    }
    let mut found = Vec::new();
    for part in PARTS {
        if names.is_empty() || names.iter().any(|name| name == part.name) {
            found.push(run_part(part)?);
        }
    }
    for found in &found {
        println!("{:12}{}", found.part.name, found.figures);
    }
    write(&found)?;
    Ok(found.iter().all(|found| found.passed))
}

fn run_part(part: &'static Part) -> anyhow::Result<Found> {
    let began = Instant::now();
    let mut command = Command::new(target().join("release").join(part.program));
    command.args(part.arguments);
    command.env("TIDINGS_BINARY", target().join("release").join("tidings"));
    command.env("TIDINGS_PYTHON", needs::python());
    let done = step::run(part.name, &mut command)?;
    let figures: Vec<&str> =
        done.output.lines().filter_map(|line| line.strip_prefix("= ")).collect();
    let passed = done.passed && !figures.is_empty();
    if figures.is_empty() {
        println!("{} ended without its figures", part.name);
    }
    let minutes = began.elapsed().as_secs_f64() / 60.0;
    Ok(Found { part, passed, figures: figures.join("; "), minutes })
}

/// Put the table between its marks; a part that did not run keeps the row that it has.
fn write(found: &[Found]) -> anyhow::Result<()> {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("reading {PAGE}"))?;
    let marks = page
        .split_once(BEGIN)
        .and_then(|(before, rest)| rest.split_once(END).map(|(rows, after)| (before, rows, after)));
    let Some((before, rows, after)) = marks else {
        bail!("{PAGE} has lost the marks between which the figures stand");
    };
    let mut table = String::from("| guarantee | how to see it | last figures | minutes |\n");
    table.push_str("| --- | --- | --- | --- |\n");
    for part in PARTS {
        let command = format!("| `cargo xtask nightly {}` |", part.name);
        let known = rows.lines().find(|row| row.contains(&command)).map(|row| format!("{row}\n"));
        let fresh = found.iter().find(|found| found.part.name == part.name).map(|found| {
            let Found { part, passed, figures, minutes } = found;
            let verdict = if *passed { "" } else { "**broken**: " };
            format!("| {} {command} {verdict}{figures} | {minutes:.1} |\n", part.promise)
        });
        table.push_str(&fresh.or(known).unwrap_or_default());
    }
    fs::write(&path, format!("{before}{BEGIN}{table}{END}{after}"))?;
    Ok(())
}
