//! Operations against growth and shrinking under many schedules.
//!
//! ```text
//! RUSTFLAGS="--cfg shuttle" cargo test -p hashmap --target-dir target/shuttle schedules
//! ```

use harness::check::schedule::explore;
use harness::sync::{Arc, thread};

use super::model::{Kind, Terrible};
use super::*;

type Map = WordMap<u64, u64, Terrible>;

/// Nine keys in the smallest table, whose hashes differ.
fn map() -> Arc<Map> {
    let map = Map::with_hasher(Terrible(Kind::HighBits));
    (1..10).for_each(|key| assert_eq!(map.insert(key * 16, key), None));
    Arc::new(map)
}

/// Runs `first` against `second`, each in a thread, while a third resizes.
fn against_resize(
    name: &str,
    first: impl Fn(&WordMapRef<'_, u64, u64, Terrible>) + Send + Sync + Copy + 'static,
    second: impl Fn(&WordMapRef<'_, u64, u64, Terrible>) + Send + Sync + Copy + 'static,
) {
    explore(&format!("word_map::tests::schedules::{name}"), move || {
        let map = map();
        let spawn = |work: Box<dyn Fn(&WordMapRef<'_, u64, u64, Terrible>) + Send>| {
            let map = Arc::clone(&map);
            thread::spawn(move || work(&map.pin()))
        };
        let threads = [
            spawn(Box::new(first)),
            spawn(Box::new(second)),
            spawn(Box::new(|map| {
                map.reserve(50);
                map.shrink_to_fit();
            })),
        ];
        for thread in threads {
            thread.join().expect("no operation panics");
        }
        for key in (1..10).filter(|&key| key != 3) {
            assert_eq!(map.get(key * 16), Some(key), "a key that nobody touched");
        }
        assert_eq!(map.iter().count(), map.len());
    });
}

#[test]
fn one_removal_wins() {
    against_resize(
        "one_removal_wins",
        |map| {
            map.remove(48);
            assert_eq!(map.get(48), None);
        },
        |map| {
            if map.remove(48).is_none() {
                assert_eq!(map.get(48), None);
            }
        },
    );
}

#[test]
fn an_update_is_not_lost() {
    against_resize(
        "an_update_is_not_lost",
        |map| {
            map.update(48, |value| value + 100);
            assert!(map.get(48).is_some_and(|value| value % 1_000 >= 103));
        },
        |map| {
            map.update(48, |value| value + 1_000);
            assert!(map.get(48).is_some_and(|value| value >= 1_003));
        },
    );
}

#[test]
fn a_reader_sees_what_stays() {
    against_resize(
        "a_reader_sees_what_stays",
        |map| {
            let mut keys = Vec::new();
            map.for_each(|key, _value| keys.push(key));
            keys.sort_unstable();
            keys.retain(|&key| key != 48 && key != 7);
            assert_eq!(keys, [16, 32, 64, 80, 96, 112, 128, 144]);
        },
        |map| {
            map.remove(48);
            map.insert(7, 7);
            map.insert(48, 5);
            assert_eq!(map.remove(7), Some(7));
        },
    );
}
