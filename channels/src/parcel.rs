//! SMS, WhatsApp and push, until each has a channel of its own.
//!
//! A parcel is a payload for a channel that has no provider yet. The outbox takes it, so a rule that
//! sends one can be built, run and looked at; a provider back end answers with a sentence about that.

use std::fmt;

use crate::outbox::Outbox;
use crate::{Attempt, ConfigError, Outgoing, ParcelBackend, Sent, words};

/// A message for a channel that is only reserved: `sms`, `whatsapp`, `push`.
#[derive(Clone, PartialEq)]
pub struct Parcel {
    pub channel: String,
    pub delivery_id: String,
    pub to: String,
    pub payload: serde_json::Value,
}

impl fmt::Debug for Parcel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parcel { channel, delivery_id, to: _, payload: _ } = self;
        let mut shown = formatter.debug_struct("Parcel");
        shown.field("channel", channel).field("delivery_id", delivery_id).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(crate) enum Channel {
    Provider,
    Folder(Outbox),
    Memory(Sent),
}

impl Channel {
    pub(crate) fn new(backend: ParcelBackend) -> Result<Channel, ConfigError> {
        Ok(match backend {
            ParcelBackend::Provider => Channel::Provider,
            ParcelBackend::Folder(path) => Channel::Folder(Outbox::open(path)?),
            ParcelBackend::Memory(sent) => Channel::Memory(sent),
        })
    }

    pub(crate) async fn send(&self, parcel: &Parcel) -> Attempt {
        let Parcel { channel, delivery_id, to, payload } = parcel;
        if !words::is_plain_name(channel) {
            return Attempt::rejected("the channel may hold only letters, digits, - and _");
        }
        match self {
            Channel::Provider => Attempt::rejected(format!(
                "no provider for the channel {channel} exists yet; configure the folder outbox for \
                 parcels to have such messages written to files"
            )),
            Channel::Folder(outbox) => {
                let shown = serde_json::json!({
                    "channel": channel, "delivery_id": delivery_id, "to": to, "payload": payload,
                });
                outbox.put_json(&format!("{delivery_id}.{channel}.json"), &shown).await
            }
            Channel::Memory(sent) => {
                crate::outbox::remember(sent, Outgoing::Parcel(parcel.clone()), delivery_id)
            }
        }
    }
}
