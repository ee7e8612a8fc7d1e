//! The one place where time comes from. The engine sees it only through records.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use engine::time::Timestamp;

/// Where the host's time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The wall's.
    Wall,
    /// Milliseconds that somebody else moves, for the demo, tests and the simulator;
    /// they call [`crate::Host::clock_moved`] afterwards.
    Virtual(Arc<AtomicI64>),
}

impl Clock {
    /// The moment now.
    pub(crate) fn now(&self) -> Timestamp {
        match self {
            Clock::Wall => {
                let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                let ms = since.map_or(0, |since| since.as_millis());
                Timestamp(i64::try_from(ms).unwrap_or(i64::MAX))
            }
            Clock::Virtual(ms) => Timestamp(ms.load(Ordering::Acquire)),
        }
    }

    /// How long to sleep until a moment; `None`: until somebody moves the clock.
    pub(crate) fn until(&self, moment: Timestamp) -> Option<Duration> {
        match self {
            Clock::Wall => {
                let ms = moment.0.saturating_sub(self.now().0).max(0);
                Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
            }
            Clock::Virtual(_) => None,
        }
    }
}
