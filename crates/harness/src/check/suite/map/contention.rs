//! Many threads: statements that hold whatever the order was.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::sequential::{Request, compare_entries, step};
use crate::check::suite::fresh::single_writer;
use crate::check::suite::together::{SetAtEnd, together};
use crate::check::suite::{Examination, Mismatch};
use crate::contract::{ConcurrentMap, MapHandle};
use crate::rng::SplitMix64;
use crate::workload::scatter;

const THREADS: u32 = 4;

/// Threads share a growing map but no key. Each compares every answer with a plain map of its own.
///
/// The other threads cannot change any answer, yet they move the table, fill the buckets and pass
/// through the same locks: what is lost on the way shows here.
pub fn own_keys<M: ConcurrentMap<u64, u64>>(examination: &mut Examination) {
    examination.begin("own_keys");
    let seed = examination.seed();
    for (keys, requests) in [(8, 4_000), (4_000, 20_000)] {
        let subject = format!("{THREADS} threads with {keys} keys each");
        examination.once(subject, || {
            let map = M::with_capacity(0);
            let models = together(THREADS, |thread| {
                let handle = map.handle();
                let mut rng = SplitMix64::new(seed ^ scatter(u64::from(thread) + 1));
                let mut model = HashMap::new();
                for _ in 0..requests {
                    let number = rng.below(keys) * u64::from(THREADS) + u64::from(thread);
                    let request = random_request(number, &mut rng);
                    step(&handle, &mut model, request)?;
                }
                Ok(model)
            });
            let mut whole = HashMap::new();
            for model in models {
                whole.extend(model?);
            }
            compare_entries(&map.handle(), &whole)
        });
    }
}

/// Inserts a little more often than it removes, so that the map grows.
fn random_request(key: u64, rng: &mut SplitMix64) -> Request {
    match rng.below(10) {
        0..4 => Request::Insert(key, rng.below(1_000)),
        4..6 => Request::Remove(key),
        6..8 => Request::Update(key, rng.below(1_000)),
        _ => Request::Get(key),
    }
}

/// Rounds of the properties in which all threads want the same few keys.
const ROUNDS: u64 = 40;
const SHARED_KEYS: u64 = 50;

/// All threads insert different values under the same keys. Whatever the order, each value is
/// either returned as the former one by exactly one later insert or is the one that stays.
pub fn insert_swaps<M: ConcurrentMap<u64, u64>>(examination: &mut Examination) {
    examination.begin("insert_swaps");
    examination.once(format!("{THREADS} threads, {SHARED_KEYS} keys"), || {
        (0..ROUNDS).try_for_each(|_| {
            let map = M::with_capacity(0);
            let former = together(THREADS, |thread| {
                let handle = map.handle();
                let insert = |key| (key, handle.insert(key, u64::from(thread)));
                (0..SHARED_KEYS).map(insert).collect::<Vec<_>>()
            });
            let handle = map.handle();
            for key in 0..SHARED_KEYS {
                let returned = former.iter().flatten().filter(|(it, _)| *it == key);
                let mut seen: Vec<Option<u64>> = returned.map(|&(_, value)| value).collect();
                seen.push(handle.get(&key));
                seen.sort_unstable();
                let mut expected = vec![None];
                expected.extend((0..u64::from(THREADS)).map(Some));
                if seen != expected {
                    return Err(Mismatch::new(
                        format!("key {key}: absence and each value once, {expected:?}"),
                        format!("{seen:?}"),
                    ));
                }
            }
            Ok(())
        })
    });
}

/// All threads remove the same keys. Exactly one of them gets each value.
pub fn remove_wins_once<M: ConcurrentMap<u64, u64>>(examination: &mut Examination) {
    examination.begin("remove_wins_once");
    examination.once(format!("{THREADS} threads, {SHARED_KEYS} keys"), || {
        (0..ROUNDS).try_for_each(|_| {
            let map = M::with_capacity(0);
            for key in 0..SHARED_KEYS {
                map.handle().insert(key, key + 1);
            }
            let removed = together(THREADS, |_thread| {
                let handle = map.handle();
                (0..SHARED_KEYS).filter_map(|key| handle.remove(&key)).collect::<Vec<_>>()
            });
            let mut values = removed.concat();
            values.sort_unstable();
            if !values.iter().copied().eq(1..=SHARED_KEYS) {
                let expected = format!("each of {SHARED_KEYS} values once");
                return Err(Mismatch::new(expected, format!("{values:?}")));
            }
            compare_entries(&map.handle(), &HashMap::new())
        })
    });
}

/// Increments of one thread, in all rounds together.
const INCREMENTS: u64 = 10_000;

