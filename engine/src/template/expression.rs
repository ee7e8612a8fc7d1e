//! Reads one expression's tokens: the variables in it, the names it calls, and whether it builds lists.

use super::filters;
use super::rewrite::Edit;
use super::scan::{Kind, Token};
use super::{Target, functions};
use std::collections::HashSet;

pub(super) struct Known<'a> {
    pub(super) target: Target,
    pub(super) macros: &'a HashSet<String>,
    pub(super) in_macro: bool,
}

#[derive(Default)]
pub(super) struct Expression {
    pub(super) found: Vec<Found>,
    pub(super) edits: Vec<Edit>,
    /// List, map and tuple literals.
    pub(super) lists: usize,
    pub(super) nested_lists: bool,
    /// Calls `range`.
    pub(super) ranges: bool,
    pub(super) mentions_made: bool,
}

impl Expression {
    pub(super) fn paths(self) -> Vec<String> {
        self.found.into_iter().map(|one| one.path).collect()
    }

    pub(super) fn makes_lists(&self) -> bool {
        self.lists > 0 || self.ranges || self.mentions_made
    }
}

pub(super) struct Found {
    pub(super) path: String,
    pub(super) fallback: bool,
    at: usize,
}

impl Found {
    pub(super) fn root(&self) -> &str {
        self.path.split('.').next().unwrap_or_default()
    }
}

