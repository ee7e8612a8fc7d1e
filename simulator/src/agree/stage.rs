//! The engine on a bare stage: customers in a map, facts in a list, and a clock.
//!
//! What a host does around the engine is done here in its plainest form: find out who is meant,
//! merge guests, drop repeated messages, strike the clock, hand over what is due.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use engine::apply;
use engine::condition;
use engine::customer::{Customer, canonical_key};
use engine::decision::{Outcome as Decided, Ruling};
use engine::delivery::{Delivery, DeliveryState};
use engine::fact::{AttemptOutcome, Event, Fact, Names, ReceiptKind};
use engine::ids::{CustomerId, DeliveryId, EventId, OutreachNo, ProjectNo};
use engine::outreach::compiled::Trigger;
use engine::outreach::definition::Definition;
use engine::project::{Project, ProjectChange, Status};
use engine::situation::{History, Occasion, Situation};
use engine::sorted::Sorted;
use engine::time::Timestamp;
use engine::value::Value;
use serde_json::Value as Json;

use crate::model::verdict::{Outcome, Skip, Verdict};
use crate::model::{self, Input};
use crate::worlds::World;

const PROJECT: ProjectNo = ProjectNo(1);

/// Every fact that was applied; its place is its position in the log.
#[derive(Default)]
struct Facts {
    facts: RefCell<Vec<Fact>>,
    project: RefCell<Option<Rc<Project>>>,
}

impl History for Facts {
    fn properties(&self, position: u64, event_key: u64) -> Json {
        let facts = self.facts.borrow();
        let project = self.project.borrow();
        let place = usize::try_from(position).unwrap_or(usize::MAX);
        match (facts.get(place), project.as_ref()) {
            (Some(fact), Some(project)) => apply::properties_in(project, fact, event_key),
            (_, _) => Json::Null,
        }
    }
}

pub(super) struct Stage {
    project: Rc<Project>,
    customers: BTreeMap<CustomerId, Customer>,
    facts: Facts,
    seen: BTreeSet<EventId>,
    now: Timestamp,
    verdicts: Vec<Verdict>,
    /// All deliveries, in the order in which they began.
    begun: Vec<DeliveryId>,
    /// Each customer's facts and rulings, to be replayed at the end.
    records: Vec<Record>,
}

/// What a log would hold; its place is its position.
struct Record {
    project: Rc<Project>,
    customer: CustomerId,
    fact: Fact,
    ruling: Ruling,
    now: Timestamp,
}

impl Stage {
    pub(super) fn new(world: &World) -> Stage {
        let mut stage = Stage {
            project: Rc::new(Project::new(PROJECT, "world")),
            customers: BTreeMap::new(),
            facts: Facts::default(),
            seen: BTreeSet::new(),
            now: Timestamp(0),
            verdicts: Vec::new(),
            begun: Vec::new(),
            records: Vec::new(),
        };
        let settings = serde_json::to_string(&world.settings).unwrap_or_default();
        stage.change(&ProjectChange::SettingsSaved { settings });
        // Segments and outreaches may speak of each other; whoever spoke too early is saved again.
        for (id, definition) in &world.definitions {
            stage.save(id, definition);
        }
        for (id, filter) in &world.segments {
            let filter = serde_json::to_string(filter).unwrap_or_default();
            stage.change(&ProjectChange::SegmentSaved { id: id.clone(), name: id.clone(), filter });
        }
        for (id, definition) in &world.definitions {
            if stage.project.outreach(id).is_some_and(|line| line.latest.is_err()) {
                stage.save(id, definition);
            }
        }
        stage
    }

    /// What of the world does not compile.
    #[cfg(test)]
    pub(super) fn problems(&self) -> Vec<String> {
        let lines = self.project.outreaches.values();
        let wrong = lines.filter_map(|line| line.latest.as_ref().err());
        wrong.flatten().map(|problem| format!("{problem:?}")).collect()
    }

    #[cfg(test)]
    pub(super) fn segments(&self) -> usize {
        self.project.segments.len()
    }

    pub(super) fn take(&mut self) -> Vec<Verdict> {
        std::mem::take(&mut self.verdicts)
    }

