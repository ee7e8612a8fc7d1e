//! Which outreaches an occasion concerns, and what is decided about each.
//!
//! The order within one record is fixed, because each decision sees the claims of the one before:
//! first what waits is withdrawn or ripens, then goals are counted, then exclusions are lifted,
//! then new decisions are made by falling priority.

use std::cell::OnceCell;

use super::grant::{send, trigger_ref, wait_of};
use super::{
    Decision, Outcome, Question, Ruling, SkipReason, Stage, Transition, decide, frequency,
};
use crate::apply::{Absorbed, Call, Place, enact};
use crate::condition::{eval, turns};
use crate::customer::{Customer, Wake};
use crate::delivery::{Delivery, DeliveryState, TriggerRef};
use crate::fact::event_key;
use crate::ids::{DeliveryId, OutreachNo};
use crate::outreach::compiled::{Ask, Condition, Outreach, Trigger};
use crate::project::{OutreachLine, Status};
use crate::situation::{Happening, History, Occasion, Situation};
use crate::time::{self, Timestamp, Zone};

/// Judge what a fact left to be judged, and enact it on the customer step by step.
pub(crate) fn judge(
    place: Place<'_>,
    customer: &mut Customer,
    absorbed: &Absorbed,
    history: &dyn History,
) -> Ruling {
    let zone = place.project.zone_of(customer);
    let mut judge = Judge { place, customer, history, zone, ruling: Ruling::default() };
    for happening in &absorbed.happenings {
        judge.withdraw(happening);
    }
    if absorbed.call == Some(Call::Clock) {
        judge.ripen();
    }
    for happening in &absorbed.happenings {
        judge.convert(happening);
    }
    for happening in absorbed.happenings.iter().filter(|happening| !happening.silent) {
        let Some(listeners) = place.project.by_event.get(&happening.key) else { continue };
        for (_, no) in listeners.of(happening).iter() {
            judge.consider(*no, Occasion::Event(happening));
        }
    }
    match absorbed.call {
        None => {}
        Some(call @ (Call::Write | Call::Seen { .. } | Call::Stored | Call::Clock)) => {
            for no in &place.project.by_property {
                judge.consider_property(*no, call);
            }
            if call == Call::Clock {
                judge.stop_timers();
            }
        }
        Some(call @ Call::WentLive(no)) => judge.consider_property(no, call),
        Some(Call::Launched(no, launch)) => judge.launch(no, launch),
    }
    judge.watch_released(&absorbed.changed, absorbed.call == Some(Call::Clock));
    judge.ruling
}

struct Judge<'a> {
    place: Place<'a>,
    customer: &'a mut Customer,
    history: &'a dyn History,
    /// The customer's; nothing that is judged here changes it.
    zone: Zone,
    ruling: Ruling,
}

impl<'a> Judge<'a> {
    fn situation<'s>(&'s self, occasion: Occasion<'s>) -> Situation<'s> {
        Situation {
            project: self.place.project,
            id: self.place.id,
            customer: self.customer,
            occasion,
            now: self.place.now,
            zone: self.zone.clone(),
            history: self.history,
        }
    }

    fn live(&self, no: OutreachNo) -> Option<(&'a OutreachLine, &'a Outreach)> {
        let line = self.place.project.outreaches.get(&no)?;
        Some((line, line.live.as_deref()?))
    }

    /// Cancel events withdraw what waits, when they happened after the trigger; a late report of
    /// one does so too.
    fn withdraw(&mut self, happening: &Happening) {
        let Some(concerned) = self.place.project.by_cancel_event.get(&happening.key) else {
            return;
        };
        let waiting: Vec<Delivery> = self
            .customer
            .deliveries
            .values()
            .filter(|delivery| {
                delivery.state == DeliveryState::Waiting
                    && concerned.contains(&delivery.outreach)
                    && delivery.triggered_at() <= happening.at
            })
            .cloned()
            .collect();
        for delivery in waiting {
            let Some(outreach) = self.place.project.published(delivery.outreach, delivery.version)
            else {
                continue;
            };
            let situation = self.situation(Occasion::Event(happening));
            let withdrawn = wait_of(&outreach.trigger).is_some_and(|wait| {
                wait.cancel_on.iter().any(|(event, conditions)| {
                    *event == happening.key
                        && conditions.as_ref().is_none_or(|conditions| {
                            eval::holds_for(conditions, happening.properties(), &situation)
                        })
                })
            });
            if withdrawn {
                self.transition(Transition {
                    delivery: delivery.id,
                    state: DeliveryState::Cancelled,
                    due_at: None,
                    reason: Some(SkipReason::CancelledBy(happening.name.clone())),
                });
                // The property still holds; the next write of anything must not bring it back.
                if matches!(outreach.trigger, Trigger::UserProperty { .. }) {
                    self.exclude(delivery.outreach, true);
                }
            }
        }
    }

