//! Limits: whoever comes too fast is told so at once, and nothing of theirs happened.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use engine::project::ProjectChange;
use host::command::{Submission, SubmitError};

use crate::world::{SHOP, World, track, user_named};

#[test]
fn a_full_queue_refuses_and_recovers() {
    // The sink blocks the writer, the writer blocks the applier, and the queue fills up.
    let gate = Arc::new((Mutex::new(true), Condvar::new()));
    let wait = Arc::clone(&gate);
    let world = World::with(|options| {
        options.queue_commands = 50;
        let wait = Arc::clone(&wait);
        options.sink = Arc::new(move |_| {
            let mut open = wait.0.lock().unwrap();
            while !*open {
                open = wait.1.wait(open).unwrap();
            }
        });
    });
    world.change(ProjectChange::Created { id: "shop".into() }).unwrap();
    *gate.0.lock().unwrap() = false;
    let accepted = Arc::new(AtomicUsize::new(0));
    let refused = Arc::new(AtomicUsize::new(0));
    for number in 0..500 {
        let (accepted, refused) = (Arc::clone(&accepted), Arc::clone(&refused));
        let commands = (0..10)
            .map(|place| track(user_named("mara"), "clicked", &format!("m{number}-{place}")))
            .collect();
        let answer = move |answers: host::Answers| match answers {
            Ok(answers) => {
                accepted.fetch_add(answers.len(), Ordering::AcqRel);
            }
            Err(SubmitError::Overloaded { retry_after_seconds: 1 }) => {
                refused.fetch_add(10, Ordering::AcqRel);
            }
            Err(error) => panic!("{error}"),
        };
        world.host.submit(Submission { project: SHOP, commands }, Box::new(answer));
    }
    assert!(refused.load(Ordering::Acquire) > 0);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    world.host.wait_idle();
    let events: u64 = world.host.catalogue(SHOP).events.values().map(|entry| entry.count).sum();
    assert_eq!(events, accepted.load(Ordering::Acquire) as u64);
    assert_eq!(accepted.load(Ordering::Acquire) + refused.load(Ordering::Acquire), 5_000);
    world.track("mara", "clicked", "and one more");
}

#[test]
fn a_closed_host_answers_that_it_stopped() {
    let world = World::new();
    world.host.close();
    let commands = vec![track(user_named("mara"), "clicked", "m1")];
    let answer = world.host.submit_and_wait(Submission { project: SHOP, commands });
    assert!(matches!(answer, Err(SubmitError::Stopped(_))));
    assert_eq!(world.host.fault(), None);
}

#[test]
fn what_is_not_there_is_said_by_name() {
    let world = World::new();
    let elsewhere = Submission {
        project: engine::ids::ProjectNo(9),
        commands: vec![track(user_named("mara"), "clicked", "m1")],
    };
    let answers = world.host.submit_and_wait(elsewhere).unwrap();
    assert_eq!(answers[0].as_ref().unwrap_err().to_string(), "there is no project 9");
    let launch = world.change(ProjectChange::Launched { id: "none".into() }).unwrap_err();
    assert_eq!(launch.to_string(), "there is no outreach none");
    let again = world.change(ProjectChange::Created { id: "shop".into() }).unwrap_err();
    assert_eq!(again.to_string(), "there is a project number 1 already");
}
