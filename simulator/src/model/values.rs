//! Values and what they can be read as without losing anything.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::clock::{self, Ms};

/// The largest whole number up to which a float tells all whole numbers apart.
const WHOLE: i64 = 1 << 53;

/// A value of an attribute or a property.
#[derive(Clone, Debug, PartialEq)]
pub enum Val {
    /// A text; dates are texts.
    Text(String),
    /// A number.
    Number(f64),
    /// Yes or no.
    Bool(bool),
    /// A list.
    List(Vec<Val>),
}

/// The value of a JSON node; null and objects are none.
pub fn from_json(json: &Json) -> Option<Val> {
    match json {
        Json::Null | Json::Object(_) => None,
        Json::Bool(yes) => Some(Val::Bool(*yes)),
        Json::String(text) => Some(Val::Text(text.clone())),
        Json::Array(items) => Some(Val::List(items.iter().filter_map(from_json).collect())),
        Json::Number(number) => {
            let beyond = match (number.as_i64(), number.as_u64()) {
                (Some(whole), _) => !(-WHOLE..=WHOLE).contains(&whole),
                (None, Some(_)) => true,
                (None, None) => false,
            };
            if beyond {
                return Some(Val::Text(number.to_string()));
            }
            number.as_f64().map(Val::Number)
        }
    }
}

/// The value at a path with dots inside an object.
pub fn at_path(json: &Json, path: &str) -> Option<Val> {
    let mut leaves = BTreeMap::new();
    flatten(json, &mut leaves);
    leaves.remove(path.trim()).flatten()
}

/// The leaves of an object by their dotted path; `None` where null is written.
pub fn flatten(json: &Json, leaves: &mut BTreeMap<String, Option<Val>>) {
    fn walk(prefix: &str, json: &Json, leaves: &mut BTreeMap<String, Option<Val>>) {
        let Json::Object(fields) = json else {
            leaves.insert(prefix.to_owned(), from_json(json));
            return;
        };
        for (key, value) in fields {
            let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            walk(&path, value, leaves);
        }
    }
    walk("", json, leaves);
}

/// As text. Lists have none.
pub fn text(value: &Val) -> Option<String> {
    match value {
        Val::Text(text) => Some(text.clone()),
        Val::Number(number) => Some(number_text(*number)),
        Val::Bool(yes) => Some(yes.to_string()),
        Val::List(_) => None,
    }
}

/// As number: a number, or a text that is one written plainly.
pub fn number(value: &Val) -> Option<f64> {
    match value {
        Val::Number(number) => Some(*number),
        Val::Text(text) => plain_number(text),
        Val::Bool(_) | Val::List(_) => None,
    }
}

/// As boolean: a boolean, or the words.
pub fn boolean(value: &Val) -> Option<bool> {
    match value {
        Val::Bool(yes) => Some(*yes),
        Val::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Val::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Val::Text(_) | Val::Number(_) | Val::List(_) => None,
    }
}

/// As a moment: an ISO 8601 text; a day is its first moment.
pub fn date(value: &Val, zone: &TimeZone) -> Option<Ms> {
    match value {
        Val::Text(text) => clock::read(text, zone).map(|when| when.start(zone)),
        Val::Number(_) | Val::Bool(_) | Val::List(_) => None,
    }
}

/// A number as text: the shortest digits that mean it.
pub fn number_text(number: f64) -> String {
    if number == 0.0 { "0".to_owned() } else { number.to_string() }
}

/// `42`, `-4.20`, but not `042`, `+4`, `.5`, `4.`, `1e3`: what a person would call the same number,
/// and only when the float holds all its digits.
fn plain_number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match digits.split_once('.') {
        None => (digits, None),
        Some((whole, fraction)) => (whole, Some(fraction)),
    };
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || fraction.is_some_and(|part| !all_digits(part)) {
        return None;
    }
    if whole.len() > 1 && whole.starts_with('0') {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    let shortest = match fraction.map(|part| part.trim_end_matches('0')) {
        None | Some("") => whole.to_owned(),
        Some(part) => format!("{whole}.{part}"),
    };
    (number_text(number.abs()) == shortest).then_some(number)
}