    /// Delays that are over: the rule is judged again.
    fn ripen(&mut self) {
        let now = self.place.now;
        let mut ripe: Vec<Delivery> = self
            .customer
            .deliveries
            .values()
            .filter(|delivery| delivery.state == DeliveryState::Waiting && delivery.due_at <= now)
            .cloned()
            .collect();
        let priority = |delivery: &Delivery| {
            let live = self.live(delivery.outreach).map(|(_, live)| live.guardrails.priority);
            (delivery.due_at, std::cmp::Reverse(live), delivery.outreach, delivery.decided_at)
        };
        ripe.sort_by_key(priority);
        for delivery in ripe {
            let project = self.place.project;
            let (Some(line), Some(outreach)) = (
                project.outreaches.get(&delivery.outreach),
                project.published(delivery.outreach, delivery.version),
            ) else {
                continue;
            };
            let happening = self.remembered(&delivery.trigger);
            let occasion = match &happening {
                Some(happening) => Occasion::Event(happening),
                None => Occasion::Property,
            };
            // What is judged again is no history of itself: neither a cap nor a condition on what
            // was sent counts it.
            let own = self.set_aside(&delivery);
            let situation = self.situation(occasion);
            let stage = Stage::Send(&delivery);
            let answer = decide(&Question { outreach, line, situation: &situation, stage });
            self.put_back(&delivery, own);
            self.transition(match answer {
                Ok(due_at) => Transition {
                    delivery: delivery.id,
                    state: if due_at > now { DeliveryState::Waiting } else { DeliveryState::Due },
                    due_at: Some(due_at),
                    reason: None,
                },
                Err(reason) => Transition {
                    delivery: delivery.id,
                    state: enact::refused_state(&reason),
                    due_at: None,
                    reason: Some(reason),
                },
            });
        }
    }

    /// Take a delivery's claim out of the count; the answer is where it stood.
    fn set_aside(&mut self, delivery: &Delivery) -> Option<usize> {
        let granted = &mut self.customer.tallies.get_mut(&delivery.outreach)?.granted;
        let place = granted.iter().rposition(|at| *at == delivery.decided_at)?;
        granted.remove(place);
        Some(place)
    }

    fn put_back(&mut self, delivery: &Delivery, place: Option<usize>) {
        if let (Some(place), Some(tally)) =
            (place, self.customer.tallies.get_mut(&delivery.outreach))
        {
            tally.granted.insert(place, delivery.decided_at);
        }
    }

    /// The event that triggered a delivery, read back from the history.
    fn remembered(&self, trigger: &TriggerRef) -> Option<Happening> {
        let TriggerRef::Event { id, name, at, position, hops } = trigger else { return None };
        let key = event_key(name);
        let properties = self.history.properties(*position, key).to_string();
        Some(Happening {
            id: *id,
            name: name.clone(),
            key,
            at: *at,
            position: *position,
            properties,
            silent: false,
            hops: *hops,
            caused_by: None,
            parsed: OnceCell::new(),
        })
    }

    /// Goals that are reached within their time after a delivery was due.
    fn convert(&mut self, happening: &Happening) {
        let project = self.place.project;
        for no in project.by_goal.get(&happening.key).into_iter().flatten().copied() {
            let Some((_, outreach)) = self.live(no) else { continue };
            let Some(goal) = &outreach.goal else { continue };
            let situation = self.situation(Occasion::Event(happening));
            let in_time = |due_at: Timestamp| {
                due_at < happening.at
                    && happening.at <= time::after(due_at, goal.within, &situation.zone)
            };
            let counts = |conditions: &Condition| {
                eval::holds_for(conditions, happening.properties(), &situation)
            };
            if self.due(no, happening.at).into_iter().any(in_time)
                && goal.conditions.as_ref().is_none_or(counts)
            {
                enact::convert(self.customer, no, happening.at);
                self.ruling.conversions.push(no);
            }
        }
    }

