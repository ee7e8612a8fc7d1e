//! Gate `guardrails`: what keeps a good outreach from becoming a nuisance.
//!
//! Caps refuse. Quiet hours and send windows hold until the next allowed moment, or refuse when
//! the outreach would rather skip. They are civil time in the customer's own zone.

use super::{Question, SkipReason, Stage, Verdict};
use crate::outreach::compiled::{Outreach, QuietHours, SendWindow, Trigger};
use crate::outreach::definition::{Cap, CapScope, Otherwise, Span, Unit};
use crate::project::Project;
use crate::time::{self, Timestamp, Zone};

/// The end of the day, in minutes after its beginning.
const MIDNIGHT: u16 = 24 * 60;

pub(super) fn within_guardrails(question: &Question<'_>) -> Verdict {
    let guardrails = &question.outreach.guardrails;
    let settings = &question.situation.project.settings;
    let free = guardrails.ignore_project_limits;
    for cap in &guardrails.caps {
        if applies(&cap.over, question.outreach)
            && let Some(reason) = over_cap(question, &cap.over, cap.times, cap.per, false)
        {
            return Verdict::Refuses(reason);
        }
    }
    for Cap { over, times, per } in settings.caps.iter().filter(|_| !free) {
        if applies(over, question.outreach)
            && let Some(reason) = over_cap(question, over, *times, *per, true)
        {
            return Verdict::Refuses(reason);
        }
    }
    // The hour of the day matters when the message would leave, not when its delay begins.
    let leaves_later = matches!(question.stage, Stage::Trigger) && is_delayed(question.outreach);
    if leaves_later {
        return Verdict::Passes;
    }
    let situation = question.situation;
    at_this_hour(situation.project, question.outreach, &situation.zone, situation.now)
}

/// Quiet hours and send windows alone; also asked at the hand-over, which an outage may have moved
/// into the night.
pub(crate) fn at_this_hour(
    project: &Project,
    outreach: &Outreach,
    zone: &Zone,
    now: Timestamp,
) -> Verdict {
    if !outreach.outreach_type.disturbs() {
        return Verdict::Passes;
    }
    let guardrails = &outreach.guardrails;
    let project_hours = project.quiet_hours.filter(|_| !guardrails.ignore_project_limits);
    let hours = [guardrails.quiet_hours, project_hours];
    hold((now, zone), &hours, &guardrails.send_windows)
}

fn is_delayed(outreach: &Outreach) -> bool {
    match &outreach.trigger {
        Trigger::Event { wait, .. } | Trigger::UserProperty { wait, .. } => wait.delay.is_some(),
        Trigger::OneOff { .. } => false,
    }
}

/// A cap speaks only of outreaches that it counts.
fn applies(over: &CapScope, outreach: &Outreach) -> bool {
    match over {
        CapScope::Everything => true,
        CapScope::Channel { channel } => *channel == outreach.outreach_type,
        CapScope::Tag { tag } => outreach.tags.contains(tag),
    }
}

/// Sends in force in (now − per, now], over all outreaches in the scope. The project's caps do not
/// count what is free of them.
fn over_cap(
    question: &Question<'_>,
    over: &CapScope,
    cap: u32,
    per: Span,
    of_project: bool,
) -> Option<SkipReason> {
    let situation = question.situation;
    let since = time::before(situation.now, per, &situation.zone);
    let mut sent = 0_u32;
    for (no, tally) in &situation.customer.tallies {
        let Some(other) = situation.project.outreaches.get(no).and_then(|line| line.live.as_ref())
        else {
            continue;
        };
        let is_free = of_project && other.guardrails.ignore_project_limits;
        if applies(over, other) && !is_free {
            let first = tally.granted.partition_point(|at| *at <= since);
            sent += u32::try_from(tally.granted.len() - first).unwrap_or(u32::MAX);
        }
    }
    (sent >= cap).then(|| SkipReason::Capped { sent, cap, over: in_words(over, per) })
}

fn in_words(over: &CapScope, per: Span) -> String {
    let what = match over {
        CapScope::Everything => "everything".to_owned(),
        CapScope::Channel { channel } => channel.name().to_owned(),
        CapScope::Tag { tag } => format!("tag {tag}"),
    };
    let unit = match per.unit {
        Unit::Seconds => "seconds",
        Unit::Minutes => "minutes",
        Unit::Hours => "hours",
        Unit::Days => "days",
        Unit::Weeks => "weeks",
        Unit::Months => "months",
        Unit::Years => "years",
    };
    format!("{what} per {} {unit}", per.amount)
}

/// The first allowed moment from now on: out of all quiet hours and inside a send window.
fn hold(
    (now, zone): (Timestamp, &Zone),
    hours: &[Option<QuietHours>],
    windows: &[SendWindow],
) -> Verdict {
    let mut at = now;
    // Each step leaves one obstacle behind; a week holds at most a few of them. Rules that leave
    // no allowed moment at all would go on for ever, so there is an end.
    for _ in 0..64 {
        let before = at;
        for hours in hours.iter().flatten() {
            if let Some(end) = end_of_quiet(*hours, at, zone) {
                if hours.otherwise == Otherwise::Skip {
                    return Verdict::Refuses(SkipReason::QuietHours);
                }
                at = end;
            }
        }
        if !windows.is_empty() {
            let Some(opens) = next_window(windows, at, zone) else { break };
            at = opens;
        }
        if at == before {
            return if at > now { Verdict::Holds(at) } else { Verdict::Passes };
        }
    }
    Verdict::Refuses(SkipReason::QuietHours)
}

/// When the quiet hours around `at` end; `None` when it is not quiet. They are stretches between
/// two instants, so that an hour which the clocks show twice does not begin them again.
pub fn end_of_quiet(hours: QuietHours, at: Timestamp, zone: &Zone) -> Option<Timestamp> {
    let nights = i64::from(hours.from > hours.to);
    let stretches = [-1, 0].map(|day| {
        (zone.at_minute(at, day, hours.from), zone.at_minute(at, day + nights, hours.to))
    });
    let around = stretches.into_iter().filter(|(start, end)| *start <= at && at < *end);
    around.map(|(_, end)| end).max()
}

/// `at` itself when a window is open, else the first moment of the next one.
pub fn next_window(windows: &[SendWindow], at: Timestamp, zone: &Zone) -> Option<Timestamp> {
    let (_, weekday) = zone.minute_and_weekday(at);
    let is_on = |window: &SendWindow, day: u8| {
        window.days.get(usize::from(day % 7)).copied().unwrap_or(false)
    };
    let mut next: Option<Timestamp> = None;
    // Two weeks: a change of the clocks may swallow this week's only window whole.
    for ahead in 0..=15_u8 {
        let day = i64::from(ahead);
        for window in windows.iter().filter(|window| is_on(window, weekday + ahead)) {
            let start = zone.at_minute(at, day, window.from);
            let end = match window.to {
                MIDNIGHT => zone.start_of_day(at, day + 1),
                to => zone.at_minute(at, day, to),
            };
            if at < end && start < end {
                let opens = start.max(at);
                next = Some(next.map_or(opens, |next| next.min(opens)));
            }
        }
    }
    next
}
