//! One lie for each checker: a world that kept its promises is spoilt, and the checker of that name
//! must say so.

use engine::decision::Outcome;
use engine::delivery::DeliveryState;
use engine::fact::{Fact, ReceiptKind, Settlement};
use engine::outreach::content::OutreachType;
use engine::project::Status;

use super::books::{Answer, Books, Done, Name, Probe};
use super::eyes::Eyes;
use super::rules::HOUR;

/// Spoil what the checker of this name looks at. False: this world has nothing to spoil.
pub(super) fn spoil(check: &str, books: &mut Books, eyes: &mut Eyes) -> bool {
    match check {
        "acknowledged-is-kept" | "one-decision-per-event" | "a-decision-names-its-version" => {
            spoil_events(check, books, eyes)
        }
        "all-of-it-or-nothing" => probe(books, Probe::Group { found: vec![false, true] }),
        "a-repetition-does-nothing" => {
            let message = "message-1".to_owned();
            probe(books, Probe::Repeated { message, duplicate: false, wrote: true })
        }
        "in-the-order-of-acceptance" => eyes.timelines.values_mut().any(|timeline| {
            let events = |entry: &host::query::timeline::TimelineEntry| {
                matches!(&entry.fact, Fact::Event(_))
            };
            let first = timeline.iter().position(events);
            let last = timeline.iter().rposition(events);
            let (Some(first), Some(last)) = (first, last) else { return false };
            let here = timeline[first].position;
            let there = timeline[last].position;
            timeline[first].position = there + 1;
            here != there
        }),
        "erased-leaves-nothing" => {
            let who = Name::User("anna".to_owned());
            probe(books, Probe::Erased { who, found: vec!["inbox"] })
        }
        "the-log-makes-the-state" => {
            probe(books, Probe::Reopened { same: false, what: "from the log alone" })
        }
        "time-does-not-run-back" => probe(books, Probe::Time { before: 2, after: 1 }),
        "explained-as-decided" => eyes.explained.first_mut().is_some_and(|one| {
            one.said = None;
            true
        }),
        "a-one-off-reaches-its-snapshot-once" => books.launches.iter_mut().any(|launch| {
            launch.members.push(Name::User("nobody".to_owned()));
            true
        }),
        "a-refusal-has-its-reason" | "a-send-has-no-reason-against-it" | "under-the-cap" => {
            spoil_reasons(check, books, eyes)
        }
        "displayed-once" => {
            let first = eyes.rows.first().map(|row| row.delivery.id);
            first.is_some_and(|delivery| probe(books, Probe::ShownTwice { delivery }))
        }
        "nothing-left-at-rest" => {
            eyes.left.due = 1;
            true
        }
        _ => spoil_deliveries(check, books, eyes),
    }
}

fn probe(books: &mut Books, probe: Probe) -> bool {
    books.probes.push(probe);
    true
}

fn spoil_events(check: &str, books: &mut Books, eyes: &mut Eyes) -> bool {
    if check == "acknowledged-is-kept" {
        // An acknowledged event is lost.
        return eyes.timelines.values_mut().any(|timeline| {
            let event = timeline.iter().position(|entry| matches!(entry.fact, Fact::Event(_)));
            event.map(|place| timeline.remove(place)).is_some()
        });
    }
    let ids: Vec<_> = books.kept.iter().map(super::books::Kept::event_id).collect();
    let of_message = |line: &&mut host::query::decisions::DecisionLine| {
        matches!(&line.decision.trigger, engine::delivery::TriggerRef::Event { id, .. }
            if ids.contains(id))
    };
    let Some(line) = eyes.decisions.iter_mut().find(of_message) else { return false };
    if check == "a-decision-names-its-version" {
        line.decision.version += 1;
        return true;
    }
    let again = line.clone();
    eyes.decisions.push(again);
    true
}

