//! Random conditions: every operator, groups in groups.

use engine::outreach::definition::{
    Condition, Count, EventTest, OutreachStep, Scalar, Test, Unit, Window,
};

use super::dice::Dice;
use super::pools::{self, Type};
use crate::model::clock::Ms;

/// What a condition may speak about.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Around when the world begins.
    pub base: Ms,
    /// How many outreaches there are.
    pub outreaches: u64,
    /// How many segments may be named.
    pub segments: u64,
    /// Whether `this` means something here.
    pub this: bool,
    /// A plain world: most messages are for everybody, so that claims, consent and merges meet.
    pub plain: bool,
}

/// Where a condition stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Place {
    /// In an audience or a segment.
    Audience,
    /// In a `where`.
    Where,
    /// In a property trigger.
    Trigger,
}

/// How deep groups go.
const DEPTH: u32 = 3;

/// A condition, perhaps a group.
pub fn condition(dice: &mut Dice, topic: &Topic, place: Place) -> Condition {
    at_depth(dice, topic, place, 1)
}

/// A condition that asks something, as a property trigger must.
pub fn asking(dice: &mut Dice, topic: &Topic, place: Place) -> Condition {
    loop {
        let condition = condition(dice, topic, place);
        if asks(&condition) {
            return condition;
        }
    }
}

fn asks(condition: &Condition) -> bool {
    match condition {
        Condition::All { conditions }
        | Condition::Any { conditions }
        | Condition::None { conditions } => conditions.iter().any(asks),
        Condition::Muted { .. } => false,
        Condition::Attribute { .. }
        | Condition::CustomAttribute { .. }
        | Condition::Property { .. }
        | Condition::Event { .. }
        | Condition::Outreach { .. }
        | Condition::Segment { .. }
        | Condition::RandomBucket { .. } => true,
    }
}

fn at_depth(dice: &mut Dice, topic: &Topic, place: Place, depth: u32) -> Condition {
    if depth < DEPTH && dice.chance(30) {
        let conditions = (0..dice.below(4)).map(|_| at_depth(dice, topic, place, depth + 1));
        let conditions = conditions.collect();
        return match dice.below(3) {
            0 => Condition::All { conditions },
            1 => Condition::Any { conditions },
            _ => Condition::None { conditions },
        };
    }
    if dice.chance(4) {
        let condition = Box::new(at_depth(dice, topic, place, DEPTH));
        return Condition::Muted { condition };
    }
    match place {
        Place::Where => property(dice, topic),
        Place::Trigger => attribute(dice, topic, place),
        Place::Audience => match dice.below(10) {
            0..=3 => attribute(dice, topic, place),
            4..=6 => event(dice, topic),
            7 => outreach(dice, topic),
            8 => segment(dice, topic),
            _ => Condition::RandomBucket {
                percent: dice.one(&[0.0, 10.0, 50.0, 75.5, 100.0]),
                from: dice.one(&[0.0, 0.0, 33.3, 80.0]),
                salt: dice.one(&[String::new(), "blue".to_owned()]),
            },
        },
    }
}

fn property(dice: &mut Dice, topic: &Topic) -> Condition {
    let (key, test) = key_and_test(dice, topic);
    Condition::Property { property: key, test }
}

fn attribute(dice: &mut Dice, topic: &Topic, place: Place) -> Condition {
    let (mut attribute, test) = key_and_test(dice, topic);
    if place != Place::Where && dice.chance(20) {
        // Computed ones.
        attribute = match &test {
            Test::IsTrue | Test::IsFalse => "is_guest".to_owned(),
            Test::Equals { .. } | Test::AtLeast { .. } | Test::LessThan { .. } => {
                "session_count".to_owned()
            }
            Test::LessThanAgo { .. } | Test::MoreThanAgo { .. } | Test::ExactlyAgo { .. } => {
                dice.one(&["last_seen".to_owned(), "first_seen".to_owned()])
            }
            _ => dice.one(&["user_id".to_owned(), "email".to_owned()]),
        };
    }
    if pools::STANDARD.contains(&attribute.as_str()) {
        Condition::Attribute { attribute, test }
    } else {
        Condition::CustomAttribute { attribute, test }
    }
}

