//! A small world: one project, its customers, a clock, and a log kept in memory.
//!
//! It does what a host does and nothing more: it orders facts, drops repeated ids, fires timers at
//! their exact moment, merges guests, and asks again at the hand-over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use engine::apply;
use engine::condition::eval;
use engine::customer::Customer;
use engine::decision::{GATES, Outcome, Ruling};
use engine::delivery::Delivery;
use engine::fact::{Fact, Names};
use engine::ids::{CustomerId, DeliveryId, EventId, OutreachNo, ProjectNo};
use engine::outreach::compiled::{Condition, Trigger};
use engine::project::{Project, ProjectChange, Status};
use engine::situation::{History, Occasion, Situation};
use engine::time::Timestamp;
use serde_json::Value as Json;

use super::ledger::{Applying, Ledger};

pub(super) const PROJECT: ProjectNo = ProjectNo(1);

/// More timers than this between two lines of a story: one of them does not move on.
const MOST_TIMERS: usize = 10_000;

pub(super) struct World {
    pub(super) project: Arc<Project>,
    pub(super) settings: Json,
    pub(super) definitions: BTreeMap<String, Json>,
    pub(super) now: Timestamp,
    pub(super) ledger: Ledger,
    customers: BTreeMap<CustomerId, Customer>,
    names: BTreeMap<CustomerId, String>,
    log: Log,
    seen: BTreeSet<EventId>,
    begun: BTreeMap<DeliveryId, CustomerId>,
}

/// The records, in order; the position of a record is its place.
#[derive(Default)]
struct Log {
    records: Vec<Record>,
}

struct Record {
    project: Arc<Project>,
    id: CustomerId,
    at: Timestamp,
    fact: Fact,
    ruling: Ruling,
}

impl History for Log {
    fn properties(&self, position: u64, event_key: u64) -> Json {
        let record = usize::try_from(position).ok().and_then(|place| self.records.get(place));
        record.map_or(Json::Null, |record| {
            apply::properties_in(&record.project, &record.fact, event_key)
        })
    }
}

impl World {
    pub(super) fn new(now: Timestamp) -> World {
        World {
            project: Arc::new(Project::new(PROJECT, "story")),
            settings: serde_json::json!({}),
            definitions: BTreeMap::new(),
            now,
            ledger: Ledger::default(),
            customers: BTreeMap::new(),
            names: BTreeMap::new(),
            log: Log::default(),
            seen: BTreeSet::new(),
            begun: BTreeMap::new(),
        }
    }

    // ---- who ----

    pub(super) fn user(&mut self, name: &str) -> CustomerId {
        let id = CustomerId::of_user(PROJECT, name);
        self.names.entry(id).or_insert_with(|| name.to_owned());
        self.owner(id)
    }

    pub(super) fn guest(&mut self, name: &str) -> CustomerId {
        let id = CustomerId::of_guest(PROJECT, name);
        self.names.entry(id).or_insert_with(|| name.to_owned());
        self.owner(id)
    }

    /// Whose facts these are now: a merged guest's are the customer's.
    fn owner(&self, id: CustomerId) -> CustomerId {
        let into = self.customers.get(&id).and_then(|customer| customer.merged_into);
        into.map_or(id, |into| self.owner(into))
    }

    fn name(&self, id: CustomerId) -> String {
        self.names.get(&id).cloned().unwrap_or_default()
    }

    pub(super) fn customer(&self, id: CustomerId) -> Customer {
        self.customers.get(&id).cloned().unwrap_or_default()
    }

    /// Everybody who is still somebody, by name.
    fn everybody(&self) -> Vec<CustomerId> {
        let mut all: Vec<_> = self
            .customers
            .iter()
            .filter(|(_, customer)| customer.merged_into.is_none())
            .map(|(id, _)| (self.name(*id), *id))
            .collect();
        all.sort();
        all.into_iter().map(|(_, id)| id).collect()
    }

    /// The latest delivery of an outreach to a customer.
    pub(super) fn delivery(&self, id: CustomerId, outreach: &str) -> Result<Delivery, String> {
        let no = self.outreach(outreach)?;
        let customer = self.customer(id);
        let latest = customer
            .deliveries
            .values()
            .filter(|delivery| delivery.outreach == no)
            .max_by_key(|delivery| (delivery.decided_at, delivery.id));
        latest
            .cloned()
            .ok_or_else(|| format!("{:?} has no delivery of {outreach:?}", self.name(id)))
    }

