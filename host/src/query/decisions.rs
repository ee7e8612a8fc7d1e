//! What was decided, newest first: by outreach through its index, by customer through the
//! timeline, else through all records with decisions of the project.

use engine::decision::{Decision, GateName, Outcome};
use engine::ids::{CustomerId, OutreachNo, ProjectNo};
use engine::time::Timestamp;

use crate::open::Host;
use crate::query::{Budget, Page, QueryError};
use crate::record::Entry;

/// Which decisions. Everything left out means all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DecisionFilter {
    /// On this outreach.
    pub outreach: Option<OutreachNo>,
    /// About this customer.
    pub customer: Option<CustomerId>,
    /// With this outcome.
    pub outcome: Option<OutcomeFilter>,
    /// At this moment or after it.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub to: Option<Timestamp>,
}

/// Which outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeFilter {
    /// Send.
    Send,
    /// Refused, whatever the gate.
    Skip,
    /// Refused by this gate.
    Gate(GateName),
}

/// A decision with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct DecisionLine {
    /// Where its record lies.
    pub position: u64,
    /// When.
    pub at: Timestamp,
    /// About whom, as they were known then.
    pub customer: CustomerId,
    /// What.
    pub decision: Decision,
}

impl Host {
    /// Decisions before a position, newest first.
    ///
    /// # Errors
    /// The disk failed.
    pub fn decisions(
        &self,
        project: ProjectNo,
        filter: &DecisionFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<DecisionLine>, QueryError> {
        let lives = filter.customer.map(|id| self.lives(project, id)).transpose()?;
        let (budget, mut before) = (Budget::of(limit), before.unwrap_or(u64::MAX));
        let (mut items, mut rows) = (Vec::new(), 0);
        loop {
            let fetch = budget.fetch(items.len());
            let positions = self.decided(project, filter, lives.as_deref(), before, fetch)?;
            let last = positions.len() < fetch;
            for position in positions {
                before = position;
                rows += 1;
                let entry = Entry::decode(&self.shared.reader.read(position)?)?;
                let past_from = add(self, project, &entry, position, filter, &lives, &mut items)?;
                if past_from {
                    return Ok(Page { items, next: None });
                }
                if items.len() >= budget.items || rows >= budget.rows {
                    return Ok(Page { items, next: Some(before) });
                }
            }
            if last {
                return Ok(Page { items, next: None });
            }
        }
    }

    /// Positions that may hold what is asked for.
    fn decided(
        &self,
        project: ProjectNo,
        filter: &DecisionFilter,
        lives: Option<&[CustomerId]>,
        before: u64,
        limit: usize,
    ) -> Result<Vec<u64>, QueryError> {
        let layers = &self.shared.layers;
        if let Some(lives) = lives {
            let mut positions = Vec::new();
            for life in lives {
                positions.extend(layers.timeline((project, *life), before, limit)?);
            }
            positions.sort_unstable_by(|one, other| other.cmp(one));
            positions.dedup();
            positions.truncate(limit);
            return Ok(positions);
        }
        Ok(match filter.outreach {
            Some(no) => layers.decisions((project, no), before, limit)?,
            None => layers.decided(project, before, limit)?,
        })
    }

    /// The customer and the guests that became part of them.
    pub(crate) fn lives(
        &self,
        project: ProjectNo,
        id: CustomerId,
    ) -> Result<Vec<CustomerId>, QueryError> {
        let Some(home) = self.shared.follow(project, id)? else { return Ok(Vec::new()) };
        let merged = self.shared.look((project, home), |customer| customer.merged.clone())?;
        let mut lives = merged.unwrap_or_default();
        lives.push(home);
        Ok(lives)
    }
}

/// Add what fits; true when the record lies before `from`, and with it all that follow.
fn add(
    host: &Host,
    project: ProjectNo,
    entry: &Entry,
    position: u64,
    filter: &DecisionFilter,
    lives: &Option<Vec<CustomerId>>,
    items: &mut Vec<DecisionLine>,
) -> Result<bool, QueryError> {
    for record in entry.customers().iter().rev() {
        if filter.from.is_some_and(|from| record.now < from) {
            return Ok(true);
        }
        let (at, customer) = (record.now, record.customer);
        let wanted = record.project == project
            && filter.to.is_none_or(|to| at < to)
            && lives.as_ref().is_none_or(|lives| lives.contains(&customer))
            && host.shared.layers.has((project, customer), position)?;
        if !wanted {
            continue;
        }
        for decision in record.ruling.decisions.iter().rev() {
            if fits(decision, filter) {
                let decision = decision.clone();
                items.push(DecisionLine { position, at, customer, decision });
            }
        }
    }
    Ok(false)
}

fn fits(decision: &Decision, filter: &DecisionFilter) -> bool {
    let outcome = match (filter.outcome, &decision.outcome) {
        (None, _)
        | (Some(OutcomeFilter::Send), Outcome::Send { .. })
        | (Some(OutcomeFilter::Skip), Outcome::Skip(_)) => true,
        (Some(OutcomeFilter::Gate(gate)), Outcome::Skip(reason)) => reason.gate() == gate,
        (Some(_), _) => false,
    };
    outcome && filter.outreach.is_none_or(|no| no == decision.outreach)
}
