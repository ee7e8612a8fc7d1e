//! Who listens to an event: found by its name, then by what it must say.
//!
//! Of many outreaches on one name most ask for a certain value of a property: this product, that
//! plan. Such an equality is an anchor. An event looks its own values up among the anchors and
//! finds those who may want it; all others are never asked, however many there are. An anchor is a
//! necessary condition, no more: whoever is found is still asked in full.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::condition::test::fold;
use crate::ids::OutreachNo;
use crate::outreach::compiled::{Ask, Condition, NumberOp, Outreach, Test, TextOp, Trigger};
use crate::situation::Happening;
use crate::value;

/// An outreach and its turn: the lower, the earlier.
type Place = (u32, OutreachNo);

/// The outreaches with one event as their trigger.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    /// Those without an anchor.
    always: Vec<Place>,
    anchored: Vec<Anchored>,
}

/// Those who ask for a value of one property.
#[derive(Clone, Debug)]
struct Anchored {
    path: String,
    by_value: HashMap<Anchor, Vec<Place>>,
}

/// A value that an outreach asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Anchor {
    /// Folded: whoever tells `A` from `a` asks again.
    Text(String),
    /// The bits of a number; zero has no sign.
    Number(u64),
}

impl Listeners {
    /// The outreaches in the order of their turns.
    pub(super) fn new(outreaches: &[&Arc<Outreach>]) -> Listeners {
        let equalities: Vec<Vec<(&str, Vec<Anchor>)>> =
            outreaches.iter().map(|outreach| equalities(outreach)).collect();
        // The property with the most values tells the most apart.
        let mut values: BTreeMap<&str, BTreeSet<&Anchor>> = BTreeMap::new();
        for (path, anchors) in equalities.iter().flatten() {
            values.entry(path).or_default().extend(anchors);
        }
        let spread = |path: &str| values.get(path).map_or(0, BTreeSet::len);
        let mut listeners = Listeners::default();
        let mut by_path: BTreeMap<&str, HashMap<Anchor, Vec<Place>>> = BTreeMap::new();
        for ((turn, outreach), equalities) in (0..).zip(outreaches).zip(&equalities) {
            let place = (turn, outreach.no);
            match equalities.iter().max_by_key(|(path, _)| spread(path)) {
                None => listeners.always.push(place),
                Some((path, anchors)) => {
                    let by_value = by_path.entry(path).or_default();
                    for anchor in anchors {
                        by_value.entry(anchor.clone()).or_default().push(place);
                    }
                }
            }
        }
        let anchored = by_path.into_iter();
        listeners.anchored =
            anchored.map(|(path, by_value)| Anchored { path: path.to_owned(), by_value }).collect();
        listeners
    }

    /// Those who may want this event, in the order of their turns.
    pub(crate) fn of(&self, happening: &Happening) -> Cow<'_, [Place]> {
        if self.anchored.is_empty() {
            return Cow::Borrowed(&self.always);
        }
        let mut found = Cow::Borrowed(self.always.as_slice());
        for Anchored { path, by_value } in &self.anchored {
            let Some(value) = value::at_path(happening.properties(), path) else { continue };
            let text = value.as_text().map(|text| Anchor::Text(fold(&text)));
            let number = value.as_number().map(number_anchor);
            for places in [text, number].into_iter().flatten().filter_map(|one| by_value.get(&one))
            {
                found.to_mut().extend_from_slice(places);
            }
        }
        if let Cow::Owned(found) = &mut found {
            found.sort_unstable();
        }
        found
    }
}

fn number_anchor(number: f64) -> Anchor {
    // Minus zero equals zero.
    Anchor::Number((number + 0.0).to_bits())
}

/// The properties that must have one of some values for the trigger to fire.
fn equalities(outreach: &Outreach) -> Vec<(&str, Vec<Anchor>)> {
    let mut found = Vec::new();
    if let Trigger::Event { conditions: Some(conditions), .. } = &outreach.trigger {
        gather(conditions, &mut found);
    }
    found
}

fn gather<'a>(condition: &'a Condition, found: &mut Vec<(&'a str, Vec<Anchor>)>) {
    match &condition.ask {
        Ask::All(conditions) => conditions.iter().for_each(|one| gather(one, found)),
        Ask::Property { path, test } => {
            found.extend(anchors(test).map(|anchors| (path.as_str(), anchors)));
        }
        Ask::Any(_)
        | Ask::None(_)
        | Ask::Attribute { .. }
        | Ask::Event { .. }
        | Ask::Outreach { .. }
        | Ask::Segment { .. }
        | Ask::RandomBucket { .. } => {}
    }
}

/// The values with which a test can pass, when they can be listed.
fn anchors(test: &Test) -> Option<Vec<Anchor>> {
    match test {
        Test::Text { op: TextOp::Is | TextOp::IsAnyOf, values, match_case: _ } => {
            let folded: BTreeSet<String> = values.iter().map(|value| fold(value)).collect();
            Some(folded.into_iter().map(Anchor::Text).collect())
        }
        Test::Number { op: NumberOp::Equals, value } => Some(vec![number_anchor(*value)]),
        Test::Text { .. }
        | Test::Number { .. }
        | Test::IsSet
        | Test::IsNotSet
        | Test::IsEmpty
        | Test::Regex(_)
        | Test::NumberBetween { .. }
        | Test::Boolean(_)
        | Test::Date(_)
        | Test::List { .. }
        | Test::ListSize(_) => None,
    }
}
