//! What became of each delivery: at most one for a claim, one end, and the receivers agree.

use std::collections::{BTreeMap, BTreeSet};

use engine::delivery::DeliveryState;
use engine::fact::{ReceiptKind, Settlement};
use engine::ids::DeliveryId;
use engine::outreach::content::OutreachType;

use super::super::books::{Answer, Call, Name, Probe, Turn};
use super::super::rules::{HowOften, Rule};
use super::view::{View, id_of};

fn is_sent(state: &DeliveryState) -> bool {
    matches!(
        state,
        DeliveryState::Sent
            | DeliveryState::Delivered
            | DeliveryState::Displayed
            | DeliveryState::Clicked
            | DeliveryState::Answered
            | DeliveryState::Dismissed
    )
}

pub(super) fn once_is_once(view: &View<'_>) -> Vec<String> {
    let mut claims: BTreeMap<(Name, Option<Turn>, &str, String), Vec<&Call>> = BTreeMap::new();
    for call in view.books.calls.iter().filter(|call| call.answer.got_it()) {
        let Some(rule) = view.books.rule(&call.outreach, call.version) else { continue };
        let home = view.later(&call.home, call.turn);
        let life = view.life(&call.home, call.turn);
        let claim = match rule.how_often {
            HowOften::AtMost(_) => String::new(),
            HowOften::Once | HowOften::EveryTime | HowOften::PerOrder => call.claim.clone(),
        };
        claims.entry((home, life, &call.outreach, claim)).or_default().push(call);
    }
    let mut wrong = Vec::new();
    for ((home, _, outreach, claim), calls) in claims {
        let ids: BTreeSet<DeliveryId> = calls.iter().map(|call| call.delivery).collect();
        let most = calls.iter().filter_map(|call| {
            let rule = view.books.rule(&call.outreach, call.version)?;
            Some(match rule.how_often {
                HowOften::AtMost(times) => times,
                HowOften::Once | HowOften::EveryTime | HowOften::PerOrder => 1,
            })
        });
        // Whoever had it as a guest and as a user before anybody knew had it twice.
        let brought = view.books.merges.iter().filter(|(guest, _, turn)| {
            // "At most so often" is kept for each of the two who turn out to be one.
            let counted = calls.iter().any(|call| {
                matches!(
                    view.books.rule(&call.outreach, call.version),
                    Some(Rule { how_often: HowOften::AtMost(_), .. })
                )
            });
            calls.iter().any(|call| call.home == *guest && call.turn < *turn)
                || counted && view.later(guest, turn.saturating_sub(1)) == home
        });
        let allowed = view
            .books
            .allowed_again
            .iter()
            .filter(|(who, id, turn)| id == outreach && view.later(who, *turn) == home);
        let grants = 1 + brought.count() as u64 + allowed.count() as u64;
        let most = most.max().unwrap_or(1) * grants;
        if ids.len() as u64 > most {
            wrong.push(format!("{outreach} {claim:?} reached {home:?} as {ids:?}, {most} allowed"));
        }
    }
    wrong
}

pub(super) fn ambiguous_is_held(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for first in &view.books.calls {
        if first.channel.is_idempotent() || !(first.answer.is_ambiguous() || first.answer.got_it())
        {
            continue;
        }
        let life = view.life(&first.home, first.turn);
        let again = view.books.calls.iter().find(|next| {
            next.delivery == first.delivery
                && next.turn > first.turn
                && view.life(&next.home, next.turn) == life
        });
        let Some(again) = again else { continue };
        if !view.was_retried_between(first.delivery, first.turn, again.turn) {
            let (id, answer) = (first.delivery, first.answer);
            wrong.push(format!("{id} was sent again after {answer:?}, and nobody had said so"));
        }
    }
    wrong
}

pub(super) fn cancelled_is_not_sent(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let after = |delivery, turn| {
        let mut calls = view.books.calls.iter();
        calls.any(|one| {
            one.delivery == delivery
                && one.turn > turn
                && view.books.remains(&one.home, turn)
                // What bounces after it was withdrawn has failed, and may be tried again.
                && !view.was_retried_between(delivery, turn, one.turn)
        })
    };
    let cancelled = view.books.settled.iter().filter(|done| done.what == Settlement::Cancelled);
    for done in cancelled.filter(|done| after(done.delivery, done.turn)) {
        wrong.push(format!("{} left after an operator had withdrawn it", done.delivery));
    }
    for (line, delivery, due_at) in view.sends() {
        let Some(rule) = view.rule_of(line) else { continue };
        let (Some(cancel), Some(trigger)) = (rule.cancel_on, view.message_of(line)) else {
            continue;
        };
        let withdraws = view.remaining().find(|kept| {
            kept.message.event == Some(cancel)
                && kept.turn > trigger.turn
                && kept.accepted < due_at
                && kept.at() >= trigger.at()
                && view.later(&trigger.home, trigger.turn) == view.later(&kept.home, kept.turn)
                && (kept.home == trigger.home
                    || kept.home == view.later(&trigger.home, trigger.turn))
                && was_one(view, &trigger.home, &kept.home, kept.turn)
        });
        if let Some(kept) = withdraws.filter(|kept| after(delivery, kept.turn)) {
            wrong.push(format!("{delivery} left after {} had withdrawn it", kept.message.id));
        }
    }
    wrong
}

