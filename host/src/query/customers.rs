//! Who they are: one customer, lists with a filter and a search, and the hash of everything.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use engine::customer::Customer;
use engine::ids::{CustomerId, ProjectNo};
use engine::outreach::compiled::Condition;
use engine::situation::Occasion;
use engine::value::Value;

use crate::customer_row;
use crate::history::{LogHistory, Parsed};
use crate::limits::ITEMS_PER_PAGE;
use crate::locks::read;
use crate::open::Host;
use crate::query::QueryError;
use crate::query::audience::{ask, matches};
use crate::resolve;
use crate::rows;
use crate::walk::Walk;

/// Attributes that a search looks into, besides the names and ids.
const SEARCHED: &[&str] = &["name", "first_name", "last_name", "email", "username"];

impl Host {
    /// Whom a text means: a user id, an anonymous id or a `cus_` id. Merged guests lead to who
    /// they are.
    ///
    /// # Errors
    /// The disk failed.
    pub fn resolve(
        &self,
        project: ProjectNo,
        text: &str,
    ) -> Result<Option<CustomerId>, QueryError> {
        Ok(resolve::by_text(&self.shared, project, text)?)
    }

    /// A customer, or who a merged guest became.
    ///
    /// # Errors
    /// The disk failed.
    pub fn customer(
        &self,
        project: ProjectNo,
        id: CustomerId,
    ) -> Result<Option<Customer>, QueryError> {
        let Some(home) = self.shared.follow(project, id)? else { return Ok(None) };
        Ok(self.shared.look((project, home), Customer::clone)?)
    }

    /// Customers in the order of their ids, after one of them. Merged guests are not listed.
    ///
    /// # Errors
    /// The disk failed.
    pub fn customers(
        &self,
        project: ProjectNo,
        filter: Option<&Condition>,
        search: Option<&str>,
        after: Option<CustomerId>,
        limit: usize,
    ) -> Result<Vec<(CustomerId, Customer)>, QueryError> {
        let Some(compiled) = self.shared.project(project) else { return Ok(Vec::new()) };
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
        Walk { after, ..Walk::of(project) }.visit(&self.shared, |id, customer| {
            let s = ask(&compiled, id, customer, Occasion::Question, now, &history);
            if customer.merged_into.is_none()
                && search.as_ref().is_none_or(|text| is_about(customer, id, text))
                && matches(filter, &s)
            {
                found.push((id, customer.clone()));
            }
            if found.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(found)
    }

    /// How many customers a project has, merged guests aside.
    pub fn customer_count(&self, project: ProjectNo) -> u64 {
        let counts = self.shared.partitions.iter().map(|one| read(one).known.count(project) as u64);
        counts.sum()
    }

    /// How many bytes of customers are in memory, roughly; the others stand in the state store.
    pub fn customers_in_memory(&self) -> usize {
        self.shared.memory.held()
    }

    /// A hash of all customers and projects: equal states have equal hashes.
    ///
    /// # Errors
    /// The disk failed.
    pub fn state_hash(&self) -> Result<[u8; 32], QueryError> {
        let mut hasher = blake3::Hasher::new();
        let mut projects = BTreeSet::new();
        for partition in &self.shared.partitions {
            projects.extend(read(partition).known.projects());
        }
        for project in projects {
            let everybody = Walk { signposts: true, ..Walk::of(project) };
            everybody.visit(&self.shared, |id, customer| {
                hasher.update(&rows::customer_key((project, id)));
                hasher.update(&customer_row::write(customer));
                ControlFlow::Continue(())
            })?;
        }
        for project in read(&self.shared.projects).values() {
            crate::query::projects::hash(project, &mut hasher);
        }
        Ok(*hasher.finalize().as_bytes())
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
