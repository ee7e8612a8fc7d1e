//! A message id counts once: at once, after a restart, after a rebuild, after a merge.

use engine::fact::ReceiptKind;
use host::command::Command;

use crate::world::{SHOP, World, both, guest_named, track, user_named};

fn events(world: &World) -> u64 {
    world.host.catalogue(SHOP).events.values().map(|entry| entry.count).sum()
}

#[test]
fn a_repeated_id_is_a_duplicate_and_leaves_no_record() {
    let world = World::new();
    assert!(!world.track("mara", "signed_up", "m1").duplicate);
    let position = world.host.position();
    let again = world.track("mara", "signed_up", "m1");
    assert!(again.duplicate);
    assert_eq!(again.customer, Some(world.user("mara")));
    assert_eq!(world.host.position(), position);
    let world = world.reopened();
    assert!(world.track("mara", "signed_up", "m1").duplicate);
    let world = world.rebuilt();
    assert!(world.track("mara", "signed_up", "m1").duplicate);
    assert_eq!(events(&world), 1);
}

#[test]
fn a_repetition_within_one_submission_is_a_duplicate() {
    let world = World::new();
    let commands = vec![
        track(user_named("mara"), "signed_up", "m1"),
        track(user_named("mara"), "signed_up", "m1"),
        track(user_named("mara"), "signed_up", "m2"),
    ];
    let submission = host::command::Submission { project: SHOP, commands };
    let answers = world.host.submit_and_wait(submission).unwrap();
    let duplicates: Vec<bool> =
        answers.iter().map(|answer| answer.as_ref().unwrap().duplicate).collect();
    assert_eq!(duplicates, [false, true, false]);
}

#[test]
fn a_guest_repeats_itself_after_the_merge() {
    let world = World::new();
    world.send(track(guest_named("g"), "looked", "m1")).unwrap();
    world.identify(both("mara", "g"), "m2", &[]);
    let again = world.send(track(guest_named("g"), "looked", "m1")).unwrap();
    assert!(again.duplicate);
    assert_eq!(again.customer, Some(world.user("mara")));
    let world = world.rebuilt();
    assert!(world.send(track(guest_named("g"), "looked", "m1")).unwrap().duplicate);
    assert_eq!(events(&world), 1);
}

#[test]
fn attributes_that_come_with_an_event_are_written_once() {
    let world = World::new();
    let with_plan = || {
        let Command::Track(mut event) = track(user_named("mara"), "signed_up", "m1") else {
            unreachable!()
        };
        let plan = engine::value::Value::Text("pro".to_owned());
        event.changes.insert("plan".to_owned(), Some(plan));
        Command::Track(event)
    };
    let before = world.host.position();
    assert!(!world.send(with_plan()).unwrap().duplicate);
    let page = world.host.timeline(SHOP, world.user("mara"), None, 10).unwrap();
    assert_eq!(page.items.len(), 2, "attributes and event");
    assert_eq!(page.items[0].position, page.items[1].position, "in one record");
    assert_eq!(page.items[0].position, before);
    assert!(world.send(with_plan()).unwrap().duplicate);
}

#[test]
fn nonsense_is_refused_alone() {
    let world = World::new();
    let commands = vec![
        track(user_named("mara"), "   ", "m1"),
        track(user_named(""), "signed_up", "m2"),
        track(user_named("mara"), "signed_up", ""),
        Command::Receipt {
            delivery: engine::ids::DeliveryId(7),
            customer: None,
            kind: ReceiptKind::Clicked,
            receipt_id: "r".to_owned(),
            at: None,
            detail: "{}".to_owned(),
        },
        track(user_named("mara"), "signed_up", "m3"),
    ];
    let submission = host::command::Submission { project: SHOP, commands };
    let answers = world.host.submit_and_wait(submission).unwrap();
    let accepted: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [false, false, false, false, true]);
}
