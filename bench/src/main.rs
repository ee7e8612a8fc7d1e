//! `bench [ROW…] [--quick | --whole]`: measure the real server, and what a user would pick instead,
//! side by side.
//!
//! Each row is a file in `rows/` and may be run alone. What it finds goes to the screen and into
//! `bench/results/`; `bench page` writes `docs/performance.md` from what lies there, and so does
//! every run at its end. CPU comes before wall time everywhere: it is what a customer pays for, and
//! the only one of the two that a busy machine leaves nearly alone.

mod chart;
mod counts;
mod load;
mod machine;
mod page;
mod peers;
mod process;
mod report;
mod rows;
mod setting;
mod stats;
mod subject;
mod world;

use std::process::ExitCode;

use crate::setting::{Setting, Size};

/// A row: its name, what it says of itself, and how it is measured.
type Row = (&'static str, &'static str, fn(&Setting) -> anyhow::Result<()>);

/// In the order in which they are run and printed.
const ROWS: &[Row] = &[
    (
        "ingest",
        "events over HTTP in batches of 100; 100, 1,000 and more outreaches",
        rows::ingest::run,
    ),
    ("inside", "the same inside the process", rows::inside::run),
    ("disk", "bytes written per event of 300 bytes", rows::disk::run),
    ("counts", "exact counts of audiences, beside DuckDB, Polars and chDB", counts::run),
    ("webhook", "event to webhook: idle and in a burst", rows::webhook::run),
    ("open", "latency at a given rate, whoever is slow", rows::open::run),
    ("one-off", "a one-off to 100,000 customers", rows::one_off::run),
    (
        "million",
        "a million customers: memory, idle, one-off, start after kill -9",
        rows::million::run,
    ),
    ("growth", "what grows with customers, outreaches and histories", rows::growth::run),
];

const USAGE: &str = "\
bench [ROW…] [--quick | --whole]   all rows, or these; --quick for a look, --whole for the long ones
bench peers [rules] [postgres]     the same work by what a team would use instead
bench page                         write docs/performance.md from bench/results/
bench list                         the rows";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let size = match (has("--quick"), has("--whole")) {
        (true, _) => Size::Quick,
        (false, true) => Size::Whole,
        (false, false) => Size::Usual,
    };
    let names: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|name| !name.starts_with("--")).collect();
    match names.split_first() {
        Some((&"list", _)) => {
            ROWS.iter().for_each(|(name, says, _)| println!("{name:<10}{says}"));
            Ok(())
        }
        Some((&"inside-child", rest)) => rows::inside::child(rest),
        Some((&"peers", rest)) => {
            let setting = Setting::new(size)?;
            peers::run(&setting, rest)?;
            page::write(&setting)
        }
        Some((&"page", _)) => page::write(&Setting::new(size)?),
        _ => run_rows(&Setting::new(size)?, &names),
    }
}

fn run_rows(setting: &Setting, names: &[&str]) -> anyhow::Result<()> {
    if let Some(name) = names.iter().find(|name| !ROWS.iter().any(|(known, ..)| known == *name)) {
        eprintln!("{USAGE}");
        anyhow::bail!("there is no row {name:?}");
    }
    println!("{}\n", setting.machine.shown());
    let mut failed = Vec::new();
    for (name, says, measure) in ROWS {
        if !names.is_empty() && !names.contains(name) {
            continue;
        }
        println!("{name}: {says}");
        let began = std::time::Instant::now();
        // One row that cannot be measured takes no other with it.
        if let Err(error) = measure(setting) {
            eprintln!("  not measured: {error:#}");
            failed.push(*name);
        }
        println!("  ({:.0} s)\n", began.elapsed().as_secs_f64());
    }
    page::write(setting)?;
    anyhow::ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}
