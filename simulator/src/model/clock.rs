//! Time as people mean it, in the plainest way: milliseconds, a zone, and civil dates between them.
//!
//! Written on `jiff` directly and not on the engine's own time, because agreement with the engine
//! is only worth something when the two did not copy from each other.

use engine::outreach::definition::{Span, Unit};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, ToSpan};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Ms = i64;

/// Before everything that can be said.
pub const FAR_PAST: Ms = -300_000_000_000_000;
/// After everything that can be said.
pub const FAR_FUTURE: Ms = 250_000_000_000_000;

/// A named zone; `None` when nobody knows it.
pub fn zone(name: &str) -> Option<TimeZone> {
    let name = name.trim();
    if name.is_empty() {
        return None;
    }
    TimeZone::get(name).ok()
}

/// What the clock on the wall shows.
pub fn wall(at: Ms, zone: &TimeZone) -> DateTime {
    zone.to_datetime(stamp(at))
}

/// The first instant at which the wall shows this. In a gap: the first instant after the gap.
pub fn instant(wall: DateTime, zone: &TimeZone) -> Ms {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
            offset.to_timestamp(wall).map_or(FAR_FUTURE, |at| at.as_millisecond())
        }
        AmbiguousOffset::Gap { after, .. } => {
            let early = after.to_timestamp(wall).unwrap_or(Timestamp::MAX);
            let mut later = zone.following(early);
            later.next().map_or(FAR_FUTURE, |change| change.timestamp().as_millisecond())
        }
    }
}

/// The first moment of a day.
pub fn day_start(day: Date, zone: &TimeZone) -> Ms {
    instant(day.to_datetime(Time::midnight()), zone)
}

/// The first moment after a day.
pub fn day_end(day: Date, zone: &TimeZone) -> Ms {
    day.tomorrow().map_or(FAR_FUTURE, |next| day_start(next, zone))
}

/// `amount` units before a moment.
pub fn before(at: Ms, amount: u32, unit: Unit, zone: &TimeZone) -> Ms {
    shift(at, -i64::from(amount), unit, zone).unwrap_or(FAR_PAST)
}

/// `amount` units after a moment.
pub fn after(at: Ms, amount: u32, unit: Unit, zone: &TimeZone) -> Ms {
    shift(at, i64::from(amount), unit, zone).unwrap_or(FAR_FUTURE)
}

/// A span before a moment.
pub fn span_before(at: Ms, span: Span, zone: &TimeZone) -> Ms {
    before(at, span.amount, span.unit, zone)
}

/// A span after a moment.
pub fn span_after(at: Ms, span: Span, zone: &TimeZone) -> Ms {
    after(at, span.amount, span.unit, zone)
}

/// The length of a unit whose length never changes.
pub fn exact(unit: Unit) -> Option<Ms> {
    match unit {
        Unit::Seconds => Some(1_000),
        Unit::Minutes => Some(60_000),
        Unit::Hours => Some(3_600_000),
        Unit::Days | Unit::Weeks | Unit::Months | Unit::Years => None,
    }
}

fn shift(at: Ms, amount: i64, unit: Unit, zone: &TimeZone) -> Option<Ms> {
    let here = wall(at, zone);
    let span = match unit {
        Unit::Seconds | Unit::Minutes | Unit::Hours => {
            return at.checked_add(amount * exact(unit)?);
        }
        Unit::Days => 0.days().try_days(amount),
        Unit::Weeks => 0.days().try_weeks(amount),
        Unit::Months => 0.days().try_months(amount),
        Unit::Years => 0.days().try_years(amount),
    };
    let there = here.checked_add(span.ok()?).ok()?;
    Some(instant(there, zone))
}

