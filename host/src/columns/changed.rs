//! Who changed since the columns were last brought up to date, for one partition.
//!
//! All that the way of an event pays is one comparison, and one push per customer between two counts.
//! The list is bounded: when nobody counts for long, it is dropped and the next count reads the
//! partition again, as the first one does.

use engine::ids::{CustomerId, ProjectNo};

/// Changed customers of one partition that are remembered: 64 partitions make two millions.
const MOST: usize = 32_768;

/// The changed customers of a partition.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    /// Grows with each taking; 0: nobody counts.
    epoch: u32,
    keys: Vec<(ProjectNo, CustomerId)>,
    /// How often the list was dropped.
    dropped: u64,
}

/// What is to be read again.
pub(crate) enum Again {
    /// These customers.
    These(Vec<CustomerId>),
    /// The whole partition: who changed since is not known.
    All,
}

impl Changed {
    /// A customer is about to be changed. `mark` is theirs.
    pub(crate) fn note(&mut self, mark: &mut u32, key: (ProjectNo, CustomerId)) {
        if *mark != self.epoch {
            *mark = self.epoch;
            self.push(key);
        }
    }

    /// A customer without a mark is about to go or to come.
    pub(crate) fn push(&mut self, key: (ProjectNo, CustomerId)) {
        if self.epoch == 0 {
            return;
        }
        if self.keys.len() >= MOST {
            self.keys = Vec::new();
            self.dropped += 1;
            self.epoch = 0;
            return;
        }
        self.keys.push(key);
    }

    /// What changed in a project since its columns were here. `seen` is theirs: which list it was.
    pub(crate) fn take(&mut self, project: ProjectNo, seen: &mut Option<u64>) -> Again {
        // Whoever is changed from here on is noted again. Marks start at 0, so 0 is left out.
        self.epoch = self.epoch.wrapping_add(1).max(1);
        let (own, others) = self.keys.iter().partition::<Vec<_>, _>(|(no, _)| *no == project);
        self.keys = others;
        if seen.replace(self.dropped) == Some(self.dropped) {
            Again::These(own.into_iter().map(|(_, id)| id).collect())
        } else {
            Again::All
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: ProjectNo = ProjectNo(1);
    const OTHER: ProjectNo = ProjectNo(2);

    fn these(again: Again) -> Option<Vec<u128>> {
        match again {
            Again::These(ids) => Some(ids.iter().map(|id| id.0).collect()),
            Again::All => None,
        }
    }

    #[test]
    fn each_change_is_told_once_to_each_project() {
        let (mut changed, mut seen, mut seen_other) = (Changed::default(), None, None);
        let mut mark = 0;
        changed.note(&mut mark, (SHOP, CustomerId(1)));
        assert!(these(changed.take(SHOP, &mut seen)).is_none(), "nobody counted before");
        assert!(these(changed.take(OTHER, &mut seen_other)).is_none());
        for _ in 0..2 {
            changed.note(&mut mark, (SHOP, CustomerId(1)));
        }
        changed.push((OTHER, CustomerId(9)));
        assert_eq!(these(changed.take(SHOP, &mut seen)), Some(vec![1]));
        changed.note(&mut mark, (SHOP, CustomerId(1)));
        assert_eq!(these(changed.take(OTHER, &mut seen_other)), Some(vec![9]));
        assert_eq!(these(changed.take(SHOP, &mut seen)), Some(vec![1]));
        assert_eq!(these(changed.take(SHOP, &mut seen)), Some(vec![]));
    }

    #[test]
    fn a_list_that_grew_too_long_asks_for_everything() {
        let (mut changed, mut seen) = (Changed::default(), None);
        changed.take(SHOP, &mut seen);
        for number in 0..=MOST as u128 {
            changed.push((SHOP, CustomerId(number)));
        }
        changed.push((SHOP, CustomerId(1)));
        assert!(these(changed.take(SHOP, &mut seen)).is_none());
        changed.push((SHOP, CustomerId(2)));
        assert_eq!(these(changed.take(SHOP, &mut seen)), Some(vec![2]));
    }
}
