//! Every bound of the host, with its reason.

use std::time::Duration;

/// Commands that may wait for the applier, before anything is known about what they cost.
pub const QUEUE_COMMANDS: usize = 100_000;
/// Bytes that may wait for the applier.
pub const QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// How long what customers bring may wait for the applier, by what commands cost at present.
/// Twice as much is still quick for a client; what comes beyond it is refused at once.
pub(crate) const QUEUE_WAIT: Duration = Duration::from_millis(100);
/// What a refused client is told to wait: by then the queue has been empty several times over.
pub(crate) const RETRY_AFTER_SECONDS: u32 = 1;
/// Commands of one group commit; more only adds latency, the sync is paid for long before.
pub(crate) const GROUP_COMMANDS: usize = 1_000;
/// Groups between applier and writer: one that syncs, one that waits, some for unevenness.
pub(crate) const GROUPS_IN_FLIGHT: usize = 4;
/// Timers fired before live traffic gets its turn again.
pub(crate) const TIMERS_PER_TURN: usize = 256;
/// Customers of a sweep before live traffic gets its turn again.
pub(crate) const SWEEP_PER_TURN: usize = 256;
/// A timer that is due again at once so often has been misjudged and waits for [`TIMER_PENANCE_MS`].
pub(crate) const TIMER_REPEATS: usize = 32;
/// See [`TIMER_REPEATS`].
pub(crate) const TIMER_PENANCE_MS: i64 = 60_000;
/// Customers in one record of a snapshot: 64 KiB.
pub(crate) const MEMBERS_PER_RECORD: usize = 4_096;
/// Merges of merges of merges; beyond it something is wrong.
pub(crate) const MAX_REDIRECTS: usize = 64;
/// Commands of one submission.
pub const SUBMISSION_COMMANDS: usize = 10_000;
/// Bytes of one fact; a record must fit into a segment, and nobody reads a larger event.
pub const FACT_BYTES: usize = 1024 * 1024;
/// What a restart may have to replay, in time.
pub const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);
/// What a restart may have to replay, in bytes of log, and what is in memory because no checkpoint has
/// it yet: with four times as much a flood outgrows 512 MB.
pub const CHECKPOINT_BYTES: u64 = 64 * 1024 * 1024;
/// What a checkpoint may have to write, in customers.
pub const CHECKPOINT_CUSTOMERS: usize = 200_000;
/// Customers serialized under one lock of their partition.
pub(crate) const SAVED_PER_LOCK: usize = 64;
/// How long at most nobody looks at the clock while something waits for it: clocks are set, and
/// machines sleep, without a word to whoever sleeps.
pub const LOOK_AT_CLOCK: Duration = Duration::from_secs(1);
/// How long the writer waits before it asks a full disk again.
pub(crate) const FULL_DISK_PAUSE: Duration = Duration::from_millis(200);
/// Silence after which the log's witness is brought up to date.
pub(crate) const QUIET: Duration = Duration::from_secs(1);
/// Customers in memory, in bytes: some hundred thousand.
pub const CUSTOMERS_BYTES: usize = 512 * 1024 * 1024;
/// Customers looked for at start before those who have no room go.
pub(crate) const SETTLED_AFTER: usize = 1_024;
/// Keys of attributes that customers in memory share.
pub(crate) const POOLED_KEYS: usize = 10_000;
/// Customers on the clock that may not go, one after the other, before a turn gives up.
pub(crate) const EVICTION_PATIENCE: usize = 64;
/// Customers read from the store together by whoever visits all.
pub(crate) const WALKED_AT_ONCE: usize = 256;
/// Ids that such a visitor takes from a partition under one lock.
pub(crate) const WALKED_IDS: usize = 256;
/// Ids in one row of what became of ids: 80 KiB.
pub(crate) const IDS_PER_ROW: usize = 4_096;
/// Rows of what became of ids from which a start makes few.
pub(crate) const ID_ROWS: usize = 1_024;
/// Rows that one page may look at before it answers with what it has and a place to go on.
pub(crate) const ROWS_PER_PAGE: usize = 20_000;
/// Items of one page.
pub(crate) const ITEMS_PER_PAGE: usize = 1_000;
/// Occurrences of an event whose properties are all counted; later ones are sampled.
pub(crate) const COUNTED_OCCURRENCES: u64 = 100;
/// One in so many is looked at after that.
pub(crate) const SAMPLE: u64 = 64;
/// Properties of one event name in the catalogue.
pub(crate) const CATALOGUE_PROPERTIES: usize = 200;
/// Names of events, and keys of attributes, in the catalogue of one project.
pub(crate) const CATALOGUE_NAMES: usize = 2_000;
/// Values of one property that are counted; the ten most frequent are shown.
pub(crate) const CATALOGUE_VALUES: usize = 40;
/// Values shown.
pub(crate) const TOP_VALUES: usize = 10;
/// Longer texts are not values but prose.
pub(crate) const VALUE_CHARS: usize = 64;
/// Properties of past events kept parsed.
pub(crate) const PARSED_PROPERTIES: usize = 4_096;
/// Errors of a delivery's history kept.
pub(crate) const DELIVERY_STEPS: usize = 64;
/// Records applied at start before their state is written, so that a rebuild needs no more memory
/// than the customers do.
pub(crate) const REPLAYED_PER_CHECKPOINT: u64 = 200_000;
/// Positions in one row of an index: a few hundred bytes.
pub(crate) const POSITIONS_PER_ROW: usize = 256;
/// Threads of one count that has to ask rows; more would take the applier's cores.
pub(crate) const COUNTING_THREADS: usize = 8;

/// An id that was seen counts once for so long, by the clock of the log: thirty days.
pub(crate) const SEEN_FOR_MS: i64 = 30 * 24 * 3_600_000;
/// Ids that are kept in memory as they are, some 20 MB; the older ones need a tenth of that.
pub(crate) const SEEN_IDS: usize = 900_000;
/// Generations of as many ids beside those, some 450 MB of filters: 225 million ids. Of more within
/// thirty days the oldest are forgotten.
pub(crate) const SEEN_GENERATIONS: usize = 250;
/// Ids of one checkpoint in one row.
pub(crate) const SEEN_PER_ROW: usize = 1_024;
