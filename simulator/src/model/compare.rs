//! One comparison with one value: the operators, each in a line or two.

use engine::outreach::definition::{Count, Scalar, Test, Unit};
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::clock::{self, Ms, When};
use super::values::{self, Val};

/// Does the value pass the test, at this moment, for somebody in this zone?
pub fn holds(test: &Test, value: Option<&Val>, now: Ms, zone: &TimeZone) -> bool {
    match test {
        Test::IsSet => value.is_some(),
        Test::IsNotSet => value.is_none(),
        Test::IsEmpty => match value {
            Some(Val::Text(text)) => text.is_empty(),
            Some(Val::List(items)) => items.is_empty(),
            Some(Val::Number(_) | Val::Bool(_)) | None => false,
        },
        Test::Is { .. }
        | Test::IsNot { .. }
        | Test::IsAnyOf { .. }
        | Test::IsNoneOf { .. }
        | Test::Contains { .. }
        | Test::DoesNotContain { .. }
        | Test::StartsWith { .. }
        | Test::DoesNotStartWith { .. }
        | Test::EndsWith { .. }
        | Test::MatchesRegex { .. } => text_holds(test, value.and_then(values::text).as_deref()),
        Test::Equals { .. }
        | Test::NotEquals { .. }
        | Test::GreaterThan { .. }
        | Test::AtLeast { .. }
        | Test::LessThan { .. }
        | Test::AtMost { .. }
        | Test::Between { .. } => number_holds(test, value.and_then(values::number)),
        Test::IsTrue => value.and_then(values::boolean) == Some(true),
        Test::IsFalse => value.and_then(values::boolean) == Some(false),
        Test::Before { .. }
        | Test::On { .. }
        | Test::After { .. }
        | Test::BetweenDates { .. }
        | Test::MoreThanAgo { .. }
        | Test::LessThanAgo { .. }
        | Test::ExactlyAgo { .. }
        | Test::InNext { .. }
        | Test::Anniversary => match value.and_then(|value| values::date(value, zone)) {
            Some(at) => date_holds(test, at, now, zone),
            None => false,
        },
        Test::ListContains { .. }
        | Test::ListContainsAnyOf { .. }
        | Test::ListContainsAllOf { .. }
        | Test::ListContainsNoneOf { .. }
        | Test::ListSize { .. } => match value {
            Some(Val::List(items)) => list_holds(test, Some(items)),
            Some(Val::Text(_) | Val::Number(_) | Val::Bool(_)) | None => list_holds(test, None),
        },
    }
}

/// Does a number of times meet the count?
pub fn counts(count: &Count, times: u64) -> bool {
    match count {
        Count::Exactly { n } => times == *n,
        Count::AtLeast { n } => times >= *n,
        Count::AtMost { n } => times <= *n,
        Count::Between { min, max } => *min <= times && times <= *max,
    }
}

/// The text of what somebody typed into a comparison.
fn typed(scalar: &Scalar) -> String {
    match scalar {
        Scalar::Bool(yes) => yes.to_string(),
        Scalar::Number(number) => values::number_text(*number),
        Scalar::Text(text) => text.clone(),
    }
}

fn text_holds(test: &Test, text: Option<&str>) -> bool {
    let fold = |text: &str, match_case: bool| {
        if match_case { text.to_owned() } else { text.to_lowercase() }
    };
    // Fold both sides and ask; `None` when there is no text.
    let ask = |scalar: &Scalar, match_case: bool, question: fn(&str, &str) -> bool| {
        text.map(|text| question(&fold(text, match_case), &fold(&typed(scalar), match_case)))
    };
    let same: fn(&str, &str) -> bool = |text, other| text == other;
    let has: fn(&str, &str) -> bool = |text, piece| text.contains(piece);
    let begins: fn(&str, &str) -> bool = |text, start| text.starts_with(start);
    let ends: fn(&str, &str) -> bool = |text, end| text.ends_with(end);
    let among = |scalars: &[Scalar], match_case: bool| {
        scalars.iter().any(|scalar| ask(scalar, match_case, same) == Some(true))
    };
    match test {
        Test::Is { value, match_case } => ask(value, *match_case, same) == Some(true),
        Test::IsNot { value, match_case } => ask(value, *match_case, same) != Some(true),
        Test::IsAnyOf { values, match_case } => among(values, *match_case),
        Test::IsNoneOf { values, match_case } => !among(values, *match_case),
        Test::Contains { value, match_case } => ask(value, *match_case, has) == Some(true),
        Test::DoesNotContain { value, match_case } => ask(value, *match_case, has) != Some(true),
        Test::StartsWith { value, match_case } => ask(value, *match_case, begins) == Some(true),
        Test::DoesNotStartWith { value, match_case } => {
            ask(value, *match_case, begins) == Some(false)
        }
        Test::EndsWith { value, match_case } => ask(value, *match_case, ends) == Some(true),
        Test::MatchesRegex { pattern, match_case } => {
            let pattern = regex::RegexBuilder::new(pattern).case_insensitive(!match_case).build();
            match (pattern, text) {
                (Ok(pattern), Some(text)) => pattern.is_match(text),
                (Err(_), _) | (_, None) => false,
            }
        }
        _ => false,
    }
}

