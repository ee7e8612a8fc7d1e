//! Who there is: the ids of all customers of a partition, in memory whoever else is not.
//!
//! An id that nobody has must not cost a look at the disk, and lists go by ids; 1 M of them take
//! some 30 MB. In the state store they are what became of ids from checkpoint to checkpoint, in
//! that order: a start reads long rows one after the other instead of one row for each customer.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use engine::ids::{CustomerId, ProjectNo};
use serde::{Deserialize, Serialize};

use crate::partition::Key;

/// What an id stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stands {
    /// A customer or guest.
    Customer,
    /// A guest that became part of another customer.
    Signpost,
    /// Nobody any more.
    Nobody,
}

/// What became of an id.
pub(crate) type Turn = (Key, Stands);

/// The ids of one partition.
#[derive(Default)]
pub(crate) struct Known {
    projects: BTreeMap<ProjectNo, Ids>,
    /// Since the latest cut.
    turns: Vec<Turn>,
}

#[derive(Default)]
struct Ids {
    customers: BTreeSet<CustomerId>,
    signposts: BTreeSet<CustomerId>,
}

impl Known {
    pub(crate) fn has(&self, key: Key) -> bool {
        self.stands(key) != Stands::Nobody
    }

    /// What an id stands for.
    pub(crate) fn stands(&self, (project, id): Key) -> Stands {
        match self.projects.get(&project) {
            Some(ids) if ids.customers.contains(&id) => Stands::Customer,
            Some(ids) if ids.signposts.contains(&id) => Stands::Signpost,
            Some(_) | None => Stands::Nobody,
        }
    }

    /// From the state store.
    pub(crate) fn load(&mut self, ((project, id), stands): Turn) {
        let ids = self.projects.entry(project).or_default();
        match stands {
            Stands::Customer => {
                ids.signposts.remove(&id);
                ids.customers.insert(id);
            }
            Stands::Signpost => {
                ids.customers.remove(&id);
                ids.signposts.insert(id);
            }
            Stands::Nobody => {
                ids.customers.remove(&id);
                ids.signposts.remove(&id);
            }
        }
    }

    /// From here on an id stands for this; the next checkpoint has to write it.
    pub(crate) fn set(&mut self, key: Key, stands: Stands) {
        self.load((key, stands));
        self.turns.push((key, stands));
    }

    /// What became of ids since the last time.
    pub(crate) fn take_turns(&mut self) -> Vec<Turn> {
        std::mem::take(&mut self.turns)
    }

    /// Everybody, as if they had just come.
    pub(crate) fn all(&self) -> impl Iterator<Item = Turn> {
        self.projects.iter().flat_map(|(project, ids)| {
            let customers = ids.customers.iter().map(|id| ((*project, *id), Stands::Customer));
            customers.chain(ids.signposts.iter().map(|id| ((*project, *id), Stands::Signpost)))
        })
    }

    /// How many customers of a project there are, signposts aside.
    pub(crate) fn count(&self, project: ProjectNo) -> usize {
        self.projects.get(&project).map_or(0, |ids| ids.customers.len())
    }

    /// All projects that have anybody.
    pub(crate) fn projects(&self) -> impl Iterator<Item = ProjectNo> {
        self.projects.keys().copied()
    }

    /// Some ids of a project in their order, after one of them.
    pub(crate) fn after(
        &self,
        project: ProjectNo,
        after: Option<CustomerId>,
        signposts: bool,
        limit: usize,
    ) -> Vec<CustomerId> {
        let Some(ids) = self.projects.get(&project) else { return Vec::new() };
        let range = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let mut found: Vec<CustomerId> = ids.customers.range(range).take(limit).copied().collect();
        if signposts {
            found.extend(ids.signposts.range(range).take(limit));
            found.sort_unstable();
            found.truncate(limit);
        }
        found
    }
}
