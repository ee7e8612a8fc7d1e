//! Everything that ever happened, in one list, and the questions that are answered by reading all
//! of it again.
//!
//! No answer is kept. What a customer's attribute is, which guests became part of them, when they
//! were last seen: each is found by going through the list from the beginning. That is slow, and
//! it is why there is nothing here that could have been forgotten to be updated.

use std::collections::{BTreeMap, BTreeSet};

use engine::customer::canonical_key;
use engine::ids::{CustomerId, ProjectNo};
use engine::outreach::content::OutreachType;
use engine::outreach::definition::{Definition, OutreachStep};
use serde_json::Value as Json;

use super::clock::{self, Ms};
use super::values::Val;
use super::{Names, ReceiptKind};

/// One line of the list.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whom it is about, under the name they had then.
    pub customer: CustomerId,
    /// When it was accepted.
    pub accepted: Ms,
    /// What it says.
    pub what: What,
}

/// What a line says.
#[derive(Clone, Debug)]
pub enum What {
    /// The customer did something, or it was derived that they did.
    Event(Event),
    /// Attributes were written: by canonical key, none where removed.
    Write { changes: BTreeMap<String, Option<Val>>, historical: bool },
    /// This guest is from now on part of the customer.
    Merge { guest: CustomerId },
    /// The customer said yes or no.
    Consent { key: String, allowed: bool },
    /// Something came back from a delivery.
    Receipt { outreach: String, grant: usize, kind: ReceiptKind, at: Ms },
    /// The goal of an outreach was reached in time.
    Convert { outreach: String, at: Ms },
    /// An address must not be used again.
    Suppress { channel: &'static str, address: String },
    /// A property trigger passes the customer over: they matched when it went live without current
    /// customers, or an event withdrew its message.
    Exclude { outreach: String },
    /// The property condition was seen not to hold.
    Readmit { outreach: String },
}

/// An event of a customer.
#[derive(Clone, Debug)]
pub struct Event {
    /// The name as it is compared.
    pub name: String,
    /// When it happened.
    pub at: Ms,
    /// Its properties.
    pub properties: Json,
    /// Stored only.
    pub historical: bool,
    /// Where it comes from.
    pub source: Source,
}

/// Where an event comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A client sent it.
    Tracked,
    /// A session began.
    Session,
    /// A delivery of this outreach.
    Delivery(String),
}

/// A claim that was given to somebody, and the delivery that came of it.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Which outreach.
    pub outreach: String,
    /// Whom it was given to, under the name they had then.
    pub customer: CustomerId,
    /// When.
    pub at: Ms,
    /// The key, where the frequency or the launch has one.
    pub key: Option<String>,
    /// The place of the triggering event in the list.
    pub trigger: Option<usize>,
    /// The moment of the trigger, as the customer's clock had it.
    pub triggered_at: Ms,
    /// Not before.
    pub due_at: Ms,
    /// Not after.
    pub expires_at: Option<Ms>,
    /// Where it stands.
    pub state: GrantState,
    /// The version that decided.
    pub definition: Definition,
}

/// Where a grant stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrantState {
    /// A delay runs, or the hour of the day holds it.
    Waiting,
    /// To be sent at its time, or sent.
    Standing,
    /// Nobody saw it in time, and the claim was taken back.
    Expired,
    /// Taken back.
    Released,
}

impl Grant {
    /// Not taken back.
    pub fn in_force(&self) -> bool {
        matches!(self.state, GrantState::Waiting | GrantState::Standing)
    }

    /// The channel.
    pub fn outreach_type(&self) -> OutreachType {
        self.definition.content.outreach_type()
    }
}

/// The list.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// All lines, in the order in which they were accepted.
    pub entries: Vec<Entry>,
    /// All claims, in the order in which they were given.
    pub grants: Vec<Grant>,
    /// The ids that were seen.
    pub seen: BTreeSet<String>,
    /// Who has a name of the client's own.
    pub users: BTreeMap<CustomerId, String>,
}

impl History {
    /// Write a line; the answer is its place.
    pub fn push(&mut self, customer: CustomerId, accepted: Ms, what: What) -> usize {
        self.entries.push(Entry { customer, accepted, what });
        self.entries.len() - 1
    }

    /// The customer that these names mean now: a guest that became part of somebody is somebody.
    pub fn resolve(&self, names: &Names) -> Option<CustomerId> {
        let project = ProjectNo(1);
        if let Some(user) = &names.user_id {
            return Some(CustomerId::of_user(project, user));
        }
        let guest = CustomerId::of_guest(project, names.anonymous_id.as_ref()?);
        Some(self.merged_into(guest).unwrap_or(guest))
    }