    pub(super) fn save(&mut self, id: &str, definition: &Definition) {
        let definition = serde_json::to_string(definition).unwrap_or_default();
        let author = String::new();
        self.change(&ProjectChange::OutreachSaved { id: id.to_owned(), definition, author });
    }

    pub(super) fn set_status(&mut self, id: &str, status: Status) {
        if !self.change(&ProjectChange::StatusSet { id: id.to_owned(), status }) {
            return;
        }
        let Some(line) = self.project.outreach(id) else { return };
        let is_property = line
            .live
            .as_ref()
            .is_some_and(|live| matches!(live.trigger, Trigger::UserProperty { .. }));
        if is_property && matches!(status, Status::Live | Status::Shadow) {
            let outreach = line.no;
            for customer in self.present() {
                self.apply(customer, Fact::WentLive { outreach });
            }
        }
    }

    pub(super) fn launch(&mut self, id: &str) {
        if !self.change(&ProjectChange::Launched { id: id.to_owned() }) {
            return;
        }
        let Some(line) = self.project.outreach(id) else { return };
        let (outreach, launch) = (line.no, line.launches);
        let Some(live) = line.live.clone() else { return };
        let mut members = self.present();
        members.retain(|id| {
            let Some(customer) = self.customers.get(id) else { return false };
            let situation = Situation {
                project: &self.project,
                id: *id,
                customer,
                occasion: Occasion::OneOff { outreach, launch },
                now: self.now,
                zone: self.project.zone_of(customer),
                history: &self.facts,
            };
            live.audience.as_ref().is_none_or(|audience| condition::holds(audience, &situation))
        });
        for member in members {
            self.apply(member, Fact::Launched { outreach, launch });
        }
    }

    pub(super) fn accept(&mut self, input: &Input) {
        match input {
            Input::Track { names, message_id, name, at, properties, historical } => {
                let Some((customer, id)) = self.meet(names, message_id) else { return };
                let event = Event {
                    id,
                    name: name.trim().to_owned(),
                    at: Timestamp(*at).min(self.now),
                    properties: properties.to_string(),
                    historical: *historical,
                    names: fact_names(names),
                    page: None,
                    hops: 0,
                };
                self.apply(customer, Fact::Event(event));
            }
            Input::Identify { names, message_id, changes, historical } => {
                let Some((customer, id)) = self.meet(names, message_id) else { return };
                self.merge(customer, names);
                let mut written = BTreeMap::new();
                flatten(String::new(), changes, &mut written);
                self.apply(
                    customer,
                    Fact::Attributes {
                        id,
                        changes: written,
                        names: fact_names(names),
                        historical: *historical,
                    },
                );
            }
            Input::Consent { names, channel, topic, allowed } => {
                let Some(customer) = self.resolve(names) else { return };
                let (channel, topic) = (channel.clone(), topic.clone());
                self.apply(customer, Fact::Consent { channel, topic, allowed: *allowed });
            }
            Input::Receipt { names, message_id, outreach, kind, at } => {
                let Some((customer, id)) = self.meet(names, message_id) else { return };
                let Some(no) = self.project.numbers.get(outreach).copied() else { return };
                let Some(delivery) = self.latest(customer, no) else { return };
                self.apply(
                    customer,
                    Fact::Receipt {
                        id,
                        delivery,
                        outreach: no,
                        kind: receipt_kind(*kind),
                        at: Timestamp(*at).min(self.now),
                        detail: "{}".to_owned(),
                    },
                );
            }
        }
    }

    /// Strike the clock at every moment that somebody asks for, up to `until`.
    pub(super) fn advance(&mut self, until: i64) {
        loop {
            let strikes = self.customers.iter().filter_map(|(id, customer)| {
                let at = apply::next_moment(customer)?;
                Some((at, *id))
            });
            let Some((at, customer)) = strikes.min().filter(|(at, _)| at.0 <= until) else { break };
            self.now = self.now.max(at);
            self.apply(customer, Fact::ClockStruck);
            self.hand_over();
        }
        self.now = self.now.max(Timestamp(until));
    }

