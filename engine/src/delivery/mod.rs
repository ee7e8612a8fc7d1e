//! ④ Saying it: the life of a delivery.
//!
//! `Waiting` (a delay, a hold) → `Due` → `Attempting` → `Sent` → displayed, clicked, answered or
//! dismissed; or it ends unseen: `Failed`, `Expired`, `Suppressed`, `Cancelled`. In-app deliveries lie in the
//! inbox while `Due`. A delivery whose outcome nobody can know is `Held` until somebody settles it.

pub mod hand_over;

use serde::{Deserialize, Serialize};

use crate::ids::{DeliveryId, EventId, OutreachNo};
use crate::outreach::content::OutreachType;
use crate::time::Timestamp;

/// One message to one customer on one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Unique by (outreach, customer, claim).
    pub id: DeliveryId,
    /// Which outreach.
    pub outreach: OutreachNo,
    /// The version that decided.
    pub version: u32,
    /// The channel.
    pub outreach_type: OutreachType,
    /// What triggered it.
    pub trigger: TriggerRef,
    /// The claim's key: empty for `once`.
    pub key: Vec<u8>,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// Not before this moment.
    pub due_at: Timestamp,
    /// Not after this moment.
    pub expires_at: Option<Timestamp>,
    /// Where it stands.
    pub state: DeliveryState,
    /// When it came to stand there.
    pub changed_at: Timestamp,
    /// Attempts so far.
    pub attempts: Attempts,
    /// What the latest failed attempt said.
    pub last_error: Option<String>,
    /// The provider's own id.
    pub provider_id: Option<String>,
}

/// Attempts so far, and whether one of them may have arrived without our knowing. One that is in
/// doubt is repeated where repetitions are dropped, and never gives its claim back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "u32", into = "u32")]
pub struct Attempts {
    /// How many.
    pub count: u32,
    /// One of them may have arrived.
    pub in_doubt: bool,
}

/// Written into the number, which is small: records and rows from before it stay readable.
const IN_DOUBT: u32 = 1 << 31;

impl From<u32> for Attempts {
    fn from(written: u32) -> Attempts {
        Attempts { count: written & !IN_DOUBT, in_doubt: written & IN_DOUBT != 0 }
    }
}

impl From<Attempts> for u32 {
    fn from(attempts: Attempts) -> u32 {
        let count = attempts.count.min(IN_DOUBT - 1);
        if attempts.in_doubt { count | IN_DOUBT } else { count }
    }
}

impl Delivery {
    /// When the trigger happened.
    pub fn triggered_at(&self) -> Timestamp {
        match &self.trigger {
            TriggerRef::Event { at, .. } => *at,
            TriggerRef::UserProperty | TriggerRef::OneOff { .. } => self.decided_at,
        }
    }

    /// How many deliveries lie between the customer's own action and what this one causes.
    pub fn next_hop(&self) -> u8 {
        match &self.trigger {
            TriggerRef::Event { hops, .. } => hops.saturating_add(1),
            TriggerRef::UserProperty | TriggerRef::OneOff { .. } => 1,
        }
    }
}

/// What triggered a decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TriggerRef {
    /// An event, whose record lies at this position.
    Event {
        /// Its id.
        id: EventId,
        /// Its name as sent.
        name: String,
        /// When it happened.
        at: Timestamp,
        /// Where it lies in the log.
        position: u64,
        /// How many deliveries lie between the customer's own action and this event.
        hops: u8,
    },
    /// An attribute, written or come true by the clock.
    UserProperty,
    /// A launch of a one-off.
    OneOff {
        /// Which launch, from 1.
        launch: u32,
    },
}

/// Where a delivery stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeliveryState {
    /// A delay runs, or quiet hours hold it; judged again when they are over.
    Waiting,
    /// To be sent as soon as `due_at` has come; in-app: in the inbox.
    Due,
    /// Handed to a channel that cannot drop repetitions; no answer yet.
    Attempting,
    /// Nobody knows whether it was handed over.
    Held,
    /// Handed over.
    Sent,
    /// Arrived, says the provider.
    Delivered,
    /// Seen.
    Displayed,
    /// Clicked.
    Clicked,
    /// Answered or completed.
    Answered,
    /// Closed without an answer.
    Dismissed,
    /// Given up; an operator can retry.
    Failed,
    /// Too late to be worth sending.
    Expired,
    /// The address must not be used, or consent is gone.
    Suppressed,
    /// Withdrawn: by a cancel event, by the audience when the delay was over, by an operator.
    Cancelled,
}

impl DeliveryState {
    /// Whether nothing more is to be done by us.
    pub fn is_closed(&self) -> bool {
        match self {
            DeliveryState::Waiting
            | DeliveryState::Due
            | DeliveryState::Attempting
            | DeliveryState::Held => false,
            DeliveryState::Sent
            | DeliveryState::Delivered
            | DeliveryState::Displayed
            | DeliveryState::Clicked
            | DeliveryState::Answered
            | DeliveryState::Dismissed
            | DeliveryState::Failed
            | DeliveryState::Expired
            | DeliveryState::Suppressed
            | DeliveryState::Cancelled => true,
        }
    }

    /// Whether it ended without the customer having seen it: the claim is released.
    pub fn ended_unseen(&self) -> bool {
        matches!(
            self,
            DeliveryState::Failed
                | DeliveryState::Expired
                | DeliveryState::Suppressed
                | DeliveryState::Cancelled
        )
    }

    /// The word in API and screen.
    pub fn name(&self) -> &'static str {
        match self {
            DeliveryState::Waiting => "waiting",
            DeliveryState::Due => "due",
            DeliveryState::Attempting => "attempting",
            DeliveryState::Held => "held",
            DeliveryState::Sent => "sent",
            DeliveryState::Delivered => "delivered",
            DeliveryState::Displayed => "displayed",
            DeliveryState::Clicked => "clicked",
            DeliveryState::Answered => "answered",
            DeliveryState::Dismissed => "dismissed",
            DeliveryState::Failed => "failed",
            DeliveryState::Expired => "expired",
            DeliveryState::Suppressed => "suppressed",
            DeliveryState::Cancelled => "cancelled",
        }
    }
}
