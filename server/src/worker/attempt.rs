//! One attempt: the last look, the message, the hand-over, and what came of it.
//!
//! A receiver that cannot tell a repetition gets nothing before "an attempt begins" is durable: if
//! the process dies in between, the delivery is held and shown instead of sent twice.

use channels::Attempt;
use engine::decision::SkipReason;
use engine::delivery::{Delivery, DeliveryState, hand_over};
use engine::fact::AttemptOutcome;
use engine::ids::{CustomerId, ProjectNo};
use host::command::{Command, Refused, SubmitError};
use host::retry::{self, Failed, Next};

use super::outgoing::{self, Around};
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
    /// Its outreach is paused; it stays due.
    Paused,
    /// The server is stopping.
    Stopping,
}

/// What becomes of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Nothing more is to be done.
    Done,
    /// Nothing was attempted, and nothing may be before its outreach is live again.
    Paused,
}

/// Try once and report the outcome to the engine.
pub(super) async fn run(app: &App, task: &Task) -> Ended {
    match attempt(app, task).await {
        Ok(outcome) => report(app, task, outcome).await,
        Err(Quit::NotDue) => app.host.let_go(task.project, task.delivery.id),
        Err(Quit::Paused) => return Ended::Paused,
        Err(Quit::Stopping) => {}
    }
    Ended::Done
}

/// The outcome of an attempt that broke on our side: a dead letter, so that one poisoned delivery
/// does not come back for ever.
pub(super) async fn broken(app: &App, task: &Task) {
    let state = match app.customer(task.project, task.customer) {
        Ok(customer) => customer.and_then(|mut found| {
            found.deliveries.remove(&task.delivery.id).map(|delivery| delivery.state)
        }),
        // What cannot be read may have begun.
        Err(_) => Some(DeliveryState::Attempting),
    };
    report(app, task, after_a_break(state.as_ref())).await;
}

/// What had begun on a channel that cannot drop a repetition may have been handed over, so its
/// claim is not given back.
fn after_a_break(state: Option<&DeliveryState>) -> AttemptOutcome {
    let reason = "the attempt failed inside the server; its log says why".to_owned();
    match state {
        Some(DeliveryState::Attempting) => AttemptOutcome::Unknown { reason },
        Some(_) | None => AttemptOutcome::Rejected { reason },
    }
}

async fn attempt(app: &App, task: &Task) -> Result<AttemptOutcome, Quit> {
    let now = app.now();
    let customer = match app.customer(task.project, task.customer) {
        Ok(Some(customer)) => customer,
        Ok(None) => return Err(Quit::NotDue),
        // It waits for the next start; whoever cannot be read is not written to.
        Err(_) => return Err(Quit::Stopping),
    };
    // It may have waited for its slot or for the channel, and been withdrawn meanwhile.
    let as_taken =
        |one: &&Delivery| one.state == DeliveryState::Due && one.due_at == task.delivery.due_at;
    let Some(delivery) = customer.deliveries.get(&task.delivery.id).filter(as_taken) else {
        return Err(Quit::NotDue);
    };
    let ready = match app.ready(task.project, task.customer, delivery).await {
        Ok(ready) => ready,
        Err(_) if app.is_stopping() => return Err(Quit::Stopping),
        // It could not even be rendered: nobody would look at it again before the next start.
        Err(_) => return Ok(after_a_break(Some(&delivery.state))),
    };
    let project = app.project(task.project).map_err(|_| Quit::NotDue)?;
    if let Ok(ready) = &ready {
        match hand_over::later(&project, &customer, &ready.outreach, now) {
            Ok(None) => {}
            Ok(Some(at)) => return Ok(AttemptOutcome::NotNow { at }),
            Err(reason) => return Ok(AttemptOutcome::Refused { reason }),
        }
    }
    let settings = project.settings.clone();
    let around = Around {
        sender: &settings.sender,
        unsubscribe_url: unsubscribe::link(app, task.project, delivery.id),
        webhook_secrets: &app.config.webhook.secrets,
        now,
    };
    let message = ready.and_then(|ready| outgoing::build(&customer, delivery, &ready, around));
    let message = match message {
        Ok(message) => message,
        Err(SkipReason::NotLive(status)) if hand_over::stays(status) => return Err(Quit::Paused),
        Err(reason) => return Ok(AttemptOutcome::Refused { reason }),
    };
    // Also where a repetition is dropped: should the process die in the middle, the message may have
    // arrived, and its claim must not be given back when it is withdrawn before it is repeated.
    let (customer, id) = (task.customer, delivery.id);
    submit(app, task.project, || Command::Started { customer, delivery: id }).await?;
    let answer = app.channels.send(&message).await;
    let idempotent = delivery.outreach_type.is_idempotent();
    Ok(match answer {
        Attempt::Accepted { provider_id } => AttemptOutcome::Accepted { provider_id },
        Attempt::Rejected { reason } => AttemptOutcome::Rejected { reason },
        Attempt::AddressGone { reason } => AttemptOutcome::AddressGone { reason },
        Attempt::Retry { reason, not_before_seconds } => {
            again(app, task, (reason, not_before_seconds), false).await
        }
        // Whoever knows the delivery by its id drops the repetition; so it is tried again.
        Attempt::Unknown { reason } if idempotent => again(app, task, (reason, None), true).await,
        Attempt::Unknown { reason } => AttemptOutcome::Unknown { reason },
    })
}

