//! The process dies in the middle of its work, again and again.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use store::log::{Log, LogError, LogOptions, Sync, verify};

use crate::{payload, payloads};

const DIR: &str = "TIDINGS_TEST_LOG";
const KILLS: u64 = 20;

fn options() -> LogOptions {
    LogOptions { segment_bytes: 32 * 1024, sync: Sync::Always }
}

/// Not a test by itself: the process that is killed. It says how many records it has acknowledged.
#[test]
fn child() {
    let Ok(dir) = env::var(DIR) else { return };
    let (log, recovered) = Log::open(Path::new(&dir), options()).unwrap();
    let mut acknowledged = log.reader().iterate(0).count() as u64;
    assert_eq!(log.durable(), recovered.end);
    let (appender, mut committer) = log.split();
    thread::scope(|scope| {
        let appender = &appender;
        scope.spawn(move || {
            for number in acknowledged.. {
                let payload = payload(number, 900);
                while let Err(error) = appender.append(1, 1, &payload) {
                    assert!(matches!(error, LogError::Backlog { .. }), "{error}");
                }
                if number % 64 == 0 {
                    thread::sleep(Duration::from_micros(200));
                }
            }
        });
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nfound {acknowledged}").unwrap();
        let mut at = recovered.end;
        loop {
            let durable = committer.commit().unwrap();
            acknowledged += appender.reader().iterate(at).count() as u64;
            at = durable;
            writeln!(out, "acknowledged {acknowledged}").unwrap();
        }
    });
}

#[test]
fn kill_nine_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let (mut acknowledged, mut torn) = (0, 0);
    for round in 0..KILLS {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "log_crash::child", "--nocapture", "--test-threads=1"])
            .env(DIR, &dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reading = thread::spawn(move || {
            let counts = lines
                .map_while(Result::ok)
                .filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok());
            counts.last().unwrap_or(0u64)
        });
        thread::sleep(Duration::from_millis(15 + round * 17 % 120));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = reading.join().unwrap().max(acknowledged);

        let (log, recovered) = Log::open(&dir, options()).unwrap();
        let found = payloads(&log);
        assert!(
            found.len() as u64 >= acknowledged,
            "round {round}: {} of {acknowledged}",
            found.len()
        );
        for (number, found) in found.iter().enumerate() {
            assert_eq!(found, &payload(number as u64, 900), "round {round}");
        }
        torn += u64::from(recovered.torn_bytes > 0);
    }
    let report = verify(&dir).unwrap();
    assert!(acknowledged > 0 && report.records >= acknowledged);
    println!(
        "{KILLS} kills, {acknowledged} acknowledged, {} found, {} segments, {torn} torn tails",
        report.records, report.segments
    );
}
