//! Gates `audience` and `holdout`: is it for this customer?

use super::{Question, SkipReason, Stage, Verdict};
use crate::condition::eval;
use crate::ids;
use crate::outreach::compiled::{Trigger, Wait};
use crate::situation::Occasion;

pub(super) fn in_audience(question: &Question<'_>) -> Verdict {
    let Some(audience) = &question.outreach.audience else { return Verdict::Passes };
    // The snapshot of a one-off was taken at its launch; who is in it stays in it.
    if matches!(question.situation.occasion, Occasion::OneOff { .. }) {
        return Verdict::Passes;
    }
    if matches!(question.stage, Stage::Send(_)) && !rechecks_audience(&question.outreach.trigger) {
        return Verdict::Passes;
    }
    if eval::holds(audience, question.situation) {
        Verdict::Passes
    } else {
        Verdict::Refuses(SkipReason::NotInAudience)
    }
}

fn rechecks_audience(trigger: &Trigger) -> bool {
    match trigger {
        Trigger::Event { wait: Wait { recheck_audience, .. }, .. }
        | Trigger::UserProperty { wait: Wait { recheck_audience, .. }, .. } => *recheck_audience,
        Trigger::OneOff { .. } => false,
    }
}

/// The control group is a stable share of the customers, another one for each outreach.
pub(super) fn not_held_out(question: &Question<'_>) -> Verdict {
    let share = u128::from(question.outreach.guardrails.holdout);
    if share == 0 {
        return Verdict::Passes;
    }
    let place = ids::hash(&[
        b"holdout",
        question.outreach.id.as_bytes(),
        &question.situation.id.to_bytes(),
    ]) % 10_000;
    if place < share { Verdict::Refuses(SkipReason::HeldOut) } else { Verdict::Passes }
}
