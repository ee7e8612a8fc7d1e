//! One-offs and outreaches that go live: everybody of the snapshot, once, whatever happens.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use engine::ids::CustomerId;
use engine::project::{ProjectChange, Status};
use engine::value::Value;
use host::command::{Command, Submission};
use host::query::audience::Reach;
use host::{Host, Options};
use serde_json::json;

use crate::world::{NOON, SHOP, World, modal_on, one, options, user_named};

fn news(plan: &str) -> serde_json::Value {
    json!({
        "name": "News",
        "trigger": {"kind": "one_off"},
        "audience": {"kind": "one_off", "filter": {
            "kind": "attribute", "attribute": "plan", "test": {"kind": "is", "value": plan}
        }},
        "content": {"kind": "news", "title": "News", "body": [{"kind": "paragraph", "text": "Hello"}]}
    })
}

/// `count` customers, every other one on the plan "pro".
fn fill(host: &Host, count: usize) {
    for from in (0..count).step_by(1_000) {
        let commands = (from..count.min(from + 1_000)).map(|number| {
            let plan = if number % 2 == 0 { "pro" } else { "free" };
            let changes = [("plan".to_owned(), Some(Value::Text(plan.to_owned())))];
            Command::Identify {
                names: user_named(&format!("user-{number}")),
                message_id: format!("i{number}"),
                changes: changes.into(),
                historical: false,
            }
        });
        let submission = Submission { project: SHOP, commands: commands.collect() };
        host.submit_and_wait(submission).unwrap();
    }
}

fn received(host: &Host, count: usize) -> Vec<usize> {
    let of = |number| CustomerId::of_user(SHOP, &format!("user-{number}"));
    (0..count).map(|number| host.inbox(SHOP, of(number)).unwrap().len()).collect()
}

fn every_other(count: usize) -> Vec<usize> {
    (0..count).map(|number| usize::from(number % 2 == 0)).collect()
}

#[test]
fn a_one_off_reaches_the_snapshot_and_nobody_who_joins_later() {
    let world = World::new();
    fill(&world.host, 3_000);
    world.save("news", &news("pro"));
    world.change(ProjectChange::Launched { id: "news".into() }).unwrap();
    let changes = [("plan".to_owned(), Some(Value::Text("pro".to_owned())))];
    world
        .send(Command::Identify {
            names: user_named("late"),
            message_id: "late".to_owned(),
            changes: changes.into(),
            historical: false,
        })
        .unwrap();
    world.host.wait_idle();
    assert_eq!(received(&world.host, 3_000), every_other(3_000));
    assert!(world.host.inbox(SHOP, world.user("late")).unwrap().is_empty());
    let no = world.host.project(SHOP).unwrap().outreach("news").unwrap().no;
    let progress = world.host.launch_progress(SHOP, no).unwrap();
    assert_eq!((progress.total, progress.done), (1_500, 1_500));
    assert!(world.change(ProjectChange::Launched { id: "news".into() }).is_err(), "once");
    let hash = world.host.state_hash().unwrap();
    let world = world.rebuilt();
    assert_eq!(world.host.state_hash().unwrap(), hash);
    assert_eq!(world.host.launch_progress(SHOP, no), Some(progress));
}

const CHILD_FOLDER: &str = "TIDINGS_TEST_LAUNCH_FOLDER";
const MANY: usize = 6_000;

#[test]
#[ignore = "the child of the test that kills it"]
fn child_that_launches_until_it_is_killed() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let host = Host::open(Path::new(&folder), Options::default()).unwrap();
    one(&host, Command::Change(ProjectChange::Created { id: "shop".into() })).unwrap();
    fill(&host, MANY);
    let (definition, author) = (news("pro").to_string(), String::new());
    let saved = ProjectChange::OutreachSaved { id: "news".into(), definition, author };
    one(&host, Command::Change(saved)).unwrap();
    one(&host, Command::Change(ProjectChange::Launched { id: "news".into() })).unwrap();
    println!("launched");
    std::thread::sleep(std::time::Duration::from_secs(60));
}

#[test]
fn a_launch_goes_on_after_kill_9_and_reaches_everybody_once() {
    let dir = tempfile::TempDir::new().unwrap();
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args(["launching::child_that_launches_until_it_is_killed", "--exact", "--ignored"])
        .arg("--nocapture")
        .env(CHILD_FOLDER, dir.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("launched")));
    child.kill().unwrap();
    child.wait().unwrap();
    let host = open(dir.path());
    let no = host.project(SHOP).unwrap().outreach("news").unwrap().no;
    println!("killed at {:?}", host.launch_progress(SHOP, no));
    host.wait_idle();
    let progress = host.launch_progress(SHOP, no).unwrap();
    assert_eq!((progress.total, progress.done), (MANY as u64 / 2, MANY as u64 / 2));
    assert_eq!(received(&host, MANY), every_other(MANY));
    let sends = host.counts(SHOP)[&no].sends;
    assert_eq!(sends, MANY as u64 / 2, "nobody was decided twice");
}

