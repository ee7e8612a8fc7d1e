//! The only crate that talks to providers.
//!
//! A channel takes a finished message, tries once to hand it over, and reports an [`Attempt`]. It
//! classifies; it never retries, sleeps, logs or counts, and it knows no store: timetables, rate
//! limits, suppression and the ledger exist once, in the dispatcher. Reading order: this file says
//! what can be sent and what can come back; `email` and `webhook` each hold one channel;
//! `guard` decides where a webhook may go; `outbox` is where mail lands in development.
//!
//! Every back end is one of real, folder or memory. A message is composed, checked and signed
//! before the back end is chosen, so a message that the folder takes is one the provider would get.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

mod email;
mod webhook;
mod parcel;
mod guard;
mod outbox;
mod error;
mod words;

pub use email::{Credentials, DkimKey, Email, Mailbox, Security, SmtpConfig, dns_record};
pub use error::ConfigError;
pub use parcel::Parcel;
pub use webhook::{Webhook, WebhookConfig};
pub use words::Secret;

/// What a channel reports. It classifies; the dispatcher decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The provider has taken responsibility for the message.
    Accepted { provider_id: String },
    /// Not now. `not_before_seconds` is the provider's own wish, counted from the attempt.
    Retry { reason: String, not_before_seconds: Option<u64> },
    /// Never, in this form: trying the same again gives the same answer.
    Rejected { reason: String },
    /// The address no longer exists and must be suppressed.
    AddressGone { reason: String },
    /// It may or may not have arrived; nobody can know. A `once` delivery must be held.
    Unknown { reason: String },
}

/// A finished message, one variant per way of leaving the house.
#[derive(Debug, Clone)]
pub enum Outgoing {
    Email(Email),
    Webhook(Webhook),
    Parcel(Parcel),
}

/// What the memory back ends have taken, in order.
pub type Sent = Arc<Mutex<Vec<Outgoing>>>;

/// Where each channel sends. [`Channels::new`] checks it; nothing half-configured gets further.
#[derive(Debug, Clone)]
pub struct Config {
    pub email: EmailBackend,
    /// A mail is signed with every key whose domain covers its sender (RSA and Ed25519 side by side).
    pub dkim: Vec<DkimKey>,
    pub webhook: WebhookBackend,
    pub parcel: ParcelBackend,
}

#[derive(Debug, Clone)]
pub enum EmailBackend {
    Smtp(SmtpConfig),
    Folder(PathBuf),
    Memory(Sent),
}

#[derive(Debug, Clone)]
pub enum WebhookBackend {
    Http(WebhookConfig),
    Folder(PathBuf),
    Memory(Sent),
}

#[derive(Debug, Clone)]
pub enum ParcelBackend {
    /// A provider for SMS, WhatsApp or push. None exists yet: every attempt is rejected.
    Provider,
    Folder(PathBuf),
    Memory(Sent),
}

impl Config {
    /// The development default: everything lands in one folder and nothing leaves the machine.
    pub fn outbox(folder: impl Into<PathBuf>) -> Config {
        let folder = folder.into();
        Config {
            email: EmailBackend::Folder(folder.clone()),
            dkim: Vec::new(),
            webhook: WebhookBackend::Folder(folder.clone()),
            parcel: ParcelBackend::Folder(folder),
        }
    }

    /// For tests: everything is kept, in order, in the list that comes back.
    pub fn memory() -> (Config, Sent) {
        let sent = Sent::default();
        let config = Config {
            email: EmailBackend::Memory(sent.clone()),
            dkim: Vec::new(),
            webhook: WebhookBackend::Memory(sent.clone()),
            parcel: ParcelBackend::Memory(sent.clone()),
        };
        (config, sent)
    }
}

/// All channels, ready to send. Cheap to share behind an `Arc`; `send` may be called concurrently.
#[derive(Debug)]
pub struct Channels {
    email: email::Channel,
    webhook: webhook::Channel,
    parcel: parcel::Channel,
}

impl Channels {
    /// Builds every back end, or says which setting is wrong. Opens no connection.
    pub fn new(config: Config) -> Result<Channels, ConfigError> {
        Ok(Channels {
            email: email::Channel::new(config.email, &config.dkim)?,
            webhook: webhook::Channel::new(config.webhook)?,
            parcel: parcel::Channel::new(config.parcel)?,
        })
    }

    /// Tries once. The answer is final for this attempt; whether another follows is not our choice.
    pub async fn send(&self, outgoing: &Outgoing) -> Attempt {
        let delivery_id = match outgoing {
            Outgoing::Email(email) => &email.delivery_id,
            Outgoing::Webhook(webhook) => &webhook.delivery_id,
            Outgoing::Parcel(parcel) => &parcel.delivery_id,
        };
        // The id becomes a file name, a Message-ID and a header: it is held to what suits all three.
        if !words::is_plain_name(delivery_id) {
            return Attempt::rejected("the delivery id may hold only letters, digits, - and _");
        }
        match outgoing {
            Outgoing::Email(email) => self.email.send(email).await,
            Outgoing::Webhook(webhook) => self.webhook.send(webhook).await,
            Outgoing::Parcel(parcel) => self.parcel.send(parcel).await,
        }
    }
}

impl Attempt {
    pub(crate) fn accepted(provider_id: impl AsRef<str>) -> Attempt {
        Attempt::Accepted { provider_id: words::one_line(provider_id.as_ref()) }
    }

    pub(crate) fn retry(reason: impl AsRef<str>) -> Attempt {
        Attempt::Retry { reason: words::one_line(reason.as_ref()), not_before_seconds: None }
    }

    pub(crate) fn rejected(reason: impl AsRef<str>) -> Attempt {
        Attempt::Rejected { reason: words::one_line(reason.as_ref()) }
    }

    pub(crate) fn address_gone(reason: impl AsRef<str>) -> Attempt {
        Attempt::AddressGone { reason: words::one_line(reason.as_ref()) }
    }

    pub(crate) fn unknown(reason: impl AsRef<str>) -> Attempt {
        Attempt::Unknown { reason: words::one_line(reason.as_ref()) }
    }
}
