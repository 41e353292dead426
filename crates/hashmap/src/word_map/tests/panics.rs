//! Foreign code that panics: hashers and closures. The map is then what it was before the call, or
//! what the call makes of it, and goes on.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use harness::rng::SplitMix64;

use super::*;

thread_local! {
    /// Calls of foreign code until one panics; `None` for never.
    static FUSE: Cell<Option<u64>> = const { Cell::new(None) };
}

/// Foreign code comes by here.
fn burn() {
    if let Some(left) = FUSE.get() {
        FUSE.set(left.checked_sub(1));
        assert!(left > 0, "the fuse has burnt down");
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Fragile;

struct FragileHasher(u64);

impl BuildHasher for Fragile {
    type Hasher = FragileHasher;

    fn build_hasher(&self) -> FragileHasher {
        FragileHasher(0)
    }
}

impl Hasher for FragileHasher {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("a map of words hashes words")
    }

    fn write_u64(&mut self, word: u64) {
        burn();
        self.0 = harness::workload::scatter(word);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One operation on the map; whether it returned.
fn step(map: &WordMapRef<'_, u64, u64, Fragile>, key: u64, dice: u64) -> bool {
    let outcome = catch_unwind(AssertUnwindSafe(|| match dice {
        0..6 => {
            map.insert(key, dice);
        }
        6 => {
            map.remove(key);
        }
        7 => {
            map.update(key, |value| {
                burn();
                value + 1
            });
        }
        8 => {
            map.compute(key, |value| {
                burn();
                value.map_or(Some(9), |_| None)
            });
        }
        9 => {
            map.get_or_insert_with(key, || {
                burn();
                10
            });
        }
        10 => map.reserve(20),
        _ => map.shrink_to_fit(),
    }));
    outcome.is_ok()
}

#[test]
fn foreign_code_may_panic_anywhere() {
    let mut panics = 0;
    for seed in 0..60 {
        let map = WordMap::with_hasher(Fragile);
        let handle = map.pin();
        let mut rng = SplitMix64::new(seed);
        // What each key had after the last operation on it, which may have panicked before it was
        // done, or behind that, when it helped to move entries.
        let mut known: HashMap<u64, Option<u64>> = HashMap::new();
        for _ in 0..300 {
            let (key, dice) = (rng.below(60), rng.below(12));
            let before = handle.get(key);
            FUSE.set((rng.below(3) == 0).then(|| rng.below(12)));
            let returned = step(&handle, key, dice);
            FUSE.set(None);
            panics += u64::from(!returned);
            let now = handle.get(key);
            match dice {
                0..6 if returned => assert_eq!(now, Some(dice), "seed {seed}: inserted"),
                6 if returned => assert_eq!(now, None, "seed {seed}: removed"),
                0..6 => assert!(now == before || now == Some(dice), "seed {seed}: {now:?}"),
                10.. => assert_eq!(now, before, "seed {seed}: resizing changes no entry"),
                _ => {}
            }
            known.insert(key, now);
        }
        for (key, value) in known {
            assert_eq!(handle.get(key), value, "seed {seed}: key {key} changed by itself");
        }
        assert_eq!(map.iter().count(), map.len(), "seed {seed}: what is counted is there");
        map.clear();
        assert!(map.is_empty());
    }
    assert!(panics > 500, "{panics} panics");
}

#[test]
fn a_visitor_may_panic() {
    let map: WordMap<u64, u64> = (0..1_000).map(|key| (key, key)).collect();
    let handle = map.pin();
    let visits = Cell::new(0);
    let panic_soon = || {
        visits.set(visits.get() + 1);
        assert!(visits.get() < 300, "enough");
    };
    assert!(catch_unwind(AssertUnwindSafe(|| handle.for_each(|_, _| panic_soon()))).is_err());
    visits.set(0);
    let retain = || {
        handle.retain(|key, _| {
            panic_soon();
            key % 2 == 0
        });
    };
    assert!(catch_unwind(AssertUnwindSafe(retain)).is_err());
    assert_eq!(map.iter().count(), map.len());
    assert!(map.len() < 1_000 && map.len() > 500, "{}", map.len());
    assert!((0..1_000).step_by(2).all(|key| map.get(key) == Some(key)));
}
