//! The bounded queue before the applier: limits by count and by bytes, and wake-ups that carry no
//! data. Whoever finds it full is told so at once and may try again.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use engine::fact::Names;

use crate::command::{Accepted, Command, Refused, Submission, SubmitError};
use crate::limits::{GROUP_COMMANDS, RETRY_AFTER_SECONDS};
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
    /// Nothing is taken in any more, because of this.
    stopped: Option<String>,
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
                || inner.bytes + bytes > self.most_bytes;
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
        let stopped = inner.stopped.is_some() && inner.jobs.is_empty();
        Woken { jobs, stopped }
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
