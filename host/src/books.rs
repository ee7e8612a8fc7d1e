//! What is kept per project beside its customers: the catalogue of what was seen, the counts of
//! what was decided, and what is under way. Small; it is copied at each cut.

use std::collections::BTreeMap;

use engine::decision::{Outcome, Ruling};
use engine::ids::{OutreachNo, ProjectNo};
use engine::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalogue::Catalogue;
use crate::record::{Scheduled, Sweep, Swept};

/// The books of all projects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Books {
    pub(crate) projects: BTreeMap<ProjectNo, Book>,
    /// Under way, oldest first.
    pub(crate) sweeps: Vec<Sweep>,
    /// One-offs that wait for their time.
    pub(crate) scheduled: Vec<Scheduled>,
}

/// The book of one project.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Book {
    pub(crate) catalogue: Catalogue,
    pub(crate) counts: BTreeMap<OutreachNo, Counts>,
    /// Launches and what became of them.
    pub(crate) launches: BTreeMap<OutreachNo, LaunchProgress>,
}

/// What was decided on an outreach.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Decisions to send.
    pub sends: u64,
    /// Refusals by the name of the gate.
    pub skips: BTreeMap<String, u64>,
    /// The latest decision to send.
    pub latest: Option<Timestamp>,
}

/// How far the launch of a one-off has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchProgress {
    /// Customers of the snapshot.
    pub total: u64,
    /// Customers who had their turn.
    pub done: u64,
    /// When the snapshot was taken.
    pub at: Option<Timestamp>,
}

impl Books {
    pub(crate) fn book(&mut self, project: ProjectNo) -> &mut Book {
        self.projects.entry(project).or_default()
    }

    /// A sweep begins.
    pub(crate) fn begin(&mut self, sweep: Sweep, now: Timestamp) {
        if let crate::record::SweepCause::Launched { .. } = sweep.cause {
            let progress = LaunchProgress { total: sweep.total, done: 0, at: Some(now) };
            self.book(sweep.project).launches.insert(sweep.outreach, progress);
        }
        if sweep.total > 0 {
            self.sweeps.push(sweep);
        }
    }

    /// A sweep has come so far.
    pub(crate) fn advance(&mut self, swept: Swept) {
        let of_it = |sweep: &Sweep| {
            (sweep.project, sweep.outreach, sweep.cause)
                == (swept.project, swept.outreach, swept.cause)
        };
        // The oldest: an outreach that went live twice has two sweeps that are called the same.
        if let Some(place) = self.sweeps.iter().position(of_it)
            && let Some(sweep) = self.sweeps.get_mut(place)
        {
            sweep.done = swept.done;
            if sweep.done >= sweep.total {
                self.sweeps.remove(place);
            }
        }
        if let crate::record::SweepCause::Launched { .. } = swept.cause
            && let Some(progress) = self.book(swept.project).launches.get_mut(&swept.outreach)
        {
            progress.done = swept.done;
        }
    }
}

impl Book {
    /// Count the decisions of a ruling.
    pub(crate) fn count(&mut self, ruling: &Ruling, now: Timestamp) {
        for decision in &ruling.decisions {
            let counts = self.counts.entry(decision.outreach).or_default();
            match &decision.outcome {
                Outcome::Send { .. } => {
                    counts.sends += 1;
                    counts.latest = Some(now);
                }
                Outcome::Skip(reason) => {
                    let gate = reason.gate().name();
                    match counts.skips.get_mut(gate) {
                        Some(count) => *count += 1,
                        None => {
                            counts.skips.insert(gate.to_owned(), 1);
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::SweepCause;

    #[test]
    fn a_sweep_that_ends_leaves_the_next_one_of_the_same_outreach() {
        let (project, outreach, cause) = (ProjectNo(1), OutreachNo(1), SweepCause::WentLive);
        let sweep = |chunk| {
            let chunks = vec![chunk];
            Sweep { project, outreach, cause, chunks, total: 2, done: 0 }
        };
        let mut books = Books::default();
        books.begin(sweep(7), Timestamp(1));
        books.begin(sweep(9), Timestamp(2));
        books.advance(Swept { project, outreach, cause, done: 2 });
        assert_eq!(books.sweeps, [sweep(9)]);
        books.advance(Swept { project, outreach, cause, done: 2 });
        assert!(books.sweeps.is_empty());
    }
}
