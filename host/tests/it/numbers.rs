//! The number of an outreach stands in claims and decisions, so it stands in the log too.

use engine::ids::OutreachNo;
use host::Host;
use store::log::{Log, LogOptions};
use tempfile::TempDir;

use crate::world::{SHOP, World, modal_on, options, track, user_named};

/// What a later compiler may do: a definition that was accepted once is not accepted any more.
#[test]
fn a_change_that_is_refused_later_shifts_no_number() {
    let world = World::new();
    for id in ["first", "broken", "last"] {
        world.live(id, &modal_on(id));
    }
    world.track("mara", "last", "m1");
    let World { dir, host, clock, published } = world;
    drop(host);
    let copy = TempDir::new().unwrap();
    let options = options(&clock, &published);
    let log_options = LogOptions { segment_bytes: options.segment_bytes, ..LogOptions::default() };
    let (from, _) = Log::open(&dir.path().join("log"), log_options).unwrap();
    let (mut to, _) = Log::open(&copy.path().join("log"), log_options).unwrap();
    let (mut broken, word) = (0, b"\"event\":\"broken\"");
    for record in from.reader().iterate(0) {
        let mut record = record.unwrap();
        if let Some(at) = record.payload.windows(word.len()).position(|bytes| bytes == word) {
            // As long as before, and no event trigger any more.
            record.payload[at..at + 7].copy_from_slice(b"\"evend\"");
            broken += 1;
        }
        to.append(record.partition, record.format, &record.payload).unwrap();
    }
    to.close().unwrap();
    assert_eq!(broken, 1, "only the definition names it so");
    let host = Host::open(copy.path(), options).unwrap();
    let project = host.project(SHOP).unwrap();
    assert!(project.outreach("broken").is_none());
    assert_eq!(project.outreach("first").unwrap().no, OutreachNo(1));
    assert_eq!(project.outreach("last").unwrap().no, OutreachNo(3));
    // The claim that mara holds is still one on the same outreach.
    let again = track(user_named("mara"), "last", "m2");
    let accepted = crate::world::one(&host, again).unwrap();
    assert_eq!(accepted.decisions[0].outreach, OutreachNo(3));
    let reason = format!("{:?}", accepted.decisions[0].outcome);
    assert!(reason.contains("AlreadySent"), "{reason}");
    // And the next one takes none that was used.
    let definition = modal_on("new").to_string();
    let (id, author) = ("new".to_owned(), String::new());
    let saved = engine::project::ProjectChange::OutreachSaved { id, definition, author };
    crate::world::one(&host, host::command::Command::Change(saved)).unwrap();
    assert_eq!(host.project(SHOP).unwrap().outreach("new").unwrap().no, OutreachNo(4));
}
