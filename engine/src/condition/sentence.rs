//! A condition in words, as support and editors read it.
//!
//! Texts that ignore case are shown in the form in which they are compared.

use crate::condition::test::includes_missing;
use crate::outreach::compiled::{
    Ask, Condition, DateTest, EventTest, ListOp, NumberOp, Test, TextOp, Window,
};
use crate::outreach::definition::{Count, OutreachStep, Unit};
use crate::value::number_text;

/// The condition in words: `plan is any of pro or business`.
pub fn sentence(condition: &Condition) -> String {
    match &condition.ask {
        Ask::All(children) => joined(children, " and ", "everyone"),
        Ask::Any(children) => joined(children, " or ", "everyone"),
        Ask::None(children) if children.is_empty() => "everyone".to_owned(),
        Ask::None(children) => format!("not ({})", joined(children, " or ", "")),
        Ask::Attribute { key: name, test } | Ask::Property { path: name, test } => {
            let missing = if includes_missing(test) { " (or has no value)" } else { "" };
            format!("{name} {}{missing}", test_words(test, Form::Present))
        }
        Ask::Event { name, test, window, conditions, exclude_trigger, event: _ } => {
            let done = match test {
                EventTest::Count(Count::Exactly { n: 0 }) => format!("has not done {name}"),
                EventTest::Count(count) => format!("has done {name} {}", times(count)),
                EventTest::First => format!("did {name} for the first time"),
                EventTest::Last => format!("did {name} for the last time"),
            };
            let conditions = conditions.as_deref();
            let rest = event_scope(window, conditions, *exclude_trigger);
            format!("{done}{rest}")
        }
        Ask::Outreach { id, was, window, negate, outreach: _ } => {
            format!("{}{}", outreach_words(id, *was, *negate), window_words(window))
        }
        Ask::Segment { id, negate: false, condition: _ } => format!("is in segment {id}"),
        Ask::Segment { id, negate: true, condition: _ } => format!("is not in segment {id}"),
        Ask::RandomBucket { from, to, salt: _ } => {
            let percent = |hundredths: u32| number_text(f64::from(hundredths) / 100.0);
            format!("is in the share from {} % to {} %", percent(*from), percent(*to))
        }
    }
}

/// Whether a verb stands alone (`is`) or after "would have to" (`be`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Present,
    Infinitive,
}

impl Form {
    fn verb(self, present: &str, infinitive: &str) -> String {
        match self {
            Form::Present => present.to_owned(),
            Form::Infinitive => infinitive.to_owned(),
        }
    }
}

/// A comparison in words, without its subject.
pub(super) fn test_words(test: &Test, form: Form) -> String {
    let is = form.verb("is", "be");
    let have = form.verb("has", "have");
    match test {
        Test::IsSet => format!("{have} a value"),
        Test::IsNotSet => format!("{have} no value"),
        Test::IsEmpty => format!("{is} empty"),
        Test::Text { op, values, match_case } => {
            let exactly = if *match_case { " (in this case)" } else { "" };
            format!("{}{exactly}", text_words(*op, values, form))
        }
        Test::Regex(pattern) => format!("{} {pattern}", form.verb("matches", "match")),
        Test::Number { op, value } => {
            let value = number_text(*value);
            let how = match op {
                NumberOp::Equals => "",
                NumberOp::NotEquals => "not ",
                NumberOp::GreaterThan => "more than ",
                NumberOp::AtLeast => "at least ",
                NumberOp::LessThan => "less than ",
                NumberOp::AtMost => "at most ",
            };
            format!("{is} {how}{value}")
        }
        Test::NumberBetween { min, max } => {
            format!("{is} between {} and {}", number_text(*min), number_text(*max))
        }
        Test::Boolean(value) => format!("{is} {value}"),
        Test::Date(test) => date_words(test, form),
        Test::List { op, values } => {
            let values = choices(values);
            let how = match op {
                ListOp::Contains => "",
                ListOp::AnyOf => "any of ",
                ListOp::AllOf => "all of ",
                ListOp::NoneOf => "none of ",
            };
            format!("{} {how}{values}", form.verb("contains", "contain"))
        }
        Test::ListSize(count) => format!("{have} {} elements", number_range(count)),
    }
}

fn text_words(op: TextOp, values: &[String], form: Form) -> String {
    let is = form.verb("is", "be");
    let values = choices(values);
    match op {
        TextOp::Is => format!("{is} {values}"),
        TextOp::IsNot => format!("{is} not {values}"),
        TextOp::IsAnyOf if form == Form::Infinitive => format!("be {values}"),
        TextOp::IsAnyOf => format!("is any of {values}"),
        TextOp::IsNoneOf => format!("{is} none of {values}"),
        TextOp::Contains => format!("{} {values}", form.verb("contains", "contain")),
        TextOp::DoesNotContain => {
            format!("{} {values}", form.verb("does not contain", "not contain"))
        }
        TextOp::StartsWith => format!("{} {values}", form.verb("starts with", "start with")),
        TextOp::DoesNotStartWith => {
            format!("{} {values}", form.verb("does not start with", "not start with"))
        }
        TextOp::EndsWith => format!("{} {values}", form.verb("ends with", "end with")),
    }
}

