//! Operators at their edges, on small hand-made customers.
#![expect(clippy::needless_pass_by_value, reason = "`json!` at the call reads better")]

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::condition::test::{TestContext, fold, passes};
use crate::condition::{holds, holds_for, next_turn};
use crate::customer::{Attribute, Customer, Occurrence, Tally};
use crate::fact::event_key;
use crate::ids::{CustomerId, EventId, OutreachNo, ProjectNo};
use crate::outreach::compiled::{
    Ask, Condition, DateTest, EventTest, ListOp, NumberOp, Test, TextOp, Window,
};
use crate::outreach::definition::{Count, OutreachStep, Unit};
use crate::project::Project;
use crate::situation::{Happening, History, Occasion, Situation};
use crate::time::{Timestamp, Zone};
use crate::value::Value;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn berlin() -> Zone {
    Zone::named("Europe/Berlin").unwrap()
}

fn project() -> Project {
    Project::new(ProjectNo(1), "shop")
}

/// Properties by position, and how often they were read.
#[derive(Default)]
struct Memory {
    properties: BTreeMap<u64, Json>,
    reads: std::cell::Cell<u32>,
}

impl History for Memory {
    fn properties(&self, position: u64, _: u64) -> Json {
        self.reads.set(self.reads.get() + 1);
        self.properties.get(&position).cloned().unwrap_or(Json::Null)
    }
}

pub(super) struct World {
    project: Project,
    customer: Customer,
    memory: Memory,
    now: Timestamp,
    zone: Zone,
    trigger: Option<Happening>,
}

impl World {
    pub(super) fn new(now: &str) -> World {
        World {
            project: project(),
            customer: Customer::default(),
            memory: Memory::default(),
            now: at(now),
            zone: Zone::utc(),
            trigger: None,
        }
    }

    pub(super) fn with(mut self, key: &str, value: Json) -> World {
        let value = Value::from_json(&value).unwrap();
        self.customer.attributes.insert(key.into(), Attribute { value, changed: Timestamp(0) });
        self
    }

    pub(super) fn event(mut self, name: &str, when: &str, properties: Json) -> World {
        let position = self.memory.properties.len() as u64;
        self.memory.properties.insert(position, properties);
        let series = self.customer.series.entry(event_key(name)).or_default();
        series.insert(Occurrence { at: at(when), position });
        self
    }

    fn triggered(mut self, name: &str, when: &str, properties: Json) -> World {
        self = self.event(name, when, Json::Null);
        self.trigger = Some(Happening {
            id: EventId(1),
            name: name.into(),
            key: event_key(name),
            at: at(when),
            position: self.memory.properties.len() as u64 - 1,
            properties: properties.to_string(),
            silent: false,
            hops: 0,
            caused_by: None,
            parsed: std::cell::OnceCell::new(),
        });
        self
    }

    pub(super) fn situation(&self) -> Situation<'_> {
        Situation {
            project: &self.project,
            id: CustomerId(7),
            customer: &self.customer,
            occasion: self.trigger.as_ref().map_or(Occasion::Property, Occasion::Event),
            now: self.now,
            zone: self.zone.clone(),
            history: &self.memory,
        }
    }

    fn holds(&self, ask: Ask) -> bool {
        holds(&node(ask), &self.situation())
    }

    fn holds_at(&self, condition: &Condition, now: Timestamp) -> bool {
        holds(condition, &Situation { now, ..self.situation() })
    }
}

pub(super) fn node(ask: Ask) -> Condition {
    Condition { pointer: Arc::from(""), ask }
}

pub(super) fn attribute(key: &str, test: Test) -> Ask {
    Ask::Attribute { key: key.into(), test }
}

pub(super) fn events(name: &str, test: EventTest, window: Window) -> Ask {
    Ask::Event {
        event: event_key(name),
        name: name.into(),
        test,
        window,
        conditions: None,
        exclude_trigger: false,
    }
}

pub(super) fn last(amount: u32, unit: Unit) -> Window {
    Window::Last { amount, unit }
}

