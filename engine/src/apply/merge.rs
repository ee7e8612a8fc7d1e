//! A guest turns out to be somebody: events, attributes, claims and queue become theirs.

use super::{Place, enact};
use crate::customer::{Customer, Series, Tally};
use crate::decision::in_force;
use crate::delivery::{Delivery, DeliveryState};
use crate::ids::{CustomerId, DeliveryId};
use crate::outreach::compiled::Frequency;
use crate::project::Project;
use crate::time::Timestamp;

/// Take the guest in. The user's own attributes win; of two answers about consent the later one.
/// Answers with the deliveries that changed their owner or their state.
pub(super) fn take_in(
    place: Place<'_>,
    customer: &mut Customer,
    guest: &Customer,
) -> Vec<DeliveryId> {
    names(customer, guest);
    times(customer, guest);
    for (key, attribute) in &guest.attributes {
        customer.attributes.entry(key.clone()).or_insert_with(|| attribute.clone());
    }
    for (key, theirs) in &guest.consent {
        let own = customer.consent.entry(key.clone()).or_insert(*theirs);
        if own.at < theirs.at {
            *own = *theirs;
        }
    }
    for (address, reason) in &guest.suppressed {
        customer.suppressed.entry(address.clone()).or_insert_with(|| reason.clone());
    }
    for (key, series) in &guest.series {
        take_series(customer.series.entry(*key).or_default(), series);
    }
    let twice = claimed_twice(place, customer, guest);
    let mut changed: Vec<DeliveryId> = guest.deliveries.keys().copied().collect();
    for (id, delivery) in &guest.deliveries {
        customer.deliveries.insert(*id, delivery.clone());
    }
    for (no, tally) in &guest.tallies {
        take_tally(customer.tallies.entry(*no).or_default(), tally);
    }
    for (withdrawn, claimed) in twice {
        enact::move_to(customer, withdrawn, DeliveryState::Cancelled, place.now);
        enact::hold_key(customer, withdrawn, claimed);
        changed.push(withdrawn);
    }
    changed.sort_unstable();
    changed.dedup();
    changed
}

fn names(customer: &mut Customer, guest: &Customer) {
    for anonymous_id in &guest.anonymous_ids {
        if !customer.anonymous_ids.contains(anonymous_id) {
            customer.anonymous_ids.push(anonymous_id.clone());
        }
    }
    let known: Vec<CustomerId> = guest.merged.clone();
    for id in known {
        if !customer.merged.contains(&id) {
            customer.merged.push(id);
        }
    }
    if customer.page.is_none() {
        customer.page.clone_from(&guest.page);
    }
}

fn times(customer: &mut Customer, guest: &Customer) {
    customer.first_seen = [customer.first_seen, guest.first_seen].into_iter().flatten().min();
    customer.last_seen = [customer.last_seen, guest.last_seen].into_iter().flatten().max();
    customer.session = match (customer.session, guest.session) {
        (Some(own), Some(other)) => {
            let mut later = if other.latest > own.latest { other } else { own };
            later.count = own.count + other.count;
            Some(later)
        }
        (own, other) => own.or(other),
    };
}

fn take_series(own: &mut Series, other: &Series) {
    own.occurrences.extend_from_slice(&other.occurrences);
    own.occurrences.sort_unstable();
}

/// Where guest and user both hold the only claim there may be, one stays: (the one to withdraw,
/// when the one that stays was taken). What the customer has not seen yet is withdrawn, the guest's
/// first. A claim outlives its delivery, which is let go of some dozens later.
fn claimed_twice(
    place: Place<'_>,
    customer: &Customer,
    guest: &Customer,
) -> Vec<(DeliveryId, Timestamp)> {
    let single = |whose: &Customer| -> Vec<Delivery> {
        let known = whose.deliveries.values();
        known.filter(|one| is_single(place.project, whose, one)).cloned().collect()
    };
    let (owns, others) = (single(customer), single(guest));
    let mut twice = Vec::new();
    for theirs in &others {
        for own in owns.iter().filter(|own| is_same_claim(own, theirs)) {
            if is_open(theirs) {
                twice.push((theirs.id, own.decided_at));
            } else if is_open(own) {
                twice.push((own.id, theirs.decided_at));
            }
        }
    }
    for (ones, rest, whose) in [(&others, &owns, customer), (&owns, &others, guest)] {
        let alone = |one: &&Delivery| !rest.iter().any(|other| is_same_claim(one, other));
        for one in ones.iter().filter(|one| is_open(one)).filter(alone) {
            twice.extend(claimed_at(whose, one).map(|at| (one.id, at)));
        }
    }
    twice
}