fn date_words(test: &DateTest, form: Form) -> String {
    let is = form.verb("is", "be");
    match test {
        DateTest::Before(date) => format!("{is} before {date}"),
        DateTest::On(date) => format!("{is} on {date}"),
        DateTest::After(date) => format!("{is} after {date}"),
        DateTest::Between(from, to) => format!("{is} between {from} and {to}"),
        DateTest::MoreThanAgo(amount, unit) => {
            format!("{is} more than {} ago", length(*amount, *unit))
        }
        DateTest::LessThanAgo(amount, unit) => {
            format!("{is} in the last {}", length(*amount, *unit))
        }
        DateTest::ExactlyAgo(0, Unit::Days) => format!("{is} today"),
        DateTest::ExactlyAgo(0, unit) => format!("{is} in the present {}", unit_name(1, *unit)),
        DateTest::ExactlyAgo(amount, unit) => {
            format!("{is} exactly {} ago", length(*amount, *unit))
        }
        DateTest::InNext(amount, unit) => format!("{is} in the next {}", length(*amount, *unit)),
        DateTest::Anniversary => format!("{} its anniversary today", form.verb("has", "have")),
    }
}

/// What follows an event's name: window, conditions on properties, exclusion.
pub(super) fn event_scope(
    window: &Window,
    conditions: Option<&Condition>,
    exclude_trigger: bool,
) -> String {
    let properties =
        conditions.map_or(String::new(), |conditions| format!(" where {}", sentence(conditions)));
    let without = if exclude_trigger { ", not counting the triggering event" } else { "" };
    format!("{}{properties}{without}", window_words(window))
}

/// A window in words, with a blank before it.
pub(super) fn window_words(window: &Window) -> String {
    match window {
        Window::Ever => String::new(),
        Window::Last { amount, unit } => format!(" in the last {}", length(*amount, *unit)),
        Window::Between { from, to } => format!(" between {from} and {to}"),
        Window::SinceFirstSeen => " since first seen".to_owned(),
    }
}

fn outreach_words(id: &str, was: OutreachStep, negate: bool) -> String {
    let not = if negate { "not " } else { "" };
    match was {
        OutreachStep::Sent => format!("was {not}sent {id}"),
        OutreachStep::Displayed => format!("has {not}seen {id}"),
        OutreachStep::Clicked => format!("has {not}clicked {id}"),
        OutreachStep::Answered => format!("has {not}answered {id}"),
        OutreachStep::Dismissed => format!("has {not}dismissed {id}"),
        OutreachStep::Converted => format!("has {not}reached the goal of {id}"),
    }
}

fn times(count: &Count) -> String {
    match count {
        Count::AtLeast { n: 1 } => "at least once".to_owned(),
        Count::Exactly { n: 1 } => "exactly once".to_owned(),
        Count::AtMost { n: 1 } => "at most once".to_owned(),
        Count::Exactly { .. }
        | Count::AtLeast { .. }
        | Count::AtMost { .. }
        | Count::Between { .. } => format!("{} times", number_range(count)),
    }
}

fn number_range(count: &Count) -> String {
    match count {
        Count::Exactly { n } => format!("exactly {n}"),
        Count::AtLeast { n } => format!("at least {n}"),
        Count::AtMost { n } => format!("at most {n}"),
        Count::Between { min, max } => format!("between {min} and {max}"),
    }
}

/// `1 day`, `30 days`.
fn length(amount: u32, unit: Unit) -> String {
    format!("{amount} {}", unit_name(amount, unit))
}

fn unit_name(amount: u32, unit: Unit) -> &'static str {
    match (unit, amount == 1) {
        (Unit::Seconds, true) => "second",
        (Unit::Seconds, false) => "seconds",
        (Unit::Minutes, true) => "minute",
        (Unit::Minutes, false) => "minutes",
        (Unit::Hours, true) => "hour",
        (Unit::Hours, false) => "hours",
        (Unit::Days, true) => "day",
        (Unit::Days, false) => "days",
        (Unit::Weeks, true) => "week",
        (Unit::Weeks, false) => "weeks",
        (Unit::Months, true) => "month",
        (Unit::Months, false) => "months",
        (Unit::Years, true) => "year",
        (Unit::Years, false) => "years",
    }
}

/// At most so many values are named; nobody reads a list of a thousand.
const NAMED: usize = 10;

/// `pro or business`.
fn choices(values: &[String]) -> String {
    let shown = |value: &String| if value.is_empty() { "\"\"".to_owned() } else { value.clone() };
    if values.len() > NAMED {
        let first: Vec<String> = values.iter().take(NAMED).map(shown).collect();
        return format!("{} or {} more", first.join(", "), values.len() - NAMED);
    }
    match values.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => shown(only),
        Some((last, others)) => {
            let others: Vec<String> = others.iter().map(shown).collect();
            format!("{} or {}", others.join(", "), shown(last))
        }
    }
}

fn joined(children: &[Condition], between: &str, nothing: &str) -> String {
    let words = |child: &Condition| match &child.ask {
        Ask::All(inner) | Ask::Any(inner) if inner.len() > 1 && children.len() > 1 => {
            format!("({})", sentence(child))
        }
        Ask::All(_)
        | Ask::Any(_)
        | Ask::None(_)
        | Ask::Attribute { .. }
        | Ask::Property { .. }
        | Ask::Event { .. }
        | Ask::Outreach { .. }
        | Ask::Segment { .. }
        | Ask::RandomBucket { .. } => sentence(child),
    };
    if children.is_empty() {
        return nothing.to_owned();
    }
    children.iter().map(words).collect::<Vec<_>>().join(between)
}
