//! Why a condition holds or not: the actual values, and the smallest change that would help.
//!
//! For people who ask "why did Anna not get this?". Every node is asked, none is skipped, and the
//! answers come from [`crate::condition::eval`], so that an explanation cannot contradict a decision.

use crate::condition::eval::{self, Events};
use crate::condition::sentence::{self, Form, sentence};
use crate::condition::test;
use crate::customer::Occurrence;
use crate::explain::Trace;
use crate::outreach::compiled::{Ask, Condition, EventTest, Window};
use crate::outreach::definition::OutreachStep;
use crate::situation::{Happening, Situation};
use crate::time::{self, Timestamp};
use crate::value::{self, Value, number_text};

/// The condition and everything inside it, asked of the customer.
pub fn trace(condition: &Condition, s: &Situation<'_>) -> Trace {
    trace_in(condition, None, s).trace
}

/// The same for an event with these properties.
pub fn trace_for(
    condition: &Condition,
    properties: &serde_json::Value,
    s: &Situation<'_>,
) -> Trace {
    trace_in(condition, Some(properties), s).trace
}

/// A trace and how large its change is, to find the smallest among alternatives.
struct Traced {
    trace: Trace,
    size: u64,
}

fn trace_in(
    condition: &Condition,
    properties: Option<&serde_json::Value>,
    s: &Situation<'_>,
) -> Traced {
    let inside = |children: &[Condition]| -> Vec<Traced> {
        children.iter().map(|child| trace_in(child, properties, s)).collect()
    };
    match &condition.ask {
        Ask::All(children) => group(condition, inside(children), Group::All),
        Ask::Any(children) => group(condition, inside(children), Group::Any),
        Ask::None(children) => group(condition, inside(children), Group::None),
        Ask::Attribute { key, test } => {
            let value = s.customer.attribute(key);
            value_trace(condition, key, test, value.as_ref(), s)
        }
        Ask::Property { path, test } => {
            let value = properties.and_then(|properties| value::at_path(properties, path));
            value_trace(condition, path, test, value.as_ref(), s)
        }
        Ask::Event { event, name, test, window, conditions, exclude_trigger } => {
            let events = Events { key: *event, conditions: conditions.as_deref(), s };
            let scope = sentence::event_scope(window, conditions.as_deref(), *exclude_trigger);
            event_trace(condition, &events, name, (test, window, *exclude_trigger), &scope)
        }
        Ask::Outreach { outreach, id, was, window, negate } => {
            let tally = s.customer.tallies.get(outreach);
            let times = tally.map_or(&[][..], |tally| eval::steps(tally, *was));
            let bounds = eval::bounds(window, s);
            let inside: Vec<Timestamp> =
                times.iter().copied().filter(|at| bounds.contain(*at)).collect();
            let actual = how_often(inside.len() as u64, inside.last().copied(), s);
            let change = step_change(id, *was, *negate) + &sentence::window_words(window);
            leaf(condition, eval::holds(condition, s), actual, change, 1)
        }
        Ask::Segment { id, condition: inner, negate } => {
            segment_trace(condition, id, inner.as_deref(), *negate, s)
        }
        Ask::RandomBucket { salt, from: _, to: _ } => {
            let place = number_text(f64::from(eval::bucket(salt, s)) / 100.0);
            let change = "another share: the place of a customer never changes".to_owned();
            leaf(condition, eval::holds(condition, s), format!("at {place} %"), change, u64::MAX)
        }
    }
}

fn leaf(condition: &Condition, holds: bool, actual: String, change: String, size: u64) -> Traced {
    let trace = Trace {
        pointer: condition.pointer.to_string(),
        sentence: sentence(condition),
        holds,
        actual: Some(actual),
        change: (!holds).then_some(change),
        conditions: Vec::new(),
    };
    Traced { trace, size }
}

fn value_trace(
    condition: &Condition,
    subject: &str,
    test: &crate::outreach::compiled::Test,
    value: Option<&Value>,
    s: &Situation<'_>,
) -> Traced {
    let actual = match value {
        None => format!("{subject} has no value"),
        Some(value) => format!("{subject} is {}", shown(value)),
    };
    let change =
        format!("{subject} would have to {}", sentence::test_words(test, Form::Infinitive));
    let holds = test::passes(test, value, &eval::context(s));
    leaf(condition, holds, actual, change, 1)
}

fn shown(value: &Value) -> String {
    const LONGEST: usize = 200;
    let text = match value {
        Value::Text(text) if text.is_empty() => "empty".to_owned(),
        Value::Text(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) | Value::List(_) => value.to_json().to_string(),
    };
    if text.chars().count() <= LONGEST {
        return text;
    }
    text.chars().take(LONGEST).chain(['…']).collect()
}

