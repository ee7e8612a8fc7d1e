//! The limits: caps, quiet hours, send windows, rate limit, holdout.

use super::Draft;
use crate::outreach::compiled::{Cap, Guardrails, QuietHours, SendWindow};
use crate::outreach::definition::{self, CapScope, Weekday};

const CAPS: usize = 20;
const SEND_WINDOWS: usize = 50;
const DAY: u16 = 24 * 60;

/// Minutes since midnight of a time like `09:30`; `24:00` is the end of the day.
pub fn minute_of_day(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |part: &str| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse::<u16>().ok()).flatten()
    };
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= DAY).then_some(minute)
}

/// Hours of rest ready to be judged; `None` when they cannot be read or are empty.
pub fn quiet_hours(hours: &definition::QuietHours) -> Option<QuietHours> {
    let (from, to) = (minute_of_day(&hours.from)?, minute_of_day(&hours.to)?);
    let hours = QuietHours { from: from % DAY, to: to % DAY, otherwise: hours.otherwise };
    (hours.from != hours.to).then_some(hours)
}

impl Draft<'_> {
    pub(super) fn guardrails(&mut self, guardrails: &definition::Guardrails) -> Guardrails {
        let at = "/guardrails";
        let quiet_hours = guardrails.quiet_hours.as_ref();
        self.check_limits(&guardrails.caps, quiet_hours, at);
        if let Some(limit) = &guardrails.rate_limit {
            self.check_times(limit.sends, &format!("{at}/rate_limit/sends"));
            self.check_span(limit.per, &format!("{at}/rate_limit/per"));
        }
        let cap =
            |cap: &definition::Cap| Cap { over: cap.over.clone(), times: cap.times, per: cap.per };
        Guardrails {
            caps: guardrails.caps.iter().map(cap).collect(),
            quiet_hours: quiet_hours.and_then(self::quiet_hours),
            send_windows: self.send_windows(&guardrails.send_windows, at),
            rate_limit: guardrails.rate_limit.clone(),
            priority: guardrails.priority,
            holdout: self.percent(guardrails.holdout_percent, &format!("{at}/holdout_percent")),
            ignore_project_limits: guardrails.ignore_project_limits,
        }
    }

    /// Caps and quiet hours, of an outreach or of the whole project.
    pub(super) fn check_limits(
        &mut self,
        caps: &[definition::Cap],
        quiet_hours: Option<&definition::QuietHours>,
        at: &str,
    ) {
        self.check_length(caps, CAPS, &format!("{at}/caps"));
        for (place, cap) in caps.iter().enumerate() {
            self.check_cap(cap, &format!("{at}/caps/{place}"));
        }
        if let Some(hours) = quiet_hours {
            self.check_quiet_hours(hours, &format!("{at}/quiet_hours"));
        }
    }

    /// How often something may happen; never is not a limit but an outreach nobody gets.
    pub(super) fn check_times(&mut self, times: u32, pointer: &str) {
        if times == 0 {
            let message = "Zero would forbid every send; enter at least 1, or pause the outreach.";
            self.add(pointer, "bad_count", message);
        }
    }

    fn check_cap(&mut self, cap: &definition::Cap, pointer: &str) {
        self.check_times(cap.times, &format!("{pointer}/times"));
        self.check_span(cap.per, &format!("{pointer}/per"));
        match &cap.over {
            CapScope::Everything | CapScope::Channel { .. } => {}
            CapScope::Tag { tag } => self.check_name(tag, 50, &format!("{pointer}/over/tag")),
        }
    }

    fn check_quiet_hours(&mut self, hours: &definition::QuietHours, pointer: &str) {
        let from = self.minute(&hours.from, &format!("{pointer}/from"));
        let to = self.minute(&hours.to, &format!("{pointer}/to"));
        if let (Some(from), Some(to)) = (from, to)
            && from % DAY == to % DAY
        {
            let message = "The quiet hours end when they begin; move one end, or remove them.";
            self.add(&format!("{pointer}/to"), "empty_quiet_hours", message);
        }
    }

    fn send_windows(&mut self, windows: &[definition::SendWindow], at: &str) -> Vec<SendWindow> {
        let at = format!("{at}/send_windows");
        self.check_length(windows, SEND_WINDOWS, &at);
        let mut made = Vec::with_capacity(windows.len());
        for (place, window) in windows.iter().enumerate() {
            let from = self.minute(&window.from, &format!("{at}/{place}/from"));
            let to = self.minute(&window.to, &format!("{at}/{place}/to"));
            let (Some(from), Some(to)) = (from, to) else { continue };
            if from >= to {
                let message = "The window ends before it begins; split one that passes midnight \
                               into two (until 24:00, and from 00:00).";
                self.add(&format!("{at}/{place}/to"), "empty_send_window", message);
            }
            made.push(SendWindow { days: days(&window.days), from, to });
        }
        made
    }

    fn minute(&mut self, text: &str, pointer: &str) -> Option<u16> {
        let minute = minute_of_day(text);
        if minute.is_none() {
            let message = format!("{text:?} is not a time of day; write it like 09:00 or 17:30.");
            self.add(pointer, "unreadable_time", message);
        }
        minute
    }
}

fn days(days: &[Weekday]) -> [bool; 7] {
    [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ]
    .map(|day| days.is_empty() || days.contains(&day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_day() {
        assert_eq!(minute_of_day("09:30"), Some(570));
        assert_eq!(minute_of_day("24:00"), Some(1_440));
        for wrong in ["24:01", "9:30", "09:60", "+9:00", "0900", "", "99:99"] {
            assert_eq!(minute_of_day(wrong), None, "{wrong}");
        }
    }
}
