//! What was decided: once for each event, on the version in force, and for a reason that is true.

use engine::decision::{Outcome, SkipReason};
use engine::delivery::TriggerRef;
use engine::ids::DeliveryId;
use engine::outreach::content::OutreachType;
use engine::project::Status;
use host::query::decisions::DecisionLine;

use super::super::books::{Kept, Standing};
use super::super::eyes::{Explained, number};
use super::super::post::address_key;
use super::super::rules::{HOUR, Rule, When};
use super::view::{View, id_of};

/// Older events never trigger.
const LATE: i64 = 72 * HOUR;

/// The version of an outreach that an event triggers as the outreach stood then.
fn triggered<'a>(view: &View<'a>, kept: &Kept, id: &str, standing: &Standing) -> Option<&'a Rule> {
    let judged = matches!(standing.status, Status::Live | Status::Shadow | Status::Paused);
    let rule = view.books.rule(id, standing.version?)?;
    let named = kept.message.event.is_some_and(|event| rule.when == When::Event(event));
    let late = kept.at() < kept.accepted - LATE;
    let fires =
        judged && named && !late && !kept.message.historical && kept.at() >= standing.live_since;
    fires.then_some(rule)
}

pub(super) fn one_decision_per_event(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for kept in view.remaining().filter(|kept| kept.message.event.is_some()) {
        let of_it = |line: &&DecisionLine| matches!(&line.decision.trigger, TriggerRef::Event { id, .. } if *id == kept.event_id());
        let lines: Vec<&DecisionLine> = view.eyes.decisions.iter().filter(of_it).collect();
        for (id, standing) in &kept.standings {
            let expected = usize::from(triggered(view, kept, id, standing).is_some());
            let found = lines.iter().filter(|line| id_of(line) == *id).count();
            if found != expected {
                let message = &kept.message.id;
                wrong.push(format!("{message}: {found} decisions on {id}, not {expected}"));
            }
        }
    }
    wrong
}

pub(super) fn a_decision_names_its_version(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for line in &view.eyes.decisions {
        let Some(kept) = view.message_of(line) else { continue };
        let id = id_of(line);
        let version = kept.standings.get(&id).and_then(|standing| standing.version);
        if version != Some(line.decision.version) {
            let said = line.decision.version;
            wrong.push(format!("{} on {id}: version {said}, not {version:?}", kept.message.id));
        }
    }
    wrong
}

/// What speaks against sending, as far as the books know.
struct Against {
    status: Option<Status>,
    audience: bool,
    address: bool,
    consent: bool,
    no_key: bool,
}

fn against(kept: &Kept, rule: &Rule, id: &str) -> Against {
    let has = |key: &str| kept.attributes.contains_key(key);
    let outside = !matches!(rule.channel, OutreachType::Webhook | OutreachType::Modal);
    Against {
        status: kept.standings.get(id).map(|standing| standing.status),
        audience: rule
            .plan
            .is_some_and(|plan| kept.attributes.get("plan").is_none_or(|own| own != plan)),
        address: outside && !has(address_key(rule.channel)),
        consent: outside && kept.forbidden.contains(rule.channel.name()),
        no_key: kept.message.order.is_none(),
    }
}

