//! Tests of the log on the simulated disk.

use std::path::Path;
use std::sync::Arc;

use env::fs::FsExt;
use harness::sim::{SimDisk, SimFs, crash_at_every_io};

use crate::{Error, Log, Options, Position, Result, format};

const OPTIONS: Options = Options { segment_len: 160 };

fn folder() -> &'static Path {
    Path::new("/log")
}

fn open(fs: &Arc<SimFs>) -> Result<Log> {
    Log::open(Arc::<SimFs>::clone(fs), folder(), OPTIONS)
}

fn record(number: usize) -> Vec<u8> {
    format!("record {number} {}", "x".repeat(number % 7)).into_bytes()
}

fn contents(log: &Log) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    log.replay(|_, bytes| found.push(bytes.to_vec())).expect("an open log can be replayed");
    found
}

/// How many records the log has, which must be the first ones.
fn count(log: &Log) -> usize {
    let found = contents(log);
    assert!(found.iter().enumerate().all(|(at, bytes)| *bytes == record(at)), "{found:?}");
    found.len()
}

fn filled(fs: &Arc<SimFs>, records: usize) -> Result<(Log, Vec<Position>)> {
    let log = open(fs)?;
    let mut positions = Vec::new();
    for number in 0..records {
        positions.push(log.append(&record(number))?);
        log.sync()?;
    }
    Ok((log, positions))
}

#[test]
fn synced_records_survive_a_crash_at_every_io_and_in_recovery() {
    for seed in 0..8 {
        let work = |fs: &Arc<SimFs>| {
            let mut synced = 0;
            let mut run = || -> Result<()> {
                let log = open(fs)?;
                for number in 0..14 {
                    log.append(&record(number))?;
                    if number % 3 == 2 {
                        log.sync()?;
                        synced = number + 1;
                    }
                }
                Ok(())
            };
            (run().is_ok(), synced)
        };
        crash_at_every_io(seed * 1_000, work, |io, (_, synced), disk| {
            for again in 0..5 {
                disk.crash_after(again);
                if let Ok(log) = open(&disk.mount()) {
                    assert!(count(&log) >= synced, "seed {seed}, I/O {io}");
                }
                disk.crash();
            }
            let log = open(&disk.mount()).expect("a crash damages nothing");
            assert!(count(&log) >= synced, "seed {seed}, I/O {io}");
        });
    }
}

#[test]
fn truncated_records_never_come_back() {
    for seed in 0..8 {
        let work = |fs: &Arc<SimFs>| {
            let Ok((log, positions)) = filled(fs, 12) else { return (false, false) };
            let cut = log.truncate(positions[2]).is_ok();
            let is_new = cut && log.append(b"new").is_ok() && log.sync().is_ok();
            (cut, is_new)
        };
        crash_at_every_io(seed * 1_000, work, |io, (cut, is_new), disk| {
            let log = open(&disk.mount()).expect("a crash damages nothing");
            let found = contents(&log);
            let old = found.iter().filter(|it| **it != b"new").count();
            assert!((0..old).all(|at| found[at] == record(at)), "seed {seed}, I/O {io}: {found:?}");
            assert!(!cut || old == 2, "seed {seed}, I/O {io}: {found:?}");
            assert!(!is_new || found.len() == 3, "seed {seed}, I/O {io}: {found:?}");
        });
    }
}

#[test]
fn every_flipped_bit_gives_an_error_or_costs_the_last_record_at_most() {
    let fs = SimDisk::new(1).mount();
    let (log, positions) = filled(&fs, 12).expect("the disk is well");
    drop(log);
    let last = positions[11].segment;
    assert!(last > 1 && positions[10].segment == last, "the layout has both kinds of segment");
    let mut errors = 0;
    for segment in 1..=last {
        let whole = fs.read(&format::path(folder(), segment)).expect("it is there");
        for bit in 0..whole.len() * 8 {
            let fs = SimDisk::new(1).mount();
            filled(&fs, 12).expect("the disk is well");
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs.write_atomic(&format::path(folder(), segment), &bytes).expect("the disk is well");
            match open(&fs) {
                Ok(log) => assert!(count(&log) >= 11, "segment {segment}, bit {bit}"),
                Err(Error::Corrupt { .. }) => errors += 1,
                Err(other) => panic!("segment {segment}, bit {bit}: {other}"),
            }
        }
    }
    assert!(errors > 1_000, "{errors} flips were reported");
}

#[test]
fn records_are_read_in_place_and_released_from_the_front() {
    let fs = SimDisk::new(1).mount();
    let (log, positions) = filled(&fs, 12).expect("the disk is well");
    for (number, &at) in positions.iter().enumerate() {
        assert_eq!(log.read(at).expect("it is there"), record(number));
    }
    log.release(positions[11]).expect("the disk is well");
    assert!(matches!(log.read(positions[0]), Err(Error::NotFound(_))));
    assert_eq!(log.read(positions[11]).expect("it is there"), record(11));
    drop(log);
    let log = open(&fs).expect("a log may begin anywhere");
    assert_eq!(contents(&log).last(), Some(&record(11)));
}

#[test]
fn too_large_a_record_is_refused_and_harms_nothing() {
    let log = open(&SimDisk::new(1).mount()).expect("the disk is well");
    assert!(matches!(log.append(&[0; 121]), Err(Error::TooLarge { len: 121, limit: 120 })));
    log.append(&[0; 120]).expect("it fits");
    log.append(b"").expect("nothing is a record too");
    assert_eq!(contents(&log), [vec![0; 120], vec![]]);
}

#[test]
fn after_a_failed_write_nothing_is_taken() {
    let disk = SimDisk::new(1);
    let (log, _) = filled(&disk.mount(), 2).expect("the disk is well");
    disk.crash();
    assert!(matches!(log.append(b"lost"), Err(Error::Fs(_))));
    assert!(matches!(log.append(b"lost"), Err(Error::Failed)));
    assert!(matches!(log.sync(), Err(Error::Failed)));
}

#[test]
fn bytes_of_another_segment_never_parse() {
    let bytes = format::encode(7, 28, b"old");
    assert!(format::decode(7, &bytes).is_some());
    assert_eq!(format::decode(8, &bytes), None);
}
