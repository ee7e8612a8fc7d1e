//! Rules on the text of any file: every module says what it is for, nothing is left to do later,
//! nothing points outside the repository, nothing is huge.

use super::Fault;
use super::sources::Source;

const FILE_BYTES: u64 = 1024 * 1024;
const LOCKED_PACKAGES: usize = 380;

/// Faults in single files.
pub(crate) fn check(files: &[Source]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in files {
        if file.bytes > FILE_BYTES {
            faults.push(format!("{}: {} bytes; at most 1 MiB", file.path, file.bytes));
        }
        if file.is_rust() && !file.is_test() && !begins_with_an_essay(&file.text) {
            faults
                .push(format!("{}: a module begins with `//!` and says what it is for", file.path));
        }
        for (index, line) in file.text.lines().enumerate() {
            faults.extend(in_line(line).map(|what| format!("{}:{}: {what}", file.path, index + 1)));
        }
        if file.path == "Cargo.lock" {
            faults.extend(budget(&file.text));
        }
    }
    faults
}

fn begins_with_an_essay(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    first.is_some_and(|line| line.starts_with("//! "))
}

fn in_line(line: &str) -> Option<&'static str> {
    // Written in pieces, so that this file keeps its own rules.
    let later = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let outside = [
        concat!("../", "shared"),
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
    ];
    if later.iter().any(|word| line.contains(word)) {
        return Some("do it now, or write it down where people look: CHANGELOG.md or docs/");
    }
    if outside.iter().any(|path| line.contains(path)) {
        return Some("points outside the repository");
    }
    None
}

fn budget(lock: &str) -> Option<Fault> {
    let count = lock.lines().filter(|line| *line == "[[package]]").count();
    (count > LOCKED_PACKAGES)
        .then(|| format!("Cargo.lock: {count} packages; the budget is {LOCKED_PACKAGES}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_begins_with_its_essay() {
        assert!(begins_with_an_essay("//! What it is.\n\nuse a;"));
        assert!(begins_with_an_essay("#![cfg(test)]\n//! What it is."));
        assert!(!begins_with_an_essay("use a;\n//! Too late."));
    }

    #[test]
    fn later_and_elsewhere_are_found() {
        assert!(in_line(concat!("// TO", "DO: more")).is_some());
        assert!(in_line(concat!("see ../", "shared/x.md")).is_some());
        assert!(in_line("see docs/reference/gates.md").is_none());
    }
}
