//! `cargo ci`: exactly what must pass before a change is merged, the cheapest refusal first.
//!
//! It stops at the first step that fails and prints what that step said. The last line counts the
//! tests, so that a run in which tests went missing does not look like a good one.

use std::process::Command;
use std::time::Instant;

use crate::counts::{self, Counts};
use crate::{cargo, needs, root, step, target, tidy};

/// Everything, in order. False: something failed and has been shown.
///
/// # Errors
/// A step could not even be started.
pub(crate) fn everything() -> anyhow::Result<bool> {
    let started = Instant::now();
    let mut total = Counts::default();
    let passed = steps(&mut total);
    if !matches!(passed, Ok(true)) && total.failed == 0 {
        // The step that failed counts no tests; the closing line must still not look good.
        total.failed = 1;
    }
    if let Err(error) = &passed {
        println!("{error:#}");
    }
    println!("in {:.0} s", started.elapsed().as_secs_f64());
    println!("{} passed, {} failed", total.passed, total.failed);
    Ok(matches!(passed, Ok(true)))
}

/// Only the journey, on a debug build of the server.
///
/// # Errors
/// A step could not even be started.
pub(crate) fn journey_alone() -> anyhow::Result<bool> {
    needs::install()?;
    let mut build = Command::new(cargo());
    build.args(["build", "--workspace", "--bin", "tidings"]);
    if !step::run("build the server", &mut build)?.passed {
        return Ok(false);
    }
    let status = journey().current_dir(root()).status()?;
    Ok(status.success())
}

fn steps(total: &mut Counts) -> anyhow::Result<bool> {
    let mut fmt = Command::new(cargo());
    fmt.args(["fmt", "--all", "--check"]);
    if !step::run("format", &mut fmt)?.passed {
        return Ok(false);
    }
    if !tidy_step()? {
        return Ok(false);
    }
    let mut clippy = Command::new(cargo());
    clippy.args(["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--"]);
    clippy.args(["-D", "warnings"]);
    if !step::run("lints", &mut clippy)?.passed {
        return Ok(false);
    }
    needs::install()?;
    // Built first, so that "tests" is the time of the tests. It builds the server's binary too, since
    // the server's own tests start it; the journey walks with that one.
    let mut build = Command::new(cargo());
    build.args(["test", "--workspace", "--locked", "--no-run", "--quiet"]);
    if !step::run("build the tests", &mut build)?.passed {
        return Ok(false);
    }
    counted("tests", &mut tests(), total)
        .and_then(|passed| Ok(passed && counted("doc tests", &mut doc_tests(), total)?))
        .and_then(|passed| Ok(passed && counted("journey", &mut journey(), total)?))
}

/// Run a step that counts tests. A step of tests that counts none has not tested anything, and that
/// is a failure too; doc tests may be none.
fn counted(name: &str, command: &mut Command, total: &mut Counts) -> anyhow::Result<bool> {
    let done = step::run(name, command)?;
    let counts = counts::read(&done.output);
    *total = total.plus(counts);
    println!("{:28}{} passed, {} failed", "", counts.passed, counts.failed);
    match name {
        "journey" => print!("{}", indented(&done.output)),
        _ => print!("{}", indented(&worlds(&done.output))),
    }
    if counts.passed == 0 && name != "doc tests" {
        println!("no test of this step passed");
        return Ok(false);
    }
    Ok(done.passed)
}

/// What the run over random worlds says of itself: how many, and what they asked how often.
fn worlds(output: &str) -> String {
    let from_there = output.lines().skip_while(|line| !line.contains(" worlds, 0 differences"));
    let table = from_there.take_while(|line| !line.trim().is_empty());
    table.map(|line| format!("{}\n", line.trim())).collect()
}

fn indented(output: &str) -> String {
    output.lines().map(|line| format!("    {line}\n")).collect()
}

fn tidy_step() -> anyhow::Result<bool> {
    step::announce("tidy");
    let started = Instant::now();
    let faults = tidy::faults()?;
    step::finish(faults.is_empty(), started.elapsed());
    for fault in &faults {
        println!("{fault}");
    }
    Ok(faults.is_empty())
}

fn tests() -> Command {
    let mut command = Command::new(cargo());
    if has_nextest() {
        command.args(["nextest", "run", "--workspace", "--locked", "--no-fail-fast"]);
        command.args(["--color", "never", "--status-level", "fail"]);
    } else {
        command.args(["test", "--workspace", "--locked", "--no-fail-fast", "--lib", "--bins"]);
        command.args(["--tests", "--quiet"]);
    }
    command
}

fn has_nextest() -> bool {
    let output = Command::new(cargo()).args(["nextest", "--version"]).output();
    output.is_ok_and(|output| output.status.success())
}

fn doc_tests() -> Command {
    let mut command = Command::new(cargo());
    command.args(["test", "--workspace", "--locked", "--doc", "--quiet"]);
    command
}

fn journey() -> Command {
    let mut command = Command::new(needs::python());
    command.arg("-B").arg(root().join("journey").join("run.py"));
    command.arg("--binary").arg(target().join("debug").join("tidings"));
    command.arg("--scratch").arg(target().join("journey"));
    command
}