/// All threads increment the same few counters. No increment is lost, no new value is returned
/// twice, and a counter that is absent stays so.
pub fn update_is_atomic<M: ConcurrentMap<u64, u64>>(examination: &mut Examination) {
    const COUNTERS: u64 = 4;
    examination.begin("update_is_atomic");
    examination.once(format!("{THREADS} threads, {COUNTERS} counters"), || {
        let map = M::with_capacity(0);
        for key in 0..COUNTERS {
            map.handle().insert(key, 0);
        }
        let returned = together(THREADS, |thread| {
            let handle = map.handle();
            (0..INCREMENTS)
                .map(|turn| {
                    let key = (turn + u64::from(thread)) % (COUNTERS + 1);
                    (key, handle.update(&key, |value| value + 1))
                })
                .collect::<Vec<_>>()
        });
        for key in 0..=COUNTERS {
            let of_key = returned.iter().flatten().filter(|(it, _)| *it == key);
            let mut values: Vec<Option<u64>> = of_key.map(|&(_, value)| value).collect();
            values.sort_unstable();
            let wanted = |place: u64| (key < COUNTERS).then_some(place);
            let wrong = (1..).zip(&values).find(|&(place, &value)| value != wanted(place));
            if let Some((place, value)) = wrong {
                let expected = format!("{:?} as new value {place} of key {key}", wanted(place));
                return Err(Mismatch::new(expected, format!("{value:?}")));
            }
            let last = wanted(values.len() as u64);
            let got = map.handle().get(&key);
            if got != last {
                let expected = format!("{last:?} under key {key} in the end");
                return Err(Mismatch::new(expected, format!("{got:?}")));
            }
        }
        Ok(())
    });
}

/// One thread writes versions of a value, and now and then removes it; no read is stale. Once with
/// one entry, and once while the writer also makes the map grow and shrink around it.
pub fn reads_are_fresh<M: ConcurrentMap<u64, u64>>(examination: &mut Examination) {
    const KEY: u64 = 7;
    const NEIGHBOURS: u64 = 1_000;
    examination.begin("reads_are_fresh");
    for neighbours in [0, NEIGHBOURS] {
        let subject = format!("one writer, two readers, up to {neighbours} other entries");
        examination.once(subject, || {
            let map = M::with_capacity(0);
            let turn = AtomicU64::new(0);
            let write = |version: Option<u64>| {
                let handle = map.handle();
                match version {
                    Some(version) => handle.insert(KEY, version),
                    None => handle.remove(&KEY),
                };
                // Relaxed: only the writer counts.
                let turn = turn.fetch_add(1, Ordering::Relaxed);
                let neighbour = scatter(KEY + 1 + turn % NEIGHBOURS);
                if turn % (2 * NEIGHBOURS) < neighbours {
                    handle.insert(neighbour, turn);
                } else {
                    handle.remove(&neighbour);
                }
                Ok(())
            };
            single_writer(20_000, write, || Ok(map.handle().get(&KEY)))
        });
    }
}

/// Entries that stay from before the first visit until after the last.
const STAYERS: u64 = 500;
const VISITS: u32 = 60;

/// One thread visits all entries again and again while others insert and remove. Each entry that
/// stays is visited exactly once each time, any other at most once.
pub fn for_each_sees_stayers<M: ConcurrentMap<u64, u64>>(examination: &mut Examination) {
    examination.begin("for_each_sees_stayers");
    examination.once(format!("{STAYERS} entries that stay"), || {
        let map = M::with_capacity(0);
        for key in 0..STAYERS {
            map.handle().insert(scatter(key), key);
        }
        let done = AtomicBool::new(false);
        let outcomes = together(3, |thread| {
            let _end = SetAtEnd(&done);
            if thread == 0 {
                return (0..VISITS).try_for_each(|_| check_visit(&map));
            }
            churn(&map, u64::from(thread), &done);
            Ok(())
        });
        outcomes.into_iter().collect()
    });
}

/// Fills and empties a range of keys of its own, so that the table moves under the visitor.
fn churn<M: ConcurrentMap<u64, u64>>(map: &M, thread: u64, done: &AtomicBool) {
    const RANGE: u64 = 2_000;
    let first = STAYERS + thread * RANGE;
    // Acquire: pairs with the Release store of `SetAtEnd`.
    while !done.load(Ordering::Acquire) {
        let handle = map.handle();
        for key in first..first + RANGE {
            handle.insert(scatter(key), key);
        }
        for key in first..first + RANGE {
            handle.remove(&scatter(key));
        }
    }
}

fn check_visit<M: ConcurrentMap<u64, u64>>(map: &M) -> Result<(), Mismatch> {
    let mut visits: HashMap<u64, u32> = HashMap::new();
    map.handle().for_each(|_key, &number| *visits.entry(number).or_default() += 1);
    if let Some((number, count)) = visits.iter().find(|&(_, &count)| count > 1) {
        let expected = format!("entry {number} to be visited at most once");
        return Err(Mismatch::new(expected, format!("{count} times")));
    }
    let missed: Vec<u64> = (0..STAYERS).filter(|number| !visits.contains_key(number)).collect();
    if missed.is_empty() {
        return Ok(());
    }
    let expected = format!("{STAYERS} entries that stay to be visited");
    Err(Mismatch::new(expected, format!("a visit without {missed:?}")))
}
