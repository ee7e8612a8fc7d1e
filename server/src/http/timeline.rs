//! A customer's life in the words of the API: each fact, and what was decided about it.

use engine::fact::{AttemptOutcome, Fact, ReceiptKind, Settlement};
use engine::project::Project;
use host::query::timeline::TimelineEntry;
use serde::Serialize;
use serde_json::{Value as Json, json};
use utoipa::ToSchema;

use super::decisions::{self, DecisionView, outreach_id};

/// A fact in the life of a customer.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TimelineView {
    /// When it was accepted.
    pub at: String,
    /// Where its record lies in the log.
    pub position: u64,
    /// Under which id it was accepted: the customer's, or that of a guest that was merged.
    pub customer: String,
    /// `event`, `attributes`, `receipt`, `attempt` …
    pub kind: String,
    /// What happened, by kind.
    #[schema(value_type = Object)]
    pub fact: Json,
    /// What was decided about it.
    pub decisions: Vec<DecisionView>,
    /// What became of deliveries that existed already.
    pub transitions: Vec<TransitionView>,
}

/// A step of a delivery that existed already.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TransitionView {
    /// `dlv_…`
    pub delivery: String,
    /// Where it stands now.
    pub state: String,
    /// Why, in words, when a gate or a person ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentence: Option<String>,
}

/// An entry in the words of the API.
pub(crate) fn view(project: &Project, entry: &TimelineEntry) -> TimelineView {
    let (kind, fact) = fact_view(project, &entry.fact);
    let decision =
        |decision| decisions::view(project, entry.customer, decision, entry.at, entry.position);
    let transition = |step: &engine::decision::Transition| TransitionView {
        delivery: step.delivery.to_string(),
        state: step.state.name().to_owned(),
        sentence: step.reason.as_ref().map(ToString::to_string),
    };
    TimelineView {
        at: entry.at.to_rfc3339(),
        position: entry.position,
        customer: entry.customer.to_string(),
        kind: kind.to_owned(),
        fact,
        decisions: entry.ruling.decisions.iter().map(decision).collect(),
        transitions: entry.ruling.transitions.iter().map(transition).collect(),
    }
}

fn fact_view(project: &Project, fact: &Fact) -> (&'static str, Json) {
    match fact {
        Fact::Event(event) => (
            "event",
            json!({
                "id": event.id.to_string(),
                "name": event.name,
                "at": event.at.to_rfc3339(),
                "properties": parsed(&event.properties),
                "historical": event.historical,
                "page": event.page,
                "user_id": event.names.user_id,
                "anonymous_id": event.names.anonymous_id,
            }),
        ),
        Fact::Attributes { changes, historical, .. } => {
            let changes: serde_json::Map<String, Json> = changes
                .iter()
                .map(|(key, value)| {
                    (key.clone(), value.as_ref().map_or(Json::Null, engine::value::Value::to_json))
                })
                .collect();
            ("attributes", json!({"changes": changes, "historical": historical}))
        }
        Fact::Merged { names, .. } => {
            ("merged", json!({"user_id": names.user_id, "anonymous_id": names.anonymous_id}))
        }
        Fact::MergedInto { customer } => ("merged_into", json!({"customer": customer.to_string()})),
        Fact::Receipt { delivery, outreach, kind, at, detail, .. } => (
            "receipt",
            json!({
                "delivery": delivery.to_string(),
                "outreach": outreach_id(project, *outreach),
                "receipt": receipt_name(*kind),
                "at": at.to_rfc3339(),
                "detail": parsed(detail),
            }),
        ),
        Fact::Started { delivery } => {
            ("attempt_started", json!({"delivery": delivery.to_string()}))
        }
        Fact::Attempted { delivery, outcome, outreach: _ } => {
            ("attempt", attempt_view(&delivery.to_string(), outcome))
        }
        Fact::Consent { channel, topic, allowed } => {
            ("consent", json!({"channel": channel, "topic": topic, "allowed": allowed}))
        }
        Fact::Settled { delivery, by } => {
            let by = match by {
                Settlement::Retry => "retry",
                Settlement::Sent => "sent",
                Settlement::Cancelled => "cancelled",
            };
            ("settled", json!({"delivery": delivery.to_string(), "by": by}))
        }
        Fact::AllowedAgain { outreach } => {
            ("allowed_again", json!({"outreach": outreach_id(project, *outreach)}))
        }
        Fact::ClockStruck => ("clock", json!({})),
        Fact::WentLive { outreach } => {
            ("went_live", json!({"outreach": outreach_id(project, *outreach)}))
        }
        Fact::Launched { outreach, launch } => {
            ("launched", json!({"outreach": outreach_id(project, *outreach), "launch": launch}))
        }
        Fact::Erased => ("erased", json!({})),
    }
}

fn attempt_view(delivery: &str, outcome: &AttemptOutcome) -> Json {
    match outcome {
        AttemptOutcome::Accepted { provider_id } => {
            json!({"delivery": delivery, "outcome": "accepted", "provider_id": provider_id})
        }
        AttemptOutcome::Retry { reason, at } => json!({
            "delivery": delivery, "outcome": "retry", "reason": reason, "again": at.to_rfc3339(),
        }),
        AttemptOutcome::RetryInDoubt { reason, at } => json!({
            "delivery": delivery, "outcome": "retry_in_doubt", "reason": reason,
            "again": at.to_rfc3339(),
        }),
        AttemptOutcome::Rejected { reason } => {
            json!({"delivery": delivery, "outcome": "rejected", "reason": reason})
        }
        AttemptOutcome::AddressGone { reason } => {
            json!({"delivery": delivery, "outcome": "address_gone", "reason": reason})
        }
        AttemptOutcome::Unknown { reason } => {
            json!({"delivery": delivery, "outcome": "unknown", "reason": reason})
        }
        AttemptOutcome::Refused { reason } => {
            json!({"delivery": delivery, "outcome": "refused", "reason": reason.to_string()})
        }
        AttemptOutcome::NotNow { at } => {
            json!({"delivery": delivery, "outcome": "not_now", "again": at.to_rfc3339()})
        }
    }
}

fn receipt_name(kind: ReceiptKind) -> &'static str {
    match kind {
        ReceiptKind::Delivered => "delivered",
        ReceiptKind::Displayed => "displayed",
        ReceiptKind::Clicked => "clicked",
        ReceiptKind::Dismissed => "dismissed",
        ReceiptKind::Answered => "answered",
        ReceiptKind::Bounced => "bounced",
        ReceiptKind::Complained => "complained",
        ReceiptKind::Unsubscribed => "unsubscribed",
    }
}

fn parsed(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or(Json::Null)
}
