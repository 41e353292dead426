//! What becomes of keys and values: dropped once each, whatever happens, and whoever panics.

use std::cell::Cell;
use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, AtomicU64, Ordering};
use std::thread;

use harness::rng::SplitMix64;

use super::Keeps;
use crate::guard::Operation;
use crate::{HashMap, pin};

thread_local! {
    /// Calls of user code until one panics; `None` for never.
    static FUSE: Cell<Option<u32>> = const { Cell::new(None) };
}

/// User code comes by here.
fn burn(what: &str) {
    if let Some(left) = FUSE.get() {
        FUSE.set(left.checked_sub(1));
        assert!(left > 0, "the fuse has burnt down in {what}");
    }
}

/// Counts itself, and panics in whatever is asked of it when the fuse says so.
#[derive(Debug)]
struct Fragile {
    number: u64,
    alive: Arc<AtomicIsize>,
}

impl Fragile {
    fn new(number: u64, alive: &Arc<AtomicIsize>) -> Self {
        // Relaxed, here and below: read after all threads were joined.
        alive.fetch_add(1, Ordering::Relaxed);
        Self { number, alive: Arc::clone(alive) }
    }
}

impl Clone for Fragile {
    fn clone(&self) -> Self {
        burn("clone");
        Self::new(self.number, &self.alive)
    }
}

impl PartialEq for Fragile {
    fn eq(&self, other: &Self) -> bool {
        burn("eq");
        self.number == other.number
    }
}

impl Eq for Fragile {}

impl Hash for Fragile {
    fn hash<H: Hasher>(&self, state: &mut H) {
        burn("hash");
        state.write_u64(self.number);
    }
}

impl Drop for Fragile {
    fn drop(&mut self) {
        let before = self.alive.fetch_sub(1, Ordering::Relaxed);
        assert!(before > 0, "dropped twice");
    }
}

type FragileMap = HashMap<Fragile, Fragile, Keeps>;

/// Lets the collector work until `alive` is `expected`.
fn settle(alive: &AtomicIsize, expected: isize) {
    for _ in 0..1_000_000 {
        if alive.load(Ordering::Relaxed) == expected {
            return;
        }
        pin::collect();
        thread::yield_now();
    }
    assert_eq!(alive.load(Ordering::Relaxed), expected, "keys and values alive");
}

/// One operation of a kind; any of them may panic.
fn operate(map: &FragileMap, kind: u64, number: u64, alive: &Arc<AtomicIsize>) {
    let pinned = map.pin();
    let key = Fragile::new(number, alive);
    let value = || Fragile::new(number, alive);
    let closure = |_: &Fragile| {
        burn("closure");
        value()
    };
    match kind % 8 {
        0 | 1 => drop(pinned.insert(key, value()).is_some()),
        2 => drop(pinned.try_insert(key, value())),
        3 => drop(pinned.remove(&key).is_some()),
        4 => drop(pinned.update(&key, closure).is_some()),
        5 => drop(pinned.remove_if(&key, |_, it| it.number.is_multiple_of(2)).is_ok()),
        6 => drop(pinned.compare_exchange(&key, &value(), value())),
        _ => {
            pinned.compute(&key, |it| match it {
                None => Operation::Put(value()),
                Some(_) => Operation::Remove,
            });
        }
    }
}

#[test]
fn every_key_and_value_is_dropped_once() {
    let alive = Arc::new(AtomicIsize::new(0));
    let map = FragileMap::with_hasher(Keeps::All);
    thread::scope(|scope| {
        for seed in 0..4 {
            let (map, alive) = (&map, &alive);
            scope.spawn(move || {
                let mut rng = SplitMix64::new(seed);
                (0..20_000).for_each(|_| operate(map, rng.below(8), rng.below(300), alive));
            });
        }
    });
    let entries = isize::try_from(map.pin().iter().count()).unwrap();
    settle(&alive, entries * 2);
    drop(map);
    settle(&alive, 0);
}

