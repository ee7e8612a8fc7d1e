//! Who they are: one customer, lists with a filter and a search, and the hash of everything.

use engine::customer::Customer;
use engine::ids::{CustomerId, ProjectNo};
use engine::outreach::compiled::Condition;
use engine::situation::Occasion;
use engine::value::Value;

use crate::history::{LogHistory, Parsed};
use crate::limits::ITEMS_PER_PAGE;
use crate::locks::read;
use crate::open::Host;
use crate::partition::Key;
use crate::query::audience::{ask, matches};
use crate::resolve;

/// Attributes that a search looks into, besides the names and ids.
const SEARCHED: &[&str] = &["name", "first_name", "last_name", "email", "username"];

impl Host {
    /// Whom a text means: a user id, an anonymous id or a `cus_` id. Merged guests lead to who
    /// they are.
    pub fn resolve(&self, project: ProjectNo, text: &str) -> Option<CustomerId> {
        resolve::by_text(&self.shared, project, text)
    }

    /// A customer, or who a merged guest became.
    pub fn customer(&self, project: ProjectNo, id: CustomerId) -> Option<Customer> {
        let home = self.shared.follow(project, id)?;
        self.shared.look((project, home), Customer::clone)
    }

    /// Customers in the order of their ids, after one of them. Merged guests are not listed.
    pub fn customers(
        &self,
        project: ProjectNo,
        filter: Option<&Condition>,
        search: Option<&str>,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Vec<(CustomerId, Customer)> {
        let Some(compiled) = self.shared.project(project) else { return Vec::new() };
        let search = search.map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
        let parsed = Parsed::default();
        let history = LogHistory {
            reader: &self.shared.reader,
            project: &compiled,
            parsed: &parsed,
            at_hand: (u64::MAX, &[]),
        };
        let (now, limit) = (self.now(), limit.clamp(1, ITEMS_PER_PAGE));
        let mut found = Vec::new();
        for id in self.ids_after(project, after) {
            let wanted = |customer: &Customer| {
                let s = ask(&compiled, id, customer, Occasion::Question, now, &history);
                let fits = search.as_ref().is_none_or(|text| is_about(customer, id, text))
                    && matches(filter, &s);
                fits.then(|| customer.clone())
            };
            if let Some(Some(customer)) = self.shared.look((project, id), wanted) {
                found.push((id, customer));
                if found.len() >= limit {
                    break;
                }
            }
        }
        found
    }

    /// How many customers a project has, merged guests aside.
    pub fn customer_count(&self, project: ProjectNo) -> u64 {
        let mut count = 0;
        for partition in &self.shared.partitions {
            let partition = read(partition);
            let own = partition.iter().filter(|((no, _), _)| *no == project);
            count += own.filter(|(_, customer)| customer.merged_into.is_none()).count() as u64;
        }
        count
    }

    /// A hash of all customers and projects: equal states have equal hashes.
    pub fn state_hash(&self) -> [u8; 32] {
        let mut keys: Vec<Key> = Vec::new();
        for partition in &self.shared.partitions {
            keys.extend(read(partition).iter().map(|(key, _)| *key));
        }
        keys.sort_unstable();
        let mut hasher = blake3::Hasher::new();
        for key in keys {
            let row = self.shared.look(key, crate::rows::customer_row);
            hasher.update(&crate::rows::customer_key(key));
            hasher.update(&row.unwrap_or_default());
        }
        for project in read(&self.shared.projects).values() {
            crate::query::projects::hash(project, &mut hasher);
        }
        *hasher.finalize().as_bytes()
    }

    fn ids_after(&self, project: ProjectNo, after: Option<CustomerId>) -> Vec<CustomerId> {
        let mut ids = Vec::new();
        for partition in &self.shared.partitions {
            for ((no, id), customer) in read(partition).iter() {
                let listed = *no == project && customer.merged_into.is_none();
                if listed && after.is_none_or(|after| *id > after) {
                    ids.push(*id);
                }
            }
        }
        ids.sort_unstable();
        ids
    }
}

/// Whether a lower-case text is part of a name or id.
fn is_about(customer: &Customer, id: CustomerId, text: &str) -> bool {
    let has = |name: &str| name.to_lowercase().contains(text);
    customer.user_id.as_deref().is_some_and(has)
        || customer.anonymous_ids.iter().any(|name| has(name))
        || SEARCHED.iter().any(|key| {
            let value = customer.attributes.get(*key).map(|attribute| &attribute.value);
            matches!(value, Some(Value::Text(text)) if has(text))
        })
        || id.to_string() == text
}
