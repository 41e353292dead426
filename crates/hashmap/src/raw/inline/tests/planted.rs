//! Mistakes, each of which somebody must notice.

use crate::raw::hook::{Bug, plant};
#[cfg(not(any(loom, shuttle)))]
use crate::raw::hook::{STRIDES, with_stride};

/// Those that one thread notices.
#[cfg(not(any(loom, shuttle)))]
#[test]
fn mistakes_of_one_thread_are_found() {
    let goes_wrong = |bug| {
        let outcome = std::panic::catch_unwind(|| {
            plant(bug);
            let map: crate::WordMap<u64, u64> = crate::WordMap::new();
            for key in 0..2_000 {
                assert_eq!(map.insert(key, key), None);
            }
            assert!((0..2_000).all(|key| map.get(key) == Some(key)), "an entry is lost");
        });
        plant(None);
        outcome.is_err()
    };
    for stride in STRIDES {
        with_stride(stride, || {
            assert!(!goes_wrong(None), "with a stride of {stride}");
            assert!(goes_wrong(Some(Bug::ForgetsAnnex)), "with a stride of {stride}");
        });
    }
}

/// Those that take a schedule, or a weak ordering.
#[cfg(any(loom, shuttle))]
mod of_schedules {
    use harness::check::schedule::find_failure;

    use super::super::kernels::{
        block_slot_used_again, entry_seen_whole, slot_used_again, two_additions,
    };
    use super::*;

    /// Tries in which shuttle must find a mistake; loom tries all.
    const TRIES: u64 = 20_000;

    /// The explorers run all threads of a schedule on the thread that explores, so the mistake is
    /// in each.
    fn is_found(bug: Bug, test: fn()) -> bool {
        let failure = find_failure(TRIES, move || {
            plant(Some(bug));
            test();
        });
        plant(None);
        failure.is_some()
    }

    #[test]
    fn kept_version_is_found_by_schedule() {
        assert!(is_found(Bug::KeepsVersion, slot_used_again));
    }

    #[test]
    fn kept_version_of_a_block_is_found_by_schedule() {
        assert!(is_found(Bug::KeepsVersion, block_slot_used_again));
    }

    #[test]
    fn trusted_first_read_is_found_by_schedule() {
        assert!(is_found(Bug::TrustsFirstRead, slot_used_again));
    }

    #[test]
    fn early_tag_is_found_by_schedule() {
        assert!(is_found(Bug::TagsEarly, entry_seen_whole));
    }

    #[test]
    fn blind_overwrite_is_found_by_schedule() {
        assert!(is_found(Bug::OverwritesBlindly, two_additions));
    }

    /// Mistakes that only a weak memory shows.
    #[cfg(loom)]
    mod of_orderings {
        use super::*;

        #[test]
        fn relaxed_tag_is_found_by_schedule() {
            assert!(is_found(Bug::TagsRelaxed, entry_seen_whole));
        }

        #[test]
        fn lock_without_fence_is_found_by_schedule() {
            assert!(is_found(Bug::LocksWithoutFence, slot_used_again));
        }
    }

    /// Mistakes in moving, which takes a whole map.
    #[cfg(shuttle)]
    mod of_moves {
        use harness::sync::{Arc, thread};

        use super::*;
        use crate::WordMap;

        /// Entries are read and written while they move to another table and back.
        fn moving() {
            let map: WordMap<u64, u64> = WordMap::new();
            (0..8).for_each(|key| assert_eq!(map.insert(key, key), None));
            let map = Arc::new(map);
            let mover = {
                let map = Arc::clone(&map);
                thread::spawn(move || {
                    map.reserve(50);
                    map.shrink_to_fit();
                })
            };
            for turn in 1..4 {
                for key in 0..4 {
                    assert_eq!(map.insert(key, key + turn), Some(key + turn - 1), "key {key}");
                }
                assert!((4..8).all(|key| map.get(key) == Some(key)), "an entry is lost");
            }
            mover.join().expect("no thread panics");
            assert_eq!(map.iter().count(), 8);
        }

        #[test]
        fn moving_loses_nothing_in_any_schedule() {
            harness::check::schedule::explore(
                "of_moves::moving_loses_nothing_in_any_schedule",
                moving,
            );
        }

        #[test]
        fn unlocked_move_is_found_by_schedule() {
            assert!(is_found(Bug::MovesUnlocked, moving));
        }

        #[test]
        fn early_move_is_found_by_schedule() {
            assert!(is_found(Bug::MovesEarly, moving));
        }
    }
}
