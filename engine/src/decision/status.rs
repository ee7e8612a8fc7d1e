//! Gates `status` and `schedule`: is it in force at all?

use super::{Question, SkipReason, Verdict};
use crate::project::Status;

pub(super) fn live(question: &Question<'_>) -> Verdict {
    match question.line.status {
        // A shadow is judged to the end and then not sent.
        Status::Live | Status::Shadow => Verdict::Passes,
        status @ (Status::Draft | Status::Paused | Status::Ended) => {
            Verdict::Refuses(SkipReason::NotLive(status))
        }
    }
}

pub(super) fn scheduled(question: &Question<'_>) -> Verdict {
    let now = question.situation.now;
    if question.outreach.start.is_some_and(|start| now < start) {
        return Verdict::Refuses(SkipReason::NotStarted);
    }
    if question.outreach.stop.is_some_and(|stop| now >= stop) {
        return Verdict::Refuses(SkipReason::Stopped);
    }
    Verdict::Passes
}
