//! The tree of conditions: names to keys, segments looked up, muted branches left out.

use std::sync::Arc;

use super::Draft;
use super::names::nearest;
use crate::customer::{STANDARD_ATTRIBUTES, canonical_key};
use crate::fact::event_key;
use crate::outreach::compiled::{Ask, Condition, EventTest, Test, Window};
use crate::outreach::definition::{self, Count};
use crate::time;

/// Groups inside groups: what a person can still read, with room, and what recursion can stand.
const DEPTH: usize = 16;
/// Conditions in one tree.
const CONDITIONS: usize = 500;

/// Where a condition stands decides what it may ask.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// An audience or a segment.
    Filter,
    /// The trigger on a user property: only what an attribute write or the clock can turn.
    PropertyTrigger,
    /// The properties of one event.
    Where,
}

impl Draft<'_> {
    /// A filter; muted altogether it holds for everyone.
    pub(super) fn filter(&mut self, filter: &definition::Condition, pointer: &str) -> Condition {
        self.tree(filter, Place::Filter, pointer)
            .unwrap_or_else(|| Condition { pointer: Arc::from(pointer), ask: Ask::All(Vec::new()) })
    }

    /// A tree of conditions; `None` when all of it is muted.
    pub(super) fn tree(
        &mut self,
        condition: &definition::Condition,
        place: Place,
        pointer: &str,
    ) -> Option<Condition> {
        let mut left = CONDITIONS + 1;
        let fits = self.check_size(condition, pointer, 1, &mut left);
        if left == 0 {
            let message =
                format!("There are more than {CONDITIONS} conditions; move some into a segment.");
            self.add(pointer, "too_many_conditions", message);
        }
        if fits && left > 0 { self.condition(condition, place, pointer) } else { None }
    }

    /// Sizes first, so that nothing after it recurses deeper than allowed.
    fn check_size(
        &mut self,
        condition: &definition::Condition,
        pointer: &str,
        depth: usize,
        left: &mut usize,
    ) -> bool {
        *left = left.saturating_sub(1);
        if depth > DEPTH {
            let message =
                format!("This is nested more than {DEPTH} deep; flatten it or use a segment.");
            self.add(pointer, "too_deep", message);
            return false;
        }
        let mut fits = true;
        for (child, pointer) in children(condition, pointer) {
            fits &= *left > 0 && self.check_size(child, &pointer, depth + 1, left);
        }
        fits
    }

    fn condition(
        &mut self,
        condition: &definition::Condition,
        place: Place,
        pointer: &str,
    ) -> Option<Condition> {
        self.check_place(condition, place, pointer);
        let ask = match condition {
            definition::Condition::Muted { .. } => return None,
            definition::Condition::All { .. } => Ask::All(self.group(condition, place, pointer)),
            definition::Condition::Any { .. } => Ask::Any(self.group(condition, place, pointer)),
            definition::Condition::None { .. } => Ask::None(self.group(condition, place, pointer)),
            definition::Condition::Attribute { attribute, test } => {
                let key = self.standard_attribute(attribute, pointer);
                Ask::Attribute { key, test: self.test(test, pointer) }
            }
            definition::Condition::CustomAttribute { attribute, test } => {
                let key = self.custom_attribute(attribute, pointer);
                Ask::Attribute { key, test: self.test(test, pointer) }
            }
            definition::Condition::Property { property, test } => {
                self.check_name(property, 200, &format!("{pointer}/property"));
                Ask::Property { path: property.trim().to_owned(), test: self.test(test, pointer) }
            }
            definition::Condition::Event { event, test, window, conditions, exclude_trigger } => {
                self.check_event_name(event, &format!("{pointer}/event"));
                Ask::Event {
                    event: event_key(event),
                    name: event.trim().to_owned(),
                    test: self.event_test(test, pointer),
                    window: self.window(window, pointer),
                    conditions: self.conditions(conditions.as_deref(), pointer).map(Box::new),
                    exclude_trigger: *exclude_trigger,
                }
            }
            definition::Condition::Outreach { outreach, was, window, negate } => {
                let window = self.window(window, pointer);
                let (no, id) = self.outreach(outreach, pointer)?;
                Ask::Outreach { outreach: no, id, was: *was, window, negate: *negate }
            }
            definition::Condition::Segment { segment, negate } => Ask::Segment {
                id: segment.clone(),
                condition: self.segment(segment, pointer),
                negate: *negate,
            },
            definition::Condition::RandomBucket { percent, from, salt } => {
                let share = self.percent(*percent, &format!("{pointer}/percent"));
                let from = self.percent(*from, &format!("{pointer}/from"));
                Ask::RandomBucket { from, to: from + share, salt: salt.clone() }
            }
        };
        Some(Condition { pointer: Arc::from(pointer), ask })
    }

    fn group(
        &mut self,
        group: &definition::Condition,
        place: Place,
        pointer: &str,
    ) -> Vec<Condition> {
        let children = children(group, pointer);
        children
            .into_iter()
            .filter_map(|(child, pointer)| self.condition(child, place, &pointer))
            .collect()
    }

    /// The `where` of something at `pointer`.
    pub(super) fn conditions(
        &mut self,
        conditions: Option<&definition::Condition>,
        pointer: &str,
    ) -> Option<Condition> {
        self.tree(conditions?, Place::Where, &format!("{pointer}/where"))
    }

    fn check_place(&mut self, condition: &definition::Condition, place: Place, pointer: &str) {
        use definition::Condition as C;
        let here = format!("{pointer}/kind");
        match (condition, place) {
            (C::All { .. } | C::Any { .. } | C::None { .. } | C::Muted { .. }, _)
            | (C::Attribute { .. } | C::CustomAttribute { .. }, Place::Filter)
            | (C::Attribute { .. } | C::CustomAttribute { .. }, Place::PropertyTrigger)
            | (C::Property { .. }, Place::Where)
            | (C::Event { .. } | C::Outreach { .. }, Place::Filter)
            | (C::Segment { .. } | C::RandomBucket { .. }, Place::Filter) => {}
            (C::Property { .. }, Place::Filter | Place::PropertyTrigger) => self.add(
                &here,
                "property_outside_where",
                "A property belongs to an event: move this into the `where` of an event, or use \
                 `attribute` or `custom_attribute` for what is known of the customer.",
            ),
            (
                C::Attribute { .. }
                | C::CustomAttribute { .. }
                | C::Event { .. }
                | C::Outreach { .. }
                | C::Segment { .. }
                | C::RandomBucket { .. },
                Place::Where,
            ) => self.add(
                &here,
                "not_in_where",
                "A `where` asks for properties of the event: use `property` here, and move \
                 conditions on the customer into the audience.",
            ),
            (
                C::Event { .. } | C::Outreach { .. } | C::Segment { .. } | C::RandomBucket { .. },
                Place::PropertyTrigger,
            ) => self.add(
                &here,
                "not_in_property_trigger",
                "A property trigger watches attributes only: use `attribute` or \
                 `custom_attribute` here, and move this condition into the audience.",
            ),
        }
    }

    fn standard_attribute(&mut self, attribute: &str, pointer: &str) -> String {
        let here = format!("{pointer}/attribute");
        let key = canonical_key(attribute);
        if !STANDARD_ATTRIBUTES.contains(&key.as_str()) {
            let hint = match nearest(&key, STANDARD_ATTRIBUTES.iter().copied()) {
                Some(name) => format!("did you mean `{name}`? Otherwise"),
                None => "for an attribute of your own".to_owned(),
            };
            let message = format!(
                "`{attribute}` is not a standard attribute; {hint} use the kind `custom_attribute`."
            );
            self.add(&here, "unknown_attribute", message);
        }
        key
    }

    fn custom_attribute(&mut self, attribute: &str, pointer: &str) -> String {
        let here = format!("{pointer}/attribute");
        self.check_name(attribute, 200, &here);
        let key = canonical_key(attribute);
        if STANDARD_ATTRIBUTES.contains(&key.as_str()) {
            let message = format!("`{key}` is a standard attribute; use the kind `attribute`.");
            self.add(&here, "standard_attribute", message);
        }
        key
    }

    fn test(&mut self, test: &definition::Test, pointer: &str) -> Test {
        self.comparison(test, &format!("{pointer}/test"))
    }

    fn event_test(&mut self, test: &definition::EventTest, pointer: &str) -> EventTest {
        match test {
            definition::EventTest::Performed => EventTest::Count(Count::AtLeast { n: 1 }),
            definition::EventTest::NotPerformed => EventTest::Count(Count::Exactly { n: 0 }),
            definition::EventTest::Count { count } => {
                self.check_count(count, &format!("{pointer}/test/count"));
                EventTest::Count(count.clone())
            }
            definition::EventTest::First => EventTest::First,
            definition::EventTest::Last => EventTest::Last,
        }
    }

    fn window(&mut self, window: &definition::Window, pointer: &str) -> Window {
        let pointer = format!("{pointer}/window");
        match window {
            definition::Window::Ever => Window::Ever,
            definition::Window::Last { amount, unit } => {
                self.check_amount(*amount, 1, &format!("{pointer}/amount"));
                Window::Last { amount: *amount, unit: *unit }
            }
            definition::Window::Between { from, to } => {
                self.check_dates(from, to, &pointer);
                Window::Between { from: from.clone(), to: to.clone() }
            }
            definition::Window::SinceFirstSeen => Window::SinceFirstSeen,
        }
    }

    fn outreach(&mut self, id: &str, pointer: &str) -> Option<(crate::ids::OutreachNo, String)> {
        let here = format!("{pointer}/outreach");
        if id == "this" {
            if self.this.is_none() {
                let message = "`this` means the outreach that holds the condition, and there is \
                               none here; write the outreach's id.";
                self.add(&here, "no_this_outreach", message);
            }
            return self.this.map(|no| (no, id.to_owned()));
        }
        self.known_outreach(id, &here).map(|no| (no, id.to_owned()))
    }

    pub(super) fn known_outreach(
        &mut self,
        id: &str,
        pointer: &str,
    ) -> Option<crate::ids::OutreachNo> {
        let known = self.project.numbers.get(id).copied();
        if known.is_none() {
            let hint = nearest(id, self.project.numbers.keys().map(String::as_str))
                .map_or("check its id.".to_owned(), |near| format!("did you mean `{near}`?"));
            self.add(pointer, "unknown_outreach", format!("There is no outreach `{id}`; {hint}"));
        }
        known
    }

    /// The condition of a segment. The project keeps it compiled; while it does not (yet), the
    /// segment is compiled here, so that the order in which segments are saved does not matter.
    fn segment(&mut self, id: &str, pointer: &str) -> Option<Arc<Condition>> {
        let here = format!("{pointer}/segment");
        let project = self.project;
        let Some(segment) = project.segments.get(id) else {
            let hint = nearest(id, project.segments.keys().map(String::as_str))
                .map_or("check its id.".to_owned(), |near| format!("did you mean `{near}`?"));
            self.add(&here, "unknown_segment", format!("There is no segment `{id}`; {hint}"));
            return None;
        };
        if self.leads_back(id) {
            let message = format!(
                "Segment `{id}` contains this segment, so neither could be answered; remove one of \
                 the two."
            );
            self.add(&here, "segment_cycle", message);
            return None;
        }
        let filter = segment.filter.as_ref()?;
        if let Some(condition) = &segment.condition {
            return Some(Arc::clone(condition));
        }
        let mut inner = Draft::new(project, None);
        inner.inside.clone_from(&self.inside);
        inner.inside.push(id.to_owned());
        let condition = inner.filter(filter, "");
        if let Some(problem) = inner.problems.first() {
            let message = format!("Segment `{id}` has a problem itself: {}", problem.message);
            self.add(&here, &problem.code, message);
        }
        Some(Arc::new(condition))
    }

    /// Does a segment, or one that it names, lead back to one we are inside of?
    fn leads_back(&self, id: &str) -> bool {
        let mut seen = vec![id.to_owned()];
        let mut place = 0;
        while let Some(here) = seen.get(place).cloned() {
            if self.inside.contains(&here) {
                return true;
            }
            let filter = self.project.segments.get(&here).and_then(|other| other.filter.as_ref());
            for named in filter.map(segments_in).unwrap_or_default() {
                if !seen.contains(&named) {
                    seen.push(named);
                }
            }
            place += 1;
        }
        false
    }

    /// Two dates in order. `pointer` is what holds `from` and `to`.
    pub(super) fn check_dates(&mut self, from: &str, to: &str, pointer: &str) {
        let first = self.check_date(from, &format!("{pointer}/from"));
        let last = self.check_date(to, &format!("{pointer}/to"));
        if let (Some((first, _)), Some((_, next))) = (first, last)
            && next <= first
        {
            let message = format!("{to} is before {from}; exchange them.");
            self.add(&format!("{pointer}/to"), "from_after_to", message);
        }
    }

    pub(super) fn check_date(
        &mut self,
        text: &str,
        pointer: &str,
    ) -> Option<(time::Timestamp, time::Timestamp)> {
        let range = time::parse_range(text, &self.project.zone);
        if range.is_none() {
            let message = format!(
                "{text:?} is not a date; write a day like 2026-01-31 or a moment like \
                 2026-01-31T09:00:00Z."
            );
            self.add(pointer, "unreadable_date", message);
        }
        range
    }
}

