//! The properties of past events, read from the log by the position of their record.

use std::cell::RefCell;
use std::collections::HashMap;

use engine::apply::properties_in;
use engine::fact::Fact;
use engine::ids::CustomerId;
use engine::project::Project;
use engine::situation::History;
use serde_json::Value;
use store::log::LogReader;

use crate::limits::PARSED_PROPERTIES;
use crate::record::Entry;

/// Parsed properties by position and event key. They never change, so nothing is ever stale.
#[derive(Default)]
pub(crate) struct Parsed(RefCell<HashMap<(u64, u64), Value>>);

/// Reads through the log; the record at hand, which is not there yet, is looked at first.
pub(crate) struct LogHistory<'a> {
    pub(crate) reader: &'a LogReader,
    pub(crate) project: &'a Project,
    pub(crate) parsed: &'a Parsed,
    /// Where the record at hand will lie, and its facts.
    pub(crate) at_hand: (u64, &'a [(CustomerId, Fact)]),
}

impl History for LogHistory<'_> {
    fn properties(&self, position: u64, event_key: u64) -> Value {
        let (here, facts) = self.at_hand;
        if position == here {
            let found = facts.iter().map(|(_, fact)| properties_in(self.project, fact, event_key));
            return first(found);
        }
        if let Some(known) = self.parsed.0.borrow().get(&(position, event_key)) {
            return known.clone();
        }
        let found = self.read(position, event_key);
        let mut parsed = self.parsed.0.borrow_mut();
        if parsed.len() >= PARSED_PROPERTIES {
            parsed.clear();
        }
        parsed.insert((position, event_key), found.clone());
        found
    }
}

impl LogHistory<'_> {
    /// A record that cannot be read has no properties; the log reports its damage itself.
    fn read(&self, position: u64, event_key: u64) -> Value {
        let Ok(record) = self.reader.read(position) else { return Value::Null };
        let Ok(entry) = Entry::decode(&record) else { return Value::Null };
        let facts = entry.customers().iter();
        first(facts.map(|record| properties_in(self.project, &record.fact, event_key)))
    }
}

fn first(mut found: impl Iterator<Item = Value>) -> Value {
    found.find(|properties| !properties.is_null()).unwrap_or(Value::Null)
}
