//! Gates `trigger` and `page`: did what it waits for happen, and where may it be shown?

use super::{Question, SkipReason, Verdict};
use crate::condition::eval;
use crate::outreach::compiled::Trigger;
use crate::situation::Occasion;

pub(super) fn triggered(question: &Question<'_>) -> Verdict {
    let situation = question.situation;
    match (&question.outreach.trigger, &situation.occasion) {
        (Trigger::Event { event, conditions, .. }, Occasion::Event(happening)) => {
            let concerns = *event == happening.key
                && happening.caused_by != Some(question.outreach.no)
                && conditions.as_ref().is_none_or(|conditions| {
                    eval::holds_for(conditions, happening.properties(), situation)
                });
            if !concerns || happening.silent {
                return Verdict::Refuses(SkipReason::NotTriggered);
            }
            if question.line.live_since.is_some_and(|since| happening.at < since) {
                return Verdict::Refuses(SkipReason::BeforeLive);
            }
            Verdict::Passes
        }
        (Trigger::UserProperty { condition, .. }, Occasion::Property | Occasion::Question) => {
            let excluded = situation
                .customer
                .tallies
                .get(&question.outreach.no)
                .is_some_and(|tally| tally.excluded);
            if eval::holds(condition, situation) && !excluded {
                Verdict::Passes
            } else {
                Verdict::Refuses(SkipReason::NotTriggered)
            }
        }
        (Trigger::OneOff { .. }, Occasion::OneOff { outreach, .. })
            if *outreach == question.outreach.no =>
        {
            Verdict::Passes
        }
        // Nothing has happened; somebody asks what would be if it did.
        (Trigger::Event { .. } | Trigger::OneOff { .. }, Occasion::Question) => Verdict::Open,
        (
            Trigger::Event { .. } | Trigger::UserProperty { .. } | Trigger::OneOff { .. },
            Occasion::Event(_) | Occasion::Property | Occasion::OneOff { .. },
        ) => Verdict::Refuses(SkipReason::NotTriggered),
    }
}

/// The page is judged where the message is shown: it waits there rather than being refused here.
pub(super) fn on_page(question: &Question<'_>) -> Verdict {
    if question.outreach.pages.is_empty() { Verdict::Passes } else { Verdict::Open }
}
