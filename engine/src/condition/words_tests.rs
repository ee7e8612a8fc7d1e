//! What support reads: sentences, actual values, smallest changes, and counts.

use std::sync::Arc;

use serde_json::json;

use super::tests::{World, at_least, attribute, events, exports, last, node, text};
use crate::condition::{sentence, tally, trace};
use crate::estimate::Estimate;
use crate::outreach::compiled::{Ask, DateTest, EventTest, ListOp, NumberOp, Test, TextOp, Window};
use crate::outreach::definition::{Count, Unit};

fn paid() -> Ask {
    attribute("plan", text(TextOp::IsAnyOf, &["pro", "business"]))
}

#[test]
fn conditions_read_like_sentences() {
    let words = |ask: Ask| sentence(&node(ask));
    assert_eq!(words(paid()), "plan is any of pro or business");
    assert_eq!(
        words(exports(at_least(3), last(30, Unit::Days), true)),
        "has done export at least 3 times in the last 30 days where format is pdf, not counting the \
         triggering event"
    );
    let ago = attribute("created_at", Test::Date(DateTest::MoreThanAgo(1, Unit::Weeks)));
    let group = Ask::All(vec![node(paid()), node(Ask::Any(vec![node(ago.clone()), node(paid())]))]);
    assert_eq!(
        words(group),
        "plan is any of pro or business and (created_at is more than 1 week ago or plan is any of \
         pro or business)"
    );
    assert_eq!(words(Ask::None(vec![node(ago)])), "not (created_at is more than 1 week ago)");
}

#[test]
fn who_has_no_value_is_named_exactly_where_they_are_meant() {
    let world = World::new("2026-11-22T12:00:00Z");
    let texts = [
        TextOp::Is,
        TextOp::IsNot,
        TextOp::IsAnyOf,
        TextOp::IsNoneOf,
        TextOp::Contains,
        TextOp::DoesNotContain,
        TextOp::StartsWith,
        TextOp::DoesNotStartWith,
        TextOp::EndsWith,
    ]
    .map(|op| text(op, &["pro"]));
    let numbers = [
        NumberOp::Equals,
        NumberOp::NotEquals,
        NumberOp::GreaterThan,
        NumberOp::AtLeast,
        NumberOp::LessThan,
        NumberOp::AtMost,
    ]
    .map(|op| Test::Number { op, value: 3.0 });
    let lists = [ListOp::Contains, ListOp::AnyOf, ListOp::AllOf, ListOp::NoneOf]
        .map(|op| Test::List { op, values: vec!["pro".to_owned()] });
    let others = [
        Test::IsSet,
        Test::IsEmpty,
        Test::Boolean(false),
        Test::NumberBetween { min: 0.0, max: 3.0 },
        Test::ListSize(Count::Exactly { n: 0 }),
        Test::Date(DateTest::Anniversary),
    ];
    for test in texts.into_iter().chain(numbers).chain(lists).chain(others) {
        let asked = attribute("plan", test);
        let holds = trace(&node(asked.clone()), &world.situation()).holds;
        let words = sentence(&node(asked));
        assert_eq!(words.ends_with("(or has no value)"), holds, "{words}");
    }
}

#[test]
fn a_refusal_names_the_value_and_the_smallest_change() {
    let world = World::new("2026-11-22T12:00:00Z")
        .with("plan", json!("free"))
        .event("export", "2026-11-19T10:00:00Z", json!({"format": "pdf"}))
        .event("export", "2026-11-20T10:00:00Z", json!({"format": "pdf"}))
        .event("export", "2026-11-21T10:00:00Z", json!({"format": "csv"}));
    let asked = |ask: Ask| trace(&node(ask), &world.situation());

    let plan = asked(paid());
    assert!(!plan.holds);
    assert_eq!(plan.actual.as_deref(), Some("plan is free"));
    assert_eq!(plan.change.as_deref(), Some("plan would have to be pro or business"));

    let three = exports(at_least(3), last(30, Unit::Days), false);
    let export = asked(three.clone());
    assert_eq!(export.actual.as_deref(), Some("2 times, the latest on 2026-11-20 10:00"));
    let change = "1 more export in the last 30 days where format is pdf";
    assert_eq!(export.change.as_deref(), Some(change));

    let never = EventTest::Count(Count::Exactly { n: 0 });
    let ten = events("login", at_least(10), Window::Ever);
    let any = asked(Ask::Any(vec![node(ten), node(three.clone())]));
    assert_eq!(any.change.as_deref(), Some(change));
    let all = asked(Ask::All(vec![node(paid()), node(three)]));
    let both = format!("plan would have to be pro or business and {change}");
    assert_eq!(all.change, Some(both));
    let none = asked(Ask::None(vec![node(events("export", at_least(1), Window::Ever))]));
    let stop = "\"has done export at least once\" would have to stop holding";
    assert_eq!(none.change.as_deref(), Some(stop));
    let unwanted = asked(events("export", never, Window::Ever));
    assert_eq!(unwanted.change.as_deref(), Some("no export"));
    let missing = asked(attribute("email", Test::IsSet));
    assert_eq!(missing.actual.as_deref(), Some("email has no value"));
    assert_eq!(missing.change.as_deref(), Some("email would have to have a value"));
}

#[test]
fn a_segment_explains_itself_from_inside() {
    let world = World::new("2026-11-22T12:00:00Z");
    let segment = Ask::Segment {
        id: "payers".into(),
        condition: Some(Arc::new(node(paid()))),
        negate: false,
    };
    let trace = trace(&node(segment), &world.situation());
    assert_eq!(trace.change.as_deref(), Some("plan would have to be pro or business"));
    assert_eq!(trace.conditions.len(), 1);
}

#[test]
fn counts_show_where_people_drop_out() {
    let pro = |pointer: &str, ask| crate::outreach::compiled::Condition {
        pointer: Arc::from(pointer),
        ask,
    };
    let filter = pro(
        "/f",
        Ask::All(vec![
            pro("/f/conditions/0", paid()),
            pro("/f/conditions/1", attribute("email", Test::IsSet)),
        ]),
    );
    let mut estimate = Estimate::default();
    let now = "2026-11-22T12:00:00Z";
    for world in [
        World::new(now).with("plan", json!("pro")),
        World::new(now).with("email", json!("a@b")),
        World::new(now).with("plan", json!("pro")).with("email", json!("a@b")),
    ] {
        tally(&filter, &world.situation(), &mut estimate);
    }
    let counts: Vec<_> =
        estimate.conditions.iter().map(|count| (count.alone, count.cumulative)).collect();
    assert_eq!(counts, [(1, None), (2, Some(2)), (2, Some(1))]);
    assert_eq!(estimate.matched, 1);
}
