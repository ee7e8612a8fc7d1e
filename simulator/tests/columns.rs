//! Columns and rows must count the same: random customers, random filters, random changes.
//!
//! Values, distances and conditions come from the worlds' pools, so that every operator meets every
//! type of value, missing ones included, and windows are asked to the millisecond of their edges.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};

use engine::condition::tally;
use engine::customer::{Attribute, Consent, Customer, Occurrence, Session, Tally};
use engine::decision::channel_refusal;
use engine::estimate::Estimate;
use engine::fact::event_key;
use engine::ids::{CustomerId, OutreachNo, ProjectNo};
use engine::outreach::compile;
use engine::outreach::compiled::Condition;
use engine::outreach::content::OutreachType;
use engine::outreach::definition::Audience;
use engine::project::{Project, ProjectChange};
use engine::situation::{History, Occasion, Situation};
use engine::time::{Timestamp, Zone};
use engine::value::Value;
use host::columns::{Counted, Mirror, Question, Reachable};
use serde_json::{Value as Json, json};
use simulator::worlds::conditions::{Place, Topic, condition, outreach_id, segment_id};
use simulator::worlds::dice::Dice;
use simulator::worlds::outreaches;
use simulator::worlds::pools::{self, Type};

const NAMES: [&str; 4] = ["order", "login", "page view", "sessionStarted"];
const CHANNELS: [OutreachType; 3] = [OutreachType::Email, OutreachType::Push, OutreachType::Banner];

/// Properties by position; the same for the rows and for whoever the columns send there.
struct Properties;

impl History for Properties {
    fn properties(&self, position: u64, _: u64) -> Json {
        let dice = &mut Dice::new(position);
        let mut object = serde_json::Map::new();
        for meant in pools::TYPES {
            for key in meant.keys() {
                if dice.chance(50) {
                    object.insert((*key).to_owned(), pools::value(dice, *meant, 0));
                }
            }
        }
        Json::Object(object)
    }
}

struct World {
    project: Project,
    topic: Topic,
    now: Timestamp,
    customers: BTreeMap<CustomerId, Customer>,
    positions: u64,
    /// Nearly everybody has values of their own.
    various: bool,
}

impl World {
    fn new(dice: &mut Dice, various: bool) -> World {
        let start = Timestamp::parse(dice.one(pools::STARTS)).unwrap();
        let topic = Topic { base: start.0, outreaches: 2, segments: 2, this: false, plain: false };
        let mut world = World {
            project: Project::new(ProjectNo(1), "shop"),
            topic,
            now: start,
            customers: BTreeMap::new(),
            positions: 0,
            various,
        };
        world.settle(dice);
        furnish(&mut world, dice);
        world
    }

    fn settle(&mut self, dice: &mut Dice) {
        self.project.zone = Zone::named(dice.one(pools::ZONES)).unwrap();
        self.project.settings.consent_by_default = dice.chance(50);
    }

    fn customer(&mut self, dice: &mut Dice) -> Customer {
        let mut customer = Customer::default();
        let seen = pools::near(dice, self.now.0);
        customer.first_seen = dice.chance(90).then_some(Timestamp(seen));
        customer.last_seen = dice.chance(90).then(|| Timestamp(pools::near(dice, self.now.0)));
        customer.user_id = dice.chance(70).then(|| dice.one(&["pro", "42", "mara"]).to_owned());
        let (started, latest) = (Timestamp(seen), Timestamp(seen));
        let count = u32::try_from(dice.below(4)).unwrap();
        customer.session = dice.chance(60).then_some(Session { started, latest, count });
        for meant in pools::TYPES {
            for key in meant.keys() {
                if dice.chance(60) {
                    let meant = if dice.chance(85) { *meant } else { dice.one(pools::TYPES) };
                    let value = self.value(dice, meant);
                    write(&mut customer, key, value);
                }
            }
        }
        if dice.chance(50) {
            let zone = dice.one(pools::ZONES);
            let zone = if dice.chance(10) { "Nowhere/At_all" } else { zone };
            write(&mut customer, "timezone", Some(Value::Text(zone.to_owned())));
        }
        if dice.chance(60) {
            let email = dice.one(&["ann@example.com", "none", "pro@example.com"]);
            write(&mut customer, "email", Some(Value::Text(email.to_owned())));
        }
        if dice.chance(5) {
            write(&mut customer, "first_seen", self.value(dice, Type::Date));
        }
        if dice.chance(20) {
            let at = Timestamp(0);
            customer.consent.insert("email".into(), Consent { allowed: dice.chance(50), at });
        }
        if dice.chance(10) {
            customer.suppressed.insert("email ann@example.com".into(), "bounced".into());
        }
        for name in NAMES {
            let count = dice.one(&[0, 0, 1, 1, 2, 3, 5, 9]);
            for _ in 0..count {
                self.happen(dice, &mut customer, name);
            }
        }
        for outreach in 1..=2 {
            if dice.chance(40) {
                let tally = self.tally(dice);
                customer.tallies.insert(OutreachNo(outreach), tally);
            }
        }
        customer
    }