/// Two threads do a few random operations on a map of their own, which grows from nothing, and meet
/// before each map: as many chances for two operations to fall into each other.
fn drops_are_accounted_for(schedules: u64) {
    /// Schedules between two looks at the account.
    const TOGETHER: usize = 500;
    const OPERATIONS: u64 = 6;
    const KEYS: u64 = 12;
    let alive = Arc::new(AtomicIsize::new(0));
    let arrived = [AtomicU64::new(0), AtomicU64::new(0)];
    for first in (1..=schedules).step_by(TOGETHER) {
        let hashers = [Keeps::All, Keeps::None].into_iter().cycle();
        let maps: Vec<_> = hashers.map(FragileMap::with_hasher).take(TOGETHER).collect();
        thread::scope(|scope| {
            for side in [0, 1] {
                let (maps, arrived, alive) = (&maps, &arrived, &alive);
                scope.spawn(move || {
                    for (schedule, map) in (first..).zip(maps) {
                        // Relaxed, both: only so that the two begin together.
                        arrived[side].store(schedule, Ordering::Relaxed);
                        while arrived[1 - side].load(Ordering::Relaxed) < schedule {
                            thread::yield_now();
                        }
                        let mut rng = SplitMix64::new(2 * schedule + side as u64);
                        (0..OPERATIONS)
                            .for_each(|_| operate(map, rng.below(8), rng.below(KEYS), alive));
                    }
                });
            }
        });
        let entries: usize = maps.iter().map(|map| map.pin().iter().count()).sum();
        settle(&alive, isize::try_from(entries).unwrap() * 2);
        drop(maps);
        settle(&alive, 0);
    }
}

#[test]
fn drops_are_accounted_for_under_random_schedules() {
    drops_are_accounted_for(10_000);
}

#[test]
#[ignore = "takes a minute; `cargo test -p hashmap million -- --ignored`"]
fn drops_are_accounted_for_under_a_million_schedules() {
    drops_are_accounted_for(1_000_000);
}

/// The n-th call of user code panics, for each n: nothing is lost, nothing is dropped twice, and
/// the map goes on.
#[test]
fn panics_of_user_code_leave_a_map_that_works() {
    for hasher in [Keeps::All, Keeps::None] {
        for fuse in 0..60 {
            let alive = Arc::new(AtomicIsize::new(0));
            let map = FragileMap::with_hasher(hasher);
            let mut rng = SplitMix64::new(u64::from(fuse));
            (0..20).for_each(|number| operate(&map, 0, number, &alive));
            FUSE.set(Some(fuse));
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                (0..40).for_each(|_| operate(&map, rng.below(8), rng.below(30), &alive));
            }));
            FUSE.set(None);
            assert!(outcome.is_err(), "user code is called more than {fuse} times");
            (0..200).for_each(|number| operate(&map, 0, number, &alive));
            let mut numbers: Vec<_> = map.pin().keys().map(|it| it.number).collect();
            numbers.sort_unstable();
            assert!(numbers.iter().copied().eq(0..200), "{numbers:?}");
            assert_eq!(map.len(), 200);
            settle(&alive, 400);
            drop(map);
            settle(&alive, 0);
        }
    }
}

/// A value whose destructor panics does not keep the others from being dropped.
#[test]
fn panics_of_destructors_stay_where_they_are() {
    struct Bomb(Arc<AtomicIsize>, bool);
    impl Drop for Bomb {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
            assert!(!self.1, "a destructor panics");
        }
    }
    // Few entries and many take different ways at the map's end.
    for some in [100, 1_000] {
        let alive = Arc::new(AtomicIsize::new(0));
        let bomb = |explodes| {
            alive.fetch_add(1, Ordering::Relaxed);
            Bomb(Arc::clone(&alive), explodes)
        };
        let map = HashMap::new();
        for key in 0..4 * some {
            map.insert(key, bomb(key % some == 7));
        }
        // By reclamation: caught there.
        (0..2 * some).for_each(|key| assert!(map.remove(&key)));
        settle(&alive, 2 * some);
        // By the map's end: goes on to whoever drops it, after all were dropped.
        (3 * some..4 * some).for_each(|key| assert!(map.remove(&key)));
        let outcome = catch_unwind(AssertUnwindSafe(|| drop(map)));
        assert!(outcome.is_err());
        settle(&alive, 0);
    }
}

