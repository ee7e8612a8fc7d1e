//! The readers: they take `&self` and short locks, and never wait for the applier's turn.
//!
//! Lists go from the newest to the oldest, page by page. A page that looked at very many rows
//! without finding enough says where to go on; so no question can hold the process.

pub mod customers;
pub mod timeline;
pub mod decisions;
pub mod deliveries;
pub mod audience;
pub mod explain;
pub mod projects;

use crate::record::Unreadable;
use store::log::LogError;
use store::state::StateError;

/// Why a question has no answer: the disk failed.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The state store.
    #[error(transparent)]
    State(#[from] StateError),
    /// A record of the log.
    #[error(transparent)]
    Record(#[from] Unreadable),
}

impl From<LogError> for QueryError {
    fn from(error: LogError) -> QueryError {
        QueryError::Record(Unreadable::Log(error))
    }
}

/// Some items, and where to go on.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Pass this as `before` for the next page; `None`: there is no more.
    pub next: Option<u64>,
}

/// How far a reader looks: `from` the newest, at most `rows` rows for at most `items` items.
pub(crate) struct Budget {
    pub(crate) items: usize,
    pub(crate) rows: usize,
}

impl Budget {
    pub(crate) fn of(limit: usize) -> Budget {
        Budget {
            items: limit.clamp(1, crate::limits::ITEMS_PER_PAGE),
            rows: crate::limits::ROWS_PER_PAGE,
        }
    }

    /// Rows to fetch for what is missing: some more than needed, since a filter drops some.
    pub(crate) fn fetch(&self, found: usize) -> usize {
        (self.items.saturating_sub(found) * 4).clamp(64, 1_024).min(self.rows)
    }
}
