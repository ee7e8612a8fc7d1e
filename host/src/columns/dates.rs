//! One stretch of time as it lies in every zone that somebody lives in.
//!
//! "The last 7 days" begins at another moment in each zone. What lies in the stretch of every zone
//! is sure, what lies in none is out, and only between them the zone of the customer is looked up.

use engine::condition::eval::bounds_at;
use engine::condition::test::{Moments, TestContext, moments};
use engine::outreach::compiled::{DateTest, Window};
use engine::time::{Timestamp, Zone};

/// From the first to the last, both included; nothing when the first is later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) first: i64,
    pub(super) last: i64,
}

impl Stretch {
    pub(super) fn contains(self, at: i64) -> bool {
        self.first <= at && at <= self.last
    }
}

/// A stretch in each zone.
#[derive(Clone, Debug)]
pub(super) struct Stretches {
    by_zone: Vec<(u16, Stretch)>,
    /// In every zone's.
    pub(super) core: Stretch,
    /// All zones'.
    pub(super) hull: Stretch,
}

impl Stretches {
    fn of(by_zone: Vec<(u16, Stretch)>) -> Stretches {
        let mut core = Stretch { first: i64::MIN, last: i64::MAX };
        let mut hull = Stretch { first: i64::MAX, last: i64::MIN };
        for (_, stretch) in &by_zone {
            core.first = core.first.max(stretch.first);
            core.last = core.last.min(stretch.last);
            hull.first = hull.first.min(stretch.first);
            hull.last = hull.last.max(stretch.last);
        }
        Stretches { by_zone, core, hull }
    }

    /// The moments that pass a test of dates; `None` when they are no stretch.
    pub(super) fn of_test(
        test: &DateTest,
        now: Timestamp,
        zones: &[(u16, Zone)],
    ) -> Option<Stretches> {
        let mut by_zone = Vec::with_capacity(zones.len());
        for (number, zone) in zones {
            match moments(test, &TestContext { now, zone }) {
                Moments::From(first, last) => {
                    by_zone.push((*number, Stretch { first: first.0, last: last.0 }));
                }
                Moments::OnTheDay => return None,
            }
        }
        Some(Stretches::of(by_zone))
    }

    /// The moments in a window.
    pub(super) fn of_window(window: &Window, now: Timestamp, zones: &[(u16, Zone)]) -> Stretches {
        let in_zone = |(number, zone): &(u16, Zone)| {
            let bounds = bounds_at(window, now, zone, None);
            let first = bounds.after.0.saturating_add(1);
            (*number, Stretch { first, last: bounds.until.0 })
        };
        let mut stretches = Stretches::of(zones.iter().map(in_zone).collect());
        if *window == Window::SinceFirstSeen {
            // From another moment for everybody: never sure.
            stretches.core.first = i64::MAX;
        }
        stretches
    }

    pub(super) fn in_zone(&self, number: u16) -> Option<Stretch> {
        let at = self.by_zone.binary_search_by_key(&number, |(zone, _)| *zone).ok()?;
        self.by_zone.get(at).map(|(_, stretch)| *stretch)
    }
}
