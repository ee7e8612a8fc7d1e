//! Who matches a filter, asked of all customers: exact, for the moment of the question.
//!
//! Customers are counted in columns ([`crate::columns`]). The first count of a project reads all its
//! customers into them, and takes about as long as walking them once; later ones read again who
//! changed since. Two counts of one project take turns.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use engine::condition::holds;
use engine::customer::Customer;
use engine::decision::reach_refusal;
use engine::estimate::Estimate;
use engine::ids::{CustomerId, ProjectNo};
use engine::outreach::compiled::{Condition, Outreach};
use engine::outreach::content::OutreachType;
use engine::project::Project;
use engine::situation::{History, Occasion, Situation};
use engine::time::Timestamp;
use store::state::StateError;

use crate::columns::changed::Again;
use crate::columns::{Mirror, Question, Reachable};
use crate::history::{LogHistory, Parsed};
use crate::limits::COUNTING_THREADS;
use crate::locks::{lock, read, write};
use crate::open::Host;
use crate::query::QueryError;
use crate::shared::Shared;
use crate::walk::Walk;

/// Customers shown beside an estimate.
const SAMPLE: usize = 10;

/// The columns of the projects that were counted.
#[derive(Default)]
pub(crate) struct Mirrors(Mutex<BTreeMap<ProjectNo, Arc<Mutex<Mirrored>>>>);

/// The columns of a project, and up to where they know each partition.
#[derive(Default)]
struct Mirrored {
    mirror: Mirror,
    seen: Vec<Option<u64>>,
}

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
        let shared = &*self.shared;
        let Some(project) = shared.project(project) else {
            return Ok(Count { at: self.now(), ..Count::default() });
        };
        let mirrored = Arc::clone(lock(&shared.mirrors.0).entry(project.no).or_default());
        let mut mirrored = lock(&mirrored);
        let at = self.now();
        mirrored.refresh(shared, project.no)?;
        let rows = Asked { shared, project: &project, now: at, fault: Mutex::default() };
        let reached = |id| match reach {
            Reach::Outreach(outreach) => rows.is_reached(id, outreach),
            Reach::Anyhow | Reach::Channel(_) => true,
        };
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let question = Question {
            project: &project,
            filter,
            reach: match reach {
                Reach::Anyhow => Reachable::Anyhow,
                Reach::Channel(channel) => Reachable::Channel(channel),
                Reach::Outreach(_) => Reachable::Row(&reached),
            },
            now: at,
            sample: SAMPLE,
            threads: threads.min(COUNTING_THREADS),
        };
        let counted = mirrored.mirror.count(&question, &|id, condition| rows.holds(id, condition));
        if let Some(fault) = lock(&rows.fault).take() {
            return Err(fault.into());
        }
        Ok(Count { estimate: counted.estimate, sample: counted.sample, at })
    }
}

impl Mirrored {
    /// Read again who changed since the last count, or everybody.
    fn refresh(&mut self, shared: &Shared, project: ProjectNo) -> Result<(), StateError> {
        let read = self.read_again(shared, project);
        if read.is_err() {
            // Some may have been left out.
            self.seen.clear();
        }
        read
    }

    fn read_again(&mut self, shared: &Shared, project: ProjectNo) -> Result<(), StateError> {
        self.seen.resize(shared.partitions.len(), None);
        let (mut these, mut all) = (Vec::new(), false);
        for (partition, seen) in shared.partitions.iter().zip(&mut self.seen) {
            match write(partition).changed.take(project, seen) {
                Again::These(ids) => these.extend(ids),
                Again::All => all = true,
            }
        }
        let mirror = &mut self.mirror;
        if all {
            let is_gone = |id: &CustomerId| !read(shared.partition(*id)).known.has((project, *id));
            let gone: Vec<CustomerId> = mirror.ids().filter(is_gone).collect();
            for id in gone {
                mirror.remove(id);
            }
            return Walk { signposts: true, ..Walk::of(project) }.visit(shared, |id, customer| {
                mirror.set(id, customer);
                ControlFlow::Continue(())
            });
        }
        for id in these {
            if shared.look((project, id), |customer| mirror.set(id, customer))?.is_none() {
                mirror.remove(id);
            }
        }
        Ok(())
    }
}

/// What the columns cannot say is asked here.
struct Asked<'a> {
    shared: &'a Shared,
    project: &'a Project,
    now: Timestamp,
    fault: Mutex<Option<StateError>>,
}

impl Asked<'_> {
    fn holds(&self, id: CustomerId, condition: &Condition) -> bool {
        let (reader, project) = (&self.shared.reader, self.project);
        let parsed = Parsed::default();
        let history = LogHistory { reader, project, parsed: &parsed, at_hand: (u64::MAX, &[]) };
        self.look(id, |customer| {
            holds(condition, &ask(project, id, customer, Occasion::Question, self.now, &history))
        })
    }

    fn is_reached(&self, id: CustomerId, outreach: &Outreach) -> bool {
        let settings = &self.project.settings;
        self.look(id, |customer| reach_refusal(outreach, customer, settings).is_none())
    }

    /// Whoever is gone meanwhile matches nothing.
    fn look(&self, id: CustomerId, at: impl FnOnce(&Customer) -> bool) -> bool {
        match self.shared.look((self.project.no, id), at) {
            Ok(answer) => answer == Some(true),
            Err(fault) => {
                lock(&self.fault).get_or_insert(fault);
                false
            }
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
