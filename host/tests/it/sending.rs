//! From an event to a message: the inbox, the queue for channels outside, timers, and why.

use engine::decision::{GateName, Outcome};
use engine::delivery::DeliveryState;
use engine::fact::{AttemptOutcome, ReceiptKind, Settlement};
use engine::ids::DeliveryId;
use host::Published;
use host::command::{Command, Refused};
use host::query::decisions::{DecisionFilter, OutcomeFilter};
use host::query::deliveries::DeliveryFilter;
use host::query::timeline::Moment;
use serde_json::json;

use crate::world::{SHOP, World, modal_on, user_named};

const HOUR: i64 = 3_600_000;

fn webhook() -> serde_json::Value {
    json!({
        "name": "A webhook",
        "trigger": {"kind": "event", "event": "bought"},
        "frequency": {"kind": "every_time"},
        "content": {"kind": "webhook", "url": "https://example.com/in"}
    })
}

fn email() -> serde_json::Value {
    json!({
        "name": "A mail",
        "trigger": {"kind": "event", "event": "signed_up"},
        "content": {"kind": "email", "subject": "Hello", "text": "Welcome"}
    })
}

fn state(world: &World, id: DeliveryId) -> DeliveryState {
    world.host.delivery(SHOP, id).unwrap().unwrap().delivery.state
}

fn attempted(world: &World, delivery: DeliveryId, outcome: AttemptOutcome) {
    let customer = world.host.delivery(SHOP, delivery).unwrap().unwrap().customer;
    world.send(Command::Attempted { customer, delivery, outcome }).unwrap();
}

#[test]
fn a_modal_lies_in_the_inbox_until_it_was_answered() {
    let world = World::new();
    world.live("hello", &modal_on("signed_up"));
    let accepted = world.track("mara", "signed_up", "m1");
    assert!(matches!(accepted.decisions[0].outcome, Outcome::Send { .. }));
    let mara = world.user("mara");
    let inbox = world.host.inbox(SHOP, mara).unwrap();
    assert_eq!(inbox.len(), 1);
    // Effects leave after the answers, and this after both.
    world.host.wait_idle();
    let published = world.published.lock().unwrap().clone();
    let change = Published::InboxChanged { project: SHOP, customer: mara };
    assert!(published.contains(&change));
    let world = world.reopened();
    assert_eq!(world.host.inbox(SHOP, mara).unwrap(), inbox);
    let world = world.rebuilt();
    assert_eq!(world.host.inbox(SHOP, mara).unwrap(), inbox);
    let receipt = || Command::Receipt {
        delivery: inbox[0].id,
        customer: Some(mara),
        kind: ReceiptKind::Displayed,
        receipt_id: "r1".to_owned(),
        at: None,
        detail: "{}".to_owned(),
    };
    assert!(!world.send(receipt()).unwrap().duplicate);
    assert!(world.send(receipt()).unwrap().duplicate);
    let somebody_else = Command::Receipt {
        delivery: inbox[0].id,
        customer: Some(world.track("ben", "looked", "m2").customer.unwrap()),
        kind: ReceiptKind::Clicked,
        receipt_id: "r2".to_owned(),
        at: None,
        detail: "{}".to_owned(),
    };
    assert!(world.send(somebody_else).is_err());
    let row = world.host.delivery(SHOP, inbox[0].id).unwrap().unwrap();
    let steps: Vec<&str> = row.steps.iter().map(|step| step.state.name()).collect();
    assert_eq!(steps, ["due", "displayed"]);
}

