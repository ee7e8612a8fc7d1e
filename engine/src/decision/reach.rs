//! Gate `reach`: is there an address, and may we use it?

use super::{Question, SkipReason, Verdict};
use crate::customer::Customer;
use crate::outreach::compiled::Outreach;
use crate::outreach::content::{Content, OutreachType};
use crate::project::Settings;

pub(super) fn reachable(question: &Question<'_>) -> Verdict {
    let situation = question.situation;
    match refusal(question.outreach, situation.customer, &situation.project.settings) {
        Some(reason) => Verdict::Refuses(reason),
        None => Verdict::Passes,
    }
}

/// Why a customer cannot be reached; also asked again at the hand-over.
pub fn refusal(
    outreach: &Outreach,
    customer: &Customer,
    settings: &Settings,
) -> Option<SkipReason> {
    let (topic, transactional) = match &outreach.definition.content {
        Content::Email { topic, transactional, .. } => (topic.as_str(), *transactional),
        _ => ("", false),
    };
    let refusal = on_channel(outreach.outreach_type, topic, customer, settings)?;
    // A mail that the customer asked for needs an address, not consent.
    (refusal != SkipReason::NoConsent || !transactional).then_some(refusal)
}

/// Why a customer cannot be reached on a channel, for a topic when there is one.
pub fn on_channel(
    outreach_type: OutreachType,
    topic: &str,
    customer: &Customer,
    settings: &Settings,
) -> Option<SkipReason> {
    if outreach_type.is_in_app() || outreach_type == OutreachType::Webhook {
        return None;
    }
    let channel = outreach_type.name();
    let Some(address) = address(outreach_type, customer) else {
        return Some(SkipReason::NoAddress);
    };
    if customer.suppressed.contains_key(&format!("{channel} {address}")) {
        return Some(SkipReason::Suppressed);
    }
    (!consents(customer, channel, topic, settings)).then_some(SkipReason::NoConsent)
}

/// Where a channel reaches the customer; `None` where it reaches nobody.
pub fn address(outreach_type: OutreachType, customer: &Customer) -> Option<&str> {
    match outreach_type {
        OutreachType::Email => customer.text("email").filter(|address| address.contains('@')),
        OutreachType::Sms | OutreachType::Whatsapp => customer.text("phone"),
        OutreachType::Push => customer.text("push_token"),
        OutreachType::Message
        | OutreachType::Survey
        | OutreachType::Tour
        | OutreachType::Checklist
        | OutreachType::Banner
        | OutreachType::Modal
        | OutreachType::Tooltip
        | OutreachType::News
        | OutreachType::Webhook => None,
    }
}

/// A no to the channel holds for all its topics; then a word on the topic; then a yes to the
/// channel; then what the project assumes.
fn consents(customer: &Customer, channel: &str, topic: &str, settings: &Settings) -> bool {
    let answer = |key: &str| customer.consent.get(key).map(|consent| consent.allowed);
    let whole = answer(channel);
    if whole == Some(false) {
        return false;
    }
    let on_topic = match topic {
        "" => None,
        topic => answer(&format!("{channel}/{topic}")),
    };
    on_topic.or(whole).unwrap_or(settings.consent_by_default)
}
