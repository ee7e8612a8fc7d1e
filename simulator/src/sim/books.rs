//! The world's own books: what was sent in and acknowledged, what the receivers got, what the team
//! and the operator did. Nothing in here was read from the host, save the ids of deliveries.

use std::collections::{BTreeMap, BTreeSet};

use engine::fact::{ReceiptKind, Settlement};
use engine::ids::{CustomerId, DeliveryId, EventId, ProjectNo};
use engine::outreach::content::OutreachType;
use engine::project::Status;

use super::rules::Rule;
use crate::model::clock::Ms;

pub(super) const SHOP: ProjectNo = ProjectNo(1);

/// The place of something in the order in which the world did it.
pub(super) type Turn = u64;

/// What a client calls somebody.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    User(String),
    Guest(String),
}

impl Name {
    pub(super) fn id(&self) -> CustomerId {
        match self {
            Name::User(name) => CustomerId::of_user(SHOP, name),
            Name::Guest(name) => CustomerId::of_guest(SHOP, name),
        }
    }

    pub(super) fn text(&self) -> &str {
        match self {
            Name::User(name) | Name::Guest(name) => name,
        }
    }
}

/// What a client sends.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) user: Option<String>,
    pub(super) guest: Option<String>,
    /// An event; `None`: only attributes.
    pub(super) event: Option<&'static str>,
    pub(super) at: Ms,
    pub(super) order: Option<u64>,
    pub(super) changes: BTreeMap<String, String>,
    pub(super) historical: bool,
}

/// A message that was acknowledged, and who the customer was then.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) message: Message,
    pub(super) home: Name,
    pub(super) accepted: Ms,
    pub(super) turn: Turn,
    /// The plan and the addresses right after it.
    pub(super) attributes: BTreeMap<String, String>,
    /// Channels that the customer forbade.
    pub(super) forbidden: BTreeSet<String>,
    /// The outreaches as they stood.
    pub(super) standings: BTreeMap<String, Standing>,
}

impl Kept {
    pub(super) fn event_id(&self) -> EventId {
        EventId::of(SHOP, &self.message.id)
    }

    /// When it happened, as the contract counts it.
    pub(super) fn at(&self) -> Ms {
        self.message.at.min(self.accepted)
    }
}

/// Where an outreach stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Standing {
    pub(super) status: Status,
    /// The version in force.
    pub(super) version: Option<u32>,
    pub(super) live_since: Ms,
}

/// An outreach through its versions.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) rules: Vec<Rule>,
    pub(super) standing: Standing,
}

/// How a receiver answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Accepts,
    /// Not now.
    Retry,
    /// Never.
    Rejects,
    AddressGone,
    /// Took it, and nobody heard the answer.
    TookItUnheard,
    /// Did not take it, and nobody heard the answer.
    LostUnheard,
    /// Took it; the process died before it could say so.
    TookItAndDied,
}

impl Answer {
    pub(super) fn got_it(self) -> bool {
        matches!(self, Answer::Accepts | Answer::TookItUnheard | Answer::TookItAndDied)
    }

    pub(super) fn is_ambiguous(self) -> bool {
        matches!(self, Answer::TookItUnheard | Answer::LostUnheard | Answer::TookItAndDied)
    }
}

/// One call of a channel, as its receiver saw it.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) delivery: DeliveryId,
    pub(super) outreach: String,
    pub(super) version: u32,
    pub(super) channel: OutreachType,
    pub(super) home: Name,
    pub(super) at: Ms,
    pub(super) turn: Turn,
    pub(super) answer: Answer,
    pub(super) address: String,
    pub(super) status: Status,
    pub(super) forbidden: bool,
    pub(super) suppressed: bool,
    pub(super) zone: String,
    /// The key of the claim, as the team would say it.
    pub(super) claim: String,
}

/// What somebody did to a delivery, and the host acknowledged.
#[derive(Clone, Debug)]
pub(super) struct Done<T> {
    pub(super) delivery: DeliveryId,
    pub(super) what: T,
    pub(super) at: Ms,
    pub(super) turn: Turn,
}

