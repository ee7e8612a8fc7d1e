//! Does a condition hold for a customer at a moment? The hot path.
//!
//! Counts without property conditions are differences of positions in a sorted series. With property
//! conditions the latest occurrence is read first, and reading stops when the count is decided.

use crate::condition::test::{self, TestContext};
use crate::customer::{Occurrence, Tally};
use crate::ids;
use crate::outreach::compiled::{Ask, Condition, EventTest, Window};
use crate::outreach::definition::{Count, OutreachStep};
use crate::situation::{Happening, Occasion, Situation};
use crate::time::{self, Timestamp};
use crate::value;

/// Does the condition hold?
pub fn holds(condition: &Condition, s: &Situation<'_>) -> bool {
    holds_in(condition, None, s)
}

/// Does the condition hold for an event with these properties?
pub fn holds_for(condition: &Condition, properties: &serde_json::Value, s: &Situation<'_>) -> bool {
    holds_in(condition, Some(properties), s)
}

fn holds_in(
    condition: &Condition,
    properties: Option<&serde_json::Value>,
    s: &Situation<'_>,
) -> bool {
    match &condition.ask {
        Ask::All(children) => children.iter().all(|child| holds_in(child, properties, s)),
        Ask::Any(children) => {
            children.is_empty() || children.iter().any(|child| holds_in(child, properties, s))
        }
        Ask::None(children) => !children.iter().any(|child| holds_in(child, properties, s)),
        Ask::Attribute { key, test } => match s.customer.attributes.get(key.as_str()) {
            Some(attribute) => test::passes(test, Some(&attribute.value), &context(s)),
            None => test::passes(test, s.customer.attribute(key).as_ref(), &context(s)),
        },
        Ask::Property { path, test } => {
            let value = properties.and_then(|properties| value::at_path(properties, path));
            test::passes(test, value.as_ref(), &context(s))
        }
        Ask::Event { event, test, window, conditions, exclude_trigger, name: _ } => {
            let events = Events { key: *event, conditions: conditions.as_deref(), s };
            events.pass(test, window, *exclude_trigger)
        }
        Ask::Outreach { outreach, was, window, negate, id: _ } => {
            let times =
                s.customer.tallies.get(outreach).map_or(&[][..], |tally| steps(tally, *was));
            let bounds = bounds(window, s);
            let happened = times.iter().any(|at| bounds.contain(*at));
            happened != *negate
        }
        Ask::Segment { condition, negate, id: _ } => {
            let member = condition.as_ref().is_none_or(|condition| holds(condition, s));
            member != *negate
        }
        Ask::RandomBucket { from, to, salt } => in_bucket(*from, *to, salt, s),
    }
}

/// The moments of a step of an outreach.
pub(super) fn steps(tally: &Tally, step: OutreachStep) -> &[Timestamp] {
    match step {
        OutreachStep::Sent => &tally.granted,
        OutreachStep::Displayed => &tally.displayed,
        OutreachStep::Clicked => &tally.clicked,
        OutreachStep::Answered => &tally.answered,
        OutreachStep::Dismissed => &tally.dismissed,
        OutreachStep::Converted => &tally.converted,
    }
}

/// What a test of a value needs.
pub(super) fn context<'a>(s: &'a Situation<'_>) -> TestContext<'a> {
    TestContext { now: s.now, zone: &s.zone }
}

/// A window at a moment: `after < at <= until`. Never beyond now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) after: Timestamp,
    pub(super) until: Timestamp,
}

impl Bounds {
    pub(super) fn contain(self, at: Timestamp) -> bool {
        self.after < at && at <= self.until
    }
}

/// The bounds of a window now.
pub(super) fn bounds(window: &Window, s: &Situation<'_>) -> Bounds {
    match window {
        Window::Ever => Bounds { after: Timestamp::MIN, until: s.now },
        Window::Last { amount, unit } => {
            Bounds { after: time::shift(s.now, -i64::from(*amount), *unit, &s.zone), until: s.now }
        }
        Window::Between { from, to } => {
            let (from, to) = (time::parse_range(from, &s.zone), time::parse_range(to, &s.zone));
            match (from, to) {
                (Some((first, _)), Some((_, next))) => {
                    Bounds { after: first.plus_ms(-1), until: next.plus_ms(-1).min(s.now) }
                }
                (Some(_) | None, Some(_) | None) => Bounds { after: s.now, until: s.now },
            }
        }
        Window::SinceFirstSeen => {
            let after = s.customer.first_seen.map_or(Timestamp::MIN, |at| at.plus_ms(-1));
            Bounds { after, until: s.now }
        }
    }
}