/// The civil unit in which a moment lies: from its first moment to the first one after it.
pub fn unit_around(at: Ms, unit: Unit, zone: &TimeZone) -> (Ms, Ms) {
    if let Some(length) = exact(unit) {
        let offset = i64::from(zone.to_offset(stamp(at)).seconds()) * 1_000;
        let start = (at + offset).div_euclid(length) * length - offset;
        return (start, start + length);
    }
    let day = wall(at, zone).date();
    let (first, last) = match unit {
        Unit::Weeks => {
            let since_monday = i64::from(day.weekday().to_monday_zero_offset());
            let monday = day.checked_sub(since_monday.days()).unwrap_or(day);
            (monday, monday.checked_add(6.days()).unwrap_or(day))
        }
        Unit::Months => (day.first_of_month(), day.last_of_month()),
        Unit::Years => (day.first_of_year(), day.last_of_year()),
        Unit::Seconds | Unit::Minutes | Unit::Hours | Unit::Days => (day, day),
    };
    (day_start(first, zone), day_end(last, zone))
}

/// A moment or a day, as it is written in a definition or comes as a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum When {
    /// Exactly then.
    Moment(Ms),
    /// All of that day.
    Day(Date),
}

impl When {
    /// Its first moment.
    pub fn start(self, zone: &TimeZone) -> Ms {
        match self {
            When::Moment(at) => at,
            When::Day(day) => day_start(day, zone),
        }
    }

    /// Its last millisecond.
    pub fn last(self, zone: &TimeZone) -> Ms {
        match self {
            When::Moment(at) => at,
            When::Day(day) => day_end(day, zone) - 1,
        }
    }
}

/// Read `2026-01-31`, or the same with `T` or a blank and a time, with an offset or in the zone.
pub fn read(text: &str, zone: &TimeZone) -> Option<When> {
    let day = read_day(text.get(..10)?)?;
    let rest = text.get(10..)?;
    if rest.is_empty() {
        return Some(When::Day(day));
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, offset) = split_offset(rest)?;
    let time = read_time(clock)?;
    let written = day.to_datetime(time);
    match offset {
        None => Some(When::Moment(instant(written, zone))),
        Some(offset) => {
            let utc = instant(written, &TimeZone::UTC);
            Some(When::Moment(utc - offset))
        }
    }
}

/// A clock time such as `22:00`, in milliseconds since midnight.
pub fn read_time(text: &str) -> Option<Time> {
    let mut parts = text.splitn(3, ':');
    let hour = digits(parts.next()?, 2)?;
    let minute = digits(parts.next()?, 2)?;
    let (second, nanos) = match parts.next() {
        None => (0, 0),
        Some(rest) => match rest.split_once('.') {
            None => (digits(rest, 2)?, 0),
            Some((second, fraction)) => (digits(second, 2)?, read_fraction(fraction)?),
        },
    };
    Time::new(
        i8::try_from(hour).ok()?,
        i8::try_from(minute).ok()?,
        i8::try_from(second).ok()?,
        nanos,
    )
    .ok()
}

fn read_day(text: &str) -> Option<Date> {
    let mut parts = text.splitn(3, '-');
    let year = digits(parts.next()?, 4)?;
    let month = digits(parts.next()?, 2)?;
    let day = digits(parts.next()?, 2)?;
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn read_fraction(text: &str) -> Option<i32> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    let padded = format!("{text:0<9}");
    let nanos = digits(&padded, 9)?;
    Some(nanos / 1_000_000 * 1_000_000)
}

fn split_offset(text: &str) -> Option<(&str, Option<Ms>)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, Some(0)));
    }
    let Some(sign_at) = text.find(['+', '-']) else {
        return Some((text, None));
    };
    let (clock, offset) = text.split_at(sign_at);
    let sign = if offset.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = offset.get(1..)?.split_once(':')?;
    let minutes = digits(hours, 2)? * 60 + digits(minutes, 2)?;
    Some((clock, Some(sign * i64::from(minutes) * 60_000)))
}

fn digits(text: &str, length: usize) -> Option<i32> {
    if text.len() != length || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn stamp(at: Ms) -> Timestamp {
    Timestamp::from_millisecond(at.clamp(FAR_PAST, FAR_FUTURE)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// RFC 3339, as an attribute that is a moment is written.
pub fn write(at: Ms) -> String {
    stamp(at).to_string()
}
