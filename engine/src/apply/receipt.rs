//! What comes back: receipts, the ends of attempts, and what an operator says.
//!
//! Each moves the delivery on, counts in the outreach's tally, and is an event of the customer.

use std::cell::OnceCell;

use super::{Absorbed, Place, absorb, derived, enact, merge};
use crate::customer::{Consent, Customer};
use crate::decision::reach_address;
use crate::delivery::{Delivery, DeliveryState};
use crate::fact::{AttemptOutcome, ReceiptKind, Settlement, event_key};
use crate::ids::{self, DeliveryId, EventId, OutreachNo};
use crate::outreach::content::{Content, OutreachType};
use crate::project::Project;
use crate::situation::Happening;
use crate::time::Timestamp;

pub(super) fn absorb(
    place: Place<'_>,
    customer: &mut Customer,
    (delivery, outreach): (DeliveryId, OutreachNo),
    (kind, at, id): (ReceiptKind, Timestamp, EventId),
    detail: &str,
) -> Absorbed {
    let Some(content) = content_of(place, customer, (delivery, outreach)) else {
        return Absorbed::default();
    };
    let outreach_type = content.outreach_type();
    let of_mail =
        matches!(kind, ReceiptKind::Bounced | ReceiptKind::Complained | ReceiptKind::Unsubscribed);
    if of_mail && outreach_type.is_in_app() {
        // What is shown in the browser does not bounce: it would take a claim back that nobody saw.
        return Absorbed::default();
    }
    let hops = customer.deliveries.get(&delivery).map_or(1, Delivery::next_hop);
    let already_seen = kind == ReceiptKind::Displayed
        && customer.deliveries.get(&delivery).is_some_and(|known| rank(&known.state) >= 2);
    if already_seen {
        // A second tab, or a second opening: seen once is seen.
        return Absorbed::default();
    }
    let shows =
        matches!(kind, ReceiptKind::Clicked | ReceiptKind::Dismissed | ReceiptKind::Answered)
            && customer.deliveries.get(&delivery).is_some_and(|known| rank(&known.state) < 2);
    let tally = customer.tallies.entry(outreach).or_default();
    if shows {
        // Whoever clicked has seen it, also when that receipt is late or lost.
        tally.displayed.push(at);
    }
    match kind {
        ReceiptKind::Displayed => tally.displayed.push(at),
        ReceiptKind::Clicked => tally.clicked.push(at),
        ReceiptKind::Dismissed => tally.dismissed.push(at),
        ReceiptKind::Answered => tally.answered.push(at),
        ReceiptKind::Delivered
        | ReceiptKind::Bounced
        | ReceiptKind::Complained
        | ReceiptKind::Unsubscribed => {}
    }
    enact::sort_times(tally);
    match kind {
        ReceiptKind::Displayed => advance(customer, delivery, DeliveryState::Displayed, place.now),
        ReceiptKind::Clicked => advance(customer, delivery, DeliveryState::Clicked, place.now),
        ReceiptKind::Dismissed => advance(customer, delivery, DeliveryState::Dismissed, place.now),
        ReceiptKind::Answered => advance(customer, delivery, DeliveryState::Answered, place.now),
        ReceiptKind::Delivered => advance(customer, delivery, DeliveryState::Delivered, place.now),
        ReceiptKind::Bounced => {
            suppress(customer, outreach_type, "bounced");
            bounce(customer, delivery, place.now);
        }
        ReceiptKind::Complained => suppress(customer, outreach_type, "complained"),
        ReceiptKind::Unsubscribed => {
            let topic = match content {
                Content::Email { topic, .. } => topic.as_str(),
                _ => "",
            };
            let key = absorb::consent_key(outreach_type.name(), topic);
            customer.consent.insert(key, Consent { allowed: false, at: place.now });
        }
    }
    let name = derived::receipt_name(kind, outreach_type);
    let properties = derived::properties(place.project, outreach, delivery, detail);
    let happening = happening(place, name, (id, at, hops), outreach, properties.to_string());
    enact::record(customer, &happening);
    Absorbed { happenings: vec![happening], call: None, changed: vec![delivery] }
}

