//! The bounded queue before the applier: limits by count, by bytes and by time, and wake-ups that
//! carry no data. Whoever finds it full is told so at once and may try again.
//!
//! The limit by time is what a client feels: under a flood the queue would always be full, and then
//! everything accepted waits as long as a full queue lasts. So it is measured what a command costs
//! while others wait, and no more is let in than is done within [`QUEUE_WAIT`]. That is for what customers bring: a flood of theirs may keep neither
//! operators out nor us from noting what we have sent.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use engine::fact::Names;

use crate::command::{Accepted, Command, Refused, Submission, SubmitError};
use crate::limits::{GROUP_COMMANDS, QUEUE_WAIT, RETRY_AFTER_SECONDS};
use crate::locks::lock;

/// What a submission led to, one answer for each command.
pub type Answers = Result<Vec<Result<Accepted, Refused>>, SubmitError>;

/// Called once, from another thread, and may not block it.
pub type Answer = Box<dyn FnOnce(Answers) + Send>;

/// Something for the applier.
pub(crate) enum Job {
    /// Commands.
    Submission(Submission, Answer),
    /// Answer when no command, timer or sweep is left and all is durable.
    Idle(Box<dyn FnOnce() + Send>),
    /// Write a checkpoint now, and answer when it is written.
    Checkpoint(Box<dyn FnOnce() + Send>),
}

/// The queue.
pub(crate) struct Queue {
    inner: Mutex<Inner>,
    wake: Condvar,
    most_commands: usize,
    most_bytes: usize,
}

#[derive(Default)]
struct Inner {
    jobs: VecDeque<(Job, usize, usize)>,
    commands: usize,
    bytes: usize,
    nudged: bool,
    pace: Pace,
    /// Nothing is taken in any more, because of this.
    stopped: Option<String>,
}

/// What a command costs, from the time between two looks into a queue that was never empty.
#[derive(Default)]
struct Pace {
    /// Of one command; zero: nothing is known yet.
    cost: Duration,
    /// When a group was taken while more waited, and how many commands it had.
    taken: Option<(Instant, usize)>,
}

impl Pace {
    /// A group is taken now.
    fn take(&mut self, now: Instant, commands: usize, more_wait: bool) {
        if let Some((before, done)) = self.taken.take() {
            self.learn(now.saturating_duration_since(before), done);
        }
        self.taken = (more_wait && commands > 0).then_some((now, commands));
    }

    /// So many commands took so long. One sync that hangs does not change the picture.
    fn learn(&mut self, took: Duration, commands: usize) {
        let cost = took / u32::try_from(commands.max(1)).unwrap_or(u32::MAX);
        self.cost = match self.cost {
            Duration::ZERO => cost,
            known => (known * 15 + cost.min(known * 8)) / 16,
        };
    }

    /// Whether so many commands wait longer than they may. One group that is under way and one that
    /// waits are always fine, or the applier would stand still in between.
    fn is_too_much(&self, commands: usize) -> bool {
        let wait = self.cost.saturating_mul(u32::try_from(commands).unwrap_or(u32::MAX));
        commands > 2 * GROUP_COMMANDS && wait > QUEUE_WAIT
    }
}

/// What the applier woke up to.
pub(crate) struct Woken {
    pub(crate) jobs: Vec<Job>,
    /// Finish what is here, then end.
    pub(crate) stopped: bool,
}

impl Queue {
    pub(crate) fn new(most_commands: usize, most_bytes: usize) -> Queue {
        Queue { inner: Mutex::default(), wake: Condvar::new(), most_commands, most_bytes }
    }

    /// Put a submission in, or answer why not.
    pub(crate) fn submit(&self, submission: Submission, answer: Answer) {
        let commands = submission.commands.len().max(1);
        let bytes = submission.commands.iter().map(weight).sum::<usize>();
        let refused = {
            let mut inner = lock(&self.inner);
            let over = inner.commands + commands > self.most_commands
                || inner.bytes + bytes > self.most_bytes
                || (inner.pace.is_too_much(inner.commands) && is_from_customers(&submission));
            match &inner.stopped {
                Some(why) => Some((SubmitError::Stopped(why.clone()), answer)),
                None if over && !inner.jobs.is_empty() => {
                    let retry_after_seconds = RETRY_AFTER_SECONDS;
                    Some((SubmitError::Overloaded { retry_after_seconds }, answer))
                }
                None => {
                    inner.commands += commands;
                    inner.bytes += bytes;
                    inner.jobs.push_back((Job::Submission(submission, answer), commands, bytes));
                    None
                }
            }
        };
        match refused {
            Some((error, answer)) => answer(Err(error)),
            None => self.wake.notify_one(),
        }
    }

    /// Put something else in; dropped unanswered when stopped.
    pub(crate) fn push(&self, job: Job) {
        let mut inner = lock(&self.inner);
        if inner.stopped.is_none() {
            inner.jobs.push_back((job, 1, 0));
            inner.commands += 1;
        }
        drop(inner);
        self.wake.notify_one();
    }

    /// Look at the timers again.
    pub(crate) fn nudge(&self) {
        lock(&self.inner).nudged = true;
        self.wake.notify_one();
    }

    /// Take nothing in any more.
    pub(crate) fn stop(&self, why: &str) {
        let mut inner = lock(&self.inner);
        if inner.stopped.is_none() {
            inner.stopped = Some(why.to_owned());
        }
        drop(inner);
        self.wake.notify_all();
    }