pub(super) fn at_least(n: u64) -> EventTest {
    EventTest::Count(Count::AtLeast { n })
}

fn pass(test: &Test, value: Json) -> bool {
    let zone = Zone::utc();
    let s = TestContext { now: at("2026-11-22T12:00:00Z"), zone: &zone };
    passes(test, Value::from_json(&value).as_ref(), &s)
}

pub(super) fn text(op: TextOp, values: &[&str]) -> Test {
    Test::Text { op, values: values.iter().map(|value| fold(value)).collect(), match_case: false }
}

#[test]
fn a_missing_value_satisfies_only_the_tests_that_say_not_this() {
    let holds = [
        Test::IsNotSet,
        text(TextOp::IsNot, &["a"]),
        text(TextOp::IsNoneOf, &["a"]),
        text(TextOp::DoesNotContain, &["a"]),
        Test::Number { op: NumberOp::NotEquals, value: 0.0 },
        Test::List { op: ListOp::NoneOf, values: vec!["a".into()] },
    ];
    for test in holds {
        assert!(pass(&test, Json::Null), "{test:?}");
    }
    let fails = [
        Test::IsSet,
        Test::IsEmpty,
        text(TextOp::Is, &["a"]),
        text(TextOp::IsAnyOf, &["a"]),
        text(TextOp::Contains, &["a"]),
        text(TextOp::StartsWith, &["a"]),
        text(TextOp::DoesNotStartWith, &["a"]),
        text(TextOp::EndsWith, &["a"]),
        Test::Regex(regex::Regex::new("").unwrap()),
        Test::Number { op: NumberOp::Equals, value: 0.0 },
        Test::Number { op: NumberOp::LessThan, value: 1.0 },
        Test::NumberBetween { min: -1.0, max: 1.0 },
        Test::Boolean(false),
        Test::Date(DateTest::Before("2026-01-01".into())),
        Test::Date(DateTest::MoreThanAgo(1, Unit::Days)),
        Test::List { op: ListOp::AllOf, values: Vec::new() },
        Test::ListSize(Count::AtMost { n: 3 }),
    ];
    for test in fails {
        assert!(!pass(&test, Json::Null), "{test:?}");
    }
}

#[test]
fn a_value_of_another_type_counts_only_when_nothing_is_lost() {
    assert!(pass(&Test::Number { op: NumberOp::Equals, value: 42.0 }, json!("42")));
    assert!(!pass(&Test::Number { op: NumberOp::Equals, value: 42.0 }, json!("042")));
    assert!(pass(&Test::Number { op: NumberOp::NotEquals, value: 42.0 }, json!("many")));
    assert!(pass(&text(TextOp::Is, &["42"]), json!(42)));
    assert!(pass(&Test::Boolean(true), json!("TRUE")));
    assert!(!pass(&Test::Boolean(true), json!(1)));
    assert!(!pass(&text(TextOp::Contains, &["a"]), json!(["a"])));
    assert!(pass(&text(TextOp::DoesNotContain, &["a"]), json!(["a"])));
    assert!(pass(&Test::List { op: ListOp::NoneOf, values: vec!["a".into()] }, json!("a")));
    assert!(!pass(&Test::ListSize(Count::Exactly { n: 1 }), json!("a")));
    assert!(pass(&Test::IsSet, json!("")));
    assert!(pass(&Test::IsEmpty, json!([])));
    assert!(!pass(&Test::IsEmpty, json!(0)));
}

#[test]
fn text_ignores_case_unless_told() {
    assert!(pass(&text(TextOp::Is, &["ΟΔΟΣ"]), json!("οδος")));
    assert!(pass(&text(TextOp::StartsWith, &["ΟΔΟΣ"]), json!("ΟΔΟΣΑ")));
    assert!(pass(&text(TextOp::EndsWith, &["ÉE"]), json!("fiancée")));
    let exact =
        |value: &str| Test::Text { op: TextOp::Is, values: vec![value.into()], match_case: true };
    assert!(pass(&exact("Pro"), json!("Pro")));
    assert!(!pass(&exact("Pro"), json!("pro")));
    let list = Test::List { op: ListOp::AllOf, values: vec!["a".into(), "2".into()] };
    assert!(pass(&list, json!(["A", 2, 3])));
    assert!(!pass(&list, json!(["A", 3])));
}

