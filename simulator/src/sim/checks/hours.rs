//! When a message may leave: live, with consent, after its delay, and not in the night.

use jiff::tz::TimeZone;

use engine::project::Status;

use super::super::books::Call;
use super::view::View;
use crate::model::clock::{self, Ms};

pub(super) fn only_live_sends(view: &View<'_>) -> Vec<String> {
    let wrong = view.books.calls.iter().filter(|call| call.status != Status::Live);
    wrong
        .map(|one| format!("{} left while {} was {:?}", one.delivery, one.outreach, one.status))
        .collect()
}

pub(super) fn only_with_consent(view: &View<'_>) -> Vec<String> {
    let wrong = view.books.calls.iter().filter(|one| one.forbidden || one.suppressed);
    wrong
        .map(|one| {
            let Call { delivery, address, forbidden, suppressed, .. } = one;
            format!("{delivery} to {address}: forbidden {forbidden}, suppressed {suppressed}")
        })
        .collect()
}

pub(super) fn not_before_its_delay(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (line, delivery, _) in view.sends() {
        let Some(delay) = view.rule_of(line).and_then(|rule| rule.delay) else { continue };
        let of_it = view.books.calls.iter().filter(|one| one.delivery == delivery);
        for call in of_it.filter(|one| view.books.remains(&one.home, one.turn)) {
            if call.at < line.at.0 + delay {
                let early = line.at.0 + delay - call.at;
                wrong.push(format!("{delivery} left {early} ms before its delay was over"));
            }
        }
    }
    wrong
}

pub(super) fn not_in_quiet_hours(view: &View<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for call in &view.books.calls {
        let Some(rule) = view.books.rule(&call.outreach, call.version) else { continue };
        if !call.channel.disturbs() {
            continue;
        }
        let hour = hour(call.at, &call.zone);
        let rests = rule.quiet.is_some_and(|(from, to)| hour >= from || hour < to);
        let shut = rule.window.is_some_and(|(from, to)| hour < from || hour >= to);
        if rests || shut {
            let at = clock::write(call.at);
            wrong.push(format!("{} left at {at}, {hour} h in {}", call.delivery, call.zone));
        }
    }
    wrong
}

fn hour(at: Ms, zone: &str) -> i8 {
    let zone = clock::zone(zone).unwrap_or(TimeZone::UTC);
    clock::wall(at, &zone).hour()
}
