//! The doors through which the rest of the process comes in: submit, wait, and ask how it goes.

use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use engine::delivery::{Delivery, DeliveryState};
use engine::ids::{CustomerId, DeliveryId, ProjectNo};
use engine::outreach::content::OutreachType;
use engine::time::Timestamp;
use store::state::StateError;

use crate::command::{Submission, SubmitError};
use crate::limits::RETRY_AFTER_SECONDS;
use crate::locks::lock;
use crate::open::Host;
use crate::queue::{Answer, Answers, Job};

impl Host {
    /// Submit commands. `answer` is called once, when they are durable or refused, from a thread
    /// of the host; it must not block.
    pub fn submit(&self, submission: Submission, answer: Answer) {
        self.shared.queue.submit(submission, answer);
    }

    /// Submit commands and wait for the answer.
    ///
    /// # Errors
    /// The host is overloaded, has no room, or has stopped.
    pub fn submit_and_wait(&self, submission: Submission) -> Answers {
        let (answer, answered) = sync_channel(1);
        self.submit(
            submission,
            Box::new(move |answers| {
                // Nobody waits any more only when this thread died.
                answer.send(answers).unwrap_or(());
            }),
        );
        answered.recv().unwrap_or_else(|_| Err(SubmitError::Stopped(self.stop_reason())))
    }

    /// The virtual clock was moved: look at the timers again.
    pub fn clock_moved(&self) {
        self.shared.queue.nudge();
    }

    /// Wait until no command waits, no timer is due, no sweep is under way and all is durable.
    pub fn wait_idle(&self) {
        self.wait_for(Job::Idle);
    }

    /// Wait until all is durable that somebody who has just read may have seen, for so long at
    /// most. False: some of it is not.
    pub fn wait_durable(&self, patience: Duration) -> bool {
        let judged = self.shared.judged.load(Ordering::Acquire);
        let appended = self.shared.last_record.load(Ordering::Acquire) + 1;
        self.shared.durable.wait_at_most(judged.max(appended), patience)
    }

    /// Write a checkpoint and wait for it.
    pub fn checkpoint(&self) {
        self.wait_for(Job::Checkpoint);
    }

    fn wait_for(&self, job: fn(Box<dyn FnOnce() + Send>) -> Job) {
        let (answer, answered) = sync_channel(1);
        self.shared.queue.push(job(Box::new(move || answer.send(()).unwrap_or(()))));
        // An error: the host has stopped, and there is nothing to wait for.
        answered.recv().unwrap_or(());
    }

    /// Why the host has stopped by itself, if it has.
    pub fn fault(&self) -> Option<String> {
        self.shared.fault()
    }

    /// Why no checkpoints are written, if so. Nothing is lost by it, but the next start takes
    /// longer and what is not in the state store stays in memory.
    pub fn state_fault(&self) -> Option<String> {
        self.shared.state_fault()
    }

    /// Whether the disk was full at the latest attempt to write.
    pub fn is_disk_full(&self) -> bool {
        self.shared.full.load(Ordering::Acquire)
    }

    fn stop_reason(&self) -> String {
        self.fault().unwrap_or_else(|| "the server is shutting down".to_owned())
    }

    /// The moment now, as the engine sees it.
    pub fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// The durable end of the log.
    pub fn position(&self) -> u64 {
        self.shared.reader.durable()
    }

    /// Everything durable as of this call, for a backup.
    ///
    /// # Errors
    /// The log is damaged.
    pub fn cut(&self) -> Result<store::log::Cut, store::log::LogError> {
        self.shared.reader.cut()
    }

    /// Commands and bytes that wait for the applier.
    pub fn waiting(&self) -> (usize, usize) {
        self.shared.queue.waiting()
    }

    /// What customers would be answered now, if they would be refused anyway: nobody needs to
    /// read what they bring, so that a flood costs little.
    ///
    /// # Errors
    /// Too much waits.
    pub fn has_room(&self) -> Result<(), SubmitError> {
        match self.shared.queue.is_full() {
            true => Err(SubmitError::Overloaded { retry_after_seconds: RETRY_AFTER_SECONDS }),
            false => Ok(()),
        }
    }

    /// Deliveries that are due on channels outside, each handed out once until its attempt comes
    /// back as a fact.
    pub fn due(&self, limit: usize) -> Vec<(ProjectNo, CustomerId, Delivery)> {
        let mut due = Vec::new();
        for channel in OutreachType::ALL {
            due.extend(self.due_on(channel, limit.saturating_sub(due.len())));
        }
        due.sort_by_key(|(project, customer, one)| (one.due_at, *project, *customer, one.id));
        due
    }

    /// As [`Host::due`], of one channel: whoever has no room for it leaves the rest here.
    pub fn due_on(
        &self,
        channel: OutreachType,
        limit: usize,
    ) -> Vec<(ProjectNo, CustomerId, Delivery)> {
        let now = self.now();
        let taken = lock(&self.shared.due).take(channel, now, limit);
        let mut due = Vec::with_capacity(taken.len());
        for (at, project, customer, id) in taken {
            match self.still_due(project, customer, id, at) {
                Ok(Some(found)) => due.push(found),
                // It stands elsewhere by now; that change comes here when it is durable.
                Ok(None) => lock(&self.shared.due).forget(project, id),
                Err(error) => {
                    self.put_back_entry(channel, (at, project, customer, id));
                    self.shared.fail(&error.to_string());
                    break;
                }
            }
        }
        due
    }

    fn still_due(
        &self,
        project: ProjectNo,
        customer: CustomerId,
        id: DeliveryId,
        at: Timestamp,
    ) -> Result<Option<(ProjectNo, CustomerId, Delivery)>, StateError> {
        let home = self.shared.home(project, customer)?;
        let is_due = |one: &&Delivery| one.state == DeliveryState::Due && one.due_at == at;
        let found = self.shared.look((project, home), |customer| {
            customer.deliveries.get(&id).filter(is_due).cloned()
        })?;
        Ok(found.flatten().map(|delivery| (project, home, delivery)))
    }

    /// Whoever took these will not attempt them after all.
    pub fn put_back(&self, project: ProjectNo, customer: CustomerId, delivery: &Delivery) {
        let entry = (delivery.due_at, project, customer, delivery.id);
        self.put_back_entry(delivery.outreach_type, entry);
    }

    /// As [`Host::put_back`], for whoever did not keep the delivery itself.
    pub fn put_back_entry(
        &self,
        channel: OutreachType,
        entry: (Timestamp, ProjectNo, CustomerId, DeliveryId),
    ) {
        lock(&self.shared.due).put_back(channel, entry);
    }

    /// Whoever took this found that it is not due any more. Should it have come due again meanwhile
    /// it is handed out again.
    pub fn let_go(&self, project: ProjectNo, delivery: DeliveryId) {
        lock(&self.shared.due).forget(project, delivery);
    }

    /// When [`Host::due`] will have something next.
    pub fn next_due(&self) -> Option<Timestamp> {
        OutreachType::ALL.into_iter().filter_map(|channel| self.next_due_on(channel)).min()
    }

    /// When [`Host::due_on`] will have something next.
    pub fn next_due_on(&self, channel: OutreachType) -> Option<Timestamp> {
        lock(&self.shared.due).next(channel)
    }
}
