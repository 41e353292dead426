//! What is unlinked and not freed, in a process in which only these tests hold pins: the collector
//! is shared.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;

use hashmap::{GarbageError, HashMap, HashSet, WordMap};

/// Each test holds pins, or must meet none, nor what the one before has left to be freed.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let map: HashMap<u64, u64> = HashMap::new();
    (0..10_000).for_each(|_| map.collect());
    alone
}

/// A thread that only writes through one session does not pile up what it unlinks.
#[test]
fn session_lets_garbage_go() {
    let _alone = alone();
    let map: HashMap<u64, u64> = HashMap::new();
    let session = map.session();
    let mut most = 0;
    for turn in 0..2_000_000 {
        session.insert(turn % 8, turn);
        most = most.max(map.garbage());
    }
    assert!(most < 2_000_000 * 24 / 4, "{most} bytes unlinked and not freed");
    assert_eq!(session.get(&7), Some(1_999_999));
}

/// A value that is counted for as long as its memory is in use.
struct Counted([u64; 6]);

static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Hash, key and value.
const ENTRY_BYTES: usize = 64;

impl Counted {
    fn new(number: u64) -> Self {
        // Relaxed, here and below: a count.
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Self([number; 6])
    }
}

impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(self.0[0])
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}

const GARBAGE_MAX: usize = 1 << 20;
const KEYS: u64 = 8;

/// Overwrites until the writer was refused so often; the most entries that were alive meanwhile.
fn overwrite_until_refused(map: &HashMap<u64, Counted>, refusals: usize) -> usize {
    let (mut most, mut refused) = (0, 0);
    for turn in 0..1_000_000 {
        let written = map.pin().admit().map(|pinned| {
            pinned.insert(turn % KEYS, Counted::new(turn));
        });
        most = most.max(ALIVE.load(Ordering::Relaxed));
        if let Err(GarbageError { garbage, garbage_max, .. }) = written {
            assert!(garbage > garbage_max && garbage_max == GARBAGE_MAX);
            refused += 1;
            if refused == refusals {
                return most;
            }
        }
    }
    panic!("refused {refused} times, with {most} entries alive and {} bytes", map.garbage());
}

/// Who asks keeps within the maximum however long a reader stalls, and goes on when it has left.
#[test]
fn garbage_stays_within_its_maximum_under_a_stalled_reader() {
    const WRITERS: usize = 2;
    /// As `map` says: a bag for each handle.
    const SLACK: usize = WRITERS * 120 * ENTRY_BYTES;
    let _alone = alone();
    let map = HashMap::new().with_garbage_max(GARBAGE_MAX);
    (0..KEYS).for_each(|key| {
        map.insert(key, Counted::new(0));
    });
    let stalled = map.pin();
    let held = stalled.get(&1).expect("it was inserted");
    let most = thread::scope(|scope| {
        let writer = || scope.spawn(|| overwrite_until_refused(&map, 100));
        let writers: Vec<_> = (0..WRITERS).map(|_| writer()).collect();
        writers.into_iter().map(|it| it.join().expect("no writer panics")).max()
    });
    let bytes = most.expect("there are writers") * ENTRY_BYTES;
    assert!(bytes > GARBAGE_MAX / 2, "refused at {bytes} bytes, before there was too much");
    assert!(bytes <= GARBAGE_MAX + SLACK, "{bytes} bytes of entries are alive");
    assert_eq!(held.0, [0; 6], "what is held stays");
    drop(stalled);
    let session = map.session();
    for turn in 0..200_000 {
        assert_eq!(session.admit(), Ok(()), "in turn {turn} after the reader has left");
        session.with(|pinned| pinned.insert(turn % KEYS, Counted::new(turn)).is_some());
    }
}

