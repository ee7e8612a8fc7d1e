//! A guest turns out to be somebody: events, attributes, claims and queue become theirs.

use super::{Place, enact};
use crate::customer::{Customer, Series, Tally};
use crate::delivery::{Delivery, DeliveryState};
use crate::ids::{CustomerId, DeliveryId, OutreachNo};
use crate::outreach::compiled::Frequency;

/// Take the guest in. The user's own attributes and answers win. Answers with the deliveries
/// that changed their owner.
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
    for (key, allowed) in &guest.consent {
        customer.consent.entry(key.clone()).or_insert(*allowed);
    }
    for (channel, suppressed) in &guest.suppressed {
        customer.suppressed.entry(channel.clone()).or_insert_with(|| suppressed.clone());
    }
    for (key, series) in &guest.series {
        take_series(customer.series.entry(*key).or_default(), series);
    }
    let mut changed = deliveries(place, customer, guest);
    for (no, tally) in &guest.tallies {
        take_tally(place, customer.tallies.entry(*no).or_default(), *no, tally);
    }
    changed.sort_unstable();
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

/// Open deliveries move; where both hold a claim that there may be only once, one stays: the
/// one that was handed over, else the user's.
fn deliveries(place: Place<'_>, customer: &mut Customer, guest: &Customer) -> Vec<DeliveryId> {
    let mut changed = Vec::new();
    for (id, delivery) in &guest.deliveries {
        let mut delivery = delivery.clone();
        if has_claim(place, customer, &delivery) {
            if is_open(&delivery) {
                delivery.state = DeliveryState::Cancelled;
                delivery.changed_at = place.now;
            } else if !delivery.state.ended_unseen() {
                changed.extend(withdraw_own(place, customer, &delivery));
            }
        }
        customer.deliveries.insert(*id, delivery);
        changed.push(*id);
    }
    changed
}

/// What the guest was sent need not be sent to the user as well.
fn withdraw_own(place: Place<'_>, customer: &mut Customer, guests: &Delivery) -> Vec<DeliveryId> {
    let single = is_single(place, guests.outreach);
    let mut withdrawn = Vec::new();
    for own in customer.deliveries.values_mut() {
        let same = own.outreach == guests.outreach && (single || own.key == guests.key);
        if same && is_open(own) {
            own.state = DeliveryState::Cancelled;
            own.changed_at = place.now;
            withdrawn.push(own.id);
        }
    }
    withdrawn
}

fn is_open(delivery: &Delivery) -> bool {
    matches!(delivery.state, DeliveryState::Waiting | DeliveryState::Due)
}

fn take_tally(place: Place<'_>, own: &mut Tally, no: OutreachNo, other: &Tally) {
    // If both claimed the only claim there may be, one stays.
    if !is_single(place, no) || own.granted.is_empty() {
        own.granted.extend_from_slice(&other.granted);
    }
    for (key, at) in &other.keys {
        let both = own.keys.contains_key(key);
        own.keys.entry(*key).or_insert(*at);
        let twice = own.granted.iter().rposition(|granted| granted == at).filter(|_| both);
        if let Some(twice) = twice {
            own.granted.remove(twice);
        }
    }
    own.displayed.extend_from_slice(&other.displayed);
    own.clicked.extend_from_slice(&other.clicked);
    own.answered.extend_from_slice(&other.answered);
    own.dismissed.extend_from_slice(&other.dismissed);
    own.converted.extend_from_slice(&other.converted);
    own.generation = own.generation.max(other.generation);
    own.allowed_again = own.allowed_again.max(other.allowed_again);
    own.held_out = own.held_out.or(other.held_out);
    enact::sort_times(own);
}

/// Whether the user holds the claim of a guest's delivery too.
fn has_claim(place: Place<'_>, customer: &Customer, guests: &Delivery) -> bool {
    let Some(tally) = customer.tallies.get(&guests.outreach) else { return false };
    if is_single(place, guests.outreach) {
        return !tally.granted.is_empty();
    }
    enact::once_key(&guests.key).is_some_and(|key| tally.keys.contains_key(&key))
}

fn is_single(place: Place<'_>, no: OutreachNo) -> bool {
    place
        .project
        .outreaches
        .get(&no)
        .and_then(|line| line.live.as_ref())
        .is_some_and(|live| live.frequency == Frequency::Once)
}
