//! Project chores, in the language of the product: `cargo ci`, `cargo demo`,
//! `cargo xtask tidy`. Start with [`main`]; each chore has a file.

mod bench;
mod ci;
mod counts;
mod demo;
mod needs;
mod nightly;
mod step;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
cargo ci                       everything that must pass: format, tidy, lints, tests, the journey
cargo demo [--release] [ARGS]  build the server and run its demo; ARGS go to `tidings demo`
cargo xtask tidy [--record]    the rules of the house; --record notes today's exceptions
cargo xtask needs              fetch what the tests need besides Rust
cargo xtask journey            only the journey, against a debug build
cargo xtask nightly [PART…]    the long proofs; each writes its row of docs/reliability.md
cargo xtask bench [ROW…]       measure the release server; a run writes docs/performance.md";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (chore, rest) = match arguments.split_first() {
        Some((chore, rest)) => (chore.as_str(), rest),
        None => ("", [].as_slice()),
    };
    let done = match chore {
        "ci" => ci::everything(),
        "needs" => needs::install().map(|()| true),
        "journey" => ci::journey_alone(),
        "bench" => bench::run(rest),
        "nightly" => nightly::run(rest),
        "demo" => demo::run(rest),
        "tidy" => tidy::run(rest.iter().any(|argument| argument == "--record")),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The root of the repository, wherever the chore was started.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or(here.clone(), PathBuf::from)
}

/// The cargo that runs us, so that a nested call uses the same toolchain.
fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Where builds go.
fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}
