//! A ruling changes the customer: claims are taken, deliveries begin, move and end.

use super::Place;
use crate::customer::{Customer, Tally};
use crate::decision::{Decision, GateName, Outcome, Ruling, SkipReason, Transition};
use crate::delivery::{Attempts, Delivery, DeliveryState, TriggerRef};
use crate::ids::{self, DeliveryId};
use crate::situation::Happening;
use crate::time::Timestamp;

/// Closed deliveries are kept with the customer for receipts that come late: up to so many.
const CLOSED_KEPT: usize = 32;
/// They are thinned out when so many have come together.
const CLOSED_MOST: usize = 48;

/// Enact a whole ruling, in the order in which its parts were made.
pub(super) fn ruling(
    place: Place<'_>,
    customer: &mut Customer,
    happenings: &[Happening],
    ruling: &Ruling,
) {
    for step in &ruling.transitions {
        transition(place, customer, step);
    }
    for outreach in &ruling.conversions {
        // What one record holds happened at one moment.
        let at = happenings.last().map_or(place.now, |happening| happening.at);
        convert(customer, *outreach, at);
    }
    for (outreach, excluded) in &ruling.exclusions {
        customer.tallies.entry(*outreach).or_default().excluded = *excluded;
    }
    for step in &ruling.decisions {
        decision(place, customer, step);
    }
    for (outreach, wake) in &ruling.wakes {
        match wake {
            Some(wake) => customer.wakes.insert(*outreach, *wake),
            None => customer.wakes.remove(outreach),
        };
    }
}

/// Put an event into the customer's history.
pub(super) fn record(customer: &mut Customer, happening: &Happening) {
    customer.series.entry(happening.key).or_default().insert(happening.occurrence());
}

pub(crate) fn decision(place: Place<'_>, customer: &mut Customer, decision: &Decision) {
    if let TriggerRef::OneOff { launch } = &decision.trigger {
        // Sent or refused: this member of the snapshot is done.
        let tally = customer.tallies.entry(decision.outreach).or_default();
        tally.keys.insert(launch_key(*launch), place.now);
    }
    match &decision.outcome {
        Outcome::Skip(SkipReason::HeldOut) => {
            let tally = customer.tallies.entry(decision.outreach).or_default();
            tally.held_out = tally.held_out.or(Some(place.now));
        }
        Outcome::Skip(_) => {}
        Outcome::Send { delivery, key, due_at, expires_at, waiting } => {
            let Some(outreach) = place.project.published(decision.outreach, decision.version)
            else {
                return;
            };
            let tally = customer.tallies.entry(decision.outreach).or_default();
            if tally.allowed_again == Some(place.now) {
                // Allowed within this very millisecond, and this claim is the one that came after.
                tally.allowed_again = Some(place.now.plus_ms(-1));
            }
            tally.granted.push(place.now);
            if let Some(key) = once_key(key) {
                tally.keys.insert(key, place.now);
            }
            let begun = Delivery {
                id: *delivery,
                outreach: decision.outreach,
                version: decision.version,
                outreach_type: outreach.outreach_type,
                trigger: decision.trigger.clone(),
                key: key.clone(),
                decided_at: place.now,
                due_at: *due_at,
                expires_at: *expires_at,
                state: if *waiting { DeliveryState::Waiting } else { DeliveryState::Due },
                changed_at: place.now,
                attempts: Attempts::default(),
                last_error: None,
                provider_id: None,
            };
            customer.deliveries.insert(*delivery, begun);
        }
    }
}

pub(crate) fn transition(place: Place<'_>, customer: &mut Customer, transition: &Transition) {
    if let Some(delivery) = customer.deliveries.get_mut(&transition.delivery) {
        if let Some(due_at) = transition.due_at {
            delivery.due_at = due_at;
        }
        if let Some(reason) = &transition.reason {
            delivery.last_error = Some(reason.to_string());
        }
    }
    move_to(customer, transition.delivery, transition.state.clone(), place.now);
}

/// A goal counts when it was reached, not when that was reported.
pub(crate) fn convert(customer: &mut Customer, outreach: ids::OutreachNo, at: Timestamp) {
    let converted = &mut customer.tallies.entry(outreach).or_default().converted;
    let place = converted.partition_point(|other| *other <= at);
    converted.insert(place, at);
}

/// The state in which a refusal at the hand-over, or when a delay is over, leaves a delivery.
pub(crate) fn refused_state(reason: &SkipReason) -> DeliveryState {
    match reason.gate() {
        GateName::Reach => DeliveryState::Suppressed,
        GateName::Content => DeliveryState::Failed,
        GateName::Status
        | GateName::Schedule
        | GateName::Trigger
        | GateName::Page
        | GateName::Audience
        | GateName::Frequency
        | GateName::Holdout
        | GateName::Guardrails => DeliveryState::Cancelled,
    }
}

