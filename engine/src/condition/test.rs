//! One comparison with one value: all operators, and what a missing value means for each.
//!
//! A value that cannot be converted without loss is as if missing. A missing value satisfies only
//! the tests that say "not this": a customer without a plan is not on the plan `pro`.

use crate::outreach::compiled::{DateTest, ListOp, NumberOp, Test, TextOp};
use crate::outreach::definition::Count;
use crate::time::{self, Timestamp, Zone};
use crate::value::Value;

/// What a comparison needs to know besides the value.
#[derive(Clone, Copy, Debug)]
pub struct TestContext<'a> {
    /// The moment of the judgement.
    pub now: Timestamp,
    /// Whose days and months they are.
    pub zone: &'a Zone,
}

/// Does the value pass the test?
pub fn passes(test: &Test, value: Option<&Value>, s: &TestContext<'_>) -> bool {
    match test {
        Test::IsSet => value.is_some(),
        Test::IsNotSet => value.is_none(),
        Test::IsEmpty => value.is_some_and(is_empty),
        Test::Text { op, values, match_case } => {
            text_passes(*op, values, *match_case, value.and_then(Value::as_text).as_deref())
        }
        Test::Regex(pattern) => {
            value.and_then(Value::as_text).is_some_and(|text| pattern.is_match(&text))
        }
        Test::Number { op, value: wanted } => {
            number_passes(*op, *wanted, value.and_then(Value::as_number))
        }
        Test::NumberBetween { min, max } => {
            value.and_then(Value::as_number).is_some_and(|number| *min <= number && number <= *max)
        }
        Test::Boolean(wanted) => value.and_then(Value::as_bool) == Some(*wanted),
        Test::Date(test) => {
            value.and_then(|value| value.as_date(s.zone)).is_some_and(|at| date_passes(test, at, s))
        }
        Test::List { op, values } => list_passes(*op, values, value.and_then(Value::as_list)),
        Test::ListSize(count) => value
            .and_then(Value::as_list)
            .is_some_and(|items| count_allows(count, items.len() as u64)),
    }
}

/// Does the test hold for a value that is missing, though it does not ask whether there is one?
/// Whoever reads such a condition must be told.
pub fn includes_missing(test: &Test) -> bool {
    match test {
        Test::Text { op, .. } => {
            matches!(op, TextOp::IsNot | TextOp::IsNoneOf | TextOp::DoesNotContain)
        }
        Test::Number { op, .. } => *op == NumberOp::NotEquals,
        Test::List { op, .. } => *op == ListOp::NoneOf,
        Test::IsSet
        | Test::IsNotSet
        | Test::IsEmpty
        | Test::Regex(_)
        | Test::NumberBetween { .. }
        | Test::Boolean(_)
        | Test::Date(_)
        | Test::ListSize(_) => false,
    }
}

/// Is the number one of those the count allows?
pub fn count_allows(count: &Count, n: u64) -> bool {
    let (least, most) = count_range(count);
    least <= n && n <= most
}

/// The least and the most a count allows.
pub fn count_range(count: &Count) -> (u64, u64) {
    match *count {
        Count::Exactly { n } => (n, n),
        Count::AtLeast { n } => (n, u64::MAX),
        Count::AtMost { n } => (0, n),
        Count::Between { min, max } => (min, max),
    }
}

/// Does a moment pass a test of dates?
pub fn date_passes(test: &DateTest, at: Timestamp, s: &TestContext<'_>) -> bool {
    match moments(test, s) {
        Moments::From(first, last) => first <= at && at <= last,
        Moments::OnTheDay => is_anniversary(s.zone.day_of(at), s.zone.day_of(s.now)),
    }
}

/// The moments that pass a test of dates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moments {
    /// From the first to the last, both included; none when the first is later.
    From(Timestamp, Timestamp),
    /// Those whose day and month is celebrated today.
    OnTheDay,
}

