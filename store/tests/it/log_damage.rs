//! The log after somebody or something has laid hands on its files.

use std::fs;
use std::path::Path;

use store::log::{Log, LogError, LogOptions, Sync, verify};

use crate::{copy, open, payload, payloads, segments, small};

const HEADER: usize = 64;
const OVERHEAD: usize = 18;

/// Without syncs, for the thousands of logs that are opened here.
fn reopen(dir: &Path) -> Result<(Log, store::log::Recovered), LogError> {
    Log::open(dir, LogOptions { sync: Sync::Never, ..small() })
}

fn read_all(dir: &Path) -> Result<usize, LogError> {
    let (log, _) = reopen(dir)?;
    let records: Result<Vec<_>, _> = log.reader().iterate(0).collect();
    records.map(|records| records.len())
}

#[test]
fn a_torn_tail_is_cut_back_at_every_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, torn) = (folder.path().join("log"), folder.path().join("torn"));
    let mut log = open(&dir);
    for number in 0..5 {
        log.append(1, 1, &[number; 40]).unwrap();
        log.commit().unwrap();
    }
    let start = HEADER + 4 * (40 + OVERHEAD);
    let end = start + 40 + OVERHEAD;
    let whole = fs::read(&segments(&dir)[0]).unwrap();
    for cut in start..end {
        copy(&dir, &torn);
        let mut bytes = whole.clone();
        bytes[cut..].fill(0);
        fs::write(&segments(&torn)[0], bytes).unwrap();
        let (mut log, recovered) = reopen(&torn).unwrap();
        // The frame's own bytes may end in zeros; those are not seen as torn.
        assert!(recovered.torn_bytes as usize <= cut - start, "cut at {cut}: {recovered:?}");
        assert_eq!((recovered.torn_bytes > 0, recovered.records_in_tail), (cut > start, 4));
        assert_eq!(log.end() as usize, start - HEADER);
        log.append(1, 1, b"goes on").unwrap();
        log.commit().unwrap();
        drop(log);
        let (log, recovered) = reopen(&torn).unwrap();
        assert_eq!(recovered.torn_bytes, 0);
        let payloads = payloads(&log);
        assert_eq!((payloads.len(), payloads[4].as_slice()), (5, b"goes on".as_slice()));
    }
}

/// Without any help from the witness: the commits behind the flipped bit prove that its record had been acknowledged.
#[test]
fn a_flipped_bit_in_a_middle_record_is_loud() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, flipped) = (folder.path().join("log"), folder.path().join("flipped"));
    let mut log = open(&dir);
    for number in 0..6 {
        log.append(1, 1, &[number; 30]).unwrap();
        log.commit().unwrap();
    }
    let whole = fs::read(&segments(&dir)[0]).unwrap();
    let start = HEADER + 2 * (30 + OVERHEAD);
    copy(&dir, &flipped);
    let segment = &segments(&flipped)[0];
    for at in start..start + 30 + OVERHEAD {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            fs::write(segment, bytes).unwrap();
            match reopen(&flipped).map(|_| ()) {
                Err(LogError::Corrupt { file, offset, .. }) => {
                    assert_eq!((&file, offset as usize), (segment, start))
                }
                other => panic!("byte {at} bit {bit}: {other:?}"),
            }
            assert!(matches!(verify(&flipped), Err(LogError::Corrupt { .. })));
        }
    }
}

/// One bit of each byte of a closed log (of the witness a sample): either it is found when the log is opened and read, or the bit had no
/// meaning, and then all records are there.
#[test]
fn no_flipped_bit_of_a_closed_log_is_silent() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, flipped) = (folder.path().join("log"), folder.path().join("flipped"));
    let options = LogOptions { segment_bytes: 1024, sync: Sync::Never };
    let (mut log, _) = Log::open(&dir, options).unwrap();
    let mut written = Vec::new();
    for number in 0..12 {
        written.push(payload(number, 250));
        log.append(1, 1, written.last().unwrap()).unwrap();
        log.commit().unwrap();
    }
    log.close().unwrap();
    assert!(segments(&dir).len() >= 2);
    let (mut loud, mut harmless) = (0, 0);
    for entry in fs::read_dir(&dir).unwrap() {
        let name = entry.unwrap().file_name();
        let whole = fs::read(dir.join(&name)).unwrap();
        copy(&dir, &flipped);
        // Of the witness, which is mostly padding, a sample is enough.
        let step = if name == "WITNESS" { 13 } else { 1 };
        for at in (0..whole.len()).step_by(step) {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(flipped.join(&name), &bytes).unwrap();
            match verify(&flipped).and_then(|_| read_all(&flipped)) {
                Err(_) => loud += 1,
                Ok(records) => {
                    assert_eq!(records, written.len(), "{name:?} byte {at}");
                    harmless += 1;
                }
            }
            if name != "WITNESS" {
                fs::write(flipped.join(&name), &whole).unwrap();
            }
            fs::copy(dir.join("WITNESS"), flipped.join("WITNESS")).unwrap();
        }
    }
    assert!(loud > 1000, "{loud} loud, {harmless} without effect");
    println!("{loud} loud, {harmless} without effect");
}

