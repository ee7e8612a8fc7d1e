//! Civil time, the only module that knows the calendar crate.
//!
//! The engine never reads a clock: `now` is an argument. Zones come from the table compiled in,
//! so that two machines agree.

use jiff::civil;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span as JiffSpan};
use serde::{Deserialize, Serialize};

use crate::outreach::definition::{Span, Unit};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// The earliest moment there is, for windows without a beginning.
    pub const MIN: Timestamp = Timestamp(i64::MIN);
    /// The latest moment there is.
    pub const MAX: Timestamp = Timestamp(i64::MAX);

    /// From RFC 3339 text.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let moment: jiff::Timestamp = text.trim().parse().ok()?;
        Some(Timestamp(moment.as_millisecond()))
    }

    /// As RFC 3339 text with milliseconds, in UTC.
    pub fn to_rfc3339(self) -> String {
        format!("{:.3}", self.to_jiff())
    }

    /// This many milliseconds later.
    pub fn plus_ms(self, ms: i64) -> Timestamp {
        Timestamp(self.0.saturating_add(ms))
    }

    fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_millisecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }
}

/// A time zone, cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated Universal Time.
    pub fn utc() -> Zone {
        Zone(TimeZone::UTC)
    }

    /// By its IANA name.
    pub fn named(name: &str) -> Option<Zone> {
        TimeZone::get(name.trim()).ok().map(Zone)
    }

    fn civil(&self, at: Timestamp) -> civil::DateTime {
        self.0.to_datetime(at.to_jiff())
    }

    /// A civil time as a moment: in a gap the first valid one after it, in an overlap the first.
    fn moment(&self, at: civil::DateTime) -> Timestamp {
        let ambiguous = self.0.to_ambiguous_timestamp(at);
        if let jiff::tz::AmbiguousOffset::Gap { after, .. } = ambiguous.offset()
            && let Ok(before_gap) = after.to_timestamp(at)
            && let Some(transition) = self.0.following(before_gap).next()
        {
            return Timestamp(transition.timestamp().as_millisecond());
        }
        match ambiguous.earlier() {
            Ok(at) => Timestamp(at.as_millisecond()),
            Err(_) => Timestamp::MAX,
        }
    }

    /// The civil day of a moment as (year, month, day).
    pub fn day_of(&self, at: Timestamp) -> (i16, i8, i8) {
        let date = self.civil(at).date();
        (date.year(), date.month(), date.day())
    }

    /// Minutes since the civil midnight, and the weekday (Monday is 0).
    pub fn minute_and_weekday(&self, at: Timestamp) -> (u16, u8) {
        let here = self.civil(at);
        let minute = u16::try_from(here.hour()).unwrap_or(0) * 60
            + u16::try_from(here.minute()).unwrap_or(0);
        let weekday = u8::try_from(here.weekday().to_monday_zero_offset()).unwrap_or(0);
        (minute, weekday)
    }

    /// The first moment of the civil day that lies `days` after the day of `at`.
    pub fn start_of_day(&self, at: Timestamp, days: i64) -> Timestamp {
        let date = self.civil(at).date();
        match date.checked_add(JiffSpan::new().days(days.clamp(-4_000_000, 4_000_000))) {
            Ok(date) => self.moment(date.at(0, 0, 0, 0)),
            Err(_) => Timestamp::MAX,
        }
    }

    /// The first moment at or after civil `minute` of the day that lies `days` after the day of `at`.
    /// In a gap: the first valid moment after it; in an overlap: the first occurrence.
    pub fn at_minute(&self, at: Timestamp, days: i64, minute: u16) -> Timestamp {
        let date = self.civil(at).date();
        let Ok(date) = date.checked_add(JiffSpan::new().days(days)) else { return Timestamp::MAX };
        let hour = i8::try_from(minute / 60).unwrap_or(0);
        let minute = i8::try_from(minute % 60).unwrap_or(0);
        self.moment(date.at(hour, minute, 0, 0))
    }
}

/// `count` units after (or, negative, before) a moment. Days and longer keep the wall clock of `zone`.
pub fn shift(at: Timestamp, count: i64, unit: Unit, zone: &Zone) -> Timestamp {
    match unit {
        Unit::Seconds => at.plus_ms(count.saturating_mul(1_000)),
        Unit::Minutes => at.plus_ms(count.saturating_mul(60_000)),
        Unit::Hours => at.plus_ms(count.saturating_mul(3_600_000)),
        Unit::Days | Unit::Weeks | Unit::Months | Unit::Years => {
            let far = if count < 0 { Timestamp::MIN } else { Timestamp::MAX };
            let Some(span) = calendar_span(count, unit) else { return far };
            match zone.civil(at).checked_add(span) {
                Ok(there) => zone.moment(there),
                Err(_) => far,
            }
        }
    }
}

/// A span of a definition after a moment.
pub fn after(at: Timestamp, span: Span, zone: &Zone) -> Timestamp {
    shift(at, i64::from(span.amount), span.unit, zone)
}

/// A span of a definition before a moment.
pub fn before(at: Timestamp, span: Span, zone: &Zone) -> Timestamp {
    shift(at, -i64::from(span.amount), span.unit, zone)
}

