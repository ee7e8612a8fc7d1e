//! The tree of conditions, asked of one customer at one moment.

use engine::ids::{CustomerId, hash};
use engine::outreach::definition::{Condition, Definition, EventTest, OutreachStep, Window};
use jiff::tz::TimeZone;

use super::clock::{self, Ms};
use super::compare;
use super::history::Event;
use super::values;
use super::{Model, event_name};

/// Who is asked, when, and on what occasion.
#[derive(Clone)]
pub struct Scene<'a> {
    /// Everything.
    pub model: &'a Model,
    /// Who.
    pub customer: CustomerId,
    /// When.
    pub now: Ms,
    /// The customer's zone.
    pub zone: TimeZone,
    /// The place of the triggering event.
    pub trigger: Option<usize>,
    /// The outreach that holds the condition.
    pub this: Option<&'a str>,
    /// The claim that is being judged again; it does not count as history of itself.
    pub own: Option<usize>,
    /// Inside a `where`: the event.
    pub event: Option<&'a Event>,
}

impl<'a> Scene<'a> {
    /// When the schedule of an outreach begins, for this customer.
    pub fn start(&self, definition: &Definition) -> Option<Ms> {
        let start = definition.schedule.start.as_deref()?;
        clock::read(start, &self.zone).map(|when| when.start(&self.zone))
    }

    /// No filter means everyone.
    pub fn admits(&self, filter: Option<&Condition>) -> bool {
        match filter {
            None => true,
            Some(condition) => self.all_hold(std::slice::from_ref(condition)),
        }
    }

    /// Does the condition hold? Every branch is asked, so that coverage sees all of them.
    pub fn holds(&self, condition: &Condition) -> bool {
        let answer = self.answer(condition);
        if self.model.is_counting() {
            self.model.note(&question(condition), answer);
        }
        answer
    }

    fn answer(&self, condition: &Condition) -> bool {
        match condition {
            Condition::All { conditions } => self.all_hold(conditions),
            Condition::Any { conditions } => self.any_holds(conditions),
            Condition::None { conditions } => !self.answers(conditions).contains(&true),
            // Only reached from outside a group, where it stands for no condition at all.
            Condition::Muted { .. } => true,
            Condition::Attribute { attribute, test }
            | Condition::CustomAttribute { attribute, test } => {
                let value = self.model.history.attribute(self.customer, attribute);
                compare::holds(test, value.as_ref(), self.now, &self.zone)
            }
            Condition::Property { property, test } => {
                let properties = self.event.map(|event| &event.properties);
                let value = properties.and_then(|object| values::at_path(object, property));
                compare::holds(test, value.as_ref(), self.now, &self.zone)
            }
            Condition::Event { event, test, window, conditions, exclude_trigger } => {
                let place = if *exclude_trigger { self.trigger } else { None };
                self.event_holds(event, test, window, conditions.as_deref(), place)
            }
            Condition::Outreach { outreach, was, window, negate } => {
                let times = self.steps(outreach, *was);
                times.into_iter().any(|at| self.within(window, at)) != *negate
            }
            Condition::Segment { segment, negate } => self.in_segment(segment) != *negate,
            Condition::RandomBucket { percent, from, salt } => {
                self.in_bucket(*percent, *from, salt)
            }
        }
    }

    /// The answers of those that are not muted.
    fn answers(&self, conditions: &[Condition]) -> Vec<bool> {
        let spoken = conditions.iter().filter(|one| !matches!(one, Condition::Muted { .. }));
        spoken.map(|condition| self.holds(condition)).collect()
    }

    fn all_hold(&self, conditions: &[Condition]) -> bool {
        !self.answers(conditions).contains(&false)
    }

    fn any_holds(&self, conditions: &[Condition]) -> bool {
        let answers = self.answers(conditions);
        answers.is_empty() || answers.contains(&true)
    }

    /// The conditions inside a `where`, asked of one event.
    pub fn event_meets(&self, event: &'a Event, conditions: Option<&Condition>) -> bool {
        Scene { event: Some(event), ..self.clone() }.admits(conditions)
    }