    pub(super) fn outreach(&self, id: &str) -> Result<OutreachNo, String> {
        let no = self.project.numbers.get(id).copied();
        no.ok_or_else(|| format!("there is no outreach {id:?}"))
    }

    // ---- what happens ----

    /// Whether an id is new; a repeated one is dropped.
    pub(super) fn is_new(&mut self, id: EventId) -> bool {
        self.seen.insert(id)
    }

    /// An id that nobody has used.
    pub(super) fn next_id(&self) -> EventId {
        EventId::of(PROJECT, &format!("record {}", self.log.records.len()))
    }

    /// Apply a fact, judge it, and note what came of it.
    pub(super) fn happen(&mut self, id: CustomerId, fact: Fact) {
        let (who, now) = (self.name(id), self.now);
        let place = self.log.records.len();
        let mut customer = self.customers.remove(&id).unwrap_or_default();
        let before = customer.clone();
        let (project, ruling) = (Arc::clone(&self.project), Ruling::default());
        self.log.records.push(Record { project, id, at: now, fact, ruling });
        let fact = &self.log.records[place].fact;
        let (project, log) = (&self.project, &self.log);
        let applied = apply::decide(project, id, &mut customer, fact, place as u64, now, log);
        self.ledger.note_applied(&Applying {
            project,
            now,
            who: &who,
            fact,
            before: &before,
            after: &customer,
            applied: &applied,
        });
        for decision in &applied.ruling.decisions {
            if let Outcome::Send { delivery, .. } = &decision.outcome
                && self.begun.insert(*delivery, id).is_some()
            {
                self.ledger.note(now, &who, "?", "two sends are one delivery");
            }
        }
        self.log.records[place].ruling = applied.ruling;
        self.customers.insert(id, customer);
    }

    /// Forget everything, also which deliveries there were.
    pub(super) fn erase(&mut self, id: CustomerId) {
        self.happen(id, Fact::Erased);
        self.begun.retain(|_, whose| *whose != id);
    }

    /// A guest turns out to be a user: the guest's record travels, a signpost stays.
    pub(super) fn merge(&mut self, guest: &str, user: &str) {
        let guest_id = CustomerId::of_guest(PROJECT, guest);
        let into = self.user(user);
        let mut snapshot = self.customer(guest_id);
        if snapshot.merged_into.is_some() {
            return;
        }
        snapshot.merged.push(guest_id);
        let names = Names { user_id: Some(user.to_owned()), anonymous_id: Some(guest.to_owned()) };
        self.happen(into, Fact::Merged { guest: Box::new(snapshot), names });
        self.happen(guest_id, Fact::MergedInto { customer: into });
    }

    /// Fire every timer up to a moment, each at its own.
    pub(super) fn advance(&mut self, to: Timestamp) -> Result<(), String> {
        if to < self.now {
            return Err("the time runs backwards".to_owned());
        }
        for _ in 0..MOST_TIMERS {
            let next = self
                .everybody()
                .into_iter()
                .filter_map(|id| Some((apply::next_moment(&self.customer(id))?, id)))
                .min_by_key(|(at, _)| *at);
            match next {
                Some((at, id)) if at <= to => {
                    self.now = self.now.max(at);
                    self.happen(id, Fact::ClockStruck);
                }
                Some(_) | None => {
                    self.now = to;
                    return Ok(());
                }
            }
        }
        Err("a timer does not move on".to_owned())
    }

    // ---- what changes for all ----

    /// Change the project; a refusal is noted with the place and the code of each problem.
    pub(super) fn change(&mut self, about: &str, change: &ProjectChange) -> bool {
        match self.project.changed(change, self.now) {
            Ok(project) => {
                self.project = Arc::new(project);
                true
            }
            Err(problems) => {
                for problem in problems {
                    let place = if problem.pointer.is_empty() { "" } else { " at " };
                    let what = format!("refused: {}{place}{}", problem.code, problem.pointer);
                    self.ledger.note(self.now, "project", about, &what);
                }
                false
            }
        }
    }

    /// Set a status; where a property trigger goes live everybody is asked.
    pub(super) fn set_status(&mut self, id: &str, status: Status) -> Result<(), String> {
        let no = self.outreach(id)?;
        if !self.change(id, &ProjectChange::StatusSet { id: id.to_owned(), status }) {
            return Ok(());
        }
        let live = self.project.outreaches.get(&no).and_then(|line| line.live.clone());
        let by_property =
            live.is_some_and(|live| matches!(live.trigger, Trigger::UserProperty { .. }));
        if by_property && matches!(status, Status::Live | Status::Shadow) {
            for customer in self.everybody() {
                self.happen(customer, Fact::WentLive { outreach: no });
            }
        }
        Ok(())
    }

