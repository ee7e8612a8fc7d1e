//! What only a failing disk can show; the rest is in `tests/it`.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::*;

const SMALL: LogOptions = LogOptions { segment_bytes: 4096, sync: Sync::Always };

fn faults(log: &Log) -> &disk::Faults {
    &log.appender.shared.disk.faults
}

fn payloads(log: &Log) -> Vec<Vec<u8>> {
    log.reader().iterate(0).map(|record| record.unwrap().payload).collect()
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_failed_sync_is_final() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let (mut log, _) = Log::open(&dir, SMALL).unwrap();
    log.append(1, 1, b"acknowledged").unwrap();
    let durable = log.commit().unwrap();
    log.append(1, 1, b"in doubt").unwrap();
    faults(&log).sync.store(true, Ordering::SeqCst);
    assert!(matches!(log.commit(), Err(LogError::Poisoned { .. })));

    // The disk "works" again, and the log must not believe it.
    faults(&log).sync.store(false, Ordering::SeqCst);
    assert_eq!(log.durable(), durable);
    assert!(matches!(log.append(1, 1, b"later"), Err(LogError::Poisoned { .. })));
    assert!(matches!(log.commit(), Err(LogError::Poisoned { .. })));
    assert!(matches!(log.settle(), Err(LogError::Poisoned { .. })));
    assert!(matches!(log.reader().read(0), Err(LogError::Poisoned { .. })));
    let error = log.close().unwrap_err().to_string();
    assert!(error.contains("00000000000000000000.seg"), "{error}");

    let (log, recovered) = Log::open(&dir, SMALL).unwrap();
    assert!(recovered.end >= durable);
    assert_eq!(payloads(&log)[0], b"acknowledged");
}

#[test]
fn a_full_disk_refuses_before_staging_and_resumes_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let (mut log, _) = Log::open(&dir, SMALL).unwrap();
    faults(&log).reserve_full.store(true, Ordering::SeqCst);
    let mut written = Vec::new();
    let payload = |number: u32| [number.to_le_bytes().repeat(50), vec![7; 100]].concat();
    let refused = loop {
        let next = payload(written.len() as u32);
        match log.append(2, 1, &next) {
            Ok(_) => written.push(next),
            Err(error) => break error,
        }
        log.commit().unwrap();
    };
    assert!(matches!(refused, LogError::Full { needs: 4096, .. }), "{refused}");
    assert_eq!(written.len(), 12, "the current segment is used up first");
    assert_eq!(log.end(), log.durable(), "nothing was staged");
    log.commit().unwrap();

    faults(&log).reserve_full.store(false, Ordering::SeqCst);
    let deadline = Instant::now() + Duration::from_secs(5);
    while let Err(error) = log.append(2, 1, &payload(written.len() as u32)) {
        assert!(matches!(error, LogError::Full { .. }) && Instant::now() < deadline, "{error}");
        std::thread::yield_now();
    }
    written.push(payload(written.len() as u32));
    log.commit().unwrap();
    assert_eq!(payloads(&log), written);
    drop(log);
    assert_eq!(payloads(&Log::open(&dir, SMALL).unwrap().0), written);
}

/// Some file systems cannot reserve; there the write itself meets the full disk, perhaps in the middle of sealing.
#[test]
fn a_write_that_meets_a_full_disk_is_written_again_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let (mut log, _) = Log::open(&dir, SMALL).unwrap();
    let mut written = Vec::new();
    for round in 0..40u8 {
        for number in 0..3 {
            let payload = vec![round ^ number; 150];
            log.append(3, 1, &payload).unwrap();
            written.push(payload);
        }
        faults(&log).write_full.store(true, Ordering::SeqCst);
        let before = log.durable();
        assert!(matches!(log.commit(), Err(LogError::Full { .. })));
        assert!(matches!(log.append(3, 1, b"refused"), Err(LogError::Full { .. })));
        assert_eq!(log.durable(), before);
        assert_eq!(log.reader().read(before).unwrap().payload, vec![round; 150], "still readable");
        faults(&log).write_full.store(false, Ordering::SeqCst);
        assert_eq!(log.commit().unwrap(), log.end());
    }
    assert_eq!(payloads(&log), written);
    log.close().unwrap();
    assert_eq!(verify(&dir).unwrap().records, 120);
}

/// A commit may have written its records, or a part of them, when the power goes: each state of the file between the
/// sync before and its own sync must open with everything acknowledged.
#[test]
fn a_power_cut_at_any_page_of_an_unfinished_commit_loses_nothing_acknowledged() {
    const PAGE: usize = 64;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let (mut log, _) = Log::open(&dir, SMALL).unwrap();
    log.append(1, 1, &[1; 100]).unwrap();
    log.commit().unwrap();
    let before = std::fs::read(segment::path_of(&dir, 0)).unwrap();
    for number in 0..5 {
        log.append(1, 1, &[number; 60]).unwrap();
    }
    log.commit().unwrap();
    let after = std::fs::read(segment::path_of(&dir, 0)).unwrap();
    let changed: Vec<usize> = (0..after.len() / PAGE)
        .filter(|page| after[page * PAGE..][..PAGE] != before[page * PAGE..][..PAGE])
        .collect();
    assert!(changed.len() >= 6 && changed.len() <= 10);
    let copy = folder.path().join("copy");
    for subset in 0..1u32 << changed.len() {
        copy_dir(&dir, &copy);
        let mut bytes = before.clone();
        for (bit, page) in changed.iter().enumerate() {
            if subset >> bit & 1 == 1 {
                bytes[page * PAGE..][..PAGE].copy_from_slice(&after[page * PAGE..][..PAGE]);
            }
        }
        std::fs::write(segment::path_of(&copy, 0), bytes).unwrap();
        let (mut log, _) = Log::open(&copy, LogOptions { sync: Sync::Never, ..SMALL }).unwrap();
        assert_eq!(payloads(&log)[0], [1; 100]);
        log.append(1, 1, b"goes on").unwrap();
        log.commit().unwrap();
        drop(log);
        let (log, recovered) = Log::open(&copy, SMALL).unwrap();
        assert_eq!(recovered.torn_bytes, 0, "the tail was cut back");
        assert_eq!(payloads(&log).last().unwrap(), b"goes on");
    }
}
