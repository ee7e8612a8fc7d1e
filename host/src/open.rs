//! Opening and closing a host: folders, threads, and what can go wrong.
//!
//! A data folder holds `log/` (the truth) and `store/` (the state, which may be deleted).

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use engine::ids::ProjectNo;
use store::log::{Committer, Log, LogError, LogOptions, Sync as LogSync};
use store::state::StateError;

use crate::applier::Applier;
use crate::checkpoint::{self, Cutter, Pace};
use crate::clock::Clock;
use crate::enact::Enactor;
use crate::fresh::Layers;
use crate::history::Parsed;
use crate::holding::Memory;
use crate::limits;
use crate::locks::lock;
use crate::published::Published;
use crate::query::QueryError;
use crate::queue::Queue;
use crate::record::Unreadable;
use crate::replay;
use crate::shared::{Parts, Shared};
use crate::waits;
use crate::writer;

/// Who is told what became durable. Called by the writer thread, so it must not block.
pub type Sink = Arc<dyn Fn(&Published) + Send + std::marker::Sync>;

/// Whether anybody looks at the live tail. Asked by the applier for each record.
pub type Watched = Arc<dyn Fn() -> bool + Send + std::marker::Sync>;

/// How a host runs. The defaults are right for a server.
#[derive(Clone)]
pub struct Options {
    /// Where time comes from.
    pub clock: Clock,
    /// Commands that may wait.
    pub queue_commands: usize,
    /// Bytes that may wait.
    pub queue_bytes: usize,
    /// Size of a segment of the log.
    pub segment_bytes: u64,
    /// Whether the log reaches the disk before it is acknowledged. Only for benches to turn off.
    pub sync: bool,
    /// Time between checkpoints.
    pub checkpoint_every: Duration,
    /// Bytes of log between checkpoints.
    pub checkpoint_bytes: u64,
    /// Changed customers between checkpoints.
    pub checkpoint_customers: usize,
    /// Customers in memory, in bytes, roughly; the others stand in the state store. Those whom no
    /// checkpoint has written yet stay beyond it.
    pub customers_bytes: usize,
    /// Who is told what became durable.
    pub sink: Sink,
    /// Whether the sink wants the live tail of events, decisions and deliveries; not by default.
    pub watched: Watched,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            clock: Clock::Wall,
            queue_commands: limits::QUEUE_COMMANDS,
            queue_bytes: limits::QUEUE_BYTES,
            segment_bytes: LogOptions::default().segment_bytes,
            sync: true,
            checkpoint_every: limits::CHECKPOINT_EVERY,
            checkpoint_bytes: limits::CHECKPOINT_BYTES,
            checkpoint_customers: limits::CHECKPOINT_CUSTOMERS,
            customers_bytes: limits::CUSTOMERS_BYTES,
            sink: Arc::new(|_| {}),
            watched: Arc::new(|| false),
        }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Options").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// Why a host does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The log's fault.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The state store's fault, and not one that a rebuild would heal.
    #[error(transparent)]
    State(#[from] StateError),
    /// A record of the log makes no sense.
    #[error(transparent)]
    Record(#[from] Unreadable),
    /// A record speaks of a project that was never made.
    #[error("the record at log position {position} speaks of project {}, which was never made", project.0)]
    NoProject {
        /// Where.
        position: u64,
        /// Which.
        project: ProjectNo,
    },
    /// The unusable state cannot be moved away.
    #[error("cannot move the unusable state {} out of the way: {source}", dir.display())]
    SetAside {
        /// Which folder.
        dir: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The state cannot be written.
    #[error("cannot write the state: {0}")]
    Checkpoint(String),
    /// A thread cannot be started, or the folder cannot be made.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What.
        doing: &'static str,
        /// Why.
        source: std::io::Error,
    },
}

impl From<QueryError> for OpenError {
    fn from(error: QueryError) -> OpenError {
        match error {
            QueryError::State(error) => OpenError::State(error),
            QueryError::Record(error) => OpenError::Record(error),
        }
    }
}

/// The engine on one machine. Dropping it stops it in order: what was accepted is made durable and
/// a checkpoint is written.
pub struct Host {
    pub(crate) shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Host").finish_non_exhaustive()
    }
}

