//! Who matches a filter, asked of all customers: exact, for the moment of the question.
//!
//! Customers are counted in columns ([`crate::columns`]). The first count of a project reads all its
//! customers into them, and takes about as long as walking them once; later ones read again who
//! changed since. Two counts of one project take turns.

use std::collections::BTreeMap;
use std::num::NonZero;
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

use crate::columns::changed::Again;
use crate::columns::{Mirror, Question, Reachable};
use crate::history::{LogHistory, Parsed};
use crate::limits::{COUNTING_THREADS, READ_PER_LOCK};
use crate::locks::{lock, read, write};
use crate::open::Host;
use crate::shared::Shared;

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
    pub fn estimate(
        &self,
        project: ProjectNo,
        filter: Option<&Condition>,
        reach: Reach<'_>,
    ) -> Count {
        let shared = &*self.shared;
        let Some(project) = shared.project(project) else {
            return Count { at: self.now(), ..Count::default() };
        };
        let mirrored = Arc::clone(lock(&shared.mirrors.0).entry(project.no).or_default());
        let mut mirrored = lock(&mirrored);
        let at = self.now();
        mirrored.refresh(shared, project.no);
        let reached = |id| {
            let Reach::Outreach(outreach) = reach else { return true };
            let refuses = |customer: &Customer| {
                reach_refusal(outreach, customer, &project.settings).is_some()
            };
            shared.look((project.no, id), refuses) == Some(false)
        };
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
            threads: std::thread::available_parallelism()
                .map_or(1, NonZero::get)
                .min(COUNTING_THREADS),
        };
        let counted = mirrored
            .mirror
            .count(&question, &|id, condition| ask_row(shared, &project, id, condition, at));
        Count { estimate: counted.estimate, sample: counted.sample, at }
    }
}

impl Mirrored {
    /// Read again who changed since the last count, or everybody.
    fn refresh(&mut self, shared: &Shared, project: ProjectNo) {
        self.seen.resize(shared.partitions.len(), None);
        for ((partition, seen), number) in shared.partitions.iter().zip(&mut self.seen).zip(0_u8..)
        {
            let again = write(partition).changed.take(project, seen);
            let ids = match again {
                Again::These(ids) => ids,
                Again::All => {
                    // Whoever is in the columns may be gone.
                    let before = self.mirror.ids().filter(|id| id.partition() == number);
                    let mut ids: Vec<CustomerId> = before.collect();
                    let partition = read(partition);
                    let own = partition.iter().filter(|((no, _), _)| *no == project);
                    ids.extend(own.map(|((_, id), _)| *id));
                    ids
                }
            };
            for ids in ids.chunks(READ_PER_LOCK) {
                let partition = read(partition);
                for id in ids {
                    match partition.get((project, *id)) {
                        Some(customer) => self.mirror.set(*id, customer),
                        None => self.mirror.remove(*id),
                    }
                }
            }
        }
    }
}

/// What the columns cannot say. Whoever is gone meanwhile matches nothing.
fn ask_row(
    shared: &Shared,
    project: &Project,
    id: CustomerId,
    condition: &Condition,
    now: Timestamp,
) -> bool {
    let parsed = Parsed::default();
    let at_hand = (u64::MAX, &[][..]);
    let history = LogHistory { reader: &shared.reader, project, parsed: &parsed, at_hand };
    let holds = |customer: &Customer| {
        holds(condition, &ask(project, id, customer, Occasion::Question, now, &history))
    };
    shared.look((project.no, id), holds) == Some(true)
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