    /// What is due outside the browser is handed over.
    pub(super) fn hand_over(&mut self) {
        let mut due = Vec::new();
        for (id, customer) in &self.customers {
            for delivery in customer.deliveries.values() {
                let leaves = delivery.state == DeliveryState::Due
                    && !delivery.outreach_type.is_in_app()
                    && delivery.due_at <= self.now;
                if leaves {
                    due.push((delivery.due_at, *id, delivery.id, delivery.outreach));
                }
            }
        }
        for (_, customer, delivery, outreach) in due {
            let outcome = AttemptOutcome::Accepted { provider_id: String::new() };
            self.apply(customer, Fact::Attempted { delivery, outreach, outcome });
        }
    }

    fn present(&self) -> Vec<CustomerId> {
        let here = self.customers.iter().filter(|(_, customer)| customer.merged_into.is_none());
        here.map(|(id, _)| *id).collect()
    }

    fn change(&mut self, change: &ProjectChange) -> bool {
        match self.project.changed(change, self.now) {
            Ok(next) => {
                self.project = Rc::new(next);
                *self.facts.project.borrow_mut() = Some(Rc::clone(&self.project));
                true
            }
            Err(problems) => {
                if std::env::var_os("TIDINGS_TELL").is_some() {
                    println!("refused: {change:.200?}\n  {problems:?}");
                }
                false
            }
        }
    }

    fn resolve(&self, names: &model::Names) -> Option<CustomerId> {
        if let Some(user) = &names.user_id {
            return Some(CustomerId::of_user(PROJECT, user));
        }
        let guest = CustomerId::of_guest(PROJECT, names.anonymous_id.as_ref()?);
        let into = self.customers.get(&guest).and_then(|customer| customer.merged_into);
        Some(into.unwrap_or(guest))
    }

    fn meet(&mut self, names: &model::Names, message: &str) -> Option<(CustomerId, EventId)> {
        let customer = self.resolve(names)?;
        let id = EventId::of(PROJECT, message);
        self.seen.insert(id).then_some((customer, id))
    }

    fn merge(&mut self, user: CustomerId, names: &model::Names) {
        let (Some(_), Some(anonymous)) = (&names.user_id, &names.anonymous_id) else { return };
        let guest_id = CustomerId::of_guest(PROJECT, anonymous);
        let guest = self.customers.get(&guest_id).cloned().unwrap_or_default();
        if guest.merged_into.is_some() || guest == Customer::default() {
            // Nobody to take in; but from now on the browser is the user's.
            if guest.merged_into.is_none() {
                self.apply(guest_id, Fact::MergedInto { customer: user });
            }
            return;
        }
        self.apply(guest_id, Fact::MergedInto { customer: user });
        self.apply(user, Fact::Merged { guest: Box::new(guest), names: fact_names(names) });
    }

    fn latest(&self, customer: CustomerId, outreach: OutreachNo) -> Option<DeliveryId> {
        let customer = self.customers.get(&customer)?;
        // What bounced was handed over, and what expired lay in an inbox: a receipt may still come.
        let sent = |one: &Delivery| match one.state {
            DeliveryState::Waiting => false,
            DeliveryState::Failed => true,
            DeliveryState::Expired => one.outreach_type.is_in_app(),
            _ => !one.state.ended_unseen(),
        };
        let mut latest = self.begun.iter().rev().filter_map(|id| customer.deliveries.get(id));
        latest.find(|one| one.outreach == outreach && sent(one)).map(|delivery| delivery.id)
    }

    /// Let fresh customers replay what was written down; the answer is whoever came out different.
    pub(super) fn replayed(&self) -> Option<String> {
        let mut customers: BTreeMap<CustomerId, Customer> = BTreeMap::new();
        for (position, record) in self.records.iter().enumerate() {
            let Record { project, customer: id, fact, ruling, now } = record;
            let customer = customers.entry(*id).or_default();
            apply::replay(project, *id, customer, fact, ruling, position as u64, *now);
        }
        let differs = self.customers.iter().find(|(id, live)| customers.get(id) != Some(live));
        differs.map(|(id, live)| {
            format!("{id}\nlive     {live:#?}\nreplayed {:#?}", customers.get(id))
        })
    }

