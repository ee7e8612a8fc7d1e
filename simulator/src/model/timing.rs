//! Quiet hours and send windows: the next moment at which a message may leave.

use engine::outreach::definition::{Definition, Otherwise, QuietHours, SendWindow, Weekday};
use engine::project::Settings;
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::clock::{self, Ms};
use super::verdict::Skip;

/// How often the moment may be moved before we say that there is none.
const MOVES: usize = 100;
/// How many days on each side of a moment can matter: a week, and a day for midnight.
const DAYS: i64 = 9;

/// The first moment from `at` on at which the message may leave.
pub fn allowed(
    definition: &Definition,
    settings: &Settings,
    zone: &TimeZone,
    at: Ms,
) -> Result<Ms, Skip> {
    if !definition.content.outreach_type().disturbs() {
        return Ok(at);
    }
    let guardrails = &definition.guardrails;
    let mut quiet: Vec<&QuietHours> = guardrails.quiet_hours.iter().collect();
    if !guardrails.ignore_project_limits {
        quiet.extend(&settings.quiet_hours);
    }
    let mut moment = at;
    for _ in 0..MOVES {
        let before = moment;
        for hours in &quiet {
            if let Some(end) = rest_ends(hours, zone, moment) {
                if hours.otherwise == Otherwise::Skip {
                    return Err(Skip::QuietHours);
                }
                moment = end;
            }
        }
        if !guardrails.send_windows.is_empty() {
            let opens = window_opens(&guardrails.send_windows, zone, moment);
            moment = opens.ok_or(Skip::QuietHours)?;
        }
        if moment == before {
            return Ok(moment);
        }
    }
    Err(Skip::QuietHours)
}

/// When the rest ends in which this moment lies.
fn rest_ends(hours: &QuietHours, zone: &TimeZone, at: Ms) -> Option<Ms> {
    let rests = days_around(at, zone).into_iter();
    let rests = rests.filter_map(|day| between(day, &hours.from, &hours.to, zone));
    rests.filter(|(start, end)| *start <= at && at < *end).map(|(_, end)| end).max()
}

/// This moment when a window is open, else the next opening.
fn window_opens(windows: &[SendWindow], zone: &TimeZone, at: Ms) -> Option<Ms> {
    let mut openings = Vec::new();
    for window in windows {
        for day in days_around(at, zone) {
            if !window.days.is_empty() && !window.days.contains(&weekday(day)) {
                continue;
            }
            let Some((start, end)) = between(day, &window.from, &window.to, zone) else { continue };
            if at < end && start < end {
                openings.push(start.max(at));
            }
        }
    }
    openings.into_iter().min()
}

/// From one time of a day to the next other time, which may lie on the day after.
fn between(day: Date, from: &str, to: &str, zone: &TimeZone) -> Option<(Ms, Ms)> {
    if to == "24:00" {
        let start = clock::instant(day.to_datetime(clock::read_time(from)?), zone);
        return Some((start, clock::day_end(day, zone)));
    }
    let (from, to) = (clock::read_time(from)?, clock::read_time(to)?);
    let last = if from < to { day } else { day.tomorrow().ok()? };
    let start = clock::instant(day.to_datetime(from), zone);
    let end = clock::instant(last.to_datetime(to), zone);
    Some((start, end))
}

fn days_around(at: Ms, zone: &TimeZone) -> Vec<Date> {
    let today = clock::wall(at, zone).date();
    (-DAYS..=DAYS).filter_map(|days| today.checked_add(days.days()).ok()).collect()
}

fn weekday(day: Date) -> Weekday {
    match day.weekday() {
        jiff::civil::Weekday::Monday => Weekday::Monday,
        jiff::civil::Weekday::Tuesday => Weekday::Tuesday,
        jiff::civil::Weekday::Wednesday => Weekday::Wednesday,
        jiff::civil::Weekday::Thursday => Weekday::Thursday,
        jiff::civil::Weekday::Friday => Weekday::Friday,
        jiff::civil::Weekday::Saturday => Weekday::Saturday,
        jiff::civil::Weekday::Sunday => Weekday::Sunday,
    }
}