/// Lets the collector work until nothing of the map is left to free.
fn freed(map: &HashMap<u64, u64>) {
    for _ in 0..1_000_000 {
        if map.garbage() == 0 {
            return;
        }
        map.collect();
        thread::yield_now();
    }
}

/// What a stalled reader keeps is counted, and freed when it goes on.
#[test]
fn stalled_reader_is_seen_in_the_gauge() {
    const OVERWRITES: u64 = 20_000;
    let map = HashMap::<u64, u64>::new();
    assert_eq!(map.garbage(), 0, "what earlier maps owe is not this one's");
    map.insert(1, 0);
    let stalled = map.pin();
    let value = stalled.get(&1).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let session = map.session();
            for turn in 1..=OVERWRITES {
                session.insert(1, turn);
            }
        });
    });
    assert_eq!(*value, 0, "what was read stays");
    let kept = map.garbage() as u64 / OVERWRITES;
    assert_eq!(kept, 24, "bytes for each overwrite: an entry, no more");
    drop(stalled);
    freed(&map);
    assert_eq!(map.garbage(), 0, "all is freed after the reader went on");
}

/// A forgotten pin would keep what every other test of this process unlinks, so this one forgets an
/// iterator.
#[test]
#[expect(clippy::mem_forget, reason = "it is what is tested")]
fn forgotten_handles_are_harmless() {
    let map: HashMap<u64, String> = (0..100).map(|key| (key, key.to_string())).collect();
    let pinned = map.pin();
    std::mem::forget(pinned.iter());
    assert_eq!(pinned.remove(&5).map(String::as_str), Some("5"));
    drop(pinned);
    assert_eq!(map.len(), 99);
}

/// Many short-lived threads: what they unlink is handed over when they end.
#[test]
fn churning_threads_leave_nothing_behind() {
    let alive = Arc::new(AtomicIsize::new(0));
    let map = Arc::new(FragileMap::with_hasher(Keeps::All));
    for round in 0..200 {
        let threads: Vec<_> = (0..2)
            .map(|side| {
                let (map, alive) = (Arc::clone(&map), Arc::clone(&alive));
                thread::spawn(move || {
                    (0..20).for_each(|turn| operate(&map, turn, round + side + turn % 5, &alive));
                })
            })
            .collect();
        for it in threads {
            it.join().unwrap();
        }
    }
    let entries = isize::try_from(map.len()).unwrap();
    settle(&alive, entries * 2);
}

/// Closures may use the map they are called by, and the very key.
#[test]
fn closures_may_use_the_map() {
    let map: HashMap<u64, u64> = HashMap::new();
    let pinned = map.pin();
    let mut calls = 0;
    pinned.compute(&1, |value| {
        calls += 1;
        if calls == 1 {
            pinned.insert(1, 40);
        }
        Operation::Put(value.map_or(0, |it| it + 2))
    });
    assert_eq!((calls, pinned.get(&1)), (2, Some(&42)));
    for (&key, _) in &pinned {
        (0..100).for_each(|it| {
            pinned.insert(key + it, it);
        });
        pinned.remove(&key);
    }
    let session = map.session();
    (0..200).for_each(|turn| {
        session.update(&1, |it| session.insert(turn + 1_000, 0).map_or(it + 1, |_| 0));
    });
}

/// Freeing a part of a table has the collector work, which may free parts of other tables, and so
/// on. That once ran as deep as there were tables waiting, and overran small stacks.
#[test]
fn many_waiting_tables_need_no_deep_stack() {
    let stalled = HashMap::<u64, u64>::new();
    let pinned = stalled.pin();
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..200 {
                let map: HashMap<u64, u64> = HashMap::new();
                (0..400).for_each(|key| {
                    map.insert(key, key);
                });
            }
        });
    });
    drop(pinned);
    let collector = thread::Builder::new().stack_size(64 << 10).spawn(|| {
        (0..2_000).for_each(|_| pin::collect());
    });
    collector.unwrap().join().unwrap();
}
