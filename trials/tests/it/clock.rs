//! A clock that is set forward and back, once; `trials clock` sets it by years and restarts.

use trials::clock::run;

#[test]
fn whoever_waits_when_the_clock_is_set_is_neither_early_nor_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let day = 86_400_000;
    let found = run(&[day, 0], folder.path()).unwrap();
    assert_eq!(found.faults(), 0, "{}\n{}", found.figures(), found.words.join("\n"));
    assert!(found.deliveries > 0, "{}", found.figures());
}
