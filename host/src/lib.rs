//! The engine on one machine: the log, the state, and the loop that joins them.
//!
//! Commands go into a bounded queue. One applier thread takes them in order, applies and judges
//! each, appends fact and ruling to the log, and goes on while the writer thread makes the group
//! durable; then the answers leave and the effects are published. Partitions are locks, so readers
//! see one customer whole.
//!
//! The way through the house: [`command`] what can be asked · `queue` · `resolve` who is meant ·
//! `enact` fact → ruling → log · `note` what follows · `writer` durable · `checkpoint` and `replay`
//! the state and its return · `launch` and `timers` what happens without anybody asking ·
//! [`columns`] what is counted · [`query`] the readers.
//!
//! Three threads: applier, writer, checkpoint. What a reader sees may be a group commit ahead of
//! the disk; nothing leaves the process before it is durable.
//!
//! Limits known today: ids are deduplicated for thirty days; an erased customer's bytes stay in the
//! log until its segments are rewritten.

pub mod command;
pub mod clock;
pub mod limits;
mod locks;
pub mod record;
mod queue;
mod shared;
mod known;
mod partition;
mod holding;
mod rows;
mod customer_row;
mod waits;
mod walk;
mod spread;
mod seen;
mod trails;
mod fresh;
pub mod catalogue;
mod books;
mod published;
mod resolve;
mod history;
mod enact;
mod note;
mod timers;
mod due;
mod applier;
mod change;
mod launch;
mod writer;
mod checkpoint;
mod replay;
mod fold;
mod open;
mod submit;
pub mod retry;
pub mod columns;
pub mod query;

pub use books::{Counts, LaunchProgress};
pub use clock::Clock;
pub use open::{Host, OpenError, Options, Sink, Watched};
pub use published::Published;
pub use queue::{Answer, Answers};
pub use rows::{DeliveryRow, DeliveryStep};
