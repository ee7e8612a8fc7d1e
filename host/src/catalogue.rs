//! The catalogue: which events and attributes a project sees, with the types and values they have.
//!
//! It serves the editor's suggestions and shows type drift. Counts of names are exact; properties
//! are all looked at for the first hundred occurrences of a name and sampled after that, by the
//! count itself, so that a replay builds the same catalogue.

use std::collections::BTreeMap;

use engine::customer::STANDARD_ATTRIBUTES;
use engine::fact::{Event, event_key};
use engine::time::Timestamp;
use engine::value::Value;
use serde::{Deserialize, Serialize};

use crate::limits::{
    CATALOGUE_NAMES, CATALOGUE_PROPERTIES, CATALOGUE_VALUES, COUNTED_OCCURRENCES, SAMPLE,
    TOP_VALUES, VALUE_CHARS,
};

/// What one project sees.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Catalogue {
    /// Events by the key of their name.
    pub events: BTreeMap<u64, EventEntry>,
    /// Attributes by canonical key.
    pub attributes: BTreeMap<String, PropertyEntry>,
}

/// One name of events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventEntry {
    /// The first spelling.
    pub name: String,
    /// How many there were.
    pub count: u64,
    /// The earliest.
    pub first: Timestamp,
    /// The latest.
    pub last: Timestamp,
    /// Its properties, by name; nested objects by dotted path.
    pub properties: BTreeMap<String, PropertyEntry>,
}

/// One property or attribute.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PropertyEntry {
    /// How often each type was seen.
    pub types: BTreeMap<String, u64>,
    /// How often short values were seen, as far as they are counted.
    pub values: BTreeMap<String, u64>,
}

impl Catalogue {
    /// An event came.
    pub(crate) fn note_event(&mut self, event: &Event) {
        let key = event_key(&event.name);
        if !self.events.contains_key(&key) && self.events.len() >= CATALOGUE_NAMES {
            return;
        }
        let entry = self.events.entry(key).or_insert_with(|| EventEntry {
            name: event.name.clone(),
            count: 0,
            first: event.at,
            last: event.at,
            properties: BTreeMap::new(),
        });
        entry.count += 1;
        entry.first = entry.first.min(event.at);
        entry.last = entry.last.max(event.at);
        if entry.count > COUNTED_OCCURRENCES && !entry.count.is_multiple_of(SAMPLE) {
            return;
        }
        if let Ok(serde_json::Value::Object(object)) = serde_json::from_str(&event.properties) {
            for (name, value) in &object {
                note_json(&mut entry.properties, name, value, 0);
            }
        }
    }

    /// Attributes were written.
    pub(crate) fn note_attributes(&mut self, changes: &BTreeMap<String, Option<Value>>) {
        for (key, value) in changes {
            if let Some(value) = value {
                note_value(&mut self.attributes, key, value, CATALOGUE_NAMES);
            }
        }
    }
}

impl PropertyEntry {
    /// The most frequent values, most frequent first.
    pub fn top_values(&self) -> Vec<(String, u64)> {
        let mut values: Vec<(String, u64)> =
            self.values.iter().map(|(value, count)| (value.clone(), *count)).collect();
        values.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        values.truncate(TOP_VALUES);
        values
    }
}

/// Whether an attribute is a standard one.
pub fn is_standard(key: &str) -> bool {
    STANDARD_ATTRIBUTES.contains(&key)
}

fn note_json(
    properties: &mut BTreeMap<String, PropertyEntry>,
    path: &str,
    value: &serde_json::Value,
    depth: usize,
) {
    if let serde_json::Value::Object(object) = value
        && depth < 3
    {
        for (name, value) in object {
            note_json(properties, &format!("{path}.{name}"), value, depth + 1);
        }
        return;
    }
    if let Some(value) = Value::from_json(value) {
        note_value(properties, path, &value, CATALOGUE_PROPERTIES);
    }
}

fn note_value(
    entries: &mut BTreeMap<String, PropertyEntry>,
    name: &str,
    value: &Value,
    limit: usize,
) {
    if !entries.contains_key(name) {
        if entries.len() >= limit {
            return;
        }
        entries.insert(name.to_owned(), PropertyEntry::default());
    }
    let Some(entry) = entries.get_mut(name) else { return };
    add(&mut entry.types, value.type_name(), usize::MAX);
    match value {
        Value::List(items) => {
            for text in items.iter().filter_map(Value::as_text) {
                add_short(&mut entry.values, &text);
            }
        }
        Value::Text(_) | Value::Number(_) | Value::Bool(_) => {
            if let Some(text) = value.as_text() {
                add_short(&mut entry.values, &text);
            }
        }
    }
}

fn add_short(values: &mut BTreeMap<String, u64>, text: &str) {
    if text.chars().count() <= VALUE_CHARS {
        add(values, text, CATALOGUE_VALUES);
    }
}

fn add(counts: &mut BTreeMap<String, u64>, name: &str, limit: usize) {
    if let Some(count) = counts.get_mut(name) {
        *count += 1;
    } else if counts.len() < limit {
        counts.insert(name.to_owned(), 1);
    }
}
