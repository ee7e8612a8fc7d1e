//! What the clock does: delays end, messages expire, dates come true.
//!
//! For dates the model does not work out when a condition will turn. It collects every moment at
//! which one could turn (generously: all days, all changes of the zone, all distances), and asks
//! the condition just before and at each of them.

use std::collections::BTreeSet;

use engine::ids::CustomerId;
use engine::outreach::definition::{Condition, Test, Trigger, Unit};
use jiff::ToSpan;
use jiff::civil::Time;
use jiff::tz::TimeZone;

use super::clock::{self, Ms};
use super::gates::{Question, Stage};
use super::history::{Grant, GrantState};
use super::scene::Scene;
use super::values;
use super::verdict::{Outcome, Verdict};
use super::{Line, Model};

/// Something the clock has to do, in the order in which it is done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Task {
    at: Ms,
    customer: CustomerId,
    /// What expires is first, then what ends, then what turns.
    turn: u8,
    /// The outreach's place in the order of judging.
    rank: usize,
    what: Chore,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Chore {
    /// A message was not seen in time.
    Expire { grant: usize },
    /// A delay is over.
    End { grant: usize },
    /// A property condition turns true.
    Turn { outreach: usize },
    /// A property condition stops holding for somebody who was passed over.
    Readmit,
    /// The schedule of a property trigger begins.
    Start { outreach: usize },
}

