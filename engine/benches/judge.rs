//! One event, applied and judged: `cargo bench -p tidings-engine`. By the number of live outreaches
//! on twenty names, with and without a value that each of them asks for.

#![allow(clippy::unwrap_used, reason = "a bench")]

use divan::{AllocProfiler, Bencher, black_box};
use engine::apply::decide;
use engine::customer::Customer;
use engine::fact::{Event, Fact, Names, event_key};
use engine::ids::{CustomerId, EventId, ProjectNo};
use engine::project::{Project, ProjectChange, Status};
use engine::situation::History;
use engine::time::Timestamp;
use serde_json::json;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

const NAMES: usize = 20;

fn main() {
    divan::main();
}

struct Nothing;

impl History for Nothing {
    fn properties(&self, _: u64, _: u64) -> serde_json::Value {
        serde_json::Value::Null
    }
}

/// Selective: each asks for a product of its own. Else each asks for an amount that is too high.
fn shop(outreaches: usize, is_selective: bool) -> Project {
    let mut changes = Vec::with_capacity(outreaches * 2);
    for number in 0..outreaches {
        let filter = if is_selective {
            json!({"kind": "property", "property": "product",
                "test": {"kind": "is", "value": format!("product {number}")}})
        } else {
            json!({"kind": "property", "property": "amount",
                "test": {"kind": "at_least", "value": 1_000 + number}})
        };
        let definition = json!({
            "name": "A modal",
            "trigger": {"kind": "event", "event": format!("event {}", number % NAMES), "where": filter},
            "content": {"kind": "modal", "title": "Hello"}
        });
        let id = format!("o{number}");
        let (definition, author) = (definition.to_string(), String::new());
        changes.push(ProjectChange::OutreachSaved { id: id.clone(), definition, author });
        changes.push(ProjectChange::StatusSet { id, status: Status::Live });
    }
    let changes: Vec<_> = changes.iter().map(|change| (change, Timestamp(0))).collect();
    Project::new(ProjectNo(1), "shop").changed_by_all(&changes).unwrap()
}

fn event(number: u64) -> Fact {
    Fact::Event(Event {
        id: EventId(u128::from(number)),
        name: format!("event {}", number % NAMES as u64),
        at: Timestamp(1),
        properties: json!({
            "amount": 12, "product": format!("product {}", number % 100), "currency": "EUR",
            "url": "https://shop.example/products/12", "quantity": 1, "gift": false,
        })
        .to_string(),
        historical: false,
        names: Names { user_id: Some("mara".to_owned()), anonymous_id: None },
        page: None,
        hops: 0,
    })
}

fn judge(bencher: Bencher<'_, '_>, project: &Project) {
    let mut number = 0;
    bencher
        .with_inputs(|| {
            number += 1;
            (event(number), Customer::default())
        })
        .bench_local_refs(|(fact, customer)| {
            let id = CustomerId(1);
            black_box(decide(project, id, customer, fact, 0, Timestamp(1), &Nothing))
        });
}

#[divan::bench(args = [100, 1_000, 100_000])]
fn each_asks_for_a_value(bencher: Bencher<'_, '_>, outreaches: usize) {
    judge(bencher, &shop(outreaches, true));
}

#[divan::bench(args = [100, 1_000, 10_000])]
fn each_asks_for_a_range(bencher: Bencher<'_, '_>, outreaches: usize) {
    judge(bencher, &shop(outreaches, false));
}

#[divan::bench]
fn apply_alone(bencher: Bencher<'_, '_>) {
    judge(bencher, &Project::new(ProjectNo(1), "shop"));
}

#[divan::bench]
fn id_of_an_event() -> EventId {
    EventId::of(ProjectNo(1), black_box("3f0c9a52-5b7e-4f7c-0000000000000001"))
}

#[divan::bench]
fn key_of_a_name() -> u64 {
    event_key(black_box("Product Viewed"))
}