#[test]
fn fixed_dates_are_whole_days_of_the_zone() {
    let zone = berlin();
    let s = TestContext { now: at("2026-11-22T12:00:00Z"), zone: &zone };
    let check = |test: &DateTest, moment: &str| {
        passes(&Test::Date(test.clone()), Some(&Value::Text(moment.into())), &s)
    };
    // The clocks went forward on this day: it has 23 hours.
    let (first, end) = ("2026-03-28T23:00:00.000Z", "2026-03-29T21:59:59.999Z");
    let (before, after) = ("2026-03-28T22:59:59.999Z", "2026-03-29T22:00:00.000Z");
    let day = || "2026-03-29".to_owned();
    for (test, expected) in [
        (DateTest::Before(day()), [true, false, false, false]),
        (DateTest::On(day()), [false, true, true, false]),
        (DateTest::After(day()), [false, false, false, true]),
        (DateTest::Between(day(), day()), [false, true, true, false]),
    ] {
        let actual = [before, first, end, after].map(|moment| check(&test, moment));
        assert_eq!(actual, expected, "{test:?}");
    }
    let noon = "2026-03-29T12:00:00.000Z";
    assert!(!check(&DateTest::After(noon.into()), noon));
    assert!(check(&DateTest::After(noon.into()), "2026-03-29T12:00:00.001Z"));
    assert!(!check(&DateTest::Before(noon.into()), noon));
    assert!(check(&DateTest::Between(noon.into(), noon.into()), noon));
    assert!(check(&DateTest::On(day()), "2026-03-29"));
}

#[test]
fn ago_is_exact_to_the_millisecond() {
    let zone = Zone::utc();
    let s = TestContext { now: at("2026-11-22T12:00:00Z"), zone: &zone };
    let check = |test: DateTest, moment: &str| {
        passes(&Test::Date(test), Some(&Value::Text(moment.into())), &s)
    };
    let (edge, inside) = ("2026-11-15T12:00:00.000Z", "2026-11-15T12:00:00.001Z");
    assert!(check(DateTest::MoreThanAgo(7, Unit::Days), edge));
    assert!(!check(DateTest::MoreThanAgo(7, Unit::Days), inside));
    assert!(!check(DateTest::LessThanAgo(7, Unit::Days), edge));
    assert!(check(DateTest::LessThanAgo(7, Unit::Days), inside));
    assert!(check(DateTest::LessThanAgo(7, Unit::Days), "2026-11-22T12:00:00.000Z"));
    assert!(!check(DateTest::LessThanAgo(7, Unit::Days), "2026-11-22T12:00:00.001Z"));
    assert!(!check(DateTest::InNext(2, Unit::Hours), "2026-11-22T12:00:00.000Z"));
    assert!(check(DateTest::InNext(2, Unit::Hours), "2026-11-22T14:00:00.000Z"));
    assert!(!check(DateTest::InNext(2, Unit::Hours), "2026-11-22T14:00:00.001Z"));
    assert!(check(DateTest::ExactlyAgo(3, Unit::Days), "2026-11-19T00:00:00.000Z"));
    assert!(check(DateTest::ExactlyAgo(3, Unit::Days), "2026-11-19T23:59:59.999Z"));
    assert!(!check(DateTest::ExactlyAgo(3, Unit::Days), "2026-11-20T00:00:00.000Z"));
    assert!(check(DateTest::ExactlyAgo(2, Unit::Hours), "2026-11-22T10:59:59.999Z"));
}

