//! `bench NAME [OPTIONS]`: measure the real server, and what a user would pick instead, side by side.

use std::process::ExitCode;

fn main() -> ExitCode {
    eprintln!("bench: there is none yet");
    ExitCode::FAILURE
}