/// A test, and mostly a key under which such values lie.
fn key_and_test(dice: &mut Dice, topic: &Topic) -> (String, Test) {
    let meant = dice.one(pools::TYPES);
    let of = if dice.chance(10) { dice.one(pools::TYPES) } else { meant };
    let key = dice.one(of.keys()).to_owned();
    let test = if dice.chance(12) {
        dice.one(&[Test::IsSet, Test::IsNotSet, Test::IsEmpty])
    } else {
        test(dice, topic, meant)
    };
    (key, test)
}

fn test(dice: &mut Dice, topic: &Topic, meant: Type) -> Test {
    match meant {
        Type::Text => text_test(dice),
        Type::Number => number_test(dice),
        Type::Bool => dice.one(&[Test::IsTrue, Test::IsFalse]),
        Type::Date => date_test(dice, topic.base),
        Type::List => list_test(dice),
    }
}

fn scalar(dice: &mut Dice) -> Scalar {
    match dice.below(8) {
        0 => Scalar::Number(dice.one(&[42.0, 4.2])),
        1 => Scalar::Bool(true),
        _ => Scalar::Text(dice.one(pools::TEXTS).to_owned()),
    }
}

/// A piece of a text is not empty: an empty one would be in everything.
fn piece(dice: &mut Dice) -> Scalar {
    Scalar::Text(dice.one(&["fr", "Pr", "o", "4", "é", "PRO", "e"]).to_owned())
}

fn text_test(dice: &mut Dice) -> Test {
    let match_case = dice.chance(30);
    let values = vec![scalar(dice), scalar(dice)];
    let (value, piece) = (scalar(dice), piece(dice));
    match dice.below(10) {
        0 => Test::Is { value, match_case },
        1 => Test::IsNot { value, match_case },
        2 => Test::IsAnyOf { values, match_case },
        3 => Test::IsNoneOf { values, match_case },
        4 => Test::Contains { value: piece, match_case },
        5 => Test::DoesNotContain { value: piece, match_case },
        6 => Test::StartsWith { value: piece, match_case },
        7 => Test::DoesNotStartWith { value: piece, match_case },
        8 => Test::EndsWith { value: piece, match_case },
        _ => Test::MatchesRegex {
            pattern: dice.one(&["^pr", "[0-9]+", "e{2}$", "É|o"]).to_owned(),
            match_case,
        },
    }
}

fn number_test(dice: &mut Dice) -> Test {
    let value = dice.one(&[0.0, 1.0, 2.5, 4.2, 42.0]);
    match dice.below(7) {
        0 => Test::Equals { value },
        1 => Test::NotEquals { value },
        2 => Test::GreaterThan { value },
        3 => Test::AtLeast { value },
        4 => Test::LessThan { value },
        5 => Test::AtMost { value },
        _ => Test::Between { min: value - dice.one(&[0.0, 2.0, 40.0]), max: value },
    }
}

fn date_test(dice: &mut Dice, base: Ms) -> Test {
    let (amount, unit) = distance(dice);
    match dice.below(9) {
        0 => Test::Before { date: pools::written(dice, base) },
        1 => {
            let at = pools::near(dice, base);
            Test::On { date: pools::day(at) }
        }
        2 => Test::After { date: pools::written(dice, base) },
        3 => {
            let (from, to) = stretch(dice, base);
            Test::BetweenDates { from, to }
        }
        4 => Test::MoreThanAgo { amount, unit },
        5 => Test::LessThanAgo { amount, unit },
        6 => Test::ExactlyAgo { amount, unit },
        7 => Test::InNext { amount, unit },
        _ => Test::Anniversary,
    }
}

