//! When to try again.
//!
//! The pauses grow so that a receiver that is down for a night is not hammered, and are spread by
//! a fifth so that a thousand deliveries that failed together do not come back together.

use engine::time::Timestamp;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// The pause after the first failed attempt, the second, …; the last one repeats.
const PAUSES: &[i64] =
    &[5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR];

/// What to do after an attempt that failed for the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Try again at this moment.
    At(Timestamp),
    /// It has been tried for long enough.
    GiveUp,
}

/// A delivery whose attempt has just failed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failed {
    /// Attempts before this one.
    pub(crate) attempts: u32,
    /// When the delivery was first due.
    pub(crate) due_since: Timestamp,
    /// The moment of the failure.
    pub(crate) now: Timestamp,
    /// The receiver's own wish, in seconds.
    pub(crate) not_before_seconds: Option<u64>,
    /// When the delivery stops being worth it.
    pub(crate) give_up_after_ms: i64,
}

/// The next attempt. `dice` is a number from 0 to 255 that nobody can foresee.
pub(crate) fn next(failed: Failed, dice: u8) -> Next {
    let place = usize::try_from(failed.attempts).unwrap_or(usize::MAX).min(PAUSES.len() - 1);
    let pause = PAUSES.get(place).copied().unwrap_or(12 * HOUR);
    // 80 % to 120 % of the pause.
    let spread = pause * 8 / 10 + pause * 4 / 10 * i64::from(dice) / 255;
    let wish = failed.not_before_seconds.and_then(|seconds| i64::try_from(seconds).ok());
    let wait = spread.max(wish.unwrap_or(0).saturating_mul(SECOND));
    let at = failed.now.plus_ms(wait);
    let end = failed.due_since.plus_ms(failed.give_up_after_ms);
    if at > end { Next::GiveUp } else { Next::At(at) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILED: Failed = Failed {
        attempts: 0,
        due_since: Timestamp(0),
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
}
