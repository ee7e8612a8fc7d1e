//! Customers, wherever they are: in memory or in the state store.
//!
//! Readers look, and what they read from the store they do not keep: a list of everybody must not
//! drive out those who are busy. The applier holds: whom it is about to judge comes into memory and
//! stays at least until its turn ends and [`Shared::settle`] lets others go.

use std::sync::atomic::{AtomicUsize, Ordering};

use engine::customer::Customer;
use engine::ids::{CustomerId, ProjectNo};
use store::state::{Keyspace, StateError};

use crate::customer_row::{self, Pool};
use crate::known::Stands;
use crate::limits::MAX_REDIRECTS;
use crate::locks::{read, write};
use crate::partition::{Found, Key};
use crate::rows;
use crate::shared::Shared;

/// How much of the customers is in memory.
pub(crate) struct Memory {
    /// How many bytes there may be. Whom no checkpoint has written yet stays beyond it.
    most: usize,
    /// How many there were at the end of the latest turn, roughly.
    held: AtomicUsize,
    /// Customers looked for by the applier since then.
    asked: AtomicUsize,
    /// The keys of their attributes.
    pub(crate) pool: Pool,
}

/// Whether somebody who is read from the store stays in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stay {
    Yes,
    No,
}

impl Memory {
    pub(crate) fn new(most: usize) -> Memory {
        Memory {
            most,
            held: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
            pool: Pool::default(),
        }
    }

    /// How many bytes of customers are in memory, roughly.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Acquire)
    }

    /// There are too many, and letting go did not help.
    pub(crate) fn is_over(&self) -> bool {
        self.held() > self.most
    }

    /// There are so many too many that nothing more is to come in before a checkpoint is written.
    pub(crate) fn is_far_over(&self) -> bool {
        self.held() / 2 > self.most
    }

    /// Whether so many bytes are worth a checkpoint, so that their customers can go.
    pub(crate) fn is_worth_writing(&self, bytes: usize) -> bool {
        bytes > self.most / 8
    }
}

impl Shared {
    /// Look at a customer.
    pub(crate) fn look<T>(
        &self,
        key: Key,
        at: impl FnOnce(&Customer) -> T,
    ) -> Result<Option<T>, StateError> {
        self.look_at(key, Stay::No, at)
    }

    /// As [`Shared::look`], for the applier: the customer stays in memory for what comes next.
    pub(crate) fn hold<T>(
        &self,
        key: Key,
        at: impl FnOnce(&Customer) -> T,
    ) -> Result<Option<T>, StateError> {
        self.memory.asked.fetch_add(1, Ordering::Relaxed);
        self.look_at(key, Stay::Yes, at)
    }

    fn look_at<T>(
        &self,
        key: Key,
        stay: Stay,
        at: impl FnOnce(&Customer) -> T,
    ) -> Result<Option<T>, StateError> {
        let partition = self.partition(key.1);
        match read(partition).find(key) {
            Found::Here(customer) => return Ok(Some(at(customer))),
            Found::Nobody => return Ok(None),
            Found::Stored(_) => {}
        }
        // Nobody but the applier takes anybody in or away, so to a reader they may be gone by now.
        let Some(customer) = self.stored(key)? else {
            return match stay {
                Stay::Yes => Err(StateError::BadRow { keyspace: Keyspace::Customers.name() }),
                Stay::No => Ok(None),
            };
        };
        Ok(Some(match stay {
            Stay::Yes => at(write(partition).load(key, customer)),
            Stay::No => at(&customer),
        }))
    }

    fn stored(&self, key: Key) -> Result<Option<Customer>, StateError> {
        let bytes = self.layers.state.get(Keyspace::Customers, &rows::customer_key(key))?;
        bytes.map(|bytes| customer_row::read(&bytes, &self.memory.pool)).transpose()
    }

    /// Follow the signposts of merged guests. `None`: there is no such customer.
    pub(crate) fn follow(
        &self,
        project: ProjectNo,
        from: CustomerId,
    ) -> Result<Option<CustomerId>, StateError> {
        Ok(self.trail(project, from, Stay::No)?.1)
    }

    /// As [`Shared::follow`], for the applier.
    pub(crate) fn follow_held(
        &self,
        project: ProjectNo,
        from: CustomerId,
    ) -> Result<Option<CustomerId>, StateError> {
        Ok(self.trail(project, from, Stay::Yes)?.1)
    }

    /// Where facts about this id go: to the customer it was merged into, or to itself.
    pub(crate) fn home(
        &self,
        project: ProjectNo,
        id: CustomerId,
    ) -> Result<CustomerId, StateError> {
        Ok(self.trail(project, id, Stay::No)?.0)
    }

    /// As [`Shared::home`], for the applier.
    pub(crate) fn home_held(
        &self,
        project: ProjectNo,
        id: CustomerId,
    ) -> Result<CustomerId, StateError> {
        Ok(self.trail(project, id, Stay::Yes)?.0)
    }

    /// The last id on the way, and whether somebody is there.
    fn trail(
        &self,
        project: ProjectNo,
        from: CustomerId,
        stay: Stay,
    ) -> Result<(CustomerId, Option<CustomerId>), StateError> {
        let mut here = from;
        for _ in 0..MAX_REDIRECTS {
            let key = (project, here);
            let into = match read(self.partition(here)).find(key) {
                Found::Here(customer) => Some(customer.merged_into),
                Found::Stored(Stands::Signpost) => None,
                // Whoever is no signpost need not be read to be told that.
                Found::Stored(_) => Some(None),
                Found::Nobody => return Ok((here, None)),
            };
            let into = match into {
                Some(into) => Some(into),
                None => self.look_at(key, stay, |customer| customer.merged_into)?,
            };
            match into {
                Some(Some(next)) => here = next,
                Some(None) => return Ok((here, Some(here))),
                None => return Ok((here, None)),
            }
        }
        Ok((here, None))
    }

    /// The end of a turn of the applier: weigh who was touched, let go of whom there is no room for.
    pub(crate) fn settle(&self) {
        if self.memory.asked.swap(0, Ordering::Relaxed) == 0 && !self.memory.is_over() {
            return;
        }
        self.settle_all();
    }

    /// The same after so many customers were looked for, for the start, which has no turns.
    pub(crate) fn settle_after(&self, count: usize) {
        if self.memory.asked.load(Ordering::Relaxed) >= count {
            self.settle();
        }
    }

    fn settle_all(&self) {
        let mut held = 0;
        for partition in &self.partitions {
            held += write(partition).weigh(&self.memory.pool);
        }
        if held > self.memory.most {
            let share = self.memory.most / self.partitions.len();
            held = self.partitions.iter().map(|partition| write(partition).evict(share)).sum();
        }
        self.memory.held.store(held, Ordering::Release);
    }
}