#[test]
fn a_property_trigger_reaches_those_who_match_when_it_goes_live() {
    let world = World::new();
    fill(&world.host, 600);
    let mut definition = modal_on("x");
    definition["trigger"] = json!({
        "kind": "user_property",
        "where": {"kind": "attribute", "attribute": "plan", "test": {"kind": "is", "value": "pro"}}
    });
    world.live("pro", &definition);
    world.host.wait_idle();
    assert_eq!(received(&world.host, 600), every_other(600));
    world.identify(user_named("user-1"), "j1", &[("plan", "pro")]);
    assert_eq!(
        world.host.inbox(SHOP, world.user("user-1")).unwrap().len(),
        1,
        "and who comes to match"
    );
    let hash = world.host.state_hash().unwrap();
    assert_eq!(world.rebuilt().host.state_hash().unwrap(), hash);
}

#[test]
fn a_one_off_with_a_time_launches_by_itself() {
    let world = World::new();
    fill(&world.host, 10);
    let mut definition = news("pro");
    definition["trigger"]["at"] = json!("2026-11-22T18:00:00Z");
    world.save("news", &definition);
    world.change(ProjectChange::Launched { id: "news".into() }).unwrap();
    let at = world.host.scheduled_launch(SHOP, "news").unwrap();
    let world = world.rebuilt();
    assert_eq!(world.host.scheduled_launch(SHOP, "news"), Some(at));
    world.pass(at.0 - NOON - 1);
    assert_eq!(received(&world.host, 10), vec![0; 10]);
    world.pass(1);
    assert_eq!(received(&world.host, 10), every_other(10));
    assert_eq!(world.host.scheduled_launch(SHOP, "news"), None);
}

#[test]
fn a_scheduled_one_off_can_be_ended_or_moved() {
    let world = World::new();
    fill(&world.host, 10);
    let mut definition = news("pro");
    definition["trigger"]["at"] = json!("2026-11-22T18:00:00Z");
    for id in ["ended", "moved"] {
        world.save(id, &definition);
        world.change(ProjectChange::Launched { id: id.into() }).unwrap();
    }
    let status = Status::Ended;
    world.change(ProjectChange::StatusSet { id: "ended".into(), status }).unwrap();
    assert_eq!(world.host.scheduled_launch(SHOP, "ended"), None);
    definition["trigger"]["at"] = json!("2026-11-22T19:00:00Z");
    world.save("moved", &definition);
    world.pass(6 * 3_600_000);
    assert_eq!(received(&world.host, 10), vec![0; 10]);
    world.pass(3_600_000);
    assert_eq!(received(&world.host, 10), every_other(10));
}

/// Nobody expects a campaign that failed to launch to go out when the server is next upgraded.
#[test]
fn a_launch_that_was_refused_at_its_time_stays_refused() {
    let world = World::new();
    fill(&world.host, 10);
    let segment = |id: &str| {
        let filter = news("pro")["audience"]["filter"].to_string();
        ProjectChange::SegmentSaved { id: id.into(), name: id.into(), filter }
    };
    world.change(segment("payers")).unwrap();
    let mut definition = news("pro");
    definition["trigger"]["at"] = json!("2026-11-22T18:00:00Z");
    definition["audience"]["filter"] = json!({"kind": "segment", "segment": "payers"});
    world.save("news", &definition);
    world.change(ProjectChange::Launched { id: "news".into() }).unwrap();
    world.change(ProjectChange::SegmentDeleted { id: "payers".into() }).unwrap();
    world.pass(6 * 3_600_000);
    assert_eq!(world.host.scheduled_launch(SHOP, "news"), None, "it was refused");
    world.change(segment("payers")).unwrap();
    world.save("news", &definition);
    world.host.wait_idle();
    let world = world.rebuilt();
    world.host.wait_idle();
    assert_eq!(received(&world.host, 10), vec![0; 10]);
}

#[test]
fn a_count_is_exact_and_shows_where_people_drop_out() {
    let world = World::new();
    fill(&world.host, 100);
    world.track("user-0", "bought", "m1");
    let mut definition = news("pro");
    let plan = definition["audience"]["filter"].clone();
    definition["audience"]["filter"] = json!({"kind": "all", "conditions": [
        plan, {"kind": "event", "event": "bought"}
    ]});
    world.save("buyers", &definition);
    let project = world.host.project(SHOP).unwrap();
    let outreach = project.outreach("buyers").unwrap().latest.as_ref().unwrap();
    let count =
        world.host.estimate(SHOP, outreach.audience.as_ref(), Reach::Outreach(outreach)).unwrap();
    assert_eq!((count.estimate.total, count.estimate.matched), (100, 1));
    assert_eq!(count.estimate.reachable, 1);
    assert_eq!(count.sample, [world.user("user-0")]);
    let alone: Vec<u64> = count.estimate.conditions.iter().map(|line| line.alone).collect();
    assert_eq!(alone, [1, 50, 1]);
    let filter = outreach.audience.as_ref();
    assert_eq!(world.host.customers(SHOP, filter, None, None, 10).unwrap().len(), 1);
}

fn open(dir: &Path) -> Host {
    let clock = Arc::new(AtomicI64::new(NOON));
    Host::open(dir, options(&clock, &Arc::default())).unwrap()
}
