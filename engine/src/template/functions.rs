//! The functions `abort` and `range`, and the tests behind `is`.

use super::limits::RANGE_ITEMS;
use super::output;
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, Error, ErrorKind};

/// What `abort` leaves inside the engine's error.
#[derive(Debug, thiserror::Error)]
#[error("aborted: {reason}")]
pub(super) struct Abort {
    pub(super) reason: String,
}

pub(super) const TESTS: &[&str] = &[
    "defined",
    "undefined",
    "none",
    "string",
    "number",
    "boolean",
    "sequence",
    "mapping",
    "even",
    "odd",
];

pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_function("abort", abort);
    environment.add_function("range", range);
    environment.add_test("defined", |value: &Value| !missing(value));
    environment.add_test("undefined", missing);
    environment.add_test("none", missing);
    environment.add_test("string", |value: &Value| value.kind() == ValueKind::String);
    environment.add_test("number", |value: &Value| value.kind() == ValueKind::Number);
    environment.add_test("boolean", |value: &Value| value.kind() == ValueKind::Bool);
    environment.add_test("sequence", |value: &Value| {
        matches!(value.kind(), ValueKind::Seq | ValueKind::Iterable)
    });
    environment.add_test("mapping", |value: &Value| value.kind() == ValueKind::Map);
    environment
        .add_test("even", |value: &Value| value.as_i64().is_some_and(|number| number % 2 == 0));
    environment
        .add_test("odd", |value: &Value| value.as_i64().is_some_and(|number| number % 2 != 0));
}

pub(super) fn missing(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Undefined | ValueKind::None)
}

fn abort(reason: Option<&Value>) -> Result<Value, Error> {
    let reason = match reason {
        Some(reason) if !missing(reason) => output::text(reason)?.chars().take(500).collect(),
        Some(_) | None => "no reason given".to_owned(),
    };
    Err(Error::new(ErrorKind::InvalidOperation, "aborted").with_source(Abort { reason }))
}

fn range(first: i64, second: Option<i64>, step: Option<i64>) -> Result<Vec<Value>, Error> {
    let (from, to) = second.map_or((0, first), |to| (first, to));
    let step = step.unwrap_or(1);
    if step < 1 {
        return Err(Error::new(
            ErrorKind::InvalidOperation,
            "`range` counts up, so its step must be 1 or more",
        ));
    }
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    if i128::from(to) - i128::from(from) > i128::from(RANGE_ITEMS) * i128::from(step as u64) {
        let message = format!("`range` makes at most {RANGE_ITEMS} numbers");
        return Err(Error::new(ErrorKind::InvalidOperation, message));
    }
    Ok((from..to).step_by(step).map(Value::from).collect())
}
