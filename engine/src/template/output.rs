//! From JSON into the template and from values to text: how a value looks, and how it is escaped where it lands.

use super::Target;
use super::limits::{CONTEXT_DEPTH, OUTPUT_BYTES, STRING_BYTES};
use minijinja::value::{Value, ValueKind};
use minijinja::{Error, ErrorKind, Output};
use std::borrow::Cow;
use std::fmt::Write as _;

/// The context as the template sees it. `null` is a missing value, and 80.0 is 80.
pub(super) fn context(json: &serde_json::Value) -> Value {
    convert(json, 0)
}

fn convert(json: &serde_json::Value, depth: usize) -> Value {
    if depth > CONTEXT_DEPTH {
        return Value::UNDEFINED;
    }
    match json {
        serde_json::Value::Null => Value::UNDEFINED,
        serde_json::Value::Bool(flag) => Value::from(*flag),
        serde_json::Value::Number(number) => convert_number(number),
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(items) => {
            items.iter().map(|item| convert(item, depth + 1)).collect()
        }
        serde_json::Value::Object(fields) => Value::from_pairs(
            fields.iter().map(|(name, value)| (Value::from(name), convert(value, depth + 1))),
        ),
    }
}

fn convert_number(number: &serde_json::Number) -> Value {
    if let Some(whole) = number.as_i64() {
        return Value::from(whole);
    }
    if let Some(whole) = number.as_u64() {
        return Value::from(whole);
    }
    let float = number.as_f64().unwrap_or_default();
    whole(float).map_or_else(|| Value::from(float), Value::from)
}

/// The integer that a float stands for, when it does so exactly.
pub(super) fn whole(float: f64) -> Option<i64> {
    let exact = float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0;
    exact.then_some(float as i64)
}

/// Writes one `{{ … }}`.
pub(super) fn write(out: &mut Output<'_>, value: &Value, target: Target) -> Result<(), Error> {
    let escaped = match (value.as_str().filter(|_| value.is_safe()), target) {
        (Some(safe), Target::Html | Target::Url | Target::Json) => Cow::Borrowed(safe),
        (Some(text), Target::Text) => Cow::Borrowed(text),
        (None, Target::Html) => Cow::Owned(html(&text(value)?)),
        (None, Target::Text) => text(value)?,
        (None, Target::Url) => Cow::Owned(percent(&text(value)?)),
        (None, Target::Json) => Cow::Owned(json(value)?),
    };
    out.write_str(&escaped).map_err(Error::from)
}

/// How a value reads. Missing is empty; lists and objects, which nobody should print, are JSON.
pub(super) fn text(value: &Value) -> Result<Cow<'_, str>, Error> {
    if let Some(text) = value.as_str() {
        return Ok(Cow::Borrowed(text));
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(Cow::Borrowed("")),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => json(value).map(Cow::Owned),
        ValueKind::Number => Ok(Cow::Owned(number(value))),
        ValueKind::Bool => Ok(Cow::Borrowed(if value.is_true() { "true" } else { "false" })),
        _ => Ok(Cow::Owned(value.to_string())),
    }
}

pub(super) fn number(value: &Value) -> String {
    let float = if value.is_integer() { None } else { f64::try_from(value.clone()).ok() };
    match float.and_then(whole) {
        Some(whole) => whole.to_string(),
        None => value.to_string(),
    }
}

pub(super) fn json(value: &Value) -> Result<String, Error> {
    let mut out = String::new();
    write_json(value, &mut out)?;
    Ok(out)
}

fn write_json(value: &Value, out: &mut String) -> Result<(), Error> {
    within(out.len())?;
    if let Some(text) = value.as_str() {
        out.push_str(&quoted(text));
        return Ok(());
    }
    match value.kind() {
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number if f64::try_from(value.clone()).is_ok_and(f64::is_finite) => {
            out.push_str(&number(value))
        }
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            for (index, item) in value.try_iter()?.enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                write_json(&item, out)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter()?.enumerate() {
                out.push_str(if index == 0 { "" } else { "," });
                out.push_str(&quoted(&text(&key)?));
                out.push(':');
                write_json(&value.get_item(&key)?, out)?;
            }
            out.push('}');
        }
        _ => out.push_str("null"),
    }
    Ok(())
}

/// A JSON string with its quotes.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Percent-encodes all but letters, digits and `-_.~`.
pub(super) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else if write!(out, "%{byte:02X}").is_err() {
            break; // writing to a String does not fail
        }
    }
    out
}

/// An error when a string of this length may not be made.
pub(super) fn within(bytes: usize) -> Result<(), Error> {
    if bytes <= STRING_BYTES {
        return Ok(());
    }
    let message = format!("a text of {bytes} bytes is longer than the {STRING_BYTES} allowed");
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

/// Collects what is rendered, up to the cap.
#[derive(Default)]
pub(super) struct Capped {
    pub(super) bytes: Vec<u8>,
    /// How long the text would have become with the write that was refused.
    pub(super) refused_at: Option<usize>,
}

impl std::io::Write for Capped {
    fn write(&mut self, more: &[u8]) -> std::io::Result<usize> {
        let bytes = self.bytes.len().saturating_add(more.len());
        if bytes > OUTPUT_BYTES {
            self.refused_at.get_or_insert(bytes);
            return Err(std::io::Error::other("the text is too long"));
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
