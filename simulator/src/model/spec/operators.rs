//! Each operator with a value that passes, one that does not, and no value.

use jiff::tz::TimeZone;
use serde_json::{Value as Json, json};

use super::super::{clock, compare, values};
use super::ms;

const NOW: &str = "2026-06-10T12:00:00Z";

fn holds(test: Json, value: Json) -> bool {
    holds_at(NOW, "UTC", test, value)
}

fn holds_at(now: &str, zone: &str, test: Json, value: Json) -> bool {
    let test = serde_json::from_value(test).expect("a test");
    let zone = clock::zone(zone).unwrap_or(TimeZone::UTC);
    compare::holds(&test, values::from_json(&value).as_ref(), ms(now), &zone)
}

/// For each operator: yes, no, and the answer for a missing value.
#[track_caller]
fn check(test: Json, yes: &[Json], no: &[Json], missing: bool) {
    for value in yes {
        assert!(holds(test.clone(), value.clone()), "{test} should hold for {value}");
    }
    for value in no {
        assert!(!holds(test.clone(), value.clone()), "{test} should not hold for {value}");
    }
    assert_eq!(holds(test.clone(), Json::Null), missing, "{test} for a missing value");
}

#[test]
fn text_compares_without_case_unless_switched() {
    let is = json!({ "kind": "is", "value": "Pro" });
    check(is, &[json!("pro"), json!("PRO")], &[json!("prom"), json!("")], false);
    let exact = json!({ "kind": "is", "value": "Pro", "match_case": true });
    check(exact, &[json!("Pro")], &[json!("pro")], false);
    let upper = json!({ "kind": "is", "value": "É" });
    check(upper, &[json!("é")], &[json!("e")], false);
}

#[test]
fn the_negated_tests_hold_for_a_missing_value() {
    check(json!({ "kind": "is_not", "value": "a" }), &[json!("b")], &[json!("A")], true);
    check(json!({ "kind": "is_none_of", "values": ["a"] }), &[json!("b")], &[json!("A")], true);
    let lacks = json!({ "kind": "does_not_contain", "value": "a" });
    check(lacks, &[json!("bcd")], &[json!("bAd")], true);
    check(json!({ "kind": "not_equals", "value": 1 }), &[json!(2)], &[json!(1), json!("1")], true);
    let none = json!({ "kind": "list_contains_none_of", "values": ["a"] });
    check(none, &[json!(["b"]), json!([])], &[json!(["A"])], true);
    check(json!({ "kind": "is_not_set" }), &[json!({})], &[json!(""), json!(0)], true);
    // But not this one.
    let begins = json!({ "kind": "does_not_start_with", "value": "a" });
    check(begins, &[json!("ba")], &[json!("Ab")], false);
}

#[test]
fn the_other_text_tests() {
    let any = json!({ "kind": "is_any_of", "values": ["a", 42, true] });
    check(any, &[json!("A"), json!(42), json!("42"), json!(true)], &[json!("b")], false);
    check(json!({ "kind": "contains", "value": "ro" }), &[json!("PROMO")], &[json!("or")], false);
    check(json!({ "kind": "starts_with", "value": "pr" }), &[json!("PRO")], &[json!("apr")], false);
    check(json!({ "kind": "ends_with", "value": "ro" }), &[json!("PRO")], &[json!("rot")], false);
    let regex = json!({ "kind": "matches_regex", "pattern": "^[a-c]+$" });
    check(regex, &[json!("ABC")], &[json!("abcd")], false);
    let exact = json!({ "kind": "matches_regex", "pattern": "b", "match_case": true });
    check(exact, &[json!("abc")], &[json!("ABC")], false);
    check(json!({ "kind": "is_set" }), &[json!(""), json!(false), json!([])], &[json!({})], false);
    check(json!({ "kind": "is_empty" }), &[json!(""), json!([])], &[json!(" "), json!(0)], false);
}

#[test]
fn numbers_compare_as_numbers() {
    check(json!({ "kind": "equals", "value": 42 }), &[json!(42), json!("42")], &[json!(43)], false);
    check(json!({ "kind": "greater_than", "value": 1 }), &[json!(2)], &[json!(1)], false);
    check(json!({ "kind": "at_least", "value": 1 }), &[json!(1)], &[json!(0.9)], false);
    check(json!({ "kind": "less_than", "value": 1 }), &[json!(0)], &[json!(1)], false);
    check(json!({ "kind": "at_most", "value": 1 }), &[json!(1)], &[json!(1.1)], false);
    let between = json!({ "kind": "between", "min": 1, "max": 2 });
    check(between, &[json!(1), json!(2)], &[json!(0.9), json!(2.1)], false);
}

#[test]
fn a_text_is_a_number_only_when_nothing_is_lost() {
    let equals = |number: f64| json!({ "kind": "equals", "value": number });
    assert!(holds(equals(42.0), json!("42")));
    assert!(holds(equals(4.2), json!("4.20")));
    assert!(holds(equals(-1.0), json!("-1")));
    for text in ["042", "+42", " 42", "42.", "4.2e1", "", "NaN"] {
        assert!(!holds(equals(42.0), json!(text)), "{text}");
    }
    // Beyond 2^53 a whole number is a text, and as a number it would lose its last digit.
    assert!(!holds(equals(9_007_199_254_740_992.0), json!(9_007_199_254_740_993_i64)));
    let is = json!({ "kind": "is", "value": "9007199254740993" });
    assert!(holds(is, json!(9_007_199_254_740_993_i64)));
}

