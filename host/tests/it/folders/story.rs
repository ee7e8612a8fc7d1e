//! The life that the kept data folders hold: short, and with everything in it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use engine::decision::SkipReason;
use engine::delivery::DeliveryState;
use engine::fact::{AttemptOutcome, Names, ReceiptKind, Settlement};
use engine::ids::{CustomerId, DeliveryId, ProjectNo};
use engine::project::{ProjectChange, Status};
use engine::time::Timestamp;
use engine::value::Value;
use host::command::{Accepted, Command, Submission, Track};
use host::query::deliveries::DeliveryFilter;
use host::{Host, Options};
use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::world::{SHOP, World, both, guest_named, options, user_named};

/// Small, so that a short life has several.
pub(super) const SEGMENT_BYTES: u64 = 12 * 1024;

const BAKERY: ProjectNo = ProjectNo(2);
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Live it. Answers with the folder, whose state stands some way behind its log, and the moment at
/// which it is to be opened.
pub(super) fn live() -> (TempDir, i64) {
    let world = World::with(|options| options.segment_bytes = SEGMENT_BYTES);
    begin(&world);
    people(&world);
    sends(&world);
    let World { dir, clock, published, host } = world;
    drop(host);
    let aside = dir.path().join("aside");
    copy(&dir.path().join("store"), &aside);
    let segment_bytes = SEGMENT_BYTES;
    let options = Options { segment_bytes, ..options(&clock, &published) };
    let host = Host::open(dir.path(), options).unwrap();
    let world = World { dir, clock, published, host };
    one_offs(&world);
    bakery(&world);
    ends(&world);
    let World { dir, clock, host, .. } = world;
    drop(host);
    let store = dir.path().join("store");
    fs::remove_dir_all(&store).unwrap();
    fs::rename(&aside, &store).unwrap();
    (dir, clock.load(std::sync::atomic::Ordering::Acquire))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// More of the same, for a folder of whatever age.
pub(super) fn goes_on(host: &Host) {
    for (number, name) in ["looked", "signed_up", "bought"].into_iter().enumerate() {
        for user in ["mara", "ben", "somebody new"] {
            let id = format!("later {user} {number}");
            to(host, SHOP, event(user_named(user), name, &id, &json!({"order": id})));
        }
    }
}

fn to(host: &Host, project: ProjectNo, command: Command) -> Accepted {
    let submission = Submission { project, commands: vec![command] };
    host.submit_and_wait(submission).unwrap().pop().unwrap().unwrap()
}

fn event(names: Names, name: &str, message_id: &str, properties: &Json) -> Command {
    Command::Track(Track {
        names,
        message_id: message_id.to_owned(),
        name: name.to_owned(),
        at: Timestamp(i64::MAX),
        properties: properties.to_string(),
        changes: BTreeMap::new(),
        historical: false,
        page: Some("https://shop.example/".to_owned()),
    })
}

fn outreach(trigger: Json, content: Json) -> Json {
    json!({"name": "One of ours", "trigger": trigger, "content": content})
}

fn on(event: &str) -> Json {
    json!({"kind": "event", "event": event})
}

fn modal() -> Json {
    json!({"kind": "modal", "title": "Hello"})
}

fn email() -> Json {
    json!({"kind": "email", "subject": "Hello", "text": "Welcome"})
}

fn webhook() -> Json {
    json!({"kind": "webhook", "url": "https://example.com/in"})
}

fn with(mut definition: Json, key: &str, value: Json) -> Json {
    definition[key] = value;
    definition
}

fn filter(attribute: &str, value: &str) -> Json {
    json!({"kind": "attribute", "attribute": attribute, "test": {"kind": "is", "value": value}})
}

fn begin(world: &World) {
    world.change(ProjectChange::Created { id: "shop".into() }).unwrap();
    let settings =
        json!({"name": "The shop", "timezone": "Europe/Berlin", "in_app_expiry_days": 9});
    world.change(ProjectChange::SettingsSaved { settings: settings.to_string() }).unwrap();
    for id in ["payers", "gone"] {
        let (name, filter) = ("Payers".to_owned(), filter("plan", "pro").to_string());
        world.change(ProjectChange::SegmentSaved { id: id.into(), name, filter }).unwrap();
    }
    world.change(ProjectChange::SegmentDeleted { id: "gone".into() }).unwrap();
    let later = json!({"kind": "event", "event": "signed_up", "cancel_on": [{"event": "left"}],
        "delay": {"amount": 2, "unit": "hours"}});
    let every_time = json!({"kind": "every_time"});
    let per_key = json!({"kind": "once_per_key", "property": "order"});
    let goal = json!({"event": "bought", "within": {"amount": 2, "unit": "days"}});
    let payers = json!({"kind": "dynamic", "filter": {"kind": "segment", "segment": "payers"}});
    let survey = json!({"kind": "survey", "title": "How was it?", "thanks": "Thank you",
        "questions": [{"kind": "nps", "id": "nps", "text": "Well?", "required": true}]});
    let hook = with(outreach(on("bought"), webhook()), "frequency", every_time);
    let key = with(outreach(on("bought"), modal()), "frequency", per_key);
    let mail = with(outreach(on("signed_up"), email()), "goal", goal);
    let asked = with(outreach(on("bought"), survey), "audience", payers);
    let held = json!({"holdout_percent": 100});
    for (id, definition) in [
        ("welcome", mail),
        ("hook", hook),
        ("hello", outreach(on("looked"), modal())),
        ("order", key),
        ("later", outreach(later, modal())),
        ("ask", asked),
        ("watch", outreach(on("looked"), modal())),
        ("pause", outreach(on("looked"), modal())),
        ("old", outreach(on("looked"), modal())),
        ("control", with(outreach(on("looked"), modal()), "guardrails", held)),
        ("seen", outreach(on("outreach.displayed"), webhook())),
    ] {
        world.live(id, &definition);
    }
    let set = |id: &str, status| {
        world.change(ProjectChange::StatusSet { id: id.into(), status }).unwrap();
    };
    set("watch", Status::Shadow);
    set("pause", Status::Paused);
    world.save("draft", &outreach(on("looked"), modal()));
    world.change(ProjectChange::Archived { id: "old".into() }).unwrap();
    world.save("hello", &with(outreach(on("looked"), modal()), "name", json!("Hello again")));
    set("hello", Status::Live);
}

fn people(world: &World) {
    for (user, plan) in [("mara", "pro"), ("ben", "free"), ("cara", "pro"), ("dora", "free")] {
        let address = format!("{user}@example.com");
        let known = [("email", address.as_str()), ("plan", plan), ("timezone", "Asia/Tokyo")];
        world.identify(user_named(user), &format!("who {user}"), &known);
        world.pass(MINUTE);
    }
    let mut changes = BTreeMap::new();
    changes.insert("age".to_owned(), Some(Value::Number(31.5)));
    changes.insert("vip".to_owned(), Some(Value::Bool(true)));
    changes.insert("plan".to_owned(), None);
    let tags = ["a", "b"].map(|tag| Value::Text(tag.to_owned()));
    changes.insert("tags".to_owned(), Some(Value::List(tags.to_vec())));
    let (names, message_id) = (user_named("dora"), "more of dora".to_owned());
    world.send(Command::Identify { names, message_id, changes, historical: false }).unwrap();
    // A guest who is somebody, a guest who stays one, a name that becomes another.
    let look = |guest: &str, id: &str| {
        let looked = event(guest_named(guest), "looked", id, &json!({"place": "home"}));
        world.send(looked).unwrap();
        world.pass(MINUTE);
    };
    look("g-1", "g1");
    look("g-2", "g2");
    world.identify(both("mara", "g-1"), "mara is g-1", &[("city", "Kyoto")]);
    world.track("finn", "looked", "finn looks");
    let (previous, names) = (user_named("finn"), user_named("fiona"));
    let message_id = "finn is fiona".to_owned();
    world.send(Command::Alias { previous, names, message_id }).unwrap();
    let mut old = Vec::new();
    for (days, id) in [(400, "long ago"), (2, "lately")] {
        let Command::Track(mut track) = event(user_named("ben"), "bought", id, &json!({})) else {
            continue;
        };
        track.at = world.host.now().plus_ms(-days * DAY);
        track.historical = true;
        old.push(Command::Track(track));
    }
    world.host.submit_and_wait(Submission { project: SHOP, commands: old }).unwrap();
    for (topic, allowed) in [("", true), ("offers", false)] {
        let (channel, topic, customer) = ("email".into(), topic.into(), world.user("ben"));
        world.send(Command::Consent { customer, channel, topic, allowed }).unwrap();
    }
    // Those who match are found when it goes live.
    let where_ = json!({"kind": "user_property", "where": filter("plan", "pro")});
    world.live("pro", &outreach(where_, modal()));
    world.host.wait_idle();
    world.pass(HOUR);
}

fn newest(world: &World, customer: CustomerId, channel: &str) -> DeliveryId {
    let filter = DeliveryFilter { customer: Some(customer), ..DeliveryFilter::default() };
    let page = world.host.deliveries(SHOP, &filter, None, 100).unwrap();
    let mut rows = page.items.iter();
    rows.find(|row| row.delivery.outreach_type.name() == channel).unwrap().delivery.id
}

fn attempted(world: &World, customer: CustomerId, delivery: DeliveryId, outcome: AttemptOutcome) {
    world.send(Command::Attempted { customer, delivery, outcome }).unwrap();
    world.pass(MINUTE);
}

fn receipt(world: &World, delivery: DeliveryId, kind: ReceiptKind) {
    let (receipt_id, detail) = (format!("{kind:?}"), json!({"button": "ok"}).to_string());
    let command = Command::Receipt { delivery, customer: None, kind, receipt_id, at: None, detail };
    world.send(command).unwrap();
    world.pass(MINUTE);
}

fn sends(world: &World) {
    let accepted = || AttemptOutcome::Accepted { provider_id: "p-1".to_owned() };
    let reason = || "the provider said so".to_owned();
    for user in ["mara", "ben", "cara", "dora"] {
        world.track(user, "signed_up", &format!("{user} signs up"));
    }
    world.track("jon, who has no address", "signed_up", "jon signs up");
    let mail = |user: &str| (world.user(user), newest(world, world.user(user), "email"));
    let [mara, ben, cara, dora] = ["mara", "ben", "cara", "dora"].map(mail);
    let started = |(customer, delivery)| {
        world.send(Command::Started { customer, delivery }).unwrap();
    };
    started(mara);
    attempted(world, mara.0, mara.1, accepted());
    receipt(world, mara.1, ReceiptKind::Delivered);
    receipt(world, mara.1, ReceiptKind::Displayed);
    receipt(world, mara.1, ReceiptKind::Clicked);
    receipt(world, mara.1, ReceiptKind::Unsubscribed);
    let at = world.host.now().plus_ms(HOUR);
    attempted(world, ben.0, ben.1, AttemptOutcome::Retry { reason: reason(), at });
    started(cara);
    attempted(world, cara.0, cara.1, AttemptOutcome::Unknown { reason: reason() });
    attempted(world, dora.0, dora.1, AttemptOutcome::Rejected { reason: reason() });
    let settle = |delivery, by| {
        world.send(Command::Settle { delivery, by }).unwrap();
        world.pass(MINUTE);
    };
    settle(dora.1, Settlement::Retry);
    attempted(world, dora.0, dora.1, AttemptOutcome::AddressGone { reason: reason() });
    settle(cara.1, Settlement::Sent);
    receipt(world, cara.1, ReceiptKind::Bounced);
    attempted(world, ben.0, ben.1, accepted());
    receipt(world, ben.1, ReceiptKind::Complained);
    // In the app: seen, answered, dismissed; two hooks that are withdrawn, refused.
    for (number, user) in ["mara", "ben", "cara", "dora"].into_iter().enumerate() {
        let order = json!({"order": format!("o{number}"), "amount": 12});
        let bought = event(user_named(user), "bought", &format!("{user} buys"), &order);
        world.send(bought).unwrap();
        world.pass(MINUTE);
    }
    receipt(world, newest(world, mara.0, "survey"), ReceiptKind::Displayed);
    receipt(world, newest(world, mara.0, "survey"), ReceiptKind::Answered);
    receipt(world, newest(world, ben.0, "modal"), ReceiptKind::Dismissed);
    let hook = |user: CustomerId| newest(world, user, "webhook");
    settle(hook(ben.0), Settlement::Cancelled);
    let reason = SkipReason::NoConsent;
    attempted(world, cara.0, hook(cara.0), AttemptOutcome::Refused { reason });
    attempted(world, dora.0, hook(dora.0), accepted());
    world.pass(2 * HOUR);
    let (customer, outreach) = (mara.0, "hello".to_owned());
    world.send(Command::AllowAgain { customer, outreach }).unwrap();
    world.track("mara", "looked", "mara looks again");
    world.track("erin", "looked", "erin looks");
    world.identify(both("erin", "erins-phone"), "erin's phone", &[("email", "erin@example.com")]);
    world.send(Command::Erase { customer: world.user("erin") }).unwrap();
}

fn one_offs(world: &World) {
    let news = |at: Option<String>, filter: Json| {
        let trigger = match at {
            Some(at) => json!({"kind": "one_off", "at": at}),
            None => json!({"kind": "one_off"}),
        };
        let content = json!({"kind": "news", "title": "News",
            "body": [{"kind": "paragraph", "text": "Hello"}]});
        with(outreach(trigger, content), "audience", json!({"kind": "one_off", "filter": filter}))
    };
    let launch = |id: &str| {
        world.change(ProjectChange::Launched { id: id.into() }).unwrap();
        world.host.wait_idle();
    };
    let at = |ms: i64| Some(world.host.now().plus_ms(ms).to_rfc3339());
    world.save("news", &news(None, filter("plan", "pro")));
    launch("news");
    world.save("winter", &news(at(90 * DAY), filter("plan", "pro")));
    launch("winter");
    // Its segment goes before its time comes, so it is not launched.
    let (id, name) = ("soon gone".to_owned(), "Soon gone".to_owned());
    let segment = filter("plan", "free").to_string();
    world.change(ProjectChange::SegmentSaved { id, name, filter: segment }).unwrap();
    let segment = json!({"kind": "segment", "segment": "soon gone"});
    world.save("spring", &news(at(2 * HOUR), segment));
    launch("spring");
    world.change(ProjectChange::SegmentDeleted { id: "soon gone".into() }).unwrap();
    world.pass(3 * HOUR);
}

/// A second project, in which the same names are other people, and an empty third.
fn bakery(world: &World) {
    let host = &world.host;
    to(host, BAKERY, Command::Change(ProjectChange::Created { id: "bakery".into() }));
    let attic = ProjectNo(3);
    to(host, attic, Command::Change(ProjectChange::Created { id: "attic".into() }));
    let (definition, author) = (outreach(on("looked"), modal()).to_string(), "anna".to_owned());
    let id = "hello".to_owned();
    let saved = ProjectChange::OutreachSaved { id: id.clone(), definition, author };
    to(host, BAKERY, Command::Change(saved));
    let live = ProjectChange::StatusSet { id, status: Status::Live };
    to(host, BAKERY, Command::Change(live));
    for number in 0..60 {
        let names = user_named(["mara", "ben"][number % 2]);
        let bread = json!({"bread": "rye", "number": number, "words": "warm ".repeat(40)});
        to(host, BAKERY, event(names, "looked", &format!("b{number}"), &bread));
        world.pass(MINUTE);
    }
}

/// What is open when the folder is closed: in the inbox, due, waiting, held, and under way.
fn ends(world: &World) {
    // What nobody looked at for nine days expires.
    world.pass(10 * DAY);
    for user in ["gina", "hugo", "ida"] {
        let address = format!("{user}@example.com");
        world.identify(user_named(user), &format!("who {user}"), &[("email", &address)]);
        world.track(user, "signed_up", &format!("{user} signs up"));
        let looked = event(user_named(user), "looked", &format!("{user} looks"), &json!({}));
        world.send(looked).unwrap();
    }
    world.track("hugo", "left", "hugo leaves");
    let hold = |user: &str| (world.user(user), newest(world, world.user(user), "email"));
    let (gina, ida) = (hold("gina"), hold("ida"));
    for (customer, delivery) in [gina, ida] {
        world.send(Command::Started { customer, delivery }).unwrap();
    }
    let reason = "the connection was lost".to_owned();
    attempted(world, gina.0, gina.1, AttemptOutcome::Unknown { reason });
    // Ida's is under way when the folder is closed.
    world.host.wait_idle();
    assert_eq!(
        world.host.delivery(SHOP, ida.1).unwrap().unwrap().delivery.state,
        DeliveryState::Attempting
    );
}

/// Whether a portrait has everything: every kind of fact, every state, every end.
pub(super) fn assert_rich(portrait: &Json) {
    let text = portrait.to_string();
    let facts = [
        "event",
        "attributes",
        "merged",
        "merged_into",
        "receipt",
        "started",
        "attempted",
        "consent",
        "settled",
        "allowed_again",
        "clock_struck",
        "went_live",
        "launched",
    ];
    let outcomes = ["accepted", "retry", "rejected", "address_gone", "unknown", "refused"];
    for word in facts.into_iter().chain(outcomes) {
        assert!(text.contains(&format!("[\"{word}\"")), "no {word}");
    }
    let states = [
        "waiting",
        "due",
        "attempting",
        "held",
        "sent",
        "delivered",
        "displayed",
        "clicked",
        "answered",
        "dismissed",
        "failed",
        "expired",
        "suppressed",
        "cancelled",
    ];
    let gates = ["status", "audience", "frequency", "holdout", "reach"];
    for word in states.into_iter().chain(gates) {
        assert!(text.contains(&format!("\"{word}\"")), "no {word}");
    }
    assert!(!text.contains("erin"), "who was erased is not there");
    assert_eq!(portrait.as_object().unwrap().len(), 3);
}
