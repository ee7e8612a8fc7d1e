//! The applier: one thread that takes commands in order, decides each, appends it to the log and
//! goes on while the writer makes the group durable. Live traffic, timers and sweeps take turns.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use engine::fact::Fact;
use engine::ids::ProjectNo;
use engine::project::ProjectChange;
use engine::time::Timestamp;

use crate::checkpoint::Cutter;
use crate::command::{Accepted, Command, Refused, Submission, SubmitError};
use crate::enact::{Enactor, Failure};
use crate::limits::{
    FULL_DISK_PAUSE, SUBMISSION_COMMANDS, TIMER_PENANCE_MS, TIMER_REPEATS, TIMERS_PER_TURN,
};
use crate::locks::read;
use crate::partition::Key;
use crate::queue::{Answer, Answers, Job};
use crate::resolve::{Plan, Resolver, Stop, not_found};
use crate::shared::Shared;
use crate::writer::Group;

/// What becomes of one command; an outer error ends the whole submission.
pub(crate) type Outcome = Result<Result<Accepted, Refused>, SubmitError>;

/// The applier.
pub(crate) struct Applier {
    pub(crate) shared: Arc<Shared>,
    pub(crate) enactor: Enactor,
    pub(crate) groups: SyncSender<Group>,
    pub(crate) cutter: Cutter,
    /// Facts that the restart itself led to.
    pub(crate) at_start: Vec<(Key, Fact)>,
    pub(crate) answers: Vec<(Answer, Answers)>,
    pub(crate) idle: Vec<Box<dyn FnOnce() + Send>>,
    /// The disk was full a moment ago; it is not asked again before this.
    pub(crate) full_until: Option<Instant>,
    pub(crate) members: Option<(u64, Vec<engine::ids::CustomerId>)>,
    /// The end that the writer was told last.
    pub(crate) handed: u64,
}

impl Applier {
    /// Run until the queue is stopped and empty.
    pub(crate) fn run(mut self) {
        self.settle_attempts();
        self.hand_over();
        loop {
            let woken = self.shared.queue.take(self.patience());
            for job in woken.jobs {
                self.take(job);
            }
            if self.shared.fault().is_none() {
                self.settle_attempts();
                self.fire_timers();
                self.launch_scheduled();
                self.sweep();
                self.end_turn();
            }
            self.shared.settle();
            self.hand_over();
            self.cutter.turn(&self.shared, self.enactor.appender.end());
            if woken.stopped {
                break;
            }
        }
        if self.shared.fault().is_none() {
            self.cutter.last(&self.shared, self.enactor.appender.end());
        }
        // Dropping the sender ends the writer, which closes the log.
    }

    /// How long there is nothing to do; `None`: until somebody comes.
    fn patience(&self) -> Option<Duration> {
        if self.full_until.is_some_and(|until| until > Instant::now()) {
            return Some(FULL_DISK_PAUSE);
        }
        let books = read(&self.shared.books);
        if !books.sweeps.is_empty() || !self.at_start.is_empty() {
            return Some(Duration::ZERO);
        }
        let scheduled = books.scheduled.iter().map(|scheduled| scheduled.at).min();
        drop(books);
        let next = [self.enactor.timers.next(), scheduled].into_iter().flatten().min();
        let timer = next.and_then(|at| {
            if at <= self.shared.now() { Some(Duration::ZERO) } else { self.shared.clock.until(at) }
        });
        let checkpoint = self.cutter.patience(self.enactor.appender.end());
        [timer, checkpoint].into_iter().flatten().min()
    }

    fn take(&mut self, job: Job) {
        match job {
            Job::Submission(submission, answer) => {
                if let Some(why) = self.shared.fault() {
                    answer(Err(SubmitError::Stopped(why)));
                    return;
                }
                match self.submission(submission) {
                    Ok(results) => self.answers.push((answer, Ok(results))),
                    Err(error) => answer(Err(error)),
                }
            }
            Job::Idle(answer) => self.idle.push(answer),
            Job::Checkpoint(answer) => self.cutter.ask(answer),
        }
    }

    /// All commands in order. When the disk is full in the middle, those before have happened;
    /// sent again they are answered as duplicates.
    fn submission(
        &mut self,
        submission: Submission,
    ) -> Result<Vec<Result<Accepted, Refused>>, SubmitError> {
        if submission.commands.len() > SUBMISSION_COMMANDS {
            let error = format!("at most {SUBMISSION_COMMANDS} commands go together");
            let refuse = |_| Err(Refused::Invalid(error.clone()));
            return Ok(submission.commands.iter().map(refuse).collect());
        }
        if self.full_until.is_some_and(|until| until > Instant::now()) {
            return Err(SubmitError::DiskFull);
        }
        let mut results = Vec::with_capacity(submission.commands.len());
        for command in submission.commands {
            results.push(self.command(submission.project, command)?);
        }
        Ok(results)
    }

