//! Why, and why not: now, or as it was then.
//!
//! For a moment of the past customer and project are folded from the log again. At the position of
//! a record the question is the one that was decided there: the fact is applied and what was
//! decided about it is not, so that a claim does not stand in its own way.

use std::cell::OnceCell;
use std::sync::Arc;

use engine::apply::replay;
use engine::customer::Customer;
use engine::decision::Ruling;
use engine::explain::{Explanation, explain};
use engine::fact::{Fact, event_key};
use engine::ids::{CustomerId, OutreachNo, ProjectNo};
use engine::project::Project;
use engine::situation::{Happening, Occasion};
use engine::time::Timestamp;

use crate::fold;
use crate::history::{LogHistory, Parsed};
use crate::open::Host;
use crate::query::QueryError;
use crate::query::audience::ask;
use crate::query::timeline::Moment;
use crate::record::{CustomerRecord, Entry};

/// Who is asked about, and when.
struct Scene {
    customer: Customer,
    project: Arc<Project>,
    now: Timestamp,
    /// What was decided on at this moment.
    record: Option<(u64, CustomerRecord)>,
}

impl Host {
    /// Ask every gate of an outreach for a customer, now or at a moment of the past. `None`: there
    /// is, or was then, no such customer or outreach, or none that compiles.
    ///
    /// # Errors
    /// The disk failed.
    pub fn explain(
        &self,
        project: ProjectNo,
        customer: CustomerId,
        outreach: &str,
        at: Option<Moment>,
    ) -> Result<Option<Explanation>, QueryError> {
        let Some(id) = self.shared.follow(project, customer)? else { return Ok(None) };
        let Some(scene) = self.scene(project, id, outreach, at)? else { return Ok(None) };
        let Some(line) = scene.project.outreach(outreach) else { return Ok(None) };
        let version = line.live.as_ref().or(line.latest.as_ref().ok());
        let Some(version) = version else { return Ok(None) };
        let parsed = Parsed::default();
        let history = LogHistory {
            reader: &self.shared.reader,
            project: &scene.project,
            parsed: &parsed,
            at_hand: (u64::MAX, &[]),
        };
        let happening = scene.record.as_ref().and_then(|(position, record)| {
            let Fact::Event(event) = &record.fact else { return None };
            Some(Happening {
                id: event.id,
                name: event.name.clone(),
                key: event_key(&event.name),
                at: event.at,
                position: *position,
                properties: event.properties.clone(),
                silent: event.historical,
                hops: event.hops,
                caused_by: None,
                parsed: OnceCell::new(),
            })
        });
        let fact = scene.record.as_ref().map(|(_, record)| &record.fact);
        let occasion = match (fact, &happening) {
            (_, Some(happening)) => Occasion::Event(happening),
            (Some(Fact::Attributes { .. } | Fact::Merged { .. } | Fact::WentLive { .. }), None) => {
                Occasion::Property
            }
            (Some(Fact::Launched { outreach, launch }), None) => {
                Occasion::OneOff { outreach: *outreach, launch: *launch }
            }
            (Some(_) | None, None) => Occasion::Question,
        };
        let s = ask(&scene.project, id, &scene.customer, occasion, scene.now, &history);
        Ok(Some(explain(line, version, &s)))
    }

    fn scene(
        &self,
        no: ProjectNo,
        id: CustomerId,
        outreach: &str,
        at: Option<Moment>,
    ) -> Result<Option<Scene>, QueryError> {
        match at {
            None => {
                let project = self.shared.project(no);
                let customer = self.shared.look((no, id), Customer::clone)?;
                let (now, record) = (self.now(), None);
                let both = project.zip(customer);
                Ok(both.map(|(project, customer)| Scene { customer, project, now, record }))
            }
            Some(moment @ Moment::Time(_)) => {
                let past = self.as_it_was(no, id, moment)?;
                Ok(past.map(|past| {
                    let (customer, project, now) = (past.customer, past.project, past.at);
                    Scene { customer, project, now, record: None }
                }))
            }
            Some(Moment::Position(position)) => self.scene_at(no, id, outreach, position),
        }
    }

    /// With the facts of the record applied, and of what was decided about the last of them only
    /// what came before the outreach: its claims count in the caps.
    fn scene_at(
        &self,
        no: ProjectNo,
        id: CustomerId,
        outreach: &str,
        position: u64,
    ) -> Result<Option<Scene>, QueryError> {
        let entry = Entry::decode(&self.shared.reader.read(position)?)?;
        let then = fold::before(&self.shared, (no, id), position)?;
        let (mut customer, project) = (then.customer, then.project);
        let mut latest = None;
        for record in entry.customers() {
            if (record.project, record.customer) != (no, id) {
                continue;
            }
            if let Some(before) = latest.replace(record) {
                let before: &CustomerRecord = before;
                customer = then_after(&project, customer, before, &before.ruling, position);
            }
        }
        let Some(record) = latest else {
            // The record is about somebody else: the question is about the moment only.
            let after = fold::customer_at(&self.shared, (no, id), position)?;
            let now = entry.customers().last().map_or_else(|| self.now(), |record| record.now);
            return Ok(after.map(|then| Scene {
                customer: then.customer,
                project: then.project,
                now,
                record: None,
            }));
        };
        let asked = project.numbers.get(outreach);
        let ruling = asked.map(|asked| before(&record.ruling, *asked)).unwrap_or_default();
        let customer = then_after(&project, customer, record, &ruling, position);
        let now = record.now;
        Ok(Some(Scene { customer, project, now, record: Some((position, record.clone())) }))
    }
}

/// What was decided on a fact before an outreach was asked; nothing when it was not asked.
fn before(ruling: &Ruling, outreach: OutreachNo) -> Ruling {
    let place = ruling.decisions.iter().position(|decision| decision.outreach == outreach);
    let Some(place) = place else { return Ruling::default() };
    let decisions = ruling.decisions.iter().take(place).cloned().collect();
    Ruling { decisions, ..ruling.clone() }
}

fn then_after(
    project: &Project,
    mut customer: Customer,
    record: &CustomerRecord,
    ruling: &Ruling,
    position: u64,
) -> Customer {
    replay(project, record.customer, &mut customer, &record.fact, ruling, position, record.now);
    customer
}
