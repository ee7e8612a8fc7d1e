//! One step of a chore: run it, time it, keep what it said.

use std::fs::{self, File};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// What became of a step.
pub(crate) struct Done {
    /// It ended well.
    pub(crate) passed: bool,
    /// Everything it said, on both streams.
    pub(crate) output: String,
}

/// Run a command to its end. Both streams go to one log in the order in which they were written,
/// and nobody can be asked anything: stdin is closed.
///
/// # Errors
/// The command cannot be started, or its log cannot be kept.
pub(crate) fn run(name: &str, command: &mut Command) -> anyhow::Result<Done> {
    announce(name);
    let started = Instant::now();
    let folder = crate::target().join("ci");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{}.log", name.replace(' ', "-")));
    let log = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    let status = command
        .current_dir(crate::root())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .status()
        .with_context(|| format!("starting {command:?}"))?;
    let bytes = fs::read(&path)?;
    let output = String::from_utf8_lossy(&bytes).into_owned();
    finish(status.success(), started.elapsed());
    if !status.success() {
        println!("{output}");
        println!("failed: {command:?}");
    }
    Ok(Done { passed: status.success(), output })
}

/// Say which step begins, at once: a long one should not look like a stuck one.
pub(crate) fn announce(name: &str) {
    print!("{name:<28}");
    // A closed stdout is found out at the next line; the step itself still counts.
    drop(std::io::stdout().flush());
}

/// Say how it ended.
pub(crate) fn finish(passed: bool, took: Duration) {
    let word = if passed { "ok" } else { "FAILED" };
    println!("{word:<8}{:>8.1} s", took.as_secs_f64());
}