/// Whether another delivery has the claim of this one: because this one gave it back, or because
/// this one is held, and came with a guest to somebody who got theirs.
pub(super) fn is_claimed_again(project: &Project, customer: &Customer, id: DeliveryId) -> bool {
    customer.deliveries.get(&id).is_some_and(|own| {
        (own.state.ended_unseen() && are_all_claimed(project, customer, own))
            || customer.deliveries.values().any(|other| {
                other.id != id && is_same_claim(other, own) && is_single(project, customer, other)
            })
    })
}

/// Whether there may be so many, and so many others there are.
fn are_all_claimed(project: &Project, customer: &Customer, given_back: &Delivery) -> bool {
    let outreach = project.published(given_back.outreach, given_back.version);
    let Some(Frequency::AtMost(times)) = outreach.map(|outreach| &outreach.frequency) else {
        return false;
    };
    let others =
        customer.tallies.get(&given_back.outreach).map_or(0, |tally| in_force(tally).len());
    enact::gave_back(customer, given_back) && others as u64 >= u64::from(*times)
}

fn is_same_claim(one: &Delivery, other: &Delivery) -> bool {
    (one.outreach, &one.key) == (other.outreach, &other.key)
}

/// When somebody took the claim of a delivery that is not theirs, and has let go of their own: a
/// claim whose delivery is still known was compared with it already.
fn claimed_at(whose: &Customer, delivery: &Delivery) -> Option<Timestamp> {
    let tally = whose.tallies.get(&delivery.outreach)?;
    let is_known = |at: Timestamp| {
        whose
            .deliveries
            .values()
            .any(|known| (known.outreach, known.decided_at) == (delivery.outreach, at))
    };
    match enact::once_key(&delivery.key) {
        Some(key) => tally.keys.get(&key).copied().filter(|at| !is_known(*at)),
        None => in_force(tally).iter().rev().copied().find(|at| !is_known(*at)),
    }
}

fn is_open(delivery: &Delivery) -> bool {
    matches!(delivery.state, DeliveryState::Waiting | DeliveryState::Due)
}

/// Holds a claim of which there may be only one: `once`, or once per key. What was withdrawn or
/// failed after it may have been handed over holds its own still.
fn is_single(project: &Project, whose: &Customer, delivery: &Delivery) -> bool {
    let outreach = project.published(delivery.outreach, delivery.version);
    let single = outreach.is_some_and(|outreach| {
        matches!(outreach.frequency, Frequency::Once | Frequency::OncePerKey(_))
    });
    single && !(delivery.state.ended_unseen() && enact::gave_back(whose, delivery))
}

fn take_tally(own: &mut Tally, other: &Tally) {
    own.granted.extend_from_slice(&other.granted);
    for (key, at) in &other.keys {
        own.keys.entry(*key).or_insert(*at);
    }
    own.displayed.extend_from_slice(&other.displayed);
    own.clicked.extend_from_slice(&other.clicked);
    own.answered.extend_from_slice(&other.answered);
    own.dismissed.extend_from_slice(&other.dismissed);
    own.converted.extend_from_slice(&other.converted);
    own.generation = own.generation.max(other.generation);
    own.allowed_again = own.allowed_again.max(other.allowed_again);
    own.excluded |= other.excluded;
    own.held_out = own.held_out.or(other.held_out);
    enact::sort_times(own);
}