#[test]
fn decisions_are_found_by_outreach_customer_gate_and_time() {
    let world = World::new();
    world.live("hello", &modal_on("signed_up"));
    world.live("webhook", &webhook());
    for number in 0..10 {
        world.track("mara", "signed_up", &format!("m{number}"));
        world.track("ben", "bought", &format!("b{number}"));
        if number % 3 == 0 {
            world.host.checkpoint();
        }
        world.pass(HOUR);
    }
    let count = |filter: DecisionFilter| {
        let (mut before, mut count) = (None, 0);
        loop {
            let page = world.host.decisions(SHOP, &filter, before, 3).unwrap();
            count += page.items.len();
            before = page.next;
            if before.is_none() {
                return count;
            }
        }
    };
    let all = DecisionFilter::default;
    let project = world.host.project(SHOP).unwrap();
    let hello = project.outreach("hello").unwrap().no;
    assert_eq!(count(all()), 20);
    assert_eq!(count(DecisionFilter { outreach: Some(hello), ..all() }), 10);
    assert_eq!(count(DecisionFilter { customer: Some(world.user("ben")), ..all() }), 10);
    let frequency = Some(OutcomeFilter::Gate(GateName::Frequency));
    assert_eq!(count(DecisionFilter { outcome: frequency, ..all() }), 9);
    assert_eq!(count(DecisionFilter { outcome: Some(OutcomeFilter::Send), ..all() }), 11);
    let from = Some(world.host.now().plus_ms(-3 * HOUR));
    assert_eq!(count(DecisionFilter { from, ..all() }), 6);
    assert_eq!(count(DecisionFilter { to: from, ..all() }), 14);
    let counts = world.host.counts(SHOP);
    assert_eq!((counts[&hello].sends, counts[&hello].skips["frequency"]), (1, 9));
    let due = DeliveryFilter { state: Some(DeliveryState::Due), ..DeliveryFilter::default() };
    assert_eq!(world.host.deliveries(SHOP, &due, None, 100).unwrap().items.len(), 11);
    let bens = DeliveryFilter { customer: Some(world.user("ben")), ..DeliveryFilter::default() };
    assert_eq!(world.host.deliveries(SHOP, &bens, None, 100).unwrap().items.len(), 10);
}

#[test]
fn a_due_delivery_is_handed_out_once_until_its_attempt_came_back() {
    let world = World::new();
    world.live("webhook", &webhook());
    world.track("mara", "bought", "m1");
    let (_, customer, delivery) = world.host.due(10).pop().unwrap();
    assert_eq!(customer, world.user("mara"));
    assert!(world.host.due(10).is_empty(), "in flight");
    let at = world.host.now().plus_ms(HOUR);
    let later = AttemptOutcome::Retry { reason: "503".to_owned(), at };
    attempted(&world, delivery.id, later);
    assert!(world.host.due(10).is_empty(), "not yet");
    assert_eq!(world.host.next_due(), Some(at));
    world.pass(HOUR);
    let (_, _, again) = world.host.due(10).pop().unwrap();
    assert_eq!((again.id, again.attempts.count), (delivery.id, 1));
    world.host.put_back(SHOP, customer, &again);
    assert_eq!(world.host.due(10).len(), 1);
    let world = world.reopened();
    assert_eq!(world.host.due(10).len(), 1, "no attempt came back before the restart");
    attempted(&world, delivery.id, AttemptOutcome::Accepted { provider_id: "p".to_owned() });
    assert_eq!(state(&world, delivery.id), DeliveryState::Sent);
    assert!(world.reopened().host.due(10).is_empty());
}

#[test]
fn an_attempt_that_a_restart_interrupted_is_held() {
    let world = World::new();
    world.live("mail", &email());
    world.identify(user_named("mara"), "i1", &[("email", "mara@example.com")]);
    world.track("mara", "signed_up", "m1");
    let (_, customer, delivery) = world.host.due(10).pop().unwrap();
    world.send(Command::Started { customer, delivery: delivery.id }).unwrap();
    assert_eq!(state(&world, delivery.id), DeliveryState::Attempting);
    let world = world.reopened();
    world.host.wait_idle();
    assert_eq!(state(&world, delivery.id), DeliveryState::Held);
    assert!(world.host.due(10).is_empty(), "nobody knows, so nobody sends it again");
    let by = engine::fact::Settlement::Retry;
    world.send(Command::Settle { delivery: delivery.id, by }).unwrap();
    assert_eq!(world.host.due(10).len(), 1, "unless a person says so");
}

#[test]
fn a_delay_ends_when_the_clock_says_so_also_over_a_restart() {
    let world = World::new();
    let mut definition = modal_on("signed_up");
    definition["trigger"]["delay"] = json!({"amount": 2, "unit": "hours"});
    world.live("later", &definition);
    world.track("mara", "signed_up", "m1");
    world.track("ben", "signed_up", "m2");
    world.pass(2 * HOUR - 1);
    assert!(world.host.inbox(SHOP, world.user("mara")).unwrap().is_empty());
    world.pass(1);
    assert_eq!(world.host.inbox(SHOP, world.user("mara")).unwrap().len(), 1);
    assert_eq!(world.host.inbox(SHOP, world.user("ben")).unwrap().len(), 1);
    world.track("cara", "signed_up", "m3");
    let world = world.reopened();
    let position = world.host.position();
    world.pass(2 * HOUR - 1);
    assert_eq!(world.host.position(), position, "the clock alone writes nothing");
    let world = world.rebuilt();
    world.pass(1);
    assert_eq!(world.host.inbox(SHOP, world.user("cara")).unwrap().len(), 1);
    let hash = world.host.state_hash().unwrap();
    assert_eq!(world.rebuilt().host.state_hash().unwrap(), hash);
}