fn number_holds(test: &Test, number: Option<f64>) -> bool {
    let Some(number) = number else {
        return matches!(test, Test::NotEquals { .. });
    };
    match test {
        Test::Equals { value } => number == *value,
        Test::NotEquals { value } => number != *value,
        Test::GreaterThan { value } => number > *value,
        Test::AtLeast { value } => number >= *value,
        Test::LessThan { value } => number < *value,
        Test::AtMost { value } => number <= *value,
        Test::Between { min, max } => *min <= number && number <= *max,
        _ => false,
    }
}

fn date_holds(test: &Test, at: Ms, now: Ms, zone: &TimeZone) -> bool {
    let written = |text: &str| clock::read(text, zone);
    match test {
        Test::Before { date } => written(date).is_some_and(|when| at < when.start(zone)),
        Test::After { date } => written(date).is_some_and(|when| at > when.last(zone)),
        Test::On { date } => written(date).is_some_and(|when| {
            let day = match when {
                When::Day(day) => day,
                When::Moment(moment) => clock::wall(moment, zone).date(),
            };
            clock::day_start(day, zone) <= at && at < clock::day_end(day, zone)
        }),
        Test::BetweenDates { from, to } => match (written(from), written(to)) {
            (Some(from), Some(to)) => from.start(zone) <= at && at <= to.last(zone),
            (None, _) | (_, None) => false,
        },
        Test::MoreThanAgo { amount, unit } => at <= clock::before(now, *amount, *unit, zone),
        Test::LessThanAgo { amount, unit } => {
            clock::before(now, *amount, *unit, zone) < at && at <= now
        }
        Test::ExactlyAgo { amount, unit } => in_unit_ago(at, *amount, *unit, now, zone),
        Test::InNext { amount, unit } => now < at && at <= clock::after(now, *amount, *unit, zone),
        Test::Anniversary => {
            let (born, today) = (clock::wall(at, zone).date(), clock::wall(now, zone).date());
            // Before the day itself there is nothing to remember.
            born <= today && celebrated(born, today.year()) == Some(today)
        }
        _ => false,
    }
}

fn in_unit_ago(at: Ms, amount: u32, unit: Unit, now: Ms, zone: &TimeZone) -> bool {
    let (start, end) = clock::unit_around(clock::before(now, amount, unit, zone), unit, zone);
    start <= at && at < end
}

/// The day of a year on which a day is remembered: 29 February falls on the 28th in most years.
fn celebrated(born: Date, year: i16) -> Option<Date> {
    let day = if Date::new(year, born.month(), born.day()).is_ok() { born.day() } else { 28 };
    Date::new(year, born.month(), day).ok()
}

fn list_holds(test: &Test, items: Option<&Vec<Val>>) -> bool {
    let Some(items) = items else {
        return matches!(test, Test::ListContainsNoneOf { .. });
    };
    let has = |wanted: &Scalar| {
        let wanted = typed(wanted).to_lowercase();
        items.iter().filter_map(values::text).any(|item| item.to_lowercase() == wanted)
    };
    match test {
        Test::ListContains { value } => has(value),
        Test::ListContainsAnyOf { values } => values.iter().any(has),
        Test::ListContainsAllOf { values } => values.iter().all(has),
        Test::ListContainsNoneOf { values } => !values.iter().any(has),
        Test::ListSize { count } => counts(count, items.len() as u64),
        _ => false,
    }
}
