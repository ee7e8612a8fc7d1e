//! Everybody of a project, one after the other, wherever they are.
//!
//! In the order of their ids, which is the order of the rows, so that those who are not in memory
//! are read from the store many at a time and nobody is driven out for them. No lock is held for
//! longer than one look. Each customer is seen whole, as of a moment within the walk; a walk by the
//! applier, who alone changes anybody, sees all at one moment.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::ControlFlow;

use engine::customer::Customer;
use engine::ids::{CustomerId, ProjectNo};
use store::state::{Keyspace, Order, StateError};

use crate::customer_row;
use crate::limits::{WALKED_AT_ONCE, WALKED_IDS};
use crate::locks::{read, write};
use crate::partition::Found;
use crate::rows;
use crate::shared::Shared;

/// The ids of a project in their order, merged from all partitions, some at a time.
struct Ids<'a> {
    shared: &'a Shared,
    project: ProjectNo,
    signposts: bool,
    /// The next id of each partition.
    next: BinaryHeap<Reverse<(CustomerId, usize)>>,
    /// What follows, the nearest last.
    behind: Vec<Vec<CustomerId>>,
}

impl<'a> Ids<'a> {
    fn new(shared: &'a Shared, walk: &Walk) -> Ids<'a> {
        let behind = shared.partitions.iter().map(|_| Vec::new()).collect();
        let next = BinaryHeap::new();
        let mut ids =
            Ids { shared, project: walk.project, signposts: walk.signposts, next, behind };
        for place in 0..shared.partitions.len() {
            ids.refill(place, walk.after);
        }
        ids
    }

    fn refill(&mut self, place: usize, after: Option<CustomerId>) {
        let (Some(partition), Some(behind)) =
            (self.shared.partitions.get(place), self.behind.get_mut(place))
        else {
            return;
        };
        *behind = read(partition).known.after(self.project, after, self.signposts, WALKED_IDS);
        behind.reverse();
        if let Some(first) = behind.pop() {
            self.next.push(Reverse((first, place)));
        }
    }
}

impl Iterator for Ids<'_> {
    type Item = CustomerId;

    fn next(&mut self) -> Option<CustomerId> {
        let Reverse((id, place)) = self.next.pop()?;
        match self.behind.get_mut(place).and_then(Vec::pop) {
            Some(next) => self.next.push(Reverse((next, place))),
            None => self.refill(place, Some(id)),
        }
        Some(id)
    }
}

/// Whom to visit.
#[derive(Clone, Copy)]
pub(crate) struct Walk {
    pub(crate) project: ProjectNo,
    /// From here on, exclusive.
    pub(crate) after: Option<CustomerId>,
    /// Merged guests too.
    pub(crate) signposts: bool,
}

impl Walk {
    /// All customers of a project.
    pub(crate) fn of(project: ProjectNo) -> Walk {
        Walk { project, after: None, signposts: false }
    }

    /// Visit them in the order of their ids until `visit` breaks off.
    pub(crate) fn visit(
        self,
        shared: &Shared,
        mut visit: impl FnMut(CustomerId, &Customer) -> ControlFlow<()>,
    ) -> Result<(), StateError> {
        let mut ids = Ids::new(shared, &self);
        loop {
            let chunk: Vec<CustomerId> = ids.by_ref().take(WALKED_AT_ONCE).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            let mut stored = stored(shared, self.project, &chunk)?.into_iter().peekable();
            for id in chunk {
                let seen = match stored.next_if(|(stored, _)| *stored == id) {
                    Some((_, customer)) => Some(visit(id, &customer)),
                    None => shared.look((self.project, id), |customer| visit(id, customer))?,
                };
                if seen.is_some_and(|flow| flow.is_break()) {
                    return Ok(());
                }
            }
        }
    }
}

/// Bring those of some ids who are not in memory there, read together, for the applier; the ids are
/// in their order. Others may still be missing.
pub(crate) fn warm(
    shared: &Shared,
    project: ProjectNo,
    ids: &[CustomerId],
) -> Result<(), StateError> {
    for (id, customer) in stored(shared, project, ids)? {
        write(shared.partition(id)).load((project, id), customer);
    }
    Ok(())
}

/// Those of some ids who are not in memory, read together. Whoever is missing here and in
/// memory both is looked for again one by one.
fn stored(
    shared: &Shared,
    project: ProjectNo,
    ids: &[CustomerId],
) -> Result<Vec<(CustomerId, Customer)>, StateError> {
    let is_stored = |id: &&CustomerId| {
        let key = (project, **id);
        matches!(read(shared.partition(key.1)).find(key), Found::Stored(_))
    };
    // Who is asked for is settled before the store is: whoever leaves memory later may stand
    // there in a newer row.
    let wanted: Vec<CustomerId> = ids.iter().filter(is_stored).copied().collect();
    let (mut found, mut passed) = (Vec::new(), 0);
    if wanted.len() < ids.len() / 8 {
        return Ok(found);
    }
    let mut wanted = wanted.into_iter().peekable();
    let Some(first) = wanted.peek() else { return Ok(found) };
    let from = rows::customer_key((project, *first));
    let to = rows::customer_key((project, CustomerId(u128::MAX)));
    // The last of all ids would be a hash of all ones, which nobody has.
    for row in shared.layers.state.range(Keyspace::Customers, &from..&to, Order::Forward) {
        let (key, bytes) = row?;
        let Some((_, id)) = rows::read_customer_key(&key) else { continue };
        // Whoever has no row any more was forgotten meanwhile.
        while wanted.next_if(|wanted| *wanted < id).is_some() {}
        match wanted.peek() {
            None => break,
            Some(next) if *next == id => {
                found.push((id, customer_row::read(&bytes, &shared.memory.pool)?));
                wanted.next();
            }
            // They lie too far apart to be read together.
            Some(_) if passed > ids.len() => break,
            Some(_) => passed += 1,
        }
    }
    Ok(found)
}
