//! Faults of the disk: what was acknowledged is there afterwards, or its loss is said aloud.
//!
//! The log, the state and the whole server are killed, cut off, refused and damaged at every operation, or at a sample
//! of them chosen by a seed. In each trial a control with a known flaw goes the same way, and must be caught; a trial
//! that lets it pass has proved nothing and fails.
//!
//! `trace` and `disk` turn the record of one run into what a power cut would have left at any point of it.

mod trace;
mod disk;
mod naive;
mod subject;
mod child;
mod workshop;
mod table;
mod crash;
mod failing;
mod damage;
mod ledger;
mod state;
mod server;
mod full;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

pub use table::{Row, shown};

use crate::dice::Dice;
use damage::Damage;
use workshop::{On, Workshop};

/// What is tried, and how thoroughly.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// One of them, or all.
    pub against: Option<Against>,
    /// Points of each trial; none for all there are.
    pub points: Option<u64>,
    /// Chooses the points and tosses the coins.
    pub seed: u64,
}

/// What can be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// `store::log` alone.
    Log,
    /// `store::state` alone.
    State,
    /// `tidings serve`.
    Server,
}

impl Options {
    /// Few points need no long run.
    fn commits(&self, most: u64) -> u64 {
        self.points.map_or(most, |points| most.min(points.max(20) * 4))
    }

    fn is_against(&self, against: Against) -> bool {
        self.against.is_none_or(|only| only == against)
    }
}

/// `trials faults …`: prints what was found.
pub fn main(arguments: &[String]) -> ExitCode {
    let done = match arguments.split_first() {
        Some((word, rest)) if word == "child" => child::run(rest),
        _ => print(arguments),
    };
    done.unwrap_or_else(|error| {
        eprintln!("trials: {error:#}");
        ExitCode::FAILURE
    })
}

fn print(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let options = parse(arguments)?;
    let program = std::env::current_exe().context("finding this program")?;
    let rows = run(&program, &options)?;
    println!("seed {}", options.seed);
    print!("{}", shown(&rows));
    println!("= {}", table::figures(&rows));
    let broken = rows.iter().any(Row::is_broken);
    Ok(if broken { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Makes the trials. `program` is the binary of this crate, which serves as the process that dies.
///
/// # Errors
/// Something that is needed for a trial is missing.
pub fn run(program: &Path, options: &Options) -> anyhow::Result<Vec<Row>> {
    let workshop = Workshop::open(program)?;
    let mut rows = Vec::new();
    if options.is_against(Against::Log) {
        rows.push(crash::kill(&workshop, options)?);
        rows.push(crash::cut(&workshop, options)?);
        rows.push(crash::cut_twice(&workshop, options)?);
        rows.push(crash::first_start(&workshop, options)?);
        rows.push(failing::sync(&workshop, options, 1)?);
        rows.push(failing::sync(&workshop, options, 0)?);
        rows.push(failing::write(&workshop, options)?);
        rows.push(failing::short_of_room(&workshop, options)?);
        rows.push(full::log(&workshop, options)?);
        for damage in Damage::ALL {
            rows.push(damage::log(&workshop, options, damage)?);
        }
    }
    if options.is_against(Against::State) {
        rows.push(state::kill(&workshop, options)?);
        rows.push(state::cut(&workshop, options)?);
        rows.push(state::first_start(&workshop, options)?);
        rows.push(state::fail(&workshop, options, On::Sync)?);
        rows.push(state::fail(&workshop, options, On::Write)?);
        for damage in Damage::ALL {
            rows.push(state::harm_it(&workshop, options, damage)?);
        }
    }
    if options.is_against(Against::Server) {
        let whole = server::record(&workshop)?;
        rows.push(server::kill(&workshop, options, &whole)?);
        rows.push(server::first_start(&workshop, options, &whole)?);
        rows.push(server::cut(&workshop, options, &whole)?);
        rows.push(server::sync(&workshop, options, &whole, 1)?);
        rows.push(server::sync(&workshop, options, &whole, 0)?);
        rows.push(server::write(&workshop, options, &whole)?);
        // Filling a segment takes a while; a small run leaves it to the larger ones.
        if options.points.is_none_or(|points| points >= 20) {
            rows.push(full::server(&workshop)?);
        }
        for damage in Damage::ALL {
            rows.push(server::harm_it(&workshop, options, damage)?);
        }
    }
    Ok(rows)
}

fn parse(arguments: &[String]) -> anyhow::Result<Options> {
    let mut options = Options { against: None, points: Some(60), seed: 1 };
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let value = words.next().with_context(|| format!("{word} needs a value"))?;
        match (word.as_str(), value.as_str()) {
            ("--against", "log") => options.against = Some(Against::Log),
            ("--against", "state") => options.against = Some(Against::State),
            ("--against", "server") => options.against = Some(Against::Server),
            ("--points", "all") => options.points = None,
            ("--points", number) => options.points = Some(number.parse().context("--points")?),
            ("--seed", number) => options.seed = number.parse().context("--seed")?,
            _ => anyhow::bail!("{word} {value}: {USAGE}"),
        }
    }
    Ok(options)
}

const USAGE: &str = "trials faults [--against log|state|server] [--points N|all] [--seed S]";

/// So many of the numbers `1..=total`, in order; all when no number is given.
fn choose(total: u64, wanted: Option<u64>, dice: &mut Dice) -> Vec<u64> {
    let mut all: Vec<u64> = (1..=total).collect();
    let Some(wanted) = wanted.filter(|wanted| *wanted < total) else { return all };
    for place in 0..wanted {
        let other = place + dice.below(total - place);
        all.swap(place as usize, other as usize);
    }
    all.truncate(wanted as usize);
    all.sort_unstable();
    all
}
