//! Many threads: histories of every operation are linearizable while the table grows and shrinks,
//! and a thread that stands still keeps no memory.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use harness::check::history::{History, Log, Recorder};
use harness::check::linearizable::assert_linearizable;
use harness::check::model::{MapCell, MapOp};
use harness::check::replay::with_seeds;
use harness::rng::SplitMix64;

use super::model::{Kind, Terrible};
use super::*;

const THREADS: usize = 3;
const KEYS: u64 = 3;

fn random_op(rng: &mut SplitMix64) -> MapOp<u64> {
    let key = rng.below(KEYS);
    match rng.below(6) {
        0 | 1 => MapOp::Get(key),
        2 => MapOp::Insert(key, rng.below(4)),
        3 => MapOp::Remove(key),
        4 => MapOp::Add(key, 1 + rng.below(3)),
        _ => MapOp::CompareExchange(key, rng.below(4), rng.below(4)),
    }
}

fn apply<S: BuildHasher>(map: &WordMapRef<'_, u64, u64, S>, op: &MapOp<u64>) -> Option<u64> {
    match *op {
        MapOp::Get(key) => map.get(key),
        MapOp::Insert(key, value) => map.insert(key, value),
        MapOp::Remove(key) => map.remove(key),
        MapOp::Add(key, term) => map.update(key, |value| value.wrapping_add(term)),
        MapOp::CompareExchange(key, expected, new) => {
            match map.compare_exchange(key, Some(expected), Some(new)) {
                Ok(()) => Some(expected),
                Err(found) => found,
            }
        }
    }
}

/// One thread's part: recorded operations on few keys, and in between others that make the table
/// grow and shrink under them.
fn work<S: BuildHasher>(
    map: &WordMap<u64, u64, S>,
    seed: u64,
    thread: u64,
    mut log: Log<MapOp<u64>, Option<u64>>,
) -> Log<MapOp<u64>, Option<u64>> {
    let mut rng = SplitMix64::new(seed * 64 + thread);
    let handle = map.pin();
    let mut next = 1_000 * (thread + 1);
    for _ in 0..60 {
        log.record(random_op(&mut rng), |op| apply(&handle, op));
        match rng.below(8) {
            0 => handle.shrink_to_fit(),
            1 => handle.reserve(60),
            2 | 3 => {
                for _ in 0..10 {
                    handle.insert(next, 0);
                    next += 1;
                }
            }
            4 => {
                for key in next.saturating_sub(10)..next {
                    handle.remove(key);
                }
            }
            _ => {}
        }
    }
    log
}

fn history<S: BuildHasher + Sync>(map: &WordMap<u64, u64, S>, seed: u64) {
    let recorder = Recorder::new();
    let start = Barrier::new(THREADS);
    let logs: Vec<_> = thread::scope(|scope| {
        let spawn = |thread| {
            let (log, start) = (recorder.log(), &start);
            scope.spawn(move || {
                start.wait();
                work(map, seed, thread, log)
            })
        };
        let threads: Vec<_> = (0..THREADS as u64).map(spawn).collect();
        threads.into_iter().map(|it| it.join().expect("no operation panics")).collect()
    });
    assert_linearizable(&MapCell::default(), &History::from_logs(logs));
}

#[test]
fn histories_are_linearizable() {
    with_seeds("word_map::tests::threads::histories_are_linearizable", 150, |seed| {
        history(&WordMap::<u64, u64>::new(), seed);
    });
}

/// All keys in one bin, which has an annex, then a block.
#[test]
fn histories_of_one_bin_are_linearizable() {
    with_seeds("word_map::tests::threads::histories_of_one_bin_are_linearizable", 60, |seed| {
        history(&WordMap::with_hasher(Terrible(Kind::Constant)), seed);
    });
}

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
