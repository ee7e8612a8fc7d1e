//! The writer: makes groups durable, one sync for all that wait, and only then lets anything out:
//! first the due deliveries, then the answers, then the effects.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use store::log::{Committer, LogError};

use crate::command::SubmitError;
use crate::due::DueChange;
use crate::limits::{FULL_DISK_PAUSE, QUIET};
use crate::locks::lock;
use crate::published::Published;
use crate::queue::{Answer, Answers};
use crate::shared::Shared;

/// What is to happen when everything appended until now is durable.
pub(crate) struct Group {
    pub(crate) answers: Vec<(Answer, Answers)>,
    pub(crate) effects: Vec<Published>,
    pub(crate) due: Vec<DueChange>,
    pub(crate) idle: Vec<Box<dyn FnOnce() + Send>>,
}

impl Group {
    /// It will never be durable.
    pub(crate) fn refuse(self, why: &str) {
        for (answer, _) in self.answers {
            answer(Err(SubmitError::Stopped(why.to_owned())));
        }
    }

    fn let_out(self, shared: &Shared) {
        let wakes = self.due.iter().any(|change| change.due_at.is_some());
        if !self.due.is_empty() {
            let mut due = lock(&shared.due);
            for change in self.due {
                due.note(change);
            }
        }
        for (answer, answers) in self.answers {
            answer(answers);
        }
        if wakes {
            (shared.sink)(&Published::DeliveryDue);
        }
        for effect in &self.effects {
            (shared.sink)(effect);
        }
        for idle in self.idle {
            idle();
        }
    }
}

/// Run until the applier is gone.
pub(crate) fn run(shared: &Arc<Shared>, mut committer: Committer, groups: &Receiver<Group>) {
    let mut settled = true;
    loop {
        let first = if settled {
            groups.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            groups.recv_timeout(QUIET)
        };
        let first = match first {
            Ok(group) => group,
            Err(RecvTimeoutError::Timeout) => {
                if let Err(error) = committer.settle() {
                    shared.fail(&error.to_string());
                }
                settled = true;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        settled = false;
        let mut together = vec![first];
        together.extend(groups.try_iter());
        match commit(shared, &mut committer) {
            Ok(end) => {
                shared.durable.set(end);
                together.into_iter().for_each(|group| group.let_out(shared));
            }
            Err(why) => {
                shared.fail(&why);
                together.into_iter().for_each(|group| group.refuse(&why));
            }
        }
    }
    if shared.fault().is_none()
        && let Err(error) = committer.close()
    {
        shared.fail(&error.to_string());
    }
}

/// Make everything durable. A full disk leaves it staged: nothing is acknowledged and the disk is
/// asked again until there is room. Any other error is final.
fn commit(shared: &Shared, committer: &mut Committer) -> Result<u64, String> {
    if let Some(why) = shared.fault() {
        return Err(why);
    }
    loop {
        match committer.commit() {
            Ok(end) => {
                shared.full.store(false, Ordering::Release);
                return Ok(end);
            }
            Err(LogError::Full { .. }) => {
                if !shared.full.swap(true, Ordering::AcqRel) {
                    tracing::error!("the disk is full; what is accepted waits for room");
                }
                if shared.queue.is_stopped() {
                    return Err("the disk was full when the server was stopped".to_owned());
                }
                std::thread::sleep(FULL_DISK_PAUSE);
            }
            Err(error) => return Err(error.to_string()),
        }
    }
}
