//! Events that trigger, events that do not, delays and what withdraws.

use engine::project::Status;
use serde_json::{Value as Json, json};

use super::super::{Input, ReceiptKind};
use super::{Story, known, ms};

fn on_order() -> Story {
    Story::new().live("o", json!({}))
}

fn delayed(more: Json) -> Json {
    let mut trigger = json!({
        "kind": "event",
        "event": "order",
        "delay": { "amount": 1, "unit": "days" },
        "cancel_on": [{ "event": "paid" }],
    });
    for (key, value) in more.as_object().expect("an object") {
        trigger[key] = value.clone();
    }
    trigger
}

#[test]
fn each_event_of_that_name_triggers() {
    let mut story = on_order();
    assert_eq!(story.track("2026-06-02T10:00:00Z", "anna", "order", json!({})), ["o: send"]);
    assert_eq!(story.track("2026-06-02T10:00:00Z", "anna", "login", json!({})), [""; 0]);
    assert_eq!(story.track("2026-06-02T10:00:01Z", "anna", " ORDER ", json!({})), ["o: send"]);
}

#[test]
fn property_conditions_that_do_not_hold_leave_no_trace() {
    let conditions = json!({ "kind": "property", "property": "cart.total",
        "test": { "kind": "greater_than", "value": 10 } });
    let trigger = json!({ "kind": "event", "event": "order", "where": conditions });
    let mut story = Story::new().live("o", json!({ "trigger": trigger }));
    let total = |total: u32| json!({ "cart": { "total": total } });
    assert_eq!(story.track("2026-06-02T10:00:00Z", "anna", "order", total(10)), [""; 0]);
    assert_eq!(story.track("2026-06-02T10:00:01Z", "anna", "order", total(11)), ["o: send"]);
}

#[test]
fn late_and_historical_events_never_trigger() {
    let mut story = on_order();
    let now = "2026-06-10T12:00:00Z";
    let edge = "2026-06-07T12:00:00Z";
    let late = "2026-06-07T11:59:59.999Z";
    assert_eq!(story.track_late(now, edge, "anna", "order", json!({})), ["o: send"]);
    assert_eq!(story.track_late(now, late, "anna", "order", json!({})), [""; 0]);
    let historical = Input::Track {
        names: known("anna"),
        message_id: "h".to_owned(),
        name: "order".to_owned(),
        at: ms(now),
        properties: json!({}),
        historical: true,
    };
    assert_eq!(story.accept(now, historical), [""; 0]);
}

#[test]
fn events_from_before_going_live_never_trigger() {
    let mut story = on_order();
    let (now, live) = ("2026-06-01T01:00:00Z", "2026-06-01T00:00:00Z");
    let before = "2026-05-31T23:59:59.999Z";
    assert_eq!(story.track_late(now, before, "anna", "order", json!({})), [""; 0]);
    assert_eq!(story.track_late(now, live, "anna", "order", json!({})), ["o: send"]);
}

#[test]
fn a_repeated_message_does_nothing() {
    let mut story = on_order();
    let input = Input::Track {
        names: known("anna"),
        message_id: "same".to_owned(),
        name: "order".to_owned(),
        at: ms("2026-06-02T10:00:00Z"),
        properties: json!({}),
        historical: false,
    };
    assert_eq!(story.accept("2026-06-02T10:00:00Z", input.clone()), ["o: send"]);
    assert_eq!(story.accept("2026-06-02T10:00:01Z", input), [""; 0]);
}

#[test]
fn paused_is_recorded_and_draft_and_ended_are_silent() {
    let mut story = on_order();
    story.status("2026-06-02T00:00:00Z", "o", Status::Paused);
    assert_eq!(story.track("2026-06-02T01:00:00Z", "anna", "order", json!({})), ["o: not_live"]);
    story.status("2026-06-02T02:00:00Z", "o", Status::Ended);
    assert_eq!(story.track("2026-06-02T03:00:00Z", "anna", "order", json!({})), [""; 0]);
    story.model.save_outreach("draft", super::rule(json!({})));
    assert_eq!(story.track("2026-06-02T04:00:00Z", "anna", "order", json!({})), [""; 0]);
}

#[test]
fn a_shadow_watches_and_never_sends() {
    let mut story = on_order();
    story.status("2026-06-02T00:00:00Z", "o", Status::Shadow);
    assert_eq!(story.track("2026-06-02T01:00:00Z", "anna", "order", json!({})), ["o: shadow"]);
}

#[test]
fn a_schedule_includes_its_start_and_not_its_stop() {
    let schedule = json!({ "start": "2026-06-02T00:00:00Z", "stop": "2026-06-03T00:00:00Z" });
    let mut story = Story::new().live("o", json!({ "schedule": schedule }));
    let mut order = |at: &str| story.track(at, "anna", "order", json!({}));
    assert_eq!(order("2026-06-01T23:59:59.999Z"), ["o: not_started"]);
    assert_eq!(order("2026-06-02T00:00:00Z"), ["o: send"]);
    assert_eq!(order("2026-06-02T23:59:59.999Z"), ["o: send"]);
    assert_eq!(order("2026-06-03T00:00:00Z"), ["o: stopped"]);
}

