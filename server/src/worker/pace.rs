//! Rate limits of outreaches: so many sends per span over all customers, evenly spread.
//!
//! An even spread rather than bursts: "600 per hour" to a call centre means one each six seconds.
//! Kept in memory: a restart may send one early, never more.

use std::collections::HashMap;

use engine::ids::{OutreachNo, ProjectNo};
use engine::outreach::definition::{RateLimit, Span, Unit};
use engine::time::Timestamp;

/// When each limited outreach may send next.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    next: HashMap<(ProjectNo, OutreachNo), Timestamp>,
}

impl Pace {
    /// Take a slot, and say when it is: now, or later.
    pub(crate) fn slot(
        &mut self,
        outreach: (ProjectNo, OutreachNo),
        limit: &RateLimit,
        now: Timestamp,
    ) -> Timestamp {
        let spacing = length_ms(limit.per) / i64::from(limit.sends.max(1));
        let slot = self.next.get(&outreach).copied().unwrap_or(now).max(now);
        self.next.insert(outreach, slot.plus_ms(spacing));
        slot
    }
}

/// About how long a span is. For pacing a calendar month may well have thirty days.
fn length_ms(span: Span) -> i64 {
    let unit = match span.unit {
        Unit::Seconds => 1,
        Unit::Minutes => 60,
        Unit::Hours => 3_600,
        Unit::Days => 86_400,
        Unit::Weeks => 7 * 86_400,
        Unit::Months => 30 * 86_400,
        Unit::Years => 365 * 86_400,
    };
    i64::from(span.amount) * unit * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_evenly_spread() {
        let mut pace = Pace::default();
        let limit = RateLimit { sends: 600, per: Span { amount: 1, unit: Unit::Hours } };
        let outreach = (ProjectNo(1), OutreachNo(1));
        assert_eq!(pace.slot(outreach, &limit, Timestamp(0)), Timestamp(0));
        assert_eq!(pace.slot(outreach, &limit, Timestamp(0)), Timestamp(6_000));
        assert_eq!(pace.slot(outreach, &limit, Timestamp(0)), Timestamp(12_000));
        assert_eq!(pace.slot(outreach, &limit, Timestamp(60_000)), Timestamp(60_000));
        let other = (ProjectNo(1), OutreachNo(2));
        assert_eq!(pace.slot(other, &limit, Timestamp(0)), Timestamp(0));
    }
}
