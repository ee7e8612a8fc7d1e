//! Email: compose, sign, hand over.
//!
//! [`message`] turns an [`Email`] into the bytes of a mail, [`dkim`] signs them, [`smtp`] carries
//! them to a relay. What is not here: bounces and complaints that arrive later (they come in as
//! events), and the choice of sender (the outreach says it).

use std::fmt;

use jiff::Timestamp;

use crate::outbox::{self, Outbox};
use crate::{Attempt, ConfigError, EmailBackend, Outgoing, Sent};

mod message;
mod html_to_text;
mod dkim;
mod smtp;
mod starttls;

pub use dkim::{DkimKey, dns_record};
pub use smtp::{Credentials, Security, SmtpConfig};

/// A rendered mail to one person.
#[derive(Clone, PartialEq, Eq)]
pub struct Email {
    /// `dlv_…`; becomes the Message-ID, so two copies of one delivery are seen to be one.
    pub delivery_id: String,
    pub from: Mailbox,
    pub reply_to: Option<Mailbox>,
    pub to: Mailbox,
    pub subject: String,
    /// The line an inbox shows after the subject; hidden in the mail itself.
    pub preheader: Option<String>,
    pub html: String,
    /// Made from `html` when there is none.
    pub text: Option<String>,
    /// Becomes List-Unsubscribe, and with https also List-Unsubscribe-Post (one click).
    pub unsubscribe_url: Option<String>,
    /// A bare address or a `mailto:` link.
    pub unsubscribe_mailto: Option<String>,
    /// Extra headers. One that the mail already sets, such as `Bcc`, is refused.
    pub headers: Vec<(String, String)>,
    pub date: Timestamp,
}

#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox {
    pub name: Option<String>,
    pub address: String,
}

impl Mailbox {
    pub fn new(name: impl Into<String>, address: impl Into<String>) -> Mailbox {
        Mailbox { name: Some(name.into()), address: address.into() }
    }

    pub fn bare(address: impl Into<String>) -> Mailbox {
        Mailbox { name: None, address: address.into() }
    }
}

// People stay private: a mail in a log line shows which delivery it is and how big, no more.
impl fmt::Debug for Email {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("Email");
        shown.field("delivery_id", &self.delivery_id).field("html_bytes", &self.html.len());
        shown.finish_non_exhaustive()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Mailbox(hidden)")
    }
}

#[derive(Debug)]
pub(crate) struct Channel {
    carrier: Carrier,
    signers: Vec<dkim::Signer>,
}

#[derive(Debug)]
enum Carrier {
    Smtp(Box<smtp::Relay>),
    Folder(Outbox),
    Memory(Sent),
}

impl Channel {
    pub(crate) fn new(
        backend: EmailBackend,
        keys: &[dkim::DkimKey],
    ) -> Result<Channel, ConfigError> {
        let carrier = match backend {
            EmailBackend::Smtp(config) => Carrier::Smtp(Box::new(smtp::Relay::new(config)?)),
            EmailBackend::Folder(path) => Carrier::Folder(Outbox::open(path)?),
            EmailBackend::Memory(sent) => Carrier::Memory(sent),
        };
        let signers = keys.iter().map(dkim::Signer::new).collect::<Result<_, _>>()?;
        Ok(Channel { carrier, signers })
    }

    pub(crate) async fn send(&self, email: &Email) -> Attempt {
        let mail = match message::compose(email, &self.signers) {
            Ok(mail) => mail,
            Err(reason) => return Attempt::rejected(reason),
        };
        match &self.carrier {
            Carrier::Smtp(relay) => relay.send(&mail).await,
            Carrier::Folder(outbox) => {
                outbox.put(&format!("{}.eml", email.delivery_id), &mail.bytes).await
            }
            Carrier::Memory(sent) => {
                outbox::remember(sent, Outgoing::Email(email.clone()), &email.delivery_id)
            }
        }
    }
}
