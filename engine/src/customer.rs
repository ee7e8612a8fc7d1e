//! ② To whom: everything the engine knows of one customer, computed from their facts and rulings.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::delivery::Delivery;
use crate::ids::{CustomerId, DeliveryId, OutreachNo};
use crate::sorted::Sorted;
use crate::time::{Timestamp, Zone};
use crate::value::Value;

/// One customer or guest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Customer {
    /// The client's own id; `None` for a guest.
    pub user_id: Option<String>,
    /// The browsers and devices they were seen on.
    pub anonymous_ids: Vec<String>,
    /// The guests that became part of them; their older facts lie under these ids.
    pub merged: Vec<CustomerId>,
    /// Set on a guest that became part of another customer: only a signpost is left.
    pub merged_into: Option<CustomerId>,
    /// The first fact.
    pub first_seen: Option<Timestamp>,
    /// The latest activity.
    pub last_seen: Option<Timestamp>,
    /// The present or latest session.
    pub session: Option<Session>,
    /// Standard and custom attributes by canonical key.
    pub attributes: Sorted<Arc<str>, Attribute>,
    /// Explicit answers by channel (`email`) or channel and topic (`email/offers`).
    pub consent: Sorted<String, Consent>,
    /// Addresses that must never be used again: channel and address (`email ann@example.com`) →
    /// the reason. A new address is free.
    pub suppressed: Sorted<String, String>,
    /// Per event name (by its key) when it happened.
    pub series: Sorted<u64, Series>,
    /// Per outreach what became of it.
    pub tallies: Sorted<OutreachNo, Tally>,
    /// Open deliveries, and those closed a short while ago.
    pub deliveries: Sorted<DeliveryId, Delivery>,
    /// Latest address of a page, for page rules in explanations.
    pub page: Option<String>,
    /// Property triggers that the clock alone can make true: outreach → when to look again.
    pub wakes: Sorted<OutreachNo, Wake>,
}

/// When a property trigger is to be looked at again because of the clock alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wake {
    /// When; `None`: the clock cannot change it.
    pub at: Option<Timestamp>,
    /// Whether the condition held at the latest look.
    pub held: bool,
}

/// An attribute and when it last changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attribute {
    /// The value.
    pub value: Value,
    /// When it last changed.
    pub changed: Timestamp,
}

/// A customer's latest answer about a channel or topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Yes or no.
    pub allowed: bool,
    /// When they said so.
    pub at: Timestamp,
}

/// A session of activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its first activity.
    pub started: Timestamp,
    /// Its latest activity.
    pub latest: Timestamp,
    /// How many sessions there were, this one included.
    pub count: u32,
}

/// When an event of one name happened, in order of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Sorted by `at`, then by `position`.
    pub occurrences: Vec<Occurrence>,
}

/// One occurrence of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Occurrence {
    /// When it happened.
    pub at: Timestamp,
    /// Where its record lies in the log.
    pub position: u64,
}

impl Series {
    /// Put an occurrence in its place.
    pub fn insert(&mut self, occurrence: Occurrence) {
        let place = self.occurrences.partition_point(|other| *other <= occurrence);
        self.occurrences.insert(place, occurrence);
    }

    /// The occurrences with `from < at <= to`.
    pub fn within(&self, from: Timestamp, to: Timestamp) -> &[Occurrence] {
        let first = self.occurrences.partition_point(|occurrence| occurrence.at <= from);
        let end = self.occurrences.partition_point(|occurrence| occurrence.at <= to);
        self.occurrences.get(first..end.max(first)).unwrap_or(&[])
    }
}

/// What became of one outreach for one customer. Times are in order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tally {
    /// Claims in force: granted and not released.
    pub granted: Vec<Timestamp>,
    /// Claims in force by key (once per key; launches of a one-off).
    pub keys: Sorted<u128, Timestamp>,
    /// Seen.
    pub displayed: Vec<Timestamp>,
    /// Clicked.
    pub clicked: Vec<Timestamp>,
    /// Answered or completed.
    pub answered: Vec<Timestamp>,
    /// Dismissed.
    pub dismissed: Vec<Timestamp>,
    /// The goal was reached in time.
    pub converted: Vec<Timestamp>,
    /// How often a claim was released or allowed again.
    pub generation: u32,
    /// An operator allowed it again; claims and answers up to this moment no longer count.
    pub allowed_again: Option<Timestamp>,
    /// Already matched when the outreach went live without current customers, or withdrawn by an
    /// event; lifted when the property condition stops holding.
    pub excluded: bool,
    /// First refused as a member of the control group.
    pub held_out: Option<Timestamp>,
}

impl Customer {
    /// The value of an attribute by its canonical key, computed ones included.
    pub fn attribute(&self, key: &str) -> Option<Value> {
        if let Some(attribute) = self.attributes.get(key) {
            return Some(attribute.value.clone());
        }
        let date = |at: Option<Timestamp>| at.map(|at| Value::Text(at.to_rfc3339()));
        match key {
            "user_id" => self.user_id.clone().map(Value::Text),
            "first_seen" => date(self.first_seen),
            "last_seen" => date(self.last_seen),
            "session_count" => self.session.map(|session| Value::Number(f64::from(session.count))),
            "is_guest" => Some(Value::Bool(self.user_id.is_none())),
            _ => None,
        }
    }

