//! What can be asked of the host, and what it answers.

use std::collections::BTreeMap;

use engine::decision::Decision;
use engine::fact::{AttemptOutcome, Names, ReceiptKind, Settlement};
use engine::ids::{CustomerId, DeliveryId, ProjectNo};
use engine::project::ProjectChange;
use engine::time::Timestamp;
use engine::value::Value;

/// Commands of one project that are accepted, or not, in this order. Each is durable when answered.
#[derive(Debug)]
pub struct Submission {
    /// Whose.
    pub project: ProjectNo,
    /// What.
    pub commands: Vec<Command>,
}

/// One thing to accept.
#[derive(Debug)]
pub enum Command {
    /// The customer did something.
    Track(Track),
    /// Attributes were written. With both names set, the guest becomes part of the user.
    Identify {
        /// The client's names; at least one.
        names: Names,
        /// The client's `messageId`; the same counts once.
        message_id: String,
        /// Canonical key → value; `None` removes.
        changes: BTreeMap<String, Option<Value>>,
        /// Never triggers.
        historical: bool,
    },
    /// What was known as `previous` is now known as `names.user_id`.
    Alias {
        /// The guest's or the old user id.
        previous: Names,
        /// The new name.
        names: Names,
        /// The client's `messageId`.
        message_id: String,
    },
    /// Something came back from a delivery.
    Receipt {
        /// Which delivery.
        delivery: DeliveryId,
        /// When given, the delivery must belong to this customer.
        customer: Option<CustomerId>,
        /// What.
        kind: ReceiptKind,
        /// What makes it distinct; the same counts once.
        receipt_id: String,
        /// When, as the client says.
        at: Option<Timestamp>,
        /// A JSON object.
        detail: String,
    },
    /// The customer allowed or forbade a channel or topic.
    Consent {
        /// Who.
        customer: CustomerId,
        /// `email`, `push` …
        channel: String,
        /// Empty: the whole channel.
        topic: String,
        /// Allowed?
        allowed: bool,
    },
    /// An attempt on a channel that cannot drop repetitions begins.
    Started {
        /// Whose.
        customer: CustomerId,
        /// Which delivery.
        delivery: DeliveryId,
    },
    /// An attempt ended.
    Attempted {
        /// Whose.
        customer: CustomerId,
        /// Which delivery.
        delivery: DeliveryId,
        /// How.
        outcome: AttemptOutcome,
    },
    /// An operator acts on a delivery.
    Settle {
        /// Which delivery.
        delivery: DeliveryId,
        /// What they say.
        by: Settlement,
    },
    /// An operator allows an outreach again for a customer.
    AllowAgain {
        /// Who.
        customer: CustomerId,
        /// Which outreach, by id.
        outreach: String,
    },
    /// Forget everything about a customer.
    Erase {
        /// Who.
        customer: CustomerId,
    },
    /// Save a version of an outreach, unless somebody else did meanwhile.
    SaveOutreach {
        /// Which outreach.
        id: String,
        /// The definition as JSON.
        definition: String,
        /// Who saved it.
        author: String,
        /// The version it is based on; 0: there is none yet; `None`: whatever is there.
        expect: Option<u32>,
    },
    /// Change the project. A definition with problems is refused with them when it goes live.
    Change(ProjectChange),
}

/// An event as a client sent it.
#[derive(Debug)]
pub struct Track {
    /// The client's names; at least one.
    pub names: Names,
    /// The client's `messageId`; the same counts once.
    pub message_id: String,
    /// The event's name.
    pub name: String,
    /// When, corrected by the client's skew.
    pub at: Timestamp,
    /// A JSON object.
    pub properties: String,
    /// Attributes that came with it, written just before.
    pub changes: BTreeMap<String, Option<Value>>,
    /// Stored, counts in filters, never triggers.
    pub historical: bool,
    /// The address of the page.
    pub page: Option<String>,
}

/// What became of one command.
#[derive(Clone, Debug, Default)]
pub struct Accepted {
    /// Whose it was, after merging.
    pub customer: Option<CustomerId>,
    /// The id was seen before: nothing happened.
    pub duplicate: bool,
    /// What was decided.
    pub decisions: Vec<Decision>,
    /// The version that a saved definition became.
    pub version: Option<u32>,
    /// Where it lies in the log.
    pub position: u64,
}

/// Why a command was not accepted; nothing of it happened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such thing.
    #[error("there is no {kind} {id}")]
    NotFound {
        /// `outreach`, `customer`, `delivery`, `segment`, `project`.
        kind: &'static str,
        /// What was asked for.
        id: String,
    },
    /// The definition has problems.
    #[error("the definition has {} problem(s)", .0.len())]
    Unsound(Vec<engine::outreach::problem::Problem>),
    /// The outreach is at another version than the command is based on.
    #[error("{}", meanwhile(id, *current))]
    Moved {
        /// Which outreach.
        id: String,
        /// Its version; 0: there is no such outreach.
        current: u32,
    },
    /// It cannot be done in this state.
    #[error("{0}")]
    Conflict(String),
    /// The command itself makes no sense.
    #[error("{0}")]
    Invalid(String),
}

/// Why a whole submission was not accepted; nothing of it happened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitError {
    /// More is waiting than may wait.
    #[error("too much is waiting; try again in {retry_after_seconds} s")]
    Overloaded {
        /// When to try again.
        retry_after_seconds: u32,
    },
    /// No room on the disk. Commands before the one that found none have happened; sent again they
    /// are duplicates.
    #[error("the disk is full; nothing is accepted until there is room")]
    DiskFull,
    /// The host has stopped, after a fault or a shutdown.
    #[error("the server is stopping: {0}")]
    Stopped(String),
}

fn meanwhile(id: &str, current: u32) -> String {
    match current {
        0 => format!("there is no outreach {id:?} yet"),
        current => format!("the outreach {id:?} is at version {current}"),
    }
}
