//! Checkpoints: the state at one log position, in one atomic batch of the state store.
//!
//! The applier cuts (a moment), a thread of its own writes. The batch waits until the log is
//! durable up to the cut, because the state must never be ahead of the truth.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use engine::time::Timestamp;
use store::log::{LogError, LogReader};
use store::state::{Batch, Keyspace};

use crate::books::Books;
use crate::fresh::Fresh;
use crate::known::Turn;
use crate::limits::IDS_PER_ROW;
use crate::locks::{read, write};
use crate::partition::{Index, Saved};
use crate::rows::{self, Standing};
use crate::shared::Shared;

/// When checkpoints are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) every: Duration,
    pub(crate) bytes: u64,
    pub(crate) customers: usize,
}

/// A state to be written.
pub(crate) struct Cut {
    position: u64,
    /// The record that ends there.
    last: u64,
    latest: Timestamp,
    fresh: Arc<Fresh>,
    books: Books,
    /// What became of ids since the last one.
    ids: Vec<Turn>,
    answers: Vec<Box<dyn FnOnce() + Send>>,
}

/// The applier's side: when to cut.
pub(crate) struct Cutter {
    pub(crate) cuts: SyncSender<Cut>,
    pub(crate) busy: Arc<AtomicBool>,
    pub(crate) pace: Pace,
    pub(crate) since: Instant,
    /// The position of the latest cut.
    pub(crate) position: u64,
    pub(crate) asked: Vec<Box<dyn FnOnce() + Send>>,
}

impl Cutter {
    /// Write one soon, and say when it is written.
    pub(crate) fn ask(&mut self, answer: Box<dyn FnOnce() + Send>) {
        self.asked.push(answer);
    }

    /// How long until one is due.
    pub(crate) fn patience(&self, end: u64) -> Option<Duration> {
        let idle = end == self.position || self.busy.load(Ordering::Acquire);
        (!idle).then(|| self.pace.every.saturating_sub(self.since.elapsed()))
    }

    /// Cut when it is time.
    pub(crate) fn turn(&mut self, shared: &Shared, end: u64) {
        if !self.asked.is_empty() && shared.state_fault().is_some() {
            self.asked.drain(..).for_each(|answer| answer());
        }
        // Whom no checkpoint has written cannot leave memory, so what comes in waits for it.
        while shared.memory.is_far_over() && self.is_busy(shared) {
            std::thread::sleep(Duration::from_millis(1));
            shared.settle();
        }
        if self.busy.load(Ordering::Acquire) {
            return;
        }
        if end == self.position {
            self.asked.drain(..).for_each(|answer| answer());
            return;
        }
        let grown = end - self.position;
        let due = !self.asked.is_empty()
            || self.since.elapsed() >= self.pace.every
            || grown >= self.pace.bytes
            // Counting takes locks, and no customer is dirty without some bytes of log.
            || (grown > self.pace.customers as u64 && dirty(shared) >= self.pace.customers)
            || (shared.memory.is_over() && is_worth_it(shared));
        if due {
            self.cut(shared, end);
        }
    }

    /// The one before the end: waits for whatever is under way. The writing itself is waited for
    /// by whoever joins the thread.
    pub(crate) fn last(&mut self, shared: &Shared, end: u64) {
        while self.is_busy(shared) {
            std::thread::sleep(Duration::from_millis(1));
        }
        if end != self.position && goes_on(shared) {
            self.cut(shared, end);
        }
    }

    /// One is being written, and will be.
    fn is_busy(&self, shared: &Shared) -> bool {
        self.busy.load(Ordering::Acquire) && goes_on(shared)
    }

    fn cut(&mut self, shared: &Shared, end: u64) {
        self.since = Instant::now();
        self.position = end;
        self.busy.store(true, Ordering::Release);
        let cut = cut(shared, end, std::mem::take(&mut self.asked));
        // The thread ends only after a fault, and then nothing is to be written.
        if self.cuts.send(cut).is_err() {
            tracing::debug!("no checkpoint after a fault");
        }
    }
}

fn goes_on(shared: &Shared) -> bool {
    shared.fault().is_none() && shared.state_fault().is_none()
}

fn dirty(shared: &Shared) -> usize {
    shared.partitions.iter().map(|partition| read(partition).dirty()).sum()
}

