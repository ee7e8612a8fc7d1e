//! Rows that no checkpoint has written yet, in two layers: what came after the latest cut, and
//! what the running checkpoint is writing. Readers look through both, then into the state store.
//!
//! Typed, because a key of bytes for each event would cost an allocation for each event. Positions
//! of a younger layer are beyond those of the older one, so "newest first" is one after the other.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, RwLock, RwLockWriteGuard};

use engine::ids::{CustomerId, DeliveryId, EventId, OutreachNo, ProjectNo};
use store::state::{Batch, Keyspace, Order, State, StateError};

use crate::limits::POSITIONS_PER_ROW;
use crate::locks::{read, write};
use crate::partition::Key;
use crate::rows::{self, DeliveryRow};

/// Rows since a cut.
#[derive(Default)]
pub(crate) struct Fresh {
    pub(crate) timeline: BTreeSet<(ProjectNo, CustomerId, u64)>,
    pub(crate) decisions: BTreeSet<(ProjectNo, OutreachNo, u64)>,
    pub(crate) decided: BTreeSet<(ProjectNo, u64)>,
    pub(crate) deliveries: HashMap<(ProjectNo, DeliveryId), DeliveryRow>,
    pub(crate) delivery_order: BTreeSet<(ProjectNo, u64, DeliveryId)>,
    pub(crate) seen: HashSet<(u8, EventId)>,
    pub(crate) changes: Vec<(u64, Vec<u8>)>,
    /// Customers erased at this position; what lies before it is hidden until it is deleted.
    pub(crate) erased: HashMap<Key, u64>,
    /// What to delete because of that.
    pub(crate) gone: Vec<(Keyspace, Vec<u8>)>,
}

/// The layers over the state store.
pub(crate) struct Layers {
    pub(crate) state: State,
    inner: RwLock<Inner>,
}

/// Both layers.
#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) now: Fresh,
    sealed: Option<Arc<Fresh>>,
}

impl Layers {
    pub(crate) fn new(state: State) -> Layers {
        Layers { state, inner: RwLock::default() }
    }

    /// For the applier, who alone writes.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, Inner> {
        write(&self.inner)
    }

    /// What was fresh until now belongs to a checkpoint.
    pub(crate) fn seal(&self) -> Arc<Fresh> {
        let mut inner = write(&self.inner);
        let sealed = Arc::new(std::mem::take(&mut inner.now));
        inner.sealed = Some(Arc::clone(&sealed));
        sealed
    }

    /// The checkpoint is in the state store.
    pub(crate) fn unseal(&self) {
        write(&self.inner).sealed = None;
    }

    pub(crate) fn is_seen(&self, id: (u8, EventId)) -> Result<bool, StateError> {
        if read(&self.inner).layers().any(|fresh| fresh.seen.contains(&id)) {
            return Ok(true);
        }
        self.state.contains(Keyspace::Seen, &rows::seen_key(id))
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
            let (project, customer) = key;
            let range = (project, customer, 0)..(project, customer, before);
            let found = inner
                .layers()
                .flat_map(|fresh| fresh.timeline.range(range.clone()).rev())
                .map(|(_, _, position)| *position)
                .take(limit);
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
            let range = (project, no, 0)..(project, no, before);
            let found = inner
                .layers()
                .flat_map(|fresh| fresh.decisions.range(range.clone()).rev())
                .map(|(_, _, position)| *position)
                .take(limit);
            found.collect()
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
            let range = (project, 0)..(project, before);
            let found = inner
                .layers()
                .flat_map(|fresh| fresh.decided.range(range.clone()).rev())
                .map(|(_, position)| *position)
                .take(limit);
            found.collect()
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
        let least = DeliveryId(0);
        let mut found: Vec<(u64, DeliveryId)> = Vec::new();
        {
            let inner = read(&self.inner);
            let range = (project, 0, least)..(project, before, least);
            for fresh in inner.layers() {
                for (_, position, id) in fresh.delivery_order.range(range.clone()).rev() {
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
        // A guest who became part of whoever came back brings deliveries along that are older.
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
            let own = (key.0, key.1, 0)..(key.0, key.1, end);
            let own = sealed.timeline.range(own).map(|(no, id, position)| ((*no, *id), *position));
            for (_, chunk) in chunks(own) {
                keys.push(rows::timeline_key(key, first(&chunk)).to_vec());
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
            let (project, customer) = key;
            if inner.layers().any(|fresh| fresh.timeline.contains(&(project, customer, position))) {
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

fn is_full(found: &[(u64, DeliveryId)], position: u64, limit: usize) -> bool {
    found.len() >= limit && found.last().is_some_and(|(last, _)| *last != position)
}

impl Inner {
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
    /// Add everything to a batch.
    pub(crate) fn put(&self, batch: &mut Batch) {
        let timeline = self.timeline.iter().map(|(no, id, position)| ((*no, *id), *position));
        for (key, chunk) in chunks(timeline) {
            let first = rows::timeline_key(key, first(&chunk));
            batch.put(Keyspace::Timeline, &first, &rows::positions_row(&chunk));
        }
        let decisions = self.decisions.iter().map(|(no, out, position)| ((*no, *out), *position));
        for ((project, no), chunk) in chunks(decisions) {
            let first = rows::decision_key(project, no, first(&chunk));
            batch.put(Keyspace::Decisions, &first, &rows::positions_row(&chunk));
        }
        for (project, chunk) in chunks(self.decided.iter().copied()) {
            let first = rows::decided_key(project, first(&chunk));
            batch.put(Keyspace::Decisions, &first, &rows::positions_row(&chunk));
        }
        for ((project, id), row) in &self.deliveries {
            let key = rows::delivery_key(*project, *id);
            batch.put(Keyspace::Deliveries, &key, &rows::row(row));
        }
        self.put_delivery_order(batch);
        for id in &self.seen {
            batch.put(Keyspace::Seen, &rows::seen_key(*id), &[]);
        }
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
        let mut chunk: Vec<(u64, DeliveryId)> = Vec::new();
        let mut of = ProjectNo(0);
        for (project, position, id) in &self.delivery_order {
            let full = is_full(&chunk, *position, POSITIONS_PER_ROW);
            if (full || *project != of) && !chunk.is_empty() {
                put_order(batch, of, &chunk);
                chunk.clear();
            }
            of = *project;
            chunk.push((*position, *id));
        }
        if !chunk.is_empty() {
            put_order(batch, of, &chunk);
        }
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

/// Rising positions of the same name, some together.
fn chunks<N: PartialEq + Copy>(
    all: impl Iterator<Item = (N, u64)>,
) -> impl Iterator<Item = (N, Vec<u64>)> {
    let mut all = all.peekable();
    std::iter::from_fn(move || {
        let (name, first) = all.next()?;
        let mut chunk = vec![first];
        while chunk.len() < POSITIONS_PER_ROW
            && let Some((_, position)) = all.next_if(|(next, _)| *next == name)
        {
            chunk.push(position);
        }
        Some((name, chunk))
    })
}
