//! From due to handed over: one loop that takes what is due and starts attempts.
//!
//! It waits for the host's wake-up or for the next due time, whichever comes first; it never polls.
//! A wake-up carries nothing: what is due stands in the host. So a signal, a timer and a restart
//! take the same way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use engine::delivery::hand_over;
use engine::ids::{CustomerId, DeliveryId, OutreachNo, ProjectNo};
use engine::outreach::content::OutreachType;
use engine::project::Status;
use engine::time::Timestamp;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::attempt::{self, Ended, Task};
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
    /// Taken from the host; their outreach is paused.
    held: HashMap<(ProjectNo, OutreachNo), Vec<Held>>,
    /// Each answers with its task when that turned out to be paused.
    running: JoinSet<Option<Task>>,
}

/// What is needed to put a paused delivery back. A one-off to a million customers may be paused,
/// so it is not the delivery itself.
struct Held {
    channel: OutreachType,
    due_at: Timestamp,
    customer: CustomerId,
    delivery: DeliveryId,
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
        held: HashMap::new(),
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
            while let Some(ended) = self.running.try_join_next() {
                self.ended(ended.ok().flatten());
            }
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
                () = app.signals.projects.notified() => self.review(app.now()),
                () = sleep(timer) => {}
                Some(ended) = self.running.join_next() => self.ended(ended.ok().flatten()),
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
            match self.status(&task) {
                Some(status) if hand_over::stays(status) => self.hold(&task),
                Some(_) | None => self.start(task),
            }
        }
    }

    /// Where the outreach of a delivery stands.
    fn status(&self, task: &Task) -> Option<Status> {
        let project = self.app.project(task.project).ok()?;
        project.outreaches.get(&task.delivery.outreach).map(|line| line.status)
    }

    /// An attempt has ended. What was paused when it looked may have been resumed meanwhile.
    fn ended(&mut self, paused: Option<Task>) {
        let Some(task) = paused else { return };
        if self.status(&task).is_some_and(hand_over::stays) {
            self.hold(&task);
        } else {
            self.app.host.put_back(task.project, task.customer, &task.delivery);
        }
    }

    fn hold(&mut self, task: &Task) {
        let Task { project, customer, delivery } = task;
        self.held.entry((*project, delivery.outreach)).or_default().push(Held {
            channel: delivery.outreach_type,
            due_at: delivery.due_at,
            customer: *customer,
            delivery: delivery.id,
        });
    }

    /// A project has changed: give back what is no longer paused, and let what waits for a slot of
    /// an outreach that is over be refused now.
    fn review(&mut self, now: Timestamp) {
        let app = self.app.clone();
        let status = |project: ProjectNo, outreach: OutreachNo| {
            app.project(project).ok()?.outreaches.get(&outreach).map(|line| line.status)
        };
        let resumed = self.held.extract_if(|(project, outreach), _| {
            !status(*project, *outreach).is_some_and(hand_over::stays)
        });
        for ((project, _), held) in resumed {
            for one in held {
                let entry = (one.due_at, project, one.customer, one.delivery);
                app.host.put_back_entry(one.channel, entry);
            }
        }
        for line in self.deferred.values_mut() {
            let over =
                |task: &Task| status(task.project, task.delivery.outreach) == Some(Status::Ended);
            let moments = std::mem::take(line).into_iter().map(|((slot, id), task)| {
                let slot = if over(&task) { now } else { slot };
                ((slot, id), task)
            });
            *line = moments.collect();
        }
    }

    /// Start it now, or put it by until its outreach has a slot or is live again.
    fn admit(&mut self, task: Task, now: Timestamp) {
        match self.status(&task) {
            Some(status) if hand_over::stays(status) => return self.hold(&task),
            // It is refused, which takes no slot.
            Some(Status::Ended) => return self.start(task),
            Some(_) | None => {}
        }
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
                return None;
            }
            let (trying, trial) = (app.clone(), task.clone());
            let ended = tokio::spawn(async move { attempt::run(&trying, &trial).await }).await;
            match ended {
                Ok(Ended::Paused) => return Some(task),
                Ok(Ended::Done) => {}
                Err(_) => attempt::broken(&app, &task).await,
            }
            None
        });
    }
}

fn pause(next: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
    let ms = next?.0.saturating_sub(now.0).max(1);
    let until = Duration::from_millis(u64::try_from(ms).unwrap_or(1));
    Some(until.min(host::limits::LOOK_AT_CLOCK))
}

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
