//! One attempt: the last look, the message, the hand-over, and what came of it.
//!
//! A receiver that cannot tell a repetition gets nothing before "an attempt begins" is durable: if
//! the process dies in between, the delivery is held and shown instead of sent twice.

use channels::Attempt;
use engine::delivery::Delivery;
use engine::fact::AttemptOutcome;
use engine::ids::{CustomerId, ProjectNo};
use engine::time::Timestamp;
use host::command::{Command, Refused, SubmitError};

use super::outgoing::{self, Around};
use super::schedule::{self, Failed, Next};
use crate::http::{App, unsubscribe};
use crate::secret;

/// A due delivery, as the host handed it out.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) project: ProjectNo,
    pub(super) customer: CustomerId,
    pub(super) delivery: Delivery,
}

/// Why nothing was attempted and nothing needs to be said about it.
enum Quit {
    /// The delivery is not due any more, or gone.
    NotDue,
    /// The server is stopping.
    Stopping,
}

/// Try once and report the outcome to the engine.
pub(super) async fn run(app: &App, task: &Task) {
    match attempt(app, task).await {
        Ok(outcome) => report(app, task, outcome).await,
        Err(Quit::NotDue | Quit::Stopping) => {}
    }
}

/// The outcome of an attempt that broke on our side: a dead letter, so that one poisoned delivery
/// does not come back for ever.
pub(super) async fn broken(app: &App, task: &Task) {
    let reason = "the attempt failed inside the server; its log says why".to_owned();
    report(app, task, AttemptOutcome::Rejected { reason }).await;
}

async fn attempt(app: &App, task: &Task) -> Result<AttemptOutcome, Quit> {
    let now = app.now();
    let delivery = &task.delivery;
    let Some(customer) = app.customer(task.project, task.customer) else {
        return Err(Quit::NotDue);
    };
    let ready = app.ready(task.project, task.customer, delivery).await.map_err(|_| Quit::NotDue)?;
    let settings = app.project(task.project).map_err(|_| Quit::NotDue)?.settings.clone();
    let around = Around {
        sender: &settings.sender,
        unsubscribe_url: unsubscribe::link(app, task.project, delivery.id),
        webhook_secrets: &app.config.webhook.secrets,
        now,
    };
    let message = ready.and_then(|ready| outgoing::build(&customer, delivery, &ready, around));
    let message = match message {
        Ok(message) => message,
        Err(reason) => return Ok(AttemptOutcome::Refused { reason }),
    };
    if !delivery.outreach_type.is_idempotent() {
        let (customer, delivery) = (task.customer, delivery.id);
        submit(app, task.project, || Command::Started { customer, delivery }).await?;
    }
    let answer = app.channels.send(&message).await;
    Ok(classify(app, delivery, answer, app.now()))
}

fn classify(app: &App, delivery: &Delivery, answer: Attempt, now: Timestamp) -> AttemptOutcome {
    let hours = i64::from(app.config.dispatch.give_up_after_hours);
    let again = |reason: String, not_before_seconds: Option<u64>| {
        let [dice] = secret::random_bytes::<1>();
        let failed = Failed {
            attempts: delivery.attempts,
            due_since: delivery.decided_at,
            now,
            not_before_seconds,
            give_up_after_ms: hours * 3_600_000,
        };
        match schedule::next(failed, dice) {
            Next::At(at) => AttemptOutcome::Retry { reason, at },
            Next::GiveUp => AttemptOutcome::Rejected {
                reason: format!("given up after {hours} hours: {reason}"),
            },
        }
    };
    match answer {
        Attempt::Accepted { provider_id } => AttemptOutcome::Accepted { provider_id },
        Attempt::Retry { reason, not_before_seconds } => again(reason, not_before_seconds),
        Attempt::Rejected { reason } => AttemptOutcome::Rejected { reason },
        Attempt::AddressGone { reason } => AttemptOutcome::AddressGone { reason },
        // Whoever knows the delivery by its id drops the repetition; so it is tried again.
        Attempt::Unknown { reason } if delivery.outreach_type.is_idempotent() => {
            again(reason, None)
        }
        Attempt::Unknown { reason } => AttemptOutcome::Unknown { reason },
    }
}

async fn report(app: &App, task: &Task, outcome: AttemptOutcome) {
    let (customer, delivery) = (task.customer, task.delivery.id);
    let command = || Command::Attempted { customer, delivery, outcome: outcome.clone() };
    match submit(app, task.project, command).await {
        Ok(()) => tracing::debug!(delivery.id = %delivery, "an attempt ended"),
        Err(Quit::NotDue) => tracing::debug!(delivery.id = %delivery, "the delivery is gone"),
        Err(Quit::Stopping) => {
            tracing::warn!(delivery.id = %delivery, "the outcome of an attempt was not stored");
        }
    }
}

/// Submit until it is stored: an outcome that is lost would be an attempt made twice.
async fn submit(app: &App, project: ProjectNo, command: impl Fn() -> Command) -> Result<(), Quit> {
    let mut pause = std::time::Duration::from_millis(100);
    loop {
        match app.try_submit(project, vec![command()]).await {
            Ok(mut answers) => {
                return match answers.pop() {
                    Some(Ok(_)) => Ok(()),
                    Some(Err(Refused::NotFound { .. } | Refused::Conflict(_))) | None => {
                        Err(Quit::NotDue)
                    }
                    Some(Err(refused @ (Refused::Invalid(_) | Refused::Unsound(_)))) => {
                        tracing::error!(%refused, "the engine refused an attempt");
                        Err(Quit::NotDue)
                    }
                };
            }
            Err(SubmitError::Stopped(_)) => return Err(Quit::Stopping),
            Err(SubmitError::Overloaded { .. } | SubmitError::DiskFull) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(std::time::Duration::from_secs(5));
            }
        }
    }
}