/// The moments that pass a test of dates now: one stretch, whatever the test.
pub fn moments(test: &DateTest, s: &TestContext<'_>) -> Moments {
    const NONE: (Timestamp, Timestamp) = (Timestamp::MAX, Timestamp::MIN);
    let range = |text: &str| time::parse_range(text, s.zone);
    let before = |end: Timestamp| end.plus_ms(-1);
    let ago = |amount: u32, unit| time::shift(s.now, -i64::from(amount), unit, s.zone);
    let (first, last) = match test {
        DateTest::Before(text) => {
            range(text).map_or(NONE, |(first, _)| (Timestamp::MIN, before(first)))
        }
        DateTest::On(text) => range(text).map_or(NONE, |(first, next)| (first, before(next))),
        DateTest::After(text) => range(text).map_or(NONE, |(_, next)| (next, Timestamp::MAX)),
        DateTest::Between(from, to) => match (range(from), range(to)) {
            (Some((first, _)), Some((_, next))) => (first, before(next)),
            (Some(_) | None, Some(_) | None) => NONE,
        },
        DateTest::MoreThanAgo(amount, unit) => (Timestamp::MIN, ago(*amount, *unit)),
        DateTest::LessThanAgo(amount, unit) => (ago(*amount, *unit).plus_ms(1), s.now),
        DateTest::ExactlyAgo(amount, unit) => {
            let (first, next) = time::unit_around(ago(*amount, *unit), *unit, s.zone);
            (first, before(next))
        }
        DateTest::InNext(amount, unit) => {
            (s.now.plus_ms(1), time::shift(s.now, i64::from(*amount), *unit, s.zone))
        }
        DateTest::Anniversary => return Moments::OnTheDay,
    };
    Moments::From(first, last)
}

/// The day on which a month and day is celebrated in a year: 29 February moves to the 28th.
pub fn celebrated(month: i8, day: i8, year: i16) -> (i16, i8, i8) {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let day = if (month, day) == (2, 29) && !leap { 28 } else { day };
    (year, month, day)
}

/// The form in which texts are compared when case does not matter. Letter by letter, so that a
/// piece of a text folds like the text itself (a sigma at the end of a word is a sigma).
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    text.chars()
        .flat_map(char::to_lowercase)
        .map(|letter| if letter == 'ς' { 'σ' } else { letter })
        .collect()
}

/// Most texts are, and need no copy.
fn is_folded(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Text(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Number(_) | Value::Bool(_) => false,
    }
}

fn text_passes(op: TextOp, wanted: &[String], match_case: bool, text: Option<&str>) -> bool {
    let Some(text) = text else {
        return match op {
            TextOp::IsNot | TextOp::IsNoneOf | TextOp::DoesNotContain => true,
            TextOp::Is
            | TextOp::IsAnyOf
            | TextOp::Contains
            | TextOp::StartsWith
            | TextOp::DoesNotStartWith
            | TextOp::EndsWith => false,
        };
    };
    let folded;
    let text = if match_case || is_folded(text) {
        text
    } else {
        folded = fold(text);
        folded.as_str()
    };
    let any = |matches: fn(&str, &str) -> bool| wanted.iter().any(|wanted| matches(text, wanted));
    match op {
        TextOp::Is | TextOp::IsAnyOf => any(|text, wanted| text == wanted),
        TextOp::IsNot | TextOp::IsNoneOf => !any(|text, wanted| text == wanted),
        TextOp::Contains => any(|text, wanted| text.contains(wanted)),
        TextOp::DoesNotContain => !any(|text, wanted| text.contains(wanted)),
        TextOp::StartsWith => any(|text, wanted| text.starts_with(wanted)),
        TextOp::DoesNotStartWith => !any(|text, wanted| text.starts_with(wanted)),
        TextOp::EndsWith => any(|text, wanted| text.ends_with(wanted)),
    }
}

#[expect(clippy::float_cmp, reason = "equal means equal: both are what somebody wrote")]
fn number_passes(op: NumberOp, wanted: f64, number: Option<f64>) -> bool {
    let Some(number) = number else { return op == NumberOp::NotEquals };
    match op {
        NumberOp::Equals => number == wanted,
        NumberOp::NotEquals => number != wanted,
        NumberOp::GreaterThan => number > wanted,
        NumberOp::AtLeast => number >= wanted,
        NumberOp::LessThan => number < wanted,
        NumberOp::AtMost => number <= wanted,
    }
}

fn list_passes(op: ListOp, wanted: &[String], items: Option<&[Value]>) -> bool {
    let Some(items) = items else { return op == ListOp::NoneOf };
    let elements: Vec<String> =
        items.iter().filter_map(Value::as_text).map(|text| fold(&text)).collect();
    match op {
        ListOp::Contains | ListOp::AllOf => wanted.iter().all(|wanted| elements.contains(wanted)),
        ListOp::AnyOf => wanted.iter().any(|wanted| elements.contains(wanted)),
        ListOp::NoneOf => !wanted.iter().any(|wanted| elements.contains(wanted)),
    }
}

fn is_anniversary(day: (i16, i8, i8), today: (i16, i8, i8)) -> bool {
    let (_, month, day_of_month) = day;
    celebrated(month, day_of_month, today.0) == today && day <= today
}
