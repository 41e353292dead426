//! Real maps under real threads: one that is right, one that loses updates.

use std::collections::HashMap;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use crate::check::history::{History, Recorder};
use crate::check::linearizable::{assert_linearizable, check};
use crate::check::model::{MapCell, MapOp};
use crate::rng::SplitMix64;

const THREADS: u64 = 4;
const KEYS: u64 = 3;

/// What both maps do under test.
trait Map: Default + Send + Sync + 'static {
    fn insert(&self, key: u64, value: u64) -> Option<u64>;
    fn get(&self, key: u64) -> Option<u64>;
    fn remove(&self, key: u64) -> Option<u64>;
}

#[derive(Default)]
struct Locked(Mutex<HashMap<u64, u64>>);

impl Map for Locked {
    fn insert(&self, key: u64, value: u64) -> Option<u64> {
        self.0.lock().unwrap().insert(key, value)
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.0.lock().unwrap().get(&key).copied()
    }

    fn remove(&self, key: u64) -> Option<u64> {
        self.0.lock().unwrap().remove(&key)
    }
}

/// The planted bug: an insert that looks, unlocks, locks again and puts.
#[derive(Default)]
struct Racy(Locked);

impl Map for Racy {
    fn insert(&self, key: u64, value: u64) -> Option<u64> {
        let former = self.0.get(key);
        thread::yield_now();
        self.0.insert(key, value);
        former
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.0.get(key)
    }

    fn remove(&self, key: u64) -> Option<u64> {
        self.0.remove(key)
    }
}

/// Lets `THREADS` threads work on one map and returns what they saw.
fn record<M: Map>(seed: u64, operations: u64) -> History<MapOp<u64>, Option<u64>> {
    let map = Arc::new(M::default());
    let recorder = Recorder::new();
    let start = Arc::new(Barrier::new(usize::try_from(THREADS).expect("few")));
    let mut rng = SplitMix64::new(seed);
    let workers: Vec<_> = (0..THREADS)
        .map(|_| {
            let (map, start) = (Arc::clone(&map), Arc::clone(&start));
            let (mut log, mut rng) = (recorder.log(), rng.fork());
            thread::spawn(move || {
                start.wait();
                for _ in 0..operations {
                    let key = rng.below(KEYS);
                    let op = match rng.below(4) {
                        0 => MapOp::Get(key),
                        1 => MapOp::Remove(key),
                        _ => MapOp::Insert(key, rng.next_u64()),
                    };
                    log.record(op, |op| match *op {
                        MapOp::Insert(key, value) => map.insert(key, value),
                        MapOp::Remove(key) => map.remove(key),
                        _ => map.get(key),
                    });
                    // On few processors threads would otherwise run one after another.
                    if rng.chance(1, 4) {
                        thread::yield_now();
                    }
                }
                log
            })
        })
        .collect();
    History::from_logs(workers.into_iter().map(|worker| worker.join().expect("no worker panics")))
}

#[test]
fn locked_map_is_linearizable() {
    for seed in 0..5 {
        let history = record::<Locked>(seed, 2_000);
        let expected = usize::try_from(THREADS * 2_000).expect("few");
        assert_eq!(history.count(), expected, "every operation is recorded");
        assert_linearizable(&MapCell::default(), &history);
    }
}

#[test]
fn racy_map_is_caught() {
    // Nearly every run catches it, also on two processors.
    let caught = (0..50).filter(|&seed| {
        let verdict = check(&MapCell::default(), &record::<Racy>(seed, 300));
        verdict.violation().is_some()
    });
    let caught = caught.count();
    assert!(caught >= 10, "the lost update was caught in only {caught} of 50 runs");
}
