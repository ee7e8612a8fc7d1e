//! What was acknowledged is there again, and the state is a function of the log.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use engine::project::ProjectChange;
use host::command::{Command, Submission};
use host::{Host, Options};

use crate::world::{NOON, SHOP, World, both, guest_named, one, options, track, user_named};

/// A busy little life: events, guests, merges, attributes.
fn live_a_little(world: &World) {
    for number in 0..300 {
        let guest = format!("guest-{}", number % 40);
        let user = format!("user-{}", number % 20);
        match number % 5 {
            0 => world.identify(both(&user, &guest), &format!("i{number}"), &[("plan", "free")]),
            1 => {
                world.send(track(guest_named(&guest), "looked", &format!("g{number}"))).unwrap();
            }
            _ => {
                world.track(&user, "Signed Up ", &format!("e{number}"));
            }
        }
        if number == 150 {
            world.host.checkpoint();
        }
        world.pass(60_000);
    }
}

#[test]
fn a_reopened_host_is_the_same() {
    let world = World::new();
    live_a_little(&world);
    let (hash, position) = (world.host.state_hash().unwrap(), world.host.position());
    let catalogue = world.host.catalogue(SHOP);
    let world = world.reopened();
    assert_eq!(world.host.state_hash().unwrap(), hash, "after a checkpoint at the end");
    assert_eq!(world.host.position(), position, "nothing was written by opening");
    assert_eq!(world.host.catalogue(SHOP), catalogue);
    let world = world.rebuilt();
    assert_eq!(world.host.state_hash().unwrap(), hash, "from the log alone");
    assert_eq!(world.host.catalogue(SHOP), catalogue);
    assert_eq!(world.host.position(), position);
    let world = world.reopened();
    assert_eq!(world.host.state_hash().unwrap(), hash, "from the state that the rebuild wrote");
}

#[test]
fn a_state_of_another_log_is_set_aside() {
    let (one, other) = (World::new(), World::new());
    one.track("mara", "signed_up", "m1");
    other.track("ben", "signed_up", "m1");
    other.track("ben", "signed_up", "m2");
    let hash = other.host.state_hash().unwrap();
    let World { dir, host, .. } = one;
    drop(host);
    let World { dir: other_dir, host, clock, published } = other;
    drop(host);
    std::fs::remove_dir_all(other_dir.path().join("store")).unwrap();
    std::fs::rename(dir.path().join("store"), other_dir.path().join("store")).unwrap();
    let host = Host::open(other_dir.path(), options(&clock, &published)).unwrap();
    assert_eq!(host.state_hash().unwrap(), hash);
    assert!(other_dir.path().join("store.bad-1").exists());
}

#[test]
fn a_damaged_state_is_rebuilt() {
    let world = World::new();
    live_a_little(&world);
    let hash = world.host.state_hash().unwrap();
    let World { dir, host, clock, published } = world;
    drop(host);
    std::fs::write(dir.path().join("store/FORMAT"), "something else").unwrap();
    let host = Host::open(dir.path(), options(&clock, &published)).unwrap();
    assert_eq!(host.state_hash().unwrap(), hash);
}

const CHILD_FOLDER: &str = "TIDINGS_TEST_FOLDER";

/// Not a test of its own: what the killed process runs.
#[test]
#[ignore = "the child of the test that kills it"]
fn child_that_writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let pace = Options {
        checkpoint_every: Duration::from_millis(5),
        segment_bytes: 1024 * 1024,
        customers_bytes: crate::CUSTOMERS_BYTES,
        ..Options::default()
    };
    let host = Host::open(Path::new(&folder), pace).unwrap();
    one(&host, Command::Change(ProjectChange::Created { id: "shop".into() })).unwrap_or_default();
    // Many in flight, so that checkpoints are cut in the middle of traffic.
    let acknowledged = Arc::new(AtomicU64::new(0));
    for round in 0_u64.. {
        let mut commands = Vec::new();
        for number in 0..20 {
            let user = format!("user-{}", (round * 7 + number) % 300);
            let id = format!("{}-{round}-{number}", std::process::id());
            commands.push(track(user_named(&user), "clicked", &id));
        }
        let acknowledged = Arc::clone(&acknowledged);
        let answer = move |answers: host::Answers| {
            let count = acknowledged.fetch_add(answers.unwrap().len() as u64, Ordering::AcqRel);
            println!("acknowledged {}", count + 20);
        };
        host.submit(Submission { project: SHOP, commands }, Box::new(answer));
        while host.waiting().0 > 2_000 {
            std::thread::yield_now();
        }
    }
}

#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    let dir = tempfile::TempDir::new().unwrap();
    let mut promised = 0;
    for life in 1..=4 {
        let mut child = Process::new(std::env::current_exe().unwrap())
            .args(["durability::child_that_writes_until_it_is_killed", "--exact", "--ignored"])
            .arg("--nocapture")
            .env(CHILD_FOLDER, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut acknowledged = 0;
        for line in lines.map_while(Result::ok) {
            let Some((_, count)) = line.split_once("acknowledged ") else { continue };
            acknowledged = count.trim().parse().unwrap();
            if acknowledged >= 3_000 * life {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        promised += acknowledged;
        let host = open(dir.path());
        let events = host.catalogue(SHOP).events.values().map(|entry| entry.count).sum::<u64>();
        assert!(events >= promised, "life {life}: {events} of {promised} events are there");
        promised = events;
        assert!(!dir.path().join("store.bad-1").exists(), "life {life}: the state was used");
        let hash = host.state_hash().unwrap();
        drop(host);
        std::fs::remove_dir_all(dir.path().join("store")).unwrap();
        assert_eq!(
            open(dir.path()).state_hash().unwrap(),
            hash,
            "life {life}: state and log agree"
        );
    }
}

fn open(dir: &Path) -> Host {
    let clock = Arc::new(AtomicI64::new(NOON));
    Host::open(dir, options(&clock, &Arc::default())).unwrap()
}
