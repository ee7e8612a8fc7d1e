//! From the POST of an event to the webhook at its receiver: one at a time on an idle server, and
//! a thousand at once. The cost of one sync of this disk stands beside it, from the same minute.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::json;
use trials::client::event;
use trials::receiver::{Answer, Receiver};

use crate::machine::fsync_cost;
use crate::report::{Finding, Goal};
use crate::setting::Setting;
use crate::stats::{Figure, number, percentile};
use crate::subject::Subject;
use crate::world;

const BURST: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// When which webhook came.
#[derive(Clone, Default)]
pub(crate) struct Arrivals {
    inner: Arc<(Mutex<Vec<(u64, Instant)>>, Condvar)>,
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

pub(crate) fn run(setting: &Setting) -> anyhow::Result<()> {
    let mut finding = Finding::new("webhook", "From event to webhook");
    let subject = Subject::start(setting, "webhook")?;
    let receiver = Receiver::start()?;
    let arrivals = Arrivals::at(&receiver);
    let mut client = subject.client()?;
    client.go_live("hook", &world::webhook("order", &receiver.url("/hook")))?;
    idle(setting, &mut finding, &mut client, &arrivals)?;
    receiver.forget();
    burst(setting, &mut finding, &subject, &mut client, &arrivals)?;
    subject.finish()?;
    finding.save(setting)
}

fn idle(
    setting: &Setting,
    finding: &mut Finding,
    client: &mut trials::client::Client,
    arrivals: &Arrivals,
) -> anyhow::Result<()> {
    let count = setting.pick(50, 400, 2_000);
    let (mut came, mut answered) = (Vec::new(), Vec::new());
    for number in 0..count {
        arrivals.forget();
        let item = event(
            &format!("i{number}"),
            &format!("u{}", number % 100),
            "order",
            &json!({"number": number}),
        );
        let body = json!({"batch": [item]}).to_string();
        let began = Instant::now();
        let response = client.send("POST", "/v1/batch", Some(body.as_bytes()))?;
        answered.push(began.elapsed().as_secs_f64() * 1e3);
        anyhow::ensure!(response.status == 200, "{} {}", response.status, response.text());
        came.push((arrivals.wait_for(1)? - began).as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_millis(5));
    }
    let [fsync, ..] = fsync_cost(&setting.scratch)?;
    for percent in [50.0, 95.0, 99.0] {
        finding.figure(Figure::new(
            &format!("idle, POST to webhook received, p{percent:.0} of {count}"),
            "ms",
            vec![percentile(&came, percent)],
        ));
    }
    finding.figure(Figure::new(
        "idle, POST to its durable answer, p50",
        "ms",
        vec![percentile(&answered, 50.0)],
    ));
    finding.figure(Figure::new("fdatasync of 4 KiB alone, p50, right after", "ms", vec![fsync]));
    let p50 = percentile(&came, 50.0);
    finding.goal(Goal {
        what: "idle POST → webhook received",
        goal: "p50 ≤ 3 ms + one fsync",
        measured: format!(
            "p50 {} ms, p95 {} ms, p99 {} ms; one fsync {} ms",
            number(p50),
            number(percentile(&came, 95.0)),
            number(percentile(&came, 99.0)),
            number(fsync)
        ),
        met: p50 <= 3.0 + fsync,
        why: String::new(),
    });
    Ok(())
}

fn burst(
    setting: &Setting,
    finding: &mut Finding,
    subject: &Subject,
    client: &mut trials::client::Client,
    arrivals: &Arrivals,
) -> anyhow::Result<()> {
    let bursts = setting.pick(3, 20, 20);
    let (mut last, mut cpu) = (Vec::new(), Vec::new());
    for turn in 0..bursts {
        arrivals.forget();
        let items: Vec<_> = (0..BURST)
            .map(|number| {
                let message = format!("b{turn}-{number}");
                event(&message, &format!("u{number}"), "order", &json!({"number": number}))
            })
            .collect();
        let body = json!({"batch": items}).to_string();
        let used = subject.used()?;
        let began = Instant::now();
        let response = client.send("POST", "/v1/batch", Some(body.as_bytes()))?;
        anyhow::ensure!(response.status == 200, "{} {}", response.status, response.text());
        last.push((arrivals.wait_for(BURST)? - began).as_secs_f64() * 1e3);
        cpu.push(used.spent(subject.pid()?)?.micros_each(BURST as u64));
        std::thread::sleep(Duration::from_millis(200));
    }
    let shown = Figure::new("burst of 1,000 events: POST to the last webhook", "ms", last.clone());
    finding.figure(shown);
    finding.figure(Figure::new(
        "burst of 1,000 events: the same, p95",
        "ms",
        vec![percentile(&last, 95.0)],
    ));
    finding.figure(Figure::new("CPU per event with its webhook, in a burst", "µs", cpu));
    let p95 = percentile(&last, 95.0);
    finding.goal(Goal {
        what: "burst of 1,000 events → last webhook received",
        goal: "p95 ≤ 500 ms",
        measured: format!(
            "p50 {} ms, p95 {} ms of {bursts}",
            number(percentile(&last, 50.0)),
            number(p95)
        ),
        met: p95 <= 500.0,
        why: String::new(),
    });
    Ok(())
}
