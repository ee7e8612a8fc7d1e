//! From event to webhook: the product beside what a team would write itself on PostgreSQL 15.
//!
//! The cluster is made in a temporary folder, durable, tuned, reached over its socket. The load
//! and the receiver are processes of their own and do not count; the cluster and the worker do.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::process::{cpu_of_tree, cpu_seconds};
use crate::report::{Finding, Table};
use crate::rows::webhook::{Seen, watch};
use crate::setting::Setting;
use crate::stats::{Figure, number, percentile};
use crate::subject::Subject;
use crate::world;

const PROGRAMS: &str = "/usr/lib/postgresql/15/bin";
const RUNS: u64 = 5;
/// Durable like ours; memory and log sized for the machine; no locale, no parallel queries.
const SETTINGS: &str = "\
listen_addresses = ''
fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = minimal
max_wal_senders = 0
max_connections = 60
shared_buffers = '2GB'
effective_cache_size = '8GB'
work_mem = '32MB'
wal_buffers = '64MB'
max_wal_size = '8GB'
checkpoint_timeout = '5min'
checkpoint_completion_target = 0.9
commit_delay = 200
commit_siblings = 4
random_page_cost = 1.1
jit = off
max_parallel_workers_per_gather = 0
plan_cache_mode = force_generic_plan
";

/// A cluster and its worker; both end with this.
struct Cluster {
    postgres: Child,
    worker: Option<Child>,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.worker.iter_mut().chain([&mut self.postgres]) {
            // SIGTERM is what PostgreSQL takes for an orderly end; its children follow it.
            let pid = child.id().to_string();
            let _ = Command::new("kill").arg(pid).status();
            let _ = child.wait();
        }
    }
}

pub(super) fn run(setting: &Setting) -> anyhow::Result<()> {
    println!("peers postgres: event to webhook");
    let customers: u64 = setting.pick(10_000, 100_000, 100_000);
    let events: u64 = setting.pick(5_000, 50_000, 200_000);
    let (singles, bursts): (u64, u64) = setting.pick((50, 3), (300, 20), (1_000, 20));
    let program = super::rules::build(setting, &setting.root.join("bench/peers/postgres"))?;
    let folder = setting.scratch.join("postgres");
    let (mut cluster, to) = start(&folder)?;
    step(&program, &["setup", &to, &customers.to_string()])?;
    let port = free_port()?;
    cluster.worker = Some(worker(&program, &to, port)?);
    let answer = step(
        &program,
        &["hooks", &to, &port.to_string(), &singles.to_string(), &bursts.to_string()],
    )?;
    let theirs =
        Seen { idle: list(&answer, "idle"), burst: list(&answer, "burst"), ..Seen::default() };
    let (port, people) = (port.to_string(), customers.to_string());
    step(&program, &["events", &to, &port, &(events / 4).to_string(), &people, "warm"])?;
    let (mut cpu, mut rate) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let before = used(&cluster)?;
        let (count, run) = (events.to_string(), format!("r{run}"));
        let answer = step(&program, &["events", &to, &port, &count, &people, &run])?;
        cpu.push((used(&cluster)? - before) * 1e6 / events as f64);
        rate.push(events as f64 / answer.get("wall").and_then(Value::as_f64).context("no wall")?);
    }
    drop(cluster);
    std::fs::remove_dir_all(&folder)?;
    let theirs_cpu =
        Figure::new("PostgreSQL: CPU per event, all its processes and the worker", "µs", cpu);
    let theirs_rate = Figure::new("PostgreSQL: events per second", "/s", rate);
    let (ours, ours_cpu, ours_rate) = product(setting, customers, events, singles, bursts)?;
    let mut finding = Finding::new("peers-postgres", "Event to webhook, beside PostgreSQL");
    let mut lines = Vec::new();
    let mut line = |what: &str, unit: &str, ours: f64, theirs: f64| {
        lines.push(vec![
            what.to_owned(),
            format!("{} {unit}", number(ours)),
            format!("{} {unit}", number(theirs)),
            format!("{} ×", number(theirs / ours)),
        ]);
    };
    line("CPU per event, batches of 100, 100 rules", "µs", ours_cpu.median(), theirs_cpu.median());
    line("events per second", "/s", ours_rate.median(), theirs_rate.median());
    for percent in [50.0, 95.0, 99.0] {
        let what = format!("idle, event to webhook, p{percent:.0}");
        line(&what, "ms", percentile(&ours.idle, percent), percentile(&theirs.idle, percent));
    }
    for percent in [50.0, 95.0] {
        let what = format!("burst of 1,000, to the last webhook, p{percent:.0}");
        line(&what, "ms", percentile(&ours.burst, percent), percentile(&theirs.burst, percent));
    }
    [ours_cpu, theirs_cpu, ours_rate, theirs_rate].into_iter().for_each(|one| finding.figure(one));
    let head = ["what", "Tidings", "PostgreSQL 15", "PostgreSQL ÷ Tidings"];
    let title = "Side by side in one run".to_owned();
    finding.table(Table { title, head: head.map(str::to_owned).to_vec(), lines });
    finding.note(
        "PostgreSQL: one transaction per batch with prepared statements over 16 connections of a Unix \
         socket; a set-based function stores, judges, claims and fills an outbox; four takers with \
         `SKIP LOCKED` post over open connections. Its load speaks SQL and costs it no HTTP and no keys; \
         ours is the whole server with HTTP, the reason of each refusal and the query API. \
         Both are durable before they answer.",
    );
    finding.save(setting)
}

