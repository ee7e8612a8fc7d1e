//! A small living shop: customers who come, look, buy and sometimes stay away, from a seed.
//!
//! The demo is played by it through the real engine, so that every screen is full, every number
//! adds up and every reason for a refusal occurs. The same seed gives the same customers, the same
//! events and the same ids.

mod dice;
mod outreaches;
mod people;
mod play;
mod visit;

pub use dice::Dice;
pub use outreaches::{ONE_OFF, OUTREACHES, SEGMENTS};
pub use people::Shopper;
pub use play::{PlayError, Stage, command};

use std::collections::BTreeMap;

use engine::fact::Names;
use engine::time::Timestamp;
use engine::value::Value;

/// Milliseconds of a day.
pub const DAY: i64 = 86_400_000;

/// Something a customer of the shop does.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// When.
    pub at: Timestamp,
    /// Who, as their browser knows them.
    pub names: Names,
    /// What makes it distinct.
    pub id: String,
    /// What.
    pub deed: Deed,
}

/// What a customer does.
#[derive(Clone, Debug, PartialEq)]
pub enum Deed {
    /// Their attributes become known.
    Identify(BTreeMap<String, Option<Value>>),
    /// An event.
    Track {
        /// Its name.
        event: &'static str,
        /// A JSON object.
        properties: serde_json::Value,
        /// The path of the page.
        page: String,
    },
}

/// The shop.
#[derive(Debug)]
pub struct Shop {
    dice: Dice,
    shoppers: Vec<Shopper>,
    orders: u32,
    acts: u64,
    seed: u64,
}

impl Shop {
    /// A shop with this many customers.
    pub fn new(seed: u64, customers: usize) -> Shop {
        let mut dice = Dice::new(seed);
        let shoppers = (0..customers).map(|number| Shopper::new(number, &mut dice)).collect();
        Shop { dice, shoppers, orders: 10_000, acts: 0, seed }
    }

    /// Everything that happens on the day that begins at `midnight`, in order of time.
    pub fn day(&mut self, midnight: Timestamp) -> Vec<Act> {
        let mut acts = Vec::new();
        for number in 0..self.shoppers.len() {
            if self.visits_today(number) {
                self.visit(number, midnight, &mut acts);
            }
        }
        acts.sort_by_key(|act| act.at);
        acts
    }

    /// One customer's visit that begins now, for a shop that goes on living.
    pub fn visit_now(&mut self, now: Timestamp) -> Vec<Act> {
        let mut acts = Vec::new();
        let number = self.dice.below(self.shoppers.len().max(1));
        self.visit(number, Timestamp(now.0 - 9 * 3_600_000), &mut acts);
        let first = acts.first().map_or(now, |act| act.at);
        for act in &mut acts {
            act.at = Timestamp(now.0 + (act.at.0 - first.0));
        }
        acts
    }

    fn visits_today(&mut self, number: usize) -> bool {
        let eagerness = self.shoppers.get(number).map_or(0.0, |shopper| shopper.eagerness);
        self.dice.chance(eagerness)
    }

    fn next_id(&mut self) -> String {
        self.acts += 1;
        format!("shop-{}-{}", self.seed, self.acts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_lives_the_same_days() {
        let day = |seed| {
            let mut shop = Shop::new(seed, 50);
            (shop.day(Timestamp(0)), shop.day(Timestamp(DAY)))
        };
        assert_eq!(day(7), day(7));
        assert_ne!(day(7), day(8));
    }

    #[test]
    fn a_week_of_the_shop_through_the_real_engine() {
        let folder = tempfile::tempdir().unwrap();
        let start = Timestamp::parse("2026-03-02T00:00:00Z").unwrap();
        let clock = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(start.0));
        let options = host::Options {
            clock: host::Clock::Virtual(std::sync::Arc::clone(&clock)),
            sync: false,
            ..host::Options::default()
        };
        let host = host::Host::open(folder.path(), options).unwrap();
        let project = host.next_project_no();
        let created = engine::project::ProjectChange::Created { id: "demo".to_owned() };
        let commands = vec![host::command::Command::Change(created)];
        host.submit_and_wait(host::command::Submission { project, commands }).unwrap();
        let mut shop = Shop::new(3, 150);
        let mut stage = Stage::new(&host, clock, project, 3);
        stage.set().unwrap();
        for day in 0..7 {
            stage.day(&mut shop, start.plus_ms(day * DAY)).unwrap();
        }
        stage.launch().unwrap();
        let counts = host.counts(project);
        let (sends, skips): (u64, u64) = counts.values().fold((0, 0), |(sends, skips), count| {
            (sends + count.sends, skips + count.skips.values().sum::<u64>())
        });
        assert!(host.customer_count(project) > 50);
        assert!(sends > 100 && skips > 100, "{sends} sends and {skips} skips");
    }

    #[test]
    fn acts_come_in_order_and_are_distinct() {
        let mut shop = Shop::new(1, 200);
        let acts = shop.day(Timestamp(0));
        assert!(acts.len() > 100, "a day of 200 customers has {} acts", acts.len());
        assert!(acts.is_sorted_by_key(|act| act.at));
        let ids: std::collections::HashSet<_> = acts.iter().map(|act| &act.id).collect();
        assert_eq!(ids.len(), acts.len());
    }
}
