//! What happens as a whole: growth to a size, of which the worst insert or read counts, the end of
//! a map, and keys that all have one hash.
//!
//! Each insert of `grow/worst`, and each read of `grow/reads`, is timed by the processor time of
//! its own thread, not by the wall: a thread that is preempted, or a virtual machine that is
//! paused for milliseconds, does not show. What does show is work that is done in one call, by the
//! map or by the system for it. The floor is no map: it writes entries one behind the other into
//! memory that it asked for once, and pays for the system's work alone, as when Linux takes two
//! thousand pages at a time for a thread that uses up many.
//!
//! Of `one-hash` an operation is an insert. No map can tell the keys apart by the hash that it is
//! given: where it has nothing else, `n` inserts cost `n * n / 2` comparisons. flurry has their
//! order, and our map of words has the words, which it hashes again. What differs besides is
//! whether a table doubles without end for them.

#![expect(clippy::unnecessary_wraps, reason = "every maker of a subject may decline")]

use std::hash::{BuildHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};

use ::hashmap::WordMap;
use harness::contract::{ConcurrentMap, MapHandle, Unsupported};
use harness::duel::{Contender, LatencyLog, Make, OwnFigures, Subject};
use harness::workload::Size;
use parking_lot::Mutex;
use rustix::time::{ClockId, clock_gettime};

use super::{OURS, WordMakers, contender, for_each_map};
use crate::adapters::{dashmap, flurry, hashmap, papaya, rwlock, scc};

pub(super) fn worst_makers() -> WordMakers {
    for_each_map!(worst)
}

pub(super) fn reading_makers() -> WordMakers {
    for_each_map!(reading)
}

pub(super) fn dropping_makers() -> WordMakers {
    for_each_map!(dropping)
}

/// What the system takes for memory that is touched for the first time.
pub(super) fn floor() -> Contender {
    let make: Make = |_| Ok(Box::new(Worst::<Floor>::default()));
    Contender { name: "floor", version: OURS, ours: false, make }
}

/// Takes entries into fresh memory.
trait Grows {
    /// Inserts the keys below `count`; `measured` makes a call and times it.
    fn grow(count: u64, measured: impl FnMut(&mut dyn FnMut()));
}

/// A map that grows by single inserts.
struct Inserts<M>(PhantomData<fn() -> M>);

impl<M: ConcurrentMap<u64, u64>> Grows for Inserts<M> {
    fn grow(count: u64, mut measured: impl FnMut(&mut dyn FnMut())) {
        let map = M::with_capacity(0);
        let handle = map.handle();
        for key in 0..count {
            measured(&mut || {
                let former = handle.insert(key, key);
                assert!(former.is_none(), "{}: {key} is there already", M::NAME);
            });
        }
    }
}

/// A map that is read while it grows.
struct Reads<M>(PhantomData<fn() -> M>);

impl<M: ConcurrentMap<u64, u64>> Grows for Reads<M> {
    fn grow(count: u64, mut measured: impl FnMut(&mut dyn FnMut())) {
        let map = M::with_capacity(0);
        let handle = map.handle();
        for key in 0..count {
            handle.insert(key, key);
            let earlier = key / 2;
            measured(&mut || {
                let found = handle.get(&earlier);
                assert_eq!(found, Some(earlier), "{}: {earlier} was inserted", M::NAME);
            });
        }
    }
}

/// Entries in order, in one piece of memory.
struct Floor;

impl Grows for Floor {
    fn grow(count: u64, mut measured: impl FnMut(&mut dyn FnMut())) {
        let count = usize::try_from(count).expect("64-bit targets only");
        let mut entries = Vec::with_capacity(count);
        for key in 0..count {
            measured(&mut || entries.push([key, key]));
        }
        std::hint::black_box(entries);
    }
}

/// Growth from empty, again for every pass.
struct Worst<G> {
    taken: LatencyLog,
    worst: AtomicU64,
    _grows: PhantomData<fn() -> G>,
}

impl<G> Default for Worst<G> {
    fn default() -> Self {
        Self { taken: LatencyLog::default(), worst: AtomicU64::new(0), _grows: PhantomData }
    }
}

fn worst<M: ConcurrentMap<u64, u64> + 'static>(_: Size) -> Result<Box<dyn Subject>, Unsupported> {
    Ok(Box::new(Worst::<Inserts<M>>::default()))
}

fn reading<M: ConcurrentMap<u64, u64> + 'static>(_: Size) -> Result<Box<dyn Subject>, Unsupported> {
    Ok(Box::new(Worst::<Reads<M>>::default()))
}

