//! One command or timer, from facts to the log: decide, append, note what follows.
//!
//! A record is appended after it was judged, because the ruling stands in it. When the append is
//! refused (a full disk) or the judgement panics, the customers it touched are folded from the log
//! again, so that nothing of it happened.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use engine::apply::{decide, next_moment};
use engine::decision::{Decision, Outcome};
use engine::delivery::{Delivery, DeliveryState};
use engine::fact::Fact;
use engine::ids::{CustomerId, DeliveryId};
use engine::project::Project;
use engine::time::Timestamp;
use store::log::{Appender, LogError};

use crate::due::DueChange;
use crate::fold;
use crate::history::{LogHistory, Parsed};
use crate::locks::write;
use crate::note::{self, Applied};
use crate::open::Watched;
use crate::published::Published;
use crate::record::{CustomerRecord, Entry, FORMAT};
use crate::shared::Shared;
use crate::timers::Timers;

/// What the applier writes with.
pub(crate) struct Enactor {
    pub(crate) shared: Arc<Shared>,
    pub(crate) appender: Appender,
    pub(crate) timers: Timers,
    pub(crate) parsed: Parsed,
    pub(crate) buffer: Vec<u8>,
    /// What the present group leads to once it is durable.
    pub(crate) effects: Vec<Published>,
    pub(crate) due: Vec<DueChange>,
    pub(crate) watched: Watched,
}

/// A record that was appended.
pub(crate) struct Enacted {
    pub(crate) position: u64,
    pub(crate) decisions: Vec<Decision>,
}

/// Why a record was not appended.
pub(crate) enum Failure {
    /// No room; try again later.
    Full,
    /// Too large, or the judgement panicked: this one, always.
    Impossible(String),
    /// The host cannot go on.
    Fatal(String),
}

/// What deciding one fact left behind.
struct Left {
    /// Deliveries of somebody who is erased by it: nothing of theirs is due any more.
    gone: Vec<DeliveryId>,
    changed: Vec<Delivery>,
    wake: Option<Timestamp>,
    /// The timer stands already.
    wakes_as_before: bool,
}

impl Enactor {
    /// Decide facts that happen together, and put them into the log as one record.
    pub(crate) fn enact(
        &mut self,
        project: &Project,
        facts: Vec<(CustomerId, Fact)>,
        now: Timestamp,
    ) -> Result<Enacted, Failure> {
        // In memory before they are judged; the judgement itself reads no disk.
        for (id, _) in &facts {
            let held = self.shared.hold((project.no, *id), |_| {});
            held.map_err(|error| Failure::Fatal(error.to_string()))?;
        }
        let position = self.appender.end();
        self.shared.judged.store(position + 1, Ordering::Release);
        let judged = catch_unwind(AssertUnwindSafe(|| self.judge(project, &facts, position, now)));
        let Ok((rulings, left)) = judged else {
            self.restore(project, facts.iter().map(|(id, _)| *id))?;
            self.shared.judged.store(0, Ordering::Release);
            return Err(Failure::Impossible("the judgement failed on it".to_owned()));
        };
        let mut records = Vec::with_capacity(facts.len());
        for ((customer, fact), ruling) in facts.into_iter().zip(rulings) {
            records.push(CustomerRecord { project: project.no, customer, now, fact, ruling });
        }
        let entry = Entry::of(records);
        if let Err(failure) = self.append(&entry, partition_of(&entry)) {
            self.restore(project, entry.customers().iter().map(|record| record.customer))?;
            self.shared.judged.store(0, Ordering::Release);
            return Err(failure);
        }
        let decisions = self.follow_up(entry, &left, position)?;
        Ok(Enacted { position, decisions })
    }

    fn judge(
        &self,
        project: &Project,
        facts: &[(CustomerId, Fact)],
        position: u64,
        now: Timestamp,
    ) -> (Vec<engine::decision::Ruling>, Vec<Left>) {
        let history = LogHistory {
            reader: &self.shared.reader,
            project,
            parsed: &self.parsed,
            at_hand: (position, facts),
        };
        let mut rulings = Vec::with_capacity(facts.len());
        let mut left = Vec::with_capacity(facts.len());
        for (id, fact) in facts {
            let mut partition = write(self.shared.partition(*id));
            let held = partition.touch((project.no, *id));
            let customer = &mut held.customer;
            let gone = match fact {
                Fact::Erased => customer.deliveries.keys().copied().collect(),
                _ => Vec::new(),
            };
            let outcome = decide(project, *id, customer, fact, position, now, &history);
            let changed = outcome.changed.iter().filter_map(|id| customer.deliveries.get(id));
            let (changed, wake) = (changed.cloned().collect(), next_moment(customer));
            // Of several facts about one customer the last must not be measured by the first.
            let wakes_as_before = facts.len() == 1 && wake == held.wake;
            left.push(Left { gone, changed, wake, wakes_as_before });
            rulings.push(outcome.ruling);
        }
        (rulings, left)
    }

