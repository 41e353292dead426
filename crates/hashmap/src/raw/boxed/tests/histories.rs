//! Recorded histories of real threads on few keys in a table that is always being resized.

use std::sync::Barrier;
use std::thread;

use harness::check::history::{History, Log, Recorder};
use harness::check::linearizable::assert_linearizable;
use harness::check::model::{MapCell, MapOp};
use harness::rng::SplitMix64;

use super::{HASHERS, Keeps, TestMap};
use crate::Session;
use crate::guard::{Computed, Operation};

const THREADS: u64 = 3;
const KEYS: u64 = 6;
const CALLS: u64 = 150;
const ROUNDS: u64 = 12;

type MapLog = Log<MapOp<u64>, Option<u64>>;

#[test]
fn every_answer_has_its_moment() {
    for hasher in HASHERS {
        for round in 0..ROUNDS {
            assert_linearizable(&MapCell::new(None), &record(hasher, round));
        }
    }
}

fn record(hasher: Keeps, seed: u64) -> History<MapOp<u64>, Option<u64>> {
    let map = TestMap::with_hasher(hasher);
    let recorder = Recorder::new();
    let barrier = Barrier::new(usize::try_from(THREADS).unwrap() + 1);
    let logs = thread::scope(|scope| {
        let (map, barrier) = (&map, &barrier);
        let resizer = scope.spawn(move || {
            barrier.wait();
            for round in 0..40 {
                let mut pinned = map.pin();
                if round % 2 == 0 {
                    pinned.reserve(1_usize << (round % 7)).unwrap();
                } else {
                    pinned.shrink_to_fit().unwrap();
                }
                (1_000..1_000 + 20).for_each(|key| {
                    pinned.insert(key + round, 0);
                });
                (1_000..1_000 + 20).for_each(|key| {
                    pinned.remove(&(key + round));
                });
            }
        });
        let callers: Vec<_> = (0..THREADS)
            .map(|thread| {
                let log = recorder.log();
                scope.spawn(move || {
                    barrier.wait();
                    call(map, log, SplitMix64::new(seed * 31 + thread))
                })
            })
            .collect();
        let logs: Vec<_> = callers.into_iter().map(|it| it.join().unwrap()).collect();
        resizer.join().unwrap();
        logs
    });
    History::from_logs(logs)
}

fn call(map: &TestMap, mut log: MapLog, mut rng: SplitMix64) -> MapLog {
    let session = map.session();
    for _ in 0..CALLS {
        let key = rng.below(KEYS);
        let op = match rng.below(10) {
            0..2 => MapOp::Get(key),
            2..5 => MapOp::Insert(key, rng.below(1_000)),
            5..7 => MapOp::Remove(key),
            7..9 => MapOp::Add(key, rng.below(1_000)),
            _ => MapOp::CompareExchange(key, rng.below(4), rng.below(4)),
        };
        log.record(op, |op| answer(&session, op));
    }
    log
}

fn answer(session: &Session<'_, u64, u64, Keeps>, op: &MapOp<u64>) -> Option<u64> {
    match *op {
        MapOp::Get(key) => session.get(&key),
        MapOp::Insert(key, value) => session.insert(key, value),
        MapOp::Remove(key) => session.remove(&key),
        MapOp::Add(key, term) => session.update(&key, |value| value.wrapping_add(term)),
        // By `compute`, since the model wants to know what was found.
        MapOp::CompareExchange(key, expected, new) => session.with(|pinned| {
            let computed = pinned.compute(&key, |value| match value {
                Some(&value) if value == expected => Operation::Put(new),
                _ => Operation::Keep,
            });
            match computed {
                Computed::Kept(found) => found.copied(),
                Computed::Replaced { former, .. } => Some(*former),
                other => panic!("{other:?} of an exchange"),
            }
        }),
    }
}