#[test]
fn a_truncation_is_loud_wherever_it_cuts_records() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, cut) = (folder.path().join("log"), folder.path().join("cut"));
    let mut log = open(&dir);
    for number in 0..5 {
        log.append(1, 1, &[number + 1; 40]).unwrap();
        log.commit().unwrap();
    }
    // With the witness behind (as after a crash) and up to date.
    for close in [false, true] {
        if close {
            log.settle().unwrap();
        }
        let records_end = HEADER + 5 * (40 + OVERHEAD);
        for length in (0..=records_end).chain([records_end + 16, 4000, 4095]) {
            copy(&dir, &cut);
            let segment = &segments(&cut)[0];
            fs::File::options().write(true).open(segment).unwrap().set_len(length as u64).unwrap();
            match reopen(&cut) {
                Err(LogError::LostTail { file, witness, .. }) => {
                    assert_eq!((&file, witness as usize), (segment, 5 * (40 + OVERHEAD)));
                    assert!(close && length < records_end);
                }
                Err(LogError::Corrupt { file, .. }) => {
                    assert_eq!((&file, length <= records_end), (segment, true))
                }
                Err(other) => panic!("{other}"),
                // Only space never written is gone.
                Ok((log, _)) => {
                    assert_eq!((payloads(&log).len(), length >= records_end + 16), (5, true))
                }
            }
        }
    }
}

/// Zeros in the place of records look like space never written; only the witness knows better.
#[test]
fn an_end_below_the_witness_is_loud() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let mut log = open(&dir);
    for number in 0..5 {
        log.append(1, 1, &[number; 40]).unwrap();
    }
    log.close().unwrap();
    let segment = segments(&dir).remove(0);
    let mut bytes = fs::read(&segment).unwrap();
    bytes[HEADER + 3 * (40 + OVERHEAD)..4000].fill(0);
    fs::write(&segment, bytes).unwrap();
    let error = reopen(&dir).map(|_| ()).unwrap_err();
    assert!(
        matches!(error, LogError::LostTail { end: 174, witness: 290, offset: 238, .. }),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("has lost its end: good records stop at byte 238"),
        "{error}"
    );
    assert!(matches!(verify(&dir), Err(LogError::LostTail { .. })));
}

#[test]
fn a_missing_swapped_or_foreign_segment_is_loud() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, harmed) = (folder.path().join("log"), folder.path().join("harmed"));
    let write = |dir: &Path| {
        let mut log = open(dir);
        for number in 0..60 {
            log.append(1, 1, &[number; 300]).unwrap();
            log.commit().unwrap();
        }
        log.close().unwrap();
    };
    write(&dir);
    let names = segments(&dir);
    assert!(names.len() > 4);
    for (index, name) in names.iter().enumerate() {
        copy(&dir, &harmed);
        fs::remove_file(&segments(&harmed)[index]).unwrap();
        match reopen(&harmed).map(|_| ()) {
            Err(LogError::MissingSegment { file, .. }) => {
                assert_eq!(file.file_name(), name.file_name())
            }
            other => panic!("segment {index}: {other:?}"),
        }
        assert!(matches!(verify(&harmed), Err(LogError::MissingSegment { .. })));
    }
    copy(&dir, &harmed);
    fs::copy(&names[1], &segments(&harmed)[2]).unwrap();
    assert!(matches!(reopen(&harmed), Err(LogError::Corrupt { offset: 0, .. })));

    let other = folder.path().join("other");
    write(&other);
    copy(&dir, &harmed);
    fs::copy(&segments(&other)[1], &segments(&harmed)[1]).unwrap();
    let error = reopen(&harmed).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("the file belongs to another log"), "{error}");
    copy(&dir, &harmed);
    fs::remove_file(harmed.join("WITNESS")).unwrap();
    assert!(reopen(&harmed).is_err());
}

/// A disk may put whole blocks in the wrong place; each of them is good by itself.
#[test]
fn swapped_and_repeated_blocks_are_loud() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, harmed) = (folder.path().join("log"), folder.path().join("harmed"));
    let mut log = open(&dir);
    for number in 0..20 {
        log.append(1, 1, &[number; 100]).unwrap();
        log.commit().unwrap();
    }
    log.close().unwrap();
    copy(&dir, &harmed);
    let whole = fs::read(&segments(&dir)[0]).unwrap();
    let frame = |number: usize| HEADER + number * 118..HEADER + (number + 1) * 118;
    for first in 0..20 {
        for second in 0..20 {
            if first == second {
                continue;
            }
            let mut bytes = whole.clone();
            bytes[frame(second)].copy_from_slice(&whole[frame(first)]);
            fs::write(&segments(&harmed)[0], &bytes).unwrap();
            assert!(reopen(&harmed).is_err(), "{first} repeated at {second}");
            bytes[frame(first)].copy_from_slice(&whole[frame(second)]);
            fs::write(&segments(&harmed)[0], &bytes).unwrap();
            assert!(reopen(&harmed).is_err(), "{first} and {second} swapped");
        }
    }
}

/// Damage in a sealed segment does not hinder the start, but it is found when it is read, by anybody.
#[test]
fn damage_in_an_old_segment_is_loud_when_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("log");
    let mut log = open(&dir);
    let mut positions = Vec::new();
    for number in 0..60 {
        positions.push(log.append(1, 1, &[number; 300]).unwrap());
        log.commit().unwrap();
    }
    log.close().unwrap();
    let segment = &segments(&dir)[0];
    let mut bytes = fs::read(segment).unwrap();
    bytes[HEADER + 2 * 318 + 100] ^= 4;
    fs::write(segment, bytes).unwrap();
    assert!(matches!(verify(&dir), Err(LogError::Corrupt { offset: 700, position: 636, .. })));
    let (log, _) = reopen(&dir).unwrap();
    let reader = log.reader();
    assert!(matches!(reader.read(positions[2]), Err(LogError::Corrupt { position: 636, .. })));
    assert_eq!(reader.read(positions[3]).unwrap().payload, [3; 300]);
    let read: Vec<_> = reader.iterate(0).collect();
    assert_eq!((read.len(), read[2].is_err()), (3, true));
    let error = read[2].as_ref().unwrap_err().to_string();
    assert!(
        error.contains("00000000000000000000.seg is damaged at byte 700 (log position 636)"),
        "{error}"
    );
}