/// A bounce proves that it was handed over, and what was handed over keeps its claim.
fn bounce(customer: &mut Customer, delivery: DeliveryId, now: Timestamp) {
    let state = customer.deliveries.get(&delivery).map(|known| known.state.clone());
    if matches!(state, Some(DeliveryState::Attempting | DeliveryState::Held)) {
        enact::move_to(customer, delivery, DeliveryState::Sent, now);
    }
    // What was seen was seen, whatever the server says afterwards.
    if customer.deliveries.get(&delivery).is_some_and(|known| rank(&known.state) < 2) {
        enact::move_to(customer, delivery, DeliveryState::Failed, now);
    }
}

pub(super) fn absorb_attempt(
    place: Place<'_>,
    customer: &mut Customer,
    id: DeliveryId,
    outcome: &AttemptOutcome,
) -> Absorbed {
    let now = place.now;
    let Some(delivery) = customer.deliveries.get_mut(&id) else { return Absorbed::default() };
    let open = matches!(delivery.state, DeliveryState::Due | DeliveryState::Attempting);
    if !open {
        // Settled or seen meanwhile: the end of an old attempt says nothing new.
        return Absorbed::default();
    }
    let (outreach, outreach_type, hops) =
        (delivery.outreach, delivery.outreach_type, delivery.next_hop());
    if !matches!(outcome, AttemptOutcome::Refused { .. } | AttemptOutcome::NotNow { .. }) {
        delivery.attempts.count += 1;
    }
    let state = match outcome {
        AttemptOutcome::Accepted { provider_id } => {
            delivery.provider_id = Some(provider_id.clone());
            DeliveryState::Sent
        }
        AttemptOutcome::Retry { reason, at } => {
            delivery.last_error = Some(reason.clone());
            delivery.due_at = *at;
            DeliveryState::Due
        }
        AttemptOutcome::RetryInDoubt { reason, at } => {
            delivery.last_error = Some(reason.clone());
            delivery.attempts.in_doubt = true;
            delivery.due_at = *at;
            DeliveryState::Due
        }
        AttemptOutcome::Rejected { reason } | AttemptOutcome::AddressGone { reason } => {
            delivery.last_error = Some(reason.clone());
            // An earlier attempt may have arrived: the operator is asked, and nothing is sent anew.
            if delivery.attempts.in_doubt { DeliveryState::Held } else { DeliveryState::Failed }
        }
        AttemptOutcome::Unknown { reason } => {
            delivery.last_error = Some(reason.clone());
            DeliveryState::Held
        }
        AttemptOutcome::Refused { reason } => enact::refused_state(reason),
        AttemptOutcome::NotNow { at } => {
            delivery.due_at = *at;
            DeliveryState::Due
        }
    };
    let held = state == DeliveryState::Held;
    enact::move_to(customer, id, state, now);
    if matches!(outcome, AttemptOutcome::AddressGone { .. }) {
        suppress(customer, outreach_type, "gone");
    }
    let mut absorbed = Absorbed { changed: vec![id], ..Absorbed::default() };
    if let Some(name) = derived::attempt_name(outcome).filter(|_| !held) {
        let properties = derived::properties(place.project, outreach, id, "{}");
        let event =
            EventId(ids::hash(&[b"attempt", &id.to_bytes(), &place.position.to_be_bytes()]));
        let happening =
            happening(place, name, (event, now, hops), outreach, properties.to_string());
        enact::record(customer, &happening);
        absorbed.happenings.push(happening);
    }
    absorbed
}

pub(super) fn settle(
    place: Place<'_>,
    customer: &mut Customer,
    id: DeliveryId,
    by: Settlement,
) -> Vec<DeliveryId> {
    if settles(place.project, customer, id, by).is_err() {
        return Vec::new();
    }
    let keeps_claim =
        customer.deliveries.get(&id).is_some_and(|delivery| !enact::gave_back(customer, delivery));
    let Some(delivery) = customer.deliveries.get_mut(&id) else { return Vec::new() };
    match by {
        Settlement::Retry => {
            delivery.due_at = place.now;
            delivery.expires_at = None;
            // What may have been handed over before keeps its claim, however this time ends.
            delivery.attempts.in_doubt |= delivery.state == DeliveryState::Held || keeps_claim;
            enact::take_back(customer, id);
            enact::move_to(customer, id, DeliveryState::Due, place.now);
        }
        Settlement::Sent => enact::move_to(customer, id, DeliveryState::Sent, place.now),
        Settlement::Cancelled if delivery.state == DeliveryState::Held => {
            // It may have been handed over, so the claim is not given back.
            delivery.state = DeliveryState::Cancelled;
            delivery.changed_at = place.now;
        }
        Settlement::Cancelled => {
            enact::move_to(customer, id, DeliveryState::Cancelled, place.now);
        }
    }
    vec![id]
}

