//! A count is that of the customers as they are, whatever happened since the one before.

use engine::ids::CustomerId;
use engine::outreach::compile;
use engine::outreach::compiled::Condition;
use engine::outreach::content::OutreachType;
use engine::project::ProjectChange;
use host::command::Command;
use host::query::audience::Reach;
use serde_json::json;

use crate::world::{SHOP, World, both, guest_named, track, user_named};

fn filter(world: &World) -> Condition {
    let json = json!({"kind": "all", "conditions": [
        {"kind": "attribute", "attribute": "plan", "test": {"kind": "is", "value": "pro"}},
        {"kind": "event", "event": "bought", "test": {"kind": "count", "count": {"kind": "at_least", "n": 2}},
            "window": {"kind": "last", "amount": 1, "unit": "hours"}},
    ]});
    let filter = compile::read_filter(&json.to_string(), "/filter").unwrap();
    let project = world.host.project(SHOP).unwrap();
    compile::compile_filter(&project, None, "/filter", &filter).unwrap()
}

/// Everybody; those on `pro`; those who bought twice; both. Asked of columns and customer by customer.
fn counts(world: &World) -> (u64, Vec<u64>, Vec<CustomerId>) {
    let filter = filter(world);
    let reach = Reach::Channel(OutreachType::Email);
    let count = world.host.estimate(SHOP, Some(&filter), reach).unwrap();
    let listed = world.host.customers(SHOP, Some(&filter), None, None, 100).unwrap();
    assert_eq!(count.estimate.matched, listed.len() as u64);
    let lines = &count.estimate.conditions;
    (count.estimate.total, lines[1..].iter().map(|line| line.alone).collect(), count.sample)
}

#[test]
fn a_count_sees_what_happened_since_the_one_before() {
    live(World::new());
}

#[test]
fn it_sees_those_who_are_not_in_memory_too() {
    let world = World::with(|options| {
        (options.customers_bytes, options.checkpoint_customers) = (1, 1);
    });
    world.change(ProjectChange::Created { id: "shop".into() }).unwrap();
    live(world);
}

fn live(world: World) {
    for user in 0..20 {
        let plan = if user % 2 == 0 { "pro" } else { "free" };
        world.identify(user_named(&format!("user-{user}")), &format!("i{user}"), &[("plan", plan)]);
    }
    assert_eq!(counts(&world), (20, vec![10, 0], vec![]));
    world.track("user-0", "bought", "m1");
    world.track("user-0", "bought", "m2");
    world.track("user-1", "bought", "m3");
    assert_eq!(counts(&world), (20, vec![10, 1], vec![world.user("user-0")]));
    // A guest buys, and turns out to be somebody who bought before.
    world.send(track(guest_named("tab"), "bought", "m4")).unwrap();
    assert_eq!(counts(&world).0, 21);
    world.identify(both("user-1", "tab"), "i-1", &[("plan", "pro")]);
    let buyers = || {
        let mut buyers = vec![world.user("user-0"), world.user("user-1")];
        buyers.sort_unstable();
        buyers
    };
    assert_eq!(counts(&world), (20, vec![11, 2], buyers()));
    // The hour is over to the millisecond.
    world.pass(3_599_999);
    assert_eq!(counts(&world).1, [11, 2]);
    world.pass(1);
    assert_eq!(counts(&world).1, [11, 0]);
    world.send(Command::Erase { customer: world.user("user-0") }).unwrap();
    assert_eq!(counts(&world), (19, vec![10, 0], vec![]));
    let world = world.rebuilt();
    assert_eq!(counts(&world), (19, vec![10, 0], vec![]));
    world
        .change(ProjectChange::SettingsSaved { settings: r#"{"consent_by_default":false}"#.into() })
        .unwrap();
    assert_eq!(counts(&world).0, 19);
}