/// Try again later, or give up. Given up, what may have arrived is held and not dead: the engine
/// sees to the attempts before this one.
async fn again(
    app: &App,
    task: &Task,
    (reason, not_before_seconds): (String, Option<u64>),
    in_doubt: bool,
) -> AttemptOutcome {
    let (project, id, now) = (task.project, task.delivery.id, app.now());
    let row = app.ask(move |host| host.delivery(project, id)).await;
    let steps = row.ok().and_then(Result::ok).flatten().map(|row| row.steps).unwrap_or_default();
    let (earlier, since) = retry::trouble(&steps);
    let hours = i64::from(app.config.dispatch.give_up_after_hours);
    let [dice] = secret::random_bytes::<1>();
    let failed = Failed {
        attempts: task.delivery.attempts.count.saturating_sub(earlier),
        failing_since: since.unwrap_or(now),
        now,
        not_before_seconds,
        give_up_after_ms: hours * 3_600_000,
    };
    match retry::next(failed, dice) {
        Next::At(at) if in_doubt => AttemptOutcome::RetryInDoubt { reason, at },
        Next::At(at) => AttemptOutcome::Retry { reason, at },
        Next::GiveUp => {
            let reason = format!("given up after {hours} hours: {reason}");
            match in_doubt {
                true => AttemptOutcome::Unknown { reason },
                false => AttemptOutcome::Rejected { reason },
            }
        }
    }
}

async fn report(app: &App, task: &Task, outcome: AttemptOutcome) {
    let (customer, delivery) = (task.customer, task.delivery.id);
    let command = || Command::Attempted { customer, delivery, outcome: outcome.clone() };
    match submit(app, task.project, command).await {
        Ok(()) => tracing::debug!(delivery.id = %delivery, "an attempt ended"),
        Err(Quit::NotDue | Quit::Paused) => {
            tracing::debug!(delivery.id = %delivery, "the delivery is gone");
        }
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
                    Some(Err(
                        Refused::NotFound { .. } | Refused::Moved { .. } | Refused::Conflict(_),
                    ))
                    | None => Err(Quit::NotDue),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_broke_after_it_began_is_held() {
        let held = after_a_break(Some(&DeliveryState::Attempting));
        assert!(matches!(held, AttemptOutcome::Unknown { .. }));
        let dead = after_a_break(Some(&DeliveryState::Due));
        assert!(matches!(dead, AttemptOutcome::Rejected { .. }));
    }
}
