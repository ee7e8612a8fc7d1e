//! How many tests ran, read from what the runners print.

/// Tests that passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Counts {
    /// Both together.
    pub(crate) fn plus(self, other: Counts) -> Counts {
        Counts { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

/// The counts in the output of `cargo test`, `cargo nextest` or the journey: the sum of all lines
/// that close a run.
pub(crate) fn read(output: &str) -> Counts {
    output.lines().filter_map(closing_line).fold(Counts::default(), Counts::plus)
}

fn closing_line(line: &str) -> Option<Counts> {
    let line = plain(line);
    let line = line.trim();
    let runs = line.starts_with("test result:")
        || (line.starts_with("Summary [") && line.contains(" run:"))
        || line.split(' ').next().is_some_and(|first| first.parse::<u64>().is_ok());
    if !runs {
        return None;
    }
    let passed = number_before(line, " passed")?;
    let timed_out = number_before(line, " timed out").unwrap_or(0);
    let failed = number_before(line, " failed").unwrap_or(0) + timed_out;
    Some(Counts { passed, failed })
}

/// `12` in `… 12 passed …`.
fn number_before(line: &str, word: &str) -> Option<u64> {
    let before = line.get(..line.find(word)?)?;
    before.rsplit(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

/// The line without terminal colours.
fn plain(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        if letter == '\u{1b}' {
            for inner in letters.by_ref() {
                if inner.is_ascii_alphabetic() {
                    break;
                }
            }
        } else {
            out.push(letter);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_runner_is_understood() {
        let nextest = "     Summary [   1.204s] 125 tests run: 120 passed (1 slow), 3 failed, 2 timed out, 4 skipped";
        assert_eq!(read(nextest), Counts { passed: 120, failed: 5 });
        let cargo = "test result: ok. 7 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured";
        assert_eq!(read(cargo), Counts { passed: 8, failed: 2 });
        assert_eq!(read("20 passed, 1 failed"), Counts { passed: 20, failed: 1 });
        assert_eq!(read("ok: every mail passed"), Counts::default());
    }

    #[test]
    fn colours_do_not_matter() {
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.0s] \u{1b}[1m2\u{1b}[0m tests run: \u{1b}[1m2\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, 0 skipped";
        assert_eq!(read(line), Counts { passed: 2, failed: 0 });
    }
}
