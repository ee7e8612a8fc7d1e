//! The readers answer the same before and after a checkpoint.

use engine::fact::Fact;
use host::query::timeline::Moment;

use crate::world::{NOON, SHOP, World, user_named};
use engine::time::Timestamp;

#[test]
fn a_timeline_is_paged_over_checkpoints() {
    let world = World::new();
    for number in 0..30 {
        world.track("mara", "clicked", &format!("m{number}"));
        if number == 10 || number == 20 {
            world.host.checkpoint();
        }
    }
    let mara = world.user("mara");
    let (mut before, mut seen) = (None, Vec::new());
    loop {
        let page = world.host.timeline(SHOP, mara, before, 7).unwrap();
        seen.extend(page.items.iter().map(|entry| entry.position));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 30);
    assert!(seen.is_sorted_by(|one, other| one > other), "newest first, each once");
}

#[test]
fn a_customer_of_the_past_is_as_they_were() {
    let world = World::new();
    world.identify(user_named("mara"), "i1", &[("plan", "free")]);
    world.pass(60_000);
    let mut then = Vec::new();
    for plan in ["pro", "team", "gone"] {
        let now = world.host.customer(SHOP, world.user("mara")).unwrap().unwrap();
        let latest = world.host.timeline(SHOP, world.user("mara"), None, 1).unwrap().items;
        then.push((latest[0].position, world.host.now(), now));
        world.pass(60_000);
        world.identify(user_named("mara"), plan, &[("plan", plan)]);
        world.pass(60_000);
    }
    let mara = world.user("mara");
    for (position, now, customer) in then {
        let by_position = world.host.as_it_was(SHOP, mara, Moment::Position(position)).unwrap();
        assert_eq!(by_position.unwrap().customer, customer);
        let by_time = world.host.as_it_was(SHOP, mara, Moment::Time(now)).unwrap();
        assert_eq!(by_time.unwrap().customer, customer);
    }
    let before = Moment::Time(Timestamp(NOON - 1));
    assert!(world.host.as_it_was(SHOP, mara, before).unwrap().is_none());
}

#[test]
fn the_catalogue_knows_names_types_and_values() {
    let world = World::new();
    world.track("mara", " Signed Up", "m1");
    world.track("ben", "signed up", "m2");
    world.identify(user_named("mara"), "i1", &[("plan", "free"), ("birthday", "1990-01-31")]);
    let catalogue = world.host.catalogue(SHOP);
    let event = catalogue.events.values().next().unwrap();
    assert_eq!((event.name.as_str(), event.count), ("Signed Up", 2));
    assert_eq!(event.properties["plan"].top_values(), [("free".to_owned(), 2)]);
    assert_eq!(event.properties["amount"].types["number"], 2);
    assert_eq!(catalogue.attributes["birthday"].types["date"], 1);
    assert!(host::catalogue::is_standard("birthday"));
}

#[test]
fn customers_are_searched_and_paged() {
    let world = World::new();
    for number in 0..25 {
        let email = format!("user{number}@example.com");
        let name = format!("user-{number}");
        world.identify(user_named(&name), &format!("i{number}"), &[("email", &email)]);
    }
    let (mut after, mut count) = (None, 0);
    loop {
        let page = world.host.customers(SHOP, None, None, after, 10).unwrap();
        count += page.len();
        after = page.last().map(|(id, _)| *id);
        if page.len() < 10 {
            break;
        }
    }
    assert_eq!(count, 25);
    assert_eq!(world.host.customers(SHOP, None, Some("USER7@"), None, 10).unwrap().len(), 1);
    assert_eq!(world.host.customers(SHOP, None, Some("example.com"), None, 100).unwrap().len(), 25);
}

#[test]
fn every_fact_is_in_the_timeline() {
    let world = World::new();
    world.track("mara", "clicked", "m1");
    world
        .send(host::command::Command::Consent {
            customer: world.user("mara"),
            channel: "email".to_owned(),
            topic: String::new(),
            allowed: false,
        })
        .unwrap();
    let items = world.host.timeline(SHOP, world.user("mara"), None, 10).unwrap().items;
    assert!(matches!(items[0].fact, Fact::Consent { allowed: false, .. }));
    assert!(matches!(items[1].fact, Fact::Event(_)));
}
