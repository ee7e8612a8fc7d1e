//! A value of an attribute or a property, and the lossless conversions between types.
//!
//! Dates stay the text they came as (ISO 8601) and are read as dates by the tests that want one:
//! what was sent is what is shown and exported.

use serde::{Deserialize, Serialize};

use crate::customer::block;
use crate::time::{self, Timestamp, Zone};

/// A text, number, boolean or list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Text; ISO 8601 text is also a date.
    Text(String),
    /// A number; whole numbers beyond 2^53 are kept as text, so that nothing is rounded.
    Number(f64),
    /// A boolean.
    Bool(bool),
    /// A list of scalars.
    List(Vec<Value>),
}

impl Value {
    /// From JSON. `null` is no value; an object is its JSON text (callers flatten objects first).
    pub fn from_json(json: &serde_json::Value) -> Option<Value> {
        match json {
            serde_json::Value::Null => None,
            serde_json::Value::Bool(value) => Some(Value::Bool(*value)),
            serde_json::Value::Number(number) => Some(number_value(number)),
            serde_json::Value::String(text) => Some(Value::Text(text.clone())),
            serde_json::Value::Array(items) => {
                Some(Value::List(items.iter().filter_map(Value::from_json).collect()))
            }
            serde_json::Value::Object(_) => Some(Value::Text(json.to_string())),
        }
    }

    /// To JSON, whole numbers without a fraction.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Text(text) => serde_json::Value::String(text.clone()),
            Value::Number(number) => number_json(*number),
            Value::Bool(value) => serde_json::Value::Bool(*value),
            Value::List(items) => {
                serde_json::Value::Array(items.iter().map(Value::to_json).collect())
            }
        }
    }

    /// As text: text itself; a number or boolean as it is written. A list has no text.
    pub fn as_text(&self) -> Option<std::borrow::Cow<'_, str>> {
        match self {
            Value::Text(text) => Some(text.as_str().into()),
            Value::Number(number) => Some(number_text(*number).into()),
            Value::Bool(value) => Some(if *value { "true" } else { "false" }.into()),
            Value::List(_) => None,
        }
    }

    /// As a number: a number; a text that is exactly how that number is written.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            Value::Text(text) => {
                let text = text.trim();
                let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
                let whole = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
                (!whole || number_text(number) == text).then_some(number)
            }
            Value::Bool(_) | Value::List(_) => None,
        }
    }

    /// As a boolean: a boolean; the texts `true` and `false`.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Value::Bool(value) => Some(*value),
            Value::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Value::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
            Value::Text(_) | Value::Number(_) | Value::List(_) => None,
        }
    }

    /// As a moment: ISO 8601 text; a day without a time is its first moment in `zone`.
    pub fn as_date(&self, zone: &Zone) -> Option<Timestamp> {
        match self {
            Value::Text(text) => time::parse_moment_or_day(text, zone),
            Value::Number(_) | Value::Bool(_) | Value::List(_) => None,
        }
    }

    /// As a list; a scalar is not a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        match self {
            Value::List(items) => Some(items),
            Value::Text(_) | Value::Number(_) | Value::Bool(_) => None,
        }
    }

    /// Bytes on the heap, roughly.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Value::Text(text) => block(text.capacity()),
            Value::Number(_) | Value::Bool(_) => 0,
            Value::List(items) => {
                let inside: usize = items.iter().map(Value::heap_bytes).sum();
                block(items.capacity() * size_of::<Value>()) + inside
            }
        }
    }

    /// The name of the type as the catalogue shows it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Text(text) if time::looks_like_date(text) => "date",
            Value::Text(_) => "text",
            Value::Number(_) => "number",
            Value::Bool(_) => "boolean",
            Value::List(_) => "list",
        }
    }
}

/// A number as JSON writes it: whole numbers without a fraction.
pub fn number_json(number: f64) -> serde_json::Value {
    if is_whole(number) {
        #[expect(clippy::cast_possible_truncation, reason = "whole and below 2^53")]
        return serde_json::Value::from(number as i64);
    }
    serde_json::Value::from(number)
}

/// A number as text: whole numbers without a fraction.
pub fn number_text(number: f64) -> String {
    if is_whole(number) { format!("{number:.0}") } else { format!("{number}") }
}

fn is_whole(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0
}

fn number_value(number: &serde_json::Number) -> Value {
    let text = number.to_string();
    match number.as_f64() {
        Some(value) if number.is_f64() || number_text(value) == text => Value::Number(value),
        Some(_) | None => Value::Text(text),
    }
}

/// The value at a dotted path of an object (`address.city`), the literal key first.
pub fn at_path(object: &serde_json::Value, path: &str) -> Option<Value> {
    if let Some(found) = object.get(path) {
        return Value::from_json(found);
    }
    let mut here = object;
    for part in path.split('.') {
        here = here.get(part)?;
    }
    Value::from_json(here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversions_lose_nothing() {
        assert_eq!(Value::Text("42".into()).as_number(), Some(42.0));
        assert_eq!(Value::Text("042".into()).as_number(), None);
        assert_eq!(Value::Text("4.20".into()).as_number(), Some(4.2));
        assert_eq!(Value::Text("12345678901234567890".into()).as_number(), None);
        assert_eq!(Value::Number(80.0).as_text().as_deref(), Some("80"));
        let big: serde_json::Value = serde_json::from_str("12345678901234567890").unwrap();
        assert_eq!(Value::from_json(&big), Some(Value::Text("12345678901234567890".into())));
        assert_eq!(Value::Text("TRUE".into()).as_bool(), Some(true));
    }

    #[test]
    fn paths_reach_into_objects() {
        let object = serde_json::json!({"a": {"b": 3}, "c.d": "x"});
        assert_eq!(at_path(&object, "a.b"), Some(Value::Number(3.0)));
        assert_eq!(at_path(&object, "c.d"), Some(Value::Text("x".into())));
        assert_eq!(at_path(&object, "a.z"), None);
    }
}
