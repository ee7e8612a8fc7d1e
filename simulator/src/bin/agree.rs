//! `agree --worlds N [--from SEED]`: live many random worlds in the engine and in the naive model, and
//! in a replay of the engine's own log; tell where they differ.

use std::process::ExitCode;

use simulator::agree::many;

const USAGE: &str = "agree --worlds N [--from SEED]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((worlds, from)) = read(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let found = many(from, worlds, threads);
    for one in found.differences.iter().take(20) {
        println!("world {} step {}: {}", one.seed, one.step, one.act);
        println!("model  {:?}\nengine {:?}", one.model, one.engine);
        println!("more of it: TIDINGS_TELL=1 agree --worlds 1 --from {}", one.seed);
    }
    println!("{}", found.coverage);
    println!("= {worlds} histories, {} differences", found.differences.len());
    if found.differences.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(arguments: &[String]) -> Option<(u64, u64)> {
    let (mut worlds, mut from) = (None, 0);
    for pair in arguments.chunks(2) {
        let [name, value] = pair else { return None };
        let value = value.parse().ok()?;
        match name.as_str() {
            "--worlds" => worlds = Some(value),
            "--from" => from = value,
            _ => return None,
        }
    }
    Some((worlds?, from))
}
