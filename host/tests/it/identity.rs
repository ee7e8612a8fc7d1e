//! Guests become users, names lead to who they are, and who asks to be forgotten is.

use engine::fact::{Fact, ReceiptKind};
use engine::ids::CustomerId;
use host::command::{Command, Refused};
use host::query::decisions::DecisionFilter;
use host::query::deliveries::DeliveryFilter;

use crate::world::{SHOP, World, both, guest_named, modal_on, track, user_named};

#[test]
fn identify_with_both_names_merges_the_guest_for_good() {
    let world = World::new();
    world.send(track(guest_named("g"), "looked", "m1")).unwrap();
    let guest = CustomerId::of_guest(SHOP, "g");
    world.track("mara", "signed_up", "m2");
    world.identify(both("mara", "g"), "m3", &[("plan", "pro")]);
    let check = |world: &World| {
        let mara = world.user("mara");
        assert_eq!(world.host.resolve(SHOP, "g").unwrap(), Some(mara), "by the anonymous id");
        assert_eq!(world.host.resolve(SHOP, "mara").unwrap(), Some(mara));
        assert_eq!(world.host.resolve(SHOP, &guest.to_string()).unwrap(), Some(mara));
        let customer = world.host.customer(SHOP, guest).unwrap().unwrap();
        assert_eq!(customer.user_id.as_deref(), Some("mara"));
        assert_eq!(customer.merged, [guest]);
        assert_eq!(customer.series.len(), 3, "looked, signed_up, sessionStarted");
        let names = world.host.timeline(SHOP, mara, None, 100).unwrap().items;
        let names: Vec<&str> = names
            .iter()
            .filter_map(|entry| match &entry.fact {
                Fact::Event(event) => Some(event.name.as_str()),
                _ => None,
            })
            .collect();
        assert_eq!(names, ["signed_up", "looked"], "newest first, the guest's too");
        assert_eq!(world.host.customers(SHOP, None, None, None, 10).unwrap().len(), 1);
        assert_eq!(world.host.customer_count(SHOP), 1);
    };
    check(&world);
    let hash = world.host.state_hash().unwrap();
    let world = world.reopened();
    check(&world);
    let world = world.rebuilt();
    check(&world);
    assert_eq!(world.host.state_hash().unwrap(), hash);
    let accepted = world.send(track(guest_named("g"), "looked", "m4")).unwrap();
    assert_eq!(accepted.customer, Some(world.user("mara")), "what follows goes to the user");
}

#[test]
fn a_device_that_was_merged_is_not_merged_again() {
    let world = World::new();
    world.send(track(guest_named("g"), "looked", "m1")).unwrap();
    world.identify(both("mara", "g"), "m2", &[]);
    let accepted = world.send(track(both("ben", "g"), "looked", "m3")).unwrap();
    assert_eq!(accepted.customer, Some(world.user("ben")));
    let guest = world.send(track(guest_named("g"), "looked", "m4")).unwrap();
    assert_eq!(guest.customer, Some(world.user("mara")));
    assert_eq!(world.host.customer_count(SHOP), 2);
}

#[test]
fn track_with_both_names_merges_in_one_record() {
    let world = World::new();
    world.send(track(guest_named("g"), "looked", "m1")).unwrap();
    let before = world.host.position();
    world.send(track(both("mara", "g"), "bought", "m2")).unwrap();
    let page = world.host.timeline(SHOP, world.user("mara"), None, 10).unwrap();
    let at: Vec<u64> = page.items.iter().map(|entry| entry.position).collect();
    assert_eq!(at.iter().filter(|position| **position == before).count(), 3);
}

#[test]
fn aliases_chain() {
    let world = World::new();
    world.track("a", "signed_up", "m1");
    let alias = |from: &str, to: &str| {
        world.send(Command::Alias {
            previous: user_named(from),
            names: user_named(to),
            message_id: format!("{from}-{to}"),
        })
    };
    alias("a", "b").unwrap();
    alias("b", "c").unwrap();
    assert_eq!(world.host.resolve(SHOP, "a").unwrap(), Some(world.user("c")));
    assert!(alias("a", "c").unwrap().duplicate, "they are one already");
    assert!(alias("c", "a").unwrap().duplicate, "and not the other way round");
    assert!(matches!(alias("nobody", "c"), Err(Refused::NotFound { kind: "customer", .. })));
    assert_eq!(world.track("a", "bought", "m2").customer, Some(world.user("c")));
}