    fn command(&mut self, no: ProjectNo, command: Command) -> Outcome {
        let now = self.tick();
        let command = match command {
            Command::Change(change) => return self.change(no, change, now),
            Command::SaveOutreach { id, definition, author, expect } => {
                let saved = ProjectChange::OutreachSaved { id, definition, author };
                return self.save_outreach(no, saved, expect, now);
            }
            command => command,
        };
        let Some(project) = self.shared.project(no) else {
            return Ok(Err(not_found("project", &no.0)));
        };
        let resolver = Resolver { shared: &self.shared, project: &project, now };
        let (customer, facts) = match resolver.plan(command) {
            Ok(Plan::Facts(customer, facts)) => (customer, facts),
            Ok(Plan::Duplicate(customer)) => {
                let position = self.enactor.appender.end();
                let customer = Some(customer);
                let accepted =
                    Accepted { customer, duplicate: true, position, ..Accepted::default() };
                return Ok(Ok(accepted));
            }
            Err(Stop::Refused(refused)) => return Ok(Err(refused)),
            Err(Stop::State(error)) => return Err(self.fail(error.to_string())),
        };
        match self.enactor.enact(&project, facts, now) {
            Ok(enacted) => Ok(Ok(Accepted {
                customer: Some(customer),
                decisions: enacted.decisions,
                position: enacted.position,
                ..Accepted::default()
            })),
            Err(failure) => self.failed(failure),
        }
    }

    /// The moment of what happens next, which is never before what happened.
    pub(crate) fn tick(&self) -> Timestamp {
        let now = self.shared.now();
        self.shared.latest.store(now.0, Ordering::Release);
        now
    }

    pub(crate) fn failed(&mut self, failure: Failure) -> Outcome {
        match failure {
            Failure::Full => {
                self.full();
                Err(SubmitError::DiskFull)
            }
            Failure::Impossible(why) => Ok(Err(Refused::Invalid(why))),
            Failure::Fatal(why) => Err(self.fail(why)),
        }
    }

    fn full(&mut self) {
        if !self.shared.full.swap(true, Ordering::AcqRel) {
            tracing::error!("the disk is full; nothing is accepted until there is room");
        }
        self.full_until = Some(Instant::now() + FULL_DISK_PAUSE);
    }

    fn fail(&mut self, why: String) -> SubmitError {
        self.shared.fail(&why);
        SubmitError::Stopped(why)
    }

    /// Attempts that were under way when the process died. Those for which the disk has no room
    /// wait for it: nobody else would ever say what became of them.
    fn settle_attempts(&mut self) {
        if self.full_until.is_some_and(|until| until > Instant::now()) {
            return;
        }
        while let Some(((no, customer), fact)) = self.at_start.pop() {
            let Some(project) = self.shared.project(no) else { continue };
            let now = self.tick();
            let facts = vec![(customer, fact.clone())];
            if let Err(failure) = self.enactor.enact(&project, facts, now) {
                let is_full = matches!(failure, Failure::Full);
                self.note_failure(failure);
                if is_full {
                    self.at_start.push(((no, customer), fact));
                    return;
                }
            }
        }
    }

    fn fire_timers(&mut self) {
        for _ in 0..TIMERS_PER_TURN {
            let now = self.tick();
            let Some(key) = self.enactor.timers.due(now) else { break };
            if !self.fire(key, now) {
                break;
            }
        }
    }

    /// Fire a customer's timer until nothing is due for them any more.
    fn fire(&mut self, key: Key, now: Timestamp) -> bool {
        let Some(project) = self.shared.project(key.0) else {
            self.enactor.timers.set(&self.shared, key, None);
            return true;
        };
        for _ in 0..TIMER_REPEATS {
            let facts = vec![(key.1, Fact::ClockStruck)];
            if let Err(failure) = self.enactor.enact(&project, facts, now) {
                let goes_on = matches!(failure, Failure::Impossible(_));
                self.note_failure(failure);
                if goes_on {
                    break;
                }
                return false;
            }
            if self.enactor.timers.due(now) != Some(key) {
                return true;
            }
        }
        // Something is due again at once, again and again: a fault of ours, not worth the CPU.
        tracing::error!(project.no = key.0.0, customer.id = %key.1, "a timer does not come to rest");
        let later = now.plus_ms(TIMER_PENANCE_MS);
        self.enactor.timers.set(&self.shared, key, Some(later));
        true
    }

    pub(crate) fn note_failure(&mut self, failure: Failure) {
        match failure {
            Failure::Full => self.full(),
            Failure::Impossible(why) => tracing::error!(why, "a fact was left out"),
            Failure::Fatal(why) => self.shared.fail(&why),
        }
    }

    fn end_turn(&mut self) {
        if self.idle.is_empty() || self.shared.queue.waiting().0 > 0 {
            return;
        }
        let now = self.shared.now();
        let books = read(&self.shared.books);
        let at_rest = books.sweeps.is_empty()
            && books.scheduled.iter().all(|scheduled| scheduled.at > now)
            && self.enactor.timers.next().is_none_or(|at| at > now);
        drop(books);
        if at_rest {
            let idle = std::mem::take(&mut self.idle);
            self.send(idle);
        }
    }

    fn hand_over(&mut self) {
        let nothing = self.answers.is_empty()
            && self.enactor.effects.is_empty()
            && self.enactor.due.is_empty()
            && self.enactor.appender.end() == self.handed;
        if !nothing {
            self.send(Vec::new());
        }
    }

    fn send(&mut self, idle: Vec<Box<dyn FnOnce() + Send>>) {
        self.handed = self.enactor.appender.end();
        let group = Group {
            answers: std::mem::take(&mut self.answers),
            effects: std::mem::take(&mut self.enactor.effects),
            due: std::mem::take(&mut self.enactor.due),
            idle,
        };
        if let Err(refused) = self.groups.send(group) {
            // The writer ended, which it does only after a fault.
            refused.0.refuse(&self.shared.fault().unwrap_or_default());
        }
    }
}
