//! Triggers on an attribute: written, come true by the clock, or true from the start.

use engine::project::Status;
use serde_json::{Value as Json, json};

use super::{Story, rule};

fn on(condition: Json, more: Json) -> Json {
    let mut trigger = json!({ "kind": "user_property", "where": condition });
    for (key, value) in more.as_object().expect("an object") {
        trigger[key] = value.clone();
    }
    json!({ "trigger": trigger, "frequency": { "kind": "once" } })
}

fn pro() -> Json {
    json!({ "kind": "attribute", "attribute": "plan", "test": { "kind": "is", "value": "pro" } })
}

fn date(test: Json) -> Json {
    json!({ "kind": "custom_attribute", "attribute": "ends", "test": test })
}

#[test]
fn due_at_the_first_write_at_which_it_holds() {
    let mut story = Story::new().live("o", on(pro(), json!({})));
    assert_eq!(story.identify("2026-06-02T10:00:00Z", "anna", json!({ "plan": "free" })), [""; 0]);
    assert_eq!(
        story.identify("2026-06-02T11:00:00Z", "anna", json!({ "plan": "pro" })),
        ["o: send"]
    );
    // Granted: nothing more is recorded.
    assert_eq!(story.identify("2026-06-02T12:00:00Z", "anna", json!({ "plan": "pro" })), [""; 0]);
    assert_eq!(story.track("2026-06-02T13:00:00Z", "anna", "order", json!({})), [""; 0]);
}

#[test]
fn those_who_already_match_are_due_at_going_live() {
    let mut story = Story::new();
    story.identify("2026-06-01T10:00:00Z", "anna", json!({ "plan": "pro" }));
    story.model.save_outreach("o", rule(on(pro(), json!({}))));
    assert_eq!(story.status("2026-06-02T00:00:00Z", "o", Status::Live), ["o: send"]);
}

#[test]
fn or_are_passed_over_until_they_were_seen_not_to_match() {
    let mut story = Story::new();
    story.identify("2026-06-01T10:00:00Z", "anna", json!({ "plan": "pro" }));
    story.model.save_outreach("o", rule(on(pro(), json!({ "include_current": false }))));
    assert_eq!(story.status("2026-06-02T00:00:00Z", "o", Status::Live), [""; 0]);
    let mut plan =
        |at: &str, user: &str, plan: &str| story.identify(at, user, json!({ "plan": plan }));
    assert_eq!(plan("2026-06-02T10:00:00Z", "anna", "pro"), [""; 0]);
    assert_eq!(plan("2026-06-02T10:00:00Z", "ben", "pro"), ["o: send"]);
    assert_eq!(plan("2026-06-02T11:00:00Z", "anna", "free"), [""; 0]);
    assert_eq!(plan("2026-06-02T12:00:00Z", "anna", "pro"), ["o: send"]);
}

#[test]
fn the_clock_makes_a_date_true_to_the_millisecond() {
    let test = json!({ "kind": "more_than_ago", "amount": 1, "unit": "days" });
    let mut story = Story::new().live("o", on(date(test), json!({})));
    let ends = json!({ "ends": "2026-06-05T10:00:00Z" });
    assert_eq!(story.identify("2026-06-02T10:00:00Z", "anna", ends), [""; 0]);
    assert_eq!(story.wait("2026-06-06T09:59:59.999Z"), [""; 0]);
    assert_eq!(story.wait("2026-06-06T10:00:00Z"), ["o: send"]);
}

#[test]
fn the_clock_brings_the_day_before_the_end() {
    let test = json!({ "kind": "in_next", "amount": 1, "unit": "days" });
    let mut story = Story::new().live("o", on(date(test), json!({})));
    story.identify("2026-06-02T10:00:00Z", "anna", json!({ "ends": "2026-06-05" }));
    let verdicts = story.model.advance(super::ms("2026-06-30T00:00:00Z"));
    assert_eq!(verdicts.first().map(|verdict| verdict.at), Some(super::ms("2026-06-04T00:00:00Z")));
}

#[test]
fn the_clock_brings_an_anniversary_at_the_customers_midnight() {
    let condition = json!({ "kind": "attribute", "attribute": "birthday",
        "test": { "kind": "anniversary" } });
    let mut story = Story::new().live("o", on(condition, json!({})));
    let changes = json!({ "birthday": "1990-06-20", "timezone": "Europe/Berlin" });
    story.identify("2026-06-02T10:00:00Z", "anna", changes);
    let verdicts = story.model.advance(super::ms("2026-06-30T00:00:00Z"));
    assert_eq!(verdicts.first().map(|verdict| verdict.at), Some(super::ms("2026-06-19T22:00:00Z")));
    assert_eq!(verdicts.len(), 1);
}
