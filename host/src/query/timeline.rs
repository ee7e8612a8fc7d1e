//! What happened to one customer, and what they would have been told: the newest first, with the
//! facts from before a merge.

use engine::customer::Customer;
use engine::decision::Ruling;
use engine::fact::Fact;
use engine::ids::{CustomerId, ProjectNo};
use engine::project::Project;
use engine::time::Timestamp;
use std::sync::Arc;

use crate::fold::{self, Then};
use crate::open::Host;
use crate::query::{Budget, Page, QueryError};
use crate::record::Entry;

/// A fact in the life of a customer.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineEntry {
    /// Where its record lies.
    pub position: u64,
    /// When it was accepted.
    pub at: Timestamp,
    /// Under which id it was accepted: the customer's, or that of a guest that was merged.
    pub customer: CustomerId,
    /// What happened.
    pub fact: Fact,
    /// What was decided.
    pub ruling: Ruling,
}

/// A moment of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// After the record at this log position.
    Position(u64),
    /// After everything accepted until then.
    Time(Timestamp),
}

/// A customer as they were, and the project as it was.
#[derive(Debug)]
pub struct Past {
    /// The customer.
    pub customer: Customer,
    /// The project.
    pub project: Arc<Project>,
    /// The time of the latest record that they are made of.
    pub at: Timestamp,
}

impl Host {
    /// The facts about a customer before a position, newest first; all facts of one record stay
    /// together.
    ///
    /// # Errors
    /// The disk failed.
    pub fn timeline(
        &self,
        project: ProjectNo,
        id: CustomerId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<TimelineEntry>, QueryError> {
        let nobody = Page { items: Vec::new(), next: None };
        let Some(home) = self.shared.follow(project, id)? else { return Ok(nobody) };
        let merged = self.shared.look((project, home), |customer| customer.merged.clone())?;
        let mut lives = merged.unwrap_or_default();
        lives.push(home);
        let (limit, before) = (Budget::of(limit).items, before.unwrap_or(u64::MAX));
        let mut positions = Vec::new();
        for life in &lives {
            positions.extend(self.shared.layers.timeline((project, *life), before, limit + 1)?);
        }
        positions.sort_unstable_by(|one, other| other.cmp(one));
        positions.dedup();
        let next = (positions.len() > limit).then(|| positions.get(limit - 1).copied()).flatten();
        positions.truncate(limit);
        let mut items = Vec::new();
        for position in positions {
            let entry = Entry::decode(&self.shared.reader.read(position)?)?;
            for record in entry.customers().iter().rev() {
                if record.project == project && lives.contains(&record.customer) {
                    items.push(TimelineEntry {
                        position,
                        at: record.now,
                        customer: record.customer,
                        fact: record.fact.clone(),
                        ruling: record.ruling.clone(),
                    });
                }
            }
        }
        Ok(Page { items, next })
    }

    /// The customer and the project as they were at a moment; `None` when the customer was not
    /// there yet. What a customer did as a guest is part of them from the merge on.
    ///
    /// # Errors
    /// The disk failed.
    pub fn as_it_was(
        &self,
        project: ProjectNo,
        id: CustomerId,
        moment: Moment,
    ) -> Result<Option<Past>, QueryError> {
        let Some(home) = self.shared.follow(project, id)? else { return Ok(None) };
        let (end, at) = match moment {
            Moment::Position(position) => {
                let at = self.time_of(position)?;
                (position.saturating_add(1), at)
            }
            Moment::Time(at) => (self.end_at(project, home, at)?, Some(at)),
        };
        let then = fold::customer_at(&self.shared, (project, home), end)?;
        Ok(then.map(|Then { customer, project }| Past {
            at: at.or(customer.last_seen).unwrap_or_default(),
            customer,
            project,
        }))
    }

    /// The time of the record at a position, when it is about a customer.
    fn time_of(&self, position: u64) -> Result<Option<Timestamp>, QueryError> {
        let entry = Entry::decode(&self.shared.reader.read(position)?)?;
        Ok(entry.customers().last().map(|record| record.now))
    }

    /// Behind the customer's last record until a time. Times grow with positions.
    fn end_at(&self, no: ProjectNo, id: CustomerId, at: Timestamp) -> Result<u64, QueryError> {
        let positions = self.shared.layers.timeline((no, id), u64::MAX, usize::MAX)?;
        let (mut low, mut high) = (0, positions.len());
        // Newest first: look for the first that is not after `at`.
        while low < high {
            let middle = low.midpoint(high);
            let Some(position) = positions.get(middle) else { break };
            if self.time_of(*position)?.is_some_and(|time| time > at) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(positions.get(low).map_or(0, |position| position.saturating_add(1)))
    }
}
