//! What follows from a record besides the customer: index rows, seen ids, the books, timers and
//! due deliveries. The live path and replay share it, so both build the same.

use engine::decision::Outcome;
use engine::delivery::Delivery;
use engine::fact::{Fact, Names};
use engine::ids::{CustomerId, DeliveryId, EventId, ProjectNo};
use store::state::{Keyspace, StateError};

use crate::due::{DueChange, due_at};
use crate::fresh::{Inner, Layers};
use crate::limits::DELIVERY_STEPS;
use crate::locks::write;
use crate::partition::Key;
use crate::query::QueryError;
use crate::record::{CustomerRecord, Entry};
use crate::rows::{self, DeliveryRow, DeliveryStep};
use crate::seen;
use crate::shared::Shared;

/// A record about a customer, and what it left behind.
pub(crate) struct Applied<'a> {
    pub(crate) position: u64,
    pub(crate) record: &'a CustomerRecord,
    /// Deliveries that began or changed, as they stand now.
    pub(crate) changed: &'a [Delivery],
}

/// Note what follows from the records at one position.
pub(crate) fn note(shared: &Shared, all: &[Applied<'_>]) -> Result<Vec<DueChange>, StateError> {
    let mut due = Vec::new();
    {
        let mut inner = shared.layers.write();
        for applied in all {
            index(&mut inner, applied);
            note_deliveries(&shared.layers, &mut inner, applied, &mut due)?;
        }
    }
    {
        let mut books = write(&shared.books);
        for applied in all {
            let record = applied.record;
            let book = books.book(record.project);
            book.count(&record.ruling, record.now);
            match &record.fact {
                Fact::Event(event) => book.catalogue.note_event(event),
                Fact::Attributes { changes, .. } => book.catalogue.note_attributes(changes),
                Fact::Merged { .. }
                | Fact::MergedInto { .. }
                | Fact::Receipt { .. }
                | Fact::Started { .. }
                | Fact::Attempted { .. }
                | Fact::Consent { .. }
                | Fact::Settled { .. }
                | Fact::AllowedAgain { .. }
                | Fact::ClockStruck
                | Fact::WentLive { .. }
                | Fact::Launched { .. }
                | Fact::Erased => {}
            }
        }
    }
    Ok(due)
}

fn index(inner: &mut Inner, applied: &Applied<'_>) {
    let (record, position) = (applied.record, applied.position);
    let fresh = &mut inner.now;
    fresh.timeline.add((record.project, record.customer), position);
    for decision in &record.ruling.decisions {
        fresh.add_decision(record.project, decision.outreach, position);
    }
    if !record.ruling.decisions.is_empty() {
        fresh.add_decided(record.project, position);
    }
    if let Some(id) = seen_id(record) {
        inner.add_seen(seen::name(id), record.now);
    }
}

fn note_deliveries(
    layers: &Layers,
    inner: &mut Inner,
    applied: &Applied<'_>,
    due: &mut Vec<DueChange>,
) -> Result<(), StateError> {
    let record = applied.record;
    let attempted = match &record.fact {
        Fact::Attempted { delivery, .. } => Some(*delivery),
        _ => None,
    };
    for delivery in applied.changed {
        let row = known_row(layers, inner, record, delivery.id)?;
        let is_new = row.is_none();
        let mut row = row.unwrap_or_else(|| DeliveryRow {
            customer: record.customer,
            position: applied.position,
            delivery: delivery.clone(),
            steps: Vec::new(),
        });
        row.customer = record.customer;
        row.delivery.clone_from(delivery);
        if row.steps.len() < DELIVERY_STEPS {
            row.steps.push(DeliveryStep {
                position: applied.position,
                at: record.now,
                state: delivery.state.clone(),
                attempts: delivery.attempts.count,
                error: delivery.last_error.clone(),
            });
        }
        let (project, fresh) = (record.project, &mut inner.now);
        if is_new {
            fresh.add_delivery(project, row.position, delivery.id);
        }
        fresh.deliveries.insert((project, delivery.id), row);
        due.push(DueChange {
            project,
            customer: record.customer,
            delivery: delivery.id,
            due_at: due_at(delivery),
            attempted: attempted == Some(delivery.id),
        });
    }
    // An attempt on a delivery that the customer no longer holds still ends its flight.
    if let Some(delivery) = attempted
        && !applied.changed.iter().any(|changed| changed.id == delivery)
    {
        let (project, customer) = (record.project, record.customer);
        due.push(DueChange { project, customer, delivery, due_at: None, attempted: true });
    }
    Ok(())
}

/// The row of a delivery. The state store is not asked for one that begins with this record.
fn known_row(
    layers: &Layers,
    inner: &Inner,
    record: &CustomerRecord,
    id: DeliveryId,
) -> Result<Option<DeliveryRow>, StateError> {
    if let Some(row) = inner.fresh_delivery(record.project, id) {
        return Ok(Some(row));
    }
    let begins = record.ruling.decisions.iter().any(
        |decision| matches!(&decision.outcome, Outcome::Send { delivery, .. } if *delivery == id),
    );
    if begins { Ok(None) } else { layers.stored_delivery(record.project, id) }
}

/// The id that makes a fact distinct, in the partition of the name its client used: a repetition
/// names the customer as the first time, whatever was merged since.
pub(crate) fn seen_id(record: &CustomerRecord) -> Option<(u8, EventId)> {
    match &record.fact {
        Fact::Event(event) => {
            Some((partition_of(record.project, &event.names, record.customer), event.id))
        }
        Fact::Attributes { id, names, .. } => {
            Some((partition_of(record.project, names, record.customer), *id))
        }
        Fact::Receipt { id, delivery, .. } => Some((receipt_partition(*delivery), *id)),
        _ => None,
    }
}

/// The partition that dedupes what a client sent under these names.
pub(crate) fn partition_of(project: ProjectNo, names: &Names, otherwise: CustomerId) -> u8 {
    nominal(project, names).unwrap_or(otherwise).partition()
}

/// The partition that dedupes the receipts of a delivery, whoever it belongs to by then.
pub(crate) fn receipt_partition(delivery: DeliveryId) -> u8 {
    CustomerId(delivery.0).partition()
}

/// The customer a client means, before merges: the user id wins.
pub(crate) fn nominal(project: ProjectNo, names: &Names) -> Option<CustomerId> {
    match (&names.user_id, &names.anonymous_id) {
        (Some(user_id), _) => Some(CustomerId::of_user(project, user_id)),
        (None, Some(anonymous_id)) => Some(CustomerId::of_guest(project, anonymous_id)),
        (None, None) => None,
    }
}

/// Everything stored about a customer before `end` goes: the timeline and the deliveries. What
/// indexes of others still name is read through the timeline and so is not found any more. Seen ids
/// stay, they say nothing about anybody. The log still holds the bytes until its segments are
/// rewritten.
pub(crate) fn erase(shared: &Shared, key: Key, end: u64) -> Result<(), QueryError> {
    let positions = shared.layers.timeline(key, end, usize::MAX)?;
    let mut deliveries = Vec::new();
    for at in &positions {
        let entry = Entry::decode(&shared.reader.read(*at)?)?;
        let own = entry.customers().iter().filter(|record| record.customer == key.1);
        for decision in own.flat_map(|record| &record.ruling.decisions) {
            if let Outcome::Send { delivery, .. } = &decision.outcome {
                deliveries.push((*at, *delivery));
            }
        }
    }
    let stored = shared.layers.timeline_rows(key, end)?;
    let mut inner = shared.layers.write();
    let fresh = &mut inner.now;
    fresh.timeline.remove(key);
    for (at, delivery) in deliveries {
        fresh.remove_delivery(key.0, at, delivery);
        let delivery_key = rows::delivery_key(key.0, delivery);
        fresh.gone.push((Keyspace::Deliveries, delivery_key.to_vec()));
    }
    fresh.gone.extend(stored.into_iter().map(|key| (Keyspace::Timeline, key)));
    fresh.erased.insert(key, end);
    Ok(())
}
