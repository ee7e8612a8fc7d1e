//! A few kills and a few stops; whole nights of them are `trials kills` and `trials stops`.

use trials::kills::{End, run};

#[test]
fn killed_again_and_again_nothing_is_lost_and_once_is_once() {
    let folder = tempfile::tempdir().unwrap();
    let found = run(End::Kill, 10, 1, folder.path()).unwrap();
    assert_eq!(found.faults(), 0, "{}\n{}", found.figures(), found.words.join("\n"));
    assert!(found.acknowledged > 0 && found.ended > 0, "{}", found.figures());
}

#[test]
fn stopped_again_and_again_nothing_is_lost_and_once_is_once() {
    let folder = tempfile::tempdir().unwrap();
    let found = run(End::Stop, 5, 2, folder.path()).unwrap();
    assert_eq!(found.faults(), 0, "{}\n{}", found.figures(), found.words.join("\n"));
    assert!(found.acknowledged > 0 && found.ended > 0, "{}", found.figures());
}
