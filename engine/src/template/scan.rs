//! Cuts a template into text and blocks, and enforces the limits that must hold before anything recursive runs.
//!
//! This follows the template engine's own lexer to the letter: what it takes for a block must be a block here, or a
//! limit could be walked around. Where the two might differ (unbalanced brackets, unclosed strings, letters that are
//! not ASCII outside strings) the template is refused here, so only text both read alike goes on.

use super::TemplateError;
use super::limits::{BLOCK_BYTES, BLOCK_COMMAS, BLOCK_OPERATORS, PARENTHESES, SOURCE_BYTES};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BlockKind {
    /// `{{ … }}`
    Output,
    /// `{% … %}`
    Tag,
}

#[derive(Debug)]
pub(super) struct Block<'s> {
    pub(super) kind: BlockKind,
    /// Byte offset of `{{` or `{%`.
    pub(super) start: usize,
    /// Where the expression begins and ends: what lies between the markers and their `-` or `+`.
    pub(super) inner: std::ops::Range<usize>,
    pub(super) tokens: Vec<Token<'s>>,
    /// Inside a JSON string literal, judging by the quotes in the text so far.
    pub(super) in_json_string: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    Number,
    /// With its quotes.
    Text,
    Symbol,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Token<'s> {
    pub(super) kind: Kind,
    pub(super) text: &'s str,
    pub(super) at: usize,
}

impl Token<'_> {
    pub(super) fn is_symbol(&self, symbol: &str) -> bool {
        self.kind == Kind::Symbol && self.text == symbol
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }
}

pub(super) fn scan(source: &str) -> Result<Vec<Block<'_>>, TemplateError> {
    if source.len() > SOURCE_BYTES {
        let message = format!(
            "the template has {} KiB and may have {}, so shorten it or move images out of it",
            source.len().div_ceil(1024),
            SOURCE_BYTES / 1024
        );
        return Err(TemplateError { message, line: 1, column: 1 });
    }
    let mut scanner = Scanner { source, at: 0, blocks: Vec::new(), quotes: Quotes::default() };
    scanner.run()?;
    Ok(scanner.blocks)
}

struct Scanner<'s> {
    source: &'s str,
    at: usize,
    blocks: Vec<Block<'s>>,
    quotes: Quotes,
}

impl<'s> Scanner<'s> {
    fn run(&mut self) -> Result<(), TemplateError> {
        while let Some((start, marker)) = next_marker(self.source, self.at) {
            self.text(self.at, start);
            let signed = matches!(self.byte(start + 2), Some(b'-' | b'+'));
            self.at = start + 2 + usize::from(signed);
            match marker {
                b'#' => self.comment(start)?,
                b'{' => self.block(BlockKind::Output, start, "}}")?,
                _ => match basic_tag(self.rest(), "raw", false) {
                    Some(length) => {
                        self.at += length;
                        self.raw(start)?;
                    }
                    None => self.block(BlockKind::Tag, start, "%}")?,
                },
            }
        }
        Ok(())
    }

