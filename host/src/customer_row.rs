//! The row of a customer in the state store: written at checkpoints, read when somebody is asked
//! for who is not in memory, so both are short and quick.
//!
//! Times and positions stand as distances, whole numbers are short, texts are not copied twice, and
//! the keys of attributes come out of one pool: a million customers have the same twenty.

use std::collections::HashSet;
use std::sync::{Arc, RwLock};

use engine::customer::{Attribute, Consent, Customer, Occurrence, Series, Session, Tally, Wake};
use engine::delivery::Delivery;
use engine::ids::{CustomerId, DeliveryId, OutreachNo};
use engine::sorted::Sorted;
use engine::time::Timestamp;
use engine::value::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use store::state::{Keyspace, StateError};

use crate::limits::POOLED_KEYS;
use crate::locks;
use crate::rows;

/// Keys of attributes, each once in memory.
#[derive(Default)]
pub(crate) struct Pool(RwLock<HashSet<Arc<str>>>);

impl Pool {
    /// A key that shares its memory with all equal ones.
    pub(crate) fn share(&self, key: &str) -> Arc<str> {
        if let Some(known) = locks::read(&self.0).get(key) {
            return Arc::clone(known);
        }
        let mut keys = locks::write(&self.0);
        if let Some(known) = keys.get(key) {
            return Arc::clone(known);
        }
        let own: Arc<str> = key.into();
        // Clients may make up keys for ever.
        if keys.len() < POOLED_KEYS {
            keys.insert(Arc::clone(&own));
        }
        own
    }
}

/// A customer as a row.
pub(crate) fn write(customer: &Customer) -> Vec<u8> {
    let base = customer.first_seen.unwrap_or_default();
    let mut latest = base;
    let mut attributes = Vec::with_capacity(customer.attributes.len());
    for (key, attribute) in &customer.attributes {
        let changed = attribute.changed.0.wrapping_sub(latest.0);
        latest = attribute.changed;
        attributes.push((&**key, short(&attribute.value), changed));
    }
    let series = customer.series.iter();
    let series = series.map(|(key, series)| (key.to_be_bytes(), Times { base, series }));
    rows::row(&Written {
        user_id: customer.user_id.as_deref(),
        seen: (customer.first_seen, customer.last_seen, customer.session),
        attributes,
        series: series.collect(),
        anonymous_ids: &customer.anonymous_ids,
        merged: &customer.merged,
        merged_into: customer.merged_into,
        consent: &customer.consent,
        suppressed: &customer.suppressed,
        tallies: &customer.tallies,
        deliveries: &customer.deliveries,
        page: customer.page.as_deref(),
        wakes: &customer.wakes,
    })
}

/// A row as a customer.
pub(crate) fn read(bytes: &[u8], pool: &Pool) -> Result<Customer, StateError> {
    let bad = || StateError::BadRow { keyspace: Keyspace::Customers.name() };
    let row: Read<'_> = rows::unrow(bytes).ok_or_else(bad)?;
    let (first_seen, last_seen, session) = row.seen;
    let base = first_seen.unwrap_or_default();
    let mut latest = base.0;
    let mut attributes = Sorted::with_capacity(row.attributes.len());
    for (key, value, changed) in row.attributes {
        latest = latest.wrapping_add(changed);
        let attribute = Attribute { value: long(value), changed: Timestamp(latest) };
        attributes.insert(pool.share(key), attribute);
    }
    let mut series = Sorted::with_capacity(row.series.len());
    for (key, distances) in row.series {
        series.insert(u64::from_be_bytes(key), distances.from(base));
    }
    Ok(Customer {
        user_id: row.user_id.map(str::to_owned),
        anonymous_ids: row.anonymous_ids,
        merged: row.merged,
        merged_into: row.merged_into,
        first_seen,
        last_seen,
        session,
        attributes,
        consent: row.consent,
        suppressed: row.suppressed,
        series,
        tallies: row.tallies,
        deliveries: row.deliveries,
        page: row.page,
        wakes: row.wakes,
    })
}

type Seen = (Option<Timestamp>, Option<Timestamp>, Option<Session>);

#[derive(Serialize)]
struct Written<'a> {
    user_id: Option<&'a str>,
    seen: Seen,
    attributes: Vec<(&'a str, Short<'a>, i64)>,
    series: Vec<([u8; 8], Times<'a>)>,
    anonymous_ids: &'a [String],
    merged: &'a [CustomerId],
    merged_into: Option<CustomerId>,
    consent: &'a Sorted<String, Consent>,
    suppressed: &'a Sorted<String, String>,
    tallies: &'a Sorted<OutreachNo, Tally>,
    deliveries: &'a Sorted<DeliveryId, Delivery>,
    page: Option<&'a str>,
    wakes: &'a Sorted<OutreachNo, Wake>,
}

/// The same, read.
#[derive(Deserialize)]
struct Read<'a> {
    #[serde(borrow)]
    user_id: Option<&'a str>,
    seen: Seen,
    #[serde(borrow)]
    attributes: Vec<(&'a str, Short<'a>, i64)>,
    series: Vec<([u8; 8], Distances)>,
    anonymous_ids: Vec<String>,
    merged: Vec<CustomerId>,
    merged_into: Option<CustomerId>,
    consent: Sorted<String, Consent>,
    suppressed: Sorted<String, String>,
    tallies: Sorted<OutreachNo, Tally>,
    deliveries: Sorted<DeliveryId, Delivery>,
    page: Option<String>,
    wakes: Sorted<OutreachNo, Wake>,
}

