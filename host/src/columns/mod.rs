//! All customers of a project in columns, so that a filter is counted without walking them.
//!
//! A mirror of what conditions may ask: attributes, when events happened, what became of outreaches,
//! zones, consent. A condition is a scan over one column that yields a bit per customer, groups join
//! bits, counts are the bits that are set. What a column cannot say exactly (properties of past
//! events, prose, a value of an unusual kind) is asked of the row, for just those customers; so the
//! answer is always that of the rows.
//!
//! The way of an event does not come by here: it leaves the customer's id behind ([`changed`]), and
//! whoever counts reads those rows again first.
//!
//! Pure data: no locks, no clock, no disk. `slots` whose is which · `piece` bits and planes ·
//! `dictionary`, `column` attributes · `series` events · `zones` · `plan` condition → scans · `scan`
//! one question, one piece · `count` all of them, added up.

pub(crate) mod changed;
mod slots;
mod piece;
mod dictionary;
mod column;
mod series;
mod zones;
mod plan;
mod dates;
mod scan;
mod count;

pub use count::{Counted, Question, Reachable, Rows};

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::condition::eval::{bucket_of, steps};
use engine::customer::{Customer, Tally};
use engine::decision::channel_refusal;
use engine::ids::{CustomerId, OutreachNo};
use engine::outreach::content::OutreachType;
use engine::outreach::definition::OutreachStep;
use engine::project::Settings;
use engine::time::Timestamp;
use engine::value::Value;

use column::Column;
use piece::Plane;
use series::Series;
use slots::Slots;
use zones::Zones;

/// Attributes that have a column; conditions on others ask the rows.
const COLUMNS: usize = 1_000;
/// Events and steps of outreaches that have a series; conditions on others ask the rows.
const SERIES: usize = 4_000;
/// Salts whose shares are kept; the oldest makes room.
const SALTS: usize = 8;
/// Channels that can refuse a customer; two bits each say whether they do when the project assumes
/// consent and when it does not.
const CHANNELS: [OutreachType; 4] =
    [OutreachType::Email, OutreachType::Sms, OutreachType::Whatsapp, OutreachType::Push];
const STEPS: [OutreachStep; 6] = [
    OutreachStep::Sent,
    OutreachStep::Displayed,
    OutreachStep::Clicked,
    OutreachStep::Answered,
    OutreachStep::Dismissed,
    OutreachStep::Converted,
];
/// Attributes that a customer has without being told, when no attribute is called so.
const COMPUTED: [&str; 5] = ["first_seen", "is_guest", "last_seen", "session_count", "user_id"];
const NOT_SEEN: i64 = i64::MIN;

/// What happens to a customer again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Happening {
    Event(u64),
    Step(OutreachNo, u8),
}

/// The customers of one project in columns.
#[derive(Debug)]
pub struct Mirror {
    slots: Slots,
    columns: BTreeMap<Arc<str>, Column>,
    series: BTreeMap<Happening, Series>,
    /// Some have no column or series.
    is_full: bool,
    zones: Zones,
    first_seen: Plane<i64>,
    refusals: Plane<u8>,
    shares: Vec<(String, Plane<u16>)>,
    buffer: Vec<u8>,
}

impl Default for Mirror {
    fn default() -> Mirror {
        let columns = COMPUTED.iter().map(|key| (Arc::from(*key), Column::new())).collect();
        Mirror {
            slots: Slots::default(),
            columns,
            series: BTreeMap::new(),
            is_full: false,
            zones: Zones::default(),
            first_seen: Plane::new(NOT_SEEN),
            refusals: Plane::new(0),
            shares: Vec::new(),
            buffer: Vec::new(),
        }
    }
}

impl Mirror {
    /// How many customers there are.
    pub fn len(&self) -> usize {
        self.slots.count()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Everybody.
    pub fn ids(&self) -> impl Iterator<Item = CustomerId> + '_ {
        self.slots.ids().map(|(_, id)| id)
    }

    /// Read a customer again. Guests that became part of somebody are nobody.
    pub fn set(&mut self, id: CustomerId, customer: &Customer) {
        if customer.merged_into.is_some() {
            self.remove(id);
            return;
        }
        let Some((slot, is_new)) = self.slots.find_or_add(id) else { return };
        self.set_attributes(slot, customer);
        self.set_series(slot, customer, is_new);
        self.zones.set(slot, customer.text("timezone"));
        let seen = customer.first_seen.map_or(NOT_SEEN, |at| at.0);
        self.first_seen.set(slot, seen);
        self.refusals.set(slot, refusals(customer));
        if is_new {
            for (salt, plane) in &mut self.shares {
                plane.set(slot, share(salt, id));
            }
        }
    }

    /// Forget a customer.
    pub fn remove(&mut self, id: CustomerId) {
        let Some(slot) = self.slots.remove(id) else { return };
        for column in self.columns.values_mut() {
            column.set(slot, None);
        }
        for series in self.series.values_mut() {
            series.set(slot, std::iter::empty(), &mut self.buffer);
        }
        self.zones.remove(slot);
        self.first_seen.set(slot, NOT_SEEN);
        self.refusals.set(slot, 0);
    }