/// Whether a checkpoint would make so many customers free to go that it pays.
pub(crate) fn is_worth_it(shared: &Shared) -> bool {
    let bytes = shared.partitions.iter().map(|partition| read(partition).dirty_bytes()).sum();
    shared.memory.is_worth_writing(bytes)
}

/// From here on everything belongs to the next checkpoint.
pub(crate) fn cut(shared: &Shared, position: u64, answers: Vec<Box<dyn FnOnce() + Send>>) -> Cut {
    let mut ids = Vec::new();
    for partition in &shared.partitions {
        ids.append(&mut write(partition).cut(&shared.memory.pool));
    }
    let latest = Timestamp(shared.latest.load(Ordering::Acquire));
    let (fresh, books) = (shared.layers.seal(), read(&shared.books).clone());
    let last = shared.last_record.load(Ordering::Acquire);
    Cut { position, last, latest, fresh, books, ids, answers }
}

/// Write checkpoints until the applier is gone.
pub(crate) fn run(shared: &Arc<Shared>, cuts: &Receiver<Cut>, busy: &AtomicBool) {
    for cut in cuts {
        if !shared.durable.wait(cut.position) {
            return;
        }
        match put(shared, cut) {
            Ok(answers) => {
                busy.store(false, Ordering::Release);
                shared.queue.nudge();
                answers.into_iter().for_each(|answer| answer());
            }
            Err(why) => {
                // What was sealed stays in memory, where readers find it.
                shared.fail_state(&why);
                shared.queue.nudge();
                return;
            }
        }
    }
    if shared.fault().is_none()
        && let Err(error) = shared.layers.state.sync()
    {
        tracing::warn!(%error, "the state is not on the disk; the next start replays more");
    }
}

/// Write one.
pub(crate) fn put(shared: &Shared, cut: Cut) -> Result<Vec<Box<dyn FnOnce() + Send>>, String> {
    let began = Instant::now();
    let mut saved = Vec::new();
    for partition in &shared.partitions {
        while !write(partition).drain_saved(&mut saved) {}
    }
    let customers = saved.len();
    let mut batch = shared.layers.state.batch();
    for Saved { key, row, waits } in saved {
        let (key, waits_key) = (rows::customer_key(key), rows::waits_key(key));
        match row {
            Some(row) => batch.put(Keyspace::Customers, &key, &row),
            None => batch.delete(Keyspace::Customers, &key),
        }
        match waits {
            Index::Nothing => {}
            Index::Put(row) => batch.put(Keyspace::Index, &waits_key, &row),
            Index::Delete => batch.delete(Keyspace::Index, &waits_key),
        }
    }
    put_ids(&mut batch, cut.position, &cut.ids);
    cut.fresh.put(&mut batch);
    batch.put(Keyspace::Meta, rows::BOOKS, &rows::row(&cut.books));
    let (hash, _) = mark(&shared.reader, cut.last).map_err(|error| error.to_string())?;
    let standing = Standing { applied: cut.position, latest: cut.latest, last: cut.last, hash };
    batch.put(Keyspace::Meta, rows::STANDING, &rows::row(&standing));
    batch.commit().map_err(|error| error.to_string())?;
    shared.layers.unseal();
    for partition in &shared.partitions {
        write(partition).set_written();
    }
    tracing::debug!(
        position = cut.position,
        customers,
        duration_ms = began.elapsed().as_millis(),
        "a checkpoint is written"
    );
    Ok(cut.answers)
}

/// What became of ids, up to a position; answers the keys of the rows.
pub(crate) fn put_ids(batch: &mut Batch, position: u64, ids: &[Turn]) -> Vec<[u8; 13]> {
    let mut keys = Vec::new();
    for (place, chunk) in (0_u32..).zip(ids.chunks(IDS_PER_ROW)) {
        let key = rows::known_key(position, place);
        batch.put(Keyspace::Index, &key, &rows::row(&chunk));
        keys.push(key);
    }
    keys
}

/// A hash of the record at a position, and where the next one lies.
pub(crate) fn mark(reader: &LogReader, position: u64) -> Result<([u8; 32], u64), LogError> {
    let record = reader.read(position)?;
    Ok((*blake3::hash(&record.payload).as_bytes(), record.next))
}