#[test]
fn erasure_leaves_nothing_to_read() {
    let world = World::new();
    for event in ["looked", "signed_up", "bought"] {
        world.live(event, &modal_on(event));
    }
    world.send(track(guest_named("g"), "looked", "m1")).unwrap();
    world.identify(both("mara", "g"), "m2", &[("email", "mara@example.com")]);
    world.track("ben", "signed_up", "m3");
    let mara = world.user("mara");
    world.host.checkpoint();
    world.track("mara", "bought", "m4");
    let empty = |world: &World| {
        assert_eq!(world.host.resolve(SHOP, "mara").unwrap(), None);
        assert_eq!(world.host.resolve(SHOP, "g").unwrap(), None);
        assert!(world.host.timeline(SHOP, mara, None, 10).unwrap().items.is_empty());
        assert_eq!(world.host.customers(SHOP, None, Some("mara"), None, 10).unwrap().len(), 0);
        assert_eq!(world.host.customer_count(SHOP), 1);
        let decisions = world.host.decisions(SHOP, &DecisionFilter::default(), None, 10).unwrap();
        let about: Vec<CustomerId> = decisions.items.iter().map(|line| line.customer).collect();
        assert_eq!(about, [world.user("ben")]);
        let all = DeliveryFilter::default();
        let deliveries = world.host.deliveries(SHOP, &all, None, 10).unwrap();
        assert_eq!(deliveries.items.len(), 1);
    };
    world.send(Command::Erase { customer: mara }).unwrap();
    empty(&world);
    let hash = world.host.state_hash().unwrap();
    let world = world.reopened();
    empty(&world);
    let world = world.rebuilt();
    empty(&world);
    assert_eq!(world.host.state_hash().unwrap(), hash);
    assert!(world.track("mara", "bought", "m4").duplicate, "ids are kept");
    world.track("mara", "bought", "m5");
    assert_eq!(world.host.timeline(SHOP, mara, None, 10).unwrap().items.len(), 1);
}

/// Closed deliveries are let go of after some dozens, but what was granted is remembered.
#[test]
fn once_holds_over_a_merge_when_the_delivery_is_long_forgotten() {
    let world = World::new();
    world.live("welcome", &modal_on("signed_up"));
    let mut news = modal_on("looked");
    news["frequency"] = serde_json::json!({"kind": "every_time"});
    world.live("news", &news);
    let seen = |text: &str| {
        let mara = world.user("mara");
        for item in world.host.inbox(SHOP, mara).unwrap() {
            let receipt = Command::Receipt {
                delivery: item.id,
                customer: Some(mara),
                kind: ReceiptKind::Displayed,
                receipt_id: text.to_owned(),
                at: None,
                detail: "{}".to_owned(),
            };
            world.send(receipt).unwrap();
        }
    };
    world.track("mara", "signed_up", "m1");
    seen("first");
    for number in 0..60 {
        world.pass(1);
        world.track("mara", "looked", &format!("l{number}"));
        seen(&format!("s{number}"));
    }
    assert!(world.host.inbox(SHOP, world.user("mara")).unwrap().is_empty());
    world.send(track(guest_named("g"), "signed_up", "g1")).unwrap();
    assert_eq!(world.host.inbox(SHOP, CustomerId::of_guest(SHOP, "g")).unwrap().len(), 1);
    world.identify(both("mara", "g"), "i1", &[]);
    assert!(world.host.inbox(SHOP, world.user("mara")).unwrap().is_empty(), "it was shown before");
}

/// They may be sent the same delivery again, and the receipts of the first one are remembered.
#[test]
fn who_was_erased_and_comes_back_can_answer() {
    let world = World::new();
    world.live("welcome", &modal_on("signed_up"));
    let mara = world.user("mara");
    let show = |message_id: &str| {
        world.pass(1);
        world.track("mara", "signed_up", message_id);
        world.host.checkpoint();
        let delivery = world.host.inbox(SHOP, mara).unwrap()[0].id;
        let receipt = Command::Receipt {
            delivery,
            customer: Some(mara),
            kind: ReceiptKind::Displayed,
            receipt_id: format!("displayed-{delivery}"),
            at: None,
            detail: "{}".to_owned(),
        };
        assert!(!world.send(receipt).unwrap().duplicate);
        assert!(world.host.inbox(SHOP, mara).unwrap().is_empty());
    };
    show("m1");
    world.host.checkpoint();
    world.send(Command::Erase { customer: mara }).unwrap();
    show("m2");
}
