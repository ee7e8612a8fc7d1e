//! Functions of at most 70 lines, files of at most 500, tests aside.
//!
//! A ratchet: what was longer when it was measured stands in `exceptions.txt` with its length and
//! may shrink but not grow. Formatted code ends a function with a brace at the depth at which it
//! began, so no parser is needed.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail};

use super::Fault;
use super::sources::Source;
use crate::root;

const FUNCTION_LINES: usize = 70;
const FILE_LINES: usize = 500;

/// What is too long, by place: `engine/src/a.rs` or `engine/src/a.rs::function`.
type Lengths = BTreeMap<String, usize>;

/// Faults: what is longer than allowed and than its exception.
pub(crate) fn check(files: &[Source]) -> anyhow::Result<Vec<Fault>> {
    let exceptions = read_exceptions()?;
    let too_long = too_long(files);
    let mut faults = Vec::new();
    for (place, length) in &too_long {
        let limit = if place.contains("::") { FUNCTION_LINES } else { FILE_LINES };
        match exceptions.get(place) {
            None => faults.push(format!("{place}: {length} lines; at most {limit}")),
            Some(before) if length > before => faults.push(format!(
                "{place}: {length} lines; it had {before}, was already too long and may not grow"
            )),
            Some(_) => {}
        }
    }
    for place in exceptions.keys().filter(|place| !too_long.contains_key(*place)) {
        faults.push(format!("{place}: no longer too long; `cargo xtask tidy --record`"));
    }
    Ok(faults)
}

/// Write today's lengths down.
pub(crate) fn record(files: &[Source]) -> anyhow::Result<()> {
    let mut text = String::from(
        "# Longer than the rule allows, with the length in lines. May shrink, not grow.\n",
    );
    for (place, length) in too_long(files) {
        text.push_str(&format!("{length} {place}\n"));
    }
    let path = exceptions_path();
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))
}

fn exceptions_path() -> PathBuf {
    root().join("xtask/src/tidy/exceptions.txt")
}

fn read_exceptions() -> anyhow::Result<Lengths> {
    let path = exceptions_path();
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut exceptions = Lengths::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let Some((length, place)) = line.split_once(' ') else {
            bail!("exceptions.txt: {line:?} is not a length and a place");
        };
        exceptions.insert(place.to_owned(), length.parse().context("reading exceptions.txt")?);
    }
    Ok(exceptions)
}

fn too_long(files: &[Source]) -> Lengths {
    let mut lengths = Lengths::new();
    for file in files.iter().filter(|file| file.is_rust() && !file.is_test()) {
        let lines = file.own_lines();
        if lines.len() > FILE_LINES {
            lengths.insert(file.path.clone(), lines.len());
        }
        for (name, length) in functions(&lines) {
            if length > FUNCTION_LINES {
                let place = format!("{}::{name}", file.path);
                let longest = lengths.entry(place).or_default();
                *longest = length.max(*longest);
            }
        }
    }
    lengths
}

/// The functions of a file and how many lines each has, from `fn` to the closing brace.
fn functions(lines: &[&str]) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (first, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let depth = line.len() - line.trim_start().len();
        let pad = " ".repeat(depth);
        let end = format!("{pad}}}");
        let signature_end = format!("{pad})");
        let mut length = 1;
        for (offset, line) in lines.iter().enumerate().skip(first) {
            length = offset - first + 1;
            let on_one_line = offset == first && (line.ends_with('}') || line.ends_with(';'));
            let no_body = line.starts_with(&signature_end) && line.ends_with(';');
            if *line == end || on_one_line || no_body {
                break;
            }
        }
        found.push((name, length));
    }
    found
}

fn function_name(line: &str) -> Option<String> {
    let mut words = line.split_whitespace();
    for word in words.by_ref() {
        match word {
            "fn" => break,
            "pub" | "const" | "async" | "unsafe" | "extern" => {}
            word if word.starts_with("pub(") => {}
            _ => return None,
        }
    }
    let name: String = words
        .next()?
        .chars()
        .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
        .collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_measured_to_their_brace() {
        let text = "pub(crate) fn one(\n    a: u8,\n) -> u8 {\n    a\n}\n\nimpl A {\n    fn two() {}\n\n    async fn three() {\n        if x {\n        }\n    }\n}\n\ntrait B {\n    fn four(\n        a: u8,\n    ) -> u8;\n}";
        let lines: Vec<&str> = text.lines().collect();
        let expected = [("one", 5), ("two", 1), ("three", 4), ("four", 3)];
        let found = functions(&lines);
        assert_eq!(found.len(), expected.len());
        for ((name, length), (wanted, lines)) in found.iter().zip(expected) {
            assert_eq!((name.as_str(), *length), (wanted, lines));
        }
    }

    #[test]
    fn only_functions_count() {
        assert_eq!(function_name("    // fn of a kind"), None);
        assert_eq!(function_name("    let f = fn_pointer;"), None);
        assert_eq!(function_name("    pub(crate) const fn a<T>(x: T) {").as_deref(), Some("a"));
    }
}
