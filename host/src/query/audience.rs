//! Who matches a filter, asked of all customers: exact, for the moment of the question. The rows
//! are scanned on all cores; the columnar mirror that makes this a hundred times cheaper comes later.

use std::num::NonZero;
use std::ops::ControlFlow;

use engine::condition::{count, holds};
use engine::customer::Customer;
use engine::decision::{channel_refusal, reach_refusal};
use engine::estimate::Estimate;
use engine::ids::{CustomerId, ProjectNo};
use engine::outreach::compiled::{Condition, Outreach};
use engine::outreach::content::OutreachType;
use engine::project::Project;
use engine::situation::{History, Occasion, Situation};
use engine::time::Timestamp;

use crate::history::{LogHistory, Parsed};
use crate::open::Host;
use crate::query::QueryError;
use crate::walk::Walk;

/// Customers shown beside an estimate.
const SAMPLE: usize = 10;

/// Over what a customer is to be reached.
#[derive(Clone, Copy, Debug)]
pub enum Reach<'a> {
    /// Everybody can be reached.
    Anyhow,
    /// A channel: an address, and no refusal.
    Channel(OutreachType),
    /// An outreach with its topic: as the gate asks it.
    Outreach(&'a Outreach),
}

/// How many match, and some of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Count {
    /// The counts.
    pub estimate: Estimate,
    /// Some who match.
    pub sample: Vec<CustomerId>,
    /// The moment for which it is exact.
    pub at: Timestamp,
}

impl Host {
    /// Count the customers who match a filter; no filter means everyone.
    ///
    /// # Errors
    /// The disk failed.
    pub fn estimate(
        &self,
        project: ProjectNo,
        filter: Option<&Condition>,
        reach: Reach<'_>,
    ) -> Result<Count, QueryError> {
        let at = self.now();
        let Some(project) = self.shared.project(project) else { return Ok(Count::default()) };
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get).min(8);
        let mut total = Count { at, ..Count::default() };
        std::thread::scope(|scope| {
            let mut parts = Vec::new();
            for share in Walk::of(project.no).shares(threads) {
                let project = &project;
                let part = move || self.count_share(share, project, filter, reach, at);
                parts.push(scope.spawn(part));
            }
            for part in parts {
                match part.join() {
                    Ok(part) => add(&mut total, part?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok::<(), QueryError>(())
        })?;
        total.sample.sort_unstable();
        total.sample.truncate(SAMPLE);
        Ok(total)
    }

    fn count_share(
        &self,
        share: Walk,
        project: &Project,
        filter: Option<&Condition>,
        reach: Reach<'_>,
        now: Timestamp,
    ) -> Result<Count, QueryError> {
        let parsed = Parsed::default();
        let history = LogHistory {
            reader: &self.shared.reader,
            project,
            parsed: &parsed,
            at_hand: (u64::MAX, &[]),
        };
        let mut part = Count::default();
        share.visit(&self.shared, |id, customer| {
            if customer.merged_into.is_some() {
                return ControlFlow::Continue(());
            }
            let estimate = &mut part.estimate;
            let before = estimate.matched;
            estimate.total += 1;
            match filter {
                Some(filter) => {
                    let s = ask(project, id, customer, Occasion::Question, now, &history);
                    count::tally(filter, &s, estimate);
                }
                None => estimate.matched += 1,
            }
            if estimate.matched > before {
                estimate.reachable += u64::from(is_reachable(reach, customer, project));
                if part.sample.len() < SAMPLE {
                    part.sample.push(id);
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(part)
    }
}

fn add(total: &mut Count, part: Count) {
    let (sum, part_sum) = (&mut total.estimate, part.estimate);
    sum.total += part_sum.total;
    sum.matched += part_sum.matched;
    sum.reachable += part_sum.reachable;
    if sum.conditions.is_empty() {
        sum.conditions = part_sum.conditions;
    } else {
        // The same filter has the same lines; a share without customers has none.
        for (line, more) in sum.conditions.iter_mut().zip(part_sum.conditions) {
            line.alone += more.alone;
            if let (Some(line), Some(more)) = (&mut line.cumulative, more.cumulative) {
                *line += more;
            }
        }
    }
    total.sample.extend(part.sample);
}

fn is_reachable(reach: Reach<'_>, customer: &Customer, project: &Project) -> bool {
    match reach {
        Reach::Anyhow => true,
        Reach::Outreach(outreach) => reach_refusal(outreach, customer, &project.settings).is_none(),
        Reach::Channel(channel) => {
            channel_refusal(channel, "", customer, &project.settings).is_none()
        }
    }
}

/// A customer, asked.
pub(crate) fn ask<'a>(
    project: &'a Project,
    id: CustomerId,
    customer: &'a Customer,
    occasion: Occasion<'a>,
    now: Timestamp,
    history: &'a dyn History,
) -> Situation<'a> {
    let zone = project.zone_of(customer);
    Situation { project, id, customer, occasion, now, zone, history }
}

/// Whether a customer matches; no filter matches everybody.
pub(crate) fn matches(filter: Option<&Condition>, situation: &Situation<'_>) -> bool {
    filter.is_none_or(|filter| holds(filter, situation))
}
