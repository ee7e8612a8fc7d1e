//! Books and eyes, and how one finds the way from one to the other.

use std::collections::{BTreeMap, BTreeSet};

use engine::decision::Outcome;
use engine::delivery::TriggerRef;
use engine::ids::{CustomerId, DeliveryId, EventId};
use host::query::decisions::DecisionLine;

use super::super::books::{Books, Kept, Name, Turn};
use super::super::eyes::Eyes;
use super::super::rules::Rule;

pub(super) struct View<'a> {
    pub(super) books: &'a Books,
    pub(super) eyes: &'a Eyes,
    events: BTreeMap<EventId, &'a Kept>,
}

impl<'a> View<'a> {
    pub(super) fn new(books: &'a Books, eyes: &'a Eyes) -> View<'a> {
        let events = books.kept.iter().map(|kept| (kept.event_id(), kept)).collect();
        View { books, eyes, events }
    }

    /// The message of a client that triggered a decision.
    pub(super) fn message_of(&self, line: &DecisionLine) -> Option<&'a Kept> {
        match &line.decision.trigger {
            TriggerRef::Event { id, .. } => self.events.get(id).copied(),
            TriggerRef::UserProperty | TriggerRef::OneOff { .. } => None,
        }
    }

    pub(super) fn rule_of(&self, line: &DecisionLine) -> Option<&'a Rule> {
        self.books.rule(&id_of(line), line.decision.version)
    }

    /// Decisions to send, with the delivery and when it was to be due.
    pub(super) fn sends(&self) -> impl Iterator<Item = (&'a DecisionLine, DeliveryId, i64)> {
        self.eyes.decisions.iter().filter_map(|line| match &line.decision.outcome {
            Outcome::Send { delivery, due_at, .. } => Some((line, *delivery, due_at.0)),
            Outcome::Skip(_) => None,
        })
    }

    /// Acknowledged messages of whom nobody has erased since.
    pub(super) fn remaining(&self) -> impl Iterator<Item = &'a Kept> {
        let books = self.books;
        books.kept.iter().filter(|kept| books.remains(&kept.home, kept.turn))
    }

    /// Who somebody became in the end, from a turn on; not beyond an erasure.
    pub(super) fn later(&self, name: &Name, turn: Turn) -> Name {
        let (mut here, mut at) = (name.clone(), turn);
        while let Some((_, user, merged)) = self.books.merges.iter().find(|(guest, _, merged)| {
            let erased = self.erased_between(guest, at, *merged);
            *guest == here && *merged > at && !erased
        }) {
            (here, at) = (user.clone(), *merged);
        }
        here
    }

    fn erased_between(&self, name: &Name, from: Turn, to: Turn) -> bool {
        let mut of_them = self.books.erasures.iter().filter(|(who, _)| who.contains(name));
        of_them.any(|(_, turn)| from < *turn && *turn < to)
    }

    /// Which of somebody's lives it was at a turn, told by the erasure that ends it. Who was merged
    /// by then has the same one.
    pub(super) fn life(&self, name: &Name, turn: Turn) -> Option<Turn> {
        let of_them = self.books.erasures.iter().filter(|(who, _)| who.contains(name));
        of_them.map(|(_, erased)| *erased).find(|erased| *erased > turn)
    }

    /// When a customer's present life began. The deliveries of the one before may have had the same
    /// ids.
    pub(super) fn born(&self, customer: CustomerId) -> Turn {
        let is_theirs = |who: &BTreeSet<Name>| who.iter().any(|name| name.id() == customer);
        let of_them = self.books.erasures.iter().filter(|(who, _)| is_theirs(who));
        of_them.map(|(_, turn)| *turn).max().unwrap_or(0)
    }

    /// Whether a guest ever became part of this customer, or this one of another.
    pub(super) fn is_merged(&self, customer: CustomerId) -> bool {
        let mut merges = self.books.merges.iter();
        merges.any(|(guest, user, _)| guest.id() == customer || user.id() == customer)
    }

    /// Whether an operator said between two turns that a delivery is to be tried again.
    pub(super) fn was_retried_between(&self, delivery: DeliveryId, from: Turn, to: Turn) -> bool {
        self.books.settled.iter().any(|done| {
            done.delivery == delivery
                && done.what == engine::fact::Settlement::Retry
                && from < done.turn
                && done.turn < to
        })
    }

    /// Whether an operator tried a delivery again.
    pub(super) fn was_retried(&self, delivery: DeliveryId) -> bool {
        self.books
            .settled
            .iter()
            .any(|done| done.delivery == delivery && done.what == engine::fact::Settlement::Retry)
    }
}

/// The outreach of a decision.
pub(super) fn id_of(line: &DecisionLine) -> String {
    format!("outreach-{}", line.decision.outreach.0)
}