#[test]
fn booleans_have_words() {
    let words = [json!(true), json!("TRUE")];
    check(json!({ "kind": "is_true" }), &words, &[json!(false), json!(1), json!("yes")], false);
    check(json!({ "kind": "is_false" }), &[json!(false), json!("False")], &[json!(0)], false);
    check(json!({ "kind": "is", "value": "true" }), &[json!(true)], &[json!(false)], false);
}

#[test]
fn lists_compare_their_elements_by_text() {
    let has = json!({ "kind": "list_contains", "value": "a" });
    check(has, &[json!(["A", 1])], &[json!(["b"]), json!("a")], false);
    let number = json!({ "kind": "list_contains", "value": "42" });
    check(number, &[json!([42])], &[json!([4.2])], false);
    let any = json!({ "kind": "list_contains_any_of", "values": ["a", "b"] });
    check(any, &[json!(["b", "c"])], &[json!(["c"]), json!([])], false);
    let all = json!({ "kind": "list_contains_all_of", "values": ["a", "b"] });
    check(all, &[json!(["b", "c", "A"])], &[json!(["a"])], false);
    let size = json!({ "kind": "list_size", "count": { "kind": "at_least", "n": 2 } });
    check(size, &[json!([1, 2])], &[json!([1]), json!("ab")], false);
}

#[test]
fn a_list_has_no_text_and_is_as_if_missing() {
    assert!(!holds(json!({ "kind": "is", "value": "a" }), json!(["a"])));
    assert!(holds(json!({ "kind": "is_not", "value": "a" }), json!(["a"])));
}

#[test]
fn dates_before_on_after_and_between() {
    let before = json!({ "kind": "before", "date": "2026-06-10" });
    let last_of_ninth = json!("2026-06-09T23:59:59.999Z");
    check(
        before,
        std::slice::from_ref(&last_of_ninth),
        &[json!("2026-06-10"), json!("soon")],
        false,
    );
    let on = json!({ "kind": "on", "date": "2026-06-10" });
    let tenth = [json!("2026-06-10"), json!("2026-06-10T23:59:59.999Z")];
    check(on, &tenth, &[last_of_ninth, json!("2026-06-11")], false);
    let after = json!({ "kind": "after", "date": "2026-06-10" });
    check(after, &[json!("2026-06-11T00:00:00Z")], &tenth, false);
    let between = json!({ "kind": "between_dates", "from": "2026-06-10", "to": "2026-06-11" });
    check(between, &[json!("2026-06-11T23:59:59.999Z")], &[json!("2026-06-12")], false);
    let moment = json!({ "kind": "after", "date": "2026-06-10T12:00:00+02:00" });
    check(moment, &[json!("2026-06-10T10:00:00.001Z")], &[json!("2026-06-10T10:00:00Z")], false);
}

#[test]
fn dates_by_their_distance_from_now() {
    let more = json!({ "kind": "more_than_ago", "amount": 1, "unit": "days" });
    let edge = json!("2026-06-09T12:00:00Z");
    let inside = json!("2026-06-09T12:00:00.001Z");
    check(more, std::slice::from_ref(&edge), std::slice::from_ref(&inside), false);
    let less = json!({ "kind": "less_than_ago", "amount": 1, "unit": "days" });
    check(less, &[inside, json!(NOW)], &[edge, json!("2026-06-10T12:00:00.001Z")], false);
    let next = json!({ "kind": "in_next", "amount": 2, "unit": "hours" });
    let two_hours = json!("2026-06-10T14:00:00Z");
    check(next, &[two_hours], &[json!(NOW), json!("2026-06-10T14:00:00.001Z")], false);
}

#[test]
fn exactly_ago_is_the_whole_civil_unit() {
    let days = json!({ "kind": "exactly_ago", "amount": 3, "unit": "days" });
    let seventh = [json!("2026-06-07"), json!("2026-06-07T23:59:59.999Z")];
    check(days, &seventh, &[json!("2026-06-08"), json!("2026-06-06")], false);
    let hours = json!({ "kind": "exactly_ago", "amount": 2, "unit": "hours" });
    check(hours, &[json!("2026-06-10T10:59:59.999Z")], &[json!("2026-06-10T11:00:00Z")], false);
    // 10 June 2026 is a Wednesday; the week before began on Monday the first.
    let weeks = json!({ "kind": "exactly_ago", "amount": 1, "unit": "weeks" });
    check(weeks, &[json!("2026-06-01"), json!("2026-06-07")], &[json!("2026-06-08")], false);
    let months = json!({ "kind": "exactly_ago", "amount": 1, "unit": "months" });
    check(months, &[json!("2026-05-31")], &[json!("2026-06-01")], false);
}

#[test]
fn an_anniversary_is_today_and_the_leap_day_is_the_28th() {
    let test = json!({ "kind": "anniversary" });
    check(test.clone(), &[json!("1990-06-10")], &[json!("1990-06-11"), json!("x")], false);
    let leap = json!("2024-02-29");
    assert!(holds_at("2026-02-28T12:00:00Z", "UTC", test.clone(), leap.clone()));
    assert!(!holds_at("2028-02-28T12:00:00Z", "UTC", test.clone(), leap.clone()));
    assert!(holds_at("2028-02-29T12:00:00Z", "UTC", test.clone(), leap));
    // It is still the ninth in New York.
    let late = "2026-06-10T02:00:00Z";
    assert!(holds_at(late, "America/New_York", test, json!("1990-06-09")));
}
