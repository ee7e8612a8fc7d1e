//! Rows that no checkpoint has written yet, in two layers: what came after the latest cut, and
//! what the running checkpoint is writing. Readers look through both, then into the state store.
//!
//! Typed, because a key of bytes for each event would cost an allocation for each event. Positions
//! only grow, so whatever is in their order is a list that is pushed to, and "newest first" is one
//! layer after the other.

use std::collections::HashSet;
use std::sync::{Arc, RwLock, RwLockWriteGuard};

use engine::ids::{DeliveryId, OutreachNo, ProjectNo};
use engine::time::Timestamp;
use store::state::{Batch, Keyspace, Order, State, StateError};

use crate::limits::{POSITIONS_PER_ROW, SEEN_IDS};
use crate::locks::{read, write};
use crate::partition::Key;
use crate::rows::{self, DeliveryRow};
use crate::seen::{Seen, SeenCut};
use crate::spread::SpreadMap;
use crate::trails::Trails;

/// Rows since a cut.
#[derive(Default)]
pub(crate) struct Fresh {
    pub(crate) timeline: Trails,
    /// Positions of records with decisions on an outreach, and with any in a project; rising.
    decisions: SpreadMap<(ProjectNo, OutreachNo), Vec<u64>>,
    decided: SpreadMap<ProjectNo, Vec<u64>>,
    pub(crate) deliveries: SpreadMap<(ProjectNo, DeliveryId), DeliveryRow>,
    /// Where deliveries were decided; rising.
    delivery_order: SpreadMap<ProjectNo, Vec<(u64, DeliveryId)>>,
    seen: SeenCut,
    pub(crate) changes: Vec<(u64, Vec<u8>)>,
    /// Customers erased at this position; what lies before it is hidden until it is deleted.
    pub(crate) erased: SpreadMap<Key, u64>,
    /// What to delete because of that.
    pub(crate) gone: Vec<(Keyspace, Vec<u8>)>,
}

/// The layers over the state store.
pub(crate) struct Layers {
    pub(crate) state: State,
    inner: RwLock<Inner>,
}

/// Both layers, and the ids that were seen, of which each layer holds the new ones.
pub(crate) struct Inner {
    pub(crate) now: Fresh,
    sealed: Option<Arc<Fresh>>,
    seen: Seen,
}

impl Layers {
    pub(crate) fn new(state: State) -> Layers {
        let inner = Inner { now: Fresh::default(), sealed: None, seen: Seen::new(SEEN_IDS) };
        Layers { state, inner: RwLock::new(inner) }
    }

    /// Load the ids that the state store has. False: a row makes no sense.
    pub(crate) fn load_seen(&self) -> Result<bool, StateError> {
        let seen = Seen::load(&self.state, SEEN_IDS)?;
        Ok(seen.map(|seen| write(&self.inner).seen = seen).is_some())
    }

