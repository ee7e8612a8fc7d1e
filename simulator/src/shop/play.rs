//! Plays the shop through the real engine with a virtual clock: its customers act, its mail is
//! taken by a provider that sometimes fails, its in-app outreaches are seen, clicked and answered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use engine::delivery::Delivery;
use engine::fact::{AttemptOutcome, Names, ReceiptKind};
use engine::ids::{CustomerId, ProjectNo};
use engine::outreach::content::OutreachType;
use engine::project::{ProjectChange, Status};
use engine::time::Timestamp;
use host::Host;
use host::command::{Command, Submission, SubmitError, Track};
use host::query::QueryError;
use serde_json::json;

use super::{Act, DAY, Deed, Dice, ONE_OFF, OUTREACHES, SEGMENTS, Shop};

/// The clock moves by ten minutes at a time.
const STEP: i64 = 600_000;

/// Why the play stopped.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// The host does not take commands.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The host refused something that the shop needs.
    #[error("the shop's {what} was refused: {why}")]
    Refused {
        /// What.
        what: String,
        /// Why.
        why: String,
    },
    /// The host cannot read what it has.
    #[error(transparent)]
    Unreadable(#[from] QueryError),
}

/// A shop on its stage.
pub struct Stage<'a> {
    /// The engine.
    pub host: &'a Host,
    /// The clock that the host reads.
    pub clock: Arc<AtomicI64>,
    /// Whose customers.
    pub project: ProjectNo,
    dice: Dice,
    receipts: u64,
}

