//! The closed list of what the state holds. The shapes of the keys and rows belong to the host crate, which computes
//! them from the log; here is only how each keyspace is used, because the tuning follows from it.
//!
//! | keyspace | key → value | read | deleted |
//! |---|---|---|---|
//! | `Meta` | name → applied log position of each partition, counters | at start | never |
//! | `Customers` | project, customer → row | by key, once per event of a customer that is not cached | erasure |
//! | `Timeline` | project, customer, position → nothing (the event is in the log) | by range, newest first | retention |
//! | `Decisions` | project, outreach, position → customer | by range, newest first | retention |
//! | `Deliveries` | project, delivery → row; and index rows | by key and by range | retention |
//! | `Seen` | generation, first bits of ids → ids; filters; ids of the young generation | by key; the rest at start | after the dedupe window |
//! | `Config` | kind, name → JSON | all of it, at start | by the user |
//! | `Index` | ids; project, customer → what waits for them | all of it, at start | with what it names |
//!
//! A keyspace keeps the tuning it was created with: a change here needs a new `STATE_FORMAT`.

use fjall::KeyspaceCreateOptions;
use fjall::config::{
    BlockSizePolicy, BloomConstructionPolicy, FilterPolicy, FilterPolicyEntry, PartitioningPolicy,
};

const KIB: u32 = 1024;
const MIB: u64 = 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyspace {
    Meta,
    Customers,
    Timeline,
    Decisions,
    Deliveries,
    Seen,
    Config,
    Index,
}

impl Keyspace {
    /// In the order of the variants.
    pub const ALL: [Keyspace; 8] = [
        Keyspace::Meta,
        Keyspace::Customers,
        Keyspace::Timeline,
        Keyspace::Decisions,
        Keyspace::Deliveries,
        Keyspace::Seen,
        Keyspace::Config,
        Keyspace::Index,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Keyspace::Meta => "meta",
            Keyspace::Customers => "customers",
            Keyspace::Timeline => "timeline",
            Keyspace::Decisions => "decisions",
            Keyspace::Deliveries => "deliveries",
            Keyspace::Seen => "seen",
            Keyspace::Config => "config",
            Keyspace::Index => "index",
        }
    }

    /// The memtables together stay below 60 MiB; they grow only as far as they are used.
    pub(super) fn options(self) -> KeyspaceCreateOptions {
        match self {
            Keyspace::Meta | Keyspace::Config => tuned(MIB, 4 * KIB, by_key()),
            Keyspace::Customers => tuned(16 * MIB, 8 * KIB, by_key()),
            Keyspace::Deliveries => tuned(8 * MIB, 8 * KIB, by_key()),
            Keyspace::Index => tuned(4 * MIB, 16 * KIB, FilterPolicy::disabled()),
            // Read by range only: a filter would cost memory and answer nothing.
            Keyspace::Timeline | Keyspace::Decisions => {
                tuned(8 * MIB, 16 * KIB, FilterPolicy::disabled())
            }
            // Asked only for what a filter of the host's thinks is there.
            Keyspace::Seen => tuned(8 * MIB, 8 * KIB, by_key()),
        }
    }
}

fn tuned(memtable_bytes: u64, block_bytes: u32, filter: FilterPolicy) -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default()
        .max_memtable_size(memtable_bytes)
        .data_block_size_policy(BlockSizePolicy::all(block_bytes))
        .filter_policy(filter)
        // In pieces from the second level on. Whole, the filter and the index of a big table are larger than what the
        // small cache admits, and would be read from the file again with every lookup (measured: 224 µs each).
        .filter_block_partitioning_policy(PartitioningPolicy::new([false, true]))
        .index_block_partitioning_policy(PartitioningPolicy::new([false, true]))
}

/// One needless block read in a hundred.
fn by_key() -> FilterPolicy {
    FilterPolicy::all(FilterPolicyEntry::Bloom(BloomConstructionPolicy::BitsPerKey(10.0)))
}