/// The same three parts by the product.
fn product(
    setting: &Setting,
    customers: u64,
    events: u64,
    singles: u64,
    bursts: u64,
) -> anyhow::Result<(Seen, Figure, Figure)> {
    let subject = Subject::start(setting, "peer-ours")?;
    subject.publish(0, 100, Duration::from_secs(60))?;
    subject.import(0, customers)?;
    let seen = watch(&subject, singles, bursts, |base| {
        let mut rule = world::webhook("order", base);
        // As their rule: once, and at least one order in the last seven days.
        rule["frequency"] = json!({"kind": "once"});
        rule["audience"] = json!({"kind": "dynamic", "filter": {"kind": "event", "event": "order",
            "test": {"kind": "count", "count": {"kind": "at_least", "n": 1}},
            "window": {"kind": "last", "amount": 7, "unit": "days"}}});
        rule
    })?;
    subject.events(90, events / 4, customers)?;
    let (mut cpu, mut rate) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let used = subject.used()?;
        subject.events(100 + run, events, customers)?;
        let spent = used.spent(subject.pid()?)?;
        cpu.push(spent.micros_each(events));
        rate.push(spent.per_second(events));
    }
    subject.finish()?;
    let cpu = Figure::new("Tidings: CPU per event, the whole server", "µs", cpu);
    Ok((seen, cpu, Figure::new("Tidings: events per second", "/s", rate)))
}

/// PostgreSQL refuses to run as root; then it runs as `postgres`.
fn as_postgres(program: &str) -> Command {
    let path = Path::new(PROGRAMS).join(program);
    let me = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let is_root = me.lines().any(|line| line.starts_with("Uid:\t0\t"));
    if !is_root {
        return Command::new(path);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--pdeathsig=TERM"])
        .arg(path);
    command
}

fn start(folder: &Path) -> anyhow::Result<(Cluster, String)> {
    anyhow::ensure!(
        Path::new(PROGRAMS).exists(),
        "the Debian package postgresql-15 is not installed"
    );
    std::fs::create_dir_all(folder)?;
    // The user that it runs as has to get there.
    let open = |path: &Path| {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777))
    };
    open(folder)?;
    let data = folder.join("cluster");
    let made = as_postgres("initdb")
        .args([
            "--no-sync",
            "--no-locale",
            "--encoding=UTF8",
            "--auth=trust",
            "--username=postgres",
            "-D",
        ])
        .arg(&data)
        .current_dir(folder)
        .stdout(Stdio::null())
        .status()?;
    anyhow::ensure!(made.success(), "initdb failed");
    let mut command = as_postgres("postgres");
    command.arg("-D").arg(&data).arg("-k").arg(folder).current_dir(folder);
    for line in SETTINGS.lines() {
        if let Some((name, value)) = line.split_once(" = ") {
            command.arg("-c").arg(format!("{name}={}", value.trim_matches('\'')));
        }
    }
    let log = std::fs::File::create(folder.join("postgres.log"))?;
    command.stdout(log.try_clone()?).stderr(log);
    let cluster = Cluster { postgres: command.spawn()?, worker: None };
    let deadline = Instant::now() + Duration::from_secs(60);
    let ready = || {
        Command::new(PathBuf::from(PROGRAMS).join("pg_isready"))
            .arg("-q")
            .arg("-h")
            .arg(folder)
            .status()
    };
    while !ready()?.success() {
        if Instant::now() > deadline {
            bail!("{}", std::fs::read_to_string(folder.join("postgres.log")).unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok((cluster, format!("host={} user=postgres dbname=postgres", folder.display())))
}

fn worker(program: &Path, to: &str, port: u16) -> anyhow::Result<Child> {
    let mut child = Command::new(program)
        .args(["worker", to, &port.to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("its output")?).read_line(&mut line)?;
    anyhow::ensure!(line.trim() == "listening", "the worker does not listen");
    Ok(child)
}

fn used(cluster: &Cluster) -> anyhow::Result<f64> {
    let worker = cluster.worker.as_ref().map_or(Ok(0.0), |worker| cpu_seconds(worker.id()))?;
    Ok(cpu_of_tree(cluster.postgres.id())? + worker)
}

fn step(program: &Path, arguments: &[&str]) -> anyhow::Result<Value> {
    let output = Command::new(program).args(arguments).stderr(Stdio::inherit()).output()?;
    anyhow::ensure!(output.status.success(), "peer-postgres {arguments:?}: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout).unwrap_or(Value::Null))
}

fn list(answer: &Value, key: &str) -> Vec<f64> {
    answer
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .flat_map(Value::as_f64)
        .collect()
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
