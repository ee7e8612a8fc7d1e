//! All that a decision may look at.

use std::cell::OnceCell;

use crate::customer::{Customer, Occurrence};
use crate::ids::{CustomerId, EventId, OutreachNo};
use crate::project::Project;
use crate::time::{Timestamp, Zone};

/// Where the properties of past events are read, by the position of their record.
/// Two implementors: the host's log reader, and memory in tests and simulations.
pub trait History {
    /// The properties of the event with this key in the record at `position`, as a JSON object;
    /// `null` when the record holds no such event (derived events have no properties).
    fn properties(&self, position: u64, event_key: u64) -> serde_json::Value;
}

/// One customer at one moment.
pub struct Situation<'a> {
    /// The project: outreaches, segments, settings.
    pub project: &'a Project,
    /// The customer's id.
    pub id: CustomerId,
    /// The customer, with the fact already applied.
    pub customer: &'a Customer,
    /// What asks for the judgement.
    pub occasion: Occasion<'a>,
    /// The moment of the decision: the server's acceptance time.
    pub now: Timestamp,
    /// The customer's time zone when known, else the project's.
    pub zone: Zone,
    /// The properties of past events.
    pub history: &'a dyn History,
}

/// What asks for a judgement.
pub enum Occasion<'a> {
    /// An event was applied.
    Event(&'a Happening),
    /// Attributes were written, or a date came.
    Property,
    /// The customer belongs to a snapshot.
    OneOff {
        /// Which outreach was launched.
        outreach: OutreachNo,
        /// Which launch, from 1.
        launch: u32,
    },
    /// Somebody asks: which trigger would it be? Nothing is triggering.
    Question,
}

/// An event as the judgement sees it: sent by a client, or derived (a session, a receipt).
pub struct Happening {
    /// The id that makes it distinct.
    pub id: EventId,
    /// The name as sent.
    pub name: String,
    /// The form in which names are compared.
    pub key: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Where its record lies.
    pub position: u64,
    /// A JSON object.
    pub properties: String,
    /// Stored only; triggers nothing.
    pub silent: bool,
    /// How many deliveries lie between the customer's own action and this event.
    pub hops: u8,
    /// The outreach whose delivery caused it; it never triggers that one.
    pub caused_by: Option<OutreachNo>,
    /// The properties, parsed at the first look.
    pub parsed: OnceCell<serde_json::Value>,
}

impl Happening {
    /// The properties as JSON.
    pub fn properties(&self) -> &serde_json::Value {
        self.parsed.get_or_init(|| {
            serde_json::from_str(&self.properties).unwrap_or(serde_json::Value::Null)
        })
    }

    /// Where it stands in the customer's series.
    pub fn occurrence(&self) -> Occurrence {
        Occurrence { at: self.at, position: self.position }
    }
}
