//! The last look before a delivery leaves: is its outreach still in force, may the customer still
//! be reached, and what does the content say to them now?
//!
//! Content is rendered here and not when it was decided: the freshest attributes, and no rendered
//! copies in memory while a delivery waits.

use std::sync::Arc;

use serde_json::Value as Json;

use super::{Delivery, DeliveryState, TriggerRef};
use crate::customer::Customer;
use crate::decision::{SkipReason, Verdict, at_this_hour, reach_refusal};
use crate::fact::event_key;
use crate::ids::CustomerId;
use crate::outreach::compiled::Outreach;
use crate::outreach::context;
use crate::project::{Project, Status};
use crate::situation::History;
use crate::template::Refusal;
use crate::time::Timestamp;

/// A delivery ready to leave.
#[derive(Debug)]
pub struct Ready {
    /// The version that decided it.
    pub outreach: Arc<Outreach>,
    /// The content, rendered; the shape of the definition's `content`.
    pub content: Json,
    /// What the templates saw.
    pub context: Json,
}

/// Ask status, consent and suppression again, and render.
///
/// # Errors
/// The reason why it may not leave. One that [`stays`] may leave later.
pub fn ready(
    project: &Project,
    id: CustomerId,
    customer: &Customer,
    delivery: &Delivery,
    now: Timestamp,
    history: &dyn History,
) -> Result<Ready, SkipReason> {
    let Some(outreach) = project.published(delivery.outreach, delivery.version) else {
        return Err(SkipReason::NotLive(Status::Draft));
    };
    match project.outreaches.get(&delivery.outreach).map(|line| line.status) {
        Some(Status::Live) | None => {}
        Some(status) => return Err(SkipReason::NotLive(status)),
    }
    if let Some(reason) = reach_refusal(outreach, customer, &project.settings) {
        return Err(reason);
    }
    let event = match &delivery.trigger {
        TriggerRef::Event { name, position, .. } => {
            Some(context::event(name, &history.properties(*position, event_key(name))))
        }
        TriggerRef::UserProperty | TriggerRef::OneOff { .. } => None,
    };
    let mut context = context::build(project, outreach, id, customer, event.as_ref(), now);
    if let Json::Object(context) = &mut context {
        context.insert("delivery_id".to_owned(), Json::String(delivery.id.to_string()));
        context.insert("sent_at".to_owned(), Json::String(now.to_rfc3339()));
    }
    match outreach.content.render(&context) {
        Ok(content) => Ok(Ready { outreach: Arc::clone(outreach), content, context }),
        Err(Refusal::Aborted { reason }) => Err(SkipReason::Aborted(reason)),
        Err(refusal) => Err(SkipReason::Unrenderable(refusal.to_string())),
    }
}

/// Whether the hour of the day lets a delivery leave: quiet hours may have begun since it was due,
/// because the receiver was down or the process was. `Some`: not before that moment.
///
/// # Errors
/// The outreach would rather not be sent than later.
pub fn later(
    project: &Project,
    customer: &Customer,
    outreach: &Outreach,
    now: Timestamp,
) -> Result<Option<Timestamp>, SkipReason> {
    match at_this_hour(project, outreach, &project.zone_of(customer), now) {
        Verdict::Passes | Verdict::Open => Ok(None),
        Verdict::Holds(until) => Ok(Some(until)),
        Verdict::Refuses(reason) => Err(reason),
    }
}

/// Whether a delivery of an outreach that stands so is neither handed over nor given up: it stays
/// due until the outreach is live again, or over.
pub fn stays(status: Status) -> bool {
    matches!(status, Status::Paused | Status::Shadow)
}

/// What lies in a customer's inbox: in-app deliveries that are due, not too old, and whose
/// outreach is in force; higher priority first, then older first.
pub fn inbox<'a>(project: &Project, customer: &'a Customer, now: Timestamp) -> Vec<&'a Delivery> {
    let priority = |delivery: &Delivery| {
        let outreach = project.published(delivery.outreach, delivery.version);
        outreach.map_or(0, |outreach| outreach.guardrails.priority)
    };
    let mut waiting: Vec<&Delivery> = customer
        .deliveries
        .values()
        .filter(|delivery| {
            let in_force = project
                .outreaches
                .get(&delivery.outreach)
                .is_some_and(|line| line.status == Status::Live);
            in_force
                && delivery.outreach_type.is_in_app()
                && delivery.state == DeliveryState::Due
                && delivery.due_at <= now
                && delivery.expires_at.is_none_or(|at| at > now)
        })
        .collect();
    waiting.sort_by_key(|delivery| {
        (std::cmp::Reverse(priority(delivery)), delivery.decided_at, delivery.id)
    });
    waiting
}
