//! A customer with 100,000 events: windows stay exact to the millisecond at both edges, with and
//! without property conditions, and the timer names the very millisecond at which the answer turns.

use engine::condition::{holds, next_turn};
use engine::customer::{Customer, Occurrence};
use engine::fact::event_key;
use engine::ids::{CustomerId, ProjectNo};
use engine::outreach::compile::{compile_filter, read_filter};
use engine::outreach::compiled::Condition;
use engine::project::Project;
use engine::situation::{History, Occasion, Situation};
use engine::time::Timestamp;
use serde_json::json;

const EVENTS: u64 = 100_000;
/// One event each 7 seconds; the position is the number of the event.
const GAP: i64 = 7_000;

/// Every tenth event is a PDF.
struct Reports;

impl History for Reports {
    fn properties(&self, position: u64, _: u64) -> serde_json::Value {
        json!({ "format": if position.is_multiple_of(10) { "pdf" } else { "csv" } })
    }
}

fn busy_customer() -> Customer {
    let mut customer = Customer { first_seen: Some(Timestamp(0)), ..Customer::default() };
    let series = customer.series.entry(event_key("report_exported")).or_default();
    for number in 0..EVENTS {
        let at = Timestamp(i64::try_from(number).unwrap() * GAP);
        series.insert(Occurrence { at, position: number });
    }
    customer
}

fn condition(json: &serde_json::Value) -> Condition {
    let filter = read_filter(&json.to_string(), "").unwrap();
    compile_filter(&Project::new(ProjectNo(1), "p"), None, "", &filter).unwrap()
}

fn at_least(n: u64, hours: u32, only_pdf: bool) -> Condition {
    let mut json = json!({
        "kind": "event", "event": "Report_Exported",
        "test": { "kind": "count", "count": { "kind": "at_least", "n": n } },
        "window": { "kind": "last", "amount": hours, "unit": "hours" },
    });
    if only_pdf {
        json["where"] = json!({ "kind": "property", "property": "format", "test": { "kind": "is", "value": "pdf" } });
    }
    condition(&json)
}

fn with_situation<T>(customer: &Customer, now: i64, ask: impl FnOnce(&Situation<'_>) -> T) -> T {
    let project = Project::new(ProjectNo(1), "p");
    ask(&Situation {
        project: &project,
        id: CustomerId(1),
        customer,
        occasion: Occasion::Question,
        now: Timestamp(now),
        zone: project.zone.clone(),
        history: &Reports,
    })
}

#[test]
fn windows_are_exact_at_both_edges() {
    let customer = busy_customer();
    let last = i64::try_from(EVENTS - 1).unwrap() * GAP;
    let hour = 3_600_000;
    // In the hour (now − 1 h, now] after the last event lie those later than now − 1 h.
    for ms in [-1, 0, 1] {
        let now = last + hour + ms;
        let only_the_last_is_left = ms < 0;
        let answer = with_situation(&customer, now, |s| holds(&at_least(1, 1, false), s));
        assert_eq!(answer, only_the_last_is_left, "{ms} ms");
    }
    // The upper edge: an event at now counts, one a millisecond later does not.
    let middle = 50_000 * GAP;
    let inside = u64::try_from(hour / GAP).unwrap() + 1;
    for (ms, count) in [(-1, inside), (0, inside), (1, inside)] {
        let now = middle + ms;
        let exact = i64::try_from(
            (0..EVENTS)
                .filter(|n| {
                    let at = i64::try_from(*n).unwrap() * GAP;
                    now - hour < at && at <= now
                })
                .count(),
        )
        .unwrap();
        let n = u64::try_from(exact).unwrap();
        assert!(n.abs_diff(count) <= 1);
        assert!(with_situation(&customer, now, |s| holds(&at_least(n, 1, false), s)));
        assert!(!with_situation(&customer, now, |s| holds(&at_least(n + 1, 1, false), s)));
    }
}

#[test]
fn property_conditions_over_the_whole_history_are_exact() {
    let customer = busy_customer();
    let now = i64::try_from(EVENTS).unwrap() * GAP;
    let year = 24 * 365;
    assert!(with_situation(&customer, now, |s| holds(&at_least(EVENTS / 10, year, true), s)));
    assert!(!with_situation(&customer, now, |s| holds(&at_least(EVENTS / 10 + 1, year, true), s)));
}

#[test]
fn the_timer_names_the_millisecond() {
    let customer = busy_customer();
    let now = i64::try_from(EVENTS - 1).unwrap() * GAP;
    let hour = 3_600_000;
    let all_of_them = u64::try_from(hour / GAP).unwrap() + 1;
    let rule = at_least(all_of_them, 1, false);
    assert!(with_situation(&customer, now, |s| holds(&rule, s)));
    let turn = with_situation(&customer, now, |s| next_turn(&rule, s)).unwrap();
    assert!(with_situation(&customer, turn.0 - 1, |s| holds(&rule, s)));
    assert!(!with_situation(&customer, turn.0, |s| holds(&rule, s)));
}
