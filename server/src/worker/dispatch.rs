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
    /// One pool per channel, so that a slow mail server does not hold up webhooks. What finds no
    /// place in its pool is not taken from the host.
    pools: HashMap<OutreachType, Arc<Semaphore>>,
    pace: Pace,
    /// Taken from the host, waiting for a slot of their outreach; per channel.
    deferred: HashMap<OutreachType, BTreeMap<(Timestamp, DeliveryId), Task>>,
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
        deferred: HashMap::new(),
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
            let now = app.now();
            while self.running.try_join_next().is_some() {}
            let mut taken = 0;
            for channel in OutreachType::ALL {
                self.start_deferred(channel, now);
                let due = app.host.due_on(channel, self.room(channel));
                taken += due.len();
                for (project, customer, delivery) in due {
                    self.admit(Task { project, customer, delivery }, now);
                }
            }
            if taken > 0 {
                // There may be more; but a stop is looked for between the rounds.
                if app.is_stopping() {
                    return;
                }
                tokio::task::yield_now().await;
                continue;
            }
            let timer = pause(self.next_moment(), now);
            tokio::select! {
                () = app.signals.due.notified() => {}
                () = sleep(timer) => {}
                Some(_) = self.running.join_next() => {}
                () = app.stopped() => return,
            }
        }
    }

    /// How many more attempts may be under way on a channel.
    fn room(&self, channel: OutreachType) -> usize {
        self.pools.get(&channel).map_or(0, |pool| pool.available_permits())
    }

    /// When there is something to do again. A channel without room waits for an attempt to end.
    fn next_moment(&self) -> Option<Timestamp> {
        let with_room = OutreachType::ALL.into_iter().filter(|channel| self.room(*channel) > 0);
        let moments = with_room.flat_map(|channel| {
            let deferred = self.deferred.get(&channel).and_then(|line| line.keys().next());
            [self.app.host.next_due_on(channel), deferred.map(|(at, _)| *at)]
        });
        moments.flatten().min()
    }

    fn start_deferred(&mut self, channel: OutreachType, now: Timestamp) {
        while self.room(channel) > 0 {
            let Some(line) = self.deferred.get_mut(&channel) else { return };
            let Some(first) = line.first_entry().filter(|first| first.key().0 <= now) else {
                return;
            };
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
                let line = self.deferred.entry(delivery.outreach_type).or_default();
                line.insert((slot, delivery.id), task);
                return;
            }
        }
        self.start(task);
    }

    /// Start it; whoever calls this has seen that there is room.
    fn start(&mut self, task: Task) {
        let pool = self.pools.get(&task.delivery.outreach_type).map(Arc::clone);
        let Some(permit) = pool.and_then(|pool| pool.try_acquire_owned().ok()) else {
            self.app.host.put_back(task.project, task.customer, &task.delivery);
            return;
        };
        let app = self.app.clone();
        self.running.spawn(async move {
            let _permit = permit;
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
