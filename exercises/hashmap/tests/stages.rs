//! What judges each stage.
//!
//! `cargo study check` runs the module of a stage, and then the same module once more under
//! shuttle, which switches threads at every access to an atomic or a lock: what a stress test finds
//! in one run of three, it finds in a few schedules.

/// Properties of the suite that judges every map of this repository.
#[cfg(not(shuttle))]
use harness::suite_properties;

#[cfg(not(shuttle))]
mod stage_1 {
    use exercise_hashmap::Judged;
    use exercise_hashmap::exercise::OneLock;

    super::suite_properties!(map, Judged<OneLock>: matches_model, grows_and_shrinks, own_keys);
}

mod stage_2 {
    #[cfg(not(shuttle))]
    mod suite {
        use exercise_hashmap::Judged;
        use exercise_hashmap::exercise::Sharded;

        super::super::suite_properties!(map, Judged<Sharded>:
            matches_model, grows_and_shrinks, own_keys, insert_swaps, remove_wins_once,
            update_is_atomic, reads_are_fresh, for_each_sees_stayers,
        );
    }

    #[test]
    fn one_of_two_inserts_is_first() {
        super::schedules::one_of_two_inserts_is_first::<exercise_hashmap::exercise::Sharded>(
            "stage_2::one_of_two_inserts_is_first",
        );
    }
}

#[cfg(not(shuttle))]
mod stage_3 {
    use std::collections::BTreeMap;

    use exercise_hashmap::exercise::Probing;
    use harness::check::replay::with_seeds;
    use harness::rng::SplitMix64;

    /// Requests that come and go in a small table, against a map of the standard library.
    fn walk(seed: u64, keys: u64) {
        let mut rng = SplitMix64::new(seed);
        let (mut table, mut model) = (Probing::new(), BTreeMap::new());
        for step in 0..600 {
            let key = rng.below(keys);
            let (found, expected) = match rng.below(5) {
                0 | 1 => (table.insert(key, step), model.insert(key, step)),
                2 => (table.remove(key), model.remove(&key)),
                _ => (table.get(key), model.get(&key).copied()),
            };
            assert_eq!(found, expected, "step {step}, key {key}: yours, then the model's");
        }
        let mut entries = table.entries();
        entries.sort_unstable();
        assert_eq!(entries, model.into_iter().collect::<Vec<_>>(), "what is left");
    }

    #[test]
    fn matches_model() {
        with_seeds("stage_3::matches_model", 300, |seed| walk(seed, 24));
    }

    #[test]
    fn grows() {
        with_seeds("stage_3::grows", 50, |seed| walk(seed, 1_000));
    }

    /// A key behind a removed one is still found, and a table in which keys come and go for ever
    /// stays small.
    #[test]
    fn removed_places_are_neither_ends_nor_leaks() {
        let mut table = Probing::new();
        for key in 0..200_000 {
            assert_eq!(table.insert(key, key), None);
            if key >= 3 {
                assert_eq!(table.get(key - 2), Some(key - 2), "its neighbour was removed");
                assert_eq!(table.remove(key - 3), Some(key - 3));
            }
        }
        assert_eq!(table.entries().len(), 3);
    }
}

mod stage_4 {
    use exercise_hashmap::exercise::Published;

    #[cfg(not(shuttle))]
    mod suite {
        use exercise_hashmap::Judged;

        super::super::suite_properties!(map, Judged<super::Published>:
            own_keys, insert_swaps, remove_wins_once, reads_are_fresh,
        );
    }

    #[test]
    fn nothing_is_found_under_a_wrong_key() {
        super::schedules::nothing_is_found_under_a_wrong_key::<Published>(
            "stage_4::nothing_is_found_under_a_wrong_key",
        );
    }

    #[test]
    fn what_was_seen_stays_seen() {
        super::schedules::what_was_seen_stays_seen::<Published>(
            "stage_4::what_was_seen_stays_seen",
        );
    }
}

mod stage_5 {
    use exercise_hashmap::exercise::Claimed;

    #[cfg(not(shuttle))]
    mod suite {
        use exercise_hashmap::Judged;

        super::super::suite_properties!(map, Judged<super::Claimed>:
            own_keys, insert_swaps, remove_wins_once, update_is_atomic, reads_are_fresh,
            for_each_sees_stayers,
        );
    }

    #[test]
    fn one_of_two_inserts_is_first() {
        super::schedules::one_of_two_inserts_is_first::<Claimed>(
            "stage_5::one_of_two_inserts_is_first",
        );
    }

    #[test]
    fn two_keys_do_not_get_one_place() {
        super::schedules::two_keys_do_not_get_one_place::<Claimed>(
            "stage_5::two_keys_do_not_get_one_place",
        );
    }
}

mod stage_6 {
    use exercise_hashmap::exercise::EpochMap;

