//! Civil time as Python's zoneinfo has it, in some of the zones; `trials zones` asks about all.

#[test]
fn civil_time_is_that_of_zoneinfo() {
    let found = trials::zones::run(2024, 2027, 12).unwrap();
    assert_eq!(found.differences, 0, "{}", found.shown.join("\n"));
    assert!(found.zones > 40 && found.answers > 5_000, "{}", found.figures());
}
