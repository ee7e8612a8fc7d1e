//! Filters: groups, events in windows, the history of outreaches, segments, buckets.

use serde_json::{Value as Json, json};

use super::super::ReceiptKind;
use super::Story;

/// An outreach on every `ask`, for those who match.
fn asking(filter: Json) -> Story {
    let trigger = json!({ "kind": "event", "event": "ask" });
    let audience = json!({ "kind": "dynamic", "filter": filter });
    Story::new().live("o", json!({ "trigger": trigger, "audience": audience }))
}

impl Story {
    /// Does the customer match now?
    fn matches(&mut self, at: &str, user: &str) -> bool {
        match self.track(at, user, "ask", json!({})).as_slice() {
            [line] if line == "o: send" => true,
            [line] if line == "o: not_in_audience" => false,
            other => panic!("{other:?}"),
        }
    }
}

fn plan(value: &str) -> Json {
    json!({ "kind": "attribute", "attribute": "plan", "test": { "kind": "is", "value": value } })
}

fn event(fields: Json) -> Json {
    let mut condition = json!({ "kind": "event", "event": "login" });
    for (key, value) in fields.as_object().expect("an object") {
        condition[key] = value.clone();
    }
    condition
}

const MORNING: &str = "2026-06-10T08:00:00Z";
const NOON: &str = "2026-06-10T12:00:00Z";

#[test]
fn no_conditions_mean_everyone() {
    for kind in ["all", "any", "none"] {
        assert!(asking(json!({ "kind": kind, "conditions": [] })).matches(NOON, "anna"), "{kind}");
    }
    let muted = json!({ "kind": "muted", "condition": plan("free") });
    assert!(asking(muted.clone()).matches(NOON, "anna"));
    assert!(asking(json!({ "kind": "any", "conditions": [muted] })).matches(NOON, "anna"));
}

#[test]
fn groups_are_all_any_and_none() {
    let groups = [
        ("all", [true, false, false]),
        ("any", [true, true, false]),
        ("none", [false, false, true]),
    ];
    let age = json!({ "kind": "attribute", "attribute": "age",
        "test": { "kind": "equals", "value": 7 } });
    for (kind, expected) in groups {
        let group = json!({ "kind": kind, "conditions": [plan("free"), age] });
        let people =
            [json!({ "plan": "free", "age": 7 }), json!({ "plan": "free" }), json!({ "age": 8 })];
        for (changes, expected) in people.into_iter().zip(expected) {
            let mut story = asking(group.clone());
            story.identify(MORNING, "anna", changes);
            assert_eq!(story.matches(NOON, "anna"), expected, "{kind}");
        }
    }
}

#[test]
fn the_state_that_is_judged_has_the_event_already() {
    let asked = json!({ "kind": "event", "event": "ask" });
    assert!(asking(asked).matches(NOON, "anna"));
    let before = json!({ "kind": "event", "event": "ask", "exclude_trigger": true });
    let mut story = asking(before);
    assert!(!story.matches(MORNING, "anna"));
    assert!(story.matches(NOON, "anna"));
}

#[test]
fn a_window_is_half_open_to_the_millisecond() {
    let window = json!({ "kind": "last", "amount": 7, "unit": "days" });
    let edge = ["2026-06-03T12:00:00Z", "2026-06-03T12:00:00.001Z"];
    for (at, expected) in edge.into_iter().zip([false, true]) {
        let mut story = asking(event(json!({ "window": window })));
        story.track(at, "anna", "login", json!({}));
        assert_eq!(story.matches(NOON, "anna"), expected, "{at}");
    }
}

#[test]
fn a_window_of_days_is_in_the_customers_zone() {
    let window = json!({ "kind": "between", "from": "2026-06-04", "to": "2026-06-05" });
    let cases = [
        ("2026-06-03T21:59:59.999Z", false),
        ("2026-06-03T22:00:00Z", true),
        ("2026-06-05T21:59:59.999Z", true),
        ("2026-06-05T22:00:00Z", false),
    ];
    for (at, expected) in cases {
        let mut story = asking(event(json!({ "window": window })));
        story.identify("2026-06-02T08:00:00Z", "anna", json!({ "timezone": "Europe/Berlin" }));
        story.track(at, "anna", "login", json!({}));
        assert_eq!(story.matches(NOON, "anna"), expected, "{at}");
    }
}

#[test]
fn events_are_counted() {
    let tests = [
        (json!({ "kind": "performed" }), [false, true, true]),
        (json!({ "kind": "not_performed" }), [true, false, false]),
        (json!({ "kind": "count", "count": { "kind": "exactly", "n": 1 } }), [false, true, false]),
        (json!({ "kind": "count", "count": { "kind": "at_least", "n": 2 } }), [false, false, true]),
        (json!({ "kind": "count", "count": { "kind": "at_most", "n": 1 } }), [true, true, false]),
        (
            json!({ "kind": "count", "count": { "kind": "between", "min": 1, "max": 2 } }),
            [false, true, true],
        ),
    ];
    for (test, expected) in tests {
        let mut story = asking(event(json!({ "test": test })));
        for expected in expected {
            assert_eq!(story.matches(MORNING, "anna"), expected, "{test}");
            story.track(MORNING, "anna", "login", json!({}));
        }
    }
}

