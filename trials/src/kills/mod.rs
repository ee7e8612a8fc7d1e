//! Kills: the real server under load, ended without a word at random moments and started again on
//! the same folder, hundreds of times. Then it may settle, and everything that was acknowledged
//! and everything that was received is held against what it says of itself.
//!
//! A third of the kills comes while the server is starting, and some come while it stops, which is
//! when it writes its last checkpoint; the others come under load, with checkpoints every moment.
//! Stops are the same world with SIGTERM in place of the kill.

mod check;
mod load;
mod world;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;

use self::check::Findings;
use self::load::{Ledger, Load};
use crate::dice::Dice;
use crate::receiver::Receiver;
use crate::server::{Plan, Server};

/// Kills in one data folder, so that folders and the look at them at the end stay small.
const ROUNDS_PER_FOLDER: usize = 100;
/// The longest time under load before an end, and so twice the mean.
const MOST_LOAD: Duration = Duration::from_millis(350);
/// Clients that send at the same time.
const CLIENTS: u64 = 4;

/// How each round ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// kill -9, at any moment.
    Kill,
    /// SIGTERM, under load; the server must end by itself, and well.
    Stop,
}

/// Run so many rounds, in new folders below `scratch`, and answer what was found.
///
/// # Errors
/// The server does not start, does not answer, or does not settle.
pub fn run(end: End, rounds: usize, seed: u64, scratch: &Path) -> anyhow::Result<Findings> {
    let mut found = Findings::default();
    std::thread::scope(|scope| {
        let mut settling: Option<std::thread::ScopedJoinHandle<'_, anyhow::Result<Findings>>> =
            None;
        let mut left = rounds;
        for number in 0_u64.. {
            let here = left.min(ROUNDS_PER_FOLDER);
            left -= here;
            let one = (here > 0)
                .then(|| one_folder(end, here, seed.wrapping_add(number), scratch, number));
            // One folder settles while the next is treated badly: both mostly wait.
            if let Some(before) = settling.take() {
                let joined = before.join().map_err(|_| anyhow::anyhow!("a check panicked"))?;
                found.add(joined?);
            }
            let Some(one) = one.transpose()? else { break };
            settling = Some(scope.spawn(move || one.settle()));
        }
        Ok(found)
    })
}

/// A folder after its last round, with what the clients know about it.
struct Folder {
    server: Server,
    receiver: Receiver,
    ledger: Ledger,
    found: Findings,
}

fn one_folder(
    end: End,
    rounds: usize,
    seed: u64,
    scratch: &Path,
    number: u64,
) -> anyhow::Result<Folder> {
    let mut dice = Dice::new(seed);
    let receiver = Receiver::start()?;
    world::be_unreliable(&receiver, seed);
    let plan = Plan::new(scratch.join(format!("data-{number}")))?
        .with_webhooks()
        .with("TIDINGS_CHECKPOINT__EVERY_MS", "60");
    let mut server = Server::new(plan);
    let mut found = Findings::default();
    if end == End::Kill {
        // Before there is anything: a folder that is half made must not stay so.
        for _ in 0..3 {
            server.spawn()?;
            std::thread::sleep(Duration::from_millis(dice.below(25)));
            server.kill()?;
            found.kills += 1;
        }
    }
    server.start_again()?;
    world::set_up(&mut server.client()?, &receiver)?;
    let load = Load::start(server.keys()?, CLIENTS, seed)?;
    let mut start_time = Duration::from_millis(20);
    for round in 0..rounds {
        load.next_round(round as u64);
        if server.pid().is_none() {
            server.spawn()?;
            if end == End::Kill && dice.percent(33) {
                let most = u64::try_from(start_time.as_micros()).unwrap_or(u64::MAX);
                std::thread::sleep(Duration::from_micros(dice.below(most)));
                server.kill()?;
                found.kills += 1;
                continue;
            }
            let began = Instant::now();
            server
                .wait_until_ready(crate::server::PATIENCE)
                .with_context(|| format!("round {round} of folder {number}, seed {seed}"))?;
            start_time = began.elapsed();
            found.starts.push(start_time);
        }
        load.go(server.address()?);
        let most = u64::try_from(MOST_LOAD.as_micros()).unwrap_or(u64::MAX);
        std::thread::sleep(Duration::from_micros(dice.below(most)));
        match end {
            End::Kill => {
                if dice.percent(15) {
                    server.ask_to_end()?;
                    std::thread::sleep(Duration::from_micros(dice.below(30_000)));
                }
                server.kill()?;
                found.kills += 1;
            }
            End::Stop => found.stopped(server.terminate()?),
        }
        load.pause();
    }
    let ledger = load.end()?;
    Ok(Folder { server, receiver, ledger, found })
}

impl Folder {
    fn settle(self) -> anyhow::Result<Findings> {
        let Folder { mut server, receiver, ledger, mut found } = self;
        receiver.be_well();
        server.start_again()?;
        check::settle(&mut server, &receiver, &ledger, &mut found)?;
        found.stopped(server.terminate()?);
        check::verify_log(&server, &mut found)?;
        found.complain("the server's log", server.complaints());
        std::fs::remove_dir_all(server.data())?;
        Ok(found)
    }
}
