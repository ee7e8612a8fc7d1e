//! Guests who turn out to be users, and sessions.

use serde_json::json;

use super::super::Input;
use super::{Story, both, guest, ms};

impl Story {
    /// A guest orders.
    fn guest_orders(&mut self, at: &str, browser: &str) -> Vec<String> {
        let message_id = self.message_id();
        let input = Input::Track {
            names: guest(browser),
            message_id,
            name: "order".to_owned(),
            at: ms(at),
            properties: json!({}),
            historical: false,
        };
        self.accept(at, input)
    }
}

#[test]
fn a_guests_claim_comes_along() {
    let mut story = Story::new().live("o", json!({ "frequency": { "kind": "once" } }));
    assert_eq!(story.guest_orders("2026-06-02T10:00:00Z", "b"), ["o: send"]);
    story.identify_as("2026-06-02T11:00:00Z", both("anna", "b"), json!({}));
    assert_eq!(
        story.track("2026-06-02T12:00:00Z", "anna", "order", json!({})),
        ["o: already_sent"]
    );
    // The browser is anna now.
    assert_eq!(story.guest_orders("2026-06-02T13:00:00Z", "b"), ["o: already_sent"]);
}

#[test]
fn a_guests_events_count_for_the_user() {
    let twice = json!({ "kind": "event", "event": "order",
        "test": { "kind": "count", "count": { "kind": "at_least", "n": 2 } } });
    let fields = json!({ "audience": { "kind": "dynamic", "filter": twice } });
    let mut story = Story::new().live("o", fields);
    story.guest_orders("2026-06-02T10:00:00Z", "b");
    story.identify_as("2026-06-02T11:00:00Z", both("anna", "b"), json!({}));
    assert_eq!(story.track("2026-06-02T12:00:00Z", "anna", "order", json!({})), ["o: send"]);
}

#[test]
fn of_two_attributes_the_users_wins() {
    let mut story = Story::new();
    let at = "2026-06-02T10:00:00Z";
    story.identify_as(at, guest("b"), json!({ "plan": "free", "city": "Bonn" }));
    story.identify(at, "anna", json!({ "plan": "pro" }));
    story.identify_as(at, both("anna", "b"), json!({ "age": 7 }));
    let anna = story.model.history.resolve(&guest("b")).expect("anna");
    let text = |key: &str| story.model.history.text(anna, key);
    assert_eq!(text("plan").as_deref(), Some("pro"));
    assert_eq!(text("city").as_deref(), Some("Bonn"));
}

#[test]
fn a_message_that_waits_for_the_guest_is_sent_to_the_user() {
    let trigger = json!({ "kind": "event", "event": "order",
        "delay": { "amount": 1, "unit": "days" } });
    let mut story = Story::new().live("o", json!({ "trigger": trigger }));
    story.guest_orders("2026-06-02T10:00:00Z", "b");
    story.identify_as("2026-06-02T11:00:00Z", both("anna", "b"), json!({}));
    let anna = story.model.history.resolve(&guest("b")).expect("anna");
    let verdicts = story.model.advance(ms("2026-06-03T10:00:00Z"));
    assert_eq!(verdicts.first().map(|verdict| verdict.customer), Some(anna));
}

#[test]
fn of_two_claims_one_stays() {
    let trigger = json!({ "kind": "event", "event": "order",
        "delay": { "amount": 1, "unit": "days" } });
    let fields = json!({ "trigger": trigger, "frequency": { "kind": "once" } });
    let mut story = Story::new().live("o", fields);
    story.guest_orders("2026-06-02T10:00:00Z", "b");
    story.track("2026-06-02T10:30:00Z", "anna", "order", json!({}));
    let said = story.identify_as("2026-06-02T11:00:00Z", both("anna", "b"), json!({}));
    assert_eq!(said, ["o: cancelled already_sent"]);
    assert_eq!(story.wait("2026-06-04T00:00:00Z"), ["o: due"]);
}

#[test]
fn a_session_begins_after_half_an_hour_of_silence() {
    let trigger = json!({ "kind": "event", "event": "sessionStarted" });
    let mut story = Story::new().live("o", json!({ "trigger": trigger }));
    let mut login = |at: &str| story.track(at, "anna", "login", json!({}));
    assert_eq!(login("2026-06-02T10:00:00Z"), ["o: send"]);
    assert_eq!(login("2026-06-02T10:29:59.999Z"), [""; 0]);
    assert_eq!(login("2026-06-02T10:59:59.999Z"), ["o: send"]);
}

#[test]
fn the_session_is_judged_before_the_event_that_began_it() {
    let trigger = json!({ "kind": "event", "event": "sessionStarted" });
    let mut story = Story::new()
        .live("order", json!({ "guardrails": { "priority": 9 } }))
        .live("session", json!({ "trigger": trigger }));
    let said = story.track("2026-06-02T10:00:00Z", "anna", "order", json!({}));
    assert_eq!(said, ["session: send", "order: send"]);
}
