//! Counts of what readers meet, in a place of its own for each thread.
//!
//! To find a block in the cache takes a few nanoseconds and writes nothing that others read. One
//! counter for all threads would cost more than that: its line of memory moves to each processor
//! that adds. So each thread has a line to itself, to which it adds by a plain load and store, and
//! who wants to know sums up.
//!
//! ```text
//!   thread 0      | block hits | block misses | ...       plain
//!   thread 1      | block hits | block misses | ...       plain
//!   ...
//!   all others    | block hits | block misses | ...       an atomic addition, where there are more
//! ```
//!
//! A thread takes its number at its first count, the same for all stores, and gives it back when it
//! ends.

use std::cell::Cell;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// So many threads have a place of their own.
const OWN: usize = u64::BITS as usize;
/// The place of all others.
const OTHERS: usize = OWN;
/// Stands for the place of a thread that has counted nothing yet.
const UNKNOWN: usize = usize::MAX;

/// What a reader can meet. Merges read as well, and are not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    /// A block that is in the cache.
    BlockHit,
    /// One that is not.
    BlockMiss,
    /// A value apart that is in the cache.
    ValueHit,
    /// One that is not.
    ValueMiss,
    /// A table whose filter knows that the key is not there.
    Filtered,
    /// A table that does not have the key, which its filter did not know.
    FilteredInVain,
}

impl Met {
    const COUNT: usize = Self::FilteredInVain as usize + 1;
}

/// One place. Processors fetch lines by twos.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Place([AtomicU64; Met::COUNT]);

/// The counts of a store.
pub(crate) struct Tally(Box<[Place; OWN + 1]>);

/// A bit for each place that a thread has.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Gives the place of a thread back when the thread ends.
struct Lease;

thread_local! {
    /// Apart from the lease, so that to read it is one load.
    static PLACE: Cell<usize> = const { Cell::new(UNKNOWN) };
    static LEASE: Lease = const { Lease };
}

impl Drop for Lease {
    fn drop(&mut self) {
        // What counts while the thread ends still, counts among others.
        let place = PLACE.replace(OTHERS);
        if place < OWN {
            // Release: pairs with `take`, so that the next owner adds to what this one has left.
            TAKEN.fetch_and(!(1 << place), Ordering::Release);
        }
    }
}

/// Takes a place for this thread, if there is one.
#[cold]
fn take() -> usize {
    let free = |taken: u64| (taken < u64::MAX).then_some(taken | (taken + 1));
    let place = match LEASE.try_with(|_| ()) {
        // The thread is ending, and nobody would give the place back.
        Err(_) => OTHERS,
        // Acquire: pairs with the release of who had it before. Relaxed: nothing is taken then.
        Ok(()) => TAKEN
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, free)
            .map_or(OTHERS, |taken| taken.trailing_ones() as usize),
    };
    PLACE.set(place);
    place
}

impl Tally {
    /// Counts one.
    #[inline]
    pub(crate) fn add(&self, what: Met) {
        let place = PLACE.get();
        if place < OWN {
            let count = &self.0[place].0[what as usize];
            // Relaxed, both: a count, and nobody else writes it.
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        } else {
            self.add_slowly(what, place);
        }
    }

    #[cold]
    fn add_slowly(&self, what: Met, place: usize) {
        let place = if place == UNKNOWN { take() } else { place };
        // Relaxed: a count. In a place of one's own it could be a store.
        self.0[place].0[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How often it was counted. What is counted meanwhile may be missing.
    pub(crate) fn sum(&self, what: Met) -> u64 {
        // Relaxed: a count.
        self.0.iter().map(|it| it.0[what as usize].load(Ordering::Relaxed)).sum()
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| Place::default())))
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tally")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn no_count_of_many_threads_is_lost() {
        let tally = Tally::default();
        thread::scope(|scope| {
            // More than there are places, and one after the other in the same ones.
            for _ in 0..2 * OWN {
                scope.spawn(|| (0..1_000).for_each(|_| tally.add(Met::BlockHit)));
            }
        });
        assert_eq!(tally.sum(Met::BlockHit), 2 * OWN as u64 * 1_000);
        assert_eq!(tally.sum(Met::BlockMiss), 0);
    }

    #[test]
    fn threads_at_one_time_share_no_place() {
        let tally = Tally::default();
        let all_are_there = Barrier::new(4);
        let places: Vec<usize> = thread::scope(|scope| {
            let one = || {
                tally.add(Met::Filtered);
                all_are_there.wait();
                PLACE.get()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
            threads.into_iter().map(|it| it.join().expect("it only counts")).collect()
        });
        for (at, place) in places.iter().enumerate().filter(|it| *it.1 != OTHERS) {
            assert!(!places[..at].contains(place), "{places:?}");
            assert_eq!(tally.0[*place].0[Met::Filtered as usize].load(Ordering::Relaxed), 1);
        }
        assert_eq!(tally.sum(Met::Filtered), 4);
    }

    #[test]
    fn places_are_given_back() {
        let tally = Tally::default();
        let place = || {
            tally.add(Met::ValueHit);
            PLACE.get()
        };
        // Tests beside this one have threads as well, which may leave it none for a while.
        let places = (0..100 * OWN).map(|_| thread::scope(|it| it.spawn(place).join()));
        let own = places.filter(|it| *it.as_ref().expect("it only counts") < OWN);
        assert_eq!(own.take(OWN + 1).count(), OWN + 1, "more than there are at one time");
    }
}