    fn value(&self, dice: &mut Dice, meant: Type) -> Option<Value> {
        if dice.chance(2) {
            return Some(Value::Text(format!("{}pro", "long ".repeat(60))));
        }
        if dice.chance(2) {
            return Some(Value::Number(-0.0));
        }
        if self.various && dice.chance(90) {
            let number = u32::try_from(dice.below(100_000)).unwrap();
            let near =
                pools::near(dice, self.now.0) + i64::from(number) * dice.one(&[0, 1, 60_000]);
            return Some(match meant {
                Type::Text => Value::Text(format!("{} {number}", dice.one(pools::TEXTS))),
                Type::Number => {
                    Value::Number(f64::from(number) / dice.one(&[1.0, 100.0, -2_500.0]))
                }
                Type::Bool => Value::Bool(number.is_multiple_of(2)),
                Type::Date => Value::Text(Timestamp(near).to_rfc3339()),
                Type::List => {
                    Value::List(vec![Value::Number(number.into()), Value::Text("a".into())])
                }
            });
        }
        Value::from_json(&pools::value(dice, meant, self.now.0))
    }

    fn happen(&mut self, dice: &mut Dice, customer: &mut Customer, name: &str) {
        let at = Timestamp(pools::near(dice, self.now.0));
        let series = customer.series.entry(event_key(name)).or_default();
        self.positions += 1;
        series.insert(Occurrence { at, position: self.positions });
    }

    fn tally(&self, dice: &mut Dice) -> Tally {
        let mut tally = Tally::default();
        for times in [
            &mut tally.granted,
            &mut tally.displayed,
            &mut tally.clicked,
            &mut tally.answered,
            &mut tally.dismissed,
            &mut tally.converted,
        ] {
            for _ in 0..dice.below(3) {
                times.push(Timestamp(pools::near(dice, self.now.0)));
            }
            times.sort_unstable();
        }
        tally
    }

    fn situation<'a>(&'a self, id: CustomerId, customer: &'a Customer) -> Situation<'a> {
        let zone = self.project.zone_of(customer);
        let (project, now, history) = (&self.project, self.now, &Properties);
        Situation { project, id, customer, occasion: Occasion::Question, now, zone, history }
    }

    /// One by one.
    fn by_rows(
        &self,
        filter: &Condition,
        channel: OutreachType,
    ) -> (Estimate, BTreeSet<CustomerId>) {
        let (mut estimate, mut members) = (Estimate::default(), BTreeSet::new());
        for (id, customer) in &self.customers {
            if customer.merged_into.is_some() {
                continue;
            }
            estimate.total += 1;
            let before = estimate.matched;
            tally(filter, &self.situation(*id, customer), &mut estimate);
            if estimate.matched > before {
                members.insert(*id);
                let refusal = channel_refusal(channel, "", customer, &self.project.settings);
                estimate.reachable += u64::from(refusal.is_none());
            }
        }
        (estimate, members)
    }

    fn by_columns(
        &self,
        mirror: &mut Mirror,
        filter: &Condition,
        channel: OutreachType,
    ) -> Counted {
        let question = Question {
            project: &self.project,
            filter: Some(filter),
            reach: Reachable::Channel(channel),
            now: self.now,
            sample: 10,
            threads: 3,
        };
        mirror.count(&question, &|id, condition| {
            self.customers.get(&id).is_some_and(|customer| {
                engine::condition::holds(condition, &self.situation(id, customer))
            })
        })
    }

    /// Answers how many questions went to rows.
    fn agree(
        &self,
        mirror: &mut Mirror,
        filter: &Condition,
        channel: OutreachType,
        what: &dyn std::fmt::Debug,
    ) -> u64 {
        let (expected, members) = self.by_rows(filter, channel);
        let counted = self.by_columns(mirror, filter, channel);
        let mut found = counted.estimate;
        if expected.total == 0 {
            // Without anybody the rows have not even lines.
            found.conditions.clear();
        }
        assert_eq!(found, expected, "{what:?} at {} {filter:?}", self.now.to_rfc3339());
        assert_eq!(counted.sample.len(), members.len().min(10));
        assert!(counted.sample.iter().all(|id| members.contains(id)), "{what:?}");
        counted.rows
    }

