//! Few operations under many schedules; with `--cfg shuttle` a thread may be switched at each
//! access.
//!
//! Then each planted bug must be found by the test that is about it.

use std::collections::BTreeMap;

use harness::check::schedule::explore;
use harness::sync::atomic::{AtomicU64, Ordering};
use harness::sync::{Arc, thread};

use super::{Keeps, TestMap};

/// What one thread does.
type Job = Box<dyn FnOnce(&TestMap) + Send>;

/// Runs all of `jobs` at once on one map.
fn together(map: TestMap, jobs: Vec<Job>) -> Arc<TestMap> {
    let map = Arc::new(map);
    let threads: Vec<_> = jobs
        .into_iter()
        .map(|job| {
            let map = Arc::clone(&map);
            thread::spawn(move || job(&map))
        })
        .collect();
    for thread in threads {
        thread.join().expect("no job panics");
    }
    map
}

/// The entries, each of which must be there once and be found.
fn entries(map: &TestMap) -> BTreeMap<u64, u64> {
    let pinned = map.pin();
    let mut entries = BTreeMap::new();
    for (&key, &value) in &pinned {
        assert_eq!(entries.insert(key, value), None, "key {key} is there twice");
        assert_eq!(pinned.get(&key), Some(&value), "what is walked over is found");
    }
    entries
}

/// Two threads insert one key, remove it and insert it again.
fn one_key() {
    let job = |value: u64| -> Job {
        Box::new(move |map| {
            let pinned = map.pin();
            pinned.insert(1, value);
            pinned.remove(&1);
            pinned.insert(1, value + 1);
        })
    };
    let map = together(TestMap::with_hasher(Keeps::None), vec![job(10), job(20)]);
    let left = entries(&map);
    assert!(left.len() == 1 && (left[&1] == 11 || left[&1] == 21), "{left:?}");
    assert_eq!(map.len(), 1);
}

/// Keys of one bin come and go; each thread owns some and must find them.
fn neighbours() {
    let job = |mine: u64| -> Job {
        Box::new(move |map| {
            let pinned = map.pin();
            for turn in 0..2 {
                assert_eq!(pinned.insert(mine, turn), None);
                assert_eq!(pinned.get(&mine), Some(&turn), "what was inserted is there");
                assert_eq!(pinned.remove(&mine), Some(&turn));
                assert_eq!(pinned.get(&mine), None, "what was removed is gone");
            }
        })
    };
    let map = together(TestMap::with_hasher(Keeps::None), vec![job(1), job(2), job(3)]);
    assert_eq!(entries(&map), BTreeMap::new());
}

/// A bin moves while its entries are written.
fn moving() {
    let map = TestMap::with_hasher(Keeps::All);
    (0..5).for_each(|key| {
        map.insert(key, 0);
    });
    let grower: Job = Box::new(|map| map.pin().reserve(20).expect("memory for a few bins"));
    let writer = |mine: u64| -> Job {
        Box::new(move |map| {
            let pinned = map.pin();
            for turn in 1..3 {
                assert_eq!(pinned.insert(mine, turn), Some(&(turn - 1)), "no update is lost");
                assert_eq!(pinned.get(&mine), Some(&turn), "no read is stale");
            }
            assert_eq!(pinned.remove(&(mine + 2)), Some(&0));
            assert_eq!(pinned.get(&(mine + 2)), None, "what was removed does not come back");
            assert_eq!(pinned.insert(mine + 10, 7), None);
        })
    };
    let map = together(map, vec![grower, writer(0), writer(1)]);
    let expected = [(0, 2), (1, 2), (4, 0), (10, 7), (11, 7)];
    assert_eq!(entries(&map), BTreeMap::from(expected));
}

/// Two bins become one while their entries are written.
fn shrinking() {
    let map = TestMap::with_hasher(Keeps::All);
    map.pin().reserve(20).expect("memory for a few bins");
    (0..4).for_each(|key| {
        map.insert(key, 0);
    });
    let shrinker: Job = Box::new(|map| map.pin().shrink_to_fit().expect("memory for a bin"));
    let writer: Job = Box::new(|map| {
        let pinned = map.pin();
        assert_eq!(pinned.insert(0, 1), Some(&0));
        assert_eq!(pinned.remove(&1), Some(&0));
        assert_eq!(pinned.get(&1), None, "what was removed does not come back");
        assert_eq!(pinned.update(&2, |value| value + 5), Some(&5));
        assert_eq!(pinned.keys().filter(|&&key| key != 1).count(), 3);
    });
    let map = together(map, vec![shrinker, writer]);
    assert_eq!(entries(&map), BTreeMap::from([(0, 1), (2, 5), (3, 0)]));
}