#[test]
fn anniversaries_know_the_leap_day() {
    let check = |now: &str, born: &str| {
        World::new(now)
            .with("birthday", json!(born))
            .holds(attribute("birthday", Test::Date(DateTest::Anniversary)))
    };
    assert!(check("2026-02-28T12:00:00Z", "1996-02-29"));
    assert!(!check("2026-03-01T12:00:00Z", "1996-02-29"));
    assert!(!check("2028-02-28T12:00:00Z", "1996-02-29"));
    assert!(check("2028-02-29T00:00:00Z", "1996-02-29"));
    assert!(check("2026-11-22T23:59:59.999Z", "2026-11-22"));
    assert!(!check("2026-11-22T12:00:00Z", "2027-11-22"));
}

#[test]
fn windows_of_events_are_half_open() {
    let world = World::new("2026-11-22T12:00:00Z").event("x", "2026-11-15T12:00:00Z", json!({}));
    assert!(!world.holds(events("x", at_least(1), last(7, Unit::Days))));
    assert!(world.holds(events("x", at_least(1), Window::Ever)));
    let world = World::new("2026-11-22T12:00:00Z")
        .event("x", "2026-11-15T12:00:00.001Z", json!({}))
        .event("x", "2026-11-22T12:00:00Z", json!({}))
        .event("x", "2026-11-22T12:00:00.001Z", json!({}));
    let exactly = |n| EventTest::Count(Count::Exactly { n });
    assert!(world.holds(events("x", exactly(2), last(7, Unit::Days))));
    assert!(world.holds(events("x", exactly(2), Window::Ever)), "the future does not count");
    let days = |from: &str, to: &str| Window::Between { from: from.into(), to: to.into() };
    assert!(world.holds(events("x", exactly(1), days("2026-11-15", "2026-11-15"))));
    assert!(world.holds(events("x", exactly(2), days("2026-11-15", "2026-11-22"))));
}

#[test]
fn a_day_with_25_hours_is_one_day() {
    let mut world =
        World::new("2026-10-25T22:00:00Z").event("x", "2026-10-24T21:30:00Z", json!({}));
    world.zone = berlin();
    assert!(world.holds(events("x", at_least(1), last(1, Unit::Days))));
    assert!(!world.holds(events("x", at_least(1), last(24, Unit::Hours))));
}

#[test]
fn since_first_seen_begins_with_the_first_moment() {
    let mut world = World::new("2026-11-22T12:00:00Z")
        .event("x", "2026-11-01T00:00:00Z", json!({}))
        .event("x", "2026-10-31T23:59:59.999Z", json!({}));
    world.customer.first_seen = Some(at("2026-11-01T00:00:00Z"));
    let once = EventTest::Count(Count::Exactly { n: 1 });
    assert!(world.holds(events("x", once, Window::SinceFirstSeen)));
}

fn pdf() -> Option<Box<Condition>> {
    let test = text(TextOp::Is, &["pdf"]);
    Some(Box::new(node(Ask::Property { path: "format".into(), test })))
}

pub(super) fn exports(test: EventTest, window: Window, exclude_trigger: bool) -> Ask {
    Ask::Event {
        event: event_key("export"),
        name: "export".into(),
        test,
        window,
        conditions: pdf(),
        exclude_trigger,
    }
}

#[test]
fn the_trigger_can_be_left_out_and_brings_its_own_properties() {
    let world = World::new("2026-11-22T12:00:00Z")
        .event("export", "2026-11-20T12:00:00Z", json!({"format": "csv"}))
        .triggered("export", "2026-11-22T12:00:00Z", json!({"format": "PDF"}));
    assert!(world.holds(exports(at_least(1), Window::Ever, false)));
    assert!(!world.holds(exports(at_least(1), Window::Ever, true)));
    assert!(world.holds(exports(EventTest::Last, Window::Ever, false)));
    assert!(!world.holds(exports(EventTest::Last, Window::Ever, true)), "the latest is a csv");
    assert!(!world.holds(exports(EventTest::First, Window::Ever, false)));
    let never = EventTest::Count(Count::Exactly { n: 0 });
    assert!(world.holds(exports(never, Window::Ever, true)));
}