    /// Put a record into the log. Nothing else may append.
    pub(crate) fn append(&mut self, entry: &Entry, partition: u8) -> Result<u64, Failure> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let bytes = entry
            .encode(buffer)
            .map_err(|error| Failure::Impossible(format!("it cannot be encoded: {error}")))?;
        let appended = self.appender.append(partition, FORMAT, &bytes);
        self.buffer = bytes;
        match appended {
            Ok(position) => {
                self.shared.last_record.store(position, Ordering::Release);
                Ok(position)
            }
            Err(LogError::Full { .. } | LogError::Backlog { .. }) => Err(Failure::Full),
            Err(error @ LogError::TooLarge { .. }) => Err(Failure::Impossible(error.to_string())),
            Err(error) => Err(Failure::Fatal(error.to_string())),
        }
    }

    fn follow_up(
        &mut self,
        entry: Entry,
        left: &[Left],
        position: u64,
    ) -> Result<Vec<Decision>, Failure> {
        let records = entry.customers();
        let mut all = Vec::with_capacity(records.len());
        for (record, left) in records.iter().zip(left) {
            all.push(Applied { position, record, changed: &left.changed });
        }
        let due = note::note(&self.shared, &all);
        self.due.extend(due.map_err(|error| Failure::Fatal(error.to_string()))?);
        let watched = (self.watched)();
        for (applied, left) in all.iter().zip(left) {
            let record = applied.record;
            let key = (record.project, record.customer);
            if matches!(record.fact, Fact::Erased) {
                let no_more = |delivery: &DeliveryId| DueChange {
                    project: key.0,
                    customer: key.1,
                    delivery: *delivery,
                    due_at: None,
                    attempted: false,
                };
                self.due.extend(left.gone.iter().map(no_more));
                self.forget(key, position)?;
            } else if !left.wakes_as_before {
                self.timers.set(&self.shared, key, left.wake);
            }
            self.publish_inbox(applied);
            if watched {
                self.publish(applied);
            }
        }
        Ok(entry.into_decisions())
    }

    fn forget(&mut self, key: crate::partition::Key, position: u64) -> Result<(), Failure> {
        self.timers.set(&self.shared, key, None);
        write(self.shared.partition(key.1)).remove(key);
        note::erase(&self.shared, key, position + 1)
            .map_err(|error| Failure::Fatal(error.to_string()))
    }

    /// The customers as the log has them.
    fn restore(
        &mut self,
        project: &Project,
        customers: impl Iterator<Item = CustomerId>,
    ) -> Result<(), Failure> {
        for id in customers {
            let key = (project.no, id);
            let then = fold::customer_at(&self.shared, key, self.appender.end())
                .map_err(|error| Failure::Fatal(error.to_string()))?;
            let mut partition = write(self.shared.partition(id));
            match then {
                Some(then) => partition.touch(key).customer = then.customer,
                None => {
                    partition.remove(key);
                }
            }
        }
        Ok(())
    }

    fn publish_inbox(&mut self, applied: &Applied<'_>) {
        let record = applied.record;
        let (project, customer) = (record.project, record.customer);
        let in_app = |delivery: &Delivery| delivery.outreach_type.is_in_app();
        let inbox = |delivery: &Delivery| delivery.state != DeliveryState::Waiting;
        // Whoever watches the inbox of a guest learns that it is another's from here on.
        let moved = matches!(record.fact, Fact::MergedInto { .. });
        if moved || applied.changed.iter().any(|delivery| in_app(delivery) && inbox(delivery)) {
            self.effects.push(Published::InboxChanged { project, customer });
        }
    }

    /// For the live tail.
    fn publish(&mut self, applied: &Applied<'_>) {
        let record = applied.record;
        let (project, customer, position) = (record.project, record.customer, applied.position);
        if let Fact::Event(event) = &record.fact {
            let sends = record.ruling.decisions.iter().filter(|decision| is_send(decision)).count();
            self.effects.push(Published::EventAccepted {
                project,
                customer,
                position,
                name: event.name.clone(),
                at: event.at,
                accepted_at: record.now,
                decisions: record.ruling.decisions.len(),
                sends,
            });
        }
        for decision in &record.ruling.decisions {
            let (at, decision) = (record.now, decision.clone());
            self.effects.push(Published::DecisionMade {
                project,
                customer,
                position,
                at,
                decision,
            });
        }
        for delivery in applied.changed {
            let (id, state) = (delivery.id, delivery.state.clone());
            self.effects.push(Published::DeliveryChanged {
                project,
                customer,
                delivery: id,
                state,
            });
        }
    }
}

fn is_send(decision: &Decision) -> bool {
    matches!(decision.outcome, Outcome::Send { .. })
}

/// The partition under which a record stands: that of the customer it is about in the end.
fn partition_of(entry: &Entry) -> u8 {
    entry.customers().last().map_or(0, |record| record.customer.partition())
}
