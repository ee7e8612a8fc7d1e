//! Words that no name in the code may have: they hide what a thing is, or they are another
//! product's word for one of our things.

use super::Fault;
use super::sources::Source;

/// The word, and what to say instead.
const BANNED: &[(&str, &str)] = &[
    ("campaign", "outreach"),
    ("contact", "customer"),
    ("cohort", "segment"),
    ("blocklist", "suppression"),
    ("util", "the name of the thing"),
    ("utils", "the name of the thing"),
    ("helper", "the name of the thing"),
    ("helpers", "the name of the thing"),
    ("common", "the name of the thing"),
    ("misc", "the name of the thing"),
    ("manager", "what it does"),
];

/// Faults: identifiers and file names with a banned word.
pub(crate) fn check(files: &[Source]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        for name in file.path.trim_end_matches(".rs").split('/') {
            faults.extend(fault(&file.path, name));
        }
        for (number, line) in code_lines(&file.text) {
            for name in identifiers(&line) {
                faults.extend(fault(&format!("{}:{number}", file.path), name));
            }
        }
    }
    faults
}

fn fault(place: &str, name: &str) -> Option<Fault> {
    let words = words_of(name);
    let (banned, instead) =
        BANNED.iter().find(|(banned, _)| words.iter().any(|word| word == banned))?;
    Some(format!("{place}: `{name}` says {banned}; say {instead}"))
}

/// `OneTwo`, `one_two` and `ONE_TWO` as `one`, `two`.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_is_lower = false;
    for letter in name.chars() {
        if letter == '_' || letter == '-' || (letter.is_uppercase() && before_is_lower) {
            words.push(String::new());
        }
        if let (Some(word), true) = (words.last_mut(), letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
        before_is_lower = letter.is_lowercase();
    }
    words
}

fn identifiers(code: &str) -> impl Iterator<Item = &str> {
    code.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
        .filter(|name| name.chars().next().is_some_and(char::is_alphabetic))
}

/// The lines with their numbers, without comments and without what stands in quotes. Enough for
/// names; a text over several lines is read as code, which has not mattered.
fn code_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut code = String::new();
        let mut quoted = false;
        let mut letters = line.chars().peekable();
        while let Some(letter) = letters.next() {
            match letter {
                '\\' if quoted => {
                    letters.next();
                }
                '"' => quoted = !quoted,
                '/' if !quoted && letters.peek() == Some(&'/') => break,
                letter if !quoted => code.push(letter),
                _ => {}
            }
        }
        lines.push((index + 1, code));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_inside_names() {
        assert!(fault("a.rs:1", "send_campaign").is_some());
        assert!(fault("a.rs:1", "QueueManager").is_some());
        assert!(fault("a.rs:1", "CAMPAIGN").is_some());
        assert!(fault("a.rs:1", "utilisation").is_none());
    }

    #[test]
    fn texts_and_comments_are_free() {
        let lines = code_lines("let x = \"a campaign \\\" helper\"; // the util");
        assert_eq!(lines, [(1, "let x = ; ".to_owned())]);
    }
}