    /// When deliveries of an outreach were due. Those that were let go of count from their claim,
    /// the latest before a moment for all of them.
    fn due(&self, no: OutreachNo, before: Timestamp) -> Vec<Timestamp> {
        let known = || self.customer.deliveries.values().filter(move |one| one.outreach == no);
        let granted = self.customer.tallies.get(&no).map_or(&[][..], |tally| &tally.granted);
        let bounced = |one: &Delivery| one.state == DeliveryState::Failed;
        let sent = |one: &&Delivery| {
            granted.contains(&one.decided_at)
                && one.state != DeliveryState::Waiting
                && (bounced(one) || !one.state.ended_unseen())
        };
        let forgotten = granted
            .iter()
            .rev()
            .filter(|at| **at < before)
            .find(|at| known().all(|one| one.decided_at != **at));
        known().filter(sent).map(|one| one.due_at).chain(forgotten.copied()).collect()
    }

    /// One outreach and one occasion. A trigger that did not happen is no decision.
    fn consider(&mut self, no: OutreachNo, occasion: Occasion<'_>) {
        let Some((line, outreach)) = self.live(no) else { return };
        let situation = self.situation(occasion);
        let question = Question { outreach, line, situation: &situation, stage: Stage::Trigger };
        if matches!(super::trigger::triggered(&question), super::Verdict::Refuses(_)) {
            return;
        }
        let decision = self.answer(&question);
        self.decision(decision);
    }

    fn answer(&self, question: &Question<'_>) -> Decision {
        let Question { outreach, situation, .. } = question;
        let outcome = match decide(question) {
            Ok(not_before) => send(question, not_before),
            Err(reason) => Outcome::Skip(reason),
        };
        Decision {
            outreach: outreach.no,
            version: outreach.version,
            trigger: trigger_ref(&situation.occasion),
            outcome,
        }
    }

    /// A property trigger: on a write, when a date has come, at going live.
    fn consider_property(&mut self, no: OutreachNo, call: Call) {
        let Some((line, outreach)) = self.live(no) else { return };
        let Trigger::UserProperty { condition, include_current, .. } = &outreach.trigger else {
            return;
        };
        let now = self.place.now;
        let before = self.customer.wakes.get(&no).copied();
        let by_clock = call == Call::Clock;
        if by_clock && before.and_then(|wake| wake.at).is_none_or(|at| at > now) {
            return;
        }
        let by_event = matches!(call, Call::Seen { .. });
        let moved = by_event && asks_what_events_keep(condition);
        // Whoever comes before the schedule begins is among those who wait for it.
        let waits_for_start = before.is_none() && outreach.start.is_some_and(|start| now < start);
        if by_event && !moved && !waits_for_start {
            return;
        }
        let tally = self.customer.tallies.get(&no);
        let excluded = tally.is_some_and(|tally| tally.excluded);
        if tally.is_some_and(|tally| !frequency::in_force(tally).is_empty()) {
            self.wake(no, None);
            return;
        }
        let situation = self.situation(Occasion::Property);
        let held = eval::holds(condition, &situation);
        let turn = turns::next_turn(condition, &situation);
        let at = turn.into_iter().chain(outreach.start.filter(|start| now < *start)).min();
        // The start of the schedule is when it goes live for those who wait for it.
        let starts = before.is_some_and(|wake| wake.at.is_some() && wake.at == outreach.start);
        let may_decide = match call {
            Call::Stored => false,
            Call::Seen { silent } => moved && !silent,
            Call::Clock => starts || !before.is_some_and(|wake| wake.held),
            Call::Write | Call::WentLive(_) | Call::Launched(..) => true,
        };
        let went_live = matches!(call, Call::WentLive(_));
        if went_live && !include_current && line.status != Status::Paused {
            if held != excluded {
                self.exclude(no, held);
            }
        } else if excluded {
            if !held {
                self.exclude(no, false);
            }
        } else if held && may_decide {
            self.consider(no, Occasion::Property);
        }
        let granted = self
            .customer
            .tallies
            .get(&no)
            .is_some_and(|tally| !frequency::in_force(tally).is_empty());
        // A timer that wakes too early asks again, so that not every event has to move it.
        let early_enough = before.is_some_and(|wake| {
            wake.held == held && wake.at.is_some_and(|early| at.is_some_and(|at| early <= at))
        });
        if by_event && early_enough && !granted {
            return;
        }
        self.wake(no, (!granted && (at.is_some() || held)).then_some(Wake { at, held }));
    }

