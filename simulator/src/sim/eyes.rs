//! What the host shows, through the queries that everybody uses.

use std::collections::BTreeMap;

use engine::delivery::TriggerRef;
use engine::ids::{CustomerId, OutreachNo};
use host::query::Page;
use host::query::decisions::{DecisionFilter, DecisionLine};
use host::query::deliveries::DeliveryFilter;
use host::query::timeline::{Moment, TimelineEntry};
use host::{DeliveryRow, Host};

use super::World;
use super::books::{Name, SHOP};
use super::rules::DAY;

/// Items of one page: few, so that pages are turned.
const PAGE: usize = 50;
/// Decisions that are explained.
const EXPLAINED: u64 = 12;

/// What is there to be seen when all is at rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Eyes {
    /// Oldest first.
    pub(super) decisions: Vec<DecisionLine>,
    pub(super) rows: Vec<DeliveryRow>,
    /// Oldest first.
    pub(super) timelines: BTreeMap<Name, Vec<TimelineEntry>>,
    pub(super) explained: Vec<Explained>,
    pub(super) left: Left,
}

/// A decision, and what is said about it afterwards.
#[derive(Clone, Debug)]
pub(super) struct Explained {
    pub(super) decision: DecisionLine,
    /// Whether it sends, and the gate that refused.
    pub(super) said: Option<(bool, Option<String>)>,
}

/// What is still to be done.
#[derive(Clone, Debug, Default)]
pub(super) struct Left {
    pub(super) due: usize,
    pub(super) has_next: bool,
    pub(super) waiting: usize,
    /// Something was written though only time passed.
    pub(super) wrote: bool,
    pub(super) launches: Vec<String>,
}

/// All pages of something, newest first.
fn pages<T>(
    page: impl Fn(Option<u64>) -> Result<Page<T>, host::query::QueryError>,
) -> Result<Vec<T>, String> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let found = page(before).map_err(|error| error.to_string())?;
        all.extend(found.items);
        before = found.next;
        if before.is_none() {
            return Ok(all);
        }
    }
}

fn decisions(host: &Host, filter: &DecisionFilter) -> Result<Vec<DecisionLine>, String> {
    let mut all = pages(|before| host.decisions(SHOP, filter, before, PAGE))?;
    all.reverse();
    Ok(all)
}

fn deliveries(host: &Host, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>, String> {
    pages(|before| host.deliveries(SHOP, filter, before, PAGE))
}

/// Where somebody who was erased is still to be found.
pub(super) fn traces_of(host: &Host, who: &Name) -> Vec<&'static str> {
    let id = who.id();
    let customer = Some(id);
    let all = decisions(host, &DecisionFilter::default()).unwrap_or_default();
    let theirs = decisions(host, &DecisionFilter { customer, ..DecisionFilter::default() });
    let rows = deliveries(host, &DeliveryFilter::default()).unwrap_or_default();
    let own_rows = deliveries(host, &DeliveryFilter { customer, ..DeliveryFilter::default() });
    let timeline = host.timeline(SHOP, id, None, PAGE);
    let search = host.customers(SHOP, None, Some(who.text()), None, PAGE).unwrap_or_default();
    let by_name = host.resolve(SHOP, who.text());
    let by_id = host.customer(SHOP, id);
    let inbox = host.inbox(SHOP, id);
    let places = [
        ("by name", by_name.is_ok_and(|found| found.is_some())),
        ("by id", by_id.is_ok_and(|found| found.is_some())),
        ("search", search.iter().any(|(found, _)| *found == id)),
        ("timeline", timeline.is_ok_and(|page| !page.items.is_empty())),
        ("decisions", all.iter().any(|line| line.customer == id)),
        ("decisions of theirs", theirs.is_ok_and(|lines| !lines.is_empty())),
        ("deliveries", rows.iter().any(|row| row.customer == id)),
        ("deliveries of theirs", own_rows.is_ok_and(|rows| !rows.is_empty())),
        ("inbox", inbox.is_ok_and(|inbox| !inbox.is_empty())),
    ];
    places.into_iter().filter(|(_, found)| *found).map(|(place, _)| place).collect()
}

impl Eyes {
    /// Look at everything once nothing is to be done any more, and again a year later.
    pub(super) fn at_rest(world: &mut World) -> Result<Eyes, String> {
        let due = world.machine.host.due(10).len();
        let has_next = world.machine.host.next_due().is_some();
        let position = world.machine.host.position();
        world.machine.set_clock(world.machine.wall() + 365 * DAY);
        let wrote = world.machine.host.position() != position;
        world.compare()?;
        let host = &world.machine.host;
        let (waiting, _) = host.waiting();
        let mut launches = Vec::new();
        for launch in &world.books.launches {
            let no = number(&launch.outreach);
            let progress = host.launch_progress(SHOP, no).unwrap_or_default();
            if progress.done != progress.total {
                launches.push(format!("{}: {progress:?}", launch.outreach));
            }
        }
        let left = Left { due, has_next, waiting, wrote, launches };
        let mut eyes = Eyes {
            decisions: decisions(host, &DecisionFilter::default())?,
            rows: deliveries(host, &DeliveryFilter::default())?,
            left,
            ..Eyes::default()
        };
        for home in world.books.people() {
            let id = home.id();
            let mut timeline = pages(|before| host.timeline(SHOP, id, before, PAGE))?;
            timeline.reverse();
            eyes.timelines.insert(home, timeline);
        }
        eyes.explain(world)?;
        eyes.tell(world);
        Ok(eyes)
    }

    fn explain(&mut self, world: &mut World) -> Result<(), String> {
        let homes: Vec<CustomerId> = world.books.people().iter().map(Name::id).collect();
        let fits = |line: &&DecisionLine| {
            homes.contains(&line.customer)
                && matches!(&line.decision.trigger, TriggerRef::Event { id, .. }
                    if world.books.kept.iter().any(|kept| kept.event_id() == *id))
        };
        let lines: Vec<DecisionLine> = self.decisions.iter().filter(fits).cloned().collect();
        for _ in 0..EXPLAINED.min(lines.len() as u64) {
            let decision = world.dice.one(&lines);
            let id = format!("outreach-{}", decision.decision.outreach.0);
            let at = Some(Moment::Position(decision.position));
            let said = world.machine.host.explain(SHOP, decision.customer, &id, at);
            let said = said.map_err(|error| error.to_string())?;
            let said = said.map(|said| (said.sends, said.refused_by));
            self.explained.push(Explained { decision, said });
        }
        Ok(())
    }

    /// Everything that was decided and sent is part of the trace.
    fn tell(&self, world: &mut World) {
        for line in &self.decisions {
            let DecisionLine { at, customer, decision, .. } = line;
            let sends = matches!(decision.outcome, engine::decision::Outcome::Send { .. });
            world.figures.sends += u64::from(sends);
            world.figures.refusals += u64::from(!sends);
            let outcome = &decision.outcome;
            world.tell(&format!("{at:?} {customer} {:?} {outcome:?}", decision.outreach));
        }
        for row in &self.rows {
            let steps: Vec<&str> = row.steps.iter().map(|step| step.state.name()).collect();
            world.tell(&format!("{} {}", row.delivery.id, steps.join(" → ")));
        }
        world.figures.calls = world.books.calls.len() as u64;
    }
}

/// The number of an outreach, as ids are given in a world.
pub(super) fn number(outreach: &str) -> OutreachNo {
    let number = outreach.strip_prefix("outreach-").and_then(|number| number.parse().ok());
    OutreachNo(number.unwrap_or(0))
}
