//! From a condition to scans: what can be looked up once for all customers is looked up here.

use engine::condition::test::{TestContext, count_range, passes};
use engine::outreach::compiled::{Ask, Condition, DateTest, EventTest, NumberOp, Test, Window};
use engine::project::Project;
use engine::time::{Timestamp, Zone};
use engine::value::Value;

use super::column::{Cells, Column, Kind, Ordered, halves, key, key_of_moment};
use super::dates::Stretches;
use super::dictionary::FIRST;
use super::piece::{ASK, Answer, NO, Plane, YES};
use super::series::{Rank, Series};
use super::{Happening, Mirror, place_of_step};

/// Days of different zones that have one name lie less than this apart.
const ZONES_APART: i64 = 50 * 3_600_000;
/// A rank beyond it is not laid out.
const HIGHEST_RANK: u64 = 64;

/// One question without groups.
pub(super) struct Leaf<'a> {
    pub(super) condition: &'a Condition,
    pub(super) scan: Scan<'a>,
}

/// How it is answered.
pub(super) enum Scan<'a> {
    /// The same for everybody.
    Known(bool),
    /// By code.
    Coded { column: &'a Column, test: &'a Test, answers: Vec<Answer> },
    /// By order.
    Ordered { column: &'a Column, ordered: &'a Ordered, test: &'a Test, among: Among },
    /// By when something happened.
    Happened(Happened<'a>),
    /// By the place in an order of customers.
    Share { plane: &'a Plane<u16>, from: u32, to: u32 },
    /// Only the rows know.
    Rows,
}

/// Which values in order pass.
pub(super) struct Among {
    pub(super) missing: bool,
    pub(super) others: Others,
}

/// Values of the kind that lies in order.
pub(super) enum Others {
    /// All, or none.
    All(bool),
    /// Each for itself.
    Each,
    /// Those between two keys, both included, or all but those. Sure and possible, as in
    /// [`Stretches`], which are given for moments.
    Between { sure: (u64, u64), possible: (u64, u64), invert: bool, stretches: Option<Stretches> },
}

/// A question about a series.
pub(super) struct Happened<'a> {
    pub(super) series: Option<&'a Series>,
    pub(super) which: Which,
    pub(super) window: Stretches,
    pub(super) since_first_seen: bool,
    pub(super) now: i64,
    /// Those of whom it holds have to be asked by row, since the properties count too; of the
    /// others this is true.
    pub(super) otherwise: Option<bool>,
    pub(super) negate: bool,
}

/// What must lie in the window.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    /// So many, from the least to the most.
    Count(u64, u64),
    First,
    Last,
}

