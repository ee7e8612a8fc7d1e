//! A host on a temporary folder with a clock that the test moves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use engine::fact::Names;
use engine::ids::{CustomerId, ProjectNo};
use engine::project::{ProjectChange, Status};
use engine::time::Timestamp;
use engine::value::Value;
use host::command::{Accepted, Command, Refused, Submission, Track};
use host::{Clock, Host, Options, Published};
use serde_json::json;
use tempfile::TempDir;

pub(crate) const SHOP: ProjectNo = ProjectNo(1);
/// 2026-11-22T12:00:00Z, a Sunday.
pub(crate) const NOON: i64 = 1_795_348_800_000;

pub(crate) struct World {
    pub(crate) dir: TempDir,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) published: Arc<Mutex<Vec<Published>>>,
    pub(crate) host: Host,
}

impl World {
    /// A new shop at noon.
    pub(crate) fn new() -> World {
        let world = World::with(|_| {});
        world.change(ProjectChange::Created { id: "shop".into() }).unwrap();
        world
    }

    pub(crate) fn with(set: impl Fn(&mut Options)) -> World {
        let dir = TempDir::new().unwrap();
        let clock = Arc::new(AtomicI64::new(NOON));
        let published = Arc::new(Mutex::new(Vec::new()));
        let mut options = options(&clock, &published);
        set(&mut options);
        let host = Host::open(dir.path(), options).unwrap();
        World { dir, clock, published, host }
    }

    /// Close and open again.
    pub(crate) fn reopened(self) -> World {
        let World { dir, clock, published, host } = self;
        drop(host);
        let host = Host::open(dir.path(), options(&clock, &published)).unwrap();
        World { dir, clock, published, host }
    }

    /// Close, throw the state away, and open again: everything comes from the log.
    pub(crate) fn rebuilt(self) -> World {
        let World { dir, clock, published, host } = self;
        drop(host);
        std::fs::remove_dir_all(dir.path().join("store")).unwrap();
        let host = Host::open(dir.path(), options(&clock, &published)).unwrap();
        World { dir, clock, published, host }
    }

    pub(crate) fn send(&self, command: Command) -> Result<Accepted, Refused> {
        one(&self.host, command)
    }

    pub(crate) fn change(&self, change: ProjectChange) -> Result<Accepted, Refused> {
        self.send(Command::Change(change))
    }

    /// An event of a user, with a message id.
    pub(crate) fn track(&self, user: &str, name: &str, message_id: &str) -> Accepted {
        self.send(track(user_named(user), name, message_id)).unwrap()
    }

    pub(crate) fn identify(&self, names: Names, message_id: &str, changes: &[(&str, &str)]) {
        let changes = changes
            .iter()
            .map(|(key, value)| ((*key).to_owned(), Some(Value::Text((*value).to_owned()))))
            .collect();
        let message_id = message_id.to_owned();
        self.send(Command::Identify { names, message_id, changes, historical: false }).unwrap();
    }

    /// Save an outreach and bring it live.
    pub(crate) fn live(&self, id: &str, definition: &serde_json::Value) {
        self.save(id, definition);
        self.change(ProjectChange::StatusSet { id: id.into(), status: Status::Live }).unwrap();
    }

    pub(crate) fn save(&self, id: &str, definition: &serde_json::Value) {
        let (definition, author) = (definition.to_string(), "test".to_owned());
        self.change(ProjectChange::OutreachSaved { id: id.into(), definition, author }).unwrap();
    }

    /// Let time pass and wait for what it leads to.
    pub(crate) fn pass(&self, ms: i64) {
        self.clock.fetch_add(ms, Ordering::AcqRel);
        self.host.clock_moved();
        self.host.wait_idle();
    }

    pub(crate) fn user(&self, name: &str) -> CustomerId {
        CustomerId::of_user(SHOP, name)
    }
}

pub(crate) fn options(clock: &Arc<AtomicI64>, published: &Arc<Mutex<Vec<Published>>>) -> Options {
    let published = Arc::clone(published);
    Options {
        clock: Clock::Virtual(Arc::clone(clock)),
        segment_bytes: 4 * 1024 * 1024,
        customers_bytes: crate::CUSTOMERS_BYTES,
        sink: Arc::new(move |effect| published.lock().unwrap().push(effect.clone())),
        watched: Arc::new(|| true),
        ..Options::default()
    }
}

pub(crate) fn one(host: &Host, command: Command) -> Result<Accepted, Refused> {
    let submission = Submission { project: SHOP, commands: vec![command] };
    host.submit_and_wait(submission).unwrap().pop().unwrap()
}

pub(crate) fn user_named(user: &str) -> Names {
    Names { user_id: Some(user.to_owned()), anonymous_id: None }
}

pub(crate) fn guest_named(guest: &str) -> Names {
    Names { user_id: None, anonymous_id: Some(guest.to_owned()) }
}

pub(crate) fn both(user: &str, guest: &str) -> Names {
    Names { user_id: Some(user.to_owned()), anonymous_id: Some(guest.to_owned()) }
}

pub(crate) fn track(names: Names, name: &str, message_id: &str) -> Command {
    Command::Track(Track {
        names,
        message_id: message_id.to_owned(),
        name: name.to_owned(),
        at: Timestamp(i64::MAX),
        properties: json!({"amount": 12, "plan": "free"}).to_string(),
        changes: BTreeMap::new(),
        historical: false,
        page: None,
    })
}

/// A modal on an event.
pub(crate) fn modal_on(event: &str) -> serde_json::Value {
    json!({
        "name": "A modal",
        "trigger": {"kind": "event", "event": event},
        "content": {"kind": "modal", "title": "Hello"}
    })
}
