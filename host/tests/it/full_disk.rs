//! A full disk: refused whole, and accepted again by itself when there is room.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::{Duration, Instant};

use engine::project::ProjectChange;
use host::command::{Command, Submission, SubmitError};
use host::{Host, Options};

use crate::world::{NOON, SHOP, modal_on, one, options, track, user_named};

const FOLDER: &str = "TIDINGS_TEST_SMALL_DISK";

/// Run with a disk of some 100 MB: `mount -t tmpfs -o size=100m tmpfs FOLDER`.
#[test]
#[ignore = "needs a small disk"]
fn a_full_disk_refuses_and_resumes_and_nothing_is_half_done() {
    let folder = PathBuf::from(std::env::var(FOLDER).unwrap());
    let clock = Arc::new(AtomicI64::new(NOON));
    let small = || Options {
        segment_bytes: 1024 * 1024,
        checkpoint_every: Duration::from_secs(1_000),
        ..options(&clock, &Arc::default())
    };
    let host = Host::open(&folder.join("data"), small()).unwrap();
    one(&host, Command::Change(ProjectChange::Created { id: "shop".into() })).unwrap();
    let (definition, author) = (modal_on("clicked").to_string(), String::new());
    let save = ProjectChange::OutreachSaved { id: "hello".into(), definition, author };
    one(&host, Command::Change(save)).unwrap();
    let status = engine::project::Status::Live;
    one(&host, Command::Change(ProjectChange::StatusSet { id: "hello".into(), status })).unwrap();
    let ballast = folder.join("ballast");
    let mut bytes = vec![0_u8; 1024 * 1024];
    bytes.fill(7);
    let mut file = std::fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &bytes).is_ok() {}
    drop(file);
    let send = |number: u64| {
        let user = user_named(&format!("user-{}", number % 500));
        let commands = vec![track(user, "clicked", &format!("m{number}"))];
        host.submit_and_wait(Submission { project: SHOP, commands })
    };
    let mut accepted = 0;
    let refused = loop {
        match send(accepted) {
            Ok(_) => accepted += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SubmitError::DiskFull), "{refused} after {accepted}");
    let hash = host.state_hash().unwrap();
    for _ in 0..5 {
        assert!(matches!(send(accepted), Err(SubmitError::DiskFull)));
        std::thread::sleep(Duration::from_millis(250));
    }
    assert_eq!(host.state_hash().unwrap(), hash, "what was refused has left nothing behind");
    assert!(host.is_disk_full() && host.fault().is_none());
    host.checkpoint();
    println!("a checkpoint on the full disk: {:?}", host.state_fault());
    assert_eq!(host.fault(), None, "the state is rented, its failure stops nothing");
    std::fs::remove_file(&ballast).unwrap();
    let began = Instant::now();
    while send(accepted).is_err() {
        assert!(began.elapsed() < Duration::from_secs(5), "it does not resume");
    }
    assert!(!host.is_disk_full());
    let hash = host.state_hash().unwrap();
    let events: u64 = host.catalogue(SHOP).events.values().map(|entry| entry.count).sum();
    assert_eq!(events, accepted + 1);
    let page = host.timeline(SHOP, engine::ids::CustomerId::of_user(SHOP, "user-0"), None, 1_000);
    assert_eq!(page.unwrap().items.len() as u64, accepted / 500 + 1, "all of it can be read");
    drop(host);
    assert_eq!(Host::open(&folder.join("data"), small()).unwrap().state_hash().unwrap(), hash);
    std::fs::remove_dir_all(folder.join("data/store")).unwrap();
    assert_eq!(Host::open(&folder.join("data"), small()).unwrap().state_hash().unwrap(), hash);
    println!("{accepted} events before the disk was full");
}
