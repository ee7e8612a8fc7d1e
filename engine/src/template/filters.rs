//! The filters. All are ours, so that each accepts a missing value, costs fuel for what it walks, and has a bound on
//! what it makes; filters that allocate by argument (`format`, `indent`, `center`) are deliberately not here.

use super::limits::DATE_FORMAT_BYTES;
use super::output::{self, text, within};
use super::{Target, functions::missing};
use jiff::tz::TimeZone;
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind, State};
use std::borrow::Cow;
use std::collections::BTreeSet;

pub(super) const NAMES: &[&str] = &[
    "default",
    "d",
    "upper",
    "lower",
    "capitalize",
    "title",
    "trim",
    "replace",
    "join",
    "first",
    "last",
    "length",
    "count",
    "round",
    "int",
    "float",
    "abs",
    "sort",
    "reverse",
    "unique",
    "truncate",
    "urlencode",
    "tojson",
    "date",
    "number",
    "pluralize",
    "safe",
    "escape",
    "e",
];

/// A name no template gives anything, standing for `none`: what is `none` must equal what is missing.
pub(super) const NIL: &str = "_nil";

/// Written by ourselves around what `+` and `*` work on.
pub(super) const SCALAR: &str = "_scalar";

type Made = Result<Value, Error>;

pub(super) fn add(environment: &mut Environment<'static>, target: Target) {
    for name in ["default", "d"] {
        environment.add_filter(name, default);
    }
    environment.add_filter("upper", |value: &Value| text(value).map(|text| text.to_uppercase()));
    environment.add_filter("lower", |value: &Value| text(value).map(|text| text.to_lowercase()));
    environment.add_filter("capitalize", |value: &Value| text(value).map(|text| capitalize(&text)));
    environment.add_filter("title", |value: &Value| text(value).map(|text| title(&text)));
    environment.add_filter("trim", |value: &Value| text(value).map(|text| text.trim().to_owned()));
    environment.add_filter("replace", replace);
    environment.add_filter("join", join);
    environment.add_filter("first", first);
    environment.add_filter("last", last);
    for name in ["length", "count"] {
        environment.add_filter(name, length);
    }
    environment.add_filter("round", round);
    environment.add_filter("int", |value: &Value| {
        to_number(value).map_or(0, |number| number.trunc() as i64)
    });
    environment.add_filter("float", |value: &Value| to_number(value).unwrap_or_default());
    environment
        .add_filter("abs", |value: &Value| numeric(value, "abs", |number| natural(number.abs())));
    environment.add_filter("sort", sort);
    environment.add_filter("reverse", reverse);
    environment.add_filter("unique", unique);
    environment.add_filter("truncate", truncate);
    environment.add_filter("urlencode", move |value: &Value| urlencode(value, target));
    environment.add_filter("tojson", move |value: &Value| to_json(value, target));
    environment.add_filter("date", date);
    environment.add_filter("number", number);
    environment.add_filter("pluralize", pluralize);
    environment.add_filter("safe", |value: &Value| {
        text(value).map(|text| Value::from_safe_string(text.into_owned()))
    });
    for name in ["escape", "e"] {
        environment.add_filter(name, move |value: &Value| escape(value, target));
    }
    environment.add_filter(SCALAR, scalar);
    // The two below are only written by ourselves, around outputs that do not stand on their own.
    environment.add_filter("_plain", |value: &Value| {
        text(value).map(|text| Value::from_safe_string(text.into_owned()))
    });
    environment.add_filter("_inside", |value: &Value| text(value).map(|text| inside_quotes(&text)));
}

fn wrong(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn scalar(value: &Value) -> Made {
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => Err(wrong("`+` and `*` do not work on lists")),
        _ => Ok(value.clone()),
    }
}

/// Also replaces `null` and empty text: to a reader, "Hello ," is as wrong as an error.
fn default(value: &Value, instead: Option<Value>, falsy: Option<bool>) -> Value {
    let empty =
        missing(value) || value.as_str() == Some("") || (falsy == Some(true) && !value.is_true());
    if empty { instead.unwrap_or_else(|| Value::from("")) } else { value.clone() }
}

fn capitalize(text: &str) -> String {
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_uppercase().chain(letters.flat_map(char::to_lowercase)).collect())
        .unwrap_or_default()
}

fn title(text: &str) -> String {
    text.split_inclusive(char::is_whitespace).map(capitalize).collect()
}

fn replace(value: &Value, from: &Value, to: &Value) -> Made {
    let (value, from, to) = (text(value)?, text(from)?, text(to)?);
    if from.is_empty() {
        return Ok(Value::from(value));
    }
    let found = value.matches(from.as_ref()).count();
    within(value.len().saturating_add(found.saturating_mul(to.len())))?;
    Ok(Value::from(value.replace(from.as_ref(), &to)))
}

