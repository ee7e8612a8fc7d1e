//! Ten thousand worlds, and whether they asked everything that can be asked.

use simulator::model::coverage::Coverage;
use simulator::worlds;

/// Enough that the rarest refusal occurs some dozens of times.
const WORLDS: u64 = 1_000;

#[test]
fn worlds_ask_everything_both_ways() {
    let halves = [0..WORLDS / 2, WORLDS / 2..WORLDS];
    let threads = halves.map(|seeds| {
        std::thread::spawn(move || {
            let mut coverage = Coverage::default();
            for seed in seeds {
                coverage.add(&worlds::play(&worlds::world(seed)).coverage);
            }
            coverage
        })
    });
    let mut coverage = Coverage::default();
    for thread in threads {
        coverage.add(&thread.join().expect("a world does not panic"));
    }
    println!("{coverage}");
}