fn list_test(dice: &mut Dice) -> Test {
    let element = |dice: &mut Dice| match dice.below(8) {
        0 => Scalar::Number(42.0),
        1 => Scalar::Bool(true),
        2..=4 => Scalar::Text("a".to_owned()),
        5 | 6 => Scalar::Text("B".to_owned()),
        _ => Scalar::Text("c".to_owned()),
    };
    let value = element(dice);
    let values = vec![element(dice), element(dice)];
    match dice.below(5) {
        0 => Test::ListContains { value },
        1 => Test::ListContainsAnyOf { values },
        2 => Test::ListContainsAllOf { values },
        3 => Test::ListContainsNoneOf { values },
        _ => Test::ListSize { count: count(dice) },
    }
}

/// A number and a unit of the pool.
fn distance(dice: &mut Dice) -> (u32, Unit) {
    let span = dice.one(pools::SPANS);
    (span.amount, span.unit)
}

/// Two moments or days, the earlier first.
fn stretch(dice: &mut Dice, base: Ms) -> (String, String) {
    let (one, two) = (pools::near(dice, base), pools::near(dice, base));
    let (from, to) = (one.min(two), one.max(two));
    if dice.chance(50) {
        (pools::day(from), pools::day(to))
    } else {
        (crate::model::clock::write(from), crate::model::clock::write(to))
    }
}

fn count(dice: &mut Dice) -> Count {
    let n = dice.below(4);
    match dice.below(4) {
        0 => Count::Exactly { n },
        1 => Count::AtLeast { n },
        2 => Count::AtMost { n },
        _ => Count::Between { min: n, max: n + dice.below(3) },
    }
}

fn window(dice: &mut Dice, base: Ms) -> Window {
    let (amount, unit) = distance(dice);
    match dice.below(10) {
        0..=2 => Window::Ever,
        3..=6 => Window::Last { amount, unit },
        7 | 8 => {
            let (from, to) = stretch(dice, base);
            Window::Between { from, to }
        }
        _ => Window::SinceFirstSeen,
    }
}

fn event(dice: &mut Dice, topic: &Topic) -> Condition {
    let conditions = dice.chance(35).then(|| Box::new(at_depth(dice, topic, Place::Where, 2)));
    Condition::Event {
        event: dice.one(pools::RULE_EVENTS).to_owned(),
        test: match dice.below(7) {
            0 | 1 => EventTest::Performed,
            2 => EventTest::NotPerformed,
            3 | 4 => EventTest::Count { count: count(dice) },
            5 => EventTest::First,
            _ => EventTest::Last,
        },
        window: window(dice, topic.base),
        conditions,
        exclude_trigger: dice.chance(30),
    }
}

fn outreach(dice: &mut Dice, topic: &Topic) -> Condition {
    let outreach = if topic.this && dice.chance(40) {
        "this".to_owned()
    } else {
        outreach_id(dice.below(topic.outreaches))
    };
    Condition::Outreach {
        outreach,
        was: dice.one(&[
            OutreachStep::Sent,
            OutreachStep::Sent,
            OutreachStep::Displayed,
            OutreachStep::Clicked,
            OutreachStep::Answered,
            OutreachStep::Dismissed,
            OutreachStep::Converted,
            OutreachStep::Converted,
        ]),
        window: window(dice, topic.base),
        negate: dice.chance(40),
    }
}

fn segment(dice: &mut Dice, topic: &Topic) -> Condition {
    if topic.segments == 0 {
        return Condition::All { conditions: Vec::new() };
    }
    let segment = segment_id(dice.below(topic.segments));
    Condition::Segment { segment, negate: dice.chance(40) }
}

/// The id of an outreach by its place.
pub fn outreach_id(place: u64) -> String {
    format!("outreach-{}", place + 1)
}

/// The id of a segment by its place.
pub fn segment_id(place: u64) -> String {
    format!("segment-{}", place + 1)
}