    fn apply(&mut self, id: CustomerId, fact: Fact) {
        let position = self.facts.facts.borrow().len() as u64;
        self.facts.facts.borrow_mut().push(fact.clone());
        let mut customer = self.customers.remove(&id).unwrap_or_default();
        let before = customer.deliveries.clone();
        let outcome =
            apply::decide(&self.project, id, &mut customer, &fact, position, self.now, &self.facts);
        self.say(id, &fact, &before, &customer, &outcome.ruling);
        self.customers.insert(id, customer);
        let project = Rc::clone(&self.project);
        let now = self.now;
        self.records.push(Record { project, customer: id, fact, ruling: outcome.ruling, now });
    }

    /// What became of it, in the model's words.
    fn say(
        &mut self,
        id: CustomerId,
        fact: &Fact,
        before: &Sorted<DeliveryId, Delivery>,
        after: &Customer,
        ruling: &Ruling,
    ) {
        let at = self.now.0;
        for delivery in after.deliveries.values() {
            let was = match fact {
                Fact::Merged { guest, .. } => {
                    before.get(&delivery.id).or(guest.deliveries.get(&delivery.id))
                }
                _ => before.get(&delivery.id),
            };
            let Some(was) = was.filter(|was| was.state != delivery.state) else { continue };
            let outcome = match (&delivery.state, fact) {
                (DeliveryState::Expired, _) => Outcome::Expired,
                (DeliveryState::Cancelled, Fact::Merged { .. }) => {
                    Outcome::Cancelled(Skip::AlreadySent)
                }
                _ => continue,
            };
            let _ = was;
            self.verdict(delivery.outreach, id, at, outcome);
        }
        for step in &ruling.transitions {
            let Some(delivery) = after.deliveries.get(&step.delivery) else { continue };
            let outcome = match step.reason.as_ref().and_then(Skip::of) {
                Some(skip) => Outcome::Cancelled(skip),
                None => Outcome::Due { due_at: delivery.due_at.0 },
            };
            self.verdict(delivery.outreach, id, at, outcome);
        }
        for decision in &ruling.decisions {
            let outcome = match &decision.outcome {
                Decided::Send { due_at, waiting, delivery, .. } => {
                    self.begun.push(*delivery);
                    Outcome::Send { due_at: due_at.0, waiting: *waiting }
                }
                Decided::Skip(reason) => match Skip::of(reason) {
                    Some(skip) => Outcome::Skip(skip),
                    None => continue,
                },
            };
            self.verdict(decision.outreach, id, at, outcome);
        }
    }

    fn verdict(&mut self, outreach: OutreachNo, customer: CustomerId, at: i64, outcome: Outcome) {
        let outreach =
            self.project.outreaches.get(&outreach).map(|line| line.id.clone()).unwrap_or_default();
        self.verdicts.push(Verdict { outreach, customer, at, outcome });
    }
}

fn fact_names(names: &model::Names) -> Names {
    Names { user_id: names.user_id.clone(), anonymous_id: names.anonymous_id.clone() }
}

fn receipt_kind(kind: model::ReceiptKind) -> ReceiptKind {
    match kind {
        model::ReceiptKind::Displayed => ReceiptKind::Displayed,
        model::ReceiptKind::Clicked => ReceiptKind::Clicked,
        model::ReceiptKind::Dismissed => ReceiptKind::Dismissed,
        model::ReceiptKind::Answered => ReceiptKind::Answered,
        model::ReceiptKind::Bounced => ReceiptKind::Bounced,
        model::ReceiptKind::Complained => ReceiptKind::Complained,
        model::ReceiptKind::Unsubscribed => ReceiptKind::Unsubscribed,
    }
}

/// Nested objects become dotted keys, as at the door of the server.
fn flatten(prefix: String, json: &Json, into: &mut BTreeMap<String, Option<Value>>) {
    match json {
        Json::Object(object) => {
            for (key, value) in object {
                let key =
                    if prefix.is_empty() { canonical_key(key) } else { format!("{prefix}.{key}") };
                flatten(key, value, into);
            }
        }
        json => {
            into.insert(prefix, Value::from_json(json));
        }
    }
}