    /// A text attribute that is not empty.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.attributes.get(key).map(|attribute| &attribute.value) {
            Some(Value::Text(text)) if !text.trim().is_empty() => Some(text.trim()),
            Some(Value::Text(_) | Value::Number(_) | Value::Bool(_) | Value::List(_)) | None => {
                None
            }
        }
    }

    /// The customer's own time zone, when known and valid.
    pub fn zone(&self) -> Option<Zone> {
        self.text("timezone").and_then(Zone::named)
    }

    /// Bytes on the heap, roughly: what keeping this customer in memory costs beside the struct.
    pub fn heap_bytes(&self) -> usize {
        let names = self.anonymous_ids.iter().map(|name| block(name.len() + 24));
        let attributes = self.attributes.iter().map(|(key, attribute)| {
            let own = if Arc::strong_count(key) > 1 { 0 } else { block(key.len() + 16) };
            own + attribute.value.heap_bytes()
        });
        let series = self.series.values();
        let series = series.map(|series| block(series.occurrences.capacity() * OCCURRENCE));
        let texts = self.consent.keys().chain(self.suppressed.keys()).chain(&self.user_id);
        let reasons = self.suppressed.values().chain(&self.page);
        names.sum::<usize>()
            + block(self.merged.len() * size_of::<CustomerId>())
            + table(&self.attributes)
            + attributes.sum::<usize>()
            + table(&self.series)
            + series.sum::<usize>()
            + table(&self.tallies)
            + self.tallies.values().map(Tally::heap_bytes).sum::<usize>()
            + table(&self.deliveries)
            + self.deliveries.len() * TEXTS_OF_A_DELIVERY
            + table(&self.consent)
            + table(&self.suppressed)
            + table(&self.wakes)
            + texts.chain(reasons).map(|text| block(text.len())).sum::<usize>()
    }

    /// Let keys that nobody shares yet share their memory with equal ones of other customers.
    pub fn share_keys(&mut self, mut shared: impl FnMut(&Arc<str>) -> Arc<str>) {
        self.attributes.share_keys(|key| {
            if Arc::strong_count(key) == 1 {
                *key = shared(key);
            }
        });
    }

    /// Whether the customer is known by a user id.
    pub fn is_guest(&self) -> bool {
        self.user_id.is_none()
    }
}

impl Tally {
    fn heap_bytes(&self) -> usize {
        let (one, other) = (&self.granted, &self.displayed);
        let times = [one, other, &self.clicked, &self.answered, &self.dismissed, &self.converted];
        table(&self.keys) + times.iter().map(|times| block(times.capacity() * 8)).sum::<usize>()
    }
}

const OCCURRENCE: usize = size_of::<Occurrence>();
/// Key, event name, and what a provider says.
const TEXTS_OF_A_DELIVERY: usize = 96;

/// What the allocator takes for so many bytes.
pub(crate) fn block(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { (bytes + 8).next_multiple_of(16).max(32) }
}

fn table<K, V>(map: &Sorted<K, V>) -> usize {
    block(map.capacity() * size_of::<(K, V)>())
}

/// The standard attributes, by canonical key. Everything else is a custom attribute.
pub const STANDARD_ATTRIBUTES: &[&str] = &[
    "user_id",
    "name",
    "first_name",
    "last_name",
    "email",
    "phone",
    "plan",
    "value",
    "sla",
    "title",
    "username",
    "avatar",
    "website",
    "description",
    "birthday",
    "gender",
    "age",
    "company_id",
    "company_name",
    "company_plan",
    "company_size",
    "company_industry",
    "address",
    "city",
    "region",
    "country",
    "postal_code",
    "language",
    "timezone",
    "created_at",
    "first_seen",
    "last_seen",
    "session_count",
    "is_guest",
    "browser",
    "os",
    "device",
    "app_version",
    "referrer",
    "ip",
];

/// The canonical key of an attribute as clients spell it: `firstName` and `first_name` are one
/// standard attribute; a custom key is kept as it is, trimmed.
pub fn canonical_key(key: &str) -> String {
    let key = key.trim();
    let mut snake = String::with_capacity(key.len() + 4);
    for (place, letter) in key.chars().enumerate() {
        if letter.is_uppercase() {
            if place > 0 {
                snake.push('_');
            }
            snake.extend(letter.to_lowercase());
        } else {
            snake.push(letter);
        }
    }
    if snake == "time_zone" {
        "timezone".clone_into(&mut snake);
    }
    if STANDARD_ATTRIBUTES.contains(&snake.as_str()) { snake } else { key.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_half_open() {
        let mut series = Series::default();
        for at in [30, 10, 20] {
            series.insert(Occurrence { at: Timestamp(at), position: 0 });
        }
        assert_eq!(series.within(Timestamp(10), Timestamp(30)).len(), 2);
        assert_eq!(series.within(Timestamp(9), Timestamp(29)).len(), 2);
        assert_eq!(series.within(Timestamp(30), Timestamp(10)).len(), 0);
    }

    #[test]
    fn standard_keys_have_one_spelling() {
        assert_eq!(canonical_key("firstName"), "first_name");
        assert_eq!(canonical_key("timeZone"), "timezone");
        assert_eq!(canonical_key("favouriteColour"), "favouriteColour");
    }
}
