//! What a yes leads to: when it is due, until when it lives, and under which id.

use super::{Outcome, Question, frequency};
use crate::delivery::TriggerRef;
use crate::ids::DeliveryId;
use crate::outreach::compiled::{Trigger, Wait};
use crate::outreach::definition::{Span, Unit};
use crate::situation::Occasion;
use crate::time::{self, Timestamp};

/// Everything said yes: when it is due, until when it lives, and under which id.
pub(super) fn send(question: &Question<'_>, not_before: Timestamp) -> Outcome {
    let Question { outreach, situation, .. } = question;
    let zone = &situation.zone;
    let delay = wait_of(&outreach.trigger).and_then(|wait| wait.delay);
    let (wanted, due_at) = match delay {
        Some(delay) => {
            let over = time::after(situation.now, delay, zone);
            (over, over)
        }
        None => (situation.now, not_before),
    };
    // It expires some time after it was wanted; a hold does not keep old news fresh.
    let lives = match outreach.expires_after {
        Some(span) => Some(time::after(wanted, span, zone)),
        None if outreach.outreach_type.is_in_app() => {
            let days = situation.project.settings.in_app_expiry_days;
            let span = Span { amount: days, unit: Unit::Days };
            Some(time::after(wanted, span, zone))
        }
        None => None,
    };
    let key = frequency::claim_key(question);
    let generation =
        situation.customer.tallies.get(&outreach.no).map_or(0, |tally| tally.generation);
    let delivery =
        DeliveryId::of(situation.project.no, outreach.no, situation.id, &key, generation);
    // What quiet hours hold is judged again at its moment, like what a delay holds.
    let waiting = due_at > situation.now;
    Outcome::Send { delivery, key, due_at, expires_at: lives, waiting }
}

pub(super) fn trigger_ref(occasion: &Occasion<'_>) -> TriggerRef {
    match occasion {
        Occasion::Event(happening) => TriggerRef::Event {
            id: happening.id,
            name: happening.name.clone(),
            at: happening.at,
            position: happening.position,
            hops: happening.hops,
        },
        Occasion::Property | Occasion::Question => TriggerRef::UserProperty,
        Occasion::OneOff { launch, .. } => TriggerRef::OneOff { launch: *launch },
    }
}

pub(super) fn wait_of(trigger: &Trigger) -> Option<&Wait> {
    match trigger {
        Trigger::Event { wait, .. } | Trigger::UserProperty { wait, .. } => Some(wait),
        Trigger::OneOff { .. } => None,
    }
}
