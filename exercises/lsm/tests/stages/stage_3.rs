//! Tables: every version is found, few blocks are read, and damage is an error.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use env::fs::{Fs, FsExt, OpenMode};
use exercise_lsm::exercise::Table;
use exercise_lsm::scaffold::{Result, Version, source};
use harness::check::replay::with_seeds;
use harness::rng::SplitMix64;
use harness::sim::{DiskFault, SimDisk, SimFs};

use crate::kit::{all_whole, key, newest, versions, whole};

fn path() -> &'static Path {
    Path::new("/table")
}

/// A table of these versions.
pub(crate) fn table(fs: &SimFs, versions: &[Version]) -> Table {
    let mut sorted = versions.to_vec();
    sorted.sort();
    Table::write(fs, path(), source(sorted)).expect("the disk is well");
    Table::open(fs, path()).expect("it was just written")
}

/// Some thousand versions with values so long that a table of them has many blocks.
pub(crate) fn many(rng: &mut SplitMix64) -> Vec<Version> {
    let mut all = versions(rng, 2_000, 300);
    for version in &mut all {
        version.value = version.value.take().map(|value| value.repeat(5));
    }
    all
}

/// How many reads of the disk something takes.
pub(crate) fn reads(disk: &SimDisk, work: impl FnOnce()) -> u128 {
    let turn = Duration::from_millis(1);
    disk.inject(&DiskFault::Slow { min: turn, max: turn });
    let before = disk.clock().true_now();
    work();
    let took = disk.clock().true_now().saturating_since(before);
    disk.heal();
    took.as_millis()
}

#[test]
fn matches_model() {
    with_seeds("stage_3::matches_model", 60, |seed| {
        let mut rng = SplitMix64::new(seed);
        let count = rng.below(600);
        // Few keys with many versions each, or many keys: a key may fill blocks.
        let keys = if seed % 2 == 0 { 3 } else { 200 };
        let all = versions(&mut rng, count, keys);
        let table = table(&SimDisk::new(seed).mount(), &all);
        for _ in 0..200 {
            let (key, moment) = (key(&mut rng, keys + 1), rng.below(count + 2));
            assert_eq!(
                table.get(&key, moment).expect("the disk is well").map(whole),
                newest(&all, &key, moment).map(whole),
                "{} at moment {moment}: yours, then the model's",
                key.escape_ascii()
            );
        }
        for from in [b"".to_vec(), key(&mut rng, keys), b"z".to_vec()] {
            let mut expected: Vec<_> = all.iter().filter(|it| it.key >= from).cloned().collect();
            expected.sort();
            let found: Vec<_> = table.scan(&from).collect::<Result<_>>().expect("it is well");
            assert_eq!(all_whole(found), all_whole(expected), "a scan");
        }
    });
}

/// A get reads a block or two of many, and a scan no more than what is asked of it.
#[test]
fn few_blocks_are_read() {
    let mut rng = SplitMix64::new(1);
    let all = many(&mut rng);
    let disk = SimDisk::new(1);
    let table = table(&disk.mount(), &all);
    assert!(table.size() > 100_000, "{} bytes", table.size());
    for version in &all[..200] {
        let count = reads(&disk, || {
            let found = table.get(&version.key, version.sequence).expect("the disk is well");
            assert_eq!(found.map(whole), Some(whole(version.clone())));
        });
        assert!((1..=2).contains(&count), "a get made {count} reads");
    }
    let count = reads(&disk, || {
        let first: Vec<_> = table.scan(b"key 100").take(3).collect();
        assert!(first.iter().all(Result::is_ok));
    });
    assert!((1..=3).contains(&count), "a scan of three versions made {count} reads");
}

#[test]
fn a_flipped_bit_is_never_an_answer() {
    let mut rng = SplitMix64::new(2);
    let all = many(&mut rng);
    let fs = SimDisk::new(2).mount();
    let _open = table(&fs, &all);
    let bytes = fs.read(path()).expect("it was just written");
    let mut found_in_spite_of_it = 0;
    for _ in 0..60 {
        let mut flipped = bytes.clone();
        let at = usize::try_from(rng.below(bytes.len() as u64)).expect("an index");
        flipped[at] ^= 1 << rng.below(8);
        let fs: Arc<SimFs> = SimDisk::new(3).mount();
        let file = fs.open(path(), OpenMode::CREATE_NEW).expect("the disk is empty");
        file.write_all_at(&flipped, 0).expect("there is room");
        let Ok(table) = Table::open(&*fs, path()) else { continue };
        for version in all.iter().step_by(7) {
            if let Ok(found) = table.get(&version.key, version.sequence) {
                let right = Some(whole(version.clone()));
                assert_eq!(found.map(whole), right, "byte {at} was damaged");
                found_in_spite_of_it += 1;
            }
        }
    }
    assert!(found_in_spite_of_it > 1_000, "one damaged block must not harm the others");
}

/// When `write` has returned, neither the bytes nor the name are lost.
#[test]
fn a_table_is_durable_when_it_is_written() {
    for seed in 0..20 {
        let all = versions(&mut SplitMix64::new(seed), 100, 10);
        let disk = SimDisk::new(seed);
        let _open = table(&disk.mount(), &all);
        disk.crash();
        let table = Table::open(&*disk.mount(), path()).expect("it was durable");
        let found: Vec<_> = table.scan(b"").collect::<Result<_>>().expect("all is well");
        assert_eq!(found.len(), all.len());
    }
}
