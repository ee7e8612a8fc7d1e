//! How often one customer gets it.

use serde_json::{Value as Json, json};

use super::super::ReceiptKind;
use super::Story;

fn often(frequency: Json) -> Story {
    Story::new().live("o", json!({ "frequency": frequency }))
}

#[test]
fn once_is_a_single_time_for_each_customer() {
    let mut story = often(json!({ "kind": "once" }));
    assert_eq!(story.track("2026-06-02T10:00:00Z", "anna", "order", json!({})), ["o: send"]);
    assert_eq!(
        story.track("2027-06-02T10:00:00Z", "anna", "order", json!({})),
        ["o: already_sent"]
    );
    assert_eq!(story.track("2027-06-02T10:00:00Z", "ben", "order", json!({})), ["o: send"]);
}

#[test]
fn a_trigger_that_the_audience_refuses_does_not_use_once_up() {
    let free = json!({ "kind": "dynamic", "filter": { "kind": "attribute", "attribute": "plan",
        "test": { "kind": "is", "value": "free" } } });
    let fields = json!({ "frequency": { "kind": "once" }, "audience": free });
    let mut story = Story::new().live("o", fields);
    let said = story.track("2026-06-02T10:00:00Z", "anna", "order", json!({}));
    assert_eq!(said, ["o: not_in_audience"]);
    story.identify("2026-06-02T11:00:00Z", "anna", json!({ "plan": "free" }));
    assert_eq!(story.track("2026-06-02T12:00:00Z", "anna", "order", json!({})), ["o: send"]);
}

#[test]
fn every_time_is_one_for_each_event() {
    let mut story = often(json!({ "kind": "every_time" }));
    for _ in 0..3 {
        assert_eq!(story.track("2026-06-02T10:00:00Z", "anna", "order", json!({})), ["o: send"]);
    }
}

#[test]
fn once_per_key_compares_the_text_of_the_key() {
    let mut story = often(json!({ "kind": "once_per_key", "property": "cart.id" }));
    let mut order = |id: Json| {
        let properties = json!({ "cart": { "id": id } });
        story.track("2026-06-02T10:00:00Z", "anna", "order", properties)
    };
    assert_eq!(order(json!(7)), ["o: send"]);
    assert_eq!(order(json!("7")), ["o: key_used"]);
    assert_eq!(order(json!("8")), ["o: send"]);
    assert_eq!(order(Json::Null), ["o: no_key"]);
}

#[test]
fn at_most_once_per_day_is_free_again_at_the_same_time_tomorrow() {
    let mut story = often(json!({ "kind": "at_most_once_per", "amount": 1, "unit": "days" }));
    let mut order = |at: &str| story.track(at, "anna", "order", json!({}));
    assert_eq!(order("2026-06-02T10:00:00Z"), ["o: send"]);
    assert_eq!(order("2026-06-03T09:59:59.999Z"), ["o: too_soon"]);
    assert_eq!(order("2026-06-03T10:00:00Z"), ["o: send"]);
}

#[test]
fn at_most_n_times() {
    let mut story = often(json!({ "kind": "at_most", "times": 2 }));
    let mut order = |at: &str| story.track(at, "anna", "order", json!({}));
    assert_eq!(order("2026-06-02T10:00:00Z"), ["o: send"]);
    assert_eq!(order("2026-06-02T11:00:00Z"), ["o: send"]);
    assert_eq!(order("2026-06-02T12:00:00Z"), ["o: already_sent"]);
}

#[test]
fn until_answered_stops_at_the_answer() {
    let interval = json!({ "amount": 1, "unit": "hours" });
    let mut story = often(json!({ "kind": "until_answered", "at_most_once_per": interval }));
    assert_eq!(story.track("2026-06-02T10:00:00Z", "anna", "order", json!({})), ["o: send"]);
    assert_eq!(story.track("2026-06-02T10:59:59Z", "anna", "order", json!({})), ["o: too_soon"]);
    assert_eq!(story.track("2026-06-02T11:00:00Z", "anna", "order", json!({})), ["o: send"]);
    story.receipt("2026-06-02T11:01:00Z", "anna", "o", ReceiptKind::Answered);
    assert_eq!(story.track("2026-06-09T11:00:00Z", "anna", "order", json!({})), ["o: answered"]);
}

#[test]
fn claims_survive_an_edit() {
    let mut story = often(json!({ "kind": "once" }));
    story.track("2026-06-02T10:00:00Z", "anna", "order", json!({}));
    let edited = super::rule(json!({ "name": "Edited", "frequency": { "kind": "once" } }));
    story.model.save_outreach("o", edited);
    story.status("2026-06-02T11:00:00Z", "o", engine::project::Status::Live);
    assert_eq!(
        story.track("2026-06-02T12:00:00Z", "anna", "order", json!({})),
        ["o: already_sent"]
    );
}
