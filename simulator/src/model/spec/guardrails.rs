//! Holdout, caps, quiet hours, send windows, addresses and consent.

use engine::project::Settings;
use serde_json::{Value as Json, json};

use super::super::ReceiptKind;
use super::{Story, email};

fn cap(over: Json, times: u32) -> Json {
    json!({ "over": over, "times": times, "per": { "amount": 1, "unit": "days" } })
}

fn settings(fields: Json) -> Settings {
    serde_json::from_value(fields).expect("settings")
}

/// Mail on every order to somebody with an address.
fn mail(fields: Json) -> Story {
    let mut whole = json!({ "content": email() });
    for (key, value) in fields.as_object().expect("an object") {
        whole[key] = value.clone();
    }
    let mut story = Story::new().live("o", whole);
    story.identify("2026-06-01T10:00:00Z", "anna", json!({ "email": "anna@example.com" }));
    story
}

#[test]
fn the_control_group_gets_nothing() {
    let all = json!({ "guardrails": { "holdout_percent": 100 } });
    let mut story = Story::new().live("o", all);
    assert_eq!(story.track("2026-06-02T10:00:00Z", "anna", "order", json!({})), ["o: held_out"]);
}

#[test]
fn a_cap_counts_what_was_sent_in_the_span_up_to_now() {
    let everything = cap(json!({ "kind": "everything" }), 1);
    let mut story = Story::new().live("o", json!({ "guardrails": { "caps": [everything] } }));
    let mut order = |at: &str| story.track(at, "anna", "order", json!({}));
    assert_eq!(order("2026-06-02T10:00:00Z"), ["o: send"]);
    assert_eq!(order("2026-06-03T09:59:59.999Z"), ["o: capped"]);
    assert_eq!(order("2026-06-03T10:00:00Z"), ["o: send"]);
}

#[test]
fn the_higher_priority_goes_first_and_the_cap_stops_the_other() {
    let caps = json!({ "caps": [cap(json!({ "kind": "everything" }), 1)] });
    let high = json!({ "guardrails": { "priority": 5 } });
    let mut story = Story::with(settings(caps)).live("low", json!({})).live("high", high);
    let said = story.track("2026-06-02T10:00:00Z", "anna", "order", json!({}));
    assert_eq!(said, ["high: send", "low: capped"]);
}

#[test]
fn some_are_neither_counted_nor_refused_by_the_projects_caps() {
    let caps = json!({ "caps": [cap(json!({ "kind": "everything" }), 1)] });
    let receipt = json!({ "guardrails": { "ignore_project_limits": true } });
    let mut story = Story::with(settings(caps)).live("receipt", receipt).live("o", json!({}));
    let mut order = |at: &str| story.track(at, "anna", "order", json!({}));
    assert_eq!(order("2026-06-02T10:00:00Z"), ["receipt: send", "o: send"]);
    assert_eq!(order("2026-06-02T11:00:00Z"), ["receipt: send", "o: capped"]);
}

#[test]
fn a_cap_of_a_channel_or_tag_speaks_of_nothing_else() {
    let caps = json!({ "caps": [cap(json!({ "kind": "tag", "tag": "sale" }), 1)] });
    let tagged = json!({ "tags": ["sale"] });
    let mut story = Story::with(settings(caps)).live("sale", tagged).live("o", json!({}));
    let mut order = |at: &str| story.track(at, "anna", "order", json!({}));
    assert_eq!(order("2026-06-02T10:00:00Z"), ["sale: send", "o: send"]);
    assert_eq!(order("2026-06-02T11:00:00Z"), ["sale: capped", "o: send"]);
}

#[test]
fn quiet_hours_hold_until_they_are_over() {
    let quiet = json!({ "from": "22:00", "to": "08:00" });
    let mut story = mail(json!({ "guardrails": { "quiet_hours": quiet } }));
    let mut order = |at: &str| story.track(at, "anna", "order", json!({}));
    assert_eq!(order("2026-06-02T21:59:59.999Z"), ["o: send"]);
    assert_eq!(order("2026-06-02T22:00:00Z"), ["o: waits at 2026-06-03T08:00:00Z"]);
    assert_eq!(order("2026-06-03T07:59:59.999Z"), ["o: waits at 2026-06-03T08:00:00Z"]);
    assert_eq!(order("2026-06-03T08:00:00Z"), ["o: due", "o: due", "o: send"]);
}

#[test]
fn quiet_hours_are_the_customers_own() {
    let quiet = json!({ "from": "22:00", "to": "08:00" });
    let mut story = mail(json!({ "guardrails": { "quiet_hours": quiet } }));
    story.identify("2026-06-02T10:00:00Z", "anna", json!({ "timezone": "Europe/Berlin" }));
    let said = story.track("2026-06-02T20:00:00Z", "anna", "order", json!({}));
    assert_eq!(said, ["o: waits at 2026-06-03T06:00:00Z"]);
}

#[test]
fn quiet_hours_may_refuse_and_do_not_concern_what_does_not_ring() {
    let quiet = json!({ "from": "22:00", "to": "08:00", "otherwise": "skip" });
    let guardrails = json!({ "guardrails": { "quiet_hours": quiet } });
    let night = "2026-06-02T23:00:00Z";
    let mut story = mail(guardrails.clone());
    assert_eq!(story.track(night, "anna", "order", json!({})), ["o: quiet_hours"]);
    let mut story = Story::new().live("o", guardrails);
    assert_eq!(story.track(night, "anna", "order", json!({})), ["o: send"]);
}

