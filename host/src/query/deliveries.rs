//! What was sent, or waits to be: lists, one with its history, and the inbox of a customer.

use engine::decision::Outcome;
use engine::delivery::{Delivery, DeliveryState};
use engine::ids::{CustomerId, DeliveryId, OutreachNo, ProjectNo};
use engine::outreach::content::OutreachType;
use store::state::StateError;

use crate::open::Host;
use crate::query::decisions::{DecisionFilter, OutcomeFilter};
use crate::query::{Budget, Page, QueryError};
use crate::rows::DeliveryRow;

/// Which deliveries. Everything left out means all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeliveryFilter {
    /// Of this outreach.
    pub outreach: Option<OutreachNo>,
    /// To this customer.
    pub customer: Option<CustomerId>,
    /// Standing here.
    pub state: Option<DeliveryState>,
    /// On this channel.
    pub channel: Option<OutreachType>,
}

impl Host {
    /// Deliveries that were decided before a position, newest first.
    ///
    /// # Errors
    /// The disk failed.
    pub fn deliveries(
        &self,
        project: ProjectNo,
        filter: &DeliveryFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<DeliveryRow>, QueryError> {
        if filter.customer.is_some() || filter.outreach.is_some() {
            return self.deliveries_by_decision(project, filter, before, limit);
        }
        let (budget, mut before) = (Budget::of(limit), before.unwrap_or(u64::MAX));
        let (mut items, mut rows) = (Vec::new(), 0);
        loop {
            let fetch = budget.fetch(items.len());
            let found = self.shared.layers.delivery_order(project, before, fetch)?;
            let last = found.len() < fetch;
            for (position, id) in found {
                // Those of one record stay on one page.
                if position != before && (items.len() >= budget.items || rows >= budget.rows) {
                    return Ok(Page { items, next: Some(before) });
                }
                before = position;
                rows += 1;
                let row = self.shared.layers.delivery(project, id)?;
                if let Some(row) = row.filter(|row| fits(row, filter)) {
                    items.push(self.at_home(project, row)?);
                }
            }
            if last {
                return Ok(Page { items, next: None });
            }
        }
    }

    /// Through the decisions, whose index knows outreaches and customers.
    fn deliveries_by_decision(
        &self,
        project: ProjectNo,
        filter: &DeliveryFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Page<DeliveryRow>, QueryError> {
        let sends = DecisionFilter {
            outreach: filter.outreach,
            customer: filter.customer,
            outcome: Some(OutcomeFilter::Send),
            ..DecisionFilter::default()
        };
        let (budget, mut before) = (Budget::of(limit), before);
        let mut items = Vec::new();
        let mut rows = 0;
        loop {
            let page = self.decisions(project, &sends, before, budget.items)?;
            rows += page.items.len();
            for line in page.items {
                let Outcome::Send { delivery, .. } = line.decision.outcome else { continue };
                let row = self.shared.layers.delivery(project, delivery)?;
                if let Some(row) = row.filter(|row| fits(row, filter)) {
                    items.push(self.at_home(project, row)?);
                }
            }
            before = page.next;
            if before.is_none() || items.len() >= budget.items || rows >= budget.rows {
                return Ok(Page { items, next: before });
            }
        }
    }

    /// A delivery with its history.
    ///
    /// # Errors
    /// The disk failed.
    pub fn delivery(
        &self,
        project: ProjectNo,
        id: DeliveryId,
    ) -> Result<Option<DeliveryRow>, QueryError> {
        let row = self.shared.layers.delivery(project, id)?;
        Ok(row.map(|row| self.at_home(project, row)).transpose()?)
    }

    /// What lies in the customer's inbox now, oldest first.
    ///
    /// # Errors
    /// The disk failed.
    pub fn inbox(
        &self,
        project: ProjectNo,
        customer: CustomerId,
    ) -> Result<Vec<Delivery>, QueryError> {
        let now = self.now();
        let Some(home) = self.shared.follow(project, customer)? else { return Ok(Vec::new()) };
        let lies_there = |delivery: &&Delivery| {
            delivery.outreach_type.is_in_app()
                && delivery.state == DeliveryState::Due
                && delivery.due_at <= now
                && delivery.expires_at.is_none_or(|at| at > now)
        };
        let inbox = self.shared.look((project, home), |customer| {
            customer.deliveries.values().filter(lies_there).cloned().collect::<Vec<_>>()
        })?;
        let mut inbox = inbox.unwrap_or_default();
        inbox.sort_by_key(|delivery| (delivery.due_at, delivery.id));
        Ok(inbox)
    }

    /// With the customer it belongs to today.
    fn at_home(&self, project: ProjectNo, mut row: DeliveryRow) -> Result<DeliveryRow, StateError> {
        row.customer = self.shared.home(project, row.customer)?;
        Ok(row)
    }
}

fn fits(row: &DeliveryRow, filter: &DeliveryFilter) -> bool {
    filter.state.as_ref().is_none_or(|state| row.delivery.state == *state)
        && filter.channel.is_none_or(|channel| row.delivery.outreach_type == channel)
}
