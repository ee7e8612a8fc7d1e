//! ③ Whether we say it, and why not.
//!
//! [`GATES`] is the product in ten lines: read it first. [`decide`] asks the gates of one outreach
//! for one customer; [`judge`] finds the outreaches that an occasion concerns and enacts what was
//! decided, one after the other, because each sees the claims of the one before.

mod status;
mod trigger;
mod audience;
mod frequency;
mod guardrails;
mod reach;
mod content;
mod grant;
pub mod judge;
mod reason;

pub(crate) use frequency::in_force;
pub(crate) use guardrails::at_this_hour;
pub use guardrails::{end_of_quiet, next_window};
pub use reach::{
    address as reach_address, on_channel as channel_refusal, refusal as reach_refusal,
};

use serde::{Deserialize, Serialize};

use crate::delivery::Delivery;
use crate::delivery::{DeliveryState, TriggerRef};
use crate::ids::{DeliveryId, OutreachNo};
use crate::outreach::compiled::Outreach;
use crate::project::{OutreachLine, Status};
use crate::situation::Situation;
use crate::time::Timestamp;

/// The gates, in the order in which they are asked. The first that refuses is *the* reason.
pub const GATES: &[(GateName, Gate)] = &[
    (GateName::Status, status::live),
    (GateName::Schedule, status::scheduled),
    (GateName::Trigger, trigger::triggered),
    (GateName::Page, trigger::on_page),
    (GateName::Audience, audience::in_audience),
    (GateName::Frequency, frequency::under_frequency),
    (GateName::Holdout, audience::not_held_out),
    (GateName::Guardrails, guardrails::within_guardrails),
    (GateName::Reach, reach::reachable),
    (GateName::Content, content::renders),
];

/// One question about one outreach and one customer.
pub type Gate = fn(&Question<'_>) -> Verdict;

/// All that a gate may look at.
pub struct Question<'a> {
    /// The version that is judged.
    pub outreach: &'a Outreach,
    /// Its status and history.
    pub line: &'a OutreachLine,
    /// The customer at this moment.
    pub situation: &'a Situation<'a>,
    /// At the trigger, or again when a delay is over.
    pub stage: Stage<'a>,
}

/// When a rule is judged.
pub enum Stage<'a> {
    /// At the trigger.
    Trigger,
    /// Again, when this delivery's delay is over.
    Send(&'a Delivery),
}

/// What a gate says.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Yes.
    Passes,
    /// Yes, but not before this moment.
    Holds(Timestamp),
    /// Judged later, where the message is shown.
    Open,
    /// No.
    Refuses(SkipReason),
}

/// Ask the gates in their order. `Ok` carries the moment before which nothing may leave.
///
/// # Errors
/// The reason of the first gate that refuses.
pub fn decide(question: &Question<'_>) -> Result<Timestamp, SkipReason> {
    let mut not_before = question.situation.now;
    for (name, gate) in GATES {
        if matches!(question.stage, Stage::Send(_)) && !name.is_asked_again() {
            continue;
        }
        match gate(question) {
            Verdict::Passes | Verdict::Open => {}
            Verdict::Holds(until) => not_before = not_before.max(until),
            Verdict::Refuses(reason) => return Err(reason),
        }
    }
    if question.line.status == Status::Shadow {
        return Err(SkipReason::Shadow);
    }
    Ok(not_before)
}

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
    pub wakes: Vec<(OutreachNo, Option<crate::customer::Wake>)>,
    /// Exclusions from property triggers: outreach → excluded?
    pub exclusions: Vec<(OutreachNo, bool)>,
    /// Outreaches whose goal was reached.
    pub conversions: Vec<OutreachNo>,
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
        /// A delay, quiet hours or a send window come first; the rule is judged again after them.
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

    /// Whether it is asked again when a delay is over. The trigger, its schedule and the claim
    /// belong to the moment of the trigger.
    pub fn is_asked_again(self) -> bool {
        match self {
            GateName::Schedule | GateName::Trigger | GateName::Page | GateName::Frequency => false,
            GateName::Status
            | GateName::Audience
            | GateName::Holdout
            | GateName::Guardrails
            | GateName::Reach
            | GateName::Content => true,
        }
    }

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
