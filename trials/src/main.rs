//! `trials NAME [OPTIONS]`: run one trial and say what it found.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("trials: there is none yet");
    ExitCode::FAILURE
}
