//! The engine is pure: it cannot read a clock, roll dice, or reach a file, a socket or a thread.

use super::Fault;
use super::sources::Source;

/// What a line of the engine may not name, and where the thing comes from instead.
const IMPURE: &[(&str, &str)] = &[
    ("SystemTime", "`now` is an argument"),
    ("Instant", "`now` is an argument"),
    ("Timestamp::now(", "`now` is an argument"),
    ("Zoned::now(", "`now` is an argument"),
    ("std::fs", "the host reads and writes"),
    ("std::net", "the channels speak to others"),
    ("std::env", "settings are arguments"),
    ("std::process", "the engine starts nothing"),
    ("std::thread", "the host has the threads"),
    ("rand::", "chance is a hash of an id"),
    ("RandomState", "chance is a hash of an id"),
    ("tokio", "the engine is synchronous"),
];

/// Faults: lines of the engine, tests aside, that name the outside world.
pub(crate) fn check(files: &[Source]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let engine = files.iter().filter(|file| file.path.starts_with("engine/src/"));
    for file in engine.filter(|file| file.is_rust() && !file.is_test()) {
        for (index, line) in file.own_lines().into_iter().enumerate() {
            if let Some((word, instead)) = impurity(line) {
                let place = format!("{}:{}", file.path, index + 1);
                faults.push(format!("{place}: the engine may not name {word}; {instead}"));
            }
        }
    }
    faults
}

fn impurity(line: &str) -> Option<(&'static str, &'static str)> {
    let code = line.trim_start();
    if code.starts_with("//") {
        return None;
    }
    IMPURE.iter().find(|(word, _)| code.contains(word)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outside_world_is_seen() {
        assert!(impurity("use std::time::SystemTime;").is_some());
        assert!(impurity("    let text = std::fs::read_to_string(path)?;").is_some());
        assert!(impurity("    /// Like an Instant, but ours.").is_none());
        assert!(impurity("    let now = place.now;").is_none());
    }
}
