//! What the server's worker does: take what is due, look once more, begin, hand over, report.
//!
//! The order of the steps is the worker's, and so are the pauses between attempts. Between any two
//! steps the process may die.

use engine::apply::properties_in;
use engine::delivery::{Delivery, DeliveryState, hand_over};
use engine::fact::AttemptOutcome;
use engine::ids::{CustomerId, DeliveryId};
use engine::outreach::content::OutreachType;
use engine::situation::History;
use engine::time::Timestamp;
use host::Host;
use host::command::Command;
use host::retry::{self, Failed, Next};

use super::World;
use super::acts::told;
use super::books::{Answer, Call, Name, SHOP};
use super::rules::{HOUR, HowOften};
use crate::model::clock::Ms;

/// How long a delivery is tried, as by default.
const GIVE_UP_MS: Ms = 72 * HOUR;

/// What an event said, for templates that ask.
struct Past<'a> {
    host: &'a Host,
    customer: CustomerId,
}

impl History for Past<'_> {
    fn properties(&self, position: u64, event_key: u64) -> serde_json::Value {
        let page = self.host.timeline(SHOP, self.customer, Some(position + 1), 1);
        let (Some(project), Ok(page)) = (self.host.project(SHOP), page) else {
            return serde_json::Value::Null;
        };
        let here = page.items.iter().filter(|entry| entry.position == position);
        let mut found = here.map(|entry| properties_in(&project, &entry.fact, event_key));
        found.find(|properties| !properties.is_null()).unwrap_or(serde_json::Value::Null)
    }
}

impl World {
    /// Hand over everything that is due. Where the process dies in between, the rest waits for the
    /// next life.
    pub(super) fn deliver(&mut self) -> Result<(), String> {
        loop {
            let due = self.machine.host.due(64);
            if due.is_empty() {
                return Ok(());
            }
            for (_, customer, delivery) in due {
                let lives_on = self.attempt(customer, &delivery)?;
                self.machine.host.wait_idle();
                if !lives_on {
                    return Ok(());
                }
            }
        }
    }

    /// A paused outreach may be live again: what was put aside is looked at once more.
    pub(super) fn review(&mut self) {
        for (customer, delivery) in std::mem::take(&mut self.aside) {
            self.machine.host.put_back(SHOP, customer, &delivery);
        }
    }

    /// One attempt; false: the process died.
    fn attempt(&mut self, customer: CustomerId, taken: &Delivery) -> Result<bool, String> {
        let now = self.machine.host.now();
        let found = self.machine.host.customer(SHOP, customer).map_err(told)?;
        let project = self.machine.host.project(SHOP);
        let (Some(found), Some(project)) = (found, project) else { return Ok(true) };
        let as_taken =
            |one: &&Delivery| one.state == DeliveryState::Due && one.due_at == taken.due_at;
        let Some(delivery) = found.deliveries.get(&taken.id).filter(as_taken) else {
            self.machine.host.let_go(SHOP, taken.id);
            return Ok(true);
        };
        let past = Past { host: &self.machine.host, customer };
        let ready = hand_over::ready(&project, customer, &found, delivery, now, &past);
        let ready = match ready {
            Ok(ready) => ready,
            Err(engine::decision::SkipReason::NotLive(status)) if hand_over::stays(status) => {
                self.aside.push((customer, taken.clone()));
                return Ok(true);
            }
            Err(reason) => {
                return self.report(customer, delivery, AttemptOutcome::Refused { reason });
            }
        };
        match hand_over::later(&project, &found, &ready.outreach, now) {
            Ok(None) => {}
            Ok(Some(at)) => {
                return self.report(customer, delivery, AttemptOutcome::NotNow { at });
            }
            Err(reason) => {
                return self.report(customer, delivery, AttemptOutcome::Refused { reason });
            }
        }
        if self.dies() {
            return self.crash().map(|()| false);
        }
        let delivery = delivery.clone();
        let begun = self.send(Command::Started { customer, delivery: delivery.id })?;
        if begun.is_err() {
            return Ok(true);
        }
        self.machine.host.wait_idle();
        if self.dies() {
            return self.crash().map(|()| false);
        }
        let channel = delivery.outreach_type;
        let mut calls = self.books.calls.iter();
        let taken = channel.is_idempotent()
            && calls.any(|one| one.delivery == delivery.id && one.answer.got_it());
        let mut answer = self.receivers.answer(&mut self.dice, (channel, taken), now.0);
        let dies = self.dies();
        if dies && answer == Answer::Accepts {
            answer = Answer::TookItAndDied;
        }
        self.called(customer, &delivery, answer);
        if dies {
            return self.crash().map(|()| false);
        }
        let outcome = self.outcome(&delivery, answer, now);
        self.report(customer, &delivery, outcome)
    }

    fn outcome(&mut self, delivery: &Delivery, answer: Answer, now: Timestamp) -> AttemptOutcome {
        let idempotent = delivery.outreach_type.is_idempotent();
        let reason = format!("{answer:?}");
        match answer {
            Answer::Accepts => AttemptOutcome::Accepted { provider_id: "p".to_owned() },
            Answer::Rejects => AttemptOutcome::Rejected { reason },
            Answer::AddressGone => AttemptOutcome::AddressGone { reason },
            Answer::Retry => self.again(delivery, (reason, false), now),
            Answer::TookItUnheard | Answer::LostUnheard | Answer::TookItAndDied if idempotent => {
                self.again(delivery, (reason, true), now)
            }
            Answer::TookItUnheard | Answer::LostUnheard | Answer::TookItAndDied => {
                AttemptOutcome::Unknown { reason }
            }
        }
    }