/// The segments a filter names, in the order in which they stand there; muted ones do not count.
pub fn segments_in(filter: &definition::Condition) -> Vec<String> {
    if let definition::Condition::Segment { segment, .. } = filter {
        return vec![segment.clone()];
    }
    if let definition::Condition::Muted { .. } = filter {
        return Vec::new();
    }
    children(filter, "").into_iter().flat_map(|(child, _)| segments_in(child)).collect()
}

/// What stands directly inside a condition, with its pointer.
fn children<'c>(
    condition: &'c definition::Condition,
    pointer: &str,
) -> Vec<(&'c definition::Condition, String)> {
    match condition {
        definition::Condition::All { conditions }
        | definition::Condition::Any { conditions }
        | definition::Condition::None { conditions } => {
            let at = |place: usize| format!("{pointer}/conditions/{place}");
            conditions.iter().enumerate().map(|(place, child)| (child, at(place))).collect()
        }
        definition::Condition::Muted { condition } => {
            vec![(condition, format!("{pointer}/condition"))]
        }
        definition::Condition::Attribute { .. }
        | definition::Condition::CustomAttribute { .. }
        | definition::Condition::Property { .. }
        | definition::Condition::Event { .. }
        | definition::Condition::Outreach { .. }
        | definition::Condition::Segment { .. }
        | definition::Condition::RandomBucket { .. } => Vec::new(),
    }
}
