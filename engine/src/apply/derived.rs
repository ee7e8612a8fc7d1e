//! Events that nobody sent: a session that began, a receipt that came back.

use std::cell::OnceCell;
use std::sync::LazyLock;

use serde_json::json;

use crate::fact::{AttemptOutcome, Event, Fact, ReceiptKind, event_key};
use crate::ids::{self, DeliveryId, EventId, OutreachNo};
use crate::outreach::content::OutreachType;
use crate::project::Project;
use crate::situation::Happening;

/// The event with which a session begins.
pub(super) const SESSION_STARTED: &str = "sessionStarted";
/// Its key, which is asked for with every event.
pub(super) static SESSION_STARTED_KEY: LazyLock<u64> = LazyLock::new(|| event_key(SESSION_STARTED));

pub(super) fn session_started(first: &Happening) -> Happening {
    Happening {
        id: derived_id(first.id, b"session"),
        name: SESSION_STARTED.to_owned(),
        key: *SESSION_STARTED_KEY,
        at: first.at,
        position: first.position,
        properties: "{}".to_owned(),
        silent: first.silent,
        hops: first.hops,
        caused_by: None,
        parsed: OnceCell::new(),
    }
}

/// The id of an event derived from another one or from a delivery.
pub(super) fn derived_id(from: EventId, what: &[u8]) -> EventId {
    EventId(ids::hash(&[b"derived", &from.to_bytes(), what]))
}

/// The name of the event that a receipt is, by the type of the outreach.
pub(super) fn receipt_name(kind: ReceiptKind, outreach_type: OutreachType) -> &'static str {
    match kind {
        ReceiptKind::Delivered => "outreach.delivered",
        ReceiptKind::Displayed if outreach_type == OutreachType::Email => "email.opened",
        ReceiptKind::Displayed => "outreach.displayed",
        ReceiptKind::Clicked => "outreach.clicked",
        ReceiptKind::Dismissed => "outreach.dismissed",
        ReceiptKind::Answered => match outreach_type {
            OutreachType::Survey => "survey.answered",
            OutreachType::Tour => "tour.completed",
            OutreachType::Checklist => "checklist.completed",
            OutreachType::Email
            | OutreachType::Message
            | OutreachType::Push
            | OutreachType::Banner
            | OutreachType::Modal
            | OutreachType::Tooltip
            | OutreachType::News
            | OutreachType::Webhook
            | OutreachType::Sms
            | OutreachType::Whatsapp => "outreach.answered",
        },
        ReceiptKind::Bounced => "email.bounced",
        ReceiptKind::Complained => "email.complained",
        ReceiptKind::Unsubscribed => "email.unsubscribed",
    }
}

/// The name of the event that the end of an attempt is, when it is one.
pub(super) fn attempt_name(outcome: &AttemptOutcome) -> Option<&'static str> {
    match outcome {
        AttemptOutcome::Accepted { .. } => Some("outreach.sent"),
        AttemptOutcome::Rejected { .. } | AttemptOutcome::AddressGone { .. } => {
            Some("outreach.failed")
        }
        AttemptOutcome::Retry { .. }
        | AttemptOutcome::RetryInDoubt { .. }
        | AttemptOutcome::Unknown { .. }
        | AttemptOutcome::Refused { .. }
        | AttemptOutcome::NotNow { .. } => None,
    }
}

/// The properties of the event that a receipt or an attempt is: the outreach, the delivery, and
/// what the browser or provider said.
pub(super) fn properties(
    project: &Project,
    outreach: OutreachNo,
    delivery: DeliveryId,
    detail: &str,
) -> serde_json::Value {
    let id = project.outreaches.get(&outreach).map_or("", |line| line.id.as_str());
    let mut properties = match serde_json::from_str(detail) {
        Ok(serde_json::Value::Object(object)) => object,
        Ok(_) | Err(_) => serde_json::Map::new(),
    };
    properties.insert("outreach".to_owned(), json!(id));
    properties.insert("delivery".to_owned(), json!(delivery.to_string()));
    serde_json::Value::Object(properties)
}

/// The properties (a JSON object) of the event with this key that a fact contains or derives;
/// what [`crate::situation::History`] implementors answer. `Null` when there is none.
pub fn properties_in(project: &Project, fact: &Fact, key: u64) -> serde_json::Value {
    match fact {
        Fact::Event(Event { name, properties, .. }) if event_key(name) == key => {
            serde_json::from_str(properties).unwrap_or(serde_json::Value::Null)
        }
        Fact::Event(_) if *SESSION_STARTED_KEY == key => json!({}),
        Fact::Receipt { delivery, outreach, detail, .. } => {
            properties(project, *outreach, *delivery, detail)
        }
        Fact::Attempted { delivery, outreach, .. } => {
            properties(project, *outreach, *delivery, "{}")
        }
        Fact::Event(_)
        | Fact::Attributes { .. }
        | Fact::Merged { .. }
        | Fact::MergedInto { .. }
        | Fact::Started { .. }
        | Fact::Consent { .. }
        | Fact::Settled { .. }
        | Fact::AllowedAgain { .. }
        | Fact::ClockStruck
        | Fact::WentLive { .. }
        | Fact::Launched { .. }
        | Fact::Erased => serde_json::Value::Null,
    }
}
