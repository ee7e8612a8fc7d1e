//! The one place where time comes from. The engine sees it only through records.
//!
//! The wall's clock is set by people and machines, and it may be set back to before what stands in
//! the log. The log's time never runs backwards, but it may not stand still either: whoever waits
//! for five minutes would wait for as long as the clock was wrong. So time goes on at half the pace
//! until the wall has caught up ([`Ahead`]). Nothing is early by it, and it heals by itself.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use engine::time::Timestamp;

use crate::limits::LOOK_AT_CLOCK;
use crate::locks::lock;

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

    /// How long to sleep until a moment, or until the clock is to be looked at again, since it may
    /// have been set, or the machine may have slept; `None`: until somebody moves the clock.
    pub(crate) fn until(&self, moment: Timestamp) -> Option<Duration> {
        match self {
            Clock::Wall => {
                let ms = moment.0.saturating_sub(self.now().0).max(0);
                Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0)).min(LOOK_AT_CLOCK))
            }
            Clock::Virtual(_) => None,
        }
    }
}

/// Time while the log is ahead of the wall: since when it goes on from which moment.
#[derive(Debug, Default)]
pub(crate) struct Ahead(Mutex<Option<(Timestamp, Instant)>>);

impl Ahead {
    /// The moment now, by an instant that nobody can set; never before `latest`.
    pub(crate) fn now(&self, latest: Timestamp, instant: Instant) -> Timestamp {
        let mut since = lock(&self.0);
        if let Some((from, begun)) = *since {
            let half = instant.saturating_duration_since(begun).as_millis() / 2;
            let now = from.plus_ms(i64::try_from(half).unwrap_or(i64::MAX));
            if now >= latest {
                return now;
            }
        }
        // It has just got ahead, or further ahead.
        *since = Some((latest, instant));
        latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_ahead_of_the_wall_goes_on_at_half_the_pace() {
        let ahead = Ahead::default();
        let begin = Instant::now();
        let after = |ms: u64| begin + Duration::from_millis(ms);
        assert_eq!(ahead.now(Timestamp(1_000), after(0)), Timestamp(1_000));
        // Asking often and writing down what was answered does not hold it up.
        let mut latest = Timestamp(1_000);
        for ms in 0..=1_000 {
            let now = ahead.now(latest, after(ms));
            assert!(now >= latest);
            latest = now;
        }
        assert_eq!(latest, Timestamp(1_500));
        // The log has got further ahead meanwhile.
        assert_eq!(ahead.now(Timestamp(9_000), after(1_100)), Timestamp(9_000));
        assert_eq!(ahead.now(Timestamp(9_000), after(1_200)), Timestamp(9_050));
    }
}
