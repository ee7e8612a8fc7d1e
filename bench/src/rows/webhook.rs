//! From the POST of an event to the webhook at its receiver: one at a time on an idle server, and
//! a thousand at once. The cost of one sync of this disk stands beside it, from the same minute.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};
use trials::client::{Client, event};
use trials::receiver::{Answer, Receiver};

use crate::machine::fsync_cost;
use crate::report::{Finding, Goal};
use crate::setting::Setting;
use crate::stats::{Figure, number, percentile};
use crate::subject::Subject;
use crate::world;

const BURST: u64 = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// The list, and the sign that it grew.
type Inner = (Mutex<Vec<(u64, Instant)>>, Condvar);

/// When which webhook came.
#[derive(Clone, Default)]
pub(crate) struct Arrivals {
    inner: Arc<Inner>,
}

impl Arrivals {
    /// What a receiver is told from now on comes here, by the number at the end of its path.
    pub(crate) fn at(receiver: &Receiver) -> Arrivals {
        let arrivals = Arrivals::default();
        let told = arrivals.clone();
        receiver.answer_by(Box::new(move |_, path, _| {
            let at = Instant::now();
            let number = path.rsplit('/').next().and_then(|text| text.parse().ok());
            let (list, changed) = &*told.inner;
            list.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((number.unwrap_or(u64::MAX), at));
            changed.notify_all();
            Answer::Status(200)
        }));
        arrivals
    }

    /// Wait for so many in all; when the last of them came.
    pub(crate) fn wait_for(&self, count: usize) -> anyhow::Result<Instant> {
        let (list, changed) = &*self.inner;
        let list = list.lock().unwrap_or_else(PoisonError::into_inner);
        let (list, timeout) = changed
            .wait_timeout_while(list, PATIENCE, |list| list.len() < count)
            .unwrap_or_else(PoisonError::into_inner);
        anyhow::ensure!(!timeout.timed_out(), "{} webhooks of {count} came", list.len());
        Ok(list.get(count - 1).context("none")?.1)
    }

    /// Forget all.
    pub(crate) fn forget(&self) {
        self.inner.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// What was seen of events and their webhooks, in milliseconds and microseconds.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// POST to webhook, one at a time.
    pub(crate) idle: Vec<f64>,
    /// POST to its durable answer.
    pub(crate) answered: Vec<f64>,
    /// POST of a thousand to the last of their webhooks.
    pub(crate) burst: Vec<f64>,
    /// CPU for each event of a burst.
    pub(crate) cpu: Vec<f64>,
}

pub(crate) fn run(setting: &Setting) -> anyhow::Result<()> {
    let mut finding = Finding::new("webhook", "From event to webhook");
    let subject = Subject::start(setting, "webhook")?;
    let (singles, bursts) = setting.pick((50, 3), (400, 20), (2_000, 20));
    let seen = watch(&subject, singles, bursts, |base| world::webhook("order", base))?;
    let [fsync, ..] = fsync_cost(&setting.scratch)?;
    subject.finish()?;
    idle(&mut finding, &seen, fsync);
    burst(&mut finding, &seen);
    finding.save(setting)
}

/// Single events on an idle server, then bursts; each event of a customer of its own. `outreach`
/// makes the definition from the address of the receiver.
pub(crate) fn watch(
    subject: &Subject,
    singles: u64,
    bursts: u64,
    outreach: impl Fn(&str) -> Value,
) -> anyhow::Result<Seen> {
    let receiver = Receiver::start()?;
    let arrivals = Arrivals::at(&receiver);
    let mut client = subject.client()?;
    client.go_live("hook", &outreach(&receiver.url("/hook")))?;
    let mut seen = Seen::default();
    for number in 0..singles {
        arrivals.forget();
        let began = Instant::now();
        post(&mut client, number..number + 1)?;
        seen.answered.push(began.elapsed().as_secs_f64() * 1e3);
        seen.idle.push((arrivals.wait_for(1)? - began).as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_millis(5));
    }
    for turn in 0..bursts {
        receiver.forget();
        arrivals.forget();
        let from = singles + turn * BURST;
        let used = subject.used()?;
        let began = Instant::now();
        post(&mut client, from..from + BURST)?;
        let last = arrivals.wait_for(usize::try_from(BURST)?)?;
        seen.burst.push((last - began).as_secs_f64() * 1e3);
        seen.cpu.push(used.spent(subject.pid()?)?.micros_each(BURST));
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(seen)
}

/// One batch of orders, each of a customer of its own.
fn post(client: &mut Client, numbers: std::ops::Range<u64>) -> anyhow::Result<()> {
    let order = |number: u64| {
        let (message, user) = (format!("order-{number}"), format!("u{number}"));
        event(&message, &user, "order", &json!({"number": number, "amount": 5}))
    };
    let response = client.batch(&numbers.map(order).collect::<Vec<_>>())?;
    anyhow::ensure!(response.status == 200, "{} {}", response.status, response.text());
    Ok(())
}

fn idle(finding: &mut Finding, seen: &Seen, fsync: f64) {
    let count = seen.idle.len();
    let at = |percent| percentile(&seen.idle, percent);
    for percent in [50.0, 95.0, 99.0] {
        let what = format!("idle, POST to webhook received, p{percent:.0} of {count}");
        finding.figure(Figure::new(&what, "ms", vec![at(percent)]));
    }
    let answered = percentile(&seen.answered, 50.0);
    finding.figure(Figure::new("idle, POST to its durable answer, p50", "ms", vec![answered]));
    finding.figure(Figure::new("fdatasync of 4 KiB alone, p50, right after", "ms", vec![fsync]));
    let [p50, p95, p99, one] = [at(50.0), at(95.0), at(99.0), fsync].map(number);
    finding.goal(Goal {
        what: "idle POST → webhook received",
        goal: "p50 ≤ 3 ms + one fsync",
        measured: format!("p50 {p50} ms, p95 {p95} ms, p99 {p99} ms; one fsync {one} ms"),
        met: at(50.0) <= 3.0 + fsync,
        why: String::new(),
    });
}

fn burst(finding: &mut Finding, seen: &Seen) {
    let bursts = seen.burst.len();
    let [p50, p95] = [50.0, 95.0].map(|percent| percentile(&seen.burst, percent));
    let what = "burst of 1,000 events: POST to the last webhook";
    finding.figure(Figure::new(what, "ms", seen.burst.clone()));
    let what = "CPU per event with its webhook, in a burst";
    finding.figure(Figure::new(what, "µs", seen.cpu.clone()));
    finding.goal(Goal {
        what: "burst of 1,000 events → last webhook received",
        goal: "p95 ≤ 500 ms",
        measured: format!("p50 {} ms, p95 {} ms of {bursts}", number(p50), number(p95)),
        met: p95 <= 500.0,
        why: String::new(),
    });
}
