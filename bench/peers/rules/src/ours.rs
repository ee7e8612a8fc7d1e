//! Ours: the engine's own door, `decide`. It does more than the others are asked to: it applies
//! the event to the customer's history, asks ten gates, makes deliveries and keeps every refusal.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use engine::apply;
use engine::customer::{Attribute, Customer};
use engine::decision::Outcome;
use engine::fact::{Event as Happened, Fact, Names};
use engine::ids::{CustomerId, EventId, OutreachNo, ProjectNo};
use engine::outreach::compile;
use engine::project::{Project, ProjectChange, Status};
use engine::situation::History;
use engine::time::Timestamp;
use engine::value::Value;
use serde_json::{Value as Json, json};

use crate::Judge;
use crate::world::{Event, Rule};

const NOON: i64 = 1_795_348_800_000;

pub(crate) struct Ours {
    project: Project,
    customers: Vec<(Customer, Fact)>,
}

/// No rule asks for the properties of past events.
struct NoPast;

impl History for NoPast {
    fn properties(&self, _: u64, _: u64) -> Json {
        Json::Null
    }
}

impl Ours {
    pub(crate) fn new(rules: &[Rule]) -> anyhow::Result<Ours> {
        let mut project = Project::new(ProjectNo(1), "shop");
        let now = Timestamp(NOON - 1);
        // The first comes through the front door and is the pattern of all others: the door makes
        // a new project for each change, which a hundred thousand of them need not wait for.
        let first = definition(rules.first().context("no rules")?);
        let change = |change: ProjectChange, project: &Project| {
            project.changed(&change, now).map_err(|problems| anyhow!("{problems:?}"))
        };
        let id = "0".to_owned();
        let saved = ProjectChange::OutreachSaved {
            id: id.clone(),
            definition: first.to_string(),
            author: String::new(),
        };
        project = change(saved, &project)?;
        project = change(ProjectChange::StatusSet { id, status: Status::Live }, &project)?;
        let pattern = project.outreach("0").context("the pattern is gone")?.clone();
        for (place, rule) in rules.iter().enumerate().skip(1) {
            let no = OutreachNo(u32::try_from(place)? + pattern.no.0);
            let id = place.to_string();
            let written = compile::read(&definition(rule).to_string())
                .map_err(|problems| anyhow!("{problems:?}"))?;
            let compiled = compile::compile(&project, no, &id, 1, &written)
                .map_err(|problems| anyhow!("{problems:?}"))?;
            let compiled = Arc::new(compiled);
            let mut line = pattern.clone();
            line.no = no;
            line.id = id.clone();
            line.live = Some(Arc::clone(&compiled));
            line.published = [(1, Arc::clone(&compiled))].into();
            line.latest = Ok(compiled);
            project.numbers.insert(id, no);
            project.outreaches.insert(no, line);
        }
        // Any change sorts them in.
        let settings = ProjectChange::SettingsSaved { settings: "{}".to_owned() };
        Ok(Ours { project: change(settings, &project)?, customers: Vec::new() })
    }
}

impl Judge for Ours {
    fn prepare(&mut self, events: &[Event]) {
        self.customers = events.iter().enumerate().map(|(place, event)| customer(place, event)).collect();
    }

    fn judge(&mut self, place: usize, _: &Event, met: &mut Vec<u32>) {
        let (customer, fact) = &mut self.customers[place];
        let id = CustomerId(place as u128);
        let position = place as u64;
        let outcome =
            apply::decide(&self.project, id, customer, fact, position, Timestamp(NOON), &NoPast);
        for decision in &outcome.ruling.decisions {
            if matches!(decision.outcome, Outcome::Send { .. }) {
                met.push(decision.outreach.0 - 1);
            }
        }
    }
}

fn customer(place: usize, event: &Event) -> (Customer, Fact) {
    let attribute = |value: &Json| Attribute {
        value: Value::from_json(value).expect("a text is a value"),
        changed: Timestamp(0),
    };
    let attributes =
        event.attributes.iter().map(|(key, value)| (key.clone(), attribute(value))).collect();
    let user_id = Some(format!("u{place}"));
    let first_seen = Some(Timestamp(NOON - 1000));
    let customer =
        Customer { user_id: user_id.clone(), attributes, first_seen, last_seen: first_seen, ..Customer::default() };
    let fact = Fact::Event(Happened {
        id: EventId(place as u128),
        name: event.name.clone(),
        at: Timestamp(NOON),
        properties: event.properties.to_string(),
        historical: false,
        names: Names { user_id, anonymous_id: None },
        page: None,
        hops: 0,
    });
    (customer, fact)
}

fn definition(rule: &Rule) -> Json {
    let is = |kind: &str, key: &str, name: &str, value: &str| {
        json!({"kind": kind, key: name, "test": {"kind": "is", "value": value}})
    };
    let mut happened = vec![json!({"kind": "property", "property": "amount",
        "test": {"kind": "at_least", "value": rule.amount_at_least}})];
    happened.extend(rule.article.iter().map(|article| is("property", "property", "article", article)));
    let mut who = vec![is("attribute", "attribute", "plan", &rule.plan)];
    who.extend(rule.country.iter().map(|country| is("attribute", "attribute", "country", country)));
    json!({
        "name": "A rule",
        "trigger": {"kind": "event", "event": rule.event,
            "where": {"kind": "all", "conditions": happened}},
        "audience": {"kind": "dynamic", "filter": {"kind": "all", "conditions": who}},
        "frequency": {"kind": "every_time"},
        "content": {"kind": "webhook", "url": "https://hooks.example.com/x"}
    })
}