/// The items of a list, each paid for.
fn items(state: &State<'_, '_>, value: &Value, filter: &str) -> Result<Vec<Value>, Error> {
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => return Ok(Vec::new()),
        ValueKind::Seq | ValueKind::Iterable | ValueKind::Map => {}
        other => return Err(wrong(format!("`{filter}` needs a list but got a {other}"))),
    }
    let mut items = Vec::new();
    for item in value.try_iter()? {
        state.consume_fuel(1)?;
        items.push(item);
    }
    Ok(items)
}

fn join(
    state: &State<'_, '_>,
    value: &Value,
    between: Option<&Value>,
    attribute: Option<&Value>,
) -> Made {
    if value.kind() == ValueKind::String {
        return Ok(value.clone());
    }
    let between = between.map_or(Ok(Cow::Borrowed("")), text)?;
    let mut joined = String::new();
    for (index, item) in items(state, value, "join")?.iter().enumerate() {
        let item = attribute.map_or_else(|| Ok(item.clone()), |name| item.get_item(name))?;
        let item = text(&item)?;
        within(joined.len().saturating_add(between.len()).saturating_add(item.len()))?;
        joined.push_str(if index == 0 { "" } else { &between });
        joined.push_str(&item);
    }
    Ok(Value::from(joined))
}

fn first(state: &State<'_, '_>, value: &Value) -> Made {
    if let Some(text) = value.as_str() {
        return Ok(text.chars().next().map(Value::from).unwrap_or_default());
    }
    match value.kind() {
        ValueKind::Seq | ValueKind::Iterable => Ok(value.try_iter()?.next().unwrap_or_default()),
        _ => Ok(items(state, value, "first")?.first().cloned().unwrap_or_default()),
    }
}

fn last(state: &State<'_, '_>, value: &Value) -> Made {
    if let Some(text) = value.as_str() {
        return Ok(text.chars().next_back().map(Value::from).unwrap_or_default());
    }
    Ok(items(state, value, "last")?.pop().unwrap_or_default())
}

fn length(value: &Value) -> usize {
    value.as_str().map_or_else(|| value.len().unwrap_or_default(), |text| text.chars().count())
}

/// A number, or text that is one.
fn to_number(value: &Value) -> Option<f64> {
    let number = match value.as_str() {
        Some(text) => text.trim().parse().ok()?,
        None => f64::try_from(value.clone()).ok()?,
    };
    Some(number).filter(|number: &f64| number.is_finite())
}

fn natural(number: f64) -> Value {
    output::whole(number).map_or_else(|| Value::from(number), Value::from)
}

fn numeric(value: &Value, filter: &str, make: impl Fn(f64) -> Value) -> Made {
    if missing(value) {
        return Ok(Value::UNDEFINED);
    }
    match to_number(value) {
        Some(number) => Ok(make(number)),
        None => Err(wrong(format!("`{filter}` needs a number but got a {}", value.kind()))),
    }
}

fn round(value: &Value, digits: Option<i32>) -> Made {
    let scale = 10_f64.powi(digits.unwrap_or_default().clamp(0, 12));
    numeric(value, "round", |number| natural((number * scale).round() / scale))
}