/// The unit that holds the moment, as [first, next first): the civil day, the clock hour …
/// Weeks begin on Monday.
pub fn unit_around(at: Timestamp, unit: Unit, zone: &Zone) -> (Timestamp, Timestamp) {
    let here = zone.civil(at);
    let date = here.date();
    let exact = |length: i64| {
        let offset = i64::from(zone.0.to_offset(at.to_jiff()).seconds()) * 1_000;
        let first = (at.0 + offset).div_euclid(length) * length - offset;
        (Timestamp(first), Timestamp(first + length))
    };
    let first = match unit {
        Unit::Seconds => return exact(1_000),
        Unit::Minutes => return exact(60_000),
        Unit::Hours => return exact(3_600_000),
        Unit::Days => date,
        Unit::Weeks => {
            let back = i64::from(date.weekday().to_monday_zero_offset());
            date.checked_sub(JiffSpan::new().days(back)).unwrap_or(date)
        }
        Unit::Months => date.first_of_month(),
        Unit::Years => date.first_of_year(),
    };
    let next = calendar_span(1, unit).and_then(|span| first.checked_add(span).ok());
    let end = next.map_or(Timestamp::MAX, |next| zone.moment(next.at(0, 0, 0, 0)));
    (zone.moment(first.at(0, 0, 0, 0)), end)
}

/// A moment (RFC 3339) or the first moment of a day (`2026-01-31`) in `zone`.
pub fn parse_moment_or_day(text: &str, zone: &Zone) -> Option<Timestamp> {
    if !looks_like_date(text) {
        return None;
    }
    match parse_day(text) {
        Some(day) => Some(zone.moment(day.at(0, 0, 0, 0))),
        None => parse_moment(text, zone),
    }
}

/// As [first, next first): a moment is one millisecond long, a day is the whole day in `zone`.
pub fn parse_range(text: &str, zone: &Zone) -> Option<(Timestamp, Timestamp)> {
    match parse_day(text) {
        Some(day) => {
            let next = day.tomorrow().ok()?;
            Some((zone.moment(day.at(0, 0, 0, 0)), zone.moment(next.at(0, 0, 0, 0))))
        }
        None => parse_moment(text, zone).map(|at| (at, at.plus_ms(1))),
    }
}

/// Begins like an ISO 8601 date; cheap, so that most texts are not parsed.
pub fn looks_like_date(text: &str) -> bool {
    let bytes = text.trim().as_bytes();
    matches!(bytes, [a, b, c, d, b'-', e, f, b'-', g, h, ..]
        if [a, b, c, d, e, f, g, h].iter().all(|digit| digit.is_ascii_digit()))
        && (bytes.len() == 10 || matches!(bytes.get(10), Some(b'T' | b't' | b' ')))
}

fn parse_day(text: &str) -> Option<civil::Date> {
    let text = text.trim();
    if text.len() == 10 { text.parse().ok() } else { None }
}

/// RFC 3339, or a civil date and time without an offset, which is read in `zone`.
fn parse_moment(text: &str, zone: &Zone) -> Option<Timestamp> {
    if let Some(at) = Timestamp::parse(text) {
        return Some(at);
    }
    let here: civil::DateTime = text.trim().parse().ok()?;
    Some(zone.moment(here))
}

fn calendar_span(count: i64, unit: Unit) -> Option<JiffSpan> {
    let span = JiffSpan::new();
    match unit {
        Unit::Days => span.try_days(count).ok(),
        Unit::Weeks => span.try_weeks(count).ok(),
        Unit::Months => span.try_months(count).ok(),
        Unit::Years => span.try_years(count).ok(),
        Unit::Seconds | Unit::Minutes | Unit::Hours => None,
    }
}

/// `strftime` of a moment in a zone, for templates.
pub fn format(at: Timestamp, zone: &Zone, pattern: &str) -> Option<String> {
    let zoned = at.to_jiff().to_zoned(zone.0.clone());
    jiff::fmt::strtime::format(pattern, &zoned).ok()
}

/// A length in words for explanations: `3 h 20 min`.
pub fn in_words(ms: i64) -> String {
    let length = SignedDuration::from_millis(ms.abs());
    let (days, hours) = (length.as_hours() / 24, length.as_hours() % 24);
    let (minutes, seconds) = (length.as_mins() % 60, length.as_secs() % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {seconds} s"),
        (0, _, _) => format!("{hours} h {minutes} min"),
        (_, _, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn days_keep_the_wall_clock_over_a_change_of_the_clocks() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let noon = at("2026-03-29T10:00:00Z");
        assert_eq!(shift(noon, -1, Unit::Days, &berlin), at("2026-03-28T11:00:00Z"));
        assert_eq!(shift(noon, -24, Unit::Hours, &berlin), at("2026-03-28T10:00:00Z"));
        assert_eq!(
            shift(at("2026-03-31T00:00:00Z"), -1, Unit::Months, &Zone::utc()),
            at("2026-02-28T00:00:00Z")
        );
    }

    #[test]
    fn a_time_in_a_gap_is_the_first_valid_one_after() {
        let berlin = Zone::named("Europe/Berlin").unwrap();
        let day = at("2026-03-29T00:30:00Z");
        assert_eq!(berlin.at_minute(day, 0, 150), at("2026-03-29T01:00:00Z"));
    }

    #[test]
    fn texts_that_look_like_dates_are_dates() {
        let zone = Zone::utc();
        assert_eq!(parse_moment_or_day("2026-01-31", &zone), Some(at("2026-01-31T00:00:00Z")));
        assert_eq!(
            parse_moment_or_day("2026-01-31T10:00:00+01:00", &zone),
            Some(at("2026-01-31T09:00:00Z"))
        );
        assert_eq!(
            parse_moment_or_day("2026-01-31T10:00:00", &zone),
            Some(at("2026-01-31T10:00:00Z"))
        );
        assert_eq!(parse_moment_or_day("2026-01-31x", &zone), None);
        assert_eq!(parse_moment_or_day("order 12", &zone), None);
    }

    #[test]
    fn units_around_a_moment() {
        let zone = Zone::utc();
        let (first, next) = unit_around(at("2026-11-22T14:30:00Z"), Unit::Weeks, &zone);
        assert_eq!((first, next), (at("2026-11-16T00:00:00Z"), at("2026-11-23T00:00:00Z")));
    }
}
