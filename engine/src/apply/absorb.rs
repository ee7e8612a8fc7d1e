//! A fact changes the customer: what happened, before anything is judged.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::{Absorbed, Call, Place, derived, enact, merge, receipt};
use crate::customer::{Attribute, Consent, Customer, Session};
use crate::delivery::DeliveryState;
use crate::fact::{Event, Fact, Names, event_key};
use crate::situation::Happening;
use crate::time::Timestamp;
use crate::value::Value;

/// Events caused by deliveries that were themselves caused by deliveries … end here, so that two
/// outreaches that trigger each other do not run for ever.
const MOST_HOPS: u8 = 8;

pub(super) fn absorb(place: Place<'_>, customer: &mut Customer, fact: &Fact) -> Absorbed {
    match fact {
        Fact::Event(event) => absorb_event(place, customer, event),
        Fact::Attributes { changes, names, historical, .. } => {
            meet(customer, names, place.now);
            write(customer, changes, place.now);
            let call = Some(if *historical { Call::Stored } else { Call::Write });
            Absorbed { call, ..Absorbed::default() }
        }
        Fact::Merged { guest, names } => {
            meet(customer, names, place.now);
            let changed = merge::take_in(place, customer, guest);
            Absorbed { call: Some(Call::Write), changed, ..Absorbed::default() }
        }
        Fact::MergedInto { customer: into } => {
            *customer = Customer { merged_into: Some(*into), ..Customer::default() };
            Absorbed::default()
        }
        Fact::Receipt { delivery, outreach, kind, at, detail, id } => {
            receipt::absorb(place, customer, (*delivery, *outreach), (*kind, *at, *id), detail)
        }
        Fact::Started { delivery } => {
            let state = customer.deliveries.get(delivery).map(|known| &known.state);
            if state != Some(&DeliveryState::Due) {
                // Withdrawn or settled meanwhile; a claim that was given back stays so.
                return Absorbed::default();
            }
            enact::move_to(customer, *delivery, DeliveryState::Attempting, place.now);
            Absorbed { changed: vec![*delivery], ..Absorbed::default() }
        }
        Fact::Attempted { delivery, outcome, outreach: _ } => {
            receipt::absorb_attempt(place, customer, *delivery, outcome)
        }
        Fact::Consent { channel, topic, allowed } => {
            let consent = Consent { allowed: *allowed, at: place.now };
            customer.consent.insert(consent_key(channel, topic), consent);
            let call = Some(Call::Seen { silent: true });
            Absorbed { call, ..Absorbed::default() }
        }
        Fact::Settled { delivery, by } => {
            let changed = receipt::settle(place, customer, *delivery, *by);
            Absorbed { changed, ..Absorbed::default() }
        }
        Fact::AllowedAgain { outreach } => {
            let tally = customer.tallies.entry(*outreach).or_default();
            tally.allowed_again = Some(place.now);
            tally.keys.clear();
            tally.generation += 1;
            Absorbed { call: Some(Call::Stored), ..Absorbed::default() }
        }
        Fact::ClockStruck => {
            let changed = expire(customer, place.now);
            Absorbed { call: Some(Call::Clock), changed, ..Absorbed::default() }
        }
        Fact::WentLive { outreach } => {
            Absorbed { call: Some(Call::WentLive(*outreach)), ..Absorbed::default() }
        }
        Fact::Launched { outreach, launch } => {
            Absorbed { call: Some(Call::Launched(*outreach, *launch)), ..Absorbed::default() }
        }
        Fact::Erased => {
            *customer = Customer::default();
            Absorbed::default()
        }
    }
}

/// The key under which consent is kept: the channel, or channel and topic.
pub(super) fn consent_key(channel: &str, topic: &str) -> String {
    if topic.is_empty() { channel.to_owned() } else { format!("{channel}/{topic}") }
}

fn absorb_event(place: Place<'_>, customer: &mut Customer, event: &Event) -> Absorbed {
    meet(customer, &event.names, event.at.min(place.now));
    if event.page.is_some() {
        customer.page.clone_from(&event.page);
    }
    let settings = &place.project.settings;
    let late = event.at.plus_ms(i64::from(settings.late_after_hours) * 3_600_000) < place.now;
    let silent = event.historical || late || event.hops >= MOST_HOPS;
    let happening = Happening {
        id: event.id,
        name: event.name.clone(),
        key: event_key(&event.name),
        at: event.at,
        position: place.position,
        properties: event.properties.clone(),
        silent,
        hops: event.hops,
        caused_by: None,
        parsed: OnceCell::new(),
    };
    let call = Some(Call::Seen { silent });
    let mut absorbed = Absorbed { call, ..Absorbed::default() };
    if !event.historical {
        let says_so = happening.key == *derived::SESSION_STARTED_KEY;
        let begins = is_active(customer, event.at, settings.session_timeout_minutes, says_so);
        if begins && !says_so {
            absorbed.happenings.push(derived::session_started(&happening));
        }
    }
    absorbed.happenings.push(happening);
    for happening in &absorbed.happenings {
        enact::record(customer, happening);
    }
    absorbed
}

/// Note an activity; true when a session begins with it.
fn is_active(customer: &mut Customer, at: Timestamp, timeout_minutes: u32, says_so: bool) -> bool {
    customer.last_seen = Some(customer.last_seen.map_or(at, |seen| seen.max(at)));
    let silence = i64::from(timeout_minutes) * 60_000;
    match &mut customer.session {
        Some(session) if !says_so && at < session.latest.plus_ms(silence) => {
            session.latest = session.latest.max(at);
            false
        }
        session => {
            let count = session.map_or(0, |session| session.count) + 1;
            *session = Some(Session { started: at, latest: at, count });
            true
        }
    }
}

/// Learn the client's names for a customer.
fn meet(customer: &mut Customer, names: &Names, at: Timestamp) {
    customer.first_seen = Some(customer.first_seen.map_or(at, |seen| seen.min(at)));
    if customer.user_id.is_none() {
        customer.user_id.clone_from(&names.user_id);
    }
    if let Some(anonymous_id) = &names.anonymous_id
        && !customer.anonymous_ids.contains(anonymous_id)
    {
        customer.anonymous_ids.push(anonymous_id.clone());
    }
}

fn write(customer: &mut Customer, changes: &BTreeMap<String, Option<Value>>, now: Timestamp) {
    for (key, value) in changes {
        match value {
            None => {
                customer.attributes.remove(key.as_str());
            }
            Some(value) => match customer.attributes.get(key.as_str()) {
                Some(known) if known.value == *value => {}
                Some(_) | None => {
                    let attribute = Attribute { value: value.clone(), changed: now };
                    customer.attributes.insert(key.as_str().into(), attribute);
                }
            },
        }
    }
}

/// What waited too long ends unseen, and its claim with it.
fn expire(customer: &mut Customer, now: Timestamp) -> Vec<crate::ids::DeliveryId> {
    let late: Vec<_> = customer
        .deliveries
        .values()
        .filter(|delivery| {
            matches!(delivery.state, DeliveryState::Waiting | DeliveryState::Due)
                && delivery.expires_at.is_some_and(|at| at <= now)
        })
        .map(|delivery| delivery.id)
        .collect();
    for id in &late {
        enact::move_to(customer, *id, DeliveryState::Expired, now);
    }
    late
}
