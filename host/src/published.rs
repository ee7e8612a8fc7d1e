//! What the host tells the rest of the process, after it is durable. A wake-up, not a record:
//! whoever missed it reads the state.

use engine::decision::Decision;
use engine::delivery::DeliveryState;
use engine::ids::{CustomerId, DeliveryId, ProjectNo};
use engine::time::Timestamp;

/// Something became durable. Events, decisions and deliveries are for the live tail alone: they are
/// told while [`crate::Options::watched`] says that somebody looks.
#[derive(Clone, Debug, PartialEq)]
pub enum Published {
    /// Look at the inbox again.
    InboxChanged {
        /// Whose project.
        project: ProjectNo,
        /// Whose inbox.
        customer: CustomerId,
    },
    /// Look at the due deliveries again.
    DeliveryDue,
    /// A delivery stands somewhere else.
    DeliveryChanged {
        /// Whose project.
        project: ProjectNo,
        /// Whose.
        customer: CustomerId,
        /// Which.
        delivery: DeliveryId,
        /// Where.
        state: DeliveryState,
    },
    /// An event, for the live tail.
    EventAccepted {
        /// Whose project.
        project: ProjectNo,
        /// Whose.
        customer: CustomerId,
        /// Where its record lies.
        position: u64,
        /// Its name.
        name: String,
        /// When it happened.
        at: Timestamp,
        /// When it was accepted.
        accepted_at: Timestamp,
        /// How many decisions it led to.
        decisions: usize,
        /// How many of them to send.
        sends: usize,
    },
    /// A decision.
    DecisionMade {
        /// Whose project.
        project: ProjectNo,
        /// About whom.
        customer: CustomerId,
        /// Where its record lies.
        position: u64,
        /// When.
        at: Timestamp,
        /// What.
        decision: Decision,
    },
    /// A project changed.
    ProjectChanged {
        /// Which.
        project: ProjectNo,
    },
    /// A sweep came further.
    LaunchAdvanced {
        /// Whose project.
        project: ProjectNo,
        /// Which outreach.
        outreach: engine::ids::OutreachNo,
    },
}
