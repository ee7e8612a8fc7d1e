//! Not tests: figures, printed by `cargo test -p tidings-store --release -- --ignored --nocapture figures`.

use std::fs;
use std::hint::black_box;
use std::thread;
use std::time::Instant;

use store::log::{Log, LogOptions, verify};
use store::state::{Keyspace, Order, State};

const EVENTS: u64 = 1_000_000;
const EVENT_BYTES: usize = 300;

#[test]
#[ignore = "prints figures"]
fn log() {
    let folder = tempfile::tempdir().unwrap();
    for batch in [100, 1000] {
        let dir = folder.path().join(format!("log-{batch}"));
        let (mut log, _) = Log::open(&dir, LogOptions::default()).unwrap();
        let start = Instant::now();
        for number in 0..EVENTS {
            log.append((number % 64) as u8, 1, &[number as u8; EVENT_BYTES]).unwrap();
            if number % batch == batch - 1 {
                log.commit().unwrap();
            }
        }
        report(&format!("append, a commit each {batch}"), start, EVENTS);
        let bytes = log.end() as f64 / (EVENTS as f64 * EVENT_BYTES as f64);
        println!("  {bytes:.3} bytes in the log for each byte of an event");
    }

    let dir = folder.path().join("pipelined");
    let (appender, mut committer) = Log::open(&dir, LogOptions::default()).unwrap().0.split();
    let start = Instant::now();
    let mut commits = 0u64;
    thread::scope(|scope| {
        let appender = &appender;
        let applier = scope.spawn(move || {
            for number in 0..EVENTS {
                while appender.append((number % 64) as u8, 1, &[number as u8; EVENT_BYTES]).is_err()
                {
                    thread::yield_now();
                }
            }
        });
        while !applier.is_finished() || committer.durable() < appender.end() {
            let before = committer.durable();
            commits += u64::from(committer.commit().unwrap() > before);
        }
    });
    report(&format!("append on one thread, {commits} commits on another"), start, EVENTS);
    let start = Instant::now();
    assert_eq!(appender.reader().iterate(0).map(Result::unwrap).count() as u64, EVENTS);
    report("iterate", start, EVENTS);
    drop((appender, committer));
    let start = Instant::now();
    let (log, _) = Log::open(&dir, LogOptions::default()).unwrap();
    println!("open after a crash: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
    drop(log);
    let start = Instant::now();
    verify(&dir).unwrap();
    report("verify", start, EVENTS);
}

#[test]
#[ignore = "prints figures"]
fn state() {
    const ROWS: u64 = 1_000_000;
    const ABSENT: u64 = 100_000;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("state");
    let before = resident();
    let state = State::open(&dir).unwrap();
    println!("empty: {} KiB resident more than before", resident() - before);
    let start = Instant::now();
    let mut batch = state.batch();
    for number in 0..ROWS {
        let key = u128::from(number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            .to_be_bytes();
        batch.put(Keyspace::Seen, &key, &number.to_be_bytes());
        if batch.len() == 1000 {
            std::mem::replace(&mut batch, state.batch()).commit().unwrap();
        }
    }
    batch.commit().unwrap();
    report("seen, put in batches of 1,000", start, ROWS);
    let start = Instant::now();
    let mut found = 0;
    for number in ROWS..ROWS + ABSENT {
        let key = u128::from(number)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
            .to_be_bytes();
        found += u64::from(state.contains(Keyspace::Seen, &key).unwrap());
    }
    assert_eq!(found, 0);
    report("seen, absent", start, ABSENT);
    let start = Instant::now();
    black_box(state.scan_prefix(Keyspace::Seen, b"", Order::Forward).count());
    report("seen, scan", start, ROWS);
    println!(
        "{} KiB resident more than before, {} KiB on the disk",
        resident() - before,
        state.disk_bytes().unwrap() / 1024
    );
    drop(state);
    let start = Instant::now();
    State::open(&dir).unwrap();
    println!("open without sync before: {:.0} ms", start.elapsed().as_secs_f64() * 1e3);
}

fn report(what: &str, start: Instant, count: u64) {
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{what}: {:.0} k/s, {:.2} µs each",
        count as f64 / seconds / 1e3,
        seconds / count as f64 * 1e6
    );
}

fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