/// Whether what an operator says can be done with a delivery as it stands.
///
/// # Errors
/// Why not, in words.
pub fn settles(
    project: &Project,
    customer: &Customer,
    id: DeliveryId,
    by: Settlement,
) -> Result<(), String> {
    let Some(delivery) = customer.deliveries.get(&id) else {
        return Err(format!("the delivery {id} ended long ago and cannot be changed any more"));
    };
    let (can, what) = match by {
        Settlement::Retry => {
            (matches!(delivery.state, DeliveryState::Failed | DeliveryState::Held), "tried again")
        }
        Settlement::Sent => (
            matches!(delivery.state, DeliveryState::Held | DeliveryState::Attempting),
            "settled as sent",
        ),
        Settlement::Cancelled => (
            matches!(
                delivery.state,
                DeliveryState::Waiting | DeliveryState::Due | DeliveryState::Held
            ),
            "cancelled",
        ),
    };
    if !can {
        let state = delivery.state.name();
        return Err(format!("the delivery {id} is {state} and cannot be {what}"));
    }
    if by == Settlement::Retry && merge::is_claimed_again(project, customer, id) {
        return Err(format!(
            "another delivery of the outreach has the claim of {id}; trying it again would send \
             twice"
        ));
    }
    Ok(())
}

fn happening(
    place: Place<'_>,
    name: &str,
    (id, at, hops): (EventId, Timestamp, u8),
    outreach: OutreachNo,
    properties: String,
) -> Happening {
    Happening {
        id,
        name: name.to_owned(),
        key: event_key(name),
        at,
        position: place.position,
        properties,
        silent: hops >= 8,
        hops,
        caused_by: Some(outreach),
        parsed: OnceCell::new(),
    }
}

/// What was sent: the content of the version that sent it. Of a delivery that was let go of only
/// the outreach is known, and its latest version stands in.
fn content_of<'a>(
    place: Place<'a>,
    customer: &Customer,
    (delivery, outreach): (DeliveryId, OutreachNo),
) -> Option<&'a Content> {
    let sent = customer.deliveries.get(&delivery);
    let version = sent.and_then(|sent| place.project.published(outreach, sent.version));
    let line = place.project.outreaches.get(&outreach)?;
    match version {
        Some(version) => Some(&version.definition.content),
        None => line.versions.last().map(|version| &version.definition.content),
    }
}

fn suppress(customer: &mut Customer, outreach_type: OutreachType, reason: &str) {
    if let Some(address) = reach_address(outreach_type, customer) {
        let key = format!("{} {address}", outreach_type.name());
        customer.suppressed.insert(key, reason.to_owned());
    }
}

/// How far a delivery has come; receipts arrive in any order and never lead back.
fn rank(state: &DeliveryState) -> u8 {
    match state {
        DeliveryState::Delivered => 1,
        DeliveryState::Displayed => 2,
        DeliveryState::Dismissed => 3,
        DeliveryState::Clicked => 4,
        DeliveryState::Answered => 5,
        DeliveryState::Waiting
        | DeliveryState::Due
        | DeliveryState::Attempting
        | DeliveryState::Held
        | DeliveryState::Sent
        | DeliveryState::Failed
        | DeliveryState::Expired
        | DeliveryState::Suppressed
        | DeliveryState::Cancelled => 0,
    }
}

fn advance(customer: &mut Customer, id: DeliveryId, state: DeliveryState, now: Timestamp) {
    let Some(delivery) = customer.deliveries.get(&id) else { return };
    if rank(&state) <= rank(&delivery.state) {
        return;
    }
    if delivery.state.ended_unseen() {
        // It was seen after all (a browser that was offline): the claim is used up.
        enact::take_back(customer, id);
    }
    enact::move_to(customer, id, state, now);
}