impl Model {
    /// Do everything that is due after the present moment of the clock and up to `now`.
    pub(super) fn strike_until(&mut self, now: Ms) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        // Looking for the moment asks far too often to be counted.
        self.counting = false;
        let turns = self.turns(self.clock, now);
        self.counting = true;
        for task in &turns {
            self.note("clock turns a date true", matches!(task.what, Chore::Turn { .. }));
        }
        let mut done = BTreeSet::new();
        loop {
            let mut tasks = self.ends(now);
            tasks.extend(turns.iter().cloned());
            tasks.retain(|task| !done.contains(task));
            tasks.sort();
            let Some(task) = tasks.into_iter().next() else {
                return verdicts;
            };
            verdicts.extend(self.perform(&task));
            self.readmit(task.customer, task.at);
            done.insert(task);
        }
    }

    fn perform(&mut self, task: &Task) -> Option<Verdict> {
        let Task { at, customer, .. } = *task;
        match task.what {
            Chore::Expire { grant } => {
                self.note("expired", true);
                let outreach = self.release(grant)?;
                let expired = self.history.grants.get_mut(grant)?;
                if expired.outreach_type().is_in_app() {
                    expired.state = GrantState::Expired;
                }
                Some(Verdict { outreach, customer, at, outcome: Outcome::Expired })
            }
            Chore::End { grant } => self.end_delay(grant, customer, at),
            Chore::Turn { outreach } => self.judge_property(outreach, customer, at),
            Chore::Readmit => None,
            Chore::Start { outreach } => self.judge_property(outreach, customer, at),
        }
    }

    /// The delays that end and the messages that expire up to a moment.
    fn ends(&self, now: Ms) -> Vec<Task> {
        let order = self.in_order();
        let mut tasks = Vec::new();
        for (place, grant) in self.history.grants.iter().enumerate() {
            let customer = self.history.merged_into(grant.customer).unwrap_or(grant.customer);
            let line = self.outreaches.iter().position(|line| line.id == grant.outreach);
            let rank = order.iter().position(|index| Some(*index) == line).unwrap_or(0);
            let (end, expire) = (Chore::End { grant: place }, Chore::Expire { grant: place });
            let (at, turn, what) = match (grant.state, grant.expires_at) {
                (GrantState::Waiting, Some(at)) if at <= grant.due_at => (at, 0, expire),
                (GrantState::Waiting, _) => (grant.due_at, 1, end),
                (GrantState::Standing, Some(at)) if self.is_unseen(place, grant) => (at, 0, expire),
                (GrantState::Standing | GrantState::Expired | GrantState::Released, _) => continue,
            };
            if at <= now {
                tasks.push(Task { at: at.max(self.clock), customer, turn, rank, what });
            }
        }
        tasks
    }

    /// Outside the browser a message is handed over when it is due, and can no longer expire.
    fn is_unseen(&self, place: usize, grant: &Grant) -> bool {
        grant.outreach_type().is_in_app() && !self.history.was_seen(place)
    }

    /// The delay or the hold is over: most gates are asked again.
    fn end_delay(&mut self, place: usize, customer: CustomerId, now: Ms) -> Option<Verdict> {
        let grant = self.history.grants.get(place)?.clone();
        let status = self.outreaches.iter().find(|line| line.id == grant.outreach)?.status;
        let audience = match &grant.definition.trigger {
            Trigger::Event { recheck_audience, .. }
            | Trigger::UserProperty { recheck_audience, .. } => *recheck_audience,
            Trigger::OneOff { .. } => false,
        };
        let question = Question {
            outreach: &grant.outreach,
            status,
            definition: &grant.definition,
            scene: Scene {
                trigger: grant.trigger,
                this: Some(&grant.outreach),
                own: Some(place),
                ..self.scene(customer, now)
            },
            stage: Stage::Late { audience },
            launch: None,
        };
        let answer = question.answer();
        self.note("delay ends in a send", answer.is_ok());
        let due_at = match answer {
            Err(skip) => return self.cancel(place, customer, now, skip),
            Ok(due_at) => due_at,
        };
        let grant = self.history.grants.get_mut(place)?;
        grant.state = if due_at > now { GrantState::Waiting } else { GrantState::Standing };
        grant.due_at = due_at;
        let outreach = grant.outreach.clone();
        Some(Verdict { outreach, customer, at: now, outcome: Outcome::Due { due_at } })
    }

    /// The moments in (from, to] at which property conditions turn by the clock alone.
    fn turns(&self, from: Ms, to: Ms) -> Vec<Task> {
        let mut tasks = Vec::new();
        for (rank, index) in self.in_order().into_iter().enumerate() {
            let Some(line) = self.outreaches.get(index) else { continue };
            let Some((condition, _)) = line.property_trigger() else { continue };
            if !line.is_judged() {
                continue;
            }
            for customer in self.history.customers() {
                let scene = self.scene(customer, from);
                let start = line.published.as_ref().and_then(|definition| scene.start(definition));
                if let Some(at) = start.filter(|at| from < *at && *at <= to) {
                    tasks.push(Task {
                        at,
                        customer,
                        turn: 2,
                        rank,
                        what: Chore::Start { outreach: index },
                    });
                }
                for at in self.moments(customer, condition, from, to) {
                    let holds = |at: Ms| Scene { now: at, ..scene.clone() }.admits(Some(condition));
                    let what = match (holds(at - 1), holds(at)) {
                        (false, true) => Chore::Turn { outreach: index },
                        (true, false) if self.passes_over(line, customer) => Chore::Readmit,
                        (true, false) | (false, false) | (true, true) => continue,
                    };
                    tasks.push(Task { at, customer, turn: 2, rank, what });
                }
            }
        }
        tasks
    }

    fn passes_over(&self, line: &Line, customer: CustomerId) -> bool {
        self.history.excluded(customer, &line.id)
    }

    /// Every moment in (from, to] at which a date in the condition could begin or cease to hold.
    fn moments(
        &self,
        customer: CustomerId,
        condition: &Condition,
        from: Ms,
        to: Ms,
    ) -> BTreeSet<Ms> {
        let zone = self.zone_of(customer);
        let mut tests = Vec::new();
        clock_tests(condition, &mut tests);
        let mut moments = BTreeSet::new();
        for (attribute, test) in tests {
            let value = self.history.attribute(customer, attribute);
            let Some(at) = value.and_then(|value| values::date(&value, &zone)) else { continue };
            moments.extend(turning_moments(test, at, &zone, from, to));
        }
        moments
    }
}

/// Every moment in (from, to] at which a test of a date could turn.
pub(super) fn turning_moments(
    test: &Test,
    at: Ms,
    zone: &TimeZone,
    from: Ms,
    to: Ms,
) -> BTreeSet<Ms> {
    let mut found = exact_moments(test, at, zone, from, to);
    if !is_exact(test) {
        found.extend(civil_moments(at, zone, from, to));
    }
    // Half-open bounds turn at the moment itself or one millisecond after.
    let mut moments: BTreeSet<Ms> =
        found.into_iter().flat_map(|moment| [moment, moment + 1]).collect();
    moments.retain(|moment| from < *moment && *moment <= to);
    moments
}

