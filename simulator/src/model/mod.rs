//! The reference model: the contract of the decision engine as a program that anybody can check.
//!
//! It keeps everything that ever happened in one list and answers each question by reading the
//! list again. It shares with the engine the types of a definition and the hash of the ids, and
//! nothing else: its own values, its own time, its own gates. So it is slow, and when it agrees
//! with the engine that says something.
//!
//! Deliberately not here: content (every template renders), pages (judged where the message is
//! shown), rate limits (a matter of the host), retries and failures of channels. A message on a
//! channel outside the browser counts as handed over at the moment it is due.
//!
//! Where the contract leaves room, it does as `docs/decisions/008-what-the-contract-leaves-open.md`
//! says. Besides:
//!
//! - A text test compares texts (`"4.20"` is not `4.2`), a number test numbers (`"4.20"` is).
//! - A no to the channel or to the topic is a no, whichever was said later.
//! - A guest merges only once.
//! - Events from before going live leave no trace. Going live again moves that moment.
//! - Each receipt is an event `outreach.displayed` (of a mail: `email.opened`), `.clicked`,
//!   `.dismissed`, `.answered`, or `survey.answered`, `tour.completed`, `checklist.completed`, with
//!   the property `outreach`. What providers say of mail is no event here.
//!
//! In reading order: [`history`] the list · [`scene`] the conditions · [`gates`] the gates ·
//! `judging` what triggers · `timers` what the clock does.

pub mod clock;
pub mod values;
pub mod compare;
pub mod coverage;
pub mod verdict;
pub mod history;
pub mod scene;
pub mod timing;
pub mod gates;
mod judging;
mod timers;
#[cfg(test)]
mod spec;

use std::cell::RefCell;
use std::collections::BTreeMap;

use engine::customer::canonical_key;
use engine::ids::{CustomerId, ProjectNo};
use engine::outreach::definition::{Condition, Definition, OutreachStep, Trigger};
use engine::project::{Settings, Status};
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use clock::Ms;
use coverage::Coverage;
use history::{Event, History, Source, What};
use values::Val;
use verdict::{Outcome, Skip, Verdict};

/// One project, its customers and all that happened to them.
pub struct Model {
    /// The settings.
    pub settings: Settings,
    /// The list of everything.
    pub history: History,
    /// Saved segments by id; `None` is everyone.
    pub segments: BTreeMap<String, Option<Condition>>,
    outreaches: Vec<Line>,
    clock: Ms,
    coverage: RefCell<Coverage>,
    counting: bool,
}

/// An outreach: what was written, what is in force, where it stands.
#[derive(Clone, Debug)]
pub struct Line {
    id: String,
    latest: Definition,
    published: Option<Definition>,
    status: Status,
    live_since: Option<Ms>,
    launches: u32,
}

/// What the client calls the customer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// The client's own id.
    pub user_id: Option<String>,
    /// The browser's or device's id.
    pub anonymous_id: Option<String>,
}

/// What comes in from outside.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// The customer did something.
    Track {
        /// Whom.
        names: Names,
        /// Counts once.
        message_id: String,
        /// The event's name.
        name: String,
        /// When it happened; never counted as later than its acceptance.
        at: Ms,
        /// An object.
        properties: Json,
        /// Stored, never triggers.
        historical: bool,
    },
    /// Attributes were written; with both names a guest turns out to be the user.
    Identify {
        /// Whom.
        names: Names,
        /// Counts once.
        message_id: String,
        /// An object; null removes.
        changes: Json,
        /// Stored, never triggers.
        historical: bool,
    },
    /// The customer allowed or forbade something.
    Consent {
        /// Whom.
        names: Names,
        /// `email` …
        channel: String,
        /// Empty: the whole channel.
        topic: String,
        /// Allowed?
        allowed: bool,
    },
    /// Something came back from the latest delivery of an outreach to a customer.
    Receipt {
        /// Whom.
        names: Names,
        /// Counts once.
        message_id: String,
        /// Which outreach.
        outreach: String,
        /// What.
        kind: ReceiptKind,
        /// When.
        at: Ms,
    },
}

/// What comes back from a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReceiptKind {
    /// Seen.
    Displayed,
    /// Clicked.
    Clicked,
    /// Closed without an answer.
    Dismissed,
    /// Answered or completed.
    Answered,
    /// The address does not exist.
    Bounced,
    /// Marked as spam.
    Complained,
    /// No more of this.
    Unsubscribed,
}

impl ReceiptKind {
    /// The step of the outreach's history that it is.
    pub fn step(self) -> Option<OutreachStep> {
        match self {
            ReceiptKind::Displayed => Some(OutreachStep::Displayed),
            ReceiptKind::Clicked => Some(OutreachStep::Clicked),
            ReceiptKind::Dismissed => Some(OutreachStep::Dismissed),
            ReceiptKind::Answered => Some(OutreachStep::Answered),
            ReceiptKind::Bounced | ReceiptKind::Complained | ReceiptKind::Unsubscribed => None,
        }
    }
}

