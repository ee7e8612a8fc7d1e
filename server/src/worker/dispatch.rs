//! From due to handed over: one loop that takes what is due and starts attempts.
//!
//! It waits for the host's wake-up or for the next due time, whichever comes first; it never polls.
//! A wake-up carries nothing: what is due stands in the host. So a signal, a timer and a restart
//! take the same way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use engine::ids::DeliveryId;
use engine::outreach::content::OutreachType;
use engine::time::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::attempt::{self, Task};
use super::pace::Pace;
use crate::http::App;
use crate::limits;

/// The loop's own state; everything of worth is with the host.
struct Dispatcher {
    app: App,
    /// One pool per channel, so that a slow mail server does not hold up webhooks.
    pools: HashMap<OutreachType, Arc<Semaphore>>,
    pace: Pace,
    /// Taken from the host, waiting for a slot of their outreach.
    deferred: BTreeMap<(Timestamp, DeliveryId), Task>,
    running: JoinSet<()>,
}

/// Hand over what is due until the server stops; then wait for what is under way.
pub(crate) async fn run(app: App) {
    let size = app.config.dispatch.attempts_per_channel;
    let pools =
        OutreachType::ALL.iter().map(|kind| (*kind, Arc::new(Semaphore::new(size)))).collect();
    let mut dispatcher = Dispatcher {
        app,
        pools,
        pace: Pace::default(),
        deferred: BTreeMap::new(),
        running: JoinSet::new(),
    };
    dispatcher.work().await;
    let Dispatcher { mut running, .. } = dispatcher;
    let drained =
        tokio::time::timeout(limits::DRAIN, async { while running.join_next().await.is_some() {} });
    if drained.await.is_err() {
        tracing::warn!("attempts were still under way at the end; they are held at the next start");
    }
}

impl Dispatcher {
    async fn work(&mut self) {
        loop {
            let app = self.app.clone();
            let wake = app.signals.due.notified();
            let now = app.now();
            while self.running.try_join_next().is_some() {}
            self.start_deferred(now);
            let room = limits::DUE_BATCH.saturating_sub(self.running.len());
            let mut taken = 0;
            if room > 0 {
                let due = app.host.due(room);
                taken = due.len();
                for (project, customer, delivery) in due {
                    self.admit(Task { project, customer, delivery }, now);
                }
            }
            if taken > 0 && self.running.len() < limits::DUE_BATCH {
                // There may be more; but a stop is looked for between the rounds.
                if app.is_stopping() {
                    return;
                }
                continue;
            }
            let timer = pause(self.next_moment(), now);
            let full = self.running.len() >= limits::DUE_BATCH;
            tokio::select! {
                () = wake, if !full => {}
                () = sleep(timer), if !full => {}
                Some(_) = self.running.join_next() => {}
                () = app.stopped() => return,
            }
        }
    }

    fn next_moment(&self) -> Option<Timestamp> {
        let slot = self.deferred.keys().next().map(|(at, _)| *at);
        [self.app.host.next_due(), slot].into_iter().flatten().min()
    }

    fn start_deferred(&mut self, now: Timestamp) {
        while let Some(first) = self.deferred.first_entry() {
            if first.key().0 > now || self.running.len() >= limits::DUE_BATCH {
                return;
            }
            let task = first.remove();
            self.start(task);
        }
    }

    /// Start it now, or put it by until its outreach has a slot.
    fn admit(&mut self, task: Task, now: Timestamp) {
        let Task { project, delivery, .. } = &task;
        let project = self.app.project(*project).ok();
        let outreach = project
            .as_ref()
            .and_then(|project| project.published(delivery.outreach, delivery.version));
        if let Some(limit) = outreach.and_then(|outreach| outreach.guardrails.rate_limit.as_ref()) {
            let slot = self.pace.slot((task.project, delivery.outreach), limit, now);
            if slot > now {
                self.deferred.insert((slot, delivery.id), task);
                return;
            }
        }
        self.start(task);
    }

    fn start(&mut self, task: Task) {
        let pool = self.pools.get(&task.delivery.outreach_type).map(Arc::clone);
        let app = self.app.clone();
        self.running.spawn(async move {
            let _permit = match pool {
                Some(pool) => pool.acquire_owned().await.ok(),
                None => None,
            };
            if app.is_stopping() {
                return;
            }
            let (trying, trial) = (app.clone(), task.clone());
            let ended = tokio::spawn(async move { attempt::run(&trying, &trial).await }).await;
            if ended.is_err() {
                attempt::broken(&app, &task).await;
            }
        });
    }
}

fn pause(next: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let ms = next?.0.saturating_sub(now.0).max(1);
    Some(Duration::from_millis(u64::try_from(ms).unwrap_or(1)))
}

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