/// `2 times, the latest on 2026-11-20 10:00`, in the customer's zone.
fn how_often(times: u64, latest: Option<Timestamp>, s: &Situation<'_>) -> String {
    let when = latest.map_or(String::new(), |at| format!(", the latest on {}", moment(at, s)));
    match times {
        0 => "never".to_owned(),
        1 => format!("once{}", when.replace(", the latest", ",")),
        _ => format!("{times} times{when}"),
    }
}

fn moment(at: Timestamp, s: &Situation<'_>) -> String {
    time::format(at, &s.zone, "%Y-%m-%d %H:%M").unwrap_or_else(|| at.to_rfc3339())
}

fn event_trace(
    condition: &Condition,
    events: &Events<'_, '_>,
    name: &str,
    (test, window, exclude_trigger): (&EventTest, &Window, bool),
    scope: &str,
) -> Traced {
    let s = events.s;
    let without = events.trigger().filter(|_| exclude_trigger).map(Happening::occurrence);
    let counted = |occurrence: &&Occurrence| Some(**occurrence) != without;
    let holds = eval::holds(condition, s);
    let ever = eval::bounds(&Window::Ever, s);
    let one = |which: &str, occurrence: Option<&Occurrence>| {
        let actual = match occurrence {
            None => "never".to_owned(),
            Some(occurrence) => format!("the {which} was on {}", moment(occurrence.at, s)),
        };
        let change = format!("the {which} {name} would have to be{scope}");
        leaf(condition, holds, actual, change, 1)
    };
    match test {
        EventTest::First => one("first", events.within(ever).iter().find(counted)),
        EventTest::Last => one("last", events.within(ever).iter().rev().find(counted)),
        EventTest::Count(count) => {
            let inside = events.within(eval::bounds(window, s));
            let matching: Vec<&Occurrence> =
                inside.iter().filter(counted).filter(|one| events.meets(**one)).collect();
            let found = matching.len() as u64;
            let (least, most) = test::count_range(count);
            let (change, size) = if found < least {
                (format!("{} more {name}{scope}", least - found), least - found)
            } else if most == 0 {
                (format!("no {name}{scope}"), found)
            } else {
                (format!("{} fewer {name}{scope}", found.saturating_sub(most)), found)
            };
            let latest = matching.last().map(|occurrence| occurrence.at);
            leaf(condition, holds, how_often(found, latest, s), change, size)
        }
    }
}

fn step_change(id: &str, was: OutreachStep, negate: bool) -> String {
    let not = if negate { "not " } else { "" };
    let done = match was {
        OutreachStep::Sent => "be sent",
        OutreachStep::Displayed => "be seen",
        OutreachStep::Clicked => "be clicked",
        OutreachStep::Answered => "be answered",
        OutreachStep::Dismissed => "be dismissed",
        OutreachStep::Converted => "reach its goal",
    };
    format!("{id} would have to {not}{done}")
}

fn segment_trace(
    condition: &Condition,
    id: &str,
    inner: Option<&Condition>,
    negate: bool,
    s: &Situation<'_>,
) -> Traced {
    let inner = inner.map(|inner| trace_in(inner, None, s));
    let member = inner.as_ref().is_none_or(|inner| inner.trace.holds);
    let actual = if member { format!("is in {id}") } else { format!("is not in {id}") };
    let leaving = format!("the customer would have to leave segment {id}");
    let (change, size) = match &inner {
        Some(inner) if !negate => (inner.trace.change.clone().unwrap_or_default(), inner.size),
        Some(_) | None => (leaving, 1),
    };
    let mut traced = leaf(condition, member != negate, actual, change, size);
    traced.trace.conditions = inner.map(|inner| inner.trace).into_iter().collect();
    traced
}

#[derive(Clone, Copy)]
enum Group {
    All,
    Any,
    None,
}

fn group(condition: &Condition, inside: Vec<Traced>, kind: Group) -> Traced {
    let failing = || inside.iter().filter(|child| !child.trace.holds);
    let holding = || inside.iter().filter(|child| child.trace.holds);
    let holds = match kind {
        Group::All => failing().next().is_none(),
        Group::Any => inside.is_empty() || holding().next().is_some(),
        Group::None => holding().next().is_none(),
    };
    let changes = |children: Vec<&Traced>| -> (Vec<String>, u64) {
        let size = children.iter().fold(0_u64, |sum, child| sum.saturating_add(child.size));
        (children.iter().filter_map(|child| child.trace.change.clone()).collect(), size)
    };
    let (texts, size) = match kind {
        Group::All => changes(failing().collect()),
        Group::Any => changes(failing().min_by_key(|child| child.size).into_iter().collect()),
        Group::None => {
            let stop =
                |child: &Traced| format!("\"{}\" would have to stop holding", child.trace.sentence);
            (holding().map(stop).collect(), holding().count() as u64)
        }
    };
    let trace = Trace {
        pointer: condition.pointer.to_string(),
        sentence: sentence(condition),
        holds,
        actual: None,
        change: (!holds).then(|| texts.join(" and ")),
        conditions: inside.into_iter().map(|child| child.trace).collect(),
    };
    Traced { trace, size }
}
