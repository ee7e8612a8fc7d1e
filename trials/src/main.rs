//! `trials NAME [OPTIONS]`: run one trial and say what it found. The last line begins with `= ` and
//! holds the figures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use trials::kills::{self, End};
use trials::{clock, overload, poison, zones};

const USAGE: &str = "\
trials kills [--rounds 100] [--seed 1]   kill -9 under load, again and again
trials stops [--rounds 50] [--seed 1]    SIGTERM under load, again and again
trials overload [--seconds 60] [--factor 10]
                                         more than the server can take, in bounded memory
trials poison                            hostile input at every entry
trials clock [--jumps 20]                the wall's clock is set while things are in flight
trials faults [--against log|state|server] [--points 60|all] [--seed 1]
                                         kills, power cuts, failing and full disks, damage
trials zones [--every 1] [--from 2020] [--to 2037]
                                         civil time against Python's zoneinfo
All but faults take --scratch FOLDER, by default one in the folder for temporary files.
TIDINGS_BINARY names the program; by default it is the one built beside this.";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    // It has processes of its own that end with codes of their own.
    if let Some((name, rest)) = words.split_first()
        && name == "faults"
    {
        return trials::faults::main(rest);
    }
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("trials: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[String]) -> anyhow::Result<bool> {
    let Some((name, rest)) = words.split_first() else { bail!("which one?\n{USAGE}") };
    let options = Options::read(rest)?;
    let scratch = options.scratch(name)?;
    let passed = match name.as_str() {
        "kills" => lives(End::Kill, options.number("rounds", 100)?, &options, &scratch),
        "stops" => lives(End::Stop, options.number("rounds", 50)?, &options, &scratch),
        "overload" => {
            let (seconds, factor) = (options.number("seconds", 60)?, options.number("factor", 10)?);
            overload(seconds, factor, &scratch)
        }
        "poison" => poison(&scratch),
        "clock" => set_clock(options.number("jumps", 20)?, &scratch),
        "zones" => civil_time(&options),
        other => bail!("there is no trial {other:?}\n{USAGE}"),
    };
    // What a trial left behind is what its fault can be read from.
    if matches!(passed, Ok(true)) && std::fs::remove_dir_all(&scratch).is_err() {
        eprintln!("{} could not be removed", scratch.display());
    }
    passed
}

fn lives(end: End, rounds: u64, options: &Options, scratch: &Path) -> anyhow::Result<bool> {
    let found = kills::run(end, usize::try_from(rounds)?, options.number("seed", 1)?, scratch)?;
    found.words.iter().for_each(|words| println!("{words}"));
    println!("= {}", found.figures());
    Ok(found.faults() == 0)
}

fn overload(seconds: u64, factor: u64, scratch: &Path) -> anyhow::Result<bool> {
    let found = overload::run(seconds, f64::from(u32::try_from(factor)?), scratch)?;
    let wrong = [found.broken(), found.missed()].concat();
    wrong.iter().for_each(|words| println!("{words}"));
    println!("= {}", found.figures());
    Ok(wrong.is_empty())
}

fn set_clock(jumps: u64, scratch: &Path) -> anyhow::Result<bool> {
    let jumps: Vec<i64> = clock::ALL_JUMPS.iter().copied().take(usize::try_from(jumps)?).collect();
    let found = clock::run(&jumps, scratch)?;
    found.words.iter().for_each(|words| println!("{words}"));
    println!("= {}", found.figures());
    Ok(found.faults() == 0)
}

fn poison(scratch: &Path) -> anyhow::Result<bool> {
    let found = poison::run(scratch)?;
    found.words.iter().for_each(|words| println!("{words}"));
    println!("= {}", found.figures());
    Ok(found.faults == 0)
}

fn civil_time(options: &Options) -> anyhow::Result<bool> {
    let (from, to) = (options.number("from", 2020)?, options.number("to", 2037)?);
    let found = zones::run(from, to, options.number("every", 1)?)?;
    found.shown.iter().for_each(|words| println!("{words}"));
    println!("= {}", found.figures());
    Ok(found.differences == 0)
}

/// `--name value`, as often as wished.
struct Options(Vec<(String, String)>);

impl Options {
    fn read(words: &[String]) -> anyhow::Result<Options> {
        let mut options = Vec::new();
        for pair in words.chunks(2) {
            let [name, value] = pair else { bail!("{pair:?} has no value\n{USAGE}") };
            let name = name.strip_prefix("--").with_context(|| format!("what is {name:?}?"))?;
            options.push((name.to_owned(), value.clone()));
        }
        Ok(Options(options))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn number(&self, name: &str, default: u64) -> anyhow::Result<u64> {
        let text = self.text(name);
        text.map_or(Ok(default), |text| text.parse().with_context(|| format!("--{name} {text}")))
    }

    /// A folder of this run alone.
    fn scratch(&self, trial: &str) -> anyhow::Result<PathBuf> {
        let base = self.text("scratch").map_or_else(std::env::temp_dir, PathBuf::from);
        let folder = base.join(format!("trials-{trial}-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}