impl<'a> Stage<'a> {
    /// A stage for a shop.
    pub fn new(host: &'a Host, clock: Arc<AtomicI64>, project: ProjectNo, seed: u64) -> Stage<'a> {
        Stage { host, clock, project, dice: Dice::new(seed ^ 0x5eed), receipts: 0 }
    }

    /// Write the shop's segments and outreaches and set them live.
    ///
    /// # Errors
    /// The host refuses one of them, or has stopped.
    pub fn set(&self) -> Result<(), PlayError> {
        for (id, name, filter) in SEGMENTS {
            self.change(ProjectChange::SegmentSaved {
                id: (*id).to_owned(),
                name: (*name).to_owned(),
                filter: (*filter).to_owned(),
            })?;
        }
        for (id, definition) in OUTREACHES {
            self.change(ProjectChange::OutreachSaved {
                id: (*id).to_owned(),
                definition: (*definition).to_owned(),
                author: "demo".to_owned(),
            })?;
            if *id != ONE_OFF {
                let id = (*id).to_owned();
                self.change(ProjectChange::StatusSet { id, status: Status::Live })?;
            }
        }
        Ok(())
    }

    /// Launch the shop's one-off.
    ///
    /// # Errors
    /// It was launched before, or the host has stopped.
    pub fn launch(&self) -> Result<(), PlayError> {
        self.change(ProjectChange::Launched { id: ONE_OFF.to_owned() })?;
        self.host.wait_idle();
        Ok(())
    }

    /// One day of the shop, from midnight to midnight.
    ///
    /// # Errors
    /// The host has stopped.
    pub fn day(&mut self, shop: &mut Shop, midnight: Timestamp) -> Result<(), PlayError> {
        let mut acts = shop.day(midnight).into_iter().peekable();
        for step in 1..=DAY / STEP {
            let now = midnight.plus_ms(step * STEP);
            let mut now_acting = Vec::new();
            while let Some(act) = acts.next_if(|act| act.at <= now) {
                now_acting.push(act);
            }
            self.step(now_acting, now)?;
        }
        // A visit that goes on after midnight ends with the day.
        let rest: Vec<Act> = acts.collect();
        self.step(rest, midnight.plus_ms(DAY))
    }

    /// One act on a stage whose clock is the wall's; then the customer looks around. What leaves by
    /// mail is the server's own affair.
    ///
    /// # Errors
    /// The host has stopped.
    pub fn act(&mut self, act: Act) -> Result<(), PlayError> {
        let customer = self.customer(&act.names);
        let now = self.host.now();
        self.submit(vec![command(act, now)])?;
        let mut answers = Vec::new();
        if let Some(customer) = customer {
            self.look_around(customer, &mut answers)?;
        }
        self.submit(answers)
    }

    fn step(&mut self, acts: Vec<Act>, now: Timestamp) -> Result<(), PlayError> {
        self.clock.store(now.0, Ordering::Release);
        self.host.clock_moved();
        let people: BTreeSet<CustomerId> =
            acts.iter().filter_map(|act| self.customer(&act.names)).collect();
        if !acts.is_empty() {
            self.submit(acts.into_iter().map(|act| command(act, now)).collect())?;
        }
        self.host.wait_idle();
        let mut answers = self.provider();
        for id in people {
            self.look_around(id, &mut answers)?;
        }
        self.submit(answers)
    }

    fn customer(&self, names: &Names) -> Option<CustomerId> {
        let user = names.user_id.as_deref().map(|id| CustomerId::of_user(self.project, id));
        let guest = names.anonymous_id.as_deref().map(|id| CustomerId::of_guest(self.project, id));
        user.or(guest)
    }

    /// A provider that takes most of what is due, is sometimes away and sometimes says no.
    fn provider(&mut self) -> Vec<Command> {
        let mut answers = Vec::new();
        for (_, customer, delivery) in self.host.due(10_000) {
            let outcome = if self.dice.chance(0.02) {
                let at = self.host.now().plus_ms(STEP);
                AttemptOutcome::Retry { reason: "451 try again later".to_owned(), at }
            } else if self.dice.chance(0.005) {
                AttemptOutcome::AddressGone { reason: "550 5.1.1 no such mailbox".to_owned() }
            } else {
                AttemptOutcome::Accepted { provider_id: String::new() }
            };
            let opened = delivery.outreach_type == OutreachType::Email
                && matches!(outcome, AttemptOutcome::Accepted { .. });
            answers.push(Command::Attempted { customer, delivery: delivery.id, outcome });
            if opened && self.dice.chance(0.4) {
                answers.push(self.receipt(&delivery, ReceiptKind::Displayed, json!({})));
                if self.dice.chance(0.3) {
                    let link = json!({ "link": "https://shop.example" });
                    answers.push(self.receipt(&delivery, ReceiptKind::Clicked, link));
                }
            }
        }
        answers
    }

    /// A customer who is here sees what lies in the inbox, mostly.
    fn look_around(&mut self, id: CustomerId, answers: &mut Vec<Command>) -> Result<(), PlayError> {
        for delivery in self.host.inbox(self.project, id)? {
            if !self.dice.chance(0.8) {
                continue;
            }
            answers.push(self.receipt(&delivery, ReceiptKind::Displayed, json!({})));
            let next = match delivery.outreach_type {
                OutreachType::Survey if self.dice.chance(0.5) => {
                    let score = self.dice.between(3, 10);
                    Some((ReceiptKind::Answered, json!({ "answers": { "nps": score } })))
                }
                OutreachType::Tour | OutreachType::Checklist if self.dice.chance(0.3) => {
                    Some((ReceiptKind::Answered, json!({})))
                }
                _ if self.dice.chance(0.25) => Some((ReceiptKind::Clicked, json!({ "button": 0 }))),
                _ if self.dice.chance(0.5) => Some((ReceiptKind::Dismissed, json!({}))),
                _ => None,
            };
            if let Some((kind, detail)) = next {
                answers.push(self.receipt(&delivery, kind, detail));
            }
        }
        Ok(())
    }

    fn receipt(
        &mut self,
        delivery: &Delivery,
        kind: ReceiptKind,
        detail: serde_json::Value,
    ) -> Command {
        self.receipts += 1;
        Command::Receipt {
            delivery: delivery.id,
            customer: None,
            kind,
            receipt_id: format!("play-{}", self.receipts),
            at: None,
            detail: detail.to_string(),
        }
    }

    fn change(&self, change: ProjectChange) -> Result<(), PlayError> {
        let what = format!("{change:.60?}");
        let commands = vec![Command::Change(change)];
        let answers = self.host.submit_and_wait(Submission { project: self.project, commands })?;
        for answer in answers {
            answer
                .map_err(|why| PlayError::Refused { what: what.clone(), why: why.to_string() })?;
        }
        Ok(())
    }

    fn submit(&self, commands: Vec<Command>) -> Result<(), PlayError> {
        if !commands.is_empty() {
            self.host.submit_and_wait(Submission { project: self.project, commands })?;
        }
        Ok(())
    }
}

/// An act as a command.
pub fn command(act: Act, now: Timestamp) -> Command {
    match act.deed {
        Deed::Identify(changes) => {
            Command::Identify { names: act.names, message_id: act.id, changes, historical: false }
        }
        Deed::Track { event, properties, page } => Command::Track(Track {
            names: act.names,
            message_id: act.id,
            name: event.to_owned(),
            at: act.at.min(now),
            properties: properties.to_string(),
            changes: std::collections::BTreeMap::new(),
            historical: false,
            page: Some(page),
        }),
    }
}