fn spoil_reasons(check: &str, books: &mut Books, eyes: &mut Eyes) -> bool {
    let ids: Vec<_> = books.kept.iter().map(super::books::Kept::event_id).collect();
    let is_event = |line: &host::query::decisions::DecisionLine| {
        matches!(&line.decision.trigger, engine::delivery::TriggerRef::Event { id, .. }
            if ids.contains(id))
    };
    match check {
        "a-refusal-has-its-reason" => {
            let skip = eyes
                .decisions
                .iter_mut()
                .find(|line| is_event(line) && matches!(line.decision.outcome, Outcome::Skip(_)));
            skip.is_some_and(|line| {
                line.decision.outcome = Outcome::Skip(engine::decision::SkipReason::HeldOut);
                true
            })
        }
        "a-send-has-no-reason-against-it" => {
            for kept in &mut books.kept {
                for standing in kept.standings.values_mut() {
                    standing.status = Status::Shadow;
                }
            }
            eyes.decisions
                .iter()
                .any(|line| is_event(line) && matches!(line.decision.outcome, Outcome::Send { .. }))
        }
        _ => {
            for line in books.lines.values_mut() {
                line.rules.iter_mut().for_each(|rule| rule.cap = Some((0, 24)));
            }
            !eyes.decisions.is_empty()
        }
    }
}

fn spoil_deliveries(check: &str, books: &mut Books, eyes: &mut Eyes) -> bool {
    let turn = books.turn + 1;
    match check {
        "ends-once" => eyes.rows.first_mut().is_some_and(|row| {
            row.delivery.state = DeliveryState::Waiting;
            true
        }),
        "sent-is-received" => {
            books.calls.clear();
            books.settled.clear();
            let outside = |row: &&host::DeliveryRow| {
                row.delivery.outreach_type != OutreachType::Modal
                    && row.delivery.state == DeliveryState::Sent
            };
            eyes.rows.iter().any(|row| outside(&row))
        }
        "receipts-count" => {
            eyes.rows.iter().find(|row| row.delivery.state == DeliveryState::Sent).is_some_and(
                |row| {
                    let (delivery, at) = (row.delivery.id, i64::MAX);
                    books.receipts.push(Done { delivery, what: ReceiptKind::Displayed, at, turn });
                    true
                },
            )
        }
        _ => spoil_calls(check, books),
    }
}

/// What a receiver is said to have seen.
fn spoil_calls(check: &str, books: &mut Books) -> bool {
    let turn = books.turn + 1;
    let got = books
        .calls
        .iter()
        .rposition(|one| one.answer == Answer::Accepts && books.remains(&one.home, one.turn));
    let Some(place) = got else { return false };
    let mut call = books.calls[place].clone();
    call.turn = turn;
    match check {
        // A receiver counts one delivery twice, under another name.
        "once-is-once" => {
            for another in 1..=9 {
                call.delivery.0 ^= another;
                books.calls.push(call.clone());
            }
            return true;
        }
        "ambiguous-is-held" => {
            let mail = books
                .calls
                .iter()
                .position(|one| !one.channel.is_idempotent() && one.answer.got_it());
            let Some(mail) = mail else { return false };
            call = books.calls[mail].clone();
            call.turn = turn;
        }
        "cancelled-is-not-sent" => {
            let (delivery, at) = (call.delivery, call.at);
            let what = Settlement::Cancelled;
            books.settled.push(Done { delivery, what, at, turn: books.turn });
        }
        "only-live-sends" => call.status = Status::Paused,
        "only-with-consent" => call.forbidden = true,
        "not-before-its-delay" => {
            let line = books.lines.get_mut(&call.outreach);
            let rules = line.into_iter().flat_map(|line| &mut line.rules);
            rules.for_each(|rule| rule.delay = Some(100_000 * HOUR));
        }
        "not-in-quiet-hours" => {
            call.channel = OutreachType::Email;
            let line = books.lines.get_mut(&call.outreach);
            let rules = line.into_iter().flat_map(|line| &mut line.rules);
            rules.for_each(|rule| rule.quiet = Some((0, 24)));
        }
        _ => return false,
    }
    books.calls.push(call);
    true
}
