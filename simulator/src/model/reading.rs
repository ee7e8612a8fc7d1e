//! What a definition says, in the few words in which the judging asks for it.

use engine::outreach::content::OutreachType;
use engine::outreach::definition::{CancelEvent, Condition, Definition, Span, Trigger};

pub(super) fn answered(outreach_type: OutreachType) -> &'static str {
    match outreach_type {
        OutreachType::Survey => "survey.answered",
        OutreachType::Tour => "tour.completed",
        OutreachType::Checklist => "checklist.completed",
        _ => "outreach.answered",
    }
}

/// Whether a condition asks for something that events change without a write.
pub(super) fn asks_of_events(condition: &Condition) -> bool {
    match condition {
        Condition::All { conditions }
        | Condition::Any { conditions }
        | Condition::None { conditions } => conditions.iter().any(asks_of_events),
        Condition::Attribute { attribute, .. } => {
            ["first_seen", "last_seen", "session_count"].contains(&attribute.as_str())
        }
        _ => false,
    }
}

pub(super) fn delay_of(definition: &Definition) -> Option<Span> {
    match &definition.trigger {
        Trigger::Event { delay, .. } | Trigger::UserProperty { delay, .. } => *delay,
        Trigger::OneOff { .. } => None,
    }
}

pub(super) fn cancel_events(definition: &Definition) -> &[CancelEvent] {
    match &definition.trigger {
        Trigger::Event { cancel_on, .. } | Trigger::UserProperty { cancel_on, .. } => cancel_on,
        Trigger::OneOff { .. } => &[],
    }
}

/// How long a message stays worth showing.
pub(super) fn life_of(definition: &Definition, in_app_days: u32) -> Option<Span> {
    let in_app = Span { amount: in_app_days, unit: engine::outreach::definition::Unit::Days };
    let default = definition.content.outreach_type().is_in_app().then_some(in_app);
    definition.expires_after.or(default)
}
