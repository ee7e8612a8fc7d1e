//! Two hundred worlds keep all promises, one seed is one world, and each checker can fail.

use super::*;

fn root(name: &str) -> std::path::PathBuf {
    scratch(name)
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

#[test]
fn each_checker_can_fail() {
    let root = root("spoilt");
    let mut left: Vec<&str> = checks::names();
    for seed in 0..40 {
        let (report, world) = lived(seed, &root, false);
        let Some((books, eyes)) = world.filter(|_| report.faults.is_empty()) else { continue };
        left.retain(|check| {
            let (mut books, mut eyes) = (books.clone(), eyes.clone());
            if !spoil::spoil(check, &mut books, &mut eyes) {
                return true;
            }
            let faults = checks::all(&books, &eyes);
            !faults.iter().any(|fault| fault.check == *check)
        });
    }
    std::fs::remove_dir_all(&root).unwrap();
    assert_eq!(left, Vec::<&str>::new(), "these never said anything");
}
