//! Text that is safe to put somewhere else: a log, a header, a file name.

use std::fmt;

/// A reason or provider id longer than this says nothing more, and a provider could send megabytes.
const LINE_LIMIT: usize = 300;
const NAME_LIMIT: usize = 128;

/// A password, key or token. Its `Debug` never shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: impl Into<String>) -> Secret {
        Secret(value.into())
    }

    /// The value itself. Named so that a reader stops at every use.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}

/// One line of bounded length. What a provider answers is foreign text that ends up in the ledger.
pub(crate) fn one_line(text: &str) -> String {
    let spaced = without_controls(text, ' ');
    let words: Vec<&str> = spaced.split_whitespace().collect();
    words.join(" ").chars().take(LINE_LIMIT).collect()
}

/// The text with every control character replaced. A header built from a customer's own name must
/// not be able to end the line.
pub(crate) fn without_controls(text: &str, replacement: char) -> String {
    let separator = |c: char| c.is_control() || c == '\u{2028}' || c == '\u{2029}';
    text.chars().map(|c| if separator(c) { replacement } else { c }).collect()
}

/// Letters, digits, `-` and `_` only: fit for a file name, a Message-ID and a header value.
pub(crate) fn is_plain_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    !text.is_empty() && text.len() <= NAME_LIMIT && text.bytes().all(plain)
}

/// A header name as RFC 9110 and RFC 5322 both allow it, kept to the letters people use.
pub(crate) fn is_header_name(text: &str) -> bool {
    is_plain_name(text) && text.len() <= 70
}
