//! The log: whatever a crash leaves, what was synced comes back, and nothing that was never
//! written.

use std::path::Path;
use std::sync::Arc;

use env::fs::{Fs, FsExt, OpenMode};
use exercise_lsm::exercise::Log;
use harness::check::replay::with_seeds;
use harness::rng::SplitMix64;
use harness::sim::{DiskFault, Dose, SimDisk, SimFs, crash_at_every_io};

fn path() -> &'static Path {
    Path::new("/log")
}

fn records(fs: &SimFs) -> Vec<Vec<u8>> {
    Log::open(fs, path()).expect("a log can always be opened").1
}

fn record(rng: &mut SplitMix64, longest: u64) -> Vec<u8> {
    let length = rng.below(longest + 1);
    (0..length).map(|_| rng.next_u64().to_le_bytes()[0]).collect()
}

/// The bytes of a log with these records.
fn log_of(written: &[Vec<u8>]) -> Vec<u8> {
    let fs = SimDisk::new(0).mount();
    let (mut log, _) = Log::open(&*fs, path()).expect("it can be made");
    for record in written {
        log.append(record).expect("the disk is well");
    }
    fs.read(path()).expect("it is there")
}

/// A disk with a log of these bytes.
fn disk_with(bytes: &[u8]) -> Arc<SimFs> {
    let fs = SimDisk::new(0).mount();
    let file = fs.open(path(), OpenMode::CREATE_NEW).expect("the disk is empty");
    file.write_all_at(bytes, 0).expect("there is room");
    fs
}

#[test]
fn records_come_back() {
    with_seeds("stage_1::records_come_back", 50, |seed| {
        let mut rng = SplitMix64::new(seed);
        let fs = SimDisk::new(seed).mount();
        let mut written: Vec<Vec<u8>> = Vec::new();
        for _ in 0..4 {
            let (mut log, found) = Log::open(&*fs, path()).expect("it can be opened");
            assert_eq!(found, written, "what is read, then what was written");
            for _ in 0..rng.below(6) {
                let record = record(&mut rng, 60);
                log.append(&record).expect("the disk is well");
                written.push(record);
            }
        }
    });
}

/// Of a record that was cut short nothing is taken, and what is written afterwards is found.
#[test]
fn every_torn_tail_is_cut_off() {
    let mut rng = SplitMix64::new(1);
    let written: Vec<_> = [0, 5, 17, 1, 30].map(|longest| record(&mut rng, longest)).into();
    let bytes = log_of(&written);
    for length in 0..bytes.len() {
        for zeros in [0, 1, 40] {
            let torn = [&bytes[..length], &vec![0; zeros]].concat();
            let fs = disk_with(&torn);
            let found = records(&fs);
            assert!(
                written.starts_with(&found) && found.len() < written.len(),
                "cut at byte {length}, {zeros} zeros behind it: {found:?} of {written:?}"
            );
            let (mut log, _) = Log::open(&*fs, path()).expect("it can be opened again");
            log.append(b"after").expect("the disk is well");
            let expected: Vec<_> = found.into_iter().chain([b"after".to_vec()]).collect();
            assert_eq!(records(&fs), expected, "cut at byte {length}: written after the cut");
        }
    }
}

/// Bytes that changed end the log: no record is ever made up.
#[test]
fn a_flipped_bit_is_no_record() {
    let mut rng = SplitMix64::new(2);
    let written: Vec<_> = (0..4).map(|_| record(&mut rng, 20)).collect();
    let bytes = log_of(&written);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let found = records(&disk_with(&flipped));
        assert!(written.starts_with(&found), "bit {bit} flipped: {found:?} of {written:?}");
    }
}

/// Zeros are what a file is extended by, and no records.
#[test]
fn zeros_are_no_records() {
    assert_eq!(records(&disk_with(&[0; 100])), Vec::<Vec<u8>>::new());
}

/// A record behind the tear must not come back when the tear is written over.
#[test]
fn what_was_cut_off_stays_away() {
    let written = [b"first".to_vec(), b"torn one".to_vec(), b"behind it".to_vec()];
    let mut bytes = log_of(&written);
    let torn = log_of(&written[..2]).len() - 1;
    bytes[torn] ^= 1;
    let fs = disk_with(&bytes);
    let (mut log, found) = Log::open(&*fs, path()).expect("it can be opened");
    assert_eq!(found, written[..1]);
    log.append(b"new one!").expect("the disk is well");
    assert_eq!(records(&fs), [b"first".to_vec(), b"new one!".to_vec()]);
}

#[test]
fn a_power_cut_takes_nothing_that_was_synced() {
    with_seeds("stage_1::a_power_cut_takes_nothing_that_was_synced", 20, |seed| {
        let written: Vec<_> = (0..12_u8).map(|it| vec![it; usize::from(it) * 7]).collect();
        let work = |fs: &Arc<SimFs>| {
            let mut synced = 0;
            let mut write = || {
                let (mut log, _) = Log::open(&**fs, path())?;
                for (record, count) in written.iter().zip(1..) {
                    log.append(record)?;
                    if count % 3 == 0 {
                        log.sync()?;
                        synced = count;
                    }
                }
                Ok::<_, exercise_lsm::scaffold::Error>(())
            };
            write().ok();
            synced
        };
        crash_at_every_io(seed * 1_000, work, |io, synced, disk| {
            // The recovery is cut off too, at a place that moves along.
            disk.crash_after(io % 5);
            Log::open(&*disk.mount(), path()).ok();
            disk.crash();
            let found = records(&disk.mount());
            assert!(
                written.starts_with(&found) && found.len() >= synced,
                "I/O {io}: {} records of {synced} that were synced",
                found.len()
            );
        });
    });
}

/// After a sync that failed nobody knows what is on the disk: nothing may be promised any more.
#[test]
fn nothing_is_promised_after_a_failure() {
    with_seeds("stage_1::nothing_is_promised_after_a_failure", 30, |seed| {
        let disk = SimDisk::new(seed);
        let fs = disk.mount();
        let (mut log, _) = Log::open(&*fs, path()).expect("it can be made");
        let mut promised = Vec::new();
        for number in 0..8_u8 {
            if u64::from(number) == seed % 7 {
                disk.inject(&DiskFault::SyncError(Dose::Times(1)));
            }
            if log.append(&[number]).is_ok() && log.sync().is_ok() {
                promised.push(vec![number]);
            }
        }
        disk.crash();
        let found = records(&disk.mount());
        assert!(found.starts_with(&promised), "{found:?}, and promised were {promised:?}");
    });
}
