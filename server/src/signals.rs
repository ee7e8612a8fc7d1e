//! Wake-ups from the host to whoever waits: the dispatcher, in-app streams, the live tail.
//!
//! A wake-up is not a record. Whoever missed one reads the state, so nothing here needs to be
//! reliable, only prompt.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use engine::ids::{CustomerId, ProjectNo};
use host::Published;
use tokio::sync::{Notify, broadcast};

/// Events that a slow reader of the tail may be behind; then it misses some.
const TAIL: usize = 1_024;

type Key = (ProjectNo, CustomerId);

/// What happens, for those who wait.
#[derive(Debug)]
pub(crate) struct Signals {
    /// Something is due, or the time of something due has changed.
    pub(crate) due: Notify,
    /// A project has changed; its outreaches may stand elsewhere.
    pub(crate) projects: Notify,
    tail: broadcast::Sender<Published>,
    inboxes: Mutex<HashMap<Key, Vec<Weak<Notify>>>>,
}

impl Signals {
    pub(crate) fn new() -> Signals {
        let (tail, _) = broadcast::channel(TAIL);
        Signals { due: Notify::new(), projects: Notify::new(), tail, inboxes: Mutex::default() }
    }

    /// Called by the host, from its own thread; never blocks for long.
    pub(crate) fn publish(&self, published: &Published) {
        match published {
            Published::DeliveryDue => self.due.notify_one(),
            Published::InboxChanged { project, customer } => self.wake((*project, *customer)),
            Published::ProjectChanged { project } => {
                self.projects.notify_one();
                self.wake_project(*project);
            }
            Published::DeliveryChanged { .. }
            | Published::EventAccepted { .. }
            | Published::DecisionMade { .. }
            | Published::LaunchAdvanced { .. } => {}
        }
        if self.is_watched() {
            // No reader is no fault.
            let _ = self.tail.send(published.clone());
        }
    }

    /// Whether anybody reads the live tail.
    pub(crate) fn is_watched(&self) -> bool {
        self.tail.receiver_count() > 0
    }

    /// The live tail from here on.
    pub(crate) fn tail(&self) -> broadcast::Receiver<Published> {
        self.tail.subscribe()
    }

    /// Woken when one of these inboxes changes, for as long as the answer is held.
    pub(crate) fn watch(&self, keys: &[Key]) -> Arc<Notify> {
        let notify = Arc::new(Notify::new());
        let mut inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            let waiting = inboxes.entry(*key).or_default();
            waiting.retain(|one| one.strong_count() > 0);
            waiting.push(Arc::downgrade(&notify));
        }
        notify
    }

    /// Forget watchers of these inboxes that are gone.
    pub(crate) fn unwatch(&self, keys: &[Key]) {
        let mut inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if let Some(waiting) = inboxes.get_mut(key) {
                waiting.retain(|one| one.strong_count() > 0);
                if waiting.is_empty() {
                    inboxes.remove(key);
                }
            }
        }
    }

    fn wake(&self, key: Key) {
        let inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        notify(inboxes.get(&key).into_iter().flatten());
    }

    /// An outreach was paused or went live: every inbox of the project may look different.
    fn wake_project(&self, project: ProjectNo) {
        let inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
        let of_project = inboxes.iter().filter(|(key, _)| key.0 == project);
        notify(of_project.flat_map(|(_, waiting)| waiting));
    }
}

fn notify<'a>(waiting: impl Iterator<Item = &'a Weak<Notify>>) {
    for one in waiting.filter_map(Weak::upgrade) {
        // Kept until the watcher looks, should it be busy now.
        one.notify_one();
    }
}