    /// Launch a one-off: one snapshot, then each of its members. With `restart`, half of the members
    /// are told before the machine stops, and all of them after it.
    pub(super) fn launch(&mut self, id: &str, restart: bool) -> Result<(), String> {
        let outreach = self.outreach(id)?;
        if !self.change(id, &ProjectChange::Launched { id: id.to_owned() }) {
            return Ok(());
        }
        let Some(line) = self.project.outreaches.get(&outreach) else { return Ok(()) };
        let (launch, live) = (line.launches, line.live.clone());
        let audience = live.as_ref().and_then(|live| live.audience.as_ref());
        let members: Vec<CustomerId> = self
            .everybody()
            .into_iter()
            .filter(|id| audience.is_none_or(|audience| self.matches(*id, audience)))
            .collect();
        if restart {
            for member in members.iter().take(members.len() / 2) {
                self.happen(*member, Fact::Launched { outreach, launch });
            }
        }
        for member in members {
            self.happen(member, Fact::Launched { outreach, launch });
        }
        Ok(())
    }

    /// Does a condition hold for a customer now?
    pub(super) fn matches(&self, id: CustomerId, condition: &Condition) -> bool {
        eval::holds(condition, &self.situation(id, &self.customer(id)))
    }

    /// Why a customer would (not) get an outreach now: the gates that refuse, and the sentence.
    pub(super) fn why(&self, id: CustomerId, outreach: &str) -> Result<String, String> {
        let line = self.project.outreach(outreach).ok_or("there is no such outreach")?;
        let live = line.live.as_ref().ok_or("it was never live")?;
        let customer = self.customer(id);
        let answer = engine::explain::explain(line, live, &self.situation(id, &customer));
        let refusing: Vec<&str> = answer
            .gates
            .iter()
            .filter(|gate| gate.verdict == "refuses")
            .map(|gate| gate.gate.as_str())
            .collect();
        if answer.gates.len() != GATES.len() {
            return Err("an explanation shows every gate".to_owned());
        }
        Ok(match refusing.as_slice() {
            [] => answer.sentence,
            refusing => format!("[{}] {}", refusing.join(", "), answer.sentence),
        })
    }

    fn situation<'a>(&'a self, id: CustomerId, customer: &'a Customer) -> Situation<'a> {
        Situation {
            project: &self.project,
            id,
            customer,
            occasion: Occasion::Question,
            now: self.now,
            zone: self.project.zone_of(customer),
            history: &self.log,
        }
    }

    /// Ask and render again before a delivery leaves.
    pub(super) fn ready(
        &self,
        id: CustomerId,
        delivery: &Delivery,
    ) -> Result<Json, engine::decision::SkipReason> {
        let customer = self.customer(id);
        let (project, now) = (&self.project, self.now);
        engine::delivery::hand_over::ready(project, id, &customer, delivery, now, &self.log)
            .map(|ready| ready.content)
    }

    /// Apply every recorded fact with its recorded ruling to fresh customers: the same must come
    /// of it, also when the records went through their stored form.
    pub(super) fn replayed(&self) -> Result<(), String> {
        let mut fresh: BTreeMap<CustomerId, Customer> = BTreeMap::new();
        for (position, record) in self.log.records.iter().enumerate() {
            let stored = postcard::to_allocvec(&(&record.fact, &record.ruling))
                .map_err(|error| format!("record {position} is not stored: {error}"))?;
            let (fact, ruling): (Fact, Ruling) = postcard::from_bytes(&stored)
                .map_err(|error| format!("record {position} is not read back: {error}"))?;
            if (&fact, &ruling) != (&record.fact, &record.ruling) {
                return Err(format!("record {position} is read back as another one"));
            }
            let customer = fresh.entry(record.id).or_default();
            let place = position as u64;
            apply::replay(&record.project, record.id, customer, &fact, &ruling, place, record.at);
        }
        for (id, live) in &self.customers {
            if fresh.get(id) != Some(live) {
                let (name, replayed) = (self.name(*id), fresh.get(id));
                return Err(format!(
                    "replay makes another {name:?}\nlive:     {live:#?}\nreplayed: {replayed:#?}"
                ));
            }
        }
        Ok(())
    }
}