    fn event_holds(
        &self,
        name: &str,
        test: &EventTest,
        window: &Window,
        conditions: Option<&Condition>,
        left_out: Option<usize>,
    ) -> bool {
        let name = event_name(name);
        let events = self.model.history.events(self.customer);
        let named: Vec<&Event> = events
            .into_iter()
            .filter(|(place, event)| {
                event.name == name && event.at <= self.now && Some(*place) != left_out
            })
            .map(|(_, event)| event)
            .collect();
        let meets = |event: &&&'a Event| {
            self.within(window, event.at) && self.event_meets(event, conditions)
        };
        let times = named.iter().filter(meets).count() as u64;
        match test {
            EventTest::Performed => times > 0,
            EventTest::NotPerformed => times == 0,
            EventTest::Count { count } => compare::counts(count, times),
            EventTest::First => named.first().is_some_and(|event| meets(&event)),
            EventTest::Last => named.last().is_some_and(|event| meets(&event)),
        }
    }

    /// Does a moment lie in the window?
    fn within(&self, window: &Window, at: Ms) -> bool {
        if at > self.now {
            return false;
        }
        match window {
            Window::Ever => true,
            Window::Last { amount, unit } => {
                at > clock::before(self.now, *amount, *unit, &self.zone)
            }
            Window::Between { from, to } => {
                match (clock::read(from, &self.zone), clock::read(to, &self.zone)) {
                    (Some(from), Some(to)) => {
                        from.start(&self.zone) <= at && at <= to.last(&self.zone)
                    }
                    (None, _) | (_, None) => false,
                }
            }
            Window::SinceFirstSeen => {
                let first = self.model.history.first_seen(self.customer);
                first.is_some_and(|first| first <= at)
            }
        }
    }

    /// When something happened to an outreach.
    fn steps(&self, outreach: &str, was: OutreachStep) -> Vec<Ms> {
        let outreach = if outreach == "this" { self.this.unwrap_or("") } else { outreach };
        let history = &self.model.history;
        match was {
            OutreachStep::Sent => {
                let grants = history.grants_of(self.customer);
                grants
                    .filter(|(place, grant)| {
                        grant.outreach == outreach && grant.in_force() && Some(*place) != self.own
                    })
                    .map(|(_, grant)| grant.at)
                    .collect()
            }
            OutreachStep::Converted => history.conversions(self.customer, outreach),
            OutreachStep::Displayed
            | OutreachStep::Clicked
            | OutreachStep::Answered
            | OutreachStep::Dismissed => history.receipts(self.customer, outreach, was),
        }
    }

    fn in_segment(&self, segment: &str) -> bool {
        match self.model.segments.get(segment) {
            None => false,
            Some(filter) => Scene { this: None, ..self.clone() }.admits(filter.as_ref()),
        }
    }

    fn in_bucket(&self, percent: f64, from: f64, salt: &str) -> bool {
        let place = bucket(&[salt.as_bytes(), &self.customer.to_bytes()]);
        let (start, end) = (from * 100.0, (from + percent) * 100.0);
        (start <= place && place < end) || place + 10_000.0 < end
    }
}

/// What a condition is counted as.
fn question(condition: &Condition) -> String {
    match condition {
        Condition::All { .. } => "group all".to_owned(),
        Condition::Any { .. } => "group any".to_owned(),
        Condition::None { .. } => "group none".to_owned(),
        Condition::Muted { .. } => "group muted".to_owned(),
        Condition::Attribute { test, .. }
        | Condition::CustomAttribute { test, .. }
        | Condition::Property { test, .. } => format!("test {}", kind(test)),
        Condition::Event { test, window, .. } => {
            format!("event {} {}", kind(test), kind(window))
        }
        Condition::Outreach { was, .. } => format!("outreach {}", name(was)),
        Condition::Segment { negate, .. } => format!("segment negate={negate}"),
        Condition::RandomBucket { .. } => "random_bucket".to_owned(),
    }
}

/// A stable place among ten thousand.
pub fn bucket(parts: &[&[u8]]) -> f64 {
    let place = u32::try_from(hash(parts) % 10_000).unwrap_or(0);
    f64::from(place)
}

/// The word of a variant in the JSON of a definition.
pub fn kind(node: &impl serde::Serialize) -> String {
    let json = serde_json::to_value(node).unwrap_or_default();
    json.get("kind").and_then(|kind| kind.as_str()).unwrap_or("?").to_owned()
}

/// The word of a plain word in the JSON of a definition.
fn name(node: &impl serde::Serialize) -> String {
    let json = serde_json::to_value(node).unwrap_or_default();
    json.as_str().unwrap_or("?").to_owned()
}