/// A value that knows whether it was dropped.
struct Canary(AtomicU64);

const ALIVE: u64 = 0xA11E_A11E_A11E_A11E;

impl Drop for Canary {
    fn drop(&mut self) {
        // Relaxed: a stale answer would be the right one.
        self.0.store(0, Ordering::Relaxed);
    }
}

/// What a reader holds lives, whoever removes or replaces it meanwhile.
fn holding() {
    let map = Arc::new(TestMap::<Canary>::with_hasher(Keeps::None));
    map.insert(1, Canary(AtomicU64::new(ALIVE)));
    let remover = {
        let map = Arc::clone(&map);
        thread::spawn(move || {
            let pinned = map.pin();
            pinned.insert(1, Canary(AtomicU64::new(ALIVE)));
            pinned.remove(&1);
        })
    };
    let pinned = map.pin();
    if let Some(held) = pinned.get(&1) {
        for _ in 0..3 {
            // Relaxed: as in `drop`.
            assert_eq!(held.0.load(Ordering::Relaxed), ALIVE, "what is held was dropped");
            thread::yield_now();
        }
    }
    remover.join().expect("no thread panics");
}

#[test]
fn what_is_held_lives() {
    explore("raw::boxed::tests::schedules::what_is_held_lives", holding);
}

#[test]
fn one_key_stays_one() {
    explore("raw::boxed::tests::schedules::one_key_stays_one", one_key);
}

#[test]
fn neighbours_keep_apart() {
    explore("raw::boxed::tests::schedules::neighbours_keep_apart", neighbours);
}

#[test]
fn moving_loses_nothing() {
    explore("raw::boxed::tests::schedules::moving_loses_nothing", moving);
}

#[test]
fn shrinking_loses_nothing() {
    explore("raw::boxed::tests::schedules::shrinking_loses_nothing", shrinking);
}

/// Mistakes that need a schedule.
#[cfg(shuttle)]
mod planted {
    use harness::check::schedule::find_failure;

    use super::*;
    use crate::raw::hook::{Bug, plant};

    /// Tries in which a mistake must be found.
    const TRIES: u64 = 3_000;

    /// Tries for one that needs a rare order of two threads.
    const TRIES_FOR_A_RARE_ONE: u64 = 100_000;

    /// Shuttle runs all threads of a schedule on the thread that explores, so the bug is in each.
    fn is_found(bug: Bug, tries: u64, test: fn()) -> bool {
        let failure = find_failure(tries, move || {
            plant(Some(bug));
            test();
        });
        plant(None);
        failure.is_some()
    }

    #[test]
    fn skipped_promotion_is_found() {
        assert!(is_found(Bug::SkipsPromotion, TRIES, one_key));
    }

    #[test]
    fn blind_commit_is_found() {
        assert!(is_found(Bug::CommitsBlindly, TRIES, one_key));
    }

    #[test]
    fn named_slot_offered_again_is_found() {
        assert!(is_found(Bug::OffersNamedSlot, TRIES_FOR_A_RARE_ONE, one_key));
    }

    #[test]
    fn forgotten_stamp_is_found() {
        assert!(is_found(Bug::ForgetsStamp, TRIES, moving));
    }

    #[test]
    fn skipped_freeze_is_found() {
        assert!(is_found(Bug::SkipsFreeze, TRIES, moving));
    }

    #[test]
    fn early_finish_is_found() {
        assert!(is_found(Bug::FinishesEarly, TRIES, moving));
    }

    #[test]
    fn early_retirement_is_found() {
        assert!(is_found(Bug::FreesEarly, TRIES, holding));
    }

    #[test]
    fn ignored_move_is_found() {
        assert!(is_found(Bug::IgnoresMoved, TRIES, moving));
    }
}