    #[cfg(not(shuttle))]
    mod suite {
        use exercise_hashmap::Judged;
        use harness::check::suite::map::Tracked;

        type Judge = Judged<super::EpochMap<u64>>;
        type Counted = Judged<super::EpochMap<Tracked>, Tracked>;

        super::super::suite_properties!(map, Judge: own_keys, insert_swaps, remove_wins_once);
        super::super::suite_properties!(map, Counted: drops_every_value);
    }

    #[test]
    fn what_is_read_was_not_freed() {
        super::schedules::what_is_read_was_not_freed::<EpochMap<super::schedules::Canary>>(
            "stage_6::what_is_read_was_not_freed",
        );
    }

    #[test]
    fn one_of_two_inserts_is_first() {
        super::schedules::one_of_two_inserts_is_first::<EpochMap<u64>>(
            "stage_6::one_of_two_inserts_is_first",
        );
    }
}

mod stage_7 {
    use exercise_hashmap::exercise::EpochMap;

    #[cfg(not(shuttle))]
    mod suite {
        use exercise_hashmap::Judged;

        super::super::suite_properties!(map, Judged<super::EpochMap<u64>>:
            matches_model, grows_and_shrinks, own_keys, reads_are_fresh,
        );
    }

    #[test]
    fn growth_loses_nothing() {
        super::schedules::growth_loses_nothing::<EpochMap<u64>>("stage_7::growth_loses_nothing");
    }
}

mod stage_8 {
    use exercise_hashmap::exercise::EpochMap;

    #[cfg(not(shuttle))]
    mod suite {
        use exercise_hashmap::Judged;
        use harness::check::suite::map::Tracked;

        harness::map_suite!(
            all,
            Judged<exercise_hashmap::exercise::EpochMap<u64>>,
            tracked = Judged<exercise_hashmap::exercise::EpochMap<Tracked>, Tracked>
        );
    }

    #[test]
    fn no_update_is_lost() {
        super::schedules::no_update_is_lost::<EpochMap<u64>>("stage_8::no_update_is_lost");
    }
}

/// What you call yours: everything, before it is measured.
mod yours {
    use exercise_hashmap::exercise::Yours;

    #[cfg(not(shuttle))]
    mod suite {
        use exercise_hashmap::Judged;

        harness::map_suite!(all, Judged<exercise_hashmap::exercise::Yours>);
    }

    #[test]
    fn one_of_two_inserts_is_first() {
        super::schedules::one_of_two_inserts_is_first::<Yours>(
            "yours::one_of_two_inserts_is_first",
        );
    }

    #[test]
    fn no_update_is_lost() {
        super::schedules::no_update_is_lost::<Yours>("yours::no_update_is_lost");
    }

    #[test]
    fn nothing_is_found_under_a_wrong_key() {
        super::schedules::nothing_is_found_under_a_wrong_key::<Yours>(
            "yours::nothing_is_found_under_a_wrong_key",
        );
    }
}

/// Few operations, under many schedules. In a plain build the machine chooses them.
mod schedules {
    use exercise_hashmap::Map;
    use harness::check::schedule::explore;
    use harness::sync::atomic::{AtomicU64, Ordering};
    use harness::sync::{Arc, thread};

    /// What one thread does.
    type Job<M> = Box<dyn FnOnce(&M) + Send>;