#[test]
fn a_decision_of_the_past_is_explained_as_it_was() {
    let world = World::new();
    world.live("hello", &modal_on("signed_up"));
    let first = world.track("mara", "signed_up", "m1").position;
    world.pass(HOUR);
    let second = world.track("mara", "signed_up", "m2").position;
    let why = |at| world.host.explain(SHOP, world.user("mara"), "hello", at).unwrap().unwrap();
    assert!(why(Some(Moment::Position(first))).sends);
    let refused = why(Some(Moment::Position(second)));
    assert_eq!(refused.refused_by.as_deref(), Some("frequency"));
    assert_eq!(why(None).refused_by.as_deref(), Some("frequency"));
}

#[test]
fn a_thousand_triggers_at_once_give_one_send() {
    let world = World::new();
    world.live("hello", &modal_on("signed_up"));
    let commands = (0..1_000)
        .map(|number| crate::world::track(user_named("mara"), "signed_up", &format!("m{number}")));
    let submission = host::command::Submission { project: SHOP, commands: commands.collect() };
    let answers = world.host.submit_and_wait(submission).unwrap();
    let sends = answers.iter().flat_map(|answer| &answer.as_ref().unwrap().decisions);
    let sends = sends.filter(|decision| matches!(decision.outcome, Outcome::Send { .. }));
    assert_eq!(sends.count(), 1);
}

#[test]
fn a_guests_message_moves_with_the_guest() {
    let world = World::new();
    world.live("hello", &modal_on("looked"));
    world.send(crate::world::track(crate::world::guest_named("g"), "looked", "m1")).unwrap();
    world.identify(crate::world::both("mara", "g"), "m2", &[]);
    let inbox = world.host.inbox(SHOP, world.user("mara")).unwrap();
    assert_eq!(inbox.len(), 1);
    let row = world.host.delivery(SHOP, inbox[0].id).unwrap().unwrap();
    assert_eq!(row.customer, world.user("mara"));
    let mine = DeliveryFilter { customer: Some(world.user("mara")), ..DeliveryFilter::default() };
    assert_eq!(world.host.deliveries(SHOP, &mine, None, 10).unwrap().items.len(), 1);
}

/// Withdrawn while somebody holds it: the attempt must not begin, or a claim that was given back
/// would be used all the same.
#[test]
fn what_was_withdrawn_meanwhile_is_not_begun() {
    let world = World::new();
    world.live("mail", &email());
    world.identify(user_named("mara"), "i1", &[("email", "mara@example.com")]);
    world.track("mara", "signed_up", "m1");
    world.host.wait_idle();
    let (_, customer, delivery) = world.host.due(10).pop().unwrap();
    let delivery = delivery.id;
    world.send(Command::Settle { delivery, by: Settlement::Cancelled }).unwrap();
    let begun = world.send(Command::Started { customer, delivery });
    assert!(matches!(begun, Err(Refused::Conflict(_))), "{begun:?}");
    assert_eq!(state(&world, delivery), DeliveryState::Cancelled);
    world.track("mara", "signed_up", "m2");
    world.host.wait_idle();
    assert_eq!(world.host.due(10).len(), 1, "the claim was given back and taken once");
}

#[test]
fn a_dead_letter_whose_claim_went_to_another_is_not_tried_again() {
    let world = World::new();
    world.live("mail", &email());
    world.identify(user_named("mara"), "i1", &[("email", "mara@example.com")]);
    let next = |message_id: &str| {
        world.track("mara", "signed_up", message_id);
        world.host.wait_idle();
        world.host.due(10).pop().unwrap().2.id
    };
    let dead = next("m1");
    attempted(&world, dead, AttemptOutcome::Rejected { reason: "no".to_owned() });
    let sent = next("m2");
    attempted(&world, sent, AttemptOutcome::Accepted { provider_id: "p".to_owned() });
    let refused = world.send(Command::Settle { delivery: dead, by: Settlement::Retry });
    assert!(matches!(&refused, Err(Refused::Conflict(_))), "{refused:?}");
    world.host.wait_idle();
    assert_eq!(state(&world, dead), DeliveryState::Failed);
    assert!(world.host.due(10).is_empty(), "once is once");
}
