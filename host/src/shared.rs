//! What the threads of one host share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, RwLock};
use std::time::{Duration, Instant};

use engine::ids::{CustomerId, PARTITIONS, ProjectNo};
use engine::project::Project;
use engine::time::Timestamp;
use store::log::LogReader;

use crate::books::Books;
use crate::clock::Clock;
use crate::due::DueQueue;
use crate::fresh::Layers;
use crate::holding::Memory;
use crate::locks::{lock, read};
use crate::open::Sink;
use crate::partition::Partition;
use crate::queue::Queue;
use crate::record::ProjectRecord;

/// Everything that more than one thread touches. The applier alone writes customers, projects,
/// layers and books; readers take short locks.
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    /// The latest time of a record.
    pub(crate) latest: AtomicI64,
    /// Where the latest record lies, durable or not.
    pub(crate) last_record: AtomicU64,
    /// Behind the beginning of the record that is being judged: customers may show it already.
    pub(crate) judged: AtomicU64,
    pub(crate) partitions: Vec<RwLock<Partition>>,
    /// How much of the customers is in memory, and how much may be.
    pub(crate) memory: Memory,
    pub(crate) projects: RwLock<BTreeMap<ProjectNo, Arc<Project>>>,
    /// All changes of all projects with their positions, for "as it was then".
    pub(crate) changes: RwLock<Vec<(u64, ProjectRecord)>>,
    pub(crate) books: RwLock<Books>,
    pub(crate) layers: Layers,
    pub(crate) reader: LogReader,
    pub(crate) due: Mutex<DueQueue>,
    pub(crate) queue: Queue,
    pub(crate) sink: Sink,
    pub(crate) durable: Durable,
    /// No room on the disk at the latest attempt.
    pub(crate) full: AtomicBool,
    fault: Mutex<Option<String>>,
    /// The state store failed: no checkpoints until the next start.
    state_fault: Mutex<Option<String>>,
}

/// The durable end of the log, for whoever waits for it.
#[derive(Default)]
pub(crate) struct Durable {
    position: Mutex<u64>,
    moved: Condvar,
    gone: AtomicBool,
}

impl Durable {
    pub(crate) fn set(&self, position: u64) {
        *lock(&self.position) = position;
        self.moved.notify_all();
    }

    /// Nothing will become durable any more.
    pub(crate) fn give_up(&self) {
        let _held = lock(&self.position);
        self.gone.store(true, Ordering::Release);
        self.moved.notify_all();
    }

    /// As [`Durable::wait`], for so long at most.
    pub(crate) fn wait_at_most(&self, position: u64, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        let mut durable = lock(&self.position);
        while *durable < position {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.gone.load(Ordering::Acquire) {
                return false;
            }
            let waited = self.moved.wait_timeout(durable, left);
            durable = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
        true
    }

    /// Wait until everything before `position` is durable; false when it never will be.
    pub(crate) fn wait(&self, position: u64) -> bool {
        let mut durable = lock(&self.position);
        while *durable < position {
            if self.gone.load(Ordering::Acquire) {
                return false;
            }
            durable = self.moved.wait(durable).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        true
    }
}

/// What [`Shared::new`] is made of.
pub(crate) struct Parts {
    pub(crate) clock: Clock,
    pub(crate) layers: Layers,
    pub(crate) reader: LogReader,
    pub(crate) queue: Queue,
    pub(crate) sink: Sink,
    pub(crate) memory: Memory,
}

impl Shared {
    pub(crate) fn new(parts: Parts) -> Shared {
        Shared {
            clock: parts.clock,
            latest: AtomicI64::new(0),
            last_record: AtomicU64::new(0),
            judged: AtomicU64::new(0),
            memory: parts.memory,
            partitions: (0..PARTITIONS).map(|_| RwLock::new(Partition::new())).collect(),
            projects: RwLock::default(),
            changes: RwLock::default(),
            books: RwLock::default(),
            layers: parts.layers,
            reader: parts.reader,
            due: Mutex::default(),
            queue: parts.queue,
            sink: parts.sink,
            durable: Durable::default(),
            full: AtomicBool::new(false),
            fault: Mutex::default(),
            state_fault: Mutex::default(),
        }
    }

    /// The clock, never before a moment that stands in the log.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now().max(Timestamp(self.latest.load(Ordering::Acquire)))
    }

    pub(crate) fn partition(&self, customer: CustomerId) -> &RwLock<Partition> {
        // There are as many partitions as `CustomerId::partition` answers.
        &self.partitions[usize::from(customer.partition())]
    }

    pub(crate) fn project(&self, no: ProjectNo) -> Option<Arc<Project>> {
        read(&self.projects).get(&no).cloned()
    }

    /// Stop for good: nothing is accepted and nothing acknowledged any more.
    pub(crate) fn fail(&self, why: &str) {
        let mut fault = lock(&self.fault);
        if fault.is_none() {
            tracing::error!(why, "the host has stopped");
            *fault = Some(why.to_owned());
        }
        drop(fault);
        self.durable.give_up();
        self.queue.stop(why);
    }

    /// Go on without checkpoints: the log has everything, and the next start replays more of it.
    pub(crate) fn fail_state(&self, why: &str) {
        tracing::error!(why, "the state cannot be written; the log goes on, restart when mended");
        *lock(&self.state_fault) = Some(why.to_owned());
    }

    pub(crate) fn state_fault(&self) -> Option<String> {
        lock(&self.state_fault).clone()
    }

    pub(crate) fn fault(&self) -> Option<String> {
        lock(&self.fault).clone()
    }
}
