//! A shop in a world of trouble: the real host on a real folder, clients that repeat themselves,
//! receivers that fail, a clock that jumps, and a process that dies in between.
//!
//! One seed is one world. [`run`] lives it, and the checkers in `checks` compare what the host
//! shows with the world's own books: what was sent in and acknowledged, what the receivers got.
//! Each checker has the name of a promise, and each can fail: the tests spoil what it looks at.
//!
//! In reading order: `rules` what is sent · `books` what is known · `machine` the host and its
//! crashes · `receivers` the fake channels · `courier` the worker · `acts`, `life` and `post` what happens ·
//! `eyes` what the host shows · `checks` the promises.
//!
//! Deliberately not here: rate limits over all customers, templates that do not render, several
//! projects, `alias`, and conditions beyond the plan: the histories of [`crate::agree`] and the
//! stories have those.

mod rules;
mod books;
mod machine;
mod receivers;
mod courier;
mod acts;
mod life;
mod post;
mod eyes;
mod checks;
#[cfg(test)]
mod spoil;
#[cfg(test)]
mod tests;

use std::path::Path;

use engine::delivery::Delivery;
use engine::ids::CustomerId;

use crate::model::clock::{self, Ms};
use crate::worlds::dice::Dice;
use books::Books;
use machine::Machine;
use receivers::Receivers;

/// A promise that was not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The checker's name.
    pub check: &'static str,
    /// What it saw.
    pub what: String,
}

/// What became of a world.
#[derive(Clone, Debug)]
pub struct Report {
    /// The world.
    pub seed: u64,
    /// A hash of everything that happened in it.
    pub trace: String,
    /// Promises that were not kept.
    pub faults: Vec<Fault>,
    /// What happened how often.
    pub figures: Figures,
}

/// What happened how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages of clients that were acknowledged.
    pub messages: u64,
    /// Decisions to send.
    pub sends: u64,
    /// Refusals.
    pub refusals: u64,
    /// Calls of a channel.
    pub calls: u64,
    /// Crashes.
    pub crashes: u64,
}

impl Figures {
    /// Count another world too.
    pub fn add(&mut self, other: Figures) {
        self.messages += other.messages;
        self.sends += other.sends;
        self.refusals += other.refusals;
        self.calls += other.calls;
        self.crashes += other.crashes;
    }
}

/// Live the world of a seed in a folder of its own below `root`. `tells` prints what happens.
pub fn run(seed: u64, root: &Path, tells: bool) -> Report {
    lived(seed, root, tells).0
}

/// The report, and the world as it was left.
fn lived(seed: u64, root: &Path, tells: bool) -> (Report, Option<(Books, eyes::Eyes)>) {
    let folder = root.join(format!("world-{seed}"));
    let broken = |what: String| Fault { check: "the-world-goes-on", what };
    let (mut report, left) = match World::new(seed, &folder, tells) {
        Err(error) => (Report::of(seed, vec![broken(error)]), None),
        Ok(mut world) => {
            let seen = world.live();
            let trace = world.trace.finalize().to_hex().to_string();
            let mut faults = std::mem::take(&mut world.faults);
            let left = match seen {
                Ok(eyes) => Some((world.books.clone(), eyes)),
                Err(error) => {
                    faults.push(broken(error));
                    None
                }
            };
            let figures = world.figures;
            (Report { trace, figures, ..Report::of(seed, faults) }, left)
        }
    };
    if let Err(error) = std::fs::remove_dir_all(&folder) {
        report.faults.push(broken(format!("the folder stays: {error}")));
    }
    (report, left)
}

impl Report {
    fn of(seed: u64, faults: Vec<Fault>) -> Report {
        Report { seed, trace: String::new(), faults, figures: Figures::default() }
    }
}

/// A world while it is lived.
struct World {
    dice: Dice,
    machine: Machine,
    books: Books,
    receivers: Receivers,
    /// Taken from the host; their outreach is paused.
    aside: Vec<(CustomerId, Delivery)>,
    /// What providers will say, and when.
    post: Vec<post::Letter>,
    /// How many calls have led to letters.
    post_written: usize,
    /// In a thousand: how often the process dies where it can.
    deadly: u64,
    /// How many messages clients have made.
    messages: u64,
    figures: Figures,
    faults: Vec<Fault>,
    trace: blake3::Hasher,
    tells: bool,
}