/// A handle is not in its own way, for it is renewed; another one of the same thread is.
#[test]
fn admission_renews_its_own_pin() {
    let _alone = alone();
    let map: HashMap<u64, u64> = HashMap::new().with_garbage_max(0);
    let mut pinned = map.pin();
    for turn in 0..500 {
        pinned.admit().expect("nothing else is pinned").insert(1, turn);
    }
    assert!(pinned.admit().is_ok());
    let other = map.pin();
    assert_eq!(pinned.insert(1, 500), Some(&499));
    let error = pinned.admit().expect_err("an older handle of this thread is in the way");
    assert_eq!((error.garbage, error.garbage_max), (24, 0));
    drop(other);
    assert!(pinned.admit().is_ok());
    assert_eq!(map.garbage(), 0);
}

/// Within a closure of its own a session can ask, and is told the truth.
#[test]
fn nested_admission_does_not_renew() {
    let _alone = alone();
    let map: HashMap<u64, u64> = HashMap::new().with_garbage_max(0);
    let session = map.session();
    session.insert(1, 1);
    session.with(|pinned| {
        let held = pinned.get(&1);
        assert_eq!(session.admit(), Ok(()));
        session.remove(&1);
        assert!(session.admit().is_err(), "the pin is in use");
        assert_eq!(held, Some(&1));
    });
    assert_eq!(session.admit(), Ok(()));
}

/// A set has the same bound, and a copy has the maximum of its original.
#[test]
fn sets_and_copies_are_bounded() {
    let _alone = alone();
    let set: HashSet<u64> = HashSet::new().with_garbage_max(0);
    let set = set.clone();
    let stalled = set.pin();
    let mut pinned = set.pin();
    assert!(pinned.admit().expect("nothing is unlinked").insert(1));
    assert!(pinned.remove(&1));
    assert!(pinned.admit().is_err());
    drop(stalled);
    assert!(pinned.admit().is_ok());
    assert_eq!(set.garbage(), 0);
}

/// What a dropped map has left to be freed is not held against one that is made later.
#[test]
fn maps_do_not_inherit_garbage() {
    let _alone = alone();
    let bystander: HashMap<u64, u64> = HashMap::new();
    let stalled = bystander.pin();
    for _ in 0..10 {
        let map: HashMap<u64, u64> = HashMap::new();
        assert_eq!(map.garbage(), 0);
        map.insert(1, 1);
        map.remove(&1);
        assert_eq!(map.garbage(), 24);
    }
    drop(stalled);
}

static BOXED: LazyLock<HashMap<u64, u64>> = LazyLock::new(HashMap::new);
static WORDS: LazyLock<WordMap<u64, u64>> = LazyLock::new(WordMap::new);

/// A value whose destructor writes to a map, more than a handle hands over without a round of
/// collection.
struct Busy<const IN_WORDS: bool>(u64);

impl<const IN_WORDS: bool> Drop for Busy<IN_WORDS> {
    fn drop(&mut self) {
        if IN_WORDS {
            WORDS.insert(self.0, 1);
            WORDS.shrink_to_fit();
        } else {
            let pinned = BOXED.pin();
            (0..3).for_each(|value| {
                pinned.insert(self.0, value);
            });
        }
    }
}

/// Overwrites under a stalled reader, and then frees all that on a small stack.
fn free_busy_values<const IN_WORDS: bool>() {
    let map: HashMap<u64, Busy<IN_WORDS>> = HashMap::new();
    let stalled = map.pin();
    thread::scope(|scope| {
        scope.spawn(|| {
            for turn in 0..50_000 {
                map.insert(turn % 8, Busy(turn % 8));
            }
        });
    });
    drop(stalled);
    thread::scope(|scope| {
        let collector = thread::Builder::new().stack_size(64 << 10);
        let collects = || (0..10_000).for_each(|_| map.collect());
        collector.spawn_scoped(scope, collects).expect("a thread can be had");
    });
    assert_eq!(map.garbage(), 0);
}

/// What a destructor unlinks once had the collector work on the stack of the round that ran the
/// destructor, as deep as there were values to free.
#[test]
fn destructors_that_write_need_no_deep_stack() {
    let _alone = alone();
    free_busy_values::<false>();
    free_busy_values::<true>();
}