#[test]
fn reading_stops_when_the_count_is_decided() {
    let mut world = World::new("2026-11-22T12:00:00Z");
    for day in 1..=20 {
        let when = format!("2026-11-{day:02}T12:00:00Z");
        world = world.event("export", &when, json!({"format": "pdf"}));
    }
    let reads = |test: EventTest, expected: bool| {
        world.memory.reads.set(0);
        assert_eq!(world.holds(exports(test, Window::Ever, false)), expected);
        world.memory.reads.get()
    };
    assert_eq!(reads(at_least(3), true), 3);
    assert_eq!(reads(at_least(21), false), 0);
    assert_eq!(reads(EventTest::Count(Count::AtMost { n: 2 }), false), 3);
    assert_eq!(reads(EventTest::Count(Count::AtMost { n: 20 }), true), 0);
    assert_eq!(reads(EventTest::Count(Count::Exactly { n: 20 }), true), 20);
}

#[test]
fn groups_segments_and_outreaches() {
    let mut world = World::new("2026-11-22T12:00:00Z").with("plan", json!("pro"));
    let yes = || node(attribute("plan", text(TextOp::Is, &["pro"])));
    let no = || node(attribute("plan", text(TextOp::Is, &["free"])));
    assert!(world.holds(Ask::All(Vec::new())));
    assert!(world.holds(Ask::Any(Vec::new())));
    assert!(world.holds(Ask::None(Vec::new())));
    assert!(!world.holds(Ask::All(vec![yes(), no()])));
    assert!(world.holds(Ask::Any(vec![yes(), no()])));
    assert!(!world.holds(Ask::None(vec![yes(), no()])));
    let segment = |condition, negate| Ask::Segment { id: "s".into(), condition, negate };
    assert!(world.holds(segment(Some(Arc::new(yes())), false)));
    assert!(world.holds(segment(Some(Arc::new(no())), true)));
    assert!(world.holds(segment(None, false)));

    let outreach = |was, negate| Ask::Outreach {
        outreach: OutreachNo(3),
        id: "welcome".into(),
        was,
        window: last(1, Unit::Days),
        negate,
    };
    assert!(!world.holds(outreach(OutreachStep::Clicked, false)));
    assert!(world.holds(outreach(OutreachStep::Clicked, true)));
    let clicked = vec![at("2026-11-21T12:00:00.001Z")];
    world.customer.tallies.insert(OutreachNo(3), Tally { clicked, ..Tally::default() });
    assert!(world.holds(outreach(OutreachStep::Clicked, false)));
    assert!(!world.holds(outreach(OutreachStep::Sent, false)));
}

#[test]
fn shares_of_one_salt_split_the_customers() {
    let world = World::new("2026-11-22T12:00:00Z");
    let share = |from, to| Ask::RandomBucket { from, to, salt: "test".into() };
    assert_ne!(world.holds(share(0, 5_000)), world.holds(share(5_000, 10_000)));
    assert_ne!(world.holds(share(0, 5_000)), world.holds(share(5_000, 10_000)));
    assert!(world.holds(share(7_500, 17_500)));
    assert!(!world.holds(share(0, 0)));
}

#[test]
fn properties_are_read_by_path() {
    let world = World::new("2026-11-22T12:00:00Z");
    let ask = Ask::Property { path: "order.total".into(), test: Test::IsSet };
    let properties = json!({"order": {"total": 3}});
    assert!(holds_for(&node(ask.clone()), &properties, &world.situation()));
    assert!(!holds_for(&node(ask.clone()), &json!({}), &world.situation()));
    assert!(!holds(&node(ask), &world.situation()));
}

