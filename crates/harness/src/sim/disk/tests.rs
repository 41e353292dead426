mod against_os;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use env::clock::Clock;
use env::fs::{File, Fs, FsErrorKind, FsExt, OpenMode};

use super::{DiskFault, Dose, SimDisk, SimFs, crash_at_every_io};
use crate::sim::coverage::Fault;

const FILE: &str = "dir/file";
/// What a read of it gives where it is gone.
const NO_FILE: &[u8] = b"(no file)";

/// A disk with a durable file of that content.
fn disk_with(seed: u64, bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new(seed);
    let fs = disk.mount();
    fs.create_dir_all(Path::new("dir")).unwrap();
    fs.sync_dir(Path::new("")).unwrap();
    fs.write_atomic(Path::new(FILE), bytes).unwrap();
    disk
}

fn open(disk: &SimDisk, mode: OpenMode) -> Box<dyn File> {
    disk.mount().open(Path::new(FILE), mode).unwrap()
}

/// What is found after a crash, over many seeds.
fn outcomes(seeds: u64, work: impl Fn(&SimDisk)) -> BTreeSet<Vec<u8>> {
    let outcome = |seed| {
        let disk = disk_with(seed, b"old");
        work(&disk);
        disk.crash();
        disk.mount().read(Path::new(FILE)).unwrap_or_else(|_| NO_FILE.to_vec())
    };
    (0..seeds).map(outcome).collect()
}

#[test]
fn synced_bytes_always_survive() {
    let found = outcomes(200, |disk| {
        let file = open(disk, OpenMode::WRITE);
        file.write_all_at(b"newer", 0).unwrap();
        file.sync_data().unwrap();
    });
    assert_eq!(found, BTreeSet::from([b"newer".to_vec()]));
}

#[test]
fn unsynced_bytes_survive_in_full_in_part_or_not_at_all() {
    let found = outcomes(500, |disk| {
        open(disk, OpenMode::WRITE).write_all_at(b"NEW", 0).unwrap();
    });
    let all = [b"old", b"Nld", b"NEd", b"NEW"].map(|bytes| bytes.to_vec());
    assert_eq!(found, BTreeSet::from(all));
}

#[test]
fn later_write_may_survive_an_earlier_one() {
    let found = outcomes(500, |disk| {
        let file = open(disk, OpenMode::WRITE);
        file.set_len(1_024).unwrap();
        file.sync_data().unwrap();
        file.write_all_at(&[1; 512], 0).unwrap();
        file.write_all_at(&[2; 512], 512).unwrap();
    });
    let only_second = found.iter().any(|bytes| bytes[0] == b'o' && bytes[1_023] == 2);
    let only_first = found.iter().any(|bytes| bytes[511] == 1 && bytes[512] == 0);
    assert!(only_second && only_first, "{} outcomes", found.len());
}

#[test]
fn sector_may_keep_any_of_its_versions() {
    let found = outcomes(500, |disk| {
        let file = open(disk, OpenMode::WRITE);
        for version in [b"111", b"222", b"333"] {
            file.write_all_at(version, 0).unwrap();
        }
    });
    for version in [b"old", b"111", b"222", b"333"] {
        assert!(found.contains(version.as_slice()), "{version:?} is missing from {found:?}");
    }
}

#[test]
fn length_may_survive_the_bytes() {
    let found = outcomes(500, |disk| {
        open(disk, OpenMode::WRITE).write_all_at(&[7; 600], 3).unwrap();
    });
    let zeros_at_the_end = |bytes: &Vec<u8>| bytes.len() == 603 && bytes[602] == 0;
    assert!(found.iter().any(zeros_at_the_end));
}

#[test]
fn kill_keeps_the_cache_and_makes_nothing_durable() {
    let disk = disk_with(1, b"old");
    open(&disk, OpenMode::WRITE).write_all_at(b"new", 0).unwrap();
    disk.kill();
    assert_eq!(disk.mount().read(Path::new(FILE)).unwrap(), b"new");
    let found = outcomes(200, |disk| {
        open(disk, OpenMode::WRITE).write_all_at(b"new", 0).unwrap();
        disk.kill();
    });
    assert!(found.contains(b"old".as_slice()), "a kill is no sync");
}