    /// Bytes of memory, by what they hold: slots, attributes, series, the rest.
    pub fn memory(&self) -> [(&'static str, usize); 4] {
        let columns = self.columns.values().map(Column::bytes).sum();
        let series = self.series.values().map(Series::bytes).sum();
        let shares: usize = self.shares.iter().map(|(_, plane)| plane.bytes()).sum();
        let rest = self.zones.bytes() + self.first_seen.bytes() + self.refusals.bytes() + shares;
        [
            ("slots", self.slots.bytes()),
            ("attributes", columns),
            ("series", series),
            ("the rest", rest),
        ]
    }

    fn set_attributes(&mut self, slot: u32, customer: &Customer) {
        let mut unknown = false;
        let mut attributes = customer.attributes.iter().peekable();
        for (key, column) in &mut self.columns {
            while attributes.next_if(|(own, _)| *own < key).is_some() {
                unknown = true;
            }
            match attributes.next_if(|(own, _)| *own == key) {
                Some((_, attribute)) => column.set(slot, Some(&attribute.value)),
                None => compute(column, slot, key, customer),
            }
        }
        if !unknown && attributes.next().is_none() {
            return;
        }
        for (key, attribute) in &customer.attributes {
            if self.columns.contains_key(key) {
                continue;
            }
            if self.columns.len() >= COLUMNS {
                self.is_full = true;
                return;
            }
            let mut column = Column::new();
            column.set(slot, Some(&attribute.value));
            self.columns.insert(key.clone(), column);
        }
    }

    fn set_series(&mut self, slot: u32, customer: &Customer, is_new: bool) {
        if !is_new {
            let has = |happening: &Happening| match happening {
                Happening::Event(key) => customer.series.contains_key(key),
                Happening::Step(no, _) => customer.tallies.contains_key(no),
            };
            for (happening, series) in &mut self.series {
                if !has(happening) {
                    series.set(slot, std::iter::empty(), &mut self.buffer);
                }
            }
        }
        for (key, series) in &customer.series {
            let times = series.occurrences.iter().rev().map(|occurrence| occurrence.at.0);
            self.note(Happening::Event(*key), slot, times);
        }
        for (no, tally) in &customer.tallies {
            for step in STEPS {
                self.note_step(*no, step, slot, tally);
            }
        }
    }

    fn note_step(&mut self, no: OutreachNo, step: OutreachStep, slot: u32, tally: &Tally) {
        let moments = steps(tally, step);
        let happening = Happening::Step(no, place_of_step(step));
        if moments.is_sorted() {
            self.note(happening, slot, moments.iter().rev().map(|at| at.0));
            return;
        }
        let mut moments: Vec<Timestamp> = moments.to_vec();
        moments.sort_unstable();
        self.note(happening, slot, moments.iter().rev().map(|at| at.0));
    }

    fn note(
        &mut self,
        happening: Happening,
        slot: u32,
        times: impl ExactSizeIterator<Item = i64> + Clone,
    ) {
        if let Some(series) = self.series.get_mut(&happening) {
            series.set(slot, times, &mut self.buffer);
        } else if times.len() > 0 {
            if self.series.len() >= SERIES {
                self.is_full = true;
                return;
            }
            let mut series = Series::new();
            series.set(slot, times, &mut self.buffer);
            self.series.insert(happening, series);
        }
    }

    /// Everybody's place in the order of a salt.
    fn lay_out_share(&mut self, salt: &str) {
        if self.shares.iter().any(|(known, _)| known == salt) {
            return;
        }
        let mut plane = Plane::new(u16::MAX);
        for (slot, id) in self.slots.ids() {
            plane.set(slot, share(salt, id));
        }
        if self.shares.len() >= SALTS {
            self.shares.remove(0);
        }
        self.shares.push((salt.to_owned(), plane));
    }
}

/// What a customer has without being told.
fn compute(column: &mut Column, slot: u32, key: &str, customer: &Customer) {
    match key {
        "first_seen" => column.set_moment(slot, customer.first_seen),
        "last_seen" => column.set_moment(slot, customer.last_seen),
        "is_guest" => column.set(slot, Some(&Value::Bool(customer.is_guest()))),
        "session_count" => column.set(slot, customer.attribute(key).as_ref()),
        // Everybody has another one and hardly anybody counts by it.
        "user_id" => column.set_elsewhere(slot, !customer.is_guest()),
        _ => column.set(slot, None),
    }
}

fn place_of_step(step: OutreachStep) -> u8 {
    STEPS.iter().zip(0..).find(|(known, _)| **known == step).map_or(0, |(_, place)| place)
}

/// See [`CHANNELS`].
fn refusals(customer: &Customer) -> u8 {
    let mut bits = 0;
    for (channel, place) in CHANNELS.into_iter().zip([0, 2, 4, 6]) {
        for (consent_by_default, bit) in [(true, 1), (false, 2)] {
            let settings = Assumed::of(consent_by_default);
            if channel_refusal(channel, "", customer, settings).is_some() {
                bits |= bit << place;
            }
        }
    }
    bits
}

/// Settings that differ in what they assume about consent.
struct Assumed;

impl Assumed {
    fn of(consent_by_default: bool) -> &'static Settings {
        use std::sync::LazyLock;
        static YES: LazyLock<Settings> =
            LazyLock::new(|| Settings { consent_by_default: true, ..Settings::default() });
        static NO: LazyLock<Settings> =
            LazyLock::new(|| Settings { consent_by_default: false, ..Settings::default() });
        if consent_by_default { &YES } else { &NO }
    }
}

fn share(salt: &str, id: CustomerId) -> u16 {
    // Less than ten thousand.
    u16::try_from(bucket_of(salt, id)).unwrap_or(u16::MAX)
}