/// The events of one name, and which of them count.
pub(super) struct Events<'a, 'b> {
    pub(super) key: u64,
    pub(super) conditions: Option<&'a Condition>,
    pub(super) s: &'a Situation<'b>,
}

impl<'a> Events<'a, '_> {
    fn pass(&self, test: &EventTest, window: &Window, exclude_trigger: bool) -> bool {
        let without = self.trigger().filter(|_| exclude_trigger).map(Happening::occurrence);
        let bounds = bounds(window, self.s);
        match test {
            EventTest::Count(count) => {
                let occurrences = self.within(bounds);
                let skipped = without.filter(|trigger| is_among(occurrences, *trigger));
                self.count_passes(count, occurrences, skipped)
            }
            EventTest::First => self
                .within(Bounds { after: Timestamp::MIN, until: self.s.now })
                .iter()
                .find(|occurrence| Some(**occurrence) != without)
                .is_some_and(|first| bounds.contain(first.at) && self.meets(*first)),
            EventTest::Last => self
                .within(Bounds { after: Timestamp::MIN, until: self.s.now })
                .iter()
                .rev()
                .find(|occurrence| Some(**occurrence) != without)
                .is_some_and(|last| bounds.contain(last.at) && self.meets(*last)),
        }
    }

    /// All occurrences in a window.
    pub(super) fn within(&self, bounds: Bounds) -> &'a [Occurrence] {
        let series = self.s.customer.series.get(&self.key);
        series.map_or(&[], |series| series.within(bounds.after, bounds.until))
    }

    /// The triggering event, when it has this name.
    pub(super) fn trigger(&self) -> Option<&'a Happening> {
        match self.s.occasion {
            Occasion::Event(happening) if happening.key == self.key => Some(happening),
            Occasion::Event(_)
            | Occasion::Property
            | Occasion::OneOff { .. }
            | Occasion::Question => None,
        }
    }

    /// Does an occurrence meet the conditions on its properties?
    pub(super) fn meets(&self, occurrence: Occurrence) -> bool {
        let Some(conditions) = self.conditions else { return true };
        match self.trigger().filter(|trigger| trigger.occurrence() == occurrence) {
            Some(trigger) => holds_for(conditions, trigger.properties(), self.s),
            None => {
                let properties = self.s.history.properties(occurrence.position, self.key);
                holds_for(conditions, &properties, self.s)
            }
        }
    }

    fn count_passes(
        &self,
        count: &Count,
        occurrences: &[Occurrence],
        skipped: Option<Occurrence>,
    ) -> bool {
        let open = occurrences.len() as u64 - u64::from(skipped.is_some());
        if self.conditions.is_none() {
            return test::count_allows(count, open);
        }
        let (least, most) = test::count_range(count);
        let (mut found, mut open) = (0_u64, open);
        for occurrence in occurrences.iter().rev().filter(|one| Some(**one) != skipped) {
            if found > most || found + open < least {
                return false;
            }
            if found >= least && found + open <= most {
                return true;
            }
            open -= 1;
            found += u64::from(self.meets(*occurrence));
        }
        least <= found && found <= most
    }
}

pub(super) fn is_among(occurrences: &[Occurrence], one: Occurrence) -> bool {
    occurrences.binary_search(&one).is_ok()
}

/// A customer's place in the order of a salt, in hundredths of a percent.
pub fn bucket(salt: &str, s: &Situation<'_>) -> u32 {
    let place = ids::hash(&[salt.as_bytes(), &s.id.to_bytes()]) % 10_000;
    u32::try_from(place).unwrap_or(0)
}

fn in_bucket(from: u32, to: u32, salt: &str, s: &Situation<'_>) -> bool {
    let place = bucket(salt, s);
    let inside = |place: u32| from <= place && place < to;
    inside(place) || inside(place + 10_000)
}