impl<G: Grows> Subject for Worst<G> {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        let mut worst = 0;
        // Of ones, not zeroes: pages that are written beforehand are not counted as the map's.
        let mut taken = vec![1; usize::try_from(operations).expect("64-bit targets only")];
        taken.clear();
        G::grow(operations, |insert| {
            let start = cpu_ns();
            insert();
            let took = cpu_ns() - start;
            worst = worst.max(took);
            taken.push(took);
        });
        self.taken.add(taken);
        // Relaxed: a figure, read when nobody runs.
        self.worst.fetch_max(worst, Ordering::Relaxed);
        operations
    }

    fn own_figures(&self) -> OwnFigures {
        OwnFigures {
            latency: self.taken.take(),
            worst_cpu: Some(self.worst.swap(0, Ordering::Relaxed) as f64),
            ..OwnFigures::default()
        }
    }
}

/// Maps that wait for their end: for each number of entries that a pass may ask for, as many as it
/// asks in an episode.
struct Dropping<M>(Mutex<Vec<(u64, M)>>);

/// An episode is one round: two passes, each after a warm-up with a part of its operations.
const PASSES: usize = 2;
const WARM_UP: u64 = 32;

fn dropping<M: ConcurrentMap<u64, u64> + 'static>(
    size: Size,
) -> Result<Box<dyn Subject>, Unsupported> {
    let all = super::entries(super::M).at(size);
    let sizes = [all, all / WARM_UP].into_iter().flat_map(|count| [count; PASSES]);
    let maps = sizes.map(|count| {
        let map = M::with_capacity(0);
        let handle = map.handle();
        for key in 0..count {
            handle.insert(key, key);
        }
        drop(handle);
        (count, map)
    });
    Ok(Box::new(Dropping(Mutex::new(maps.collect()))))
}

impl<M: ConcurrentMap<u64, u64>> Subject for Dropping<M> {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        let mut maps = self.0.lock();
        let at = maps.iter().position(|(count, _)| *count == operations);
        let (count, map) = maps.swap_remove(at.expect("there is one for each pass"));
        drop(map);
        count
    }
}

/// Processor time of this thread, in nanoseconds.
fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("processor time is not negative");
    seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).expect("a fraction of a second")
}

/// The maps of keys that collide: a map of words hashes the words of its keys, so that there the
/// hasher is what makes them.
pub(super) fn one_hash() -> Vec<Contender> {
    let makers: [(&'static str, Make); 8] = [
        ("hashmap-word", |_| Ok(Box::new(OneHashWords))),
        ("hashmap", colliding::<hashmap::Map<OneHash, u64>>),
        ("papaya", colliding::<papaya::Map<OneHash, u64>>),
        ("scc", colliding::<scc::Map<OneHash, u64>>),
        ("dashmap", colliding::<dashmap::Map<OneHash, u64>>),
        ("flurry", colliding::<flurry::Map<OneHash, u64>>),
        ("rwlock-64", colliding::<rwlock::Sharded64<OneHash, u64>>),
        ("rwlock", colliding::<rwlock::Single<OneHash, u64>>),
    ];
    makers.into_iter().map(|(name, make)| contender(name, make)).collect()
}

/// A key that hashes like every other. flurry demands an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct OneHash(u64);

impl Hash for OneHash {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(0);
    }
}

/// Inserts into a fresh map for every pass.
struct Colliding<M>(PhantomData<fn() -> M>);

fn colliding<M: ConcurrentMap<OneHash, u64> + 'static>(
    _: Size,
) -> Result<Box<dyn Subject>, Unsupported> {
    Ok(Box::new(Colliding::<M>(PhantomData)))
}

impl<M: ConcurrentMap<OneHash, u64>> Subject for Colliding<M> {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        let map = M::with_capacity(0);
        let handle = map.handle();
        (0..operations).map(|key| u64::from(handle.insert(OneHash(key), key).is_none())).sum()
    }
}

/// A hasher that makes nothing of what it is given.
#[derive(Clone, Debug, Default)]
struct Constant;

impl BuildHasher for Constant {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self
    }
}

impl Hasher for Constant {
    fn write(&mut self, _bytes: &[u8]) {}

    fn finish(&self) -> u64 {
        0
    }
}

struct OneHashWords;

impl Subject for OneHashWords {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        let map: WordMap<u64, u64, Constant> = WordMap::with_hasher(Constant);
        let handle = map.pin();
        (0..operations).map(|key| u64::from(handle.insert(key, key).is_none())).sum()
    }
}