#[test]
fn a_delay_waits_and_then_the_message_is_due() {
    let mut story = Story::new().live("o", json!({ "trigger": delayed(json!({})) }));
    let said = story.track("2026-06-02T10:00:00Z", "anna", "order", json!({}));
    assert_eq!(said, ["o: waits at 2026-06-03T10:00:00Z"]);
    assert_eq!(story.wait("2026-06-03T09:59:59.999Z"), [""; 0]);
    assert_eq!(story.wait("2026-06-03T10:00:00Z"), ["o: due"]);
    assert_eq!(story.wait("2026-06-04T10:00:00Z"), [""; 0]);
}

#[test]
fn a_cancel_event_withdraws_what_waits_and_releases_the_claim() {
    let fields = json!({ "trigger": delayed(json!({})), "frequency": { "kind": "once" } });
    let mut story = Story::new().live("o", fields);
    story.track("2026-06-02T10:00:00Z", "anna", "order", json!({}));
    // It happened before the order and only arrived after it.
    let (late, before) = ("2026-06-02T10:30:00Z", "2026-06-02T09:00:00Z");
    assert_eq!(story.track_late(late, before, "anna", "paid", json!({})), [""; 0]);
    let said = story.track("2026-06-02T11:00:00Z", "anna", "paid", json!({}));
    assert_eq!(said, ["o: cancelled cancelled_by_event"]);
    let said = story.track("2026-06-02T12:00:00Z", "anna", "order", json!({}));
    assert_eq!(said, ["o: waits at 2026-06-03T12:00:00Z"]);
}

#[test]
fn the_audience_is_asked_again_when_the_delay_is_over_unless_switched_off() {
    let free = json!({ "kind": "dynamic", "filter": { "kind": "attribute", "attribute": "plan",
        "test": { "kind": "is", "value": "free" } } });
    for (again, expected) in [(true, "o: cancelled not_in_audience"), (false, "o: due")] {
        let trigger = delayed(json!({ "recheck_audience": again }));
        let fields = json!({ "trigger": trigger, "audience": free });
        let mut story = Story::new().live("o", fields);
        story.identify("2026-06-02T09:00:00Z", "anna", json!({ "plan": "free" }));
        story.track("2026-06-02T10:00:00Z", "anna", "order", json!({}));
        story.identify("2026-06-02T11:00:00Z", "anna", json!({ "plan": "pro" }));
        assert_eq!(story.wait("2026-06-03T10:00:00Z"), [expected]);
    }
}

#[test]
fn what_waits_while_the_outreach_is_paused_is_withdrawn() {
    let mut story = Story::new().live("o", json!({ "trigger": delayed(json!({})) }));
    story.track("2026-06-02T10:00:00Z", "anna", "order", json!({}));
    story.status("2026-06-02T11:00:00Z", "o", Status::Paused);
    assert_eq!(story.wait("2026-06-03T10:00:00Z"), ["o: cancelled not_live"]);
}

#[test]
fn what_happens_to_a_delivery_is_an_event_but_not_for_its_own_outreach() {
    let on_display = json!({ "kind": "event", "event": "outreach.displayed" });
    let fields = json!({ "trigger": on_display });
    let mut story = on_order().live("follow", fields);
    story.track("2026-06-02T10:00:00Z", "anna", "order", json!({}));
    let said = story.receipt("2026-06-02T10:01:00Z", "anna", "o", ReceiptKind::Displayed);
    assert_eq!(said, ["follow: send"]);
    let said = story.receipt("2026-06-02T10:02:00Z", "anna", "follow", ReceiptKind::Displayed);
    assert_eq!(said, [""; 0]);
}

#[test]
fn an_in_app_message_that_nobody_saw_expires_and_frees_its_claim() {
    let banner = json!({ "kind": "banner", "text": "Hello" });
    let fields = json!({ "content": banner, "frequency": { "kind": "once" },
        "expires_after": { "amount": 2, "unit": "hours" } });
    let mut story = Story::new().live("o", fields);
    assert_eq!(story.track("2026-06-02T10:00:00Z", "anna", "order", json!({})), ["o: send"]);
    assert_eq!(story.wait("2026-06-02T12:00:00Z"), ["o: expired"]);
    assert_eq!(story.track("2026-06-02T13:00:00Z", "anna", "order", json!({})), ["o: send"]);
    story.receipt("2026-06-02T13:01:00Z", "anna", "o", ReceiptKind::Displayed);
    assert_eq!(story.wait("2026-06-05T12:00:00Z"), [""; 0]);
    assert_eq!(
        story.track("2026-06-05T13:00:00Z", "anna", "order", json!({})),
        ["o: already_sent"]
    );
}
