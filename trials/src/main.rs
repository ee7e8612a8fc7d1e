//! `trials NAME [OPTIONS]`: run one trial and say what it found.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let done = match arguments.split_first() {
        Some((name, rest)) if name == "faults" => trials::faults::main(rest),
        _ => Err(anyhow::anyhow!("trials faults [OPTIONS]")),
    };
    done.unwrap_or_else(|error| {
        eprintln!("trials: {error:#}");
        ExitCode::FAILURE
    })
}
