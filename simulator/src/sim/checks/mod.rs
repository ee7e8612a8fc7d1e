//! The promises, each by its name.
//!
//! A checker sees the world's books and what the host shows, and says what does not fit. It asks
//! no code of the engine what should be.

mod customers;
mod decisions;
mod deliveries;
mod hours;
mod view;

use super::Fault;
use super::books::Books;
use super::eyes::Eyes;
use view::View;

/// A promise: whatever does not fit is one line of the answer.
type Check = fn(&View<'_>) -> Vec<String>;

/// All of them.
const CHECKS: &[(&str, Check)] = &[
    ("acknowledged-is-kept", customers::acknowledged_is_kept),
    ("all-of-it-or-nothing", customers::all_of_it_or_nothing),
    ("a-repetition-does-nothing", customers::a_repetition_does_nothing),
    ("in-the-order-of-acceptance", customers::in_the_order_of_acceptance),
    ("erased-leaves-nothing", customers::erased_leaves_nothing),
    ("the-log-makes-the-state", customers::the_log_makes_the_state),
    ("time-does-not-run-back", customers::time_does_not_run_back),
    ("one-decision-per-event", decisions::one_decision_per_event),
    ("a-decision-names-its-version", decisions::a_decision_names_its_version),
    ("a-refusal-has-its-reason", decisions::a_refusal_has_its_reason),
    ("a-send-has-no-reason-against-it", decisions::a_send_has_no_reason_against_it),
    ("explained-as-decided", decisions::explained_as_decided),
    ("a-one-off-reaches-its-snapshot-once", decisions::a_one_off_reaches_its_snapshot_once),
    ("under-the-cap", decisions::under_the_cap),
    ("once-is-once", deliveries::once_is_once),
    ("ambiguous-is-held", deliveries::ambiguous_is_held),
    ("cancelled-is-not-sent", deliveries::cancelled_is_not_sent),
    ("ends-once", deliveries::ends_once),
    ("sent-is-received", deliveries::sent_is_received),
    ("receipts-count", deliveries::receipts_count),
    ("displayed-once", deliveries::displayed_once),
    ("nothing-left-at-rest", deliveries::nothing_left_at_rest),
    ("only-live-sends", hours::only_live_sends),
    ("only-with-consent", hours::only_with_consent),
    ("not-before-its-delay", hours::not_before_its_delay),
    ("not-in-quiet-hours", hours::not_in_quiet_hours),
];

/// The names of all promises.
#[cfg(test)]
pub(super) fn names() -> Vec<&'static str> {
    CHECKS.iter().map(|(name, _)| *name).collect()
}

/// What does not fit.
pub(super) fn all(books: &Books, eyes: &Eyes) -> Vec<Fault> {
    let view = View::new(books, eyes);
    let mut faults = Vec::new();
    for (name, check) in CHECKS {
        faults.extend(check(&view).into_iter().map(|what| Fault { check: name, what }));
    }
    faults
}