pub(super) fn a_refusal_has_its_reason(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for line in &view.eyes.decisions {
        let Outcome::Skip(reason) = &line.decision.outcome else { continue };
        let (Some(kept), Some(rule)) = (view.message_of(line), view.rule_of(line)) else {
            continue;
        };
        let id = id_of(line);
        let against = against(kept, rule, &id);
        // The index of an erased life is gone, and who was merged brings claims along.
        let sent_before = || {
            view.sends().any(|(other, _, _)| {
                other.position <= line.position && other.decision.outreach == line.decision.outreach
            })
        };
        let holds = match reason {
            SkipReason::NotLive(status) => {
                against.status == Some(*status) && *status != Status::Live
            }
            SkipReason::Shadow => against.status == Some(Status::Shadow),
            SkipReason::NotInAudience => against.audience,
            SkipReason::NoAddress => against.address,
            SkipReason::NoConsent => against.consent,
            SkipReason::NoKey => against.no_key,
            SkipReason::AlreadySent { .. } | SkipReason::KeyUsed { .. } => sent_before(),
            SkipReason::Capped { cap, .. } => {
                rule.cap.is_some_and(|(times, _)| times == u64::from(*cap))
            }
            SkipReason::Suppressed => {
                !view.books.suppressed.is_empty() || !view.books.erasures.is_empty()
            }
            // No rule of a world says any of these at a trigger.
            SkipReason::NotStarted
            | SkipReason::Stopped
            | SkipReason::NotTriggered
            | SkipReason::BeforeLive
            | SkipReason::WrongPage
            | SkipReason::TooSoon { .. }
            | SkipReason::Answered { .. }
            | SkipReason::HeldOut
            | SkipReason::QuietHours
            | SkipReason::Aborted(_)
            | SkipReason::Unrenderable(_)
            | SkipReason::CancelledBy(_)
            | SkipReason::CancelledByOperator
            | SkipReason::TooLate => false,
        };
        if !holds {
            wrong.push(format!("{} on {id}: {reason:?} is not so", kept.message.id));
        }
    }
    wrong
}

pub(super) fn a_send_has_no_reason_against_it(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (line, delivery, _) in view.sends() {
        let (Some(kept), Some(rule)) = (view.message_of(line), view.rule_of(line)) else {
            continue;
        };
        let against = against(kept, rule, &id_of(line));
        let stops = [
            ("status", against.status != Some(Status::Live)),
            ("audience", against.audience),
            ("address", against.address),
            ("consent", against.consent),
        ];
        for (gate, _) in stops.into_iter().filter(|(_, stops)| *stops) {
            wrong.push(format!("{delivery} by {}: {gate} says no", kept.message.id));
        }
    }
    wrong
}

pub(super) fn explained_as_decided(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for Explained { decision: line, said } in &view.eyes.explained {
        let (sends, gate) = match &line.decision.outcome {
            Outcome::Send { .. } => (true, None),
            Outcome::Skip(reason) => (false, Some(reason.gate().name().to_owned())),
        };
        if *said != Some((sends, gate.clone())) {
            let place = line.position;
            wrong.push(format!("{} at {place}: {sends} {gate:?}, said {said:?}", id_of(line)));
        }
    }
    wrong
}

pub(super) fn a_one_off_reaches_its_snapshot_once(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for launch in &view.books.launches {
        let of_it = |line: &&DecisionLine| {
            line.decision.outreach == number(&launch.outreach)
                && matches!(line.decision.trigger, TriggerRef::OneOff { .. })
        };
        let lines: Vec<&DecisionLine> = view.eyes.decisions.iter().filter(of_it).collect();
        for member in launch.members.iter().filter(|one| view.books.remains(one, launch.turn)) {
            let found = lines.iter().filter(|line| line.customer == member.id()).count();
            if found != 1 {
                wrong.push(format!("{}: {member:?} was asked {found} times", launch.outreach));
            }
        }
        for line in lines {
            if !launch.members.iter().any(|member| member.id() == line.customer) {
                wrong.push(format!("{}: {} was not in it", launch.outreach, line.customer));
            }
        }
    }
    wrong
}

pub(super) fn under_the_cap(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    // What a receiver got was sent for good, whatever became of the others.
    let got = |(line, delivery, _): &(&DecisionLine, DeliveryId, i64)| {
        let born = view.born(line.customer);
        let mut calls = view.books.calls.iter();
        calls.any(|one| one.delivery == *delivery && one.turn > born && one.answer.got_it())
            && !view.was_retried(*delivery)
    };
    let sent: Vec<&DecisionLine> = view.sends().filter(got).map(|(line, _, _)| line).collect();
    for (line, delivery, _) in view.sends() {
        let Some((times, hours)) = view.rule_of(line).and_then(|rule| rule.cap) else { continue };
        if view.is_merged(line.customer) {
            continue;
        }
        let since = line.at.0 - i64::from(hours) * HOUR;
        let before = sent.iter().filter(|other| {
            other.customer == line.customer && other.position < line.position && other.at.0 > since
        });
        let before = before.count() as u64;
        if before >= times {
            wrong.push(format!("{delivery}: {before} before it in {hours} h, {times} allowed"));
        }
    }
    wrong
}
