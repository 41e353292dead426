//! What a store counts: what readers meet is counted once, and merges are not readers.

use harness::sim::SimDisk;

use super::values::apart;
use super::*;
use crate::Stats;

const KEYS: u64 = 500;

/// The even ones are there.
fn even(number: u64) -> [u8; 8] {
    (2 * number).to_be_bytes()
}

/// A store of one level that was just opened.
fn opened(fs: &Arc<SimFs>, options: &Options, value_len: usize) -> Db {
    let db = open(fs, options).expect("the disk is well");
    for number in 0..KEYS {
        db.put(&even(number), &vec![7; value_len]).expect("the disk is well");
    }
    db.compact().expect("the disk is well");
    drop(db);
    open(fs, options).expect("the disk is well")
}

fn read_all(db: &Db) {
    for number in 0..KEYS {
        assert!(db.get(&even(number)).expect("the disk is well").is_some());
    }
}

/// Hits and misses of blocks.
fn blocks(stats: &Stats) -> (u64, u64) {
    (stats.block_hits, stats.block_misses)
}

#[test]
fn each_look_into_a_block_is_a_hit_or_a_miss() {
    let db = opened(&SimDisk::new(1).mount(), &tiny(), 20);
    let before = db.stats();
    assert_eq!((blocks(&before), before.cached_bytes), ((0, 0), 0), "nobody has read");
    read_all(&db);
    let first = db.stats();
    let (hits, misses) = blocks(&first);
    assert_eq!(hits + misses, KEYS);
    assert!(misses > 50 && hits > misses, "several keys share one of many blocks: {first}");
    assert!(first.cached_bytes > 0);
    read_all(&db);
    assert_eq!(blocks(&db.stats()), (hits + KEYS, misses), "all are in memory");
    assert_eq!(db.iter().count() as u64, KEYS);
    assert_eq!(blocks(&db.stats()), (hits + KEYS + misses, misses), "a walk enters each once");
}

#[test]
fn a_merge_is_no_reader() {
    let db = opened(&SimDisk::new(1).mount(), &tiny(), 20);
    read_all(&db);
    let before = db.stats();
    db.put(&even(1), b"new").expect("the disk is well");
    db.compact().expect("the disk is well");
    let after = db.stats();
    assert!(after.merged_bytes > before.merged_bytes, "it read and wrote everything");
    assert_eq!(blocks(&after), blocks(&before));
}

#[test]
fn filters_count_what_they_spare_and_what_they_do_not() {
    let absent = |number: u64| (2 * number + 1).to_be_bytes();
    let looked_for = |options: &Options| {
        let db = opened(&SimDisk::new(1).mount(), options, 20);
        let tables = db.default_family().tables();
        let may_have = |key: &[u8; 8]| {
            tables.iter().any(|it| *it.smallest <= key[..] && key[..] <= *it.largest)
        };
        let asked = (0..KEYS).filter(|it| may_have(&absent(*it))).count() as u64;
        for number in 0..KEYS {
            assert_eq!(db.get(&absent(number)).expect("the disk is well"), None);
        }
        (db.stats(), asked)
    };
    let (stats, asked) = looked_for(&tiny());
    assert_eq!(stats.filtered + stats.filtered_in_vain, asked);
    assert!(stats.filtered_in_vain < asked / 10, "{stats}");
    assert_eq!(stats.block_hits + stats.block_misses, stats.filtered_in_vain);
    let (stats, asked) = looked_for(&Options { bits_per_key: 0, ..tiny() });
    assert_eq!((stats.filtered, stats.filtered_in_vain), (0, 0), "there are no filters");
    assert_eq!(stats.block_hits + stats.block_misses, asked);
}

#[test]
fn values_apart_are_counted_by_themselves() {
    let db = opened(&SimDisk::new(1).mount(), &apart(), 200);
    read_all(&db);
    let first = db.stats();
    assert_eq!((first.value_hits, first.value_misses), (0, KEYS));
    read_all(&db);
    let second = db.stats();
    assert_eq!(second.value_hits + second.value_misses, 2 * KEYS);
    assert!(second.value_hits > KEYS / 2, "most had a place: {second}");
}
