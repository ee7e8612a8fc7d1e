//! Of many outreaches on one event those are judged that want it, and no other: the index by
//! anchors answers like asking everybody.

use engine::apply::decide;
use engine::condition::holds_for;
use engine::customer::Customer;
use engine::fact::{Event, Fact, Names, event_key};
use engine::ids::{CustomerId, EventId, OutreachNo, ProjectNo};
use engine::outreach::compiled::Trigger;
use engine::project::{Project, ProjectChange, Status};
use engine::situation::{Happening, History, Occasion, Situation};
use engine::time::{Timestamp, Zone};
use serde_json::{Value, json};

const OUTREACHES: usize = 240;

struct Nothing;

impl History for Nothing {
    fn properties(&self, _: u64, _: u64) -> Value {
        Value::Null
    }
}

/// Steps through all combinations without dice.
struct Wheel(usize);

impl Wheel {
    fn of(&mut self, choices: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % choices
    }
}

fn property(wheel: &mut Wheel) -> Value {
    let name = ["plan", "product.id", "total", "tags"][wheel.of(4)];
    let texts = ["Pro", "free", "42", "4.0", "STRASSE", "ς", "true", ""];
    let text = texts[wheel.of(texts.len())];
    let test = match wheel.of(7) {
        0 => json!({"kind": "is", "value": text}),
        1 => json!({"kind": "is", "value": text, "match_case": true}),
        2 => json!({"kind": "is_any_of", "values": [text, texts[wheel.of(texts.len())]]}),
        3 => json!({"kind": "equals", "value": ([42.0, 4.0, -0.0, 7.5][wheel.of(4)])}),
        4 => json!({"kind": "is_not", "value": text}),
        5 => json!({"kind": "is_set"}),
        _ => json!({"kind": "at_least", "value": 5}),
    };
    json!({"kind": "property", "property": name, "test": test})
}

fn filter(wheel: &mut Wheel) -> Option<Value> {
    Some(match wheel.of(6) {
        0 => return None,
        1 | 2 => property(wheel),
        3 => json!({"kind": "all", "conditions": [property(wheel), property(wheel)]}),
        4 => json!({"kind": "any", "conditions": [property(wheel), property(wheel)]}),
        _ => json!({"kind": "all", "conditions": [
            {"kind": "all", "conditions": [property(wheel)]},
            {"kind": "none", "conditions": [property(wheel)]},
        ]}),
    })
}

fn shop(wheel: &mut Wheel) -> Project {
    let mut changes = Vec::new();
    for number in 0..OUTREACHES {
        let mut definition = json!({
            "name": "A modal",
            "trigger": {"kind": "event", "event": "looked"},
            "guardrails": {"priority": wheel.of(3)},
            "content": {"kind": "modal", "title": "Hello"}
        });
        if let Some(filter) = filter(wheel) {
            definition["trigger"]["where"] = filter;
        }
        let id = format!("o{number}");
        let (definition, author) = (definition.to_string(), String::new());
        changes.push(ProjectChange::OutreachSaved { id: id.clone(), definition, author });
        changes.push(ProjectChange::StatusSet { id, status: Status::Live });
    }
    let changes: Vec<_> = changes.iter().map(|change| (change, Timestamp(0))).collect();
    Project::new(ProjectNo(1), "shop").changed_by_all(&changes).unwrap()
}

/// Everybody is asked.
fn wanted(project: &Project, event: &Event) -> Vec<OutreachNo> {
    let properties: Value = serde_json::from_str(&event.properties).unwrap();
    let customer = Customer::default();
    let happening = Happening {
        id: event.id,
        name: event.name.clone(),
        key: event_key(&event.name),
        at: event.at,
        position: 0,
        properties: event.properties.clone(),
        silent: false,
        hops: 0,
        caused_by: None,
        parsed: std::cell::OnceCell::new(),
    };
    let situation = Situation {
        project,
        id: CustomerId(1),
        customer: &customer,
        occasion: Occasion::Event(&happening),
        now: event.at,
        zone: Zone::utc(),
        history: &Nothing,
    };
    let mut live: Vec<_> =
        project.outreaches.values().filter_map(|line| line.live.as_ref()).collect();
    live.sort_by_key(|outreach| (std::cmp::Reverse(outreach.guardrails.priority), outreach.no));
    let wants = live.into_iter().filter(|outreach| {
        let Trigger::Event { conditions, .. } = &outreach.trigger else { return false };
        conditions.as_ref().is_none_or(|conditions| holds_for(conditions, &properties, &situation))
    });
    wants.map(|outreach| outreach.no).collect()
}

#[test]
fn who_is_found_by_an_anchor_is_who_wants_the_event() {
    let mut wheel = Wheel(7);
    let project = shop(&mut wheel);
    let values = [
        json!("pro"),
        json!("PRO"),
        json!("Strasse"),
        json!("Σ"),
        json!(42),
        json!("42"),
        json!(4.0),
        json!("4.0"),
        json!(0),
        json!(-0.0),
        json!(7.5),
        json!(true),
        json!(""),
        json!(null),
        json!(["free"]),
        json!({"id": "free"}),
    ];
    let mut judged = 0;
    for number in 0..1_000_u32 {
        let mut value = || values[wheel.of(values.len())].clone();
        let properties = json!({
            "plan": value(), "product": {"id": value()}, "total": value(), "tags": value(),
        });
        let event = Event {
            id: EventId(u128::from(number)),
            name: " Looked".to_owned(),
            at: Timestamp(1),
            properties: properties.to_string(),
            historical: false,
            names: Names { user_id: Some("mara".to_owned()), anonymous_id: None },
            page: None,
            hops: 0,
        };
        let expected = wanted(&project, &event);
        let mut customer = Customer::default();
        let fact = Fact::Event(event);
        let now = Timestamp(1);
        let outcome = decide(&project, CustomerId(1), &mut customer, &fact, 0, now, &Nothing);
        let decided: Vec<OutreachNo> =
            outcome.ruling.decisions.iter().map(|decision| decision.outreach).collect();
        assert_eq!(decided, expected, "{properties}");
        judged += decided.len();
    }
    assert!(judged > 10_000, "only {judged} decisions");
}