    /// Somebody comes, goes, becomes another, or something happens to them.
    fn change(&mut self, dice: &mut Dice, mirror: &mut Mirror) {
        if self.customers.is_empty() {
            return;
        }
        let place = usize::try_from(dice.below(self.customers.len() as u64)).unwrap();
        let id = *self.customers.keys().nth(place).unwrap();
        match dice.below(10) {
            0 => {
                self.customers.remove(&id);
                mirror.remove(id);
                return;
            }
            1 => {
                let customer = self.customer(dice);
                let id = CustomerId(u128::from(dice.roll()));
                mirror.set(id, &customer);
                self.customers.insert(id, customer);
                return;
            }
            2 => {
                let into = *self.customers.keys().next_back().unwrap();
                let Some(guest) = self.customers.remove(&id) else { return };
                if let Some(user) = self.customers.get_mut(&into) {
                    for (key, series) in &guest.series {
                        for occurrence in &series.occurrences {
                            user.series.entry(*key).or_default().insert(*occurrence);
                        }
                    }
                    mirror.set(into, user);
                    let signpost = Customer { merged_into: Some(into), ..Customer::default() };
                    mirror.set(id, &signpost);
                    self.customers.insert(id, signpost);
                } else {
                    self.customers.insert(id, guest);
                }
                return;
            }
            _ => {}
        }
        let mut customer = self.customers.remove(&id).unwrap();
        if customer.merged_into.is_none() {
            match dice.below(4) {
                0 => customer = self.customer(dice),
                1 => {
                    let meant = dice.one(pools::TYPES);
                    let value = self.value(dice, meant);
                    write(&mut customer, dice.one(meant.keys()), value);
                }
                2 => {
                    let first = customer.attributes.keys().next().cloned();
                    first.map(|key| customer.attributes.remove(&key));
                    let last = customer.series.keys().next_back().copied();
                    last.map(|key| customer.series.remove(&key));
                }
                _ => {
                    let name = dice.one(&NAMES);
                    self.happen(dice, &mut customer, name);
                }
            }
        }
        mirror.set(id, &customer);
        self.customers.insert(id, customer);
    }
}

fn write(customer: &mut Customer, key: &str, value: Option<Value>) {
    let Some(value) = value else { return };
    customer.attributes.insert(key.into(), Attribute { value, changed: Timestamp(0) });
}

/// Outreaches and segments that filters may name.
fn furnish(world: &mut World, dice: &mut Dice) {
    let mut changes = Vec::new();
    for place in 0..2 {
        let mut definition = outreaches::definition(dice, &world.topic, place);
        // It comes before the segments and outreaches that a filter may name.
        match &mut definition.audience {
            Audience::Dynamic { filter } | Audience::OneOff { filter, .. } => *filter = None,
        }
        let definition = serde_json::to_string(&definition).unwrap();
        let (id, author) = (outreach_id(place), String::new());
        changes.push(ProjectChange::OutreachSaved { id, definition, author });
    }
    for place in 0..2 {
        let earlier = Topic { segments: place, ..world.topic.clone() };
        let filter = serde_json::to_string(&condition(dice, &earlier, Place::Audience)).unwrap();
        let id = segment_id(place);
        changes.push(ProjectChange::SegmentSaved { id: id.clone(), name: id, filter });
    }
    for change in changes {
        world.project = world.project.changed(&change, Timestamp(0)).unwrap();
    }
}

