//! Start: load the state, replay what the log has beyond it, and find again what is waiting.
//!
//! A state that cannot be used is set aside and computed again from the whole log. The log is never
//! touched by it.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use engine::apply::{next_moment, replay};
use engine::delivery::DeliveryState;
use engine::fact::{AttemptOutcome, Fact};
use engine::project::Project;
use engine::time::Timestamp;
use store::log::LogReader;
use store::state::{Keyspace, Order, State, StateError};

use crate::change::{install, install_known, note_scheduled, note_unscheduled};
use crate::checkpoint::{self, mark};
use crate::due::{DueChange, due_at};
use crate::limits::REPLAYED_PER_CHECKPOINT;
use crate::locks::{lock, read, write};
use crate::note::{self, Applied};
use crate::open::OpenError;
use crate::partition::Key;
use crate::record::{CustomerRecord, Entry, ProjectRecord};
use crate::rows::{self, Standing};
use crate::shared::Shared;
use crate::timers::Timers;

/// Open the state, or set it aside and begin an empty one.
pub(crate) fn open_state(dir: &Path, reader: &LogReader) -> Result<State, OpenError> {
    match State::open(dir) {
        Ok(state) => match why_unusable(&state, reader)? {
            None => Ok(state),
            Some(why) => {
                drop(state);
                set_aside(dir, &why)
            }
        },
        Err(error @ StateError::Unusable { .. }) => set_aside(dir, &error.to_string()),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn set_aside(dir: &Path, why: &str) -> Result<State, OpenError> {
    let place = State::set_aside(dir)
        .map_err(|source| OpenError::SetAside { dir: dir.to_owned(), source })?;
    tracing::warn!(why, place = %place.display(), "the state is set aside and computed again");
    Ok(State::open(dir)?)
}

fn why_unusable(state: &State, reader: &LogReader) -> Result<Option<String>, OpenError> {
    let Some(bytes) = state.get(Keyspace::Meta, rows::STANDING)? else {
        let empty = state.scan_prefix(Keyspace::Customers, &[], Order::Forward).next().is_none();
        return Ok((!empty).then(|| "it does not say where it stands".to_owned()));
    };
    let Some(standing) = rows::unrow::<Standing>(&bytes) else {
        return Ok(Some("it was written by another version".to_owned()));
    };
    if standing.applied > reader.durable() || standing.applied < reader.begin() {
        return Ok(Some(format!(
            "it stands at log position {}, the log goes from {} to {}",
            standing.applied,
            reader.begin(),
            reader.durable()
        )));
    }
    // A position that is no record of this log is an error of the log's reader.
    match mark(reader, standing.last) {
        Ok(found) if found == (standing.hash, standing.applied) => Ok(None),
        Ok(_) | Err(_) => Ok(Some("it belongs to another log".to_owned())),
    }
}

/// Load what the state store has. Answers the position up to which it has it; `None` when a row is
/// of another version and the state is to be set aside.
pub(crate) fn load(shared: &Shared) -> Result<Option<u64>, OpenError> {
    let state = &shared.layers.state;
    let Some(bytes) = state.get(Keyspace::Meta, rows::STANDING)? else {
        return Ok(Some(shared.reader.begin()));
    };
    let Some(standing) = rows::unrow::<Standing>(&bytes) else { return Ok(None) };
    shared.latest.store(standing.latest.0, Ordering::Release);
    if !shared.layers.load_seen()? {
        return Ok(None);
    }
    for row in state.scan_prefix(Keyspace::Customers, &[], Order::Forward) {
        let (key, bytes) = row?;
        let (Some(key), Some(customer)) = (rows::read_customer_key(&key), rows::unrow(&bytes))
        else {
            return Ok(None);
        };
        write(shared.partition(key.1)).load(key, customer);
    }
    for row in state.scan_prefix(Keyspace::Config, b"c", Order::Forward) {
        let (key, bytes) = row?;
        let (Some(position), Some(record)) =
            (rows::last_position(&key), rows::unrow::<ProjectRecord>(&bytes))
        else {
            return Ok(None);
        };
        if let Some(next) = changed(shared, &record) {
            install_known(shared, &record, next);
        }
        write(&shared.changes).push((position, record));
    }
    if let Some(bytes) = state.get(Keyspace::Meta, rows::BOOKS)? {
        let Some(books) = rows::unrow(&bytes) else { return Ok(None) };
        *write(&shared.books) = books;
    }
    Ok(Some(standing.applied))
}

/// Replay the log from a position on.
pub(crate) fn replay_from(shared: &Shared, from: u64) -> Result<(), OpenError> {
    let (began, mut told) = (Instant::now(), Instant::now());
    let (mut count, end) = (0_u64, shared.reader.durable());
    for record in shared.reader.iterate(from) {
        let record = record?;
        let entry = Entry::decode(&record)?;
        apply(shared, record.position, entry)?;
        shared.last_record.store(record.position, Ordering::Release);
        count += 1;
        if count.is_multiple_of(REPLAYED_PER_CHECKPOINT) {
            let cut = checkpoint::cut(shared, record.next, Vec::new());
            checkpoint::put(shared, cut).map_err(OpenError::Checkpoint)?;
        }
        if told.elapsed().as_secs() >= 2 {
            told = Instant::now();
            let percent = (record.next - from) * 100 / (end - from).max(1);
            tracing::info!(records = count, percent, "applying the log again");
        }
    }
    if count > 0 {
        let duration_ms = began.elapsed().as_millis();
        tracing::info!(records = count, duration_ms, "the log is applied");
    }
    Ok(())
}

fn apply(shared: &Shared, position: u64, entry: Entry) -> Result<(), OpenError> {
    match entry {
        Entry::Customer(record) => apply_facts(shared, position, &[record]),
        Entry::Batch(records) => apply_facts(shared, position, &records),
        Entry::Project(record) => {
            note_time(shared, record.now);
            match changed(shared, &record) {
                Some(next) => install(shared, position, record, next),
                None => tracing::error!(position, "a change of a project is not accepted again"),
            }
            Ok(())
        }
        Entry::Members(_) => Ok(()),
        Entry::Swept(swept) => {
            write(&shared.books).advance(swept);
            Ok(())
        }
        Entry::Scheduled(scheduled) => {
            note_time(shared, scheduled.now);
            note_scheduled(shared, scheduled);
            Ok(())
        }
        Entry::Unscheduled(scheduled) => {
            note_unscheduled(shared, &scheduled);
            Ok(())
        }
    }
}

/// The project after a change that was accepted once.
fn changed(shared: &Shared, record: &ProjectRecord) -> Option<Project> {
    match shared.project(record.project) {
        Some(project) => project.changed(&record.change, record.now).ok(),
        None => Project::new(record.project, "").changed(&record.change, record.now).ok(),
    }
}

fn apply_facts(
    shared: &Shared,
    position: u64,
    records: &[CustomerRecord],
) -> Result<(), OpenError> {
    let mut left = Vec::with_capacity(records.len());
    for record in records {
        note_time(shared, record.now);
        let Some(project) = shared.project(record.project) else {
            return Err(OpenError::NoProject { position, project: record.project });
        };
        let mut partition = write(shared.partition(record.customer));
        let customer = &mut partition.touch((record.project, record.customer)).customer;
        let changed = replay(
            &project,
            record.customer,
            customer,
            &record.fact,
            &record.ruling,
            position,
            record.now,
        );
        let changed = changed.iter().filter_map(|id| customer.deliveries.get(id).cloned());
        left.push(changed.collect::<Vec<_>>());
    }
    let mut all = Vec::with_capacity(records.len());
    for (record, changed) in records.iter().zip(&left) {
        all.push(Applied { position, record, changed });
    }
    // What is due is found from the customers when all is applied.
    note::note(shared, &all)?;
    for record in records {
        if matches!(record.fact, Fact::Erased) {
            let key = (record.project, record.customer);
            write(shared.partition(key.1)).remove(key);
            note::erase(shared, key, position + 1)?;
        }
    }
    Ok(())
}

fn note_time(shared: &Shared, now: Timestamp) {
    shared.latest.fetch_max(now.0, Ordering::AcqRel);
}

/// What waits, found from the customers themselves.
pub(crate) struct Waiting {
    pub(crate) timers: Timers,
    /// Attempts that were under way when the process ended.
    pub(crate) attempts: Vec<(Key, Fact)>,
}

/// Find the timers, the due deliveries and the attempts without an answer.
pub(crate) fn find_waiting(shared: &Shared) -> Waiting {
    let mut waiting = Waiting { timers: Timers::default(), attempts: Vec::new() };
    let mut due = lock(&shared.due);
    for partition in &shared.partitions {
        let mut wakes = Vec::new();
        for (key, customer) in read(partition).iter() {
            if let Some(wake) = next_moment(customer) {
                wakes.push((*key, wake));
            }
            for delivery in customer.deliveries.values() {
                if delivery.state == DeliveryState::Attempting {
                    waiting.attempts.push((*key, interrupted(delivery)));
                }
                let due_at = due_at(delivery);
                if due_at.is_some() {
                    due.note(DueChange {
                        project: key.0,
                        customer: key.1,
                        delivery: delivery.id,
                        due_at,
                        attempted: false,
                    });
                }
            }
        }
        for (key, wake) in wakes {
            waiting.timers.set(shared, key, Some(wake));
        }
    }
    waiting.attempts.sort_by_key(|(key, _)| *key);
    waiting
}

/// Nobody knows what became of it. Where a repetition is dropped it is repeated, elsewhere held.
fn interrupted(delivery: &engine::delivery::Delivery) -> Fact {
    let reason = "the server stopped during the attempt".to_owned();
    let outcome = if delivery.outreach_type.is_idempotent() {
        AttemptOutcome::RetryInDoubt { reason, at: delivery.due_at }
    } else {
        AttemptOutcome::Unknown { reason }
    };
    Fact::Attempted { delivery: delivery.id, outreach: delivery.outreach, outcome }
}
