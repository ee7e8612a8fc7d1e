//! A customer as they were: their own records folded again, with the project as it was then.
//!
//! Explanations of the past come from here, and so does the customer whom a refused record has
//! already changed in memory.

use std::sync::Arc;

use engine::apply::replay;
use engine::customer::Customer;
use engine::fact::Fact;
use engine::ids::ProjectNo;
use engine::project::Project;

use crate::locks::read;
use crate::partition::Key;
use crate::query::QueryError;
use crate::record::{Entry, ProjectRecord};
use crate::shared::Shared;

/// Steps through the changes of one project.
pub(crate) struct ProjectFold {
    changes: std::vec::IntoIter<(u64, ProjectRecord)>,
    next: Option<(u64, ProjectRecord)>,
    pub(crate) project: Project,
}

impl ProjectFold {
    pub(crate) fn new(shared: &Shared, no: ProjectNo) -> ProjectFold {
        let mut changes: Vec<(u64, ProjectRecord)> = Vec::new();
        for (position, record) in read(&shared.changes).iter() {
            if record.project == no {
                changes.push((*position, record.clone()));
            }
        }
        let mut changes = changes.into_iter();
        let next = changes.next();
        ProjectFold { changes, next, project: Project::new(no, "") }
    }

    /// Apply the changes before a position.
    pub(crate) fn advance(&mut self, to: u64) {
        while let Some((position, record)) = &self.next
            && *position < to
        {
            // What was accepted once is accepted again.
            if let Ok(next) = self.project.changed(&record.change, record.now) {
                self.project = next;
            }
            self.next = self.changes.next();
        }
    }
}

/// A customer of the past.
pub(crate) struct Then {
    pub(crate) customer: Customer,
    pub(crate) project: Arc<Project>,
}

/// The customer after their records before `end`; `None` when there are none left.
pub(crate) fn customer_at(shared: &Shared, key: Key, end: u64) -> Result<Option<Then>, QueryError> {
    let (then, exists) = fold(shared, key, end)?;
    Ok(exists.then_some(then))
}

/// The same; somebody who was not there yet is empty.
pub(crate) fn before(shared: &Shared, key: Key, end: u64) -> Result<Then, QueryError> {
    Ok(fold(shared, key, end)?.0)
}

fn fold(shared: &Shared, key: Key, end: u64) -> Result<(Then, bool), QueryError> {
    let mut positions = shared.layers.timeline(key, end, usize::MAX)?;
    positions.reverse();
    let mut fold = ProjectFold::new(shared, key.0);
    let mut customer = Customer::default();
    let mut exists = false;
    for position in positions {
        let entry = Entry::decode(&shared.reader.read(position)?)?;
        fold.advance(position);
        for record in entry.customers() {
            if (record.project, record.customer) != key {
                continue;
            }
            replay(
                &fold.project,
                record.customer,
                &mut customer,
                &record.fact,
                &record.ruling,
                position,
                record.now,
            );
            exists = !matches!(record.fact, Fact::Erased);
        }
    }
    fold.advance(end);
    Ok((Then { customer, project: Arc::new(fold.project) }, exists))
}