/// Attributes as a client wrote them, by canonical key.
fn written(changes: &Json) -> BTreeMap<String, Option<Val>> {
    let mut leaves = BTreeMap::new();
    values::flatten(changes, &mut leaves);
    leaves.into_iter().map(|(path, value)| (canonical_key(&path), value)).collect()
}

/// The form in which names of events are compared.
pub fn event_name(name: &str) -> String {
    name.trim().to_lowercase()
}

impl Model {
    /// An empty project.
    pub fn new(settings: Settings) -> Model {
        Model {
            settings,
            history: History::default(),
            segments: BTreeMap::new(),
            outreaches: Vec::new(),
            clock: clock::FAR_PAST,
            coverage: RefCell::default(),
            counting: true,
        }
    }

    /// Save a version; it is in force from the next time the outreach is set live.
    pub fn save_outreach(&mut self, id: &str, definition: Definition) {
        if let Some(line) = self.outreaches.iter_mut().find(|line| line.id == id) {
            line.latest = definition;
            return;
        }
        self.outreaches.push(Line {
            id: id.to_owned(),
            latest: definition,
            published: None,
            status: Status::Draft,
            live_since: None,
            launches: 0,
        });
    }

    /// Save a segment; no filter means everyone.
    pub fn save_segment(&mut self, id: &str, filter: Option<Condition>) {
        self.segments.insert(id.to_owned(), filter);
    }

    /// Change where an outreach stands. Going live publishes the latest version.
    pub fn set_status(&mut self, id: &str, status: Status, now: Ms) -> Vec<Verdict> {
        let mut verdicts = self.advance(now);
        let Some(place) = self.outreaches.iter().position(|line| line.id == id) else {
            return verdicts;
        };
        let Some(line) = self.outreaches.get_mut(place) else { return verdicts };
        let one_off = matches!(line.latest.trigger, Trigger::OneOff { .. });
        let refused = match status {
            _ if line.status == Status::Ended => true,
            // A one-off is launched; only then can it be paused and resumed.
            Status::Live => one_off && line.launches == 0,
            Status::Paused => line.published.is_none(),
            Status::Draft => true,
            Status::Shadow | Status::Ended => false,
        };
        if refused {
            return verdicts;
        }
        let publishes = matches!(status, Status::Live | Status::Shadow);
        if publishes {
            line.published = Some(line.latest.clone());
        }
        if publishes && line.status != status {
            line.live_since = Some(now);
        }
        line.status = status;
        if publishes {
            verdicts.extend(self.go_live(place, now));
        }
        verdicts
    }

    /// Send a one-off to everybody who matches now.
    pub fn launch(&mut self, id: &str, now: Ms) -> Vec<Verdict> {
        let mut verdicts = self.advance(now);
        let Some(place) = self.outreaches.iter().position(|line| line.id == id) else {
            return verdicts;
        };
        verdicts.extend(self.launch_one_off(place, now));
        verdicts
    }

    /// Take something in, after everything the clock had to do before.
    pub fn accept(&mut self, now: Ms, input: Input) -> Vec<Verdict> {
        let mut verdicts = self.advance(now);
        verdicts.extend(self.take_in(now, input));
        for customer in self.history.customers() {
            self.readmit(customer, now);
        }
        verdicts
    }

    /// Let the clock do what is due up to this moment, this moment included.
    pub fn advance(&mut self, now: Ms) -> Vec<Verdict> {
        let verdicts = self.strike_until(now);
        self.clock = self.clock.max(now);
        verdicts
    }

    /// What was asked so far.
    pub fn coverage(&self) -> Coverage {
        self.coverage.borrow().clone()
    }

    /// Whether answers are counted at the moment.
    pub(crate) fn is_counting(&self) -> bool {
        self.counting
    }

    /// Count an answer.
    pub(crate) fn note(&self, question: &str, answer: bool) {
        if self.counting {
            self.coverage.borrow_mut().note(question, answer);
        }
    }

    /// The zone of a customer: their own when known and valid, else the project's.
    pub fn zone_of(&self, customer: CustomerId) -> TimeZone {
        let own = self.history.text(customer, "timezone");
        own.and_then(|name| clock::zone(&name))
            .or_else(|| clock::zone(&self.settings.timezone))
            .unwrap_or(TimeZone::UTC)
    }