    fn rest(&self) -> &'s str {
        self.source.get(self.at..).unwrap_or_default()
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.source.as_bytes().get(at).copied()
    }

    fn text(&mut self, from: usize, to: usize) {
        self.quotes.read(self.source.get(from..to).unwrap_or_default());
    }

    fn error(&self, at: usize, message: impl Into<String>) -> TemplateError {
        TemplateError::at(self.source, at, message)
    }

    fn comment(&mut self, start: usize) -> Result<(), TemplateError> {
        let end = self
            .rest()
            .find("#}")
            .ok_or_else(|| self.error(start, "this comment never ends, so add `#}`"))?;
        self.at += end + 2;
        Ok(())
    }

    fn raw(&mut self, start: usize) -> Result<(), TemplateError> {
        let from = self.at;
        while let Some(found) = self.rest().find("{%") {
            self.at += found + 2;
            if let Some(length) = basic_tag(self.rest(), "endraw", true) {
                self.text(from, self.at - 2);
                self.at += length;
                return Ok(());
            }
        }
        Err(self.error(start, "this `raw` block never ends, so add `{% endraw %}`"))
    }

    fn block(
        &mut self,
        kind: BlockKind,
        start: usize,
        close: &'static str,
    ) -> Result<(), TemplateError> {
        let from = self.at;
        let mut tokens: Vec<Token<'s>> = Vec::new();
        let mut open: Vec<u8> = Vec::new();
        let (mut operators, mut commas) = (0, 0);
        loop {
            self.at += self.rest().bytes().take_while(u8::is_ascii_whitespace).count();
            if self.at - start > BLOCK_BYTES {
                let message = format!(
                    "this block is longer than {} KiB, so split it or close it earlier",
                    BLOCK_BYTES / 1024
                );
                return Err(self.error(start, message));
            }
            let signed = usize::from(matches!(self.byte(self.at), Some(b'-' | b'+')));
            if open.is_empty()
                && self.rest().get(signed..).is_some_and(|rest| rest.starts_with(close))
            {
                let inner = from..self.at;
                self.at += signed + close.len();
                self.blocks.push(Block {
                    kind,
                    start,
                    inner,
                    tokens,
                    in_json_string: self.quotes.inside,
                });
                return Ok(());
            }
            let after_dot = tokens.last().is_some_and(|token| token.is_symbol("."));
            let token = self.token(start, close, after_dot)?;
            self.brackets(&token, &mut open)?;
            operators += usize::from(counts(&token));
            if operators > BLOCK_OPERATORS {
                let message = format!(
                    "this block has more than {BLOCK_OPERATORS} operators, so split it with `{{% set %}}` into steps"
                );
                return Err(self.error(start, message));
            }
            commas += usize::from(token.is_symbol(","));
            if commas > BLOCK_COMMAS {
                let message = format!(
                    "this block lists more than {BLOCK_COMMAS} values, so keep them in an attribute"
                );
                return Err(self.error(start, message));
            }
            tokens.push(token);
        }
    }

    fn token(
        &mut self,
        start: usize,
        close: &str,
        after_dot: bool,
    ) -> Result<Token<'s>, TemplateError> {
        let at = self.at;
        let rest = self.rest();
        let Some(first) = rest.bytes().next() else {
            return Err(self.error(start, format!("this block never ends, so add `{close}`")));
        };
        let (kind, length) = match first {
            b'"' | b'\'' => (Kind::Text, self.string(first)?),
            b'0'..=b'9' => match number(rest.as_bytes(), after_dot) {
                Some(length) => (Kind::Number, length),
                None => {
                    return Err(self.error(at, "this number ends in a dot, so write it as in 1.0"));
                }
            },
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => (Kind::Word, word(rest.as_bytes())),
            _ if first.is_ascii() => (Kind::Symbol, symbol(rest)),
            _ => {
                return Err(self.error(
                    at,
                    "this letter is only allowed inside quotes, so put the text in quotes",
                ));
            }
        };
        self.at += length;
        Ok(Token { kind, text: rest.get(..length).unwrap_or_default(), at })
    }

    fn string(&self, quote: u8) -> Result<usize, TemplateError> {
        let mut escaped = false;
        for (offset, byte) in self.rest().bytes().enumerate().skip(1).take(BLOCK_BYTES) {
            if escaped {
                escaped = false;
            } else if byte == b'\\' {
                escaped = true;
            } else if byte == quote {
                return Ok(offset + 1);
            }
        }
        Err(self.error(self.at, "this text has no closing quote, so add one"))
    }

    fn brackets(&self, token: &Token<'_>, open: &mut Vec<u8>) -> Result<(), TemplateError> {
        if token.kind != Kind::Symbol {
            return Ok(());
        }
        let wanted = match token.text {
            "(" => b')',
            "[" => b']',
            "{" => b'}',
            ")" | "]" | "}" => {
                if open.pop() == token.text.bytes().next() {
                    return Ok(());
                }
                let message =
                    format!("this `{}` closes nothing, so remove it or open it before", token.text);
                return Err(self.error(token.at, message));
            }
            _ => return Ok(()),
        };
        open.push(wanted);
        if open.len() > PARENTHESES {
            let message = format!(
                "more than {PARENTHESES} brackets are open here, so simplify the expression"
            );
            return Err(self.error(token.at, message));
        }
        Ok(())
    }
}

/// Whether the parser may go one level deeper for this token.
fn counts(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Word => matches!(token.text, "and" | "or" | "not" | "in" | "is" | "if" | "else"),
        Kind::Symbol => !matches!(token.text, "," | ":" | ")" | "]" | "}"),
        Kind::Number | Kind::Text => false,
    }
}

fn next_marker(source: &str, from: usize) -> Option<(usize, u8)> {
    let bytes = source.as_bytes();
    let mut at = from;
    loop {
        at += source.get(at..)?.find('{')?;
        match bytes.get(at + 1) {
            Some(marker @ (b'{' | b'%' | b'#')) => return Some((at, *marker)),
            _ => at += 1,
        }
    }
}

/// Length of `raw %}` after its `{%`, when that is what stands there.
fn basic_tag(text: &str, name: &str, sign_before: bool) -> Option<usize> {
    let blank = |c: char| c.is_ascii_whitespace();
    let mut rest = text;
    if sign_before {
        rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    }
    rest = rest.trim_start_matches(blank).strip_prefix(name)?.trim_start_matches(blank);
    rest = rest.strip_prefix(['-', '+']).unwrap_or(rest);
    Some(text.len() - rest.strip_prefix("%}")?.len())
}

fn word(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count()
}

/// Length of a number, or nothing for spellings that are easily read in two ways, such as `1.` and `1.e5`.
fn number(bytes: &[u8], after_dot: bool) -> Option<usize> {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or_default();
    let mut length = word(bytes);
    if !after_dot && byte(length) == b'.' {
        let next = byte(length + 1);
        let exponent =
            matches!(next, b'e' | b'E') && matches!(byte(length + 2), b'+' | b'-' | b'0'..=b'9');
        if next.is_ascii_digit() {
            length += 1 + word(bytes.get(length + 1..).unwrap_or_default());
        } else if exponent || !(next == b'_' || next.is_ascii_alphabetic()) {
            return None;
        }
    }
    let hexadecimal = matches!(byte(1), b'x' | b'X');
    if matches!(byte(length - 1), b'e' | b'E')
        && matches!(byte(length), b'+' | b'-')
        && !hexadecimal
    {
        length += 1 + word(bytes.get(length + 1..).unwrap_or_default());
    }
    Some(length)
}

fn symbol(rest: &str) -> usize {
    let pairs = ["//", "**", "==", "!=", ">=", "<="];
    if pairs.iter().any(|pair| rest.starts_with(pair)) { 2 } else { 1 }
}

/// Follows JSON string literals through the text between the blocks.
#[derive(Default)]
struct Quotes {
    inside: bool,
    escaped: bool,
}

impl Quotes {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.escaped {
                self.escaped = false;
            } else if self.inside && byte == b'\\' {
                self.escaped = true;
            } else if byte == b'"' {
                self.inside = !self.inside;
            }
        }
    }
}