/// The tests of a condition whose answer depends on the clock.
fn clock_tests<'a>(condition: &'a Condition, tests: &mut Vec<(&'a str, &'a Test)>) {
    match condition {
        Condition::All { conditions }
        | Condition::Any { conditions }
        | Condition::None { conditions } => {
            conditions.iter().for_each(|condition| clock_tests(condition, tests));
        }
        Condition::Attribute { attribute, test }
        | Condition::CustomAttribute { attribute, test } => {
            let clocked = matches!(
                test,
                Test::MoreThanAgo { .. }
                    | Test::LessThanAgo { .. }
                    | Test::ExactlyAgo { .. }
                    | Test::InNext { .. }
                    | Test::Anniversary
            );
            if clocked {
                tests.push((attribute, test));
            }
        }
        Condition::Muted { .. }
        | Condition::Property { .. }
        | Condition::Event { .. }
        | Condition::Outreach { .. }
        | Condition::Segment { .. }
        | Condition::RandomBucket { .. } => {}
    }
}

fn amount(test: &Test) -> Option<(u32, Unit)> {
    match test {
        Test::MoreThanAgo { amount, unit }
        | Test::LessThanAgo { amount, unit }
        | Test::ExactlyAgo { amount, unit }
        | Test::InNext { amount, unit } => Some((*amount, *unit)),
        _ => None,
    }
}

fn is_exact(test: &Test) -> bool {
    amount(test).is_some_and(|(_, unit)| clock::exact(unit).is_some())
}

/// The value itself, and the ends of the exact distances and exact units around it.
fn exact_moments(test: &Test, at: Ms, zone: &TimeZone, from: Ms, to: Ms) -> Vec<Ms> {
    let mut moments = vec![at];
    let Some((amount, unit)) = amount(test) else { return moments };
    let Some(length) = clock::exact(unit) else { return moments };
    let distance = length * Ms::from(amount);
    moments.extend([at - distance, at + distance]);
    // A change of the zone moves the beginning of its hours, and cuts one in two.
    let near = changes(zone, at - length, at + length);
    let around = near.iter().flat_map(|change| [*change - 1, *change]).chain([at]);
    for inside in around {
        let (start, end) = clock::unit_around(inside, unit, zone);
        moments.extend([start + distance, end + distance]);
    }
    moments.extend(changes(zone, from - distance, to).into_iter().map(|at| at + distance));
    moments
}

/// For each day: its beginning, the value's time of day, and the times at which the zone changes.
fn civil_moments(at: Ms, zone: &TimeZone, from: Ms, to: Ms) -> Vec<Ms> {
    let day = 86_400_000;
    let mut times = vec![Time::midnight(), clock::wall(at, zone).time()];
    for change in changes(zone, at - 2 * day, at + 2 * day) {
        times.push(clock::wall(change - 1, zone).time());
        times.push(clock::wall(change, zone).time());
    }
    let mut moments = changes(zone, from - day, to + day);
    let mut date = clock::wall(from.max(to - 800 * day) - day, zone).date();
    let last = clock::wall(to + day, zone).date();
    while date <= last {
        for time in &times {
            let first = clock::instant(date.to_datetime(*time), zone);
            moments.push(first);
            // Where the wall shows the time twice, also the second.
            moments.extend([first + 1_800_000, first + 3_600_000]);
        }
        let Ok(next) = date.checked_add(1.day()) else { break };
        date = next;
    }
    moments
}

/// When the zone changes its offset, in [from, to].
fn changes(zone: &TimeZone, from: Ms, to: Ms) -> Vec<Ms> {
    let Ok(start) = jiff::Timestamp::from_millisecond(from) else { return Vec::new() };
    let later = zone.following(start).map(|change| change.timestamp().as_millisecond());
    later.take_while(|at| *at <= to).collect()
}
