//! When may the answer turn by the clock alone?
//!
//! A timer that wakes too early asks again; one that wakes too late breaks a promise. So everything
//! here may be early and is never late. Comparisons with fixed dates never turn by the clock: both
//! sides stand still. What moves is "ago", "in the next", "the last n days", and the anniversary.
//!
//! Calendar units do not move evenly: one month before 30 March is 28 February, and so is one month
//! before 28 March; where the clocks go back an hour comes twice. [`first_flip`] therefore looks
//! day by day around the moment at which an even calendar would turn, and searches inside the day.

use crate::condition::eval::{self, Bounds, Events};
use crate::condition::test;
use crate::outreach::compiled::{Ask, Condition, DateTest, EventTest, Test, Window};
use crate::outreach::definition::{Count, Unit};
use crate::situation::Situation;
use crate::time::{self, Timestamp, Zone};
use crate::value;

/// The earliest moment after now at which the answer may be another one without anything
/// happening to the customer; `None` when the clock cannot turn it.
pub fn next_turn(condition: &Condition, s: &Situation<'_>) -> Option<Timestamp> {
    next_turn_in(condition, None, s).filter(|at| s.now < *at)
}

fn next_turn_in(
    condition: &Condition,
    properties: Option<&serde_json::Value>,
    s: &Situation<'_>,
) -> Option<Timestamp> {
    match &condition.ask {
        Ask::All(children) | Ask::Any(children) | Ask::None(children) => {
            children.iter().filter_map(|child| next_turn_in(child, properties, s)).min()
        }
        Ask::Attribute { key, test } => {
            let at = s.customer.attribute(key)?.as_date(&s.zone)?;
            date_turn(date_test(test)?, at, s.now, &s.zone)
        }
        Ask::Property { path, test } => {
            let at = value::at_path(properties?, path)?.as_date(&s.zone)?;
            date_turn(date_test(test)?, at, s.now, &s.zone)
        }
        Ask::Event { event, test, window, conditions, exclude_trigger: _, name: _ } => {
            event_turn(&Events { key: *event, conditions: conditions.as_deref(), s }, test, window)
        }
        Ask::Outreach { outreach, was, window, negate: _, id: _ } => {
            let times = eval::steps(s.customer.tallies.get(outreach)?, *was);
            let once = Count::AtLeast { n: 1 };
            series_turn(&Times::Moments(times), Change::Count(&once), window, s)
        }
        Ask::Segment { condition, negate: _, id: _ } => {
            condition.as_ref().and_then(|condition| next_turn_in(condition, None, s))
        }
        Ask::RandomBucket { .. } => None,
    }
}

fn date_test(test: &Test) -> Option<&DateTest> {
    match test {
        Test::Date(test) => Some(test),
        Test::IsSet
        | Test::IsNotSet
        | Test::IsEmpty
        | Test::Text { .. }
        | Test::Regex(_)
        | Test::Number { .. }
        | Test::NumberBetween { .. }
        | Test::Boolean(_)
        | Test::List { .. }
        | Test::ListSize(_) => None,
    }
}

fn date_turn(test: &DateTest, at: Timestamp, now: Timestamp, zone: &Zone) -> Option<Timestamp> {
    let comes = Some(at).filter(|at| now < *at);
    match test {
        DateTest::Before(_) | DateTest::On(_) | DateTest::After(_) | DateTest::Between(..) => None,
        DateTest::MoreThanAgo(amount, unit) => {
            first_flip(at, -i64::from(*amount), *unit, now, zone)
        }
        DateTest::LessThanAgo(amount, unit) => {
            earlier(comes, first_flip(at, -i64::from(*amount), *unit, now, zone))
        }
        DateTest::InNext(amount, unit) => {
            earlier(comes, first_flip(at, i64::from(*amount), *unit, now, zone))
        }
        DateTest::ExactlyAgo(amount, unit) => {
            let (first, next) = time::unit_around(at, *unit, zone);
            let back = -i64::from(*amount);
            earlier(
                first_flip(first, back, *unit, now, zone),
                first_flip(next, back, *unit, now, zone),
            )
        }
        DateTest::Anniversary => next_anniversary(at, now, zone),
    }
}

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, None) => one,
        (None, other) => other,
    }
}

