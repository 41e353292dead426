//! Tests of the log on the simulated disk.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use env::fs::{Fs, FsErrorKind, FsExt, OpenMode, OsFs};
use harness::sim::{DiskFault, Dose, SimDisk, SimFs, crash_at_every_io};

use crate::{Backend, Error, Log, Options, Position, Result, format, recovery};

const OPTIONS: Options = Options { segment_len: 192, backend: Backend::Mapped, spares_max: 1 };
const BACKENDS: [Backend; 2] = [Backend::Mapped, Backend::Written];

fn folder() -> &'static Path {
    Path::new("/log")
}

fn open(fs: &Arc<SimFs>) -> Result<Log> {
    open_with(fs, Backend::Mapped)
}

fn open_with(fs: &Arc<SimFs>, backend: Backend) -> Result<Log> {
    Log::open(Arc::<SimFs>::clone(fs), folder(), Options { backend, ..OPTIONS })
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

fn append(log: &Log, records: usize) {
    for number in 0..records {
        log.append(&record(number)).expect("the disk is well");
    }
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
    for (seed, backend) in (0..16).zip(BACKENDS.into_iter().cycle()) {
        let work = |fs: &Arc<SimFs>| {
            let mut synced = 0;
            let mut run = || -> Result<()> {
                let log = open_with(fs, backend)?;
                // Several segments lie between two syncs.
                for number in 0..24 {
                    log.append(&record(number))?;
                    if number % 9 == 8 {
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
    assert!(matches!(log.append(&[0; 145]), Err(Error::TooLarge { len: 145, limit: 144 })));
    log.append(&[0; 144]).expect("it fits");
    log.append(b"").expect("nothing is a record too");
    assert_eq!(contents(&log), [vec![0; 144], vec![]]);
}

/// Such a segment is found, read and released like all others, and never used again.
#[test]
fn a_record_that_fits_into_no_segment_gets_a_larger_one() {
    for (seed, backend) in (0..16).zip(BACKENDS.into_iter().cycle()) {
        let large = vec![7; 1_000];
        let work = |fs: &Arc<SimFs>| {
            let mut synced = 0;
            let mut run = || -> Result<()> {
                let log = open_with(fs, backend)?;
                for number in 0..6 {
                    log.append(b"small")?;
                    log.append_large(&large)?;
                    log.sync()?;
                    synced = 2 * (number + 1);
                }
                Ok(())
            };
            run().ok();
            synced
        };
        crash_at_every_io(seed * 1_000, work, |io, synced, disk| {
            let log = open_with(&disk.mount(), backend).expect("a crash damages nothing");
            let found = contents(&log);
            assert!(found.len() >= synced, "seed {seed}, I/O {io}: {}", found.len());
            let is_right = |(at, it): (usize, &Vec<u8>)| {
                if at % 2 == 0 { *it == b"small" } else { *it == large }
            };
            assert!(found.iter().enumerate().all(is_right), "seed {seed}, I/O {io}");
            log.append_large(&large).expect("the disk is well");
            let end = log.append(b"small").expect("the disk is well");
            log.verify().expect("nothing is damaged");
            log.release(end).expect("the disk is well");
            append(&log, 9);
            log.verify().expect("nothing is damaged");
        });
    }
}

/// A store may be opened with larger memtables than before.
#[test]
fn segments_of_another_length_are_not_used_again() {
    for backend in BACKENDS {
        let fs = SimDisk::new(1).mount();
        let log = open_with(&fs, backend).expect("the disk is well");
        append(&log, 9);
        drop(log);
        let options = Options { segment_len: 1_024, backend, ..OPTIONS };
        let open = || Log::open(Arc::<SimFs>::clone(&fs), folder(), options);
        let log = open().expect("the disk is well");
        let before = log.end().segment;
        log.release(log.end()).expect("the disk is well");
        while log.end().segment < before + 3 {
            log.append(&[7; 500]).expect("it fits");
        }
        log.sync().expect("the disk is well");
        log.verify().expect("nothing is damaged");
        drop(log);
        assert!(contents(&open().expect("nothing is damaged")).len() >= 3);
    }
}

/// While a log is open all of it can be told from what is damaged, to the last byte.
#[test]
fn every_flipped_bit_under_an_open_log_is_found() {
    let fs = SimDisk::new(1).mount();
    let log = open_with(&fs, Backend::Written).expect("the disk is well");
    append(&log, 12);
    log.verify().expect("nothing is damaged");
    let mut found = 0;
    for segment in recovery::segments(&*fs, folder()).expect("they are there") {
        let path = format::path(folder(), segment);
        let file = fs.open(&path, OpenMode::WRITE).expect("it is there");
        let whole = fs.read(&path).expect("it is there");
        let len = if segment == log.end().segment {
            log.end().offset
        } else {
            recovery::records(segment, &whole, format::HEAD, |_, _, _| ())
        };
        // What stands between two records belongs to none.
        let mut covered = vec![false; len as usize];
        covered[..format::HEAD as usize].fill(true);
        recovery::records(segment, &whole, format::HEAD, |at, _, record| {
            let from = at.offset as usize;
            covered[from..from + format::PREFIX as usize + record.len()].fill(true);
        });
        for (at, _) in covered.iter().enumerate().filter(|it| *it.1) {
            for bit in 0..8 {
                file.write_all_at(&[whole[at] ^ (1 << bit)], at as u64).expect("well");
                let outcome = log.verify();
                assert!(matches!(outcome, Err(Error::Corrupt { .. })), "{segment}: {at}, {bit}");
                found += 1;
            }
            file.write_all_at(&whole[at..=at], at as u64).expect("the disk is well");
        }
    }
    log.verify().expect("all was put back");
    assert!(found > 2_000, "{found} flips");
}

/// A spare segment has its room; where it cannot be named the next append takes it.
#[test]
fn a_spare_segment_is_not_lost_when_its_rename_fails() {
    let disk = SimDisk::new(1);
    let fs = disk.mount();
    let log = open(&fs).expect("the disk is well");
    log.prepare().expect("the disk is well");
    // A directory of that name is in the way.
    let next = format::path(folder(), log.end().segment + 1);
    fs.create_dir_all(&next.join("in the way")).expect("the disk is well");
    let cause = loop {
        match log.append(&record(0)) {
            Ok(_) => {}
            Err(cause) => break cause,
        }
    };
    assert!(matches!(cause, Error::Fs(_)), "{cause}");
    fs.remove_dir(&next.join("in the way")).expect("it is empty");
    fs.remove_dir(&next).expect("it is empty");
    disk.inject(&DiskFault::Full { room: 0 });
    log.append(&record(0)).expect("the spare segment has its room");
}

/// Its size is looked at first: nobody could read it.
#[test]
fn a_segment_that_nobody_could_have_written_is_an_error() {
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let fs: Arc<dyn Fs> = Arc::new(OsFs);
    let open = || Log::open(Arc::clone(&fs), folder.path(), OPTIONS);
    let log = open().expect("the folder is free");
    append(&log, 9);
    drop(log);
    let file = fs.open(&format::path(folder.path(), 1), OpenMode::WRITE).expect("it is there");
    file.set_len(5 << 30).expect("it takes no room");
    assert!(matches!(open(), Err(Error::Corrupt { offset: u32::MAX, .. })));
}

#[test]
fn after_a_failed_write_nothing_is_taken() {
    let disk = SimDisk::new(1);
    let log = open_with(&disk.mount(), Backend::Written).expect("the disk is well");
    disk.inject(&DiskFault::WriteError(Dose::Times(1)));
    assert!(matches!(log.append(b"lost"), Err(Error::Fs(_))));
    disk.heal();
    assert!(matches!(log.append(b"lost"), Err(Error::Failed)));
    assert!(matches!(log.sync(), Err(Error::Failed)));
}

#[test]
fn after_a_failed_sync_nothing_is_taken() {
    for backend in BACKENDS {
        let disk = SimDisk::new(1);
        let log = open_with(&disk.mount(), backend).expect("the disk is well");
        log.append(b"perhaps lost").expect("a store cannot fail");
        disk.inject(&DiskFault::SyncError(Dose::Times(1)));
        assert!(matches!(log.sync(), Err(Error::Fs(_))));
        disk.heal();
        assert!(matches!(log.append(b"refused"), Err(Error::Failed)));
        assert!(matches!(log.sync(), Err(Error::Failed)), "a second sync would lie");
    }
}

/// After a failed sync the system shows bytes that it may never write. Who finds them must write
/// them again, or they are gone after a power cut.
#[test]
fn what_is_found_after_a_failed_sync_is_durable() {
    for (seed, backend) in (0..16).zip(BACKENDS.into_iter().cycle()) {
        for records in 1..12 {
            let disk = SimDisk::new(seed);
            let log = open_with(&disk.mount(), backend).expect("the disk is well");
            for number in 0..records {
                log.append(&record(number)).expect("the disk is well");
                if number == 4 {
                    log.sync().expect("the disk is well");
                }
            }
            disk.inject(&DiskFault::SyncError(Dose::Times(1)));
            log.sync().ok();
            disk.heal();
            drop(log);
            let found = count(&open_with(&disk.mount(), backend).expect("nothing is damaged"));
            disk.crash();
            let log = open_with(&disk.mount(), backend).expect("a crash damages nothing");
            assert_eq!(count(&log), found, "seed {seed}, {records} records");
        }
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_log_goes_on_once_there_is_room() {
    let disk = SimDisk::new(1);
    let log = open(&disk.mount()).expect("the disk is well");
    disk.inject(&DiskFault::Full { room: 64 });
    let mut taken = 0;
    let cause = loop {
        match log.append(&record(taken)) {
            Ok(_) => taken += 1,
            Err(cause) => break cause,
        }
    };
    assert!(matches!(&cause, Error::Fs(it) if it.kind == FsErrorKind::NoSpace), "{cause}");
    assert_eq!(count(&log), taken, "what was taken can be read");
    log.sync().expect("what was taken has its room");
    disk.heal();
    for number in taken..taken + 9 {
        log.append(&record(number)).expect("there is room again");
    }
    assert_eq!(count(&log), taken + 9);
}

#[test]
fn released_segments_are_used_again_and_their_old_bytes_never_parse() {
    for seed in 0..4 {
        let work = |fs: &Arc<SimFs>| -> Result<()> {
            let log = open(fs)?;
            for number in 0..40 {
                let at = log.append(&record(number))?;
                if number % 5 == 4 {
                    log.sync()?;
                    log.release(at)?;
                    log.prepare()?;
                }
            }
            Ok(())
        };
        crash_at_every_io(seed * 1_000, work, |io, _, disk| {
            let log = open(&disk.mount()).expect("a crash damages nothing");
            let found = contents(&log);
            let starts = (0..40).find(|&at| found.first().is_none_or(|it| *it == record(at)));
            let start = starts.expect("the first record is one that was written");
            let expected: Vec<_> = (start..start + found.len()).map(record).collect();
            assert_eq!(found, expected, "seed {seed}, I/O {io}");
        });
    }
}

#[test]
fn a_log_goes_on_behind_a_position_that_it_lost() {
    let fs = SimDisk::new(1).mount();
    let (log, positions) = filled(&fs, 12).expect("the disk is well");
    let number = positions[11].segment + 3;
    log.restart(number).expect("the disk is well");
    assert_eq!(count(&log), 0);
    assert_eq!(log.append(&record(0)).expect("it is open").segment, number);
    drop(log);
    assert_eq!(count(&open(&fs).expect("a log may begin anywhere")), 1);
}

/// On a real disk, since a simulated one has nothing to begin with.
#[test]
fn records_are_whole_that_the_disk_began_with_before_their_sync() {
    let folder = tempfile::tempdir().expect("there is room on the disk");
    let open = || Log::open(Arc::new(OsFs), folder.path(), Options::SYNCED);
    let log = open().expect("the disk is well");
    let records: Vec<_> = (0..300).map(|number| record(number).repeat(1 + number % 200)).collect();
    for (number, record) in records.iter().enumerate() {
        log.append(record).expect("the disk is well");
        log.write_out();
        if number % 5 == 0 {
            log.sync().expect("the disk is well");
            log.write_out();
        }
    }
    drop(log);
    assert_eq!(contents(&open().expect("it was closed well")), records);
}

/// Threads append and sync at once; each finds its own record durable when its sync returns.
#[test]
fn threads_share_syncs() {
    let disk = SimDisk::new(1);
    let log = open(&disk.mount()).expect("the disk is well");
    thread::scope(|scope| {
        for thread in 0..4 {
            let log = &log;
            scope.spawn(move || {
                for number in 0..50 {
                    let bytes = format!("{thread} {number}");
                    log.append(bytes.as_bytes()).expect("the disk is well");
                    log.sync().expect("the disk is well");
                }
            });
        }
    });
    disk.crash();
    let mut found = contents(&open(&disk.mount()).expect("a crash damages nothing"));
    found.sort();
    found.dedup();
    assert_eq!(found.len(), 200);
}

#[test]
fn bytes_of_another_segment_never_parse() {
    let bytes = [&format::prefix(7, 28, [b"", b"old"])[..], b"old"].concat();
    assert!(format::decode(7, &bytes).is_some());
    assert_eq!(format::decode(8, &bytes), None);
}
