//! Many threads: they come and go, nobody sees what is given back, and a thread that stands still
//! keeps no memory. (Their histories are recorded in `crate::histories`.)

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::*;

#[test]
fn overwriting_under_a_stalled_reader_keeps_no_memory() {
    let map: WordMap<u64, u64> = WordMap::with_capacity(100);
    let stalled = map.pin();
    stalled.insert(1, 1);
    let before = map.stats();
    thread::scope(|scope| {
        scope.spawn(|| {
            for value in 0..300_000 {
                map.insert(value % 50, value);
            }
        });
    });
    let after = map.stats();
    assert_eq!(after.table_bytes, before.table_bytes);
    assert_eq!(after.retired_tables, 0);
    assert_eq!(stalled.get(49), Some(299_999));
}

/// Tables that a reader holds back are freed when it goes on, however long its handle lives.
#[test]
fn outgrown_tables_are_freed_while_handles_are_used() {
    let map: WordMap<u64, u64> = WordMap::new();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let reader = map.pin();
            // Relaxed: it only has to be seen some time.
            while !stop.load(Ordering::Relaxed) {
                reader.get(1);
            }
        });
        let writer = map.pin();
        for key in 0..20_000 {
            writer.insert(key, key);
        }
        // Guards of other tests hold back what this map has retired, too: they are given time.
        let freed = (0..30_000_000_u64).any(|round| {
            if round.is_multiple_of(1_000) {
                thread::yield_now();
            }
            writer.insert(round % 20_000, round);
            map.stats().retired_tables == 0
        });
        stop.store(true, Ordering::Relaxed);
        assert!(freed, "{:?}", map.stats());
    });
}

/// Threads come and go, each for a few operations: seats and pins are given back.
#[test]
fn threads_may_come_and_go() {
    let map: WordMap<u64, u64> = WordMap::new();
    for round in 0..100 {
        thread::scope(|scope| {
            for thread in 0..8 {
                let map = &map;
                scope.spawn(move || {
                    for key in 0..20 {
                        map.insert(1_000 * round + 20 * thread + key, key);
                    }
                });
            }
        });
    }
    assert_eq!(map.len(), 100 * 8 * 20);
    assert_eq!(map.iter().count(), map.len());
}

/// The slots of a large table are given back, and read as zeroes, while others still look at them.
/// Zeroes look like the entry of key 0 with value 0, which nobody has inserted.
#[test]
fn nobody_is_misled_by_slots_that_are_given_back() {
    const ENTRIES: u64 = 800_000;
    let map: WordMap<u64, u64> = WordMap::new();
    map.insert(0, 1);
    let grows = AtomicBool::new(true);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let handle = map.pin();
                // Relaxed: it only ends the loop.
                while grows.load(Ordering::Relaxed) {
                    assert_eq!(handle.get(0), Some(1), "key 0 has one value");
                    assert_eq!(handle.get_many(&[0, u64::MAX]), [Some(1), None]);
                }
            });
        }
        let handle = map.pin();
        (1..ENTRIES).for_each(|key| assert_eq!(handle.insert(key, key), None));
        // Relaxed: as above.
        grows.store(false, Ordering::Relaxed);
    });
    let handle = map.pin();
    assert!((1..ENTRIES).all(|key| handle.get(key) == Some(key)), "an entry is lost");
    assert_eq!(map.iter().count(), usize::try_from(ENTRIES).unwrap());
}