    /// The customer this guest became part of.
    pub fn merged_into(&self, who: CustomerId) -> Option<CustomerId> {
        self.entries.iter().find_map(|entry| match entry.what {
            What::Merge { guest } if guest == who => Some(entry.customer),
            _ => None,
        })
    }

    /// Everybody who is somebody, in the order of their ids.
    pub fn customers(&self) -> Vec<CustomerId> {
        let all: BTreeSet<_> = self.entries.iter().map(|entry| entry.customer).collect();
        all.into_iter().filter(|who| self.merged_into(*who).is_none()).collect()
    }

    /// A customer and the guests who became part of them.
    pub fn family(&self, customer: CustomerId) -> BTreeSet<CustomerId> {
        let guests = self.entries.iter().filter_map(|entry| match entry.what {
            What::Merge { guest } if entry.customer == customer => Some(guest),
            _ => None,
        });
        guests.chain([customer]).collect()
    }

    /// The lines about a customer, with their places.
    pub fn of(&self, customer: CustomerId) -> impl Iterator<Item = (usize, &Entry)> {
        let family = self.family(customer);
        let lines = self.entries.iter().enumerate();
        lines.filter(move |(_, entry)| family.contains(&entry.customer))
    }

    /// The events of a customer by the time they happened, with their places.
    pub fn events(&self, customer: CustomerId) -> Vec<(usize, &Event)> {
        let mut events: Vec<(usize, &Event)> = self
            .of(customer)
            .filter_map(|(place, entry)| match &entry.what {
                What::Event(event) => Some((place, event)),
                _ => None,
            })
            .collect();
        events.sort_by_key(|(place, event)| (event.at, *place));
        events
    }

    /// The event at a place.
    pub fn event(&self, place: usize) -> Option<&Event> {
        match &self.entries.get(place)?.what {
            What::Event(event) => Some(event),
            _ => None,
        }
    }

    /// The claims of a customer, with their places.
    pub fn grants_of(&self, customer: CustomerId) -> impl Iterator<Item = (usize, &Grant)> {
        let family = self.family(customer);
        let grants = self.grants.iter().enumerate();
        grants.filter(move |(_, grant)| family.contains(&grant.customer))
    }

    /// When these steps of an outreach happened for a customer, receipts only. Whoever clicked,
    /// answered or dismissed has seen it, also when nobody said so.
    pub fn receipts(&self, customer: CustomerId, outreach: &str, step: OutreachStep) -> Vec<Ms> {
        let mut times = Vec::new();
        let mut seen = BTreeSet::new();
        for (_, entry) in self.of(customer) {
            let What::Receipt { outreach: of, kind, at, grant } = &entry.what else { continue };
            let Some(says) = kind.step().filter(|_| of == outreach) else { continue };
            let first = seen.insert(*grant);
            if says == step || (first && step == OutreachStep::Displayed) {
                times.push(*at);
            }
        }
        times
    }

    /// Whether the customer answered this very delivery in any way that shows they saw it.
    pub fn was_seen(&self, place: usize) -> bool {
        self.entries.iter().any(|entry| match &entry.what {
            What::Receipt { grant, kind, .. } => *grant == place && kind.step().is_some(),
            _ => false,
        })
    }

    /// All written attributes by their canonical key.
    ///
    /// At a merge the guest gives what the user does not have; the user's own values win.
    pub fn attributes(&self, customer: CustomerId) -> BTreeMap<String, Val> {
        self.attributes_until(customer, self.entries.len())
    }

    fn attributes_until(&self, customer: CustomerId, end: usize) -> BTreeMap<String, Val> {
        let mut attributes = BTreeMap::new();
        for (place, entry) in self.entries.iter().enumerate().take(end) {
            if entry.customer != customer {
                continue;
            }
            if let What::Write { changes, .. } = &entry.what {
                for (key, value) in changes {
                    match value {
                        Some(value) => attributes.insert(key.clone(), value.clone()),
                        None => attributes.remove(key),
                    };
                }
            }
            if let What::Merge { guest } = entry.what {
                for (key, value) in self.attributes_until(guest, place) {
                    attributes.entry(key).or_insert(value);
                }
            }
        }
        attributes
    }