    /// For the applier, who alone writes.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        write(&self.inner)
    }

    /// What was fresh until now belongs to a checkpoint.
    pub(crate) fn seal(&self) -> Arc<Fresh> {
        let mut inner = write(&self.inner);
        inner.now.seen = inner.seen.cut();
        let sealed = Arc::new(std::mem::take(&mut inner.now));
        inner.sealed = Some(Arc::clone(&sealed));
        sealed
    }

    /// The checkpoint is in the state store.
    pub(crate) fn unseal(&self) {
        let mut inner = write(&self.inner);
        inner.sealed = None;
        inner.seen.settle();
    }

    /// Whether an id was seen, by its name in [`crate::seen`].
    pub(crate) fn is_seen(&self, id: u128) -> Result<bool, StateError> {
        read(&self.inner).seen.has(&self.state, id)
    }

    /// The positions of a customer's own records before a position, newest first.
    pub(crate) fn timeline(
        &self,
        key: Key,
        before: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StateError> {
        let (mut found, after) = {
            let inner = read(&self.inner);
            let found = inner.layers().flat_map(|fresh| fresh.timeline.of(key));
            let found = found.filter(|position| *position < before).take(limit);
            (found.collect::<Vec<u64>>(), inner.erased_at(key))
        };
        let (from, to) = (rows::timeline_key(key, 0), rows::timeline_key(key, before));
        self.add_stored(Keyspace::Timeline, (&from, &to), before, limit, &mut found)?;
        found.retain(|position| after.is_none_or(|after| *position > after));
        Ok(found)
    }

    /// The positions of records with decisions on an outreach, newest first.
    pub(crate) fn decisions(
        &self,
        (project, no): (ProjectNo, OutreachNo),
        before: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StateError> {
        let mut found: Vec<u64> = {
            let inner = read(&self.inner);
            let lists = inner.layers().filter_map(|fresh| fresh.decisions.get(&(project, no)));
            lists.flat_map(|list| newest(list, before)).take(limit).collect()
        };
        let from = rows::decision_key(project, no, 0);
        let to = rows::decision_key(project, no, before);
        self.add_stored(Keyspace::Decisions, (&from, &to), before, limit, &mut found)?;
        Ok(found)
    }

    /// The positions of records with decisions in a project, newest first.
    pub(crate) fn decided(
        &self,
        project: ProjectNo,
        before: u64,
        limit: usize,
    ) -> Result<Vec<u64>, StateError> {
        let mut found: Vec<u64> = {
            let inner = read(&self.inner);
            let lists = inner.layers().filter_map(|fresh| fresh.decided.get(&project));
            lists.flat_map(|list| newest(list, before)).take(limit).collect()
        };
        let (from, to) = (rows::decided_key(project, 0), rows::decided_key(project, before));
        self.add_stored(Keyspace::Decisions, (&from, &to), before, limit, &mut found)?;
        Ok(found)
    }

    /// The deliveries of a project that were decided before a position, newest first. Those of one
    /// record stay together, so there may be some more than `limit`.
    pub(crate) fn delivery_order(
        &self,
        project: ProjectNo,
        before: u64,
        limit: usize,
    ) -> Result<Vec<(u64, DeliveryId)>, StateError> {
        let mut found: Vec<(u64, DeliveryId)> = Vec::new();
        {
            let inner = read(&self.inner);
            for list in inner.layers().filter_map(|fresh| fresh.delivery_order.get(&project)) {
                let end = list.partition_point(|(position, _)| *position < before);
                for (position, id) in list.iter().take(end).rev() {
                    if is_full(&found, *position, limit) {
                        return Ok(found);
                    }
                    found.push((*position, *id));
                }
            }
        }
        // What is no older was found above already: its checkpoint was written meanwhile.
        let oldest = found.last().map(|(position, _)| *position);
        let from = rows::delivery_order_key(project, 0);
        let to = rows::delivery_order_key(project, before);
        for row in self.state.range(Keyspace::Deliveries, &from..&to, Order::Reverse) {
            let row = rows::unrow::<Vec<(u64, DeliveryId)>>(&row?.1).unwrap_or_default();
            for (position, id) in row.into_iter().rev() {
                if position >= before || oldest.is_some_and(|oldest| position >= oldest) {
                    continue;
                }
                if is_full(&found, position, limit) {
                    return Ok(found);
                }
                found.push((position, id));
            }
        }
        Ok(found)
    }

    pub(crate) fn delivery(
        &self,
        project: ProjectNo,
        id: DeliveryId,
    ) -> Result<Option<DeliveryRow>, StateError> {
        let row = match read(&self.inner).fresh_delivery(project, id) {
            Some(row) => Some(row),
            None => self.stored_delivery(project, id)?,
        };
        let Some(row) = row else { return Ok(None) };
        let erased = read(&self.inner).erased_at((project, row.customer));
        // Its latest step: whoever was erased and came back may have taken in an older delivery.
        let latest = row.steps.last().map_or(row.position, |step| step.position);
        Ok(erased.is_none_or(|at| latest > at).then_some(row))
    }

    /// The row in the state store, for the applier, who holds the layers.
    pub(crate) fn stored_delivery(
        &self,
        project: ProjectNo,
        id: DeliveryId,
    ) -> Result<Option<DeliveryRow>, StateError> {
        let bytes = self.state.get(Keyspace::Deliveries, &rows::delivery_key(project, id))?;
        Ok(bytes.and_then(|bytes| rows::unrow(&bytes)))
    }

    /// The keys of a customer's timeline, written or about to be, for their erasure.
    pub(crate) fn timeline_rows(&self, key: Key, end: u64) -> Result<Vec<Vec<u8>>, StateError> {
        let mut keys = Vec::new();
        if let Some(sealed) = &read(&self.inner).sealed {
            for chunk in sealed.timeline.rising(key).chunks(POSITIONS_PER_ROW) {
                keys.push(rows::timeline_key(key, first(chunk)).to_vec());
            }
        }
        let (from, to) = (rows::timeline_key(key, 0), rows::timeline_key(key, end));
        for row in self.state.range(Keyspace::Timeline, &from..&to, Order::Forward) {
            keys.push(row?.0.to_vec());
        }
        Ok(keys)
    }

    /// Whether a record is (still) part of a customer's timeline; erasure takes it out.
    pub(crate) fn has(&self, key: Key, position: u64) -> Result<bool, StateError> {
        {
            let inner = read(&self.inner);
            if inner.erased_at(key).is_some_and(|at| position <= at) {
                return Ok(false);
            }
            let mut own = inner.layers().flat_map(|fresh| fresh.timeline.of(key));
            if own.any(|other| other == position) {
                return Ok(true);
            }
        }
        let from = rows::timeline_key(key, 0);
        let to = rows::timeline_key(key, position.saturating_add(1));
        match self.state.range(Keyspace::Timeline, &from..&to, Order::Reverse).next() {
            Some(row) => {
                let (key, row) = row?;
                let positions = rows::read_positions(&key, &row).unwrap_or_default();
                Ok(positions.binary_search(&position).is_ok())
            }
            None => Ok(false),
        }
    }

    fn add_stored(
        &self,
        keyspace: Keyspace,
        (from, to): (&[u8], &[u8]),
        before: u64,
        limit: usize,
        found: &mut Vec<u64>,
    ) -> Result<(), StateError> {
        if found.len() >= limit {
            return Ok(());
        }
        for row in self.state.range(keyspace, from..to, Order::Reverse) {
            let (key, row) = row?;
            let positions = rows::read_positions(&key, &row).unwrap_or_default();
            for position in positions.into_iter().rev() {
                // What is no older was found above already: its checkpoint was written meanwhile.
                if position < before && found.last().is_none_or(|last| position < *last) {
                    found.push(position);
                }
                if found.len() >= limit {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The positions of a rising list before one, newest first.
fn newest(list: &[u64], before: u64) -> impl Iterator<Item = u64> + '_ {
    list.iter().take(list.partition_point(|position| *position < before)).rev().copied()
}

fn is_full(found: &[(u64, DeliveryId)], position: u64, limit: usize) -> bool {
    found.len() >= limit && found.last().is_some_and(|(last, _)| *last != position)
}

impl Inner {
    /// An id was seen, by its name in [`crate::seen`].
    pub(crate) fn add_seen(&mut self, id: u128, now: Timestamp) {
        self.seen.add(id, now);
    }

    pub(crate) fn fresh_delivery(&self, project: ProjectNo, id: DeliveryId) -> Option<DeliveryRow> {
        self.layers().find_map(|fresh| fresh.deliveries.get(&(project, id))).cloned()
    }

    /// Youngest first.
    fn layers(&self) -> impl Iterator<Item = &Fresh> {
        std::iter::once(&self.now).chain(self.sealed.as_deref())
    }

    fn erased_at(&self, key: Key) -> Option<u64> {
        self.layers().filter_map(|fresh| fresh.erased.get(&key)).max().copied()
    }
}

impl Fresh {
    /// A record holds a decision on an outreach.
    pub(crate) fn add_decision(&mut self, project: ProjectNo, no: OutreachNo, position: u64) {
        push_once(self.decisions.entry((project, no)).or_default(), position);
    }

    /// A record holds decisions.
    pub(crate) fn add_decided(&mut self, project: ProjectNo, position: u64) {
        push_once(self.decided.entry(project).or_default(), position);
    }

    /// A delivery was decided.
    pub(crate) fn add_delivery(&mut self, project: ProjectNo, position: u64, id: DeliveryId) {
        self.delivery_order.entry(project).or_default().push((position, id));
    }

    /// Its customer is erased.
    pub(crate) fn remove_delivery(&mut self, project: ProjectNo, position: u64, id: DeliveryId) {
        self.deliveries.remove(&(project, id));
        let Some(list) = self.delivery_order.get_mut(&project) else { return };
        let from = list.partition_point(|(other, _)| *other < position);
        let own = list.iter().skip(from).take_while(|(other, _)| *other == position);
        if let Some(place) = own.into_iter().position(|(_, other)| *other == id) {
            list.remove(from + place);
        }
    }

    /// Add everything to a batch.
    pub(crate) fn put(&self, batch: &mut Batch) {
        for key in self.timeline.keys() {
            for chunk in self.timeline.rising(key).chunks(POSITIONS_PER_ROW) {
                let first = rows::timeline_key(key, first(chunk));
                batch.put(Keyspace::Timeline, &first, &rows::positions_row(chunk));
            }
        }
        for ((project, no), positions) in &self.decisions {
            for chunk in positions.chunks(POSITIONS_PER_ROW) {
                let first = rows::decision_key(*project, *no, first(chunk));
                batch.put(Keyspace::Decisions, &first, &rows::positions_row(chunk));
            }
        }
        for (project, positions) in &self.decided {
            for chunk in positions.chunks(POSITIONS_PER_ROW) {
                let first = rows::decided_key(*project, first(chunk));
                batch.put(Keyspace::Decisions, &first, &rows::positions_row(chunk));
            }
        }
        for ((project, id), row) in &self.deliveries {
            let key = rows::delivery_key(*project, *id);
            batch.put(Keyspace::Deliveries, &key, &rows::row(row));
        }
        self.put_delivery_order(batch);
        self.seen.put(batch);
        for (position, bytes) in &self.changes {
            batch.put(Keyspace::Config, &rows::change_key(*position), bytes);
        }
        // Whoever came back since may have a delivery of the same id, and that one stays.
        let known = |(project, id): &(ProjectNo, DeliveryId)| rows::delivery_key(*project, *id);
        let back: HashSet<[u8; 21]> = match self.gone.is_empty() {
            true => HashSet::new(),
            false => self.deliveries.keys().map(known).collect(),
        };
        for (keyspace, key) in &self.gone {
            if !back.contains(key.as_slice()) {
                batch.delete(*keyspace, key);
            }
        }
    }

    fn put_delivery_order(&self, batch: &mut Batch) {
        for (project, list) in &self.delivery_order {
            let mut chunk: Vec<(u64, DeliveryId)> = Vec::new();
            for (position, id) in list {
                if is_full(&chunk, *position, POSITIONS_PER_ROW) {
                    put_order(batch, *project, &chunk);
                    chunk.clear();
                }
                chunk.push((*position, *id));
            }
            if !chunk.is_empty() {
                put_order(batch, *project, &chunk);
            }
        }
    }
}

fn push_once(list: &mut Vec<u64>, position: u64) {
    if list.last() != Some(&position) {
        list.push(position);
    }
}

fn put_order(batch: &mut Batch, project: ProjectNo, chunk: &Vec<(u64, DeliveryId)>) {
    let first = chunk.first().map_or(0, |(position, _)| *position);
    let key = rows::delivery_order_key(project, first);
    batch.put(Keyspace::Deliveries, &key, &rows::row(chunk));
}

fn first(chunk: &[u64]) -> u64 {
    chunk.first().copied().unwrap_or(0)
}