impl World {
    fn new(seed: u64, folder: &Path, tells: bool) -> Result<World, String> {
        let mut dice = Dice::new(seed ^ 0x51ed_270b_7f3a_9c11);
        let begin = clock::read("2026-03-20T06:00:00Z", &jiff::tz::TimeZone::UTC);
        let begin = begin.map_or(0, |when| when.start(&jiff::tz::TimeZone::UTC));
        let now = begin + Ms::try_from(dice.below(20 * 86_400_000)).unwrap_or(0);
        // In some worlds nobody stays in memory whom a checkpoint has written.
        let memory = dice.one(&[1, 8_000, usize::MAX / 2]);
        let machine = Machine::new(folder, now, memory)?;
        let receivers = Receivers::new(&mut dice);
        let deadly = dice.one(&[0, 10, 40]);
        let mut world = World {
            dice,
            machine,
            books: Books::default(),
            receivers,
            aside: Vec::new(),
            post: Vec::new(),
            post_written: 0,
            deadly,
            messages: 0,
            figures: Figures::default(),
            faults: Vec::new(),
            trace: blake3::Hasher::new(),
            tells,
        };
        let world_of =
            format!("{:?}, {deadly} deaths in a thousand, {memory} bytes", world.receivers);
        world.tell(&world_of);
        Ok(world)
    }

    /// Whether the process dies at this place.
    fn dies(&mut self) -> bool {
        let deadly = self.deadly;
        deadly > 0 && self.dice.below(1_000) < deadly
    }

    /// Something happened.
    fn tell(&mut self, what: &str) {
        let line = format!("{} {what}\n", clock::write(self.machine.now()));
        self.trace.update(line.as_bytes());
        if self.tells {
            print!("{line}");
        }
    }

    /// A promise was not kept.
    fn broken(&mut self, check: &'static str, what: String) {
        self.tell(&format!("BROKEN {check}: {what}"));
        self.faults.push(Fault { check, what });
    }
}

/// Many worlds.
#[derive(Clone, Debug, Default)]
pub struct Many {
    /// How many.
    pub worlds: u64,
    /// What happened in all of them.
    pub figures: Figures,
    /// The seeds of those that broke a promise, with the promises.
    pub faults: Vec<(u64, Vec<Fault>)>,
}

impl Many {
    /// One line when all is well, and for each broken world how to see it again.
    pub fn told(&self) -> String {
        let Figures { messages, sends, refusals, calls, crashes } = self.figures;
        let mut told = format!(
            "{} simulated worlds, {} broken: {messages} messages, {sends} sends, {refusals} \
             refusals, {calls} hand-overs, {crashes} crashes\n",
            self.worlds,
            self.faults.len()
        );
        for (seed, faults) in &self.faults {
            told += &format!("world {seed}; see it with: cargo sim {seed}\n");
            for Fault { check, what } in faults {
                told += &format!("    {check}: {what}\n");
            }
        }
        told
    }
}

/// Live `count` worlds from seed `from` on, each on one of `threads` threads.
pub fn many(from: u64, count: u64, threads: u64, root: &Path) -> Many {
    let next = std::sync::atomic::AtomicU64::new(from);
    let work = || {
        let mut many = Many::default();
        loop {
            let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if seed >= from + count {
                return many;
            }
            let report = run(seed, root, false);
            many.worlds += 1;
            many.figures.add(report.figures);
            if !report.faults.is_empty() {
                many.faults.push((seed, report.faults));
            }
        }
    };
    let mut all = Many::default();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            // A world that panicked has no report; its panic was printed.
            let Ok(some) = worker.join() else {
                let what = "a world has panicked".to_owned();
                all.faults.push((from, vec![Fault { check: "the-world-goes-on", what }]));
                continue;
            };
            all.worlds += some.worlds;
            all.figures.add(some.figures);
            all.faults.extend(some.faults);
        }
    });
    all.faults.sort_by_key(|(seed, _)| *seed);
    all
}

/// A folder of this process alone, in memory where there is such a place: nobody waits for a disk.
pub fn scratch(name: &str) -> std::path::PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    base.join(format!("tidings-sim-{}-{name}", std::process::id()))
}
