//! Growth from empty: a fresh map for every pass, so that each pass pays for all of it.
//!
//! A map that was grown once would show the next passes nothing but inserts into a large table, and
//! the median would hide whoever rehashes everything at once.

#![expect(clippy::unnecessary_wraps, reason = "every maker of a subject may decline")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use harness::contract::{ConcurrentMap, MapHandle, Unsupported};
use harness::duel::Subject;
use harness::workload::Size;
use parking_lot::Mutex;

use super::{WordMakers, for_each_map};

pub(super) fn makers() -> WordMakers {
    for_each_map!(growing)
}

pub(super) fn paced_makers() -> WordMakers {
    for_each_map!(paced)
}

/// Threads of a line at most.
const THREADS_MAX: usize = 4;

/// A map for each pass. The threads of a pass have made equally many calls, and that number tells
/// them which map is theirs.
struct Growing<M> {
    calls: [AtomicU64; THREADS_MAX],
    maps: Mutex<Vec<(u64, Arc<M>)>>,
}

fn growing<M: ConcurrentMap<u64, u64> + 'static>(_: Size) -> Result<Box<dyn Subject>, Unsupported> {
    let calls = std::array::from_fn(|_| AtomicU64::new(0));
    Ok(Box::new(Growing::<M> { calls, maps: Mutex::new(Vec::new()) }))
}

impl<M: ConcurrentMap<u64, u64>> Growing<M> {
    /// The map of this pass. A pass is a warm-up, in which maps of earlier passes are dropped, and
    /// a measured call.
    fn map(&self, thread: usize) -> Arc<M> {
        // Relaxed: each thread has a count of its own.
        let call = self.calls[thread].fetch_add(1, Ordering::Relaxed);
        let mut maps = self.maps.lock();
        if call.is_multiple_of(2) {
            maps.retain(|(of, _)| *of == call);
        }
        if let Some((_, map)) = maps.iter().find(|(of, _)| *of == call) {
            return Arc::clone(map);
        }
        let map = Arc::new(M::with_capacity(0));
        maps.push((call, Arc::clone(&map)));
        map
    }
}

impl<M: ConcurrentMap<u64, u64>> Subject for Growing<M> {
    fn run(&self, thread: usize, _: u64, operations: u64) -> u64 {
        let map = self.map(thread);
        let handle = map.handle();
        let mut found = 0;
        // Threads insert keys of their own: key, thread and nothing else decide what comes out.
        let key = |index: u64| index << 2 | thread as u64;
        let mut inserted = 0;
        for operation in 0..operations {
            // 5 reads, 5 removals and 10 updates in a hundred, of keys that came a while ago.
            let earlier = key(inserted / 2);
            match operation % 20 {
                3 => found += u64::from(handle.get(&earlier).is_some()),
                8 => found += u64::from(handle.remove(&earlier).is_some()),
                13 | 18 => found += u64::from(handle.update(&earlier, |it| it + 1).is_some()),
                _ => {
                    found += u64::from(handle.insert(key(inserted), operation).is_none());
                    inserted += 1;
                }
            }
        }
        found
    }
}

/// One map that grows by an insert an operation, for latency.
struct Paced<M> {
    map: M,
    next: AtomicU64,
}

fn paced<M: ConcurrentMap<u64, u64> + 'static>(_: Size) -> Result<Box<dyn Subject>, Unsupported> {
    Ok(Box::new(Paced { map: M::with_capacity(0), next: AtomicU64::new(0) }))
}

impl<M: ConcurrentMap<u64, u64>> Subject for Paced<M> {
    fn run(&self, _: usize, _: u64, operations: u64) -> u64 {
        let handle = self.map.handle();
        let mut new = 0;
        for _ in 0..operations {
            // Relaxed: a count.
            let key = self.next.fetch_add(1, Ordering::Relaxed);
            new += u64::from(handle.insert(key, key).is_none());
        }
        new
    }
}
