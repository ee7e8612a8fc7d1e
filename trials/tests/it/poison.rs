//! Everything hostile, at every entry.

use trials::poison::run;

#[test]
fn hostile_input_is_refused_with_words_and_stops_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let found = run(folder.path()).unwrap();
    assert_eq!(found.faults, 0, "{}\n{}", found.figures(), found.words.join("\n"));
    assert!(found.live > 0 && found.refused > 1_000, "{}", found.figures());
}
