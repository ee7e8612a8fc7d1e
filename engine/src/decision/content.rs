//! Gate `content`: does it render for this customer? Only asked of content that can say no.

use super::{Question, SkipReason, Verdict};
use crate::outreach::context;
use crate::situation::Occasion;
use crate::template::Refusal;

pub(super) fn renders(question: &Question<'_>) -> Verdict {
    let content = &question.outreach.content;
    if !content.can_refuse() {
        return Verdict::Passes;
    }
    let situation = question.situation;
    let event = match &situation.occasion {
        Occasion::Event(happening) => Some(context::event(&happening.name, happening.properties())),
        Occasion::Property | Occasion::OneOff { .. } | Occasion::Question => None,
    };
    // Without its event, nobody can say what an event's template would say.
    if event.is_none() && content.needs_event() {
        return Verdict::Open;
    }
    let context = context::build(
        situation.project,
        question.outreach,
        situation.id,
        situation.customer,
        event.as_ref(),
        situation.now,
    );
    match content.render(&context) {
        Ok(_) => Verdict::Passes,
        Err(Refusal::Aborted { reason }) => Verdict::Refuses(SkipReason::Aborted(reason)),
        Err(refusal) => Verdict::Refuses(SkipReason::Unrenderable(refusal.to_string())),
    }
}
