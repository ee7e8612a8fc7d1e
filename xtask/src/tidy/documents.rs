//! Documents that keep up with the code: paths they name exist, and every gate, reason, operator
//! and error has its place in them.

use super::Fault;
use super::sources::Source;

const GATES: &str = "engine/src/decision/mod.rs";
const REASONS: &str = "engine/src/decision/reason.rs";
const DEFINITION: &str = "engine/src/outreach/definition.rs";
const ERRORS: &str = "server/src/http/error.rs";

/// Closed sets of the definition whose words a person writes.
const SPOKEN: &[&str] = &[
    "Trigger",
    "Audience",
    "Condition",
    "Test",
    "EventTest",
    "Count",
    "Window",
    "OutreachStep",
    "Unit",
    "Frequency",
    "PageRule",
    "CapScope",
    "Otherwise",
];

/// Faults between code and documents.
pub(crate) fn check(files: &[Source]) -> Vec<Fault> {
    let mut faults = missing_paths(files);
    faults.extend(unexplained_words(files));
    faults.extend(error_pages(files));
    faults
}

fn missing_paths(files: &[Source]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for document in ["ARCHITECTURE.md", "STYLE.md", "CONTRIBUTING.md", "README.md"] {
        let Some(source) = find(files, document) else {
            faults.push(format!("{document}: is missing"));
            continue;
        };
        for (index, line) in source.text.lines().enumerate() {
            for path in line.split('`').skip(1).step_by(2).filter(|word| is_path(word)) {
                if !exists(files, path) {
                    faults.push(format!("{document}:{}: there is no {path}", index + 1));
                }
            }
        }
    }
    faults
}

/// A path of the repository, as documents write it: `engine/src/decision/`, `docs/a.md`.
fn is_path(word: &str) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-/".contains(letter);
    word.contains('/')
        && !word.starts_with('/')
        && !word.contains("//")
        && word.chars().all(plain)
        && !word.starts_with("target/")
        && !word.starts_with("data/")
}

fn exists(files: &[Source], path: &str) -> bool {
    let folder = format!("{}/", path.trim_end_matches('/'));
    files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
}

fn unexplained_words(files: &[Source]) -> Vec<Fault> {
    let reference: String = files
        .iter()
        .filter(|file| file.path.starts_with("docs/reference/"))
        .map(|file| file.text.as_str())
        .collect();
    let mut faults = Vec::new();
    let mut expect = |place: &str, what: &str, words: Vec<String>| {
        if words.is_empty() {
            faults.push(format!("{place}: no {what} found; has it moved? see documents.rs"));
        }
        for word in words {
            if !reference.contains(&format!("`{word}`")) {
                faults.push(format!("{place}: the {what} `{word}` is not in docs/reference/"));
            }
        }
    };
    expect(GATES, "gate", arrow_texts(files, GATES));
    expect(REASONS, "reason", arrow_texts(files, REASONS));
    for name in SPOKEN {
        expect(DEFINITION, &format!("{name} kind"), variants(files, DEFINITION, name));
    }
    faults
}

/// The texts of arms such as `SkipReason::NoKey => "no_key",`.
fn arrow_texts(files: &[Source], path: &str) -> Vec<String> {
    let Some(source) = find(files, path) else { return Vec::new() };
    let texts = source.text.lines().filter_map(|line| {
        let (_, text) = line.split_once(" => \"")?;
        Some(text.strip_suffix("\",")?.to_owned())
    });
    texts.collect()
}

/// The variants of a top-level enum, as they are written in JSON.
fn variants(files: &[Source], path: &str, name: &str) -> Vec<String> {
    let Some(source) = find(files, path) else { return Vec::new() };
    let start = format!("pub enum {name} {{");
    let mut names = Vec::new();
    for line in source.text.lines().skip_while(|line| *line != start).skip(1) {
        if line == "}" {
            break;
        }
        let Some(rest) = line.strip_prefix("    ") else { continue };
        let word: String = rest.chars().take_while(char::is_ascii_alphanumeric).collect();
        if word.chars().next().is_some_and(char::is_uppercase) {
            names.push(snake(&word));
        }
    }
    names
}

fn snake(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// Every error code of the server has a page and the other way round.
fn error_pages(files: &[Source]) -> Vec<Fault> {
    let Some(table) = find(files, ERRORS) else { return Vec::new() };
    let codes: Vec<&str> = table
        .text
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(" = \"")?.1.split_once("\", "))
        .filter(|(_, rest)| rest.starts_with(|letter: char| letter.is_ascii_digit()))
        .map(|(code, _)| code)
        .collect();
    let mut faults = Vec::new();
    if codes.is_empty() {
        faults.push(format!("{ERRORS}: no error code found; has the table moved?"));
    }
    for code in &codes {
        if find(files, &format!("docs/errors/{code}.md")).is_none() {
            faults.push(format!("{ERRORS}: {code} has no page in docs/errors/"));
        }
    }
    for file in files {
        let page = file.path.strip_prefix("docs/errors/").and_then(|page| page.strip_suffix(".md"));
        if page.is_some_and(|page| !codes.contains(&page)) {
            faults.push(format!("{}: no answer carries this code", file.path));
        }
    }
    faults
}

fn find<'a>(files: &'a [Source], path: &str) -> Option<&'a Source> {
    files.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_other_words() {
        assert!(is_path("engine/src/decision/"));
        assert!(!is_path("/api/v1/outreaches"));
        assert!(!is_path("cargo ci"));
        assert!(!is_path("https://example.com"));
    }

    #[test]
    fn variants_are_read_as_json_writes_them() {
        let text = "pub enum A {\n    /// One.\n    IsSet,\n    Between {\n        Min: u8,\n    },\n}\npub enum B {\n    No,\n}\n";
        let file = Source { path: "a.rs".to_owned(), bytes: 0, text: text.to_owned() };
        assert_eq!(variants(&[file], "a.rs", "A"), ["is_set", "between"]);
    }
}
