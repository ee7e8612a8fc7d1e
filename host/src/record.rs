//! What stands in the log: facts with the rulings made on them, and changes of projects.
//!
//! One record is one atomic commit, so whatever must happen together is one record: the guest's
//! signpost and the user's merge, the attributes that came with an event. Variants and fields are
//! only ever added at the end; a change of shape is a new [`FORMAT`] beside the old one.

use engine::decision::{Decision, Ruling};
use engine::fact::Fact;
use engine::ids::{CustomerId, OutreachNo, ProjectNo};
use engine::project::ProjectChange;
use engine::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The encoding written now: postcard of [`Entry`].
pub const FORMAT: u8 = 1;

/// One record of the log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Entry {
    /// A fact about one customer.
    Customer(CustomerRecord),
    /// Facts that happen together, in this order.
    Batch(Vec<CustomerRecord>),
    /// A project changed.
    Project(ProjectRecord),
    /// A part of a snapshot of customers; the [`Sweep`] that follows names its position.
    Members(Vec<CustomerId>),
    /// A sweep has come so far. The facts it led to stand before it.
    Swept(Swept),
    /// A one-off will launch by itself at the time its definition names.
    Scheduled(Scheduled),
    /// It was refused when its time had come, and waits no more.
    Unscheduled(Scheduled),
}

/// A fact about one customer, and what was decided about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomerRecord {
    /// Whose.
    pub project: ProjectNo,
    /// About whom.
    pub customer: CustomerId,
    /// When it was accepted: the only clock that the engine sees.
    pub now: Timestamp,
    /// What happened.
    pub fact: Fact,
    /// What was decided.
    pub ruling: Ruling,
}

/// A change of a project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProjectRecord {
    /// Which.
    pub project: ProjectNo,
    /// When it was accepted.
    pub now: Timestamp,
    /// What changed.
    pub change: ProjectChange,
    /// The customers who are to be looked at because of it.
    pub sweep: Option<Sweep>,
}

/// One look at each customer of a snapshot, in order, because an outreach began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep {
    /// Whose.
    pub project: ProjectNo,
    /// Which outreach.
    pub outreach: OutreachNo,
    /// Why.
    pub cause: SweepCause,
    /// Where the [`Entry::Members`] lie.
    pub chunks: Vec<u64>,
    /// How many customers.
    pub total: u64,
    /// How many of them had their turn.
    pub done: u64,
}

/// Why customers are swept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SweepCause {
    /// An outreach with a property trigger went live.
    WentLive,
    /// A one-off was launched.
    Launched {
        /// Which launch, from 1.
        launch: u32,
    },
}

/// How far a sweep has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swept {
    /// Whose.
    pub project: ProjectNo,
    /// Which outreach.
    pub outreach: OutreachNo,
    /// Why.
    pub cause: SweepCause,
    /// How many customers had their turn.
    pub done: u64,
}

/// A one-off that waits for its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scheduled {
    /// Whose.
    pub project: ProjectNo,
    /// When it was accepted.
    pub now: Timestamp,
    /// Which outreach, by id.
    pub outreach: String,
    /// When it launches.
    pub at: Timestamp,
}

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not in the log, or the disk failed.
    #[error(transparent)]
    Log(#[from] store::log::LogError),
    /// Its bytes are of another version.
    #[error(
        "the record at log position {position} has format {format}, this binary reads {FORMAT}; use the version of Tidings that wrote it"
    )]
    Format {
        /// Where.
        position: u64,
        /// Which.
        format: u8,
    },
    /// Its bytes make no sense.
    #[error("the record at log position {position} cannot be decoded: {source}")]
    Decode {
        /// Where.
        position: u64,
        /// Why.
        source: postcard::Error,
    },
}

impl Entry {
    /// Append the bytes of the record to an emptied buffer.
    pub(crate) fn encode(&self, buffer: Vec<u8>) -> Result<Vec<u8>, postcard::Error> {
        postcard::to_extend(self, buffer)
    }

    /// From a record of the log.
    pub(crate) fn decode(record: &store::log::Record) -> Result<Entry, Unreadable> {
        let position = record.position;
        if record.format != FORMAT {
            return Err(Unreadable::Format { position, format: record.format });
        }
        postcard::from_bytes(&record.payload)
            .map_err(|source| Unreadable::Decode { position, source })
    }

    /// Facts as one record.
    pub(crate) fn of(mut records: Vec<CustomerRecord>) -> Entry {
        match records.pop() {
            Some(only) if records.is_empty() => Entry::Customer(only),
            Some(last) => {
                records.push(last);
                Entry::Batch(records)
            }
            None => Entry::Batch(records),
        }
    }

    /// The decisions in it, in their order.
    pub(crate) fn into_decisions(self) -> Vec<Decision> {
        match self {
            Entry::Customer(record) => record.ruling.decisions,
            Entry::Batch(records) => {
                records.into_iter().flat_map(|record| record.ruling.decisions).collect()
            }
            Entry::Project(_)
            | Entry::Members(_)
            | Entry::Swept(_)
            | Entry::Scheduled(_)
            | Entry::Unscheduled(_) => Vec::new(),
        }
    }

    /// The facts about customers in it.
    pub(crate) fn customers(&self) -> &[CustomerRecord] {
        match self {
            Entry::Customer(record) => std::slice::from_ref(record),
            Entry::Batch(records) => records,
            Entry::Project(_)
            | Entry::Members(_)
            | Entry::Swept(_)
            | Entry::Scheduled(_)
            | Entry::Unscheduled(_) => &[],
        }
    }
}