fn sort(state: &State<'_, '_>, value: &Value, attribute: Option<&Value>) -> Made {
    let list = items(state, value, "sort")?;
    let steps = u64::from(list.len().checked_ilog2().unwrap_or_default());
    state.consume_fuel(steps.saturating_mul(list.len() as u64))?;
    let key = |item: &Value| attribute.map_or_else(|| Ok(item.clone()), |name| item.get_item(name));
    let mut keyed = Vec::with_capacity(list.len());
    for item in list {
        keyed.push((key(&item)?, item));
    }
    keyed.sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

fn reverse(state: &State<'_, '_>, value: &Value) -> Made {
    if let Some(text) = value.as_str() {
        return Ok(Value::from(text.chars().rev().collect::<String>()));
    }
    let mut list = items(state, value, "reverse")?;
    list.reverse();
    Ok(Value::from(list))
}

fn unique(state: &State<'_, '_>, value: &Value) -> Made {
    let mut seen = BTreeSet::new();
    let list = items(state, value, "unique")?;
    Ok(list.into_iter().filter(|item| seen.insert(item.clone())).collect())
}

/// At most `length` letters, the last of them `…` when something was cut.
fn truncate(value: &Value, length: Option<usize>, end: Option<&Value>) -> Made {
    let text = text(value)?;
    let length = length.unwrap_or(100);
    if text.chars().nth(length).is_none() {
        return Ok(Value::from(text));
    }
    let end = end.map_or(Ok(Cow::Borrowed("…")), output::text)?;
    let room = length.saturating_sub(end.chars().count());
    let kept: String = text.chars().take(room).collect();
    let cut: String = format!("{}{end}", kept.trim_end()).chars().take(length).collect();
    Ok(Value::from(cut))
}

fn urlencode(value: &Value, target: Target) -> Made {
    let encoded = output::percent(&text(value)?);
    // In a URL every value is encoded anyway, and once is enough.
    Ok(if target == Target::Url { Value::from_safe_string(encoded) } else { Value::from(encoded) })
}

fn to_json(value: &Value, target: Target) -> Made {
    let json = output::json(value)?;
    match target {
        Target::Text | Target::Url => Ok(Value::from(json)),
        Target::Json => Ok(Value::from_safe_string(json)),
        Target::Html => {
            // Inside a <script> no value may end the element; JSON allows these letters only within its strings.
            let replaced =
                [('<', "\\u003c"), ('>', "\\u003e"), ('&', "\\u0026"), ('\'', "\\u0027")];
            let safe =
                replaced.iter().fold(json, |json, (letter, code)| json.replace(*letter, code));
            Ok(Value::from_safe_string(safe))
        }
    }
}

fn escape(value: &Value, target: Target) -> Made {
    if value.is_safe() {
        return Ok(value.clone());
    }
    let escaped = output::html(&text(value)?);
    Ok(if target == Target::Html { Value::from_safe_string(escaped) } else { Value::from(escaped) })
}

fn inside_quotes(text: &str) -> Value {
    let quoted = output::quoted(text);
    let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    Value::from_safe_string(inside.to_owned())
}

fn date(value: &Value, format: Option<&Value>, zone: Option<&Value>) -> Made {
    let format = format.map_or(Ok(Cow::Borrowed("%-d %B %Y")), text)?;
    if format.len() > DATE_FORMAT_BYTES {
        return Err(wrong(format!(
            "the format of `date` is longer than {DATE_FORMAT_BYTES} bytes"
        )));
    }
    if missing(value) || value.as_str() == Some("") {
        return Ok(Value::from(""));
    }
    let zone = match zone.filter(|zone| !missing(zone)) {
        Some(zone) => {
            TimeZone::get(&text(zone)?).map_err(|_| wrong("`date` does not know this time zone"))?
        }
        None => TimeZone::UTC,
    };
    let moment = moment(value, &zone)
        .ok_or_else(|| wrong("`date` needs a date such as 2026-03-05T10:00:00Z"))?;
    let formatted = jiff::fmt::strtime::format(format.as_ref(), &moment)
        .map_err(|_| wrong("`date` cannot use this format, so write it as in \"%-d %B %Y\""))?;
    Ok(Value::from(formatted))
}

/// ISO text with an offset is an instant and moves to the zone; without one it is what the clock on the wall says.
/// A number is seconds since 1970, or milliseconds when seconds would lie past the year 5000.
fn moment(value: &Value, zone: &TimeZone) -> Option<jiff::Zoned> {
    if let Some(text) = value.as_str() {
        if let Ok(instant) = text.parse::<jiff::Timestamp>() {
            return Some(instant.to_zoned(zone.clone()));
        }
        let clock = text.parse::<jiff::civil::DateTime>().ok()?;
        return clock.to_zoned(zone.clone()).ok();
    }
    let number = value.as_i64()?;
    let instant = if number.abs() < 100_000_000_000 {
        jiff::Timestamp::from_second(number)
    } else {
        jiff::Timestamp::from_millisecond(number)
    };
    Some(instant.ok()?.to_zoned(zone.clone()))
}

/// `1234.5 | number(2)` is 1,234.50; separators may be given: `number(2, ".", ",")`.
fn number(
    value: &Value,
    digits: Option<usize>,
    thousands: Option<&Value>,
    point: Option<&Value>,
) -> Made {
    if missing(value) {
        return Ok(Value::from(""));
    }
    let number = to_number(value)
        .ok_or_else(|| wrong(format!("`number` needs a number but got a {}", value.kind())))?;
    let plain = match digits {
        Some(digits) => format!("{number:.*}", digits.min(12)),
        None if value.kind() == ValueKind::Number => output::number(value),
        None => output::number(&natural(number)),
    };
    let thousands = thousands.map_or(Ok(Cow::Borrowed(",")), text)?;
    let point = point.map_or(Ok(Cow::Borrowed(".")), text)?;
    within(thousands.len().saturating_add(point.len()).saturating_mul(200))?;
    let (sign, plain) = plain.strip_prefix('-').map_or(("", plain.as_str()), |rest| ("-", rest));
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let sign = if plain.bytes().all(|byte| matches!(byte, b'0' | b'.')) { "" } else { sign };
    let mut made = sign.to_owned();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            made.push_str(&thousands);
        }
        made.push(digit);
    }
    if !fraction.is_empty() {
        made.push_str(&point);
        made.push_str(fraction);
    }
    Ok(Value::from(made))
}

/// `item{{ n | pluralize }}`, `cit{{ n | pluralize("y", "ies") }}`, `box{{ n | pluralize("es") }}`.
fn pluralize(value: &Value, one: Option<Value>, many: Option<Value>) -> Value {
    let count = match value.kind() {
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            value.len().map(|length| length as f64)
        }
        _ => to_number(value),
    };
    let (one, many) = match (one, many) {
        (Some(one), Some(many)) => (one, many),
        (Some(many), None) => (Value::from(""), many),
        (None, _) => (Value::from(""), Value::from("s")),
    };
    if count == Some(1.0) { one } else { many }
}
