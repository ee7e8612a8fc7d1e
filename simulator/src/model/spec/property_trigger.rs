//! Triggers on an attribute: written, come true by the clock, or true from the start.

use engine::project::Status;
use serde_json::{Value as Json, json};

use super::super::clock::{self, Ms};
use super::super::values::Val;
use super::super::{compare, timers};
use super::{Story, rule};
use crate::worlds::dice::Dice;

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

/// Ask every half minute, and every millisecond around the moments that the model found: between
/// two of them nothing may turn.
#[test]
fn the_model_misses_no_moment_at_which_a_date_turns() {
    let units = ["minutes", "hours", "days", "weeks", "months"];
    let kinds = ["more_than_ago", "less_than_ago", "exactly_ago", "in_next"];
    let nights = [
        ("Europe/Berlin", "2026-03-29T00:00:00Z"),
        ("Europe/Berlin", "2026-10-25T00:00:00Z"),
        ("Australia/Lord_Howe", "2026-04-04T14:00:00Z"),
        ("Australia/Lord_Howe", "2026-10-03T15:00:00Z"),
        ("America/Havana", "2026-03-08T04:30:00Z"),
        ("America/Havana", "2026-11-01T04:30:00Z"),
        ("UTC", "2026-02-28T12:34:56.789Z"),
    ];
    let dice = &mut Dice::new(7);
    for _ in 0..60 {
        let (zone, night) = dice.one(&nights);
        let zone = clock::zone(zone).expect("a zone");
        let night = super::ms(night);
        let unit = dice.one(&units);
        let test = match dice.below(9) {
            8 => json!({ "kind": "anniversary" }),
            _ => json!({ "kind": dice.one(&kinds), "amount": dice.below(2) + 1, "unit": unit }),
        };
        let test = serde_json::from_value(test).expect("a test");
        let hours =
            |dice: &mut Dice, most: u64| Ms::try_from(dice.below(most * 3_600_000)).unwrap_or(0);
        let value = night - 4 * 3_600_000 + hours(dice, 9);
        let from = value - hours(dice, 40 * 24);
        let to = from + 50 * 86_400_000;
        let found = timers::turning_moments(&test, value, &zone, from, to);
        let value = Val::Text(clock::write(value));
        let holds = |at: Ms| compare::holds(&test, Some(&value), at, &zone);
        let mut answer = holds(from);
        let mut next = from;
        for moment in found.into_iter().chain([to]) {
            let steps = (moment - next) / 40 + 1;
            for at in (next..moment).step_by(usize::try_from(steps).unwrap_or(1)) {
                assert_eq!(holds(at), answer, "{test:?} of {value:?} at {}", clock::write(at));
            }
            assert!(moment == next || holds(moment - 1) == answer, "{test:?} of {value:?}");
            answer = holds(moment);
            next = moment;
        }
    }
}
