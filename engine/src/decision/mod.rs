//! ③ Whether we say it, and why not.

use serde::{Deserialize, Serialize};

use crate::delivery::{DeliveryState, TriggerRef};
use crate::ids::{DeliveryId, OutreachNo};
use crate::time::Timestamp;

/// The gates, in the order in which they are asked. The first that refuses is *the* reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum GateName {
    /// Live?
    Status,
    /// Between start and stop?
    Schedule,
    /// The event and its properties, or the property.
    Trigger,
    /// URL rules; judged where the message is shown.
    Page,
    /// The filters.
    Audience,
    /// The claim.
    Frequency,
    /// The control group.
    Holdout,
    /// Caps, quiet hours, send windows.
    Guardrails,
    /// The address, and consent.
    Reach,
    /// Does it render?
    Content,
}

/// What the engine decided about the facts of one record. With the facts it is the log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ruling {
    /// New decisions, in the order in which they were made.
    pub decisions: Vec<Decision>,
    /// What became of deliveries that already existed.
    pub transitions: Vec<Transition>,
    /// Timers of property triggers: outreach → when to look again (`None`: never).
    pub wakes: Vec<(OutreachNo, Option<Timestamp>)>,
    /// Exclusions from property triggers: outreach → excluded?
    pub exclusions: Vec<(OutreachNo, bool)>,
}

/// The outcome of one trigger for one customer and one outreach.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Which outreach.
    pub outreach: OutreachNo,
    /// Which version decided.
    pub version: u32,
    /// What triggered.
    pub trigger: TriggerRef,
    /// Send or skip.
    pub outcome: Outcome,
}

/// Send, or skip because.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Outcome {
    /// A delivery begins.
    Send {
        /// Its id.
        delivery: DeliveryId,
        /// The claim's key; empty for `once`.
        key: Vec<u8>,
        /// Not before.
        due_at: Timestamp,
        /// Not after.
        expires_at: Option<Timestamp>,
        /// A delay runs first and the rule is judged again after it.
        waiting: bool,
    },
    /// Refused.
    Skip(SkipReason),
}

/// A step in the life of a delivery that already existed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// Where it stands now.
    pub state: DeliveryState,
    /// Not before; `None`: unchanged.
    pub due_at: Option<Timestamp>,
    /// Why, when a gate or a person ended it.
    pub reason: Option<SkipReason>,
}

/// Why not. A closed list; each names its gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum SkipReason {
    /// `status`: draft, paused or ended.
    NotLive(crate::project::Status),
    /// `status`: everything else said send, but the outreach only watches.
    Shadow,
    /// `schedule`: before its start.
    NotStarted,
    /// `schedule`: from its stop on.
    Stopped,
    /// `trigger`: the event's properties, or the property, do not meet the conditions.
    NotTriggered,
    /// `trigger`: the event happened before the outreach went live.
    BeforeLive,
    /// `page`: shown nowhere the customer is. Only ever in explanations.
    WrongPage,
    /// `audience`.
    NotInAudience,
    /// `frequency`: already granted, so often, and no more is allowed.
    AlreadySent {
        /// How often.
        times: u32,
        /// The latest.
        latest: Timestamp,
    },
    /// `frequency`: granted for this key.
    KeyUsed {
        /// When.
        at: Timestamp,
    },
    /// `frequency`: the event has no such property.
    NoKey,
    /// `frequency`: too soon after the latest.
    TooSoon {
        /// The latest.
        latest: Timestamp,
        /// The next possible moment.
        again: Timestamp,
    },
    /// `frequency`: answered.
    Answered {
        /// When.
        at: Timestamp,
    },
    /// `holdout`.
    HeldOut,
    /// `guardrails`: a cap is reached.
    Capped {
        /// Sends counted.
        sent: u32,
        /// Sends allowed.
        cap: u32,
        /// What is counted, in words: `email per 7 days`.
        over: String,
    },
    /// `guardrails`: quiet hours, and the outreach would rather skip.
    QuietHours,
    /// `reach`: no address for the channel.
    NoAddress,
    /// `reach`: the customer said no, or did not say yes.
    NoConsent,
    /// `reach`: the address bounced, complained or is gone.
    Suppressed,
    /// `content`: the template said stop.
    Aborted(String),
    /// `content`: it does not render.
    Unrenderable(String),
    /// Withdrawn by an event while it waited.
    CancelledBy(String),
    /// Withdrawn by a person.
    CancelledByOperator,
    /// Waited too long.
    TooLate,
}

impl SkipReason {
    /// The gate that refused.
    pub fn gate(&self) -> GateName {
        match self {
            SkipReason::NotLive(_) | SkipReason::Shadow => GateName::Status,
            SkipReason::NotStarted | SkipReason::Stopped | SkipReason::TooLate => {
                GateName::Schedule
            }
            SkipReason::NotTriggered
            | SkipReason::BeforeLive
            | SkipReason::CancelledBy(_)
            | SkipReason::CancelledByOperator => GateName::Trigger,
            SkipReason::WrongPage => GateName::Page,
            SkipReason::NotInAudience => GateName::Audience,
            SkipReason::AlreadySent { .. }
            | SkipReason::KeyUsed { .. }
            | SkipReason::NoKey
            | SkipReason::TooSoon { .. }
            | SkipReason::Answered { .. } => GateName::Frequency,
            SkipReason::HeldOut => GateName::Holdout,
            SkipReason::Capped { .. } | SkipReason::QuietHours => GateName::Guardrails,
            SkipReason::NoAddress | SkipReason::NoConsent | SkipReason::Suppressed => {
                GateName::Reach
            }
            SkipReason::Aborted(_) | SkipReason::Unrenderable(_) => GateName::Content,
        }
    }
}

impl GateName {
    /// In the order in which they are asked.
    pub const ALL: [GateName; 10] = [
        GateName::Status,
        GateName::Schedule,
        GateName::Trigger,
        GateName::Page,
        GateName::Audience,
        GateName::Frequency,
        GateName::Holdout,
        GateName::Guardrails,
        GateName::Reach,
        GateName::Content,
    ];

    /// The word in API and screen.
    pub fn name(self) -> &'static str {
        match self {
            GateName::Status => "status",
            GateName::Schedule => "schedule",
            GateName::Trigger => "trigger",
            GateName::Page => "page",
            GateName::Audience => "audience",
            GateName::Frequency => "frequency",
            GateName::Holdout => "holdout",
            GateName::Guardrails => "guardrails",
            GateName::Reach => "reach",
            GateName::Content => "content",
        }
    }
}
