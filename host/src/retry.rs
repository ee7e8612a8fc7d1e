//! When to try a delivery again; shared by the worker and the simulator.
//!
//! The pauses grow so that a receiver that is down for a night is not hammered, and are spread by
//! a fifth so that a thousand deliveries that failed together do not come back together.

use engine::delivery::DeliveryState;
use engine::time::Timestamp;

use crate::rows::DeliveryStep;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// The pause after the first failed attempt, the second, …; the last one repeats.
const PAUSES: &[i64] =
    &[5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR];

/// What to do after an attempt that failed for the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Try again at this moment.
    At(Timestamp),
    /// It has been tried for long enough.
    GiveUp,
}

/// A delivery whose attempt has just failed.
#[derive(Clone, Copy, Debug)]
pub struct Failed {
    /// Attempts before this one.
    pub attempts: u32,
    /// The first failure.
    pub failing_since: Timestamp,
    /// The moment of the failure.
    pub now: Timestamp,
    /// The receiver's own wish, in seconds.
    pub not_before_seconds: Option<u64>,
    /// When the delivery stops being worth it.
    pub give_up_after_ms: i64,
}

/// The next attempt. `dice` is a number from 0 to 255 that nobody can foresee.
pub fn next(failed: Failed, dice: u8) -> Next {
    let place = usize::try_from(failed.attempts).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    let pause = PAUSES.get(place).copied().unwrap_or(12 * HOUR);
    // 80 % to 120 % of the pause.
    let spread = pause * 8 / 10 + pause * 4 / 10 * i64::from(dice) / 255;
    let wish = failed.not_before_seconds.and_then(|seconds| i64::try_from(seconds).ok());
    let wait = spread.max(wish.unwrap_or(0).saturating_mul(SECOND));
    let at = failed.now.plus_ms(wait);
    let end = failed.failing_since.plus_ms(failed.give_up_after_ms);
    if at > end { Next::GiveUp } else { Next::At(at) }
}

/// Since when a delivery fails, and how many attempts were made before that. Its age does not
/// count, since it may have been delayed for weeks; and an operator who retries a dead letter
/// begins anew.
pub fn trouble(steps: &[DeliveryStep]) -> (u32, Option<Timestamp>) {
    let is_end = |step: &DeliveryStep| {
        matches!(step.state, DeliveryState::Failed | DeliveryState::Held | DeliveryState::Expired)
    };
    let begin = steps.iter().rposition(is_end);
    let earlier = begin.and_then(|place| steps.get(place)).map_or(0, |step| step.attempts);
    let recent = steps.get(begin.map_or(0, |place| place + 1)..).unwrap_or_default();
    let first =
        recent.iter().find(|step| step.state == DeliveryState::Due && step.attempts > earlier);
    (earlier, first.map(|step| step.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Failed = Failed {
        attempts: 0,
        failing_since: Timestamp(0),
        now: Timestamp(0),
        not_before_seconds: None,
        give_up_after_ms: 72 * HOUR,
    };

    #[test]
    fn pauses_grow_and_are_spread() {
        assert_eq!(next(FAILED, 0), Next::At(Timestamp(4 * SECOND)));
        assert_eq!(next(FAILED, 255), Next::At(Timestamp(6 * SECOND)));
        let later = Failed { attempts: 4, ..FAILED };
        assert_eq!(next(later, 0), Next::At(Timestamp(48 * MINUTE)));
        let last = Failed { attempts: 99, ..FAILED };
        assert_eq!(next(last, 255), Next::At(Timestamp(14 * HOUR + 24 * MINUTE)));
    }

    #[test]
    fn the_receivers_wish_is_honoured() {
        let asked = Failed { not_before_seconds: Some(600), ..FAILED };
        assert_eq!(next(asked, 0), Next::At(Timestamp(10 * MINUTE)));
        let sooner = Failed { not_before_seconds: Some(1), ..FAILED };
        assert_eq!(next(sooner, 0), Next::At(Timestamp(4 * SECOND)));
    }

    #[test]
    fn it_ends_after_three_days() {
        let old = Failed { attempts: 20, now: Timestamp(70 * HOUR), ..FAILED };
        assert_eq!(next(old, 0), Next::GiveUp);
    }

    fn step(at: i64, state: DeliveryState, attempts: u32) -> DeliveryStep {
        DeliveryStep { position: 0, at: Timestamp(at), state, attempts, error: None }
    }

    #[test]
    fn trouble_begins_with_the_first_failure_and_anew_with_an_operator() {
        use DeliveryState::{Due, Failed, Waiting};
        assert_eq!(trouble(&[]), (0, None));
        let waited = [step(0, Waiting, 0), step(900, Due, 0)];
        assert_eq!(trouble(&waited), (0, None));
        let failing =
            [step(0, Waiting, 0), step(900, Due, 0), step(950, Due, 1), step(990, Due, 2)];
        assert_eq!(trouble(&failing), (0, Some(Timestamp(950))));
        let retried = [step(950, Due, 1), step(960, Failed, 2), step(970, Due, 2)];
        assert_eq!(trouble(&retried), (2, None));
    }
}