    /// What waits, at most one group of it; waits for something when there is nothing.
    /// `patience`: `None` waits for ever.
    pub(crate) fn take(&self, patience: Option<Duration>) -> Woken {
        let mut inner = lock(&self.inner);
        let idle =
            |inner: &Inner| inner.jobs.is_empty() && !inner.nudged && inner.stopped.is_none();
        if idle(&inner) && patience != Some(Duration::ZERO) {
            inner = match patience {
                None => self.wake.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let waited = self.wake.wait_timeout(inner, patience);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        inner.nudged = false;
        let mut jobs = Vec::new();
        let mut taken = 0;
        while taken < GROUP_COMMANDS
            && let Some((job, commands, bytes)) = inner.jobs.pop_front()
        {
            inner.commands -= commands;
            inner.bytes -= bytes;
            taken += commands;
            jobs.push(job);
        }
        let more_wait = !inner.jobs.is_empty();
        inner.pace.take(Instant::now(), taken, more_wait);
        let stopped = inner.stopped.is_some() && inner.jobs.is_empty();
        Woken { jobs, stopped }
    }

    /// Whether what customers bring would be refused now, so that nobody needs to read it first.
    pub(crate) fn is_full(&self) -> bool {
        let inner = lock(&self.inner);
        inner.commands >= self.most_commands
            || inner.bytes >= self.most_bytes
            || inner.pace.is_too_much(inner.commands)
    }

    /// Whether nothing is taken in any more.
    pub(crate) fn is_stopped(&self) -> bool {
        lock(&self.inner).stopped.is_some()
    }

    /// Commands and bytes that wait.
    pub(crate) fn waiting(&self) -> (usize, usize) {
        let inner = lock(&self.inner);
        (inner.commands, inner.bytes)
    }
}

/// Whether a flood of customers can bring it. What operators ask for and what became of our own
/// attempts is never so much, and is wanted most when there is a flood.
fn is_from_customers(submission: &Submission) -> bool {
    submission.commands.iter().any(|command| match command {
        Command::Track(_)
        | Command::Identify { .. }
        | Command::Alias { .. }
        | Command::Receipt { .. } => true,
        Command::Consent { .. }
        | Command::Started { .. }
        | Command::Attempted { .. }
        | Command::Settle { .. }
        | Command::AllowAgain { .. }
        | Command::Erase { .. }
        | Command::SaveOutreach { .. }
        | Command::Change(_) => false,
    })
}

/// About how many bytes a command holds.
fn weight(command: &Command) -> usize {
    let names = |names: &Names| {
        names.user_id.as_ref().map_or(0, String::len)
            + names.anonymous_id.as_ref().map_or(0, String::len)
    };
    let rest = match command {
        Command::Track(track) => {
            names(&track.names)
                + track.name.len()
                + track.message_id.len()
                + track.properties.len()
                + changes_weight(&track.changes)
        }
        Command::Identify { names: of, message_id, changes, .. } => {
            names(of) + message_id.len() + changes_weight(changes)
        }
        Command::Receipt { detail, .. } => detail.len(),
        Command::SaveOutreach { definition, .. }
        | Command::Change(engine::project::ProjectChange::OutreachSaved { definition, .. }) => {
            definition.len()
        }
        Command::Alias { .. }
        | Command::Consent { .. }
        | Command::Started { .. }
        | Command::Attempted { .. }
        | Command::Settle { .. }
        | Command::AllowAgain { .. }
        | Command::Erase { .. }
        | Command::Change(_) => 0,
    };
    rest + std::mem::size_of::<Command>()
}

fn changes_weight(
    changes: &std::collections::BTreeMap<String, Option<engine::value::Value>>,
) -> usize {
    let value = |value: &Option<engine::value::Value>| match value {
        Some(engine::value::Value::Text(text)) => text.len() + 32,
        Some(engine::value::Value::List(items)) => items.len() * 48 + 32,
        Some(engine::value::Value::Number(_) | engine::value::Value::Bool(_)) | None => 32,
    };
    changes.iter().map(|(key, change)| key.len() + value(change)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_waits_no_longer_than_it_may_and_a_hiccup_changes_little() {
        let mut pace = Pace::default();
        assert!(!pace.is_too_much(1_000_000), "nothing is known yet");
        let begin = Instant::now();
        pace.take(begin, 1_000, true);
        pace.take(begin + Duration::from_millis(20), 1_000, true);
        assert_eq!(pace.cost, Duration::from_micros(20));
        let most = usize::try_from(QUEUE_WAIT.as_micros()).unwrap() / 20;
        assert!(!pace.is_too_much(most) && pace.is_too_much(most + 1));
        pace.learn(Duration::from_secs(60), 1_000);
        assert!(pace.cost < Duration::from_micros(30), "{:?}", pace.cost);
        for _ in 0..100 {
            pace.learn(Duration::from_secs(1), 1_000);
        }
        assert!(pace.cost > Duration::from_micros(900), "a slow disk is slow");
        assert!(!pace.is_too_much(2 * GROUP_COMMANDS), "work is always at hand");
    }

    #[test]
    fn what_was_idle_in_between_is_not_measured() {
        let mut pace = Pace::default();
        let begin = Instant::now();
        pace.take(begin, 10, false);
        pace.take(begin + Duration::from_secs(60), 10, false);
        assert_eq!(pace.cost, Duration::ZERO);
    }
}