    /// Runs all jobs at once, each in a thread.
    fn together<M: Send + Sync + 'static>(map: &Arc<M>, jobs: Vec<Job<M>>) {
        let spawn = |job: Job<M>| {
            let map = Arc::clone(map);
            thread::spawn(move || job(&map))
        };
        let threads: Vec<_> = jobs.into_iter().map(spawn).collect();
        for thread in threads {
            thread.join().expect("no thread panics");
        }
    }

    pub(crate) fn one_of_two_inserts_is_first<M: Map + 'static>(name: &str) {
        explore(name, || {
            let map = Arc::new(M::new());
            let first = Arc::new(AtomicU64::new(0));
            let insert = |value: u64| -> Job<M> {
                let first = Arc::clone(&first);
                Box::new(move |map| {
                    let was_first = u64::from(map.insert(7, value).is_none());
                    // Relaxed: read after the threads have ended.
                    first.fetch_add(was_first, Ordering::Relaxed);
                })
            };
            together(&map, vec![insert(1), insert(2)]);
            // Relaxed: as above.
            let first = first.load(Ordering::Relaxed);
            assert_eq!(first, 1, "of two threads that insert a key, {first} were the first");
            assert!(map.get(7).is_some_and(|value| value == 1 || value == 2));
        });
    }

    /// Keys that are tried one after the other. Where they lie is for your hash to say: of so many
    /// some meet.
    const KEYS: std::ops::Range<u64> = 10..74;

    pub(crate) fn two_keys_do_not_get_one_place<M: Map + 'static>(name: &str) {
        for other in KEYS {
            explore(name, move || {
                let map = Arc::new(M::new());
                let insert = |key: u64| -> Job<M> {
                    Box::new(move |map| {
                        assert_eq!(map.insert(key, key * 10), None, "key {key} was new");
                        assert_eq!(map.get(key), Some(key * 10), "key {key} was just inserted");
                    })
                };
                together(&map, vec![insert(3), insert(other)]);
                assert_eq!(map.get(3), Some(30), "key 3 is lost to key {other}");
                assert_eq!(map.get(other), Some(other * 10), "key {other} is lost to key 3");
            });
        }
    }

    pub(crate) fn nothing_is_found_under_a_wrong_key<M: Map + 'static>(name: &str) {
        for other in KEYS {
            explore(name, move || {
                let map = Arc::new(M::new());
                map.insert(3, 30);
                let writer: Job<M> = Box::new(move |map| {
                    assert_eq!(map.remove(3), Some(30));
                    assert_eq!(map.insert(other, other * 10), None);
                });
                let reader: Job<M> = Box::new(|map| {
                    let found = map.get(3);
                    assert!(matches!(found, None | Some(30)), "key 3 never had {found:?}");
                });
                together(&map, vec![writer, reader]);
                assert_eq!((map.get(3), map.get(other)), (None, Some(other * 10)));
            });
        }
    }

    pub(crate) fn what_was_seen_stays_seen<M: Map + 'static>(name: &str) {
        explore(name, || {
            let map = Arc::new(M::new());
            let writer: Job<M> = Box::new(|map| {
                map.insert(3, 30);
            });
            let reader: Job<M> = Box::new(|map| {
                let (first, second) = (map.get(3), map.get(3));
                assert!(matches!(first, None | Some(30)), "key 3 never had {first:?}");
                assert!(first.is_none() || second == Some(30), "{first:?}, then {second:?}");
            });
            together(&map, vec![writer, reader]);
        });
    }

    /// A value that knows whether it was dropped.
    #[derive(Debug)]
    pub(crate) struct Canary(AtomicU64);

    const ALIVE: u64 = 0xA11E_A11E_A11E_A11E;

    impl Canary {
        fn new() -> Self {
            Self(AtomicU64::new(ALIVE))
        }

        fn assert_alive(&self) {
            // Relaxed: a stale answer would be the right one.
            assert_eq!(self.0.load(Ordering::Relaxed), ALIVE, "a reader looks at a freed value");
        }
    }

    impl Clone for Canary {
        fn clone(&self) -> Self {
            self.assert_alive();
            thread::yield_now();
            self.assert_alive();
            Self::new()
        }
    }

    impl Drop for Canary {
        fn drop(&mut self) {
            // Relaxed: as in `assert_alive`.
            self.0.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn what_is_read_was_not_freed<M: Map<Canary> + 'static>(name: &str) {
        explore(name, || {
            let map = Arc::new(M::new());
            map.insert(1, Canary::new());
            let writer: Job<M> = Box::new(|map| {
                map.insert(1, Canary::new());
                map.remove(1);
            });
            let reader: Job<M> = Box::new(|map| {
                if let Some(found) = map.get(1) {
                    found.assert_alive();
                }
            });
            together(&map, vec![writer, reader]);
        });
    }

    pub(crate) fn growth_loses_nothing<M: Map + 'static>(name: &str) {
        explore(name, || {
            let map = Arc::new(M::new());
            for key in 0..3 {
                map.insert(key, key);
            }
            let insert = |from: u64| -> Job<M> {
                Box::new(move |map| {
                    for key in from..from + 3 {
                        assert_eq!(map.insert(key, key), None, "key {key} was new");
                        assert_eq!(map.get(key), Some(key), "key {key} was just inserted");
                    }
                    assert_eq!(map.remove(from), Some(from), "key {from} was there");
                })
            };
            together(&map, vec![insert(10), insert(20)]);
            let left = [0, 1, 2, 11, 12, 21, 22];
            assert!(left.iter().all(|&key| map.get(key) == Some(key)), "an entry is lost");
            assert!(map.get(10).is_none() && map.get(20).is_none(), "a removed entry came back");
        });
    }

    pub(crate) fn no_update_is_lost<M: Map + 'static>(name: &str) {
        explore(name, || {
            let map = Arc::new(M::new());
            map.insert(1, 0);
            let add = |term: u64| -> Job<M> {
                Box::new(move |map| {
                    assert!(map.update(1, |value| value + term).is_some());
                })
            };
            together(&map, vec![add(1), add(10), add(100)]);
            assert_eq!(map.get(1), Some(111), "an update is lost");
        });
    }
}