#[test]
fn timers_are_exact_where_the_calendar_is_even() {
    let turn = |world: &World, ask: Ask| next_turn(&node(ask), &world.situation());
    let world =
        World::new("2026-11-22T12:00:00Z").with("created_at", json!("2026-11-20T08:00:00Z"));
    let ask = |test| attribute("created_at", Test::Date(test));
    let more = DateTest::MoreThanAgo(7, Unit::Days);
    assert_eq!(turn(&world, ask(more)), Some(at("2026-11-27T08:00:00Z")));
    let exactly = DateTest::ExactlyAgo(3, Unit::Days);
    assert_eq!(turn(&world, ask(exactly)), Some(at("2026-11-23T00:00:00Z")));
    assert_eq!(turn(&world, ask(DateTest::Anniversary)), Some(at("2027-11-20T00:00:00Z")));
    assert_eq!(turn(&world, ask(DateTest::Before("2027-01-01".into()))), None);
    assert_eq!(turn(&world, ask(DateTest::MoreThanAgo(1, Unit::Days))), None);
    assert_eq!(turn(&world, attribute("created_at", Test::IsSet)), None);

    let mut world = World::new("2026-11-22T12:00:00Z");
    for hour in 1..=5 {
        world = world.event("x", &format!("2026-11-22T0{hour}:00:00Z"), json!({}));
    }
    let day = last(24, Unit::Hours);
    let count = |test| events("x", test, day.clone());
    assert_eq!(turn(&world, count(at_least(4))), Some(at("2026-11-23T02:00:00Z")));
    assert_eq!(turn(&world, count(at_least(6))), None);
    let never = EventTest::Count(Count::Exactly { n: 0 });
    assert_eq!(turn(&world, count(never)), Some(at("2026-11-23T05:00:00Z")));
    assert_eq!(turn(&world, count(EventTest::Last)), Some(at("2026-11-23T05:00:00Z")));
}

fn unit() -> impl Strategy<Value = Unit> {
    prop_oneof![
        Just(Unit::Hours),
        Just(Unit::Days),
        Just(Unit::Weeks),
        Just(Unit::Months),
        Just(Unit::Years)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Around month ends and changes of the clocks: between now and the announced turn, the
    /// answer stays what it is.
    #[test]
    fn no_timer_is_late(
        day in 0_i64..1_200,
        hour in 0_i64..96,
        amount in 1_u32..4,
        unit in unit(),
        kind in 0_u8..6,
        ahead in 0_i64..500,
        probes in prop::collection::vec(0.0_f64..1.0, 40),
    ) {
        let first = at("2025-01-01T00:00:00Z");
        let value = first.plus_ms(day * 86_400_000 + hour * 900_000);
        let mut world = World::new("2026-01-01T00:00:00Z").with("d", json!(value.to_rfc3339()));
        world.zone = berlin();
        world = world.event("x", &value.to_rfc3339(), json!({}));
        let moving = |test| attribute("d", Test::Date(test));
        let condition = node(match kind {
            0 => moving(DateTest::MoreThanAgo(amount, unit)),
            1 => moving(DateTest::LessThanAgo(amount, unit)),
            2 => moving(DateTest::ExactlyAgo(amount, unit)),
            3 => moving(DateTest::InNext(amount, unit)),
            4 => moving(DateTest::Anniversary),
            _ => events("x", at_least(1), last(amount, unit)),
        });
        let centre = crate::time::shift(value, i64::from(amount), unit, &world.zone);
        world.now = centre.plus_ms((ahead - 250) * 3_600_000);
        let turn = next_turn(&condition, &world.situation());
        let before = holds(&condition, &world.situation());
        let until = turn.unwrap_or(world.now.plus_ms(40 * 86_400_000));
        prop_assert!(turn.is_none_or(|turn| world.now < turn));
        #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "probes")]
        for probe in probes {
            let offset = ((until.0 - world.now.0) as f64 * probe) as i64;
            let probe = world.now.plus_ms(offset);
            prop_assert_eq!(world.holds_at(&condition, probe), before, "at {}", probe.to_rfc3339());
        }
        if turn.is_some() {
            let probe = until.plus_ms(-1);
            prop_assert_eq!(world.holds_at(&condition, probe), before);
        }
    }
}