/// What plans are made with.
pub(super) struct Planner<'a> {
    pub(super) mirror: &'a Mirror,
    pub(super) now: Timestamp,
    pub(super) zones: Vec<(u16, Zone)>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(mirror: &'a Mirror, project: &Project, now: Timestamp) -> Planner<'a> {
        Planner { mirror, now, zones: mirror.zones.in_use(&project.zone) }
    }

    /// The zone of a number; `None`: only the row knows.
    pub(super) fn zone(&self, number: u16) -> Option<&Zone> {
        let at = self.zones.binary_search_by_key(&number, |(zone, _)| *zone).ok()?;
        self.zones.get(at).map(|(_, zone)| zone)
    }

    /// A question that is no group and no segment.
    pub(super) fn leaf(&self, condition: &'a Condition) -> Leaf<'a> {
        let scan = match &condition.ask {
            Ask::Attribute { key, test } => self.attribute(key, test),
            // There is no event at hand.
            Ask::Property { test, .. } => Scan::Known(self.of_missing(test)),
            Ask::Event { event, test, window, conditions, .. } => {
                let which = which(test);
                let otherwise = conditions.is_some().then(|| of_nothing(which));
                let asked = if conditions.is_some() { at_least_one(which) } else { which };
                self.happened(Happening::Event(*event), asked, window, otherwise, false)
            }
            Ask::Outreach { outreach, was, window, negate, .. } => {
                let step = Happening::Step(*outreach, place_of_step(*was));
                self.happened(step, Which::Count(1, u64::MAX), window, None, *negate)
            }
            Ask::RandomBucket { from, to, salt } => {
                let known = self.mirror.shares.iter().find(|(known, _)| known == salt);
                match known {
                    Some((_, plane)) => Scan::Share { plane, from: *from, to: *to },
                    None => Scan::Rows,
                }
            }
            Ask::All(_) | Ask::Any(_) | Ask::None(_) | Ask::Segment { .. } => Scan::Rows,
        };
        Leaf { condition, scan }
    }

    fn of_missing(&self, test: &Test) -> bool {
        let zone = Zone::utc();
        passes(test, None, &TestContext { now: self.now, zone: &zone })
    }

    fn happened(
        &self,
        happening: Happening,
        which: Which,
        window: &Window,
        otherwise: Option<bool>,
        negate: bool,
    ) -> Scan<'a> {
        let series = self.mirror.series.get(&happening);
        if (series.is_none() && self.mirror.is_full) || self.mirror.zones.some_are_elsewhere() {
            return Scan::Rows;
        }
        let stretches = Stretches::of_window(window, self.now, &self.zones);
        Scan::Happened(Happened {
            series,
            which,
            window: stretches,
            since_first_seen: *window == Window::SinceFirstSeen,
            now: self.now.0,
            otherwise,
            negate,
        })
    }

    fn attribute(&self, key: &str, test: &'a Test) -> Scan<'a> {
        let missing = self.of_missing(test);
        let Some(column) = self.mirror.columns.get(key) else {
            return if self.mirror.is_full { Scan::Rows } else { Scan::Known(missing) };
        };
        if matches!(test, Test::Date(_)) && self.mirror.zones.some_are_elsewhere() {
            return Scan::Rows;
        }
        match &column.cells {
            Cells::Ordered(ordered) => {
                let others = self.others(ordered.kind, test);
                Scan::Ordered { column, ordered, test, among: Among { missing, others } }
            }
            Cells::Byte(_) | Cells::Pair(_) | Cells::Wide(_) => {
                Scan::Coded { column, test, answers: self.answers(column, test, missing) }
            }
        }
    }

    fn others(&self, kind: Kind, test: &Test) -> Others {
        match (test, kind) {
            (Test::IsSet, _) => Others::All(true),
            (Test::IsNotSet | Test::IsEmpty, _) => Others::All(false),
            (Test::Text { .. } | Test::Regex(_), _)
            | (Test::Date(DateTest::Anniversary), Kind::Moment) => Others::Each,
            (Test::Number { op, value }, Kind::Number) => between_numbers(*op, *value),
            (Test::NumberBetween { min, max }, Kind::Number) if !min.is_nan() && !max.is_nan() => {
                exactly((key(*min), key(*max)), false)
            }
            (Test::NumberBetween { .. }, Kind::Number) => Others::All(false),
            (Test::Date(test), Kind::Moment) => {
                let Some(stretches) = Stretches::of_test(test, self.now, &self.zones) else {
                    return Others::Each;
                };
                let keys =
                    |first, last| (key_of_moment(Timestamp(first)), key_of_moment(Timestamp(last)));
                Others::Between {
                    sure: keys(stretches.core.first, stretches.core.last),
                    possible: keys(stretches.hull.first, stretches.hull.last),
                    invert: false,
                    stretches: Some(stretches),
                }
            }
            // No number is a date, a list or a boolean, and no moment a number: as one, so all.
            (
                Test::Date(_) | Test::Boolean(_) | Test::List { .. } | Test::ListSize(_),
                Kind::Number,
            ) => Others::All(self.passes(test, &Value::Number(1.0))),
            (
                Test::Number { .. }
                | Test::NumberBetween { .. }
                | Test::Boolean(_)
                | Test::List { .. }
                | Test::ListSize(_),
                Kind::Moment,
            ) => Others::All(self.passes(test, &Value::Text("2020-01-01T00:00:00Z".to_owned()))),
        }
    }

    fn passes(&self, test: &Test, value: &Value) -> bool {
        let zone = Zone::utc();
        passes(test, Some(value), &TestContext { now: self.now, zone: &zone })
    }

    /// The answer for each code.
    fn answers(&self, column: &Column, test: &Test, missing: bool) -> Vec<Answer> {
        let elsewhere = match test {
            Test::IsSet => YES,
            Test::IsNotSet => NO,
            _ => ASK,
        };
        let mut answers = Vec::with_capacity(column.dictionary.len() + FIRST as usize);
        answers.extend([u8::from(missing), elsewhere]);
        match test {
            Test::Date(test) => self.answer_dates(column, test, &mut answers),
            Test::IsSet => answers.resize(column.dictionary.len() + FIRST as usize, YES),
            Test::IsNotSet => answers.resize(column.dictionary.len() + FIRST as usize, NO),
            test => {
                let zone = Zone::utc();
                let context = TestContext { now: self.now, zone: &zone };
                column.dictionary.each(|value| {
                    answers.push(u8::from(passes(test, Some(value), &context)));
                });
            }
        }
        answers
    }

    /// A day begins at another moment in each zone. Only near the edges that matters.
    fn answer_dates(&self, column: &Column, test: &DateTest, answers: &mut Vec<Answer>) {
        let stretches = Stretches::of_test(test, self.now, &self.zones);
        let utc = Zone::utc();
        let today = utc.day_of(self.now);
        column.dictionary.each(|value| {
            let Some(at) = value.as_date(&utc) else {
                answers.push(NO);
                return;
            };
            let (early, late) = (at.plus_ms(-ZONES_APART).0, at.plus_ms(ZONES_APART).0);
            answers.push(match &stretches {
                Some(all) if all.core.first <= early && late <= all.core.last => YES,
                Some(all) if late < all.hull.first || all.hull.last < early => NO,
                None if !is_near_in_year(utc.day_of(at), today) => NO,
                Some(_) | None => ASK,
            });
        });
    }
}

/// Within a week of the same day of the year, the turn of the year and 29 February included.
fn is_near_in_year((_, month, day): (i16, i8, i8), (_, now_month, now_day): (i16, i8, i8)) -> bool {
    let of_year = |month: i8, day: i8| i32::from(month) * 31 + i32::from(day);
    let apart = (of_year(month, day) - of_year(now_month, now_day)).abs();
    apart <= 10 || apart >= 12 * 31 - 10
}

fn between_numbers(op: NumberOp, value: f64) -> Others {
    if value.is_nan() {
        return Others::All(op == NumberOp::NotEquals);
    }
    let here = key(value);
    let (first, last) = (key(f64::NEG_INFINITY), key(f64::INFINITY));
    match op {
        NumberOp::Equals => exactly((here, here), false),
        NumberOp::NotEquals => exactly((here, here), true),
        NumberOp::GreaterThan => exactly((here.saturating_add(1), last), false),
        NumberOp::AtLeast => exactly((here, last), false),
        NumberOp::LessThan => exactly((first, here.saturating_sub(1)), false),
        NumberOp::AtMost => exactly((first, here), false),
    }
}

fn exactly(keys: (u64, u64), invert: bool) -> Others {
    Others::Between { sure: keys, possible: keys, invert, stretches: None }
}

/// The upper halves between which all keys pass whose lower half is zero.
pub(super) fn upper_between((first, last): (u64, u64)) -> (i32, i32) {
    let (upper, lower) = halves(first);
    (if lower == 0 { upper } else { upper.saturating_add(1) }, halves(last).0)
}

pub(super) fn which(test: &EventTest) -> Which {
    match test {
        EventTest::Count(count) => {
            let (least, most) = count_range(count);
            Which::Count(least, most)
        }
        EventTest::First => Which::First,
        EventTest::Last => Which::Last,
    }
}

/// Whose properties have to be looked at: without enough events nothing can hold but a count of
/// none.
fn at_least_one(which: Which) -> Which {
    match which {
        Which::Count(least, _) => Which::Count(least.max(1), u64::MAX),
        Which::First => Which::First,
        Which::Last => Which::Last,
    }
}

fn of_nothing(which: Which) -> bool {
    match which {
        Which::Count(least, _) => least == 0,
        Which::First | Which::Last => false,
    }
}

/// The ranks a question wants laid out.
pub(super) fn ranks(test: &EventTest, has_conditions: bool) -> Vec<Rank> {
    let asked = if has_conditions { at_least_one(which(test)) } else { which(test) };
    match asked {
        Which::Count(least, most) => [Some(least), most.checked_add(1)]
            .into_iter()
            .flatten()
            .filter(|n| (2..=HIGHEST_RANK).contains(n))
            .map(Rank::Latest)
            .collect(),
        Which::First => vec![Rank::First],
        Which::Last => Vec::new(),
    }
}