    /// Timers of outreaches that ended, or wait for something else by now, have nothing to ask.
    fn stop_timers(&mut self) {
        let asked = &self.place.project.by_property;
        let wakes = self.customer.wakes.keys();
        let idle: Vec<OutreachNo> = wakes.filter(|no| !asked.contains(no)).copied().collect();
        for no in idle {
            self.wake(no, None);
        }
    }

    /// Where a delivery ended unseen its claim is free, and the clock may make the property true
    /// once more; also at the very moment at which the delivery ends.
    fn watch_released(&mut self, changed: &[DeliveryId], by_clock: bool) {
        let moved: Vec<DeliveryId> =
            self.ruling.transitions.iter().map(|step| step.delivery).collect();
        let mut released: Vec<OutreachNo> = Vec::new();
        for id in changed.iter().chain(&moved) {
            let ended = self.customer.deliveries.get(id).filter(|one| one.state.ended_unseen());
            released.extend(ended.map(|delivery| delivery.outreach));
        }
        released.sort_unstable();
        released.dedup();
        for no in released {
            if self.place.project.by_property.contains(&no) {
                let turns = by_clock && self.turns_true(no);
                self.consider_property(no, if turns { Call::Write } else { Call::Stored });
            }
        }
    }

    /// Whether the clock makes a property true at this very moment.
    fn turns_true(&self, no: OutreachNo) -> bool {
        let Some((_, outreach)) = self.live(no) else { return false };
        let Trigger::UserProperty { condition, .. } = &outreach.trigger else { return false };
        let situation = self.situation(Occasion::Property);
        let holds = eval::holds(condition, &situation);
        holds
            && !eval::holds(condition, &Situation { now: self.place.now.plus_ms(-1), ..situation })
    }

    /// A member of the snapshot of a one-off; one that was done before is left alone.
    fn launch(&mut self, no: OutreachNo, launch: u32) {
        let done = self
            .customer
            .tallies
            .get(&no)
            .is_some_and(|tally| tally.keys.contains_key(&enact::launch_key(launch)));
        if !done {
            self.consider(no, Occasion::OneOff { outreach: no, launch });
        }
    }

    fn transition(&mut self, transition: Transition) {
        enact::transition(self.place, self.customer, &transition);
        self.ruling.transitions.push(transition);
    }

    fn decision(&mut self, decision: Decision) {
        enact::decision(self.place, self.customer, &decision);
        self.ruling.decisions.push(decision);
    }

    fn exclude(&mut self, no: OutreachNo, excluded: bool) {
        self.customer.tallies.entry(no).or_default().excluded = excluded;
        self.ruling.exclusions.push((no, excluded));
    }

    fn wake(&mut self, no: OutreachNo, wake: Option<Wake>) {
        if self.customer.wakes.get(&no).copied() == wake {
            return;
        }
        match wake {
            Some(wake) => self.customer.wakes.insert(no, wake),
            None => self.customer.wakes.remove(&no),
        };
        self.ruling.wakes.push((no, wake));
    }
}

/// Whether a condition asks for an attribute that events keep up to date.
fn asks_what_events_keep(condition: &Condition) -> bool {
    match &condition.ask {
        Ask::All(conditions) | Ask::Any(conditions) | Ask::None(conditions) => {
            conditions.iter().any(asks_what_events_keep)
        }
        Ask::Attribute { key, .. } => {
            matches!(key.as_str(), "first_seen" | "last_seen" | "session_count")
        }
        Ask::Property { .. }
        | Ask::Event { .. }
        | Ask::Outreach { .. }
        | Ask::Segment { .. }
        | Ask::RandomBucket { .. } => false,
    }
}