#[test]
fn created_file_needs_its_directory_synced() {
    let create = |disk: &SimDisk, sync_dir: bool| {
        let fs = disk.mount();
        fs.remove_file(Path::new(FILE)).unwrap();
        fs.sync_dir(Path::new("dir")).unwrap();
        let file = fs.open(Path::new(FILE), OpenMode::CREATE_NEW).unwrap();
        file.write_all_at(b"x", 0).unwrap();
        file.sync_data().unwrap();
        if sync_dir {
            fs.sync_dir(Path::new("dir")).unwrap();
        }
    };
    let without = outcomes(100, |disk| create(disk, false));
    assert_eq!(without, BTreeSet::from([NO_FILE.to_vec(), b"x".to_vec()]));
    assert_eq!(outcomes(100, |disk| create(disk, true)), BTreeSet::from([b"x".to_vec()]));
}

#[test]
fn renamed_file_is_found_under_one_name_and_never_none() {
    for seed in 0..200 {
        let disk = disk_with(seed, b"old");
        let fs = disk.mount();
        fs.create_dir_all(Path::new("other")).unwrap();
        fs.sync_dir(Path::new("")).unwrap();
        fs.rename(Path::new(FILE), Path::new("other/file")).unwrap();
        if seed % 2 == 0 {
            fs.sync_dir(Path::new("other")).unwrap();
        }
        disk.crash();
        let fs = disk.mount();
        let names = [FILE, "other/file"].map(|name| fs.exists(Path::new(name)).unwrap());
        assert!(names[0] != names[1], "seed {seed}: {names:?}");
        assert!(names[1] || seed % 2 == 1, "seed {seed}: the synced rename is lost");
    }
}

#[test]
fn removed_file_may_come_back_until_the_directory_is_synced() {
    let remove = |disk: &SimDisk| disk.mount().remove_file(Path::new(FILE)).unwrap();
    assert_eq!(outcomes(100, remove), BTreeSet::from([NO_FILE.to_vec(), b"old".to_vec()]));
}

#[test]
fn lost_sync_is_a_success_that_means_nothing() {
    let found = outcomes(200, |disk| {
        disk.inject(&DiskFault::LoseSync(Dose::Times(1)));
        let file = open(disk, OpenMode::WRITE);
        file.write_all_at(b"new", 0).unwrap();
        file.sync_data().unwrap();
    });
    assert!(found.contains(b"old".as_slice()));
}

#[test]
fn failed_sync_loses_the_bytes_though_the_next_one_succeeds() {
    let found = outcomes(50, |disk| {
        disk.inject(&DiskFault::SyncError(Dose::Times(1)));
        let file = open(disk, OpenMode::WRITE);
        file.write_all_at(b"new", 0).unwrap();
        assert_eq!(file.sync_data().unwrap_err().kind, FsErrorKind::Io);
        file.sync_data().unwrap();
        assert_eq!(disk.mount().read(Path::new(FILE)).unwrap(), b"new", "the cache has it still");
    });
    assert_eq!(found, BTreeSet::from([b"old".to_vec()]));
}

#[test]
fn flushed_pages_survive_and_others_gamble() {
    let mut seen = BTreeSet::new();
    for seed in 0..200 {
        let disk = disk_with(seed, &[0; 12_288]);
        let mut mapped = open(&disk, OpenMode::WRITE).map(12_288).unwrap();
        mapped.store(4_000, &[1; 200]);
        mapped.store(9_000, &[2; 10]);
        mapped.flush_range(4_096..4_097).unwrap();
        disk.crash();
        let bytes = disk.mount().read(Path::new(FILE)).unwrap();
        assert_eq!(bytes[4_096..4_200], [1; 104], "seed {seed}");
        seen.insert((bytes[4_050], bytes[9_005]));
    }
    assert_eq!(seen, BTreeSet::from([(0, 0), (0, 2), (1, 0), (1, 2)]));
}

#[test]
fn errors_strike_as_often_as_they_are_told_to() {
    let disk = disk_with(1, b"0123456789");
    let file = open(&disk, OpenMode::WRITE);
    disk.inject(&DiskFault::ReadError(Dose::Times(1)));
    disk.inject(&DiskFault::WriteError(Dose::Times(2)));
    let mut buffer = [0; 10];
    assert_eq!(file.read_at(&mut buffer, 0).unwrap_err().kind, FsErrorKind::Io);
    assert_eq!(file.read_at(&mut buffer, 0).unwrap(), 10);
    for _ in 0..2 {
        assert_eq!(file.write_at(b"x", 0).unwrap_err().kind, FsErrorKind::Io);
    }
    assert_eq!(file.write_at(b"x", 0).unwrap(), 1);
    disk.inject(&DiskFault::WriteError(Dose::After(2)));
    let failed: Vec<_> = (0..5).map(|_| file.write_at(b"x", 0).is_err()).collect();
    assert_eq!(failed, [false, false, true, false, false], "the third, and no other");
    disk.inject(&DiskFault::ShortRead(Dose::Chance(500_000)));
    let short = (0..100).filter(|_| file.read_at(&mut buffer, 0).unwrap() < 10).count();
    assert!((30..70).contains(&short), "{short} of 100");
    file.read_exact_at(&mut buffer, 0).unwrap();
    assert_eq!(&buffer, b"x123456789");
}