/// What a filter's JSON says it asks, so that nothing is left out unseen.
fn note_kinds(json: &Json, seen: &mut BTreeMap<String, u64>) {
    match json {
        Json::Object(object) => {
            if let Some(kind) = object.get("kind").and_then(Json::as_str) {
                *seen.entry(kind.to_owned()).or_default() += 1;
                // What is left out is the default.
                let defaults = [("test", "performed"), ("window", "ever")];
                for (_, default) in defaults.iter().filter(|(key, _)| !object.contains_key(*key)) {
                    let is_event = u64::from(kind == "event");
                    *seen.entry((*default).to_owned()).or_default() += is_event;
                }
            }
            if let Some(was) = object.get("was").and_then(Json::as_str) {
                *seen.entry(format!("was {was}")).or_default() += 1;
            }
            object.values().for_each(|value| note_kinds(value, seen));
        }
        Json::Array(items) => items.iter().for_each(|item| note_kinds(item, seen)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn filter(world: &World, dice: &mut Dice, seen: &mut BTreeMap<String, u64>) -> Condition {
    let filter = condition(dice, &world.topic, Place::Audience);
    note_kinds(&serde_json::to_value(&filter).unwrap(), seen);
    compile::compile_filter(&world.project, None, "/filter", &filter).unwrap()
}

/// One world: people, filters, changes, and the clock at the edges of windows.
fn live(seed: u64, people: usize, various: bool, seen: &mut BTreeMap<String, u64>) -> (u64, u64) {
    let dice = &mut Dice::new(seed);
    let mut world = World::new(dice, various);
    let mut mirror = Mirror::default();
    for _ in 0..people {
        let customer = world.customer(dice);
        let id = CustomerId(u128::from(dice.roll()));
        mirror.set(id, &customer);
        world.customers.insert(id, customer);
    }
    let (mut asked, mut rows) = (0, 0);
    for _ in 0..12 {
        for _ in 0..4 {
            let filter = filter(&world, dice, seen);
            rows += world.agree(&mut mirror, &filter, dice.one(&CHANNELS), &seed);
            asked += world.customers.len() as u64;
        }
        for _ in 0..dice.below(people as u64 / 4 + 2) {
            world.change(dice, &mut mirror);
        }
        if dice.chance(40) {
            world.now = Timestamp(pools::near(dice, world.topic.base).max(world.topic.base));
        }
        if dice.chance(20) {
            world.settle(dice);
        }
    }
    (asked, rows)
}

fn worlds() -> u64 {
    std::env::var("TIDINGS_COUNTED_WORLDS").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

#[test]
fn columns_count_what_rows_count() {
    let (mut seen, mut asked, mut rows) = (BTreeMap::new(), 0, 0);
    for seed in 0..worlds() {
        let people = [1, 7, 40, 150][seed as usize % 4];
        let (own, by_rows) = live(seed, people, seed % 3 == 0, &mut seen);
        asked += own;
        rows += by_rows;
    }
    println!("{asked} customers asked a filter, {rows} questions answered by rows");
    for (kind, count) in &seen {
        println!("{count:>8} {kind}");
    }
    for kind in ALL {
        assert!(seen.get(*kind).is_some_and(|count| *count > 0), "{kind} was never asked");
    }
}

#[test]
fn large_worlds_count_alike_across_pieces() {
    for (seed, various) in [(1_000_001, true), (1_000_002, false)] {
        live(seed, 4_300, various, &mut BTreeMap::new());
    }
}

/// More distinct texts than are compared with each other.
#[test]
fn everybody_may_have_a_text_of_their_own() {
    let dice = &mut Dice::new(5);
    let mut world = World::new(dice, false);
    let mut mirror = Mirror::default();
    for number in 0..70_000_u32 {
        let mut customer = Customer::default();
        let email = Value::Text(format!("{}{number}@example.com", dice.one(&["Ann", "ben", "É"])));
        write(&mut customer, "email", (!number.is_multiple_of(20)).then_some(email));
        let id = CustomerId::of_user(world.project.no, &number.to_string());
        mirror.set(id, &customer);
        world.customers.insert(id, customer);
    }
    for test in [
        json!({"kind": "contains", "value": "é7"}),
        json!({"kind": "is_not", "value": "ben1@example.com"}),
        json!({"kind": "is_not_set"}),
    ] {
        let filter = json!({"kind": "attribute", "attribute": "email", "test": test}).to_string();
        let filter = compile::read_filter(&filter, "/filter").unwrap();
        let filter = compile::compile_filter(&world.project, None, "/filter", &filter).unwrap();
        let rows = world.agree(&mut mirror, &filter, OutreachType::Email, &test);
        assert_eq!(rows, 0, "no row has to be asked");
    }
}

/// Every word of the contract that a filter may use.
const ALL: &[&str] = &[
    "all",
    "any",
    "none",
    "muted",
    "attribute",
    "custom_attribute",
    "property",
    "event",
    "outreach",
    "segment",
    "random_bucket",
    "is_set",
    "is_not_set",
    "is_empty",
    "is",
    "is_not",
    "is_any_of",
    "is_none_of",
    "contains",
    "does_not_contain",
    "starts_with",
    "does_not_start_with",
    "ends_with",
    "matches_regex",
    "equals",
    "not_equals",
    "greater_than",
    "at_least",
    "less_than",
    "at_most",
    "between",
    "is_true",
    "is_false",
    "before",
    "on",
    "after",
    "between_dates",
    "more_than_ago",
    "less_than_ago",
    "exactly_ago",
    "in_next",
    "anniversary",
    "list_contains",
    "list_contains_any_of",
    "list_contains_all_of",
    "list_contains_none_of",
    "list_size",
    "performed",
    "not_performed",
    "count",
    "first",
    "last",
    "exactly",
    "ever",
    "since_first_seen",
    "was sent",
    "was displayed",
    "was clicked",
    "was answered",
    "was dismissed",
    "was converted",
];
