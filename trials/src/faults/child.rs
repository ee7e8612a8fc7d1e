//! The process that is killed: writes records and says after each commit how many are acknowledged.
//!
//! It says so with one write to standard output, which stands in the trace between the operations. It stops where the
//! product would: at the first error that is not a full disk, with the exit code 75.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

use super::ledger;
use super::subject::{Refusal, Sizes, Store, Subject, payload};

/// The exit code of a process that stopped because its disk failed (EX_TEMPFAIL).
pub(super) const DISK_FAILED: u8 = 75;
/// A full disk is asked this often.
const TRIES: u32 = 50;

/// `child SUBJECT FOLDER COMMITS`: half of the commits, a restart, the other half.
pub(super) fn run(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let [subject, dir, commits] = arguments else {
        anyhow::bail!("child SUBJECT FOLDER COMMITS");
    };
    let subject = Subject::named(subject).context("an unknown subject")?;
    let commits: u64 = commits.parse()?;
    let dir = Path::new(dir);
    let ended = match subject {
        Subject::State | Subject::TornState => {
            let torn = subject == Subject::TornState;
            apply(dir, commits / 2, torn).and_then(|()| apply(dir, commits, torn))
        }
        Subject::Log | Subject::Naive(_) => write(subject, dir, 0..commits / 2, true)
            .and_then(|()| write(subject, dir, commits / 2..commits, false)),
    };
    match ended {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            eprintln!("{error:#}");
            Ok(ExitCode::from(DISK_FAILED))
        }
    }
}

fn write(
    subject: Subject,
    dir: &Path,
    commits: std::ops::Range<u64>,
    close: bool,
) -> anyhow::Result<()> {
    let (mut store, found) = subject.open(dir)?;
    let mut count = found.len() as u64;
    for commit in commits {
        let records = 1 + commit % 3;
        for number in count..count + records {
            append(&mut store, number)?;
        }
        commit_all(&mut store, count..count + records)?;
        count += records;
        say("acknowledged", count)?;
        if commit % 8 == 7 {
            settled(store.settle())?;
        }
    }
    if close { store.close() } else { Ok(()) }
}

/// Applies batches to the state up to this number, and syncs it at times and at the end.
fn apply(dir: &Path, batches: u64, torn: bool) -> anyhow::Result<()> {
    let (state, _) = ledger::open(dir, 0)?;
    for number in ledger::applied(&state)? + 1..=batches {
        ledger::apply(&state, number, torn)?;
        say("acknowledged", number)?;
        if number % 8 == 0 || number == batches {
            state.sync()?;
            say("synced", number)?;
        }
    }
    Ok(())
}

fn append(store: &mut Store, number: u64) -> anyhow::Result<()> {
    let payload = payload(number, Sizes::Mixed);
    for _ in 0..TRIES {
        match store.append(&payload) {
            Ok(()) => return Ok(()),
            Err(Refusal::Full) => wait(),
            Err(Refusal::Stopped(why)) => anyhow::bail!(why),
        }
    }
    anyhow::bail!("the disk stays full")
}

fn commit_all(store: &mut Store, records: std::ops::Range<u64>) -> anyhow::Result<()> {
    for _ in 0..TRIES {
        match store.commit() {
            Ok(()) => return Ok(()),
            Err(Refusal::Full) => wait(),
            Err(Refusal::Stopped(why)) => anyhow::bail!(why),
        }
        if !store.keeps_staged() {
            for number in records.clone() {
                append(store, number)?;
            }
        }
    }
    anyhow::bail!("the disk stays full")
}

/// A witness that a full disk did not take is not needed.
fn settled(result: Result<(), Refusal>) -> anyhow::Result<()> {
    match result {
        Ok(()) | Err(Refusal::Full) => Ok(()),
        Err(Refusal::Stopped(why)) => anyhow::bail!(why),
    }
}

fn wait() {
    std::thread::sleep(std::time::Duration::from_millis(10));
}

fn say(what: &str, count: u64) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{what} {count}\n").as_bytes())?;
    Ok(out.flush()?)
}

/// The number that a line of the child says after this word.
pub(super) fn said(text: &[u8], what: &str) -> Option<u64> {
    let line = std::str::from_utf8(text).ok()?.trim_end().rsplit('\n').next()?;
    line.strip_prefix(what)?.trim().parse().ok()
}
