//! The ledger of a story: what was decided, and what became of it, in order.

use engine::apply::Outcome as Applied;
use engine::customer::Customer;
use engine::decision::{Decision, Outcome, Transition};
use engine::delivery::{Delivery, DeliveryState};
use engine::fact::{AttemptOutcome, Fact};
use engine::ids::{DeliveryId, OutreachNo};
use engine::project::Project;
use engine::time::Timestamp;

/// The ledger as it grows.
#[derive(Default)]
pub(super) struct Ledger {
    rows: Vec<Row>,
}

#[derive(PartialEq)]
struct Row {
    at: Timestamp,
    who: String,
    outreach: String,
    what: String,
}

/// One fact and what came of it.
pub(super) struct Applying<'a> {
    pub(super) project: &'a Project,
    pub(super) now: Timestamp,
    pub(super) who: &'a str,
    pub(super) fact: &'a Fact,
    pub(super) before: &'a Customer,
    pub(super) after: &'a Customer,
    pub(super) applied: &'a Applied,
}

impl Ledger {
    pub(super) fn note(&mut self, at: Timestamp, who: &str, outreach: &str, what: &str) {
        let row =
            Row { at, who: who.to_owned(), outreach: outreach.to_owned(), what: short_times(what) };
        self.rows.push(row);
    }

    /// Note what a fact led to, in the order in which the engine did it.
    pub(super) fn note_applied(&mut self, applying: &Applying<'_>) {
        let ruling = &applying.applied.ruling;
        for (outreach, what) in moved_by_fact(applying) {
            self.note(applying.now, applying.who, &name(applying.project, outreach), &what);
        }
        for transition in &ruling.transitions {
            let outreach = outreach_of(applying, transition.delivery);
            let what = transition_in_words(applying.now, transition);
            self.note(applying.now, applying.who, &name(applying.project, outreach), &what);
        }
        for outreach in &ruling.conversions {
            let outreach = name(applying.project, *outreach);
            self.note(applying.now, applying.who, &outreach, "goal reached");
        }
        for (outreach, excluded) in &ruling.exclusions {
            let what =
                if *excluded { "left out until it stops matching" } else { "no longer left out" };
            self.note(applying.now, applying.who, &name(applying.project, *outreach), what);
        }
        for decision in &ruling.decisions {
            let what = decision_in_words(applying, decision);
            let outreach = name(applying.project, decision.outreach);
            self.note(applying.now, applying.who, &outreach, &what);
        }
    }

    /// As it stands in a file: equal rows in a row are one, columns are aligned.
    pub(super) fn lines(&self) -> Vec<String> {
        let mut day = String::new();
        let mut cells: Vec<([String; 4], usize)> = Vec::new();
        let mut last: Option<&Row> = None;
        for row in &self.rows {
            if last == Some(row)
                && let Some((_, times)) = cells.last_mut()
            {
                *times += 1;
                continue;
            }
            last = Some(row);
            let (today, time) = day_and_time(row.at);
            let stamp = if today == day { time } else { format!("{today} {time}") };
            day = today;
            let cell = [stamp, row.who.clone(), row.outreach.clone(), row.what.clone()];
            cells.push((cell, 1));
        }
        let width = |column: usize| {
            cells.iter().map(|(cell, _)| cell[column].chars().count()).max().unwrap_or(0)
        };
        let (stamp, who, outreach) = (width(0), width(1), width(2));
        let line = |([at, one, about, what], times): &([String; 4], usize)| {
            let times = if *times > 1 { format!(" × {times}") } else { String::new() };
            format!("{at:>stamp$}  {one:who$}  {about:outreach$}  {what}{times}")
                .trim_end()
                .to_owned()
        };
        cells.iter().map(line).collect()
    }
}