impl Host {
    /// Open the data folder, or make one.
    ///
    /// # Errors
    /// The log is damaged or in use, or the disk fails. A damaged state is no error: it is rebuilt.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the call reads as `open(dir, Options { .. })`"
    )]
    pub fn open(dir: &Path, options: Options) -> Result<Host, OpenError> {
        make_folder(dir)
            .map_err(|source| OpenError::Io { doing: "make the data folder", source })?;
        let sync = if options.sync { LogSync::Always } else { LogSync::Never };
        let log_options = LogOptions { segment_bytes: options.segment_bytes, sync };
        let (log, found) = Log::open(&dir.join("log"), log_options)?;
        if found.torn_bytes > 0 {
            tracing::info!(bytes = found.torn_bytes, "an unfinished write was cut off the log");
        }
        let (appender, committer) = log.split();
        let shared = Arc::new(read_all(&dir.join("store"), &appender, &options)?);
        shared.durable.set(appender.end());
        let waiting = waits::find(&shared)?;
        let enactor = Enactor {
            shared: Arc::clone(&shared),
            appender,
            timers: waiting.timers,
            parsed: Parsed::default(),
            buffer: Vec::new(),
            effects: Vec::new(),
            due: Vec::new(),
            watched: Arc::clone(&options.watched),
        };
        let threads = start(&shared, enactor, waiting.attempts, committer, &options)?;
        Ok(Host { shared, threads: Mutex::new(threads) })
    }

    /// Finish what was accepted, write a checkpoint, and end. Later submissions are refused.
    pub fn close(&self) {
        self.shared.queue.stop("the server is shutting down");
        let threads = std::mem::take(&mut *lock(&self.threads));
        for thread in threads {
            if thread.join().is_err() {
                self.shared.fail("a thread of the host has panicked");
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.close();
    }
}

/// Makes the data folder, and lets its name survive a power cut: without that, all that is synced in it is lost with
/// it. Whoever made it may have died before this, so it is done at each start.
fn make_folder(dir: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    match std::fs::File::open(parent.unwrap_or(Path::new("."))) {
        Ok(parent) => parent.sync_all(),
        // A folder that cannot be read is not one that was made here.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        Err(error) => Err(error),
    }
}

/// The state as of the end of the log.
fn read_all(
    dir: &Path,
    appender: &store::log::Appender,
    options: &Options,
) -> Result<Shared, OpenError> {
    let reader = appender.reader();
    let shared_on = |state| {
        Shared::new(Parts {
            clock: options.clock.clone(),
            layers: Layers::new(state),
            reader: reader.clone(),
            queue: Queue::new(options.queue_commands, options.queue_bytes),
            sink: Arc::clone(&options.sink),
            memory: Memory::new(options.customers_bytes),
        })
    };
    let mut shared = shared_on(replay::open_state(dir, &reader)?);
    let from = match replay::load(&shared)? {
        Some(from) => from,
        None => {
            drop(shared);
            let state = replay::set_aside(dir, "a row was written by another version")?;
            shared = shared_on(state);
            reader.begin()
        }
    };
    replay::replay_from(&shared, from)?;
    Ok(shared)
}

fn start(
    shared: &Arc<Shared>,
    enactor: Enactor,
    at_start: Vec<(crate::partition::Key, engine::fact::Fact)>,
    committer: Committer,
    options: &Options,
) -> Result<Vec<JoinHandle<()>>, OpenError> {
    let (groups, groups_in) = sync_channel(limits::GROUPS_IN_FLIGHT);
    let (cuts, cuts_in) = sync_channel(1);
    let busy = Arc::new(AtomicBool::new(false));
    let end = enactor.appender.end();
    let pace = Pace {
        every: options.checkpoint_every,
        bytes: options.checkpoint_bytes,
        customers: options.checkpoint_customers,
    };
    let cutter = Cutter {
        cuts,
        busy: Arc::clone(&busy),
        pace,
        since: Instant::now(),
        // What was replayed is written by the first checkpoint after something new.
        position: end,
        asked: Vec::new(),
    };
    let applier = Applier {
        shared: Arc::clone(shared),
        enactor,
        groups,
        cutter,
        at_start,
        answers: Vec::new(),
        idle: Vec::new(),
        full_until: None,
        members: None,
        handed: end,
    };
    let writers = Arc::clone(shared);
    let savers = Arc::clone(shared);
    Ok(vec![
        spawn("applier", shared, move || applier.run())?,
        spawn("writer", shared, move || writer::run(&writers, committer, &groups_in))?,
        spawn("checkpoint", shared, move || checkpoint::run(&savers, &cuts_in, &busy))?,
    ])
}

/// A thread whose panic stops the host instead of leaving it half alive.
fn spawn(
    name: &str,
    shared: &Arc<Shared>,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    let shared = Arc::clone(shared);
    let watched = move || {
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
        if ended.is_err() {
            shared.fail("a thread of the host has panicked");
        }
    };
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(watched)
        .map_err(|source| OpenError::Io { doing: "start a thread", source })
}