    fn again(
        &mut self,
        delivery: &Delivery,
        (reason, in_doubt): (String, bool),
        now: Timestamp,
    ) -> AttemptOutcome {
        let row = self.machine.host.delivery(SHOP, delivery.id).ok().flatten();
        let steps = row.map(|row| row.steps).unwrap_or_default();
        let (earlier, since) = retry::trouble(&steps);
        let failed = Failed {
            attempts: delivery.attempts.count.saturating_sub(earlier),
            failing_since: since.unwrap_or(now),
            now,
            not_before_seconds: self.dice.chance(20).then(|| self.dice.below(7_200)),
            give_up_after_ms: GIVE_UP_MS,
        };
        let roll = u8::try_from(self.dice.below(256)).unwrap_or(0);
        match retry::next(failed, roll) {
            Next::At(at) if in_doubt => AttemptOutcome::RetryInDoubt { reason, at },
            Next::At(at) => AttemptOutcome::Retry { reason, at },
            Next::GiveUp if in_doubt => AttemptOutcome::Unknown { reason },
            Next::GiveUp => AttemptOutcome::Rejected { reason: format!("given up: {reason}") },
        }
    }

    /// The end of an attempt is a command like any other, and may be what dies with the process.
    fn report(
        &mut self,
        customer: CustomerId,
        delivery: &Delivery,
        outcome: AttemptOutcome,
    ) -> Result<bool, String> {
        let (delivery, channel) = (delivery.id, delivery.outreach_type);
        let command = || Command::Attempted { customer, delivery, outcome: outcome.clone() };
        if self.dies() {
            if let Some(call) = self.books.calls.last_mut()
                && call.delivery == delivery
                && call.answer == Answer::Accepts
            {
                call.answer = Answer::TookItAndDied;
            }
            self.crash_during(vec![command()])?;
            self.look_at_the_gone();
            self.is_gone((customer, delivery), channel, &outcome)?;
            return Ok(false);
        }
        // Refused: the delivery is gone by now.
        if self.send(command())?.is_ok() {
            self.is_gone((customer, delivery), channel, &outcome)?;
        }
        Ok(true)
    }

    /// An address that is gone is not used again, once that is known for good.
    fn is_gone(
        &mut self,
        (customer, delivery): (CustomerId, DeliveryId),
        channel: OutreachType,
        outcome: &AttemptOutcome,
    ) -> Result<(), String> {
        let AttemptOutcome::AddressGone { reason } = outcome else { return Ok(()) };
        let row = self.machine.host.delivery(SHOP, delivery).map_err(told)?;
        let was_kept = row.is_some_and(|row| row.delivery.last_error.as_ref() == Some(reason));
        if was_kept && let Some(home) = self.name_of(customer) {
            self.suppress(&home, channel);
        }
        Ok(())
    }

    /// The receiver writes down that it was called.
    fn called(&mut self, customer: CustomerId, delivery: &Delivery, answer: Answer) {
        let turn = self.books.next();
        let Some(home) = self.books.people().into_iter().find(|home| home.id() == customer) else {
            self.broken("a-stranger-is-sent-to", format!("{customer} got {}", delivery.id));
            return;
        };
        let outreach = format!("outreach-{}", delivery.outreach.0);
        let own = self.books.attributes.get(&home).cloned().unwrap_or_default();
        let text = |key: &str| own.get(key).cloned().unwrap_or_default();
        let channel = delivery.outreach_type;
        let address = if channel == OutreachType::Webhook {
            String::new()
        } else {
            format!("{} {}", channel.name(), text(super::post::address_key(channel)))
        };
        let line = self.books.lines.get(&outreach);
        let status = line.map_or(engine::project::Status::Draft, |line| line.standing.status);
        let claim = self.claim(&outreach, delivery);
        let who = home.text().to_owned();
        let id = delivery.id;
        self.tell(&format!("{id} of {outreach} to {who}: {answer:?}"));
        self.books.calls.push(Call {
            delivery: delivery.id,
            outreach,
            version: delivery.version,
            channel,
            at: self.machine.now(),
            turn,
            answer,
            status,
            forbidden: channel.disturbs() && self.books.forbidden(&home).contains(channel.name()),
            suppressed: self.books.suppressed.contains(&(home.clone(), address.clone())),
            address,
            zone: text("timezone"),
            home,
            claim,
        });
    }

    /// The key under which there may be one, in the world's own words.
    fn claim(&self, outreach: &str, delivery: &Delivery) -> String {
        let rule = self.books.rule(outreach, delivery.version);
        let event = match &delivery.trigger {
            engine::delivery::TriggerRef::Event { id, .. } => Some(*id),
            _ => None,
        };
        let kept = self.books.kept.iter().find(|kept| Some(kept.event_id()) == event);
        let order = kept.and_then(|kept| kept.message.order);
        match rule.map(|rule| rule.how_often) {
            Some(HowOften::PerOrder) => format!("order {order:?}"),
            Some(HowOften::EveryTime | HowOften::AtMost(_)) => format!("event {event:?}"),
            Some(HowOften::Once) | None => String::new(),
        }
    }

    /// Whose delivery the books know by this name.
    pub(super) fn name_of(&self, customer: CustomerId) -> Option<Name> {
        self.books.people().into_iter().find(|home| home.id() == customer)
    }
}
