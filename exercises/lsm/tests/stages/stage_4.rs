//! Filters: never wrong about what is there, seldom about what is not, and small.

use exercise_lsm::exercise::Filter;
use exercise_lsm::scaffold::{Version, hash};
use harness::rng::SplitMix64;
use harness::sim::SimDisk;

use crate::stage_3::{many, reads, table};

fn hashes(from: u64, count: u64) -> Vec<u64> {
    (from..from + count).map(|it| hash(&it.to_be_bytes())).collect()
}

#[test]
fn what_is_there_may_be_there() {
    for count in [0, 1, 2, 7, 100, 5_000] {
        let hashes = hashes(0, count);
        let filter = Filter::new(&hashes);
        let copy = Filter(filter.0.clone());
        for hash in hashes {
            assert!(filter.may_hold(hash), "one of {count} keys is denied");
            assert!(copy.may_hold(hash), "one of {count} keys is denied by what was on the disk");
        }
    }
}

/// Ten bits for each key let one absent key in a hundred through; here two may pass.
#[test]
fn what_is_absent_is_mostly_denied() {
    let filter = Filter::new(&hashes(0, 5_000));
    let bits = filter.0.len() * 8;
    assert!(bits <= 5_000 * 12, "{bits} bits for 5000 keys: twelve for each are enough");
    let passed = hashes(1_000_000, 20_000).into_iter().filter(|it| filter.may_hold(*it)).count();
    assert!(passed <= 400, "{passed} of 20000 absent keys may be there");
}

/// A table asks its filter before it reads.
#[test]
fn absent_keys_are_not_looked_for_on_the_disk() {
    let disk = SimDisk::new(1);
    let all = many(&mut SplitMix64::new(1));
    let table = table(&disk.mount(), &all);
    let count = reads(&disk, || {
        for number in 0..1_000 {
            let key = format!("key {:03} and more", number % 300);
            assert!(table.get(key.as_bytes(), u64::MAX).expect("the disk is well").is_none());
        }
    });
    assert!(count <= 50, "{count} reads for a thousand keys that are not there");
    for Version { key, sequence, .. } in &all[..100] {
        assert!(table.get(key, *sequence).expect("the disk is well").is_some());
    }
}