/// Move a delivery on. Where it ends unseen its claim is released, and the next one is another;
/// not so where nobody knows that it is unseen.
pub(crate) fn move_to(
    customer: &mut Customer,
    id: DeliveryId,
    state: DeliveryState,
    now: Timestamp,
) {
    let Some(delivery) = customer.deliveries.get_mut(&id) else { return };
    let releases = state.ended_unseen() && !delivery.state.ended_unseen();
    let was_handed_over = matches!(
        delivery.state,
        DeliveryState::Sent
            | DeliveryState::Delivered
            | DeliveryState::Displayed
            | DeliveryState::Clicked
            | DeliveryState::Answered
            | DeliveryState::Dismissed
    );
    delivery.state = state;
    delivery.changed_at = now;
    if !releases {
        return;
    }
    delivery.attempts.in_doubt |= was_handed_over;
    if delivery.attempts.in_doubt {
        return;
    }
    let (outreach, decided_at, key) =
        (delivery.outreach, delivery.decided_at, delivery.key.clone());
    let tally = customer.tallies.entry(outreach).or_default();
    if let Some(place) = tally.granted.iter().rposition(|at| *at == decided_at) {
        tally.granted.remove(place);
    }
    tally.generation += 1;
    let Some(once) = once_key(&key) else { return };
    tally.keys.remove(&once);
    // One that was seen after it had expired may hold the same key.
    let holder = customer.deliveries.values().find(|other| {
        (other.outreach, &other.key) == (outreach, &key) && !other.state.ended_unseen()
    });
    if let Some(claimed) = holder.map(|other| other.decided_at) {
        customer.tallies.entry(outreach).or_default().keys.insert(once, claimed);
    }
}

/// Take a released claim again: the delivery lives on after all. What failed after it was handed
/// over never gave its claim back.
pub(super) fn take_back(customer: &mut Customer, id: DeliveryId) {
    let Some(delivery) = customer.deliveries.get(&id) else { return };
    if !delivery.state.ended_unseen() {
        return;
    }
    let (outreach, decided_at) = (delivery.outreach, delivery.decided_at);
    let key = once_key(&delivery.key);
    if !gave_back(customer, delivery) {
        return;
    }
    let tally = customer.tallies.entry(outreach).or_default();
    tally.granted.push(decided_at);
    if let Some(key) = key {
        tally.keys.insert(key, decided_at);
    }
    sort_times(tally);
}

/// Whether the claim of a delivery that ended unseen is free; what was handed over kept it.
pub(super) fn gave_back(customer: &Customer, delivery: &Delivery) -> bool {
    if delivery.attempts.in_doubt {
        return false;
    }
    let (outreach, decided_at) = (delivery.outreach, delivery.decided_at);
    let others = customer.deliveries.values().filter(|other| {
        other.id != delivery.id
            && (other.outreach, other.decided_at) == (outreach, decided_at)
            && (!other.state.ended_unseen() || other.attempts.in_doubt)
    });
    let granted = customer.tallies.get(&outreach).map_or(&[][..], |tally| &tally.granted);
    let in_force = granted.iter().filter(|at| **at == decided_at).count();
    in_force <= others.count()
}

/// The key that a delivery released is still held by the claim of another one.
pub(super) fn hold_key(customer: &mut Customer, id: DeliveryId, at: Timestamp) {
    let Some(delivery) = customer.deliveries.get(&id) else { return };
    if let Some(key) = once_key(&delivery.key) {
        customer.tallies.entry(delivery.outreach).or_default().keys.insert(key, at);
    }
}

/// Receipts and merges bring times in any order.
pub(super) fn sort_times(tally: &mut Tally) {
    for times in [
        &mut tally.granted,
        &mut tally.displayed,
        &mut tally.clicked,
        &mut tally.answered,
        &mut tally.dismissed,
        &mut tally.converted,
    ] {
        times.sort_unstable();
    }
}

/// The mark that a member of a snapshot is done.
pub(crate) fn launch_key(launch: u32) -> u128 {
    ids::hash(&[b"launch", &launch.to_be_bytes()])
}

/// A claim per key is marked with a `k`, so that it is told from the id of an event.
pub(super) fn once_key(key: &[u8]) -> Option<u128> {
    key.strip_prefix(b"k")?.try_into().ok().map(u128::from_be_bytes)
}

/// Let go of the oldest closed deliveries; their rows stay in the store.
pub(super) fn forget_old(customer: &mut Customer) {
    if customer.deliveries.len() <= CLOSED_MOST {
        return;
    }
    let mut closed: Vec<(Timestamp, DeliveryId)> = customer
        .deliveries
        .values()
        .filter(|delivery| delivery.state.is_closed())
        .map(|delivery| (delivery.changed_at, delivery.id))
        .collect();
    closed.sort_unstable();
    let surplus = closed.len().saturating_sub(CLOSED_KEPT);
    for (_, id) in closed.into_iter().take(surplus) {
        customer.deliveries.remove(&id);
    }
}