    fn take_in(&mut self, now: Ms, input: Input) -> Vec<Verdict> {
        match input {
            Input::Track { names, message_id, name, at, properties, historical } => {
                let Some(customer) = self.meet(&names, Some(&message_id)) else {
                    return Vec::new();
                };
                self.learn(customer, &names);
                let at = at.min(now);
                let name = event_name(&name);
                let event = Event { name, at, properties, historical, source: Source::Tracked };
                self.take_track(customer, now, &event)
            }
            Input::Identify { names, message_id, changes, historical } => {
                let Some(customer) = self.meet(&names, Some(&message_id)) else {
                    return Vec::new();
                };
                self.learn(customer, &names);
                let mut verdicts = self.merge(customer, &names, now);
                let changes = written(&changes);
                self.history.push(customer, now, What::Write { changes, historical });
                if !historical {
                    verdicts.extend(self.judge_properties(customer, now));
                }
                verdicts
            }
            Input::Consent { names, channel, topic, allowed } => {
                if let Some(customer) = self.meet(&names, None) {
                    let key = if topic.is_empty() { channel } else { format!("{channel}/{topic}") };
                    self.history.push(customer, now, What::Consent { key, allowed });
                }
                Vec::new()
            }
            Input::Receipt { names, message_id, outreach, kind, at } => {
                match self.meet(&names, Some(&message_id)) {
                    Some(customer) => {
                        self.take_receipt(customer, now, &outreach, kind, at.min(now))
                    }
                    None => Vec::new(),
                }
            }
        }
    }

    /// Who is meant; nobody when the message was seen before.
    fn meet(&mut self, names: &Names, message_id: Option<&str>) -> Option<CustomerId> {
        let customer = self.history.resolve(names)?;
        if let Some(id) = message_id
            && !self.history.seen.insert(id.to_owned())
        {
            return None;
        }
        Some(customer)
    }

    fn learn(&mut self, customer: CustomerId, names: &Names) {
        if let Some(user) = &names.user_id {
            self.history.users.insert(customer, user.clone());
        }
    }

    /// A guest turns out to be this user. Where both hold the same claim and the customer has not
    /// seen one of the two messages, that one is withdrawn: nobody gets it twice. What the guest
    /// was becomes the user's like a write, and is judged like one.
    fn merge(&mut self, user: CustomerId, names: &Names, now: Ms) -> Vec<Verdict> {
        let (Some(_), Some(anonymous)) = (&names.user_id, &names.anonymous_id) else {
            return Vec::new();
        };
        let guest = CustomerId::of_guest(ProjectNo(1), anonymous);
        if self.history.merged_into(guest).is_some() {
            return Vec::new();
        }
        let known = self.history.entries.iter().any(|entry| entry.customer == guest);
        let theirs = self.open_claims(guest);
        let own = self.open_claims(user);
        let mut withdrawn = Vec::new();
        for (guests, outreach, key, guests_open) in &theirs {
            for (users, other, other_key, users_open) in &own {
                if outreach != other || key != other_key {
                    continue;
                }
                if *guests_open {
                    withdrawn.push(*guests);
                } else if *users_open {
                    withdrawn.push(*users);
                }
            }
        }
        self.history.push(user, now, What::Merge { guest });
        let mut verdicts = Vec::new();
        withdrawn.sort_unstable();
        withdrawn.dedup();
        self.note("merge withdraws", !withdrawn.is_empty());
        for place in withdrawn {
            let grant = self.release(place);
            let outcome = Outcome::Cancelled(Skip::AlreadySent);
            verdicts.extend(grant.map(|outreach| Verdict {
                outreach,
                customer: user,
                at: now,
                outcome,
            }));
        }
        if known {
            verdicts.extend(self.judge_properties(user, now));
        }
        verdicts
    }

    /// The version of an outreach that is in force.
    pub(crate) fn published(&self, outreach: &str) -> Option<&Definition> {
        let line = self.outreaches.iter().find(|line| line.id == outreach)?;
        line.published.as_ref()
    }

    /// Outreaches in the order in which they are judged at one moment.
    fn in_order(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.outreaches.len()).collect();
        let priority = |place: usize| {
            let line = self.outreaches.get(place);
            line.and_then(|line| line.published.as_ref())
                .map_or(0, |definition| definition.guardrails.priority)
        };
        places.sort_by_key(|place| (-i64::from(priority(*place)), *place));
        places
    }
}

impl Line {
    /// The condition of a property trigger in force.
    fn property_trigger(&self) -> Option<(&Condition, bool)> {
        match &self.published.as_ref()?.trigger {
            Trigger::UserProperty { condition, include_current, .. } => {
                Some((condition, *include_current))
            }
            Trigger::Event { .. } | Trigger::OneOff { .. } => None,
        }
    }

    /// Whether its refusals and sends are recorded at all.
    fn is_judged(&self) -> bool {
        matches!(self.status, Status::Live | Status::Shadow | Status::Paused)
    }
}