/// A value.
#[derive(Serialize, Deserialize)]
enum Short<'a> {
    Text(&'a str),
    Number(f64),
    Whole(i64),
    Bool(bool),
    List(Vec<Value>),
}

fn short(value: &Value) -> Short<'_> {
    match value {
        Value::Text(text) => Short::Text(text),
        Value::Number(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "compared with what it was")]
            let whole = *number as i64;
            #[expect(clippy::cast_precision_loss, reason = "compared with what it was")]
            let same = (whole as f64).to_bits() == number.to_bits();
            if same { Short::Whole(whole) } else { Short::Number(*number) }
        }
        Value::Bool(value) => Short::Bool(*value),
        Value::List(items) => Short::List(items.clone()),
    }
}

fn long(value: Short<'_>) -> Value {
    match value {
        Short::Text(text) => Value::Text(text.to_owned()),
        Short::Number(number) => Value::Number(number),
        #[expect(clippy::cast_precision_loss, reason = "it came from a number")]
        Short::Whole(whole) => Value::Number(whole as f64),
        Short::Bool(value) => Value::Bool(value),
        Short::List(items) => Value::List(items),
    }
}

/// Occurrences, written as distances in time and in the log from one to the next.
struct Times<'a> {
    base: Timestamp,
    series: &'a Series,
}

impl Serialize for Times<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (mut at, mut position) = (self.base.0, 0);
        serializer.collect_seq(self.series.occurrences.iter().map(|occurrence| {
            let later = occurrence.at.0.wrapping_sub(at);
            let beyond = occurrence.position.wrapping_sub(position).cast_signed();
            (at, position) = (occurrence.at.0, occurrence.position);
            (later, beyond)
        }))
    }
}

/// Occurrences as they were read: still the distances.
struct Distances(Vec<Occurrence>);

impl<'de> Deserialize<'de> for Distances {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Distances, D::Error> {
        // A pair is laid out as an occurrence is, so these become the occurrences in place.
        let pairs = Vec::<(i64, i64)>::deserialize(deserializer)?;
        let occurrence = |(at, position): (i64, i64)| Occurrence {
            at: Timestamp(at),
            position: position.cast_unsigned(),
        };
        Ok(Distances(pairs.into_iter().map(occurrence).collect()))
    }
}

impl Distances {
    fn from(mut self, base: Timestamp) -> Series {
        let (mut at, mut position) = (base.0, 0_u64);
        for occurrence in &mut self.0 {
            at = at.wrapping_add(occurrence.at.0);
            position = position.wrapping_add(occurrence.position);
            *occurrence = Occurrence { at: Timestamp(at), position };
        }
        Series { occurrences: self.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every field, and the awkward values.
    fn full() -> Customer {
        let mut customer = Customer {
            user_id: Some("mara".to_owned()),
            anonymous_ids: vec!["g1".to_owned(), "g2".to_owned()],
            merged: vec![CustomerId(7)],
            merged_into: Some(CustomerId(u128::MAX)),
            first_seen: Some(Timestamp(1_795_348_800_000)),
            last_seen: Some(Timestamp(-5)),
            session: Some(Session { started: Timestamp(1), latest: Timestamp(2), count: 3 }),
            page: Some("/".to_owned()),
            ..Customer::default()
        };
        let values = [
            Value::Text("Mára".to_owned()),
            Value::Number(-0.0),
            Value::Number(0.0),
            Value::Number(-7.0),
            Value::Number(1e300),
            Value::Number(0.1),
            Value::Bool(true),
            Value::List(vec![Value::Number(1.5), Value::Text("x".to_owned())]),
        ];
        for (place, value) in (0_i64..).zip(values) {
            let changed = Timestamp(if place == 3 { i64::MIN } else { place * 1_000 });
            customer.attributes.insert(format!("key{place}").into(), Attribute { value, changed });
        }
        for key in [1, u64::MAX] {
            let series = customer.series.entry(key).or_default();
            for (at, position) in [(i64::MAX, 3), (5, u64::MAX), (5, 9), (-9, 4)] {
                series.insert(Occurrence { at: Timestamp(at), position });
            }
        }
        customer.consent.insert("email".into(), Consent { allowed: true, at: Timestamp(4) });
        customer.suppressed.insert("email a@b".into(), "gone".into());
        customer.tallies.insert(OutreachNo(1), Tally { generation: 2, ..Tally::default() });
        customer.wakes.insert(OutreachNo(2), Wake { at: None, held: true });
        customer
    }

    #[test]
    fn a_row_reads_what_it_wrote() {
        let pool = Pool::default();
        for customer in [Customer::default(), full()] {
            let row = write(&customer);
            let back = read(&row, &pool).unwrap();
            assert_eq!(back, customer);
            assert_eq!(format!("{back:?}"), format!("{customer:?}"), "the sign of nothing too");
            assert!(read(&row[..row.len() - 1], &pool).is_err());
        }
    }

    #[test]
    fn equal_keys_are_one() {
        let pool = Pool::default();
        let row = write(&full());
        let (one, other) = (read(&row, &pool).unwrap(), read(&row, &pool).unwrap());
        for (one, other) in one.attributes.keys().zip(other.attributes.keys()) {
            assert!(Arc::ptr_eq(one, other));
        }
    }
}
