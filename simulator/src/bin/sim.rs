//! `cargo sim SEED` tells one world; `cargo sim --seeds N [--from A] [--threads T]` lives many and
//! tells only of those that broke a promise.

use std::process::ExitCode;

use simulator::sim;

const USAGE: &str = "\
cargo sim SEED                               live one world and tell everything
cargo sim --seeds N [--from A] [--threads T] live many, tell which broke a promise";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(asked) = read(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let root = sim::scratch("run");
    let kept = match asked {
        Asked::One(seed) => one(seed, &root),
        Asked::Many { from, seeds, threads } => {
            let many = sim::many(from, seeds, threads, &root);
            print!("= {}", many.told());
            many.faults.is_empty()
        }
    };
    if let Err(error) = std::fs::remove_dir_all(&root) {
        eprintln!("{} stays: {error}", root.display());
    }
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

enum Asked {
    One(u64),
    Many { from: u64, seeds: u64, threads: u64 },
}

fn read(arguments: &[String]) -> Option<Asked> {
    if let [seed] = arguments {
        return seed.parse().ok().map(Asked::One);
    }
    let (mut from, mut seeds, mut threads) = (0, None, 2);
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return None };
        let value = value.parse().ok()?;
        match name.as_str() {
            "--from" => from = value,
            "--seeds" => seeds = Some(value),
            "--threads" => threads = value,
            _ => return None,
        }
    }
    Some(Asked::Many { from, seeds: seeds?, threads })
}

fn one(seed: u64, root: &std::path::Path) -> bool {
    let report = sim::run(seed, root, true);
    println!("trace {}\n{:?}", report.trace, report.figures);
    for fault in &report.faults {
        println!("{}: {}", fault.check, fault.what);
    }
    report.faults.is_empty()
}
