//! Calendar arithmetic over the two odd days of the year.

use engine::outreach::definition::Unit;

use super::super::clock::{self, after, before, unit_around};
use super::ms;

fn berlin() -> jiff::tz::TimeZone {
    clock::zone("Europe/Berlin").expect("Berlin")
}

#[test]
fn a_day_keeps_the_clock_on_the_wall() {
    // In Berlin the night to 29 March 2026 is an hour short.
    let noon = ms("2026-03-29T10:00:00Z");
    assert_eq!(before(noon, 1, Unit::Days, &berlin()), ms("2026-03-28T11:00:00Z"));
    assert_eq!(before(noon, 24, Unit::Hours, &berlin()), ms("2026-03-28T10:00:00Z"));
}

#[test]
fn a_time_in_the_gap_is_the_first_instant_after_it() {
    let half_past_two = ms("2026-03-28T01:30:00Z");
    assert_eq!(after(half_past_two, 1, Unit::Days, &berlin()), ms("2026-03-29T01:00:00Z"));
}

#[test]
fn a_time_that_comes_twice_is_the_first_occurrence() {
    let half_past_two = ms("2026-10-24T00:30:00Z");
    assert_eq!(after(half_past_two, 1, Unit::Days, &berlin()), ms("2026-10-25T00:30:00Z"));
}

#[test]
fn a_day_can_begin_after_midnight() {
    // In Havana the clock goes from midnight to one on 8 March 2026.
    let havana = clock::zone("America/Havana").expect("Havana");
    let (start, end) = unit_around(ms("2026-03-08T12:00:00Z"), Unit::Days, &havana);
    assert_eq!((start, end), (ms("2026-03-08T05:00:00Z"), ms("2026-03-09T04:00:00Z")));
}

#[test]
fn a_month_ends_where_it_is_shorter() {
    let utc = clock::zone("UTC").expect("UTC");
    assert_eq!(
        after(ms("2026-01-31T10:00:00Z"), 1, Unit::Months, &utc),
        ms("2026-02-28T10:00:00Z")
    );
    assert_eq!(
        before(ms("2028-02-29T10:00:00Z"), 1, Unit::Years, &utc),
        ms("2027-02-28T10:00:00Z")
    );
    assert_eq!(
        before(ms("2026-06-10T10:00:00Z"), 2, Unit::Weeks, &utc),
        ms("2026-05-27T10:00:00Z")
    );
}

#[test]
fn an_hour_of_the_clock_follows_the_offset() {
    let kathmandu = clock::zone("Asia/Kathmandu").expect("Kathmandu");
    // 12:00Z is 17:45 there; the hour began at 17:00, which is 11:15Z.
    let (start, end) = unit_around(ms("2026-06-10T12:00:00Z"), Unit::Hours, &kathmandu);
    assert_eq!((start, end), (ms("2026-06-10T11:15:00Z"), ms("2026-06-10T12:15:00Z")));
}

#[test]
fn dates_are_read_in_the_zone_unless_they_say_otherwise() {
    let read = |text: &str| clock::read(text, &berlin()).map(|when| when.start(&berlin()));
    assert_eq!(read("2026-06-10"), Some(ms("2026-06-09T22:00:00Z")));
    assert_eq!(read("2026-06-10 12:00"), Some(ms("2026-06-10T10:00:00Z")));
    assert_eq!(read("2026-06-10T12:00:00.5Z"), Some(ms("2026-06-10T12:00:00.500Z")));
    assert_eq!(read("2026-06-10T12:00:00-03:30"), Some(ms("2026-06-10T15:30:00Z")));
    for text in ["", "2026-6-1", "10.06.2026", "2026-02-30", "2026-06-10T", "20260610"] {
        assert_eq!(read(text), None, "{text}");
    }
}