#[test]
fn send_windows_hold_until_the_next_one_opens() {
    // 5 June 2026 is a Friday.
    let window = json!({ "days": ["monday", "friday"], "from": "09:00", "to": "17:00" });
    let mut story = mail(json!({ "guardrails": { "send_windows": [window] } }));
    let mut order = |at: &str| story.track(at, "anna", "order", json!({}));
    assert_eq!(order("2026-06-05T08:00:00Z"), ["o: waits at 2026-06-05T09:00:00Z"]);
    assert_eq!(order("2026-06-05T16:59:59.999Z"), ["o: due", "o: send"]);
    assert_eq!(order("2026-06-05T17:00:00Z"), ["o: waits at 2026-06-08T09:00:00Z"]);
}

#[test]
fn quiet_hours_are_asked_when_the_delay_is_over() {
    let quiet = json!({ "from": "22:00", "to": "08:00", "otherwise": "skip" });
    let trigger = json!({ "kind": "event", "event": "order",
        "delay": { "amount": 2, "unit": "hours" } });
    let fields = json!({ "trigger": trigger, "guardrails": { "quiet_hours": quiet } });
    let mut story = mail(fields.clone());
    story.track("2026-06-02T21:00:00Z", "anna", "order", json!({}));
    assert_eq!(story.wait("2026-06-02T23:00:00Z"), ["o: cancelled quiet_hours"]);
    let mut story = mail(fields);
    story.track("2026-06-02T07:00:00Z", "anna", "order", json!({}));
    assert_eq!(story.wait("2026-06-02T09:00:00Z"), ["o: due"]);
}

#[test]
fn every_channel_needs_its_address() {
    let channels = [
        (email(), json!({ "email": "nowhere" }), json!({ "email": "a@example.com" })),
        (json!({ "kind": "sms", "text": "x" }), json!({ "phone": " " }), json!({ "phone": "+49" })),
        (
            json!({ "kind": "push", "title": "x", "body": "x" }),
            json!({ "push_token": "" }),
            json!({ "push_token": "t" }),
        ),
    ];
    for (content, bad, good) in channels {
        let mut story = Story::new().live("o", json!({ "content": content }));
        let at = "2026-06-02T10:00:00Z";
        assert_eq!(story.track(at, "anna", "order", json!({})), ["o: no_address"]);
        story.identify(at, "anna", bad);
        assert_eq!(story.track(at, "anna", "order", json!({})), ["o: no_address"]);
        story.identify(at, "anna", good);
        assert_eq!(story.track(at, "anna", "order", json!({})), ["o: send"]);
    }
}

#[test]
fn a_no_is_a_no_and_silence_is_the_projects_default() {
    let at = "2026-06-02T10:00:00Z";
    let mut story = mail(json!({}));
    story.consent(at, "anna", "email", "", false);
    assert_eq!(story.track(at, "anna", "order", json!({})), ["o: no_consent"]);
    story.consent(at, "anna", "email", "", true);
    assert_eq!(story.track(at, "anna", "order", json!({})), ["o: send"]);
    let mut story = mail(json!({}));
    story.model.settings.consent_by_default = false;
    assert_eq!(story.track(at, "anna", "order", json!({})), ["o: no_consent"]);
}

#[test]
fn a_topic_can_be_refused_alone_and_a_receipt_asks_nobody() {
    let at = "2026-06-02T10:00:00Z";
    let mut content = email();
    content["topic"] = json!("offers");
    let mut story = mail(json!({ "content": content }));
    story.consent(at, "anna", "email", "offers", false);
    assert_eq!(story.track(at, "anna", "order", json!({})), ["o: no_consent"]);
    content["transactional"] = json!(true);
    let mut story = mail(json!({ "content": content }));
    story.consent(at, "anna", "email", "", false);
    assert_eq!(story.track(at, "anna", "order", json!({})), ["o: send"]);
}

#[test]
fn an_address_that_bounced_is_not_used_again_and_a_new_one_is_free() {
    let mut story = mail(json!({}));
    story.track("2026-06-02T10:00:00Z", "anna", "order", json!({}));
    story.receipt("2026-06-02T10:01:00Z", "anna", "o", ReceiptKind::Bounced);
    assert_eq!(story.track("2026-06-02T11:00:00Z", "anna", "order", json!({})), ["o: suppressed"]);
    story.identify("2026-06-02T12:00:00Z", "anna", json!({ "email": "new@example.com" }));
    assert_eq!(story.track("2026-06-02T13:00:00Z", "anna", "order", json!({})), ["o: send"]);
}

#[test]
fn the_first_gate_that_refuses_is_the_reason() {
    let nobody = json!({ "kind": "dynamic", "filter": { "kind": "attribute", "attribute": "plan",
        "test": { "kind": "is_set" } } });
    let fields = json!({ "content": email(), "audience": nobody,
        "guardrails": { "holdout_percent": 100 } });
    let mut story = Story::new().live("o", fields);
    let at = "2026-06-02T10:00:00Z";
    assert_eq!(story.track(at, "anna", "order", json!({})), ["o: not_in_audience"]);
    story.identify(at, "anna", json!({ "plan": "free" }));
    assert_eq!(story.track(at, "anna", "order", json!({})), ["o: held_out"]);
}
