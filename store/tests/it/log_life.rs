//! The log in good health.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use store::log::{Log, LogError, LogOptions, Record, Sync, verify};

use crate::{open, payload, payloads, segments, small};

#[test]
fn records_come_back_over_segments_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let (log, recovered) = Log::open(&dir, small()).unwrap();
    assert!(recovered.empty && recovered.end == 0 && recovered.torn_bytes == 0);
    drop(log);
    let mut written: Vec<Record> = Vec::new();
    for round in 0..20 {
        let (mut log, recovered) = Log::open(&dir, small()).unwrap();
        let end = written.last().map_or(0, |record| record.next);
        assert_eq!(
            (recovered.end, recovered.torn_bytes, log.end(), log.durable()),
            (end, 0, end, end)
        );
        for number in round * 50..round * 50 + 50 {
            let payload = payload(number, 700);
            let (partition, format) = (number as u8 % 64, number as u8 % 3);
            let position = log.append(partition, format, &payload).unwrap();
            written.push(Record { position, next: log.end(), partition, format, payload });
            if number % 7 == 0 {
                assert_eq!(log.commit().unwrap(), log.end());
            }
        }
        log.commit().unwrap();
        let reader = log.reader();
        for record in &written {
            assert_eq!(&reader.read(record.position).unwrap(), record);
        }
        match round % 2 {
            0 => drop(log),
            _ => assert_eq!(log.close().unwrap(), written.last().unwrap().next),
        }
    }
    assert!(written.windows(2).all(|pair| pair[0].next == pair[1].position));
    let report = verify(&dir).unwrap();
    assert_eq!(
        (report.records, report.end, report.torn_bytes),
        (1000, written.last().unwrap().next, 0)
    );
    assert_eq!((report.segments, report.records_in_tail), (segments(&dir).len() as u64, 0));
    assert!(report.segments > 80, "{report:?}");

    let log = open(&dir);
    for skip in [0, 1, 333, 999] {
        let found: Vec<Record> =
            log.reader().iterate(written[skip].position).map(Result::unwrap).collect();
        assert_eq!(found, written[skip..]);
    }
    assert_eq!(log.reader().iterate(log.end()).count(), 0);
}

#[test]
fn a_staged_record_is_readable_but_not_durable() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let mut log = open(&dir);
    let position = log.append(5, 2, b"mine").unwrap();
    assert_eq!(log.reader().read(position).unwrap().payload, b"mine");
    assert_eq!(log.reader().iterate(0).count(), 0);
    assert_eq!(log.durable(), 0);
    drop(log);
    assert!(payloads(&open(&dir)).is_empty());
}

#[test]
fn a_position_between_records_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(&folder.path().join("log"));
    log.append(1, 1, &[3; 50]).unwrap();
    let second = log.append(1, 1, &[4; 50]).unwrap();
    for _ in 0..2 {
        assert_eq!(log.reader().read(second).unwrap().payload, [4; 50]);
        assert!(log.reader().read(second + 1).is_err());
        assert!(log.reader().read(second - 1).is_err());
        assert!(matches!(log.reader().read(log.end()), Err(LogError::NoRecord { .. })));
        log.commit().unwrap();
    }
}

#[test]
fn limits_are_stated() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = open(&folder.path().join("small"));
    let largest = 4096 - 64 - 96 - 18;
    assert!(
        matches!(log.append(1, 1, &vec![0; largest + 1]), Err(LogError::TooLarge { limit, .. }) if limit == largest as u64)
    );
    for _ in 0..3 {
        log.append(1, 1, &vec![9; largest]).unwrap();
        log.append(1, 1, &[]).unwrap();
    }
    log.commit().unwrap();
    assert_eq!(payloads(&log).len(), 6);

    let options = LogOptions { sync: Sync::Never, ..LogOptions::default() };
    let (mut log, _) = Log::open(&folder.path().join("large"), options).unwrap();
    let mut payload = vec![7; 32 * 1024 * 1024];
    let position = log.append(1, 1, &payload).unwrap();
    assert!(log.reader().read(position).unwrap().payload == payload);
    log.commit().unwrap();
    assert!(log.reader().read(position).unwrap().payload == payload);
    payload.push(1);
    let error = log.append(1, 1, &payload).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a record of 33554433 bytes is larger than the log takes (33554432 bytes)"
    );
}

