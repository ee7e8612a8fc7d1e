//! From rendered content to the message a channel takes.

use channels::{Email, Mailbox, Outgoing, Parcel, Webhook};
use engine::customer::Customer;
use engine::decision::SkipReason;
use engine::delivery::Delivery;
use engine::delivery::hand_over::Ready;
use engine::outreach::content::OutreachType;
use engine::time::Timestamp;
use serde_json::{Value as Json, json};

/// What stands around a message and comes from elsewhere than its content.
pub(super) struct Around<'a> {
    /// `Name <address>` of the project.
    pub(super) sender: &'a str,
    /// Where this delivery is unsubscribed from.
    pub(super) unsubscribe_url: String,
    /// Webhooks are signed with these.
    pub(super) webhook_secrets: &'a [String],
    /// The moment of the attempt.
    pub(super) now: Timestamp,
}

/// The message of a delivery.
pub(super) fn build(
    customer: &Customer,
    delivery: &Delivery,
    ready: &Ready,
    around: Around<'_>,
) -> Result<Outgoing, SkipReason> {
    match delivery.outreach_type {
        OutreachType::Email => email(customer, delivery, ready, around).map(Outgoing::Email),
        OutreachType::Webhook => Ok(Outgoing::Webhook(webhook(delivery, ready, around))),
        OutreachType::Sms | OutreachType::Whatsapp => {
            parcel(customer.text("phone"), delivery, ready).map(Outgoing::Parcel)
        }
        OutreachType::Push => {
            parcel(customer.text("push_token"), delivery, ready).map(Outgoing::Parcel)
        }
        OutreachType::Message
        | OutreachType::Survey
        | OutreachType::Tour
        | OutreachType::Checklist
        | OutreachType::Banner
        | OutreachType::Modal
        | OutreachType::Tooltip
        | OutreachType::News => {
            let why = "in-app content is fetched by the browser and sent nowhere";
            Err(SkipReason::Unrenderable(why.to_owned()))
        }
    }
}

fn email(
    customer: &Customer,
    delivery: &Delivery,
    ready: &Ready,
    around: Around<'_>,
) -> Result<Email, SkipReason> {
    let address = customer.text("email").ok_or(SkipReason::NoAddress)?;
    let text = |key: &str| ready.content.get(key).and_then(Json::as_str).unwrap_or_default();
    let optional =
        |key: &str| Some(text(key)).filter(|text| !text.trim().is_empty()).map(str::to_owned);
    let from = optional("from").unwrap_or_else(|| around.sender.to_owned());
    let transactional = ready.content.get("transactional").and_then(Json::as_bool).unwrap_or(false);
    Ok(Email {
        delivery_id: delivery.id.to_string(),
        from: mailbox(&from),
        reply_to: optional("reply_to").map(|reply_to| mailbox(&reply_to)),
        to: match customer.text("name") {
            Some(name) => Mailbox::new(name, address),
            None => Mailbox::bare(address),
        },
        subject: text("subject").to_owned(),
        preheader: optional("preheader"),
        html: optional("html").unwrap_or_else(|| html_of(text("text"))),
        text: optional("text"),
        unsubscribe_url: (!transactional).then_some(around.unsubscribe_url),
        unsubscribe_mailto: None,
        headers: Vec::new(),
        date: jiff::Timestamp::from_millisecond(around.now.0).unwrap_or_default(),
    })
}

/// A text as HTML: an empty part would be what most mail clients show.
fn html_of(text: &str) -> String {
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<div style=\"white-space:pre-wrap\">{escaped}</div>")
}

fn webhook(delivery: &Delivery, ready: &Ready, around: Around<'_>) -> Webhook {
    let text = |key: &str| ready.content.get(key).and_then(Json::as_str).unwrap_or_default();
    let headers = ready.content.get("headers").and_then(Json::as_array);
    let part = |header: &Json, key: &str| {
        header.get(key).and_then(Json::as_str).unwrap_or_default().to_owned()
    };
    let body = match text("body").trim() {
        "" => standard_body(ready).to_string(),
        body => body.to_owned(),
    };
    let method = match text("method") {
        "" => "POST",
        method => method,
    };
    Webhook {
        delivery_id: delivery.id.to_string(),
        method: method.to_owned(),
        url: text("url").to_owned(),
        headers: headers
            .into_iter()
            .flatten()
            .map(|header| (part(header, "name"), part(header, "value")))
            .collect(),
        body,
        timestamp: around.now.0.div_euclid(1_000),
        secrets: around.webhook_secrets.to_vec(),
    }
}

/// Type, time and data, as Standard Webhooks recommends.
fn standard_body(ready: &Ready) -> Json {
    json!({
        "type": "outreach.sent",
        "timestamp": ready.context.get("sent_at"),
        "data": ready.context,
    })
}

fn parcel(to: Option<&str>, delivery: &Delivery, ready: &Ready) -> Result<Parcel, SkipReason> {
    Ok(Parcel {
        channel: delivery.outreach_type.name().to_owned(),
        delivery_id: delivery.id.to_string(),
        to: to.ok_or(SkipReason::NoAddress)?.to_owned(),
        payload: ready.content.clone(),
    })
}

/// `Name <address>`, or an address alone.
fn mailbox(text: &str) -> Mailbox {
    let split = text.trim().strip_suffix('>').and_then(|rest| rest.rsplit_once('<'));
    match split {
        Some((name, address)) => {
            let name = name.trim().trim_matches('"').trim();
            match name {
                "" => Mailbox::bare(address.trim()),
                name => Mailbox::new(name, address.trim()),
            }
        }
        None => Mailbox::bare(text.trim()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_read_as_people_write_them() {
        let parts = |text: &str| {
            let mailbox = mailbox(text);
            (mailbox.name.unwrap_or_default(), mailbox.address)
        };
        assert_eq!(parts("Mara <m@x.example>"), ("Mara".into(), "m@x.example".into()));
        assert_eq!(parts("\"M, A\" <m@x.example>"), ("M, A".into(), "m@x.example".into()));
        assert_eq!(parts("m@x.example"), (String::new(), "m@x.example".into()));
    }
}
