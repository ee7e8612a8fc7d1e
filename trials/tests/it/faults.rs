//! A sample of the faults; all of them are for the night.

use std::path::Path;

use trials::faults::{Against, Options, Row, run, shown};

/// Whether every promise held and every control was caught.
fn hold(against: Against, points: u64) {
    let program = Path::new(env!("CARGO_BIN_EXE_trials"));
    let options = Options { against: Some(against), points: Some(points), seed: 1 };
    let rows = run(program, &options).unwrap();
    println!("{}", shown(&rows));
    assert!(!rows.iter().any(Row::is_broken), "{}", shown(&rows));
}

#[test]
fn the_log_keeps_what_it_acknowledged() {
    hold(Against::Log, 12);
}

#[test]
fn the_state_is_whole_behind_or_rebuilt() {
    hold(Against::State, 6);
}

#[test]
fn the_server_keeps_what_it_acknowledged() {
    hold(Against::Server, 1);
}