#[test]
fn full_disk_takes_what_fits_and_says_so() {
    let disk = disk_with(1, b"old");
    let file = open(&disk, OpenMode::WRITE);
    disk.inject(&DiskFault::Full { room: 2 });
    assert_eq!(file.write_at(b"abcdefgh", 0).unwrap(), 5, "three in place, two that fit");
    assert_eq!(file.write_at(b"x", 5).unwrap_err().kind, FsErrorKind::NoSpace);
    assert_eq!(file.preallocate(6).unwrap_err().kind, FsErrorKind::NoSpace);
    assert_eq!(file.write_at(b"xyz", 0).unwrap(), 3, "what is there can be overwritten");
    disk.heal();
    file.write_all_at(b"more room", 0).unwrap();
}

#[test]
fn flipped_bit_is_one_bit_and_stays() {
    let disk = disk_with(5, &[0; 100]);
    disk.inject(&DiskFault::FlipBit { file: Some("file".to_owned()) });
    disk.inject(&DiskFault::FlipBit { file: Some("no such".to_owned()) });
    disk.crash();
    let bytes = disk.mount().read(Path::new(FILE)).unwrap();
    assert_eq!(bytes.iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);
    assert_eq!(disk.trace().coverage().count(Fault::BitFlip), 1);
}

#[test]
fn slow_disk_moves_the_clock() {
    let disk = disk_with(1, b"old");
    let (min, max) = (Duration::from_millis(5), Duration::from_millis(6));
    disk.inject(&DiskFault::Slow { min, max });
    let before = disk.clock().now();
    open(&disk, OpenMode::WRITE).write_all_at(b"x", 0).unwrap();
    let took = disk.clock().now().saturating_since(before);
    assert!((min..=max).contains(&took), "{took:?}");
}

#[test]
fn handles_of_an_earlier_life_are_dead() {
    let disk = disk_with(1, b"old");
    let (fs, file) = (disk.mount(), open(&disk, OpenMode::WRITE));
    let mut mapped = file.map(3).unwrap();
    let lock = fs.lock(Path::new("LOCK")).unwrap();
    assert_eq!(fs.lock(Path::new("LOCK")).unwrap_err().kind, FsErrorKind::Locked);
    disk.crash();
    assert!(disk.is_down());
    let new = disk.mount();
    let relocked = new.lock(Path::new("LOCK")).unwrap();
    drop(lock);
    assert!(new.lock(Path::new("LOCK")).is_err(), "the lock of the dead one is not ours");
    drop(relocked);
    assert_eq!(file.write_at(b"x", 0).unwrap_err().kind, FsErrorKind::Crashed);
    assert_eq!(fs.sync_dir(Path::new("dir")).unwrap_err().kind, FsErrorKind::Crashed);
    mapped.store(0, b"x");
    assert_eq!(mapped.flush_range(0..1).unwrap_err().kind, FsErrorKind::Crashed);
    assert_eq!(new.read(Path::new(FILE)).unwrap(), b"old");
}

#[test]
fn crash_comes_in_the_midst_of_the_io_that_was_named() {
    let disk = disk_with(1, b"old");
    let file = open(&disk, OpenMode::WRITE);
    disk.crash_after(2);
    file.write_all_at(b"1", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(file.write_at(b"2", 0).unwrap_err().kind, FsErrorKind::Crashed);
    assert!(disk.is_down());
}

#[test]
fn atomic_write_survives_a_crash_at_every_io() {
    for seed in 0..100 {
        let work = |fs: &Arc<SimFs>| {
            fs.write_atomic(Path::new("f"), b"old")?;
            fs.write_atomic(Path::new("f"), &[9; 2_000])
        };
        let ios = crash_at_every_io(seed * 1_000, work, |io, outcome, disk| {
            let found = disk.mount().read(Path::new("f")).ok();
            let legal = match (&found, outcome) {
                (Some(bytes), Ok(())) => bytes == &[9; 2_000],
                (Some(bytes), Err(_)) => bytes == b"old" || bytes == &[9; 2_000],
                (None, outcome) => io <= 5 && outcome.is_err(),
            };
            assert!(legal, "seed {seed}, I/O {io}: {found:?}");
        });
        assert_eq!(ios, 10, "open, write, sync, rename, sync directory, twice");
    }
}
