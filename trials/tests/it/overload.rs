//! A few seconds of too much. How quick the server is then is a question for an idle machine; that
//! it keeps its word is not.

use trials::overload::run;

#[test]
fn too_much_is_refused_and_what_was_accepted_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let found = run(3, 10.0, folder.path()).unwrap();
    assert_eq!(found.broken(), Vec::<String>::new(), "{}", found.figures());
    assert!(found.accepted > 0, "{}", found.figures());
}