/// Whether two names meant the same customer at a turn.
fn was_one(view: &View<'_>, one: &Name, other: &Name, turn: u64) -> bool {
    one == other
        || view
            .books
            .merges
            .iter()
            .any(|(guest, user, merged)| guest == one && user == other && *merged <= turn)
}

pub(super) fn ends_once(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (line, delivery, _) in view.sends() {
        let rows: Vec<_> =
            view.eyes.rows.iter().filter(|row| row.delivery.id == delivery).collect();
        let [row] = rows.as_slice() else {
            wrong.push(format!("{delivery} of {} has {} rows", id_of(line), rows.len()));
            continue;
        };
        if !row.delivery.state.is_closed() {
            wrong.push(format!("{delivery} is {} in the end", row.delivery.state.name()));
        }
        for pair in row.steps.windows(2) {
            let [one, next] = pair else { continue };
            let lives_on = next.state == DeliveryState::Due && view.was_retried(delivery);
            let seen = is_sent(&next.state);
            let may = if one.state.ended_unseen() {
                // What an operator had withdrawn may have left before, and bounce.
                next.state.ended_unseen() || lives_on || seen
            } else if is_sent(&one.state) {
                seen || next.state == DeliveryState::Failed
            } else {
                true
            };
            if !may {
                let (from, to) = (one.state.name(), next.state.name());
                wrong.push(format!("{delivery} was {from} and then {to}"));
            }
        }
    }
    wrong
}

pub(super) fn sent_is_received(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in &view.eyes.rows {
        let id = row.delivery.id;
        if row.delivery.outreach_type == OutreachType::Modal {
            continue;
        }
        let calls = || view.books.calls.iter().filter(|one| one.delivery == id);
        let got = calls().any(|one| one.answer.got_it());
        let said = view
            .books
            .settled
            .iter()
            .any(|done| done.delivery == id && done.what == Settlement::Sent);
        if is_sent(&row.delivery.state) && !got && !said {
            wrong.push(format!("{id} is {}, and nobody got it", row.delivery.state.name()));
        }
        let last = calls().max_by_key(|one| one.turn);
        let accepted = last.is_some_and(|one| {
            one.answer == Answer::Accepts
                && view.books.remains(&one.home, one.turn)
                && !view.was_retried(id)
        });
        let bounced = row.delivery.state == DeliveryState::Failed
            && view
                .books
                .receipts
                .iter()
                .any(|done| done.delivery == id && done.what == ReceiptKind::Bounced);
        if accepted && !is_sent(&row.delivery.state) && !bounced {
            wrong.push(format!("{id} was accepted and is {}", row.delivery.state.name()));
        }
    }
    wrong
}

/// How far a receipt says that a delivery has come.
fn distance(kind: ReceiptKind) -> Option<u8> {
    match kind {
        ReceiptKind::Delivered => Some(1),
        ReceiptKind::Displayed => Some(2),
        ReceiptKind::Dismissed => Some(3),
        ReceiptKind::Clicked => Some(4),
        ReceiptKind::Answered => Some(5),
        ReceiptKind::Bounced | ReceiptKind::Complained | ReceiptKind::Unsubscribed => None,
    }
}

fn came(state: &DeliveryState) -> u8 {
    match state {
        DeliveryState::Delivered => 1,
        DeliveryState::Displayed => 2,
        DeliveryState::Dismissed => 3,
        DeliveryState::Clicked => 4,
        DeliveryState::Answered => 5,
        _ => 0,
    }
}

pub(super) fn receipts_count(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for row in &view.eyes.rows {
        let id = row.delivery.id;
        let begun = row.steps.first().map_or(0, |step| step.at.0);
        let decided = view.sends().filter(|(_, delivery, _)| *delivery == id);
        let owners = decided.map(|(line, _, _)| line.customer).chain([row.customer]);
        let born = owners.map(|owner| view.born(owner)).max().unwrap_or(0);
        let receipts = view.books.receipts.iter().filter(|done| done.delivery == id);
        let receipts = receipts.filter(|done| done.at >= begun && done.turn > born);
        let receipts: Vec<ReceiptKind> = receipts.map(|done| done.what).collect();
        let said = receipts.iter().filter_map(|kind| distance(*kind)).max().unwrap_or(0);
        let came = came(&row.delivery.state);
        // What bounced is failed, unless it was seen; a retry begins anew.
        let bounced = receipts.contains(&ReceiptKind::Bounced) && said < 2;
        let known = view.books.erasures.is_empty() || !receipts.is_empty();
        if came < said && !bounced && known && !view.was_retried(id) {
            let state = row.delivery.state.name();
            wrong.push(format!("{id} is {state} after {receipts:?}"));
        }
    }
    wrong
}

pub(super) fn displayed_once(view: &View<'_>) -> Vec<String> {
    let probes = view.books.probes.iter();
    let wrong = probes.filter_map(|probe| match probe {
        Probe::ShownTwice { delivery } => Some(format!("{delivery} lies in the inbox again")),
        _ => None,
    });
    wrong.collect()
}

pub(super) fn nothing_left_at_rest(view: &View<'_>) -> Vec<String> {
    let left = &view.eyes.left;
    let places = [
        ("deliveries are due", left.due > 0),
        ("something will be due", left.has_next),
        ("commands wait", left.waiting > 0),
        ("time alone has written something", left.wrote),
        ("launches are not over", !left.launches.is_empty()),
    ];
    places.into_iter().filter(|(_, is)| *is).map(|(what, _)| what.to_owned()).collect()
}