#[test]
fn options_may_change_between_starts() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let mut written = Vec::new();
    for (round, segment_bytes) in [4096, 16384, 2048, 8192].into_iter().enumerate() {
        let (mut log, _) =
            Log::open(&dir, LogOptions { segment_bytes, sync: Sync::Always }).unwrap();
        for number in 0..40 {
            written.push(payload(round as u64 * 40 + number, 600));
            log.append(1, 1, written.last().unwrap()).unwrap();
        }
        log.commit().unwrap();
    }
    assert_eq!(payloads(&open(&dir)), written);
    assert_eq!(verify(&dir).unwrap().records, 160);
}

#[test]
fn only_one_process_writes() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let log = open(&dir);
    let refused = Log::open(&dir, small()).map(|_| ()).unwrap_err();
    assert!(matches!(refused, LogError::Locked { .. }));
    assert!(refused.to_string().contains("in use by another process"), "{refused}");
    assert!(matches!(verify(&dir), Err(LogError::Locked { .. })));
    let reader = log.reader();
    log.close().unwrap();
    let _second = open(&dir);
    assert_eq!(reader.iterate(0).count(), 0);
}

#[test]
fn a_folder_with_other_things_and_an_unknown_format_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("photo.jpg"), b"").unwrap();
    assert!(matches!(Log::open(folder.path(), small()), Err(LogError::NotALog { .. })));
    assert!(matches!(verify(&folder.path().join("none")), Err(LogError::NotALog { .. })));

    let dir = folder.path().join("log");
    open(&dir).close().unwrap();
    fs::write(dir.join("FORMAT"), "tidings log, format 2\n").unwrap();
    let refused = Log::open(&dir, small()).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("written in log format 2, this binary reads format 1"), "{refused}");
}

#[test]
fn a_first_start_that_was_interrupted_is_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let building = folder.path().join("log.tmp");
    fs::create_dir(&building).unwrap();
    fs::write(building.join("00000000000000000000.seg"), b"half").unwrap();
    fs::create_dir(&dir).unwrap();
    let mut log = open(&dir);
    log.append(1, 1, b"first").unwrap();
    log.commit().unwrap();
    assert!(!building.exists());
}

/// Two appliers append, a writer commits, a reader follows; each sees what it may see and nothing else.
#[test]
fn appliers_a_writer_and_a_reader_work_at_once() {
    const EACH: u64 = 4000;
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let options = LogOptions { segment_bytes: 64 * 1024, sync: Sync::Always };
    let (appender, mut committer) = Log::open(&dir, options).unwrap().0.split();
    let done = AtomicBool::new(false);
    let commits = AtomicU64::new(0);
    thread::scope(|scope| {
        let appliers: Vec<_> = (0..2u8)
            .map(|partition| {
                let (appender, reader) = (appender.clone(), appender.reader());
                scope.spawn(move || {
                    for number in 0..EACH {
                        let payload = payload(number, 300);
                        let position = appender.append(partition, 1, &payload).unwrap();
                        let record = reader.read(position).unwrap();
                        assert_eq!((record.partition, record.payload), (partition, payload));
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) || committer.durable() < appender.end() {
                committer.commit().unwrap();
                commits.fetch_add(1, Ordering::SeqCst);
            }
        });
        let reader = appender.reader();
        let follower = scope.spawn(move || {
            let mut next = [0u64; 2];
            let mut at = 0;
            while next != [EACH, EACH] {
                for record in reader.iterate(at) {
                    let record = record.unwrap();
                    let number = &mut next[usize::from(record.partition)];
                    assert_eq!(record.payload, payload(*number, 300));
                    *number += 1;
                    at = record.next;
                }
            }
        });
        appliers.into_iter().for_each(|applier| applier.join().unwrap());
        done.store(true, Ordering::SeqCst);
        follower.join().unwrap();
    });
    assert!(commits.load(Ordering::SeqCst) > 1);
    drop(committer);
    assert_eq!(verify(&dir).unwrap().records, 2 * EACH);
}
