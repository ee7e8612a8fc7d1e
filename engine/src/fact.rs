//! ① What happened: the facts about one customer, in the order in which they were accepted.
//!
//! A fact is immutable and says nothing about what we make of it. Facts and the rulings made on
//! them are the log; everything else is computed from the log.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{CustomerId, DeliveryId, EventId, OutreachNo};
use crate::time::Timestamp;
use crate::value::Value;

/// One thing that happened to one customer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Fact {
    /// The customer did something.
    Event(Event),
    /// Attributes were written (`identify`, `group`, import). `None` removes the attribute.
    Attributes {
        /// What made the write; dropped when it comes twice.
        id: EventId,
        /// Canonical key → value.
        changes: BTreeMap<String, Option<Value>>,
        /// The client's names for the customer, so that a first write creates them.
        names: Names,
        /// Marked historical: stored, never triggers.
        historical: bool,
    },
    /// A guest turned out to be this customer; the guest's whole record travels with the fact.
    Merged {
        /// The guest as it was at this moment.
        guest: Box<crate::customer::Customer>,
        /// The client's names for the customer.
        names: Names,
    },
    /// This guest became part of another customer; what follows goes there.
    MergedInto {
        /// The customer.
        customer: CustomerId,
    },
    /// Something came back from a delivery.
    Receipt {
        /// Dropped when it comes twice.
        id: EventId,
        /// Which delivery.
        delivery: DeliveryId,
        /// Of which outreach.
        outreach: OutreachNo,
        /// What.
        kind: ReceiptKind,
        /// When, corrected and not after now.
        at: Timestamp,
        /// A JSON object: the button, the answers.
        detail: String,
    },
    /// A delivery on a channel that cannot drop repetitions is about to be attempted.
    Started {
        /// Which delivery.
        delivery: DeliveryId,
    },
    /// An attempt ended.
    Attempted {
        /// Which delivery.
        delivery: DeliveryId,
        /// Of which outreach.
        outreach: OutreachNo,
        /// How.
        outcome: AttemptOutcome,
    },
    /// The customer allowed or forbade a channel or topic.
    Consent {
        /// `email`, `push` …
        channel: String,
        /// Empty: the whole channel.
        topic: String,
        /// Allowed?
        allowed: bool,
    },
    /// An operator acted on a delivery.
    Settled {
        /// Which delivery.
        delivery: DeliveryId,
        /// What the operator said.
        by: Settlement,
    },
    /// An operator allowed an outreach again for this customer.
    AllowedAgain {
        /// Which outreach.
        outreach: OutreachNo,
    },
    /// The moment of a timer has come; which ones follows from the customer's own state.
    ClockStruck,
    /// An outreach with a property trigger went live; is the customer due?
    WentLive {
        /// Which outreach.
        outreach: OutreachNo,
    },
    /// The customer belongs to the snapshot of a one-off.
    Launched {
        /// Which outreach.
        outreach: OutreachNo,
        /// Which launch of it, from 1.
        launch: u32,
    },
    /// Everything known about the customer is to be forgotten.
    Erased,
}

/// Something the customer did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// From the client's `messageId`; the same id counts once.
    pub id: EventId,
    /// The name as it was sent, trimmed.
    pub name: String,
    /// When it happened: corrected by the client's skew, never after the acceptance.
    pub at: Timestamp,
    /// A JSON object.
    pub properties: String,
    /// Marked by the sender or imported: stored, counts in filters, never triggers.
    pub historical: bool,
    /// The client's names for the customer, so that a first event creates them.
    pub names: Names,
    /// The address of the page, when the client said.
    pub page: Option<String>,
    /// How many deliveries lie between a customer's own action and this event.
    pub hops: u8,
}

/// What the client calls the customer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Names {
    /// The client's own id.
    pub user_id: Option<String>,
    /// The browser's or device's id.
    pub anonymous_id: Option<String>,
}

/// What came back from a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReceiptKind {
    /// The provider says it arrived.
    Delivered,
    /// Seen (in-app), opened (email).
    Displayed,
    /// Clicked.
    Clicked,
    /// Closed without an answer.
    Dismissed,
    /// Answered or completed.
    Answered,
    /// The address does not exist.
    Bounced,
    /// Marked as spam.
    Complained,
    /// The customer unsubscribed through this delivery.
    Unsubscribed,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum AttemptOutcome {
    /// Handed over.
    Accepted {
        /// The provider's own id.
        provider_id: String,
    },
    /// Not now; try again at this moment.
    Retry {
        /// What the provider said.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// Never, or not after so many tries: a dead letter that an operator can retry.
    Rejected {
        /// What the provider said.
        reason: String,
    },
    /// The address is gone: suppressed from now on.
    AddressGone {
        /// What the provider said.
        reason: String,
    },
    /// Nobody can know whether it was handed over; held until somebody settles it.
    Unknown {
        /// What happened.
        reason: String,
    },
    /// A gate that is judged again at the hand-over said no: consent, suppression, content.
    Refused {
        /// Which, and why.
        reason: crate::decision::SkipReason,
    },
    /// Nothing was attempted: by the time it could be, quiet hours had begun or the send window was
    /// over.
    NotNow {
        /// The next allowed moment.
        at: Timestamp,
    },
    /// It may have arrived; try again at this moment, since a repetition is dropped there.
    RetryInDoubt {
        /// What happened.
        reason: String,
        /// When.
        at: Timestamp,
    },
}

/// What an operator says about a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Settlement {
    /// Try (again).
    Retry,
    /// It was handed over.
    Sent,
    /// It will not be sent.
    Cancelled,
}

/// The form in which names of events are compared: trimmed, lower case, hashed.
pub fn event_key(name: &str) -> u64 {
    let hash = crate::ids::hash(&[name.trim().to_lowercase().as_bytes()]);
    #[expect(clippy::cast_possible_truncation, reason = "the lower half of a hash is a hash")]
    let key = hash as u64;
    key
}