    /// An attribute, the computed ones included.
    pub fn attribute(&self, customer: CustomerId, key: &str) -> Option<Val> {
        let key = canonical_key(key);
        if let Some(value) = self.attributes(customer).remove(&key) {
            return Some(value);
        }
        let moment = |at: Option<Ms>| at.map(|at| Val::Text(clock::write(at)));
        match key.as_str() {
            "user_id" => self.user_id(customer).map(Val::Text),
            "first_seen" => moment(self.first_seen(customer)),
            "last_seen" => moment(self.last_seen(customer)),
            "session_count" => match self.sessions(customer) {
                0 => None,
                sessions => Some(Val::Number(f64::from(sessions))),
            },
            "is_guest" => Some(Val::Bool(self.user_id(customer).is_none())),
            _ => None,
        }
    }

    /// An attribute that is a text with something in it.
    pub fn text(&self, customer: CustomerId, key: &str) -> Option<String> {
        match self.attributes(customer).remove(key) {
            Some(Val::Text(text)) if !text.trim().is_empty() => Some(text.trim().to_owned()),
            Some(_) | None => None,
        }
    }

    fn user_id(&self, customer: CustomerId) -> Option<String> {
        self.users.get(&customer).cloned()
    }

    /// The earliest that is known of the customer: what they did or what was written about them,
    /// also when it was imported later.
    pub fn first_seen(&self, customer: CustomerId) -> Option<Ms> {
        let moments = self.of(customer).filter_map(|(_, entry)| match &entry.what {
            What::Event(event) if event.source == Source::Tracked => Some(event.at),
            What::Write { .. } => Some(entry.accepted),
            _ => None,
        });
        moments.min()
    }

    /// The latest activity: what the customer did, not what was imported or written about them.
    pub fn last_seen(&self, customer: CustomerId) -> Option<Ms> {
        let active = |event: &Event| event.source == Source::Tracked && !event.historical;
        self.events(customer)
            .into_iter()
            .filter(|(_, event)| active(event))
            .map(|(_, event)| event.at)
            .max()
    }

    fn sessions(&self, customer: CustomerId) -> u32 {
        let sessions = self.events(customer);
        let count = sessions.iter().filter(|(_, event)| event.source == Source::Session).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// The latest answer of a customer about a channel or topic. A guest who becomes somebody
    /// brings theirs along; of two answers of one moment the customer's own counts.
    pub fn consent(&self, customer: CustomerId, wanted: &str) -> Option<bool> {
        self.answer_until(customer, wanted, self.entries.len()).map(|(_, allowed)| allowed)
    }

    fn answer_until(&self, customer: CustomerId, wanted: &str, end: usize) -> Option<(Ms, bool)> {
        let mut latest: Option<(Ms, bool)> = None;
        for (place, entry) in self.entries.iter().enumerate().take(end) {
            match &entry.what {
                What::Consent { key, allowed } if entry.customer == customer && key == wanted => {
                    latest = Some((entry.accepted, *allowed));
                }
                What::Merge { guest } if entry.customer == customer => {
                    let theirs = self.answer_until(*guest, wanted, place);
                    let later = theirs.filter(|(at, _)| latest.is_none_or(|(own, _)| own < *at));
                    latest = later.or(latest);
                }
                _ => {}
            }
        }
        latest
    }

    /// Whether an address of a customer must not be used.
    pub fn suppressed(&self, customer: CustomerId, channel: &str, address: &str) -> bool {
        self.of(customer).any(|(_, entry)| match &entry.what {
            What::Suppress { channel: of, address: gone } => *of == channel && gone == address,
            _ => false,
        })
    }

    /// Whether a property trigger passes over a customer. After a merge it does when it passed
    /// over either of the two.
    pub fn excluded(&self, customer: CustomerId, wanted: &str) -> bool {
        self.excluded_until(customer, wanted, self.entries.len())
    }

    fn excluded_until(&self, customer: CustomerId, wanted: &str, end: usize) -> bool {
        let mut excluded = false;
        for (place, entry) in self.entries.iter().enumerate().take(end) {
            if entry.customer != customer {
                continue;
            }
            match &entry.what {
                What::Exclude { outreach } if outreach == wanted => excluded = true,
                What::Readmit { outreach } if outreach == wanted => excluded = false,
                What::Merge { guest } => excluded |= self.excluded_until(*guest, wanted, place),
                _ => {}
            }
        }
        excluded
    }

    /// When the goal of an outreach was reached.
    pub fn conversions(&self, customer: CustomerId, wanted: &str) -> Vec<Ms> {
        let times = self.of(customer).filter_map(|(_, entry)| match &entry.what {
            What::Convert { outreach, at } if outreach == wanted => Some(*at),
            _ => None,
        });
        times.collect()
    }
}
