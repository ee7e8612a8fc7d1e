//! The small pools from which everything is drawn, so that conditions meet values.

use engine::outreach::definition::{Span, Unit};
use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::dice::Dice;
use crate::model::clock::{self, Ms};

/// Distances in time; the same for windows, delays and the jumps of the clock, so that edges meet.
pub const SPANS: &[Span] = &[
    Span { amount: 5, unit: Unit::Seconds },
    Span { amount: 1, unit: Unit::Minutes },
    Span { amount: 30, unit: Unit::Minutes },
    Span { amount: 2, unit: Unit::Hours },
    Span { amount: 24, unit: Unit::Hours },
    Span { amount: 1, unit: Unit::Days },
    Span { amount: 2, unit: Unit::Days },
    Span { amount: 1, unit: Unit::Weeks },
    Span { amount: 1, unit: Unit::Months },
    Span { amount: 1, unit: Unit::Years },
];

/// Zones: with summer time, with half hours, with a change at midnight, and some that are none.
pub const ZONES: &[&str] = &[
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
];

/// Days on which something happens to the calendar, and one on which nothing does.
pub const STARTS: &[&str] = &[
    "2026-03-28T18:00:00Z",
    "2026-10-24T17:00:00Z",
    "2026-03-07T23:00:00Z",
    "2026-10-31T23:00:00Z",
    "2026-04-04T08:00:00Z",
    "2026-10-03T08:00:00Z",
    "2026-01-30T20:00:00Z",
    "2028-02-27T12:00:00Z",
    "2026-06-15T10:00:00Z",
];

/// Names of events as clients spell them.
pub const EVENTS: &[&str] = &["order", "Order", " ORDER ", "login", "login", "Page View"];
/// Names of events as definitions spell them.
pub const RULE_EVENTS: &[&str] = &[
    "order",
    "order",
    "order",
    "Order ",
    "login",
    "login",
    "login",
    "page view",
    "sessionStarted",
    "outreach.displayed",
    "outreach.clicked",
    "survey.answered",
];
/// Keys by the type of value that mostly lies under them.
pub const TEXT_KEYS: &[&str] = &["plan", "city", "colour", "home.town"];
/// Numbers.
pub const NUMBER_KEYS: &[&str] = &["age", "score"];
/// Booleans.
pub const BOOL_KEYS: &[&str] = &["vip"];
/// Dates.
pub const DATE_KEYS: &[&str] = &["birthday", "created_at", "trial_ends"];
/// Lists.
pub const LIST_KEYS: &[&str] = &["tags"];
/// Standard attributes among the keys.
pub const STANDARD: &[&str] = &[
    "plan",
    "city",
    "age",
    "birthday",
    "created_at",
    "last_seen",
    "first_seen",
    "session_count",
    "is_guest",
    "user_id",
    "email",
];
/// Texts to compare with.
pub const TEXTS: &[&str] = &["free", "free", "Pro", "pro", "42", "4.2", "true", "é", ""];
/// Tags of outreaches.
pub const TAGS: &[&str] = &["news", "sale"];
/// Topics of mail.
pub const TOPICS: &[&str] = &["", "offers"];

/// What a value is mostly meant to be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A boolean.
    Bool,
    /// A date.
    Date,
    /// A list.
    List,
}

/// All of them.
pub const TYPES: &[Type] = &[Type::Text, Type::Number, Type::Bool, Type::Date, Type::List];

impl Type {
    /// The keys under which such values mostly lie.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            Type::Text => TEXT_KEYS,
            Type::Number => NUMBER_KEYS,
            Type::Bool => BOOL_KEYS,
            Type::Date => DATE_KEYS,
            Type::List => LIST_KEYS,
        }
    }
}

/// A value of a type, now and then of another one.
pub fn value(dice: &mut Dice, meant: Type, now: Ms) -> Json {
    let meant = if dice.chance(8) { dice.one(TYPES) } else { meant };
    match meant {
        Type::Text => dice.one(&[
            json!("free"),
            json!("free"),
            json!("Free"),
            json!("Pro"),
            json!("pro"),
            json!("PROMO"),
            json!(""),
            json!("42"),
            json!("É"),
            json!(42),
            json!(4.2),
            json!(true),
        ]),
        Type::Number => dice.one(&[
            json!(0),
            json!(1),
            json!(2.5),
            json!(42),
            json!(-1),
            json!("42"),
            json!("042"),
            json!("4.20"),
            json!(9_007_199_254_740_993_i64),
        ]),
        Type::Bool => dice.one(&[
            json!(true),
            json!(false),
            json!("TRUE"),
            json!("false"),
            json!("yes"),
            json!(1),
        ]),
        Type::Date => date(dice, now),
        Type::List => dice.one(&[
            json!([]),
            json!(["a"]),
            json!(["A", "b"]),
            json!(["b", 42]),
            json!([true, "c", "a"]),
            json!("a"),
        ]),
    }
}

/// A date as a value: near a distance from now, to the millisecond; or a day; or none at all.
fn date(dice: &mut Dice, now: Ms) -> Json {
    let at = near(dice, now);
    let wall = clock::wall(at, &TimeZone::UTC);
    match dice.below(10) {
        0..=4 => json!(clock::write(at)),
        5 | 6 => json!(wall.date().to_string()),
        7 => json!(wall.to_string()),
        8 => json!(format!("{}-02-29", 2024 - 4 * dice.below(5))),
        _ => json!("soon"),
    }
}

/// A moment at one of the distances before or after another, give or take a millisecond.
pub fn near(dice: &mut Dice, now: Ms) -> Ms {
    let span = dice.pick(SPANS);
    let zone = zone(dice);
    let moment = if dice.chance(60) {
        clock::span_before(now, *span, &zone)
    } else {
        clock::span_after(now, *span, &zone)
    };
    moment + jitter(dice)
}

/// Nothing, or a millisecond more or less.
pub fn jitter(dice: &mut Dice) -> Ms {
    *dice.pick(&[-1, 0, 0, 1])
}

/// One of the zones.
pub fn zone(dice: &mut Dice) -> TimeZone {
    clock::zone(dice.one(ZONES)).unwrap_or(TimeZone::UTC)
}

/// A moment or a day as it is written in a definition.
pub fn written(dice: &mut Dice, base: Ms) -> String {
    let at = near(dice, base);
    if dice.chance(50) { clock::write(at) } else { day(at) }
}

/// The day of a moment.
pub fn day(at: Ms) -> String {
    clock::wall(at, &TimeZone::UTC).date().to_string()
}
