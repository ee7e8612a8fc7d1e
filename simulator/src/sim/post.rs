//! What comes back: from providers, late, twice and out of order, and from whoever opens the inbox.

use engine::fact::ReceiptKind;
use engine::ids::DeliveryId;
use engine::outreach::content::OutreachType;
use host::command::Command;

use super::World;
use super::acts::told;
use super::books::{Done, Name, Probe, SHOP};
use super::rules::{DAY, HOUR, MINUTE};
use crate::model::clock::Ms;

/// Something a provider will say.
#[derive(Clone, Debug)]
pub(super) struct Letter {
    pub(super) at: Ms,
    pub(super) delivery: DeliveryId,
    pub(super) kind: ReceiptKind,
    pub(super) id: String,
}

/// The attribute with the address of a channel.
pub(super) fn address_key(channel: OutreachType) -> &'static str {
    match channel {
        OutreachType::Push => "push_token",
        OutreachType::Sms | OutreachType::Whatsapp => "phone",
        _ => "email",
    }
}

impl World {
    /// Somebody opens the page and does something with what lies there.
    pub(super) fn browse(&mut self) -> Result<(), String> {
        let Some(home) = self.somebody() else { return Ok(()) };
        let inbox = self.machine.host.inbox(SHOP, home.id()).map_err(told)?;
        for one in &inbox {
            if self.was_displayed(one.id, &home) {
                self.books.probes.push(Probe::ShownTwice { delivery: one.id });
            }
        }
        let Some(first) = inbox.first() else { return Ok(()) };
        let kinds = [
            ReceiptKind::Displayed,
            ReceiptKind::Displayed,
            ReceiptKind::Clicked,
            ReceiptKind::Dismissed,
            ReceiptKind::Answered,
        ];
        let kind = self.dice.one(&kinds);
        let id = format!("{kind:?} {}", self.books.turn);
        let (at, delivery) = (self.machine.now(), first.id);
        self.receive(&Letter { at, delivery, kind, id })?;
        let inbox = self.machine.host.inbox(SHOP, home.id()).map_err(told)?;
        if inbox.iter().any(|one| one.id == delivery) {
            self.books.probes.push(Probe::ShownTwice { delivery });
        }
        Ok(())
    }

    fn was_displayed(&self, delivery: DeliveryId, home: &Name) -> bool {
        let receipts = self.books.receipts.iter();
        receipts
            .filter(|done| done.delivery == delivery)
            .any(|done| self.books.remains(home, done.turn))
    }

    /// What providers have to say by now; some of it twice, in no order.
    pub(super) fn post(&mut self) -> Result<(), String> {
        let now = self.machine.now();
        self.write_letters();
        let mut due: Vec<Letter> =
            self.post.iter().filter(|letter| letter.at <= now).cloned().collect();
        self.post.retain(|letter| letter.at > now);
        if self.dice.chance(50) {
            due.reverse();
        }
        for letter in due {
            self.receive(&letter)?;
        }
        Ok(())
    }

    fn write_letters(&mut self) {
        let known = self.post_written;
        let fresh: Vec<_> = self.books.calls.get(known..).unwrap_or_default().to_vec();
        self.post_written = self.books.calls.len();
        for call in fresh.into_iter().filter(|call| call.answer.got_it()) {
            let kinds = [
                (ReceiptKind::Delivered, 60),
                (ReceiptKind::Displayed, 40),
                (ReceiptKind::Clicked, 25),
                (ReceiptKind::Bounced, 4),
                (ReceiptKind::Complained, 2),
                (ReceiptKind::Unsubscribed, 3),
            ];
            for (kind, percent) in kinds {
                if !self.dice.chance(percent) {
                    continue;
                }
                let later = self.dice.one(&[0, MINUTE, HOUR, 30 * HOUR, 5 * DAY]);
                let id = format!("{kind:?} {}", call.turn);
                let letter = Letter { at: call.at + later, delivery: call.delivery, kind, id };
                if self.dice.chance(20) {
                    self.post.push(Letter { at: letter.at + HOUR, ..letter.clone() });
                }
                self.post.push(letter);
            }
        }
    }

    fn receive(&mut self, letter: &Letter) -> Result<(), String> {
        let Letter { delivery, kind, .. } = *letter;
        self.tell(&format!("{kind:?} for {delivery}"));
        let row = self.machine.host.delivery(SHOP, delivery).map_err(told)?;
        let command = Command::Receipt {
            delivery,
            customer: None,
            kind,
            receipt_id: letter.id.clone(),
            at: None,
            detail: "{}".to_owned(),
        };
        let Ok(accepted) = self.send(command)? else {
            let erased = !self.books.erasures.is_empty();
            if row.is_some() || !erased {
                self.broken("a-receipt-finds-its-delivery", format!("{kind:?} for {delivery}"));
            }
            return Ok(());
        };
        if accepted.duplicate {
            return Ok(());
        }
        let (turn, at) = (self.books.next(), self.machine.now());
        self.books.receipts.push(Done { delivery, what: kind, at, turn });
        let Some(home) = accepted.customer.and_then(|customer| self.name_of(customer)) else {
            return Ok(());
        };
        let Some(row) = row else { return Ok(()) };
        let channel = row.delivery.outreach_type;
        match kind {
            ReceiptKind::Bounced | ReceiptKind::Complained => self.suppress(&home, channel),
            ReceiptKind::Unsubscribed => {
                let now = self.machine.now();
                let answers = self.books.consent.entry(home).or_default();
                answers.insert(channel.name().to_owned(), (now, false));
            }
            ReceiptKind::Delivered
            | ReceiptKind::Displayed
            | ReceiptKind::Clicked
            | ReceiptKind::Dismissed
            | ReceiptKind::Answered => {}
        }
        Ok(())
    }

    /// The address that somebody has now is not used again.
    pub(super) fn suppress(&mut self, home: &Name, channel: OutreachType) {
        let own = self.books.attributes.get(home);
        let address = own.and_then(|own| own.get(address_key(channel)));
        if channel != OutreachType::Webhook
            && let Some(address) = address.cloned()
        {
            self.books.suppressed.insert((home.clone(), format!("{} {address}", channel.name())));
        }
    }
}