/// The end of today when today is one, else the beginning of the next one.
fn next_anniversary(at: Timestamp, now: Timestamp, zone: &Zone) -> Option<Timestamp> {
    let (born, month, day) = zone.day_of(at);
    let (this_year, ..) = zone.day_of(now);
    let year = this_year.max(born);
    (year..=year.saturating_add(1)).find_map(|year| {
        let (year, month, day) = test::celebrated(month, day, year);
        let (first, next) = time::parse_range(&format!("{year:04}-{month:02}-{day:02}"), zone)?;
        [first, next].into_iter().find(|edge| now < *edge)
    })
}

const DAY_MS: i64 = 86_400_000;
/// How far from the even calendar an uneven one can turn: month ends are three days apart, and
/// a zone can skip a day.
const UNEVEN_DAYS: i64 = 5;
/// Zones change their offset at whole quarters of an hour.
const QUARTER_MS: i64 = 900_000;

/// The first moment T after now at which `at <= shift(T, count, unit)` has another answer than now.
fn first_flip(
    at: Timestamp,
    count: i64,
    unit: Unit,
    now: Timestamp,
    zone: &Zone,
) -> Option<Timestamp> {
    let even = time::shift(at, -count, unit, zone);
    if even == Timestamp::MIN || even == Timestamp::MAX {
        return None;
    }
    match unit {
        Unit::Seconds | Unit::Minutes | Unit::Hours => Some(even).filter(|even| now < *even),
        Unit::Days | Unit::Weeks | Unit::Months | Unit::Years => {
            let reached = |moment: Timestamp| at <= time::shift(moment, count, unit, zone);
            first_change(&reached, even, now, zone)
        }
    }
}

fn first_change(
    answer: &impl Fn(Timestamp) -> bool,
    even: Timestamp,
    now: Timestamp,
    zone: &Zone,
) -> Option<Timestamp> {
    let last = even.plus_ms(UNEVEN_DAYS * DAY_MS);
    let mut here = now.max(even.plus_ms(-UNEVEN_DAYS * DAY_MS));
    let before = answer(now);
    if answer(here) != before {
        return Some(here);
    }
    while here < last {
        let next = zone.start_of_day(here, 1).max(here.plus_ms(1));
        if let Some(at) = change_within(answer, before, here, next, is_even_day(next, zone)) {
            return Some(at);
        }
        here = next;
    }
    None
}

/// The first change in (from, to]. Within an even day the answer turns at most once before `to`.
fn change_within(
    answer: &impl Fn(Timestamp) -> bool,
    before: bool,
    from: Timestamp,
    to: Timestamp,
    even: bool,
) -> Option<Timestamp> {
    let step = if even { DAY_MS } else { QUARTER_MS };
    let mut here = from;
    while here < to {
        let piece = Timestamp((here.0.div_euclid(step) + 1).saturating_mul(step));
        let end = if even { to } else { piece.min(to) };
        let last = end.plus_ms(-1);
        if here < last && answer(last) != before {
            return Some(search(answer, before, here, last));
        }
        if answer(end) != before {
            return Some(end);
        }
        here = end;
    }
    None
}

/// Between a moment with the old answer and one with the new: the first with the new.
fn search(
    answer: &impl Fn(Timestamp) -> bool,
    before: bool,
    mut old: Timestamp,
    mut new: Timestamp,
) -> Timestamp {
    while new.0 - old.0 > 1 {
        let middle = old.plus_ms((new.0 - old.0) / 2);
        if answer(middle) == before {
            old = middle;
        } else {
            new = middle;
        }
    }
    new
}

/// Whether the day that ends at `end` has 24 hours.
fn is_even_day(end: Timestamp, zone: &Zone) -> bool {
    let first = zone.start_of_day(end.plus_ms(-1), 0);
    end.0.saturating_sub(first.0) == DAY_MS
}

