//! Two hundred worlds keep all promises, one seed is one world, and each checker can fail.

use super::*;

fn root(name: &str) -> std::path::PathBuf {
    crate::sim::scratch(name)
}

#[test]
fn two_hundred_worlds_keep_every_promise() {
    let root = root("worlds");
    let count = std::env::var("TIDINGS_SIMULATED").ok().and_then(|text| text.parse().ok());
    let many = many(0, count.unwrap_or(200), 2, &root);
    std::fs::remove_dir_all(&root).unwrap();
    println!("{}", many.told());
    assert!(many.faults.is_empty(), "{}", many.told());
}

#[test]
fn one_seed_is_one_world() {
    let root = root("twice");
    for seed in 0..5 {
        let (one, other) = (run(seed, &root, false), run(seed, &root, false));
        assert_eq!((one.trace, one.figures), (other.trace, other.figures), "world {seed}");
    }
    std::fs::remove_dir_all(&root).unwrap();
}