#[test]
fn first_and_last_are_the_only_ones_asked() {
    let blue = json!({ "kind": "property", "property": "colour",
        "test": { "kind": "is", "value": "blue" } });
    for (test, expected) in [("first", true), ("last", false), ("performed", true)] {
        let condition = event(json!({ "test": { "kind": test }, "where": blue }));
        let mut story = asking(condition);
        story.track(MORNING, "anna", "login", json!({ "colour": "blue" }));
        story.track("2026-06-10T09:00:00Z", "anna", "login", json!({ "colour": "red" }));
        assert_eq!(story.matches(NOON, "anna"), expected, "{test}");
    }
}

#[test]
fn the_order_of_events_is_the_order_in_which_they_happened() {
    let blue = json!({ "kind": "property", "property": "colour",
        "test": { "kind": "is", "value": "blue" } });
    let mut story = asking(event(json!({ "test": { "kind": "first" }, "where": blue })));
    story.track("2026-06-10T09:00:00Z", "anna", "login", json!({ "colour": "red" }));
    let earlier = "2026-06-10T07:00:00Z";
    story.track_late("2026-06-10T10:00:00Z", earlier, "anna", "login", json!({ "colour": "blue" }));
    assert!(story.matches(NOON, "anna"));
}

#[test]
fn the_history_of_an_outreach_is_asked() {
    let was = |step: &str, negate: bool| json!({ "kind": "outreach", "outreach": "other", "was": step, "negate": negate });
    for (step, kind) in [
        ("displayed", ReceiptKind::Displayed),
        ("clicked", ReceiptKind::Clicked),
        ("answered", ReceiptKind::Answered),
        ("dismissed", ReceiptKind::Dismissed),
    ] {
        let mut story = asking(was(step, false)).live("other", json!({}));
        story.track(MORNING, "anna", "order", json!({}));
        assert!(!story.matches(MORNING, "anna"), "{step}");
        story.receipt("2026-06-10T09:00:00Z", "anna", "other", kind);
        assert!(story.matches(NOON, "anna"), "{step}");
    }
    let mut story = asking(was("sent", true)).live("other", json!({}));
    assert!(story.matches(MORNING, "anna"));
    story.track(MORNING, "anna", "order", json!({}));
    assert!(!story.matches(NOON, "anna"));
}

#[test]
fn converted_means_the_goal_followed_in_time() {
    let goal = json!({ "event": "paid", "within": { "amount": 1, "unit": "hours" } });
    let converted = json!({ "kind": "outreach", "outreach": "other", "was": "converted" });
    for (paid, expected) in [("2026-06-10T09:00:00Z", true), ("2026-06-10T09:00:00.001Z", false)] {
        let mut story = asking(converted.clone()).live("other", json!({ "goal": goal }));
        story.track(MORNING, "anna", "order", json!({}));
        story.track(paid, "anna", "paid", json!({}));
        assert_eq!(story.matches(NOON, "anna"), expected, "{paid}");
    }
}

#[test]
fn a_segment_is_a_named_filter() {
    for (negate, expected) in [(false, true), (true, false)] {
        let member = json!({ "kind": "segment", "segment": "free", "negate": negate });
        let mut story = asking(member).segment("free", plan("free"));
        story.identify(MORNING, "anna", json!({ "plan": "Free" }));
        assert_eq!(story.matches(NOON, "anna"), expected);
        assert_eq!(story.matches(NOON, "ben"), !expected);
    }
}

#[test]
fn two_buckets_split_everybody() {
    let share = |from: u32| json!({ "kind": "random_bucket", "percent": 50, "from": from });
    let mut halves = [0, 0];
    for person in 0..100 {
        let user = format!("user {person}");
        let one = asking(share(0)).matches(NOON, &user);
        let other = asking(share(50)).matches(NOON, &user);
        assert_ne!(one, other);
        halves[usize::from(one)] += 1;
    }
    assert!(halves[0] > 30 && halves[1] > 30, "{halves:?}");
    // A share that passes the end goes on at the beginning.
    let wide = json!({ "kind": "random_bucket", "percent": 100, "from": 70 });
    assert!(asking(wide).matches(NOON, "anna"));
}

#[test]
fn a_one_off_goes_to_those_who_match_at_its_launch() {
    let fields = json!({ "trigger": { "kind": "one_off" }, "frequency": { "kind": "once" },
        "audience": { "kind": "one_off", "filter": plan("free") } });
    let mut story = Story::new().live("o", fields);
    story.identify(MORNING, "anna", json!({ "plan": "free" }));
    story.identify(MORNING, "ben", json!({ "plan": "pro" }));
    let launched = super::said(&story.model.launch("o", super::ms(NOON)));
    assert_eq!(launched, ["o: send"]);
    assert_eq!(story.identify(NOON, "cleo", json!({ "plan": "free" })), [""; 0]);
}