/// What was seen at once, at the moment it happened.
#[derive(Clone, Debug)]
pub(super) enum Probe {
    /// A message that was acknowledged before was sent again.
    Repeated { message: String, duplicate: bool, wrote: bool },
    /// A group was under way when the process died: which of it was found again.
    Group { found: Vec<bool> },
    /// The host came back from a crash at rest.
    Reopened { same: bool, what: &'static str },
    /// An erased customer was asked for.
    Erased { who: Name, found: Vec<&'static str> },
    /// A message that was displayed was still in an inbox.
    ShownTwice { delivery: DeliveryId },
    /// The moment of two acknowledgements, the earlier first.
    Time { before: Ms, after: Ms },
}

/// A one-off that was launched.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    pub(super) outreach: String,
    pub(super) turn: Turn,
    pub(super) members: Vec<Name>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Books {
    pub(super) turn: Turn,
    pub(super) kept: Vec<Kept>,
    pub(super) lines: BTreeMap<String, Line>,
    pub(super) calls: Vec<Call>,
    pub(super) settled: Vec<Done<Settlement>>,
    pub(super) receipts: Vec<Done<ReceiptKind>>,
    pub(super) allowed_again: Vec<(Name, String, Turn)>,
    pub(super) launches: Vec<Launch>,
    pub(super) probes: Vec<Probe>,
    /// Merges: guest, user, when.
    pub(super) merges: Vec<(Name, Name, Turn)>,
    /// Erasures: everybody that was one, when.
    pub(super) erasures: Vec<(BTreeSet<Name>, Turn)>,
    /// Who is known, and as whom.
    pub(super) homes: BTreeMap<Name, Name>,
    pub(super) attributes: BTreeMap<Name, BTreeMap<String, String>>,
    /// Answers about channels: when, and yes or no.
    pub(super) consent: BTreeMap<Name, BTreeMap<String, (Ms, bool)>>,
    /// Addresses that bounced or are gone.
    pub(super) suppressed: BTreeSet<(Name, String)>,
}

impl Books {
    pub(super) fn next(&mut self) -> Turn {
        self.turn += 1;
        self.turn
    }

    /// Who this is now.
    pub(super) fn home(&self, name: &Name) -> Name {
        self.homes.get(name).cloned().unwrap_or_else(|| name.clone())
    }

    pub(super) fn is_known(&self, name: &Name) -> bool {
        self.homes.contains_key(name)
    }

    /// Somebody and the guests that became part of them.
    pub(super) fn family(&self, home: &Name) -> BTreeSet<Name> {
        let all = self.homes.iter().filter(|(_, to)| *to == home);
        all.map(|(name, _)| name.clone()).chain([home.clone()]).collect()
    }

    /// Everybody who is somebody.
    pub(super) fn people(&self) -> BTreeSet<Name> {
        self.homes.values().cloned().collect()
    }

    /// The latest erasure of somebody or of who they were.
    pub(super) fn erased(&self, name: &Name) -> Option<Turn> {
        let of_them = self.erasures.iter().filter(|(who, _)| who.contains(name));
        of_them.map(|(_, turn)| *turn).max()
    }

    /// Whether something about somebody at a turn is still to be found.
    pub(super) fn remains(&self, name: &Name, turn: Turn) -> bool {
        self.erased(name).is_none_or(|erased| erased < turn)
    }

    pub(super) fn rule(&self, outreach: &str, version: u32) -> Option<&Rule> {
        let place = usize::try_from(version).ok()?.checked_sub(1)?;
        self.lines.get(outreach)?.rules.get(place)
    }

    /// The customer of a message; a guest who says their name becomes the user.
    pub(super) fn meet(&mut self, user: Option<&str>, guest: Option<&str>) -> Name {
        let guest = guest.map(|guest| Name::Guest(guest.to_owned()));
        let Some(user) = user else {
            let guest = guest.unwrap_or(Name::Guest(String::new()));
            let home = self.home(&guest);
            self.homes.insert(guest, home.clone());
            return home;
        };
        let user = Name::User(user.to_owned());
        self.homes.insert(user.clone(), user.clone());
        if let Some(guest) = guest
            && self.homes.get(&guest) == Some(&guest)
        {
            self.merge(&guest, &user);
        }
        user
    }

    fn merge(&mut self, guest: &Name, user: &Name) {
        let turn = self.turn;
        self.homes.insert(guest.clone(), user.clone());
        self.merges.push((guest.clone(), user.clone(), turn));
        let theirs = self.attributes.remove(guest).unwrap_or_default();
        let own = self.attributes.entry(user.clone()).or_default();
        for (key, value) in theirs {
            own.entry(key).or_insert(value);
        }
        let theirs = self.consent.remove(guest).unwrap_or_default();
        let own = self.consent.entry(user.clone()).or_default();
        for (channel, answer) in theirs {
            let kept = own.entry(channel).or_insert(answer);
            // Of two answers of one moment the customer's own counts.
            if kept.0 < answer.0 {
                *kept = answer;
            }
        }
        let gone = self.suppressed.iter().filter(|(who, _)| who == guest);
        let gone: Vec<_> = gone.map(|(_, address)| (user.clone(), address.clone())).collect();
        self.suppressed.extend(gone);
    }

    /// A message was acknowledged, at this moment.
    pub(super) fn keep(&mut self, message: Message, accepted: Ms) {
        let turn = self.next();
        let home = self.meet(message.user.as_deref(), message.guest.as_deref());
        let own = self.attributes.entry(home.clone()).or_default();
        own.extend(message.changes.iter().map(|(key, value)| (key.clone(), value.clone())));
        let attributes = own.clone();
        let standings = self.lines.iter().map(|(id, line)| (id.clone(), line.standing)).collect();
        let forbidden = self.forbidden(&home);
        self.kept.push(Kept { message, home, accepted, turn, attributes, forbidden, standings });
    }

    pub(super) fn forbidden(&self, home: &Name) -> BTreeSet<String> {
        let answers = self.consent.get(home).into_iter().flatten();
        answers.filter(|(_, (_, yes))| !yes).map(|(channel, _)| channel.clone()).collect()
    }

    /// Everybody that was one is forgotten.
    pub(super) fn erase(&mut self, home: &Name) {
        let turn = self.next();
        let family = self.family(home);
        for name in &family {
            self.homes.remove(name);
            self.attributes.remove(name);
            self.consent.remove(name);
            self.suppressed.retain(|(who, _)| who != name);
        }
        self.erasures.push((family, turn));
    }
}