/// Whether asking for `guard` also answers for `path`.
pub(super) fn covers(guard: &str, path: &str) -> bool {
    guard.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

type Problem = (usize, String);

pub(super) fn read(
    tokens: &[Token<'_>],
    known: &Known<'_>,
    bare_commas: bool,
) -> Result<Expression, Problem> {
    let mut found = Expression::default();
    for (index, token) in tokens.iter().enumerate() {
        match role(tokens, index) {
            Role::Filter => filter(token, known.target)?,
            Role::Test => test(token)?,
            Role::Call => call(token, known, &mut found)?,
            Role::None => {
                let range = token.at..token.at + token.text.len();
                found.edits.push(Edit { range, text: filters::NIL.to_owned() });
            }
            Role::Variable if known.macros.contains(token.text) => {
                return Err((
                    token.at,
                    format!("`{0}` is a macro, so call it: `{0}(…)`", token.text),
                ));
            }
            Role::Variable => found.found.push(variable(tokens, index)),
            Role::Method => method(tokens, index)?,
            Role::Attribute | Role::Argument | Role::Keyword | Role::Other => {}
        }
    }
    lists(tokens, bare_commas, &mut found)?;
    guard_operators(tokens, &mut found.edits);
    ternary(tokens, &mut found.found);
    Ok(found)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Attribute,
    Method,
    Filter,
    Test,
    Keyword,
    /// `none`, which must equal a missing value.
    None,
    /// The name in `name=value`.
    Argument,
    Call,
    Variable,
    /// Not a word.
    Other,
}

fn role(tokens: &[Token<'_>], index: usize) -> Role {
    let Some(token) = tokens.get(index).filter(|token| token.kind == Kind::Word) else {
        return Role::Other;
    };
    let before = |back: usize| index.checked_sub(back).and_then(|at| tokens.get(at));
    let after = |symbol: &str| tokens.get(index + 1).is_some_and(|next| next.is_symbol(symbol));
    let is = |back: usize| {
        before(back)
            .is_some_and(|token| token.is_word("is") && role_is_keyword(tokens, index - back))
    };
    match before(1) {
        Some(previous) if previous.is_symbol(".") => {
            return if after("(") { Role::Method } else { Role::Attribute };
        }
        Some(previous) if previous.is_symbol("|") => return Role::Filter,
        Some(previous) if previous.is_word("not") && is(2) => return Role::Test,
        Some(_) if is(1) && token.text != "not" => return Role::Test,
        Some(_) | None => {}
    }
    match token.text {
        "none" | "None" if !after("=") => Role::None,
        text if is_keyword(text) => Role::Keyword,
        _ if after("=") => Role::Argument,
        _ if after("(") => Role::Call,
        _ => Role::Variable,
    }
}

fn role_is_keyword(tokens: &[Token<'_>], index: usize) -> bool {
    let previous = index.checked_sub(1).and_then(|at| tokens.get(at));
    !previous.is_some_and(|token| token.is_symbol(".") || token.is_symbol("|"))
}

pub(super) fn is_keyword(text: &str) -> bool {
    matches!(
        text,
        "and"
            | "or"
            | "not"
            | "in"
            | "is"
            | "if"
            | "else"
            | "true"
            | "True"
            | "false"
            | "False"
            | "loop"
            | "self"
    )
}

fn filter(token: &Token<'_>, target: Target) -> Result<(), Problem> {
    if token.text == "safe" && matches!(target, Target::Url | Target::Json) {
        return Err((token.at, "`safe` only works in HTML, so remove it".into()));
    }
    if filters::NAMES.contains(&token.text) {
        return Ok(());
    }
    let names = filters::NAMES.join(", ");
    Err((token.at, format!("there is no filter `{}`, so use one of {names}", token.text)))
}

fn test(token: &Token<'_>) -> Result<(), Problem> {
    if functions::TESTS.contains(&token.text) {
        return Ok(());
    }
    let names = functions::TESTS.join(", ");
    Err((token.at, format!("there is no test `is {}`, so use one of {names}", token.text)))
}

fn call(token: &Token<'_>, known: &Known<'_>, found: &mut Expression) -> Result<(), Problem> {
    match token.text {
        "abort" => Ok(()),
        "range" => {
            found.ranges = true;
            Ok(())
        }
        name if known.macros.contains(name) && known.in_macro => {
            Err((token.at, "a macro cannot call a macro, so write its text here".into()))
        }
        name if known.macros.contains(name) => Ok(()),
        name if filters::NAMES.contains(&name) => {
            Err((token.at, format!("`{name}` is a filter, so write `value | {name}`")))
        }
        name => Err((
            token.at,
            format!("there is no function `{name}`, so use a filter, `range` or `abort`"),
        )),
    }
}

fn method(tokens: &[Token<'_>], index: usize) -> Result<(), Problem> {
    let Some(token) = tokens.get(index) else { return Ok(()) };
    let of_loop = index
        .checked_sub(2)
        .and_then(|at| tokens.get(at))
        .is_some_and(|token| token.is_word("loop"));
    if of_loop && matches!(token.text, "cycle" | "changed") {
        return Ok(());
    }
    Err((
        token.at,
        format!("values have no methods, so use a filter instead of `.{}()`", token.text),
    ))
}

/// The variable that starts at `index`, with its attributes and what stands in for it when it is missing.
fn variable(tokens: &[Token<'_>], index: usize) -> Found {
    let (path, mut next) = path(tokens, index);
    let mut fallback = false;
    let symbol =
        |at: usize, symbol: &str| tokens.get(at).is_some_and(|token| token.is_symbol(symbol));
    while symbol(next, "|") {
        fallback |= tokens.get(next + 1).is_some_and(|token| matches!(token.text, "default" | "d"));
        next += 2;
        if symbol(next, "(") {
            next = closing(tokens, next) + 1;
        }
    }
    fallback |= tokens.get(next).is_some_and(|token| token.is_word("or"));
    Found { path, fallback, at: index }
}

/// `customer.tags[0]["x"]` as `customer.tags.0.x`, and the index of the token after it.
fn path(tokens: &[Token<'_>], index: usize) -> (String, usize) {
    let mut path = tokens.get(index).map(|token| token.text.to_owned()).unwrap_or_default();
    let mut next = index + 1;
    while let Some(opening) = tokens.get(next) {
        let key = tokens.get(next + 1);
        let step = match key {
            Some(key)
                if opening.is_symbol(".") && matches!(key.kind, Kind::Word | Kind::Number) =>
            {
                2
            }
            Some(key)
                if opening.is_symbol("[") && matches!(key.kind, Kind::Text | Kind::Number) =>
            {
                if !tokens.get(next + 2).is_some_and(|token| token.is_symbol("]")) {
                    break;
                }
                3
            }
            Some(_) | None => break,
        };
        path.push('.');
        path.push_str(key.map(|key| key.text.trim_matches(['"', '\''])).unwrap_or_default());
        next += step;
    }
    (path, next)
}

fn closing(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in
        tokens.iter().enumerate().skip(open).filter(|(_, token)| token.kind == Kind::Symbol)
    {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    tokens.len()
}

/// In `a if b else c`, asking for `b` covers every use of `b`.
fn ternary(tokens: &[Token<'_>], found: &mut [Found]) {
    let keyword = |index: usize, word: &str| {
        tokens.get(index).is_some_and(|token| token.is_word(word))
            && role(tokens, index) == Role::Keyword
    };
    let mut asking = false;
    let asked: Vec<bool> = (0..tokens.len())
        .map(|index| {
            asking = keyword(index, "if") || (asking && !keyword(index, "else"));
            asking
        })
        .collect();
    let is_asked = |one: &Found| asked.get(one.at).copied().unwrap_or_default();
    let guards: Vec<String> =
        found.iter().filter(|one| is_asked(one)).map(|one| one.path.clone()).collect();
    for one in found {
        one.fallback |= guards.iter().any(|guard| covers(guard, &one.path));
    }
}

/// Sends what `+` and `*` work on through a filter that refuses lists: the engine would join them lazily, without
/// charging for it, up to any length.
fn guard_operators(tokens: &[Token<'_>], edits: &mut Vec<Edit>) {
    let mut guard = |token: Option<&Token<'_>>| {
        if let Some(token) = token {
            let end = token.at + token.text.len();
            edits.push(Edit { range: end..end, text: format!("|{}", filters::SCALAR) });
        }
    };
    for (index, token) in tokens.iter().enumerate().skip(1) {
        let left = tokens.get(index - 1);
        // `f(*list)` is no multiplication.
        let binary = left
            .is_some_and(|left| left.kind != Kind::Symbol || matches!(left.text, ")" | "]" | "}"));
        if binary && (token.is_symbol("*") || token.is_symbol("+")) {
            guard(left);
            if token.is_symbol("*") {
                guard(
                    operand_end(tokens, index + 1).checked_sub(1).and_then(|last| tokens.get(last)),
                );
            }
        }
    }
}

/// The index after `-a.b[0](c) | d(e) is f`, starting at the `-`.
fn operand_end(tokens: &[Token<'_>], start: usize) -> usize {
    let symbol =
        |at: usize, symbol: &str| tokens.get(at).is_some_and(|token| token.is_symbol(symbol));
    let arguments = |at: usize| if symbol(at, "(") { closing(tokens, at) + 1 } else { at };
    let mut at = start;
    while symbol(at, "-") {
        at += 1;
    }
    let bracket = symbol(at, "(") || symbol(at, "[") || symbol(at, "{");
    at = if bracket { closing(tokens, at) + 1 } else { at + 1 };
    while tokens.get(at).is_some_and(|token| token.kind == Kind::Text) {
        at += 1;
    }
    loop {
        at = match tokens.get(at) {
            Some(token) if token.is_symbol(".") => at + 2,
            Some(token) if token.is_symbol("(") || token.is_symbol("[") => closing(tokens, at) + 1,
            Some(token) if token.is_symbol("|") => arguments(at + 2),
            Some(token) if token.is_word("is") => {
                let not = tokens.get(at + 1).is_some_and(|token| token.is_word("not"));
                arguments(at + 2 + usize::from(not))
            }
            Some(_) | None => return at.min(tokens.len()),
        };
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Bracket {
    Arguments,
    Group,
    List,
    Subscript,
}

fn lists(tokens: &[Token<'_>], bare_commas: bool, found: &mut Expression) -> Result<(), Problem> {
    let mut open: Vec<Bracket> = Vec::new();
    for (index, token) in tokens.iter().enumerate().filter(|(_, token)| token.kind == Kind::Symbol)
    {
        let after_name = index > 0 && role(tokens, index - 1) != Role::Keyword;
        let previous = index.checked_sub(1).and_then(|at| tokens.get(at));
        let after_word = previous.is_some_and(|token| token.kind == Kind::Word) && after_name;
        let after_value = previous.is_some_and(|token| {
            matches!(token.kind, Kind::Text | Kind::Number) || matches!(token.text, ")" | "]" | "}")
        });
        match token.text {
            "(" if after_value => {
                return Err((token.at, "only a name can be called, so remove this bracket".into()));
            }
            "(" => open.push(if after_word { Bracket::Arguments } else { Bracket::Group }),
            "[" if after_word || after_value => open.push(Bracket::Subscript),
            "[" | "{" => {
                found.lists += 1;
                found.nested_lists |= open.contains(&Bracket::List);
                open.push(Bracket::List);
            }
            ")" | "]" | "}" => {
                open.pop();
            }
            "," if open.last() == Some(&Bracket::Group) || (bare_commas && open.is_empty()) => {
                found.lists += 1;
                found.nested_lists = true;
            }
            _ => {}
        }
    }
    Ok(())
}

/// `{{ customer.name | default("there") | upper }}` and the like: no value makes it fail.
pub(super) fn cannot_fail(tokens: &[Token<'_>]) -> bool {
    let mut next = match tokens.first().map(|token| token.kind) {
        Some(Kind::Text | Kind::Number) => 1,
        Some(Kind::Word) if matches!(role(tokens, 0), Role::Variable | Role::None) => {
            path(tokens, 0).1
        }
        Some(_) | None => return false,
    };
    while let Some(token) = tokens.get(next) {
        let name = tokens.get(next + 1).map(|token| token.text).unwrap_or_default();
        let literal = |at: usize| {
            tokens.get(at).is_some_and(|token| matches!(token.kind, Kind::Text | Kind::Number))
        };
        let symbol =
            |at: usize, symbol: &str| tokens.get(at).is_some_and(|token| token.is_symbol(symbol));
        let argument = symbol(next + 2, "(");
        let one_literal = argument && literal(next + 3) && symbol(next + 4, ")");
        next += match name {
            _ if !token.is_symbol("|") => return false,
            "default" | "d" if one_literal => 5,
            "upper" | "lower" | "capitalize" | "title" | "trim" | "length" | "escape" | "e"
            | "urlencode" | "safe"
                if !argument =>
            {
                2
            }
            _ => return false,
        };
    }
    true
}

pub(super) fn condition_cannot_fail(tokens: &[Token<'_>]) -> bool {
    tokens.iter().enumerate().all(|(index, token)| match token.kind {
        Kind::Text | Kind::Number => true,
        Kind::Symbol => matches!(token.text, "." | "==" | "!="),
        Kind::Word => match role(tokens, index) {
            Role::Attribute | Role::Variable | Role::None => true,
            // A test takes a value that follows it as its argument, and ours take none.
            Role::Test => {
                let next = tokens.get(index + 1);
                let ends = next.is_none_or(|next| next.is_word("and") || next.is_word("or"));
                ends && matches!(
                    token.text,
                    "defined" | "undefined" | "none" | "string" | "number" | "boolean"
                )
            }
            Role::Keyword => token.text != "in",
            Role::Method | Role::Filter | Role::Argument | Role::Call | Role::Other => false,
        },
    })
}

/// The names in `a = …, b = …`.
pub(super) fn assigned<'s>(tokens: &[Token<'s>]) -> Vec<Token<'s>> {
    let is_name = |(index, _): &(usize, &Token<'s>)| role(tokens, *index) == Role::Argument;
    tokens.iter().enumerate().filter(is_name).map(|(_, token)| *token).collect()
}

/// The names in `(a, b = 1)`.
pub(super) fn parameters<'s>(tokens: &[Token<'s>]) -> Vec<Token<'s>> {
    let mut names = Vec::new();
    for (index, token) in tokens.iter().enumerate().skip(1) {
        let starts = tokens
            .get(index - 1)
            .is_some_and(|before| before.is_symbol("(") || before.is_symbol(","));
        if starts && token.kind == Kind::Word {
            names.push(*token);
        }
    }
    names
}