/// Deliveries that the fact itself moved: receipts, attempts, expiry, merges.
fn moved_by_fact(applying: &Applying<'_>) -> Vec<(OutreachNo, String)> {
    let ruling = &applying.applied.ruling;
    let mut moved = Vec::new();
    for id in &applying.applied.changed {
        let by_ruling = ruling.transitions.iter().any(|transition| transition.delivery == *id)
            || ruling.decisions.iter().any(|decision| {
                matches!(&decision.outcome, Outcome::Send { delivery, .. } if delivery == id)
            });
        let guests = match applying.fact {
            Fact::Merged { guest, .. } => guest.deliveries.get(id),
            _ => None,
        };
        let before = applying.before.deliveries.get(id).or(guests);
        let Some(after) = applying.after.deliveries.get(id) else { continue };
        if by_ruling || before.is_some_and(|before| same_place(before, after)) {
            continue;
        }
        let what = match reason_of(applying.fact) {
            Some(reason) => format!("{}, {reason}", state_in_words(applying.now, after)),
            None => state_in_words(applying.now, after),
        };
        moved.push((after.outreach, what));
    }
    moved
}

fn same_place(before: &Delivery, after: &Delivery) -> bool {
    before.state == after.state && before.due_at == after.due_at
}

fn state_in_words(now: Timestamp, delivery: &Delivery) -> String {
    if delivery.state == DeliveryState::Due && delivery.due_at > now {
        return format!("due at {}", delivery.due_at.to_rfc3339());
    }
    delivery.state.name().to_owned()
}

fn reason_of(fact: &Fact) -> Option<String> {
    let Fact::Attempted { outcome, .. } = fact else { return None };
    match outcome {
        AttemptOutcome::Accepted { .. } | AttemptOutcome::NotNow { .. } => None,
        AttemptOutcome::Retry { reason, .. }
        | AttemptOutcome::RetryInDoubt { reason, .. }
        | AttemptOutcome::Rejected { reason }
        | AttemptOutcome::AddressGone { reason }
        | AttemptOutcome::Unknown { reason } => Some(reason.clone()),
        AttemptOutcome::Refused { reason } => Some(format!("{}: {reason}", reason.gate().name())),
    }
}

fn outreach_of(applying: &Applying<'_>, id: DeliveryId) -> OutreachNo {
    applying.after.deliveries.get(&id).map_or(OutreachNo(0), |delivery| delivery.outreach)
}

fn name(project: &Project, no: OutreachNo) -> String {
    project.outreaches.get(&no).map_or("?".to_owned(), |line| line.id.clone())
}

fn transition_in_words(now: Timestamp, transition: &Transition) -> String {
    let state = transition.state.name();
    match (&transition.reason, transition.due_at) {
        (Some(reason), _) => format!("{state}, {}: {reason}", reason.gate().name()),
        (None, Some(due_at)) if due_at > now => format!("waits until {}", due_at.to_rfc3339()),
        (None, _) => state.to_owned(),
    }
}

fn decision_in_words(applying: &Applying<'_>, decision: &Decision) -> String {
    let mut words = match &decision.outcome {
        Outcome::Skip(reason) => format!("skip {}: {reason}", reason.gate().name()),
        Outcome::Send { due_at, waiting, .. } => {
            let published = applying.project.published(decision.outreach, decision.version);
            let channel = published.map_or("?", |outreach| outreach.outreach_type.name());
            match waiting {
                true => format!("send {channel}, waits until {}", due_at.to_rfc3339()),
                false => format!("send {channel}"),
            }
        }
    };
    if decision.version > 1 {
        words.push_str(&format!(" (version {})", decision.version));
    }
    words
}

/// `2026-03-02` and `09:00`; seconds and milliseconds only where there are any.
pub(super) fn day_and_time(at: Timestamp) -> (String, String) {
    let text = at.to_rfc3339();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    let time = time.trim_end_matches('Z');
    let time = time.strip_suffix(".000").unwrap_or(time);
    let time = match time.strip_suffix(":00") {
        Some(short) if time.len() == 8 => short,
        Some(_) | None => time,
    };
    (day.to_owned(), time.to_owned())
}

/// Replace each `2026-03-02T09:00:00.000Z` in a sentence by `2026-03-02 09:00`.
fn short_times(text: &str) -> String {
    let word = |word: &str| {
        let end = if word.ends_with([',', ';', '.']) { &word[word.len() - 1..] } else { "" };
        match Timestamp::parse(word.trim_end_matches([',', ';', '.'])) {
            Some(at) => {
                let (day, time) = day_and_time(at);
                format!("{day} {time}{end}")
            }
            None => word.to_owned(),
        }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}
