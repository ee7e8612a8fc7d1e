//! What the model answers, in the words of the engine's gates.
//!
//! A verdict carries only what a reader of the contract could have told beforehand: no ids of
//! deliveries, no counts. That is what two programs must agree on.

use engine::decision::{GateName, SkipReason};
use engine::ids::CustomerId;

use super::clock::Ms;

/// The outcome of one trigger, or what became of something that waited.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Which outreach.
    pub outreach: String,
    /// Whom it is about, by the name they have at that moment.
    pub customer: CustomerId,
    /// When it was decided.
    pub at: Ms,
    /// What.
    pub outcome: Outcome,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The claim is given; `waiting` while a delay runs.
    Send {
        /// Not before.
        due_at: Ms,
        /// Judged again at that moment.
        waiting: bool,
    },
    /// The first gate that refused.
    Skip(Skip),
    /// A delay is over and the message may go.
    Due {
        /// Not before.
        due_at: Ms,
    },
    /// What waited is withdrawn and its claim released.
    Cancelled(Skip),
    /// Nobody saw it in time; its claim is released.
    Expired,
}

/// Why not, without the particulars.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the engine's SkipReason says it")]
pub enum Skip {
    NotLive,
    Shadow,
    NotStarted,
    Stopped,
    NotInAudience,
    AlreadySent,
    KeyUsed,
    NoKey,
    TooSoon,
    Answered,
    HeldOut,
    Capped,
    QuietHours,
    NoAddress,
    NoConsent,
    Suppressed,
    CancelledByEvent,
}

impl Skip {
    /// All of them.
    pub const ALL: [Skip; 17] = [
        Skip::NotLive,
        Skip::Shadow,
        Skip::NotStarted,
        Skip::Stopped,
        Skip::NotInAudience,
        Skip::AlreadySent,
        Skip::KeyUsed,
        Skip::NoKey,
        Skip::TooSoon,
        Skip::Answered,
        Skip::HeldOut,
        Skip::Capped,
        Skip::QuietHours,
        Skip::NoAddress,
        Skip::NoConsent,
        Skip::Suppressed,
        Skip::CancelledByEvent,
    ];

    /// The engine's reason without its particulars; `None` for those the model never gives.
    pub fn of(reason: &SkipReason) -> Option<Skip> {
        match reason {
            SkipReason::NotLive(_) => Some(Skip::NotLive),
            SkipReason::Shadow => Some(Skip::Shadow),
            SkipReason::NotStarted => Some(Skip::NotStarted),
            SkipReason::Stopped => Some(Skip::Stopped),
            SkipReason::NotInAudience => Some(Skip::NotInAudience),
            SkipReason::AlreadySent { .. } => Some(Skip::AlreadySent),
            SkipReason::KeyUsed { .. } => Some(Skip::KeyUsed),
            SkipReason::NoKey => Some(Skip::NoKey),
            SkipReason::TooSoon { .. } => Some(Skip::TooSoon),
            SkipReason::Answered { .. } => Some(Skip::Answered),
            SkipReason::HeldOut => Some(Skip::HeldOut),
            SkipReason::Capped { .. } => Some(Skip::Capped),
            SkipReason::QuietHours => Some(Skip::QuietHours),
            SkipReason::NoAddress => Some(Skip::NoAddress),
            SkipReason::NoConsent => Some(Skip::NoConsent),
            SkipReason::Suppressed => Some(Skip::Suppressed),
            SkipReason::CancelledBy(_) => Some(Skip::CancelledByEvent),
            SkipReason::NotTriggered
            | SkipReason::BeforeLive
            | SkipReason::WrongPage
            | SkipReason::Aborted(_)
            | SkipReason::Unrenderable(_)
            | SkipReason::CancelledByOperator
            | SkipReason::TooLate => None,
        }
    }

    /// The gate that refused.
    pub fn gate(self) -> GateName {
        match self {
            Skip::NotLive | Skip::Shadow => GateName::Status,
            Skip::NotStarted | Skip::Stopped => GateName::Schedule,
            Skip::CancelledByEvent => GateName::Trigger,
            Skip::NotInAudience => GateName::Audience,
            Skip::AlreadySent | Skip::KeyUsed | Skip::NoKey | Skip::TooSoon | Skip::Answered => {
                GateName::Frequency
            }
            Skip::HeldOut => GateName::Holdout,
            Skip::Capped | Skip::QuietHours => GateName::Guardrails,
            Skip::NoAddress | Skip::NoConsent | Skip::Suppressed => GateName::Reach,
        }
    }

    /// A short word for tables.
    pub fn code(self) -> &'static str {
        match self {
            Skip::NotLive => "not_live",
            Skip::Shadow => "shadow",
            Skip::NotStarted => "not_started",
            Skip::Stopped => "stopped",
            Skip::NotInAudience => "not_in_audience",
            Skip::AlreadySent => "already_sent",
            Skip::KeyUsed => "key_used",
            Skip::NoKey => "no_key",
            Skip::TooSoon => "too_soon",
            Skip::Answered => "answered",
            Skip::HeldOut => "held_out",
            Skip::Capped => "capped",
            Skip::QuietHours => "quiet_hours",
            Skip::NoAddress => "no_address",
            Skip::NoConsent => "no_consent",
            Skip::Suppressed => "suppressed",
            Skip::CancelledByEvent => "cancelled_by_event",
        }
    }
}