fn event_turn(events: &Events<'_, '_>, test: &EventTest, window: &Window) -> Option<Timestamp> {
    let series = events.s.customer.series.get(&events.key)?;
    let times = Times::Occurrences(&series.occurrences);
    let change = match test {
        EventTest::Count(count) if events.conditions.is_none() && events.trigger().is_none() => {
            Change::Count(count)
        }
        EventTest::First if events.trigger().is_none() => Change::First,
        EventTest::Last if events.trigger().is_none() => Change::Last,
        EventTest::Count(_) | EventTest::First | EventTest::Last => Change::Any,
    };
    series_turn(&times, change, window, events.s)
}

/// Which of the moments in a window has to leave it before the answer can change.
#[derive(Clone, Copy)]
enum Change<'a> {
    Any,
    First,
    Last,
    Count(&'a Count),
}

enum Times<'a> {
    Occurrences(&'a [crate::customer::Occurrence]),
    Moments(&'a [Timestamp]),
}

impl Times<'_> {
    fn get(&self, place: usize) -> Option<Timestamp> {
        match self {
            Times::Occurrences(all) => all.get(place).map(|occurrence| occurrence.at),
            Times::Moments(all) => all.get(place).copied(),
        }
    }

    /// How many lie at or before a moment.
    fn until(&self, moment: Timestamp) -> usize {
        match self {
            Times::Occurrences(all) => all.partition_point(|occurrence| occurrence.at <= moment),
            Times::Moments(all) => all.partition_point(|at| *at <= moment),
        }
    }
}

fn series_turn(
    times: &Times<'_>,
    change: Change<'_>,
    window: &Window,
    s: &Situation<'_>,
) -> Option<Timestamp> {
    let past = times.until(s.now);
    let comes = times.get(past);
    let Window::Last { amount, unit } = window else { return comes };
    let Bounds { after, .. } = eval::bounds(window, s);
    let gone = times.until(after);
    let leaves = match change {
        Change::Any => Some(gone),
        Change::First => Some(0),
        Change::Last => past.checked_sub(1),
        Change::Count(count) => {
            last_that_must_stay(count, past - gone.min(past)).map(|place| gone + place)
        }
    };
    let exit = leaves
        .filter(|place| gone <= *place && *place < past)
        .and_then(|place| times.get(place))
        .and_then(|at| first_flip(at, -i64::from(*amount), *unit, s.now, &s.zone));
    earlier(comes, earlier(exit, comes_back(times, gone, after, *unit, s)))
}

/// With so many in the window: the one (from the oldest) whose leaving turns the answer.
fn last_that_must_stay(count: &Count, inside: usize) -> Option<usize> {
    let (least, most) = test::count_range(count);
    let inside = inside as u64;
    let target = if inside > most {
        (least <= most).then_some(most)
    } else if inside >= least {
        least.checked_sub(1)
    } else {
        None
    };
    usize::try_from(inside - target? - 1).ok()
}

/// What has just left a calendar window can come back into it: at the midnights after the 28th,
/// where a shorter month ends again and again, and where the clocks go back.
fn comes_back(
    times: &Times<'_>,
    gone: usize,
    after: Timestamp,
    unit: Unit,
    s: &Situation<'_>,
) -> Option<Timestamp> {
    let of_months = match unit {
        Unit::Seconds | Unit::Minutes | Unit::Hours => return None,
        Unit::Days | Unit::Weeks => false,
        Unit::Months | Unit::Years => true,
    };
    let lately = times.get(gone.checked_sub(1)?)?;
    if lately < after.plus_ms(-UNEVEN_DAYS * DAY_MS) {
        return None;
    }
    let midnight = s.zone.start_of_day(s.now, 1);
    if !is_even_day(midnight, &s.zone) {
        return Some(s.now.plus_ms(QUARTER_MS).min(midnight));
    }
    let (.., tomorrow) = s.zone.day_of(midnight);
    let next = s.zone.start_of_day(midnight, 1);
    let uneven = (of_months && tomorrow > 28) || !is_even_day(next, &s.zone);
    uneven.then_some(midnight)
}
