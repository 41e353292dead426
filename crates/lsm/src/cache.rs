//! The block cache: which blocks stay in memory, by S3-FIFO.
//!
//! A table has a [`Slot`] for each of its blocks. A block in its slot is cached, and a hit is one
//! load of that pointer: no hash table, no list, no lock, and only the first three hits between two
//! looks of the cache write anything. What the cache decides is who leaves:
//!
//! ```text
//!             miss                        used at least once
//!   file ------------> | small, a tenth | ------------------> | main |--. used since: to the back
//!            |                | not used                          ^  '--'
//!            |                v                                   |
//!            |         | ghost: names only |                      | not used: out
//!            '--------------- if the ghost knows it --------------'
//! ```
//!
//! Values that lie apart are cached among the blocks, by the same queues; `values/recent.rs` has
//! the table of their slots.
//!
//! Most blocks of a scan are used once and leave from the small queue; they never push out what is
//! used again (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023).
//!
//! The budget covers what cannot leave as well: the filters and indexes of open tables. And it
//! gives way: while a full memtable is on its way to the disk, the next one has its room from here.

mod queues;
mod uses;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_epoch::{self as epoch, Guard};
use parking_lot::Mutex;

use self::queues::{Entry, Queues};
pub(crate) use self::uses::Uses;
use crate::slot::Slot;

/// Misses of so many threads go on side by side.
const SHARDS: usize = 8;
/// So many blocks leave one shard before the next has its turn.
const TRIMMED_AT_ONCE: usize = 32;

/// What can be cached.
pub(crate) trait Cached: fmt::Debug + Send + Sync + 'static {
    /// What it takes of memory.
    fn bytes(&self) -> usize;

    /// The count of its uses.
    fn uses(&self) -> &Uses;
}

/// The places of what belongs together: the blocks of a table, or all values that lie apart.
#[derive(Debug)]
pub(crate) struct Slots<T: Cached> {
    /// The number of the table.
    pub(crate) table: u64,
    places: Box<[Slot<T>]>,
}

/// Decides which blocks stay.
#[derive(Debug)]
pub(crate) struct Cache {
    capacity: usize,
    /// Bytes of cached blocks.
    used: AtomicUsize,
    /// Bytes that cannot leave.
    pinned: AtomicUsize,
    /// Bytes that others have for a while.
    lent: AtomicUsize,
    shards: [Mutex<Queues>; SHARDS],
}

impl<T: Cached> Slots<T> {
    pub(crate) fn new(table: u64, places: usize) -> Arc<Self> {
        Arc::new(Self { table, places: (0..places).map(|_| Slot::new(None)).collect() })
    }

    /// How many places there are.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// What is in a place. That is no use yet.
    #[inline]
    pub(crate) fn look<'g>(&self, at: usize, guard: &'g Guard) -> Option<&'g T> {
        self.places[at].load(guard)
    }

    /// What is in a place, for use.
    #[inline]
    pub(crate) fn get<'g>(&self, at: usize, guard: &'g Guard) -> Option<&'g T> {
        self.look(at, guard).inspect(|it| it.uses().add())
    }

    /// The same with a count of one's own.
    pub(crate) fn share(&self, at: usize, guard: &Guard) -> Option<Arc<T>> {
        self.places[at].share(guard).inspect(|it| it.uses().add())
    }

    fn bytes(&self) -> usize {
        self.places.len() * size_of::<Slot<T>>()
    }
}

impl Cache {
    /// A cache of so many bytes, filters and indexes included.
    pub(crate) fn new(capacity: usize) -> Arc<Self> {
        let [used, pinned, lent] = [const { AtomicUsize::new(0) }; 3];
        let shards = std::array::from_fn(|_| Mutex::new(Queues::default()));
        Arc::new(Self { capacity, used, pinned, lent, shards })
    }

    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes of what is cached.
    pub(crate) fn used(&self) -> usize {
        // Relaxed: a size, nothing is reached through it.
        self.used.load(Ordering::Relaxed)
    }

    /// Bytes of filters and indexes.
    pub(crate) fn pinned(&self) -> usize {
        // Relaxed: as above.
        self.pinned.load(Ordering::Relaxed)
    }

    /// Counts what stays in memory: the slots, and so many bytes of filters and indexes.
    pub(crate) fn pin<T: Cached>(&self, slots: &Slots<T>, bytes: usize) {
        // Relaxed: a size.
        self.pinned.fetch_add(bytes + slots.bytes(), Ordering::Relaxed);
    }

    /// Caches a block that was just read, and lets others go for it. The block can be used for as
    /// long as the guard lives, even where there was no room for it.
    pub(crate) fn insert<'g, T: Cached>(
        &self,
        slots: &Arc<Slots<T>>,
        at: usize,
        value: Arc<T>,
        guard: &'g Guard,
    ) -> &'g T {
        let bytes = value.bytes();
        let (inside, is_new) = slots.places[at].fill(value, guard);
        if is_new {
            self.admit(slots, at, bytes, guard);
        }
        inside
    }

    /// The same for a place where something else may be, which goes for it.
    pub(crate) fn exchange<T: Cached>(
        &self,
        slots: &Arc<Slots<T>>,
        at: usize,
        value: Arc<T>,
        guard: &Guard,
    ) {
        let bytes = value.bytes();
        match slots.places[at].replace(Some(value), guard) {
            None => self.admit(slots, at, bytes, guard),
            // The place is in a queue already.
            Some(old) => {
                // Relaxed, both: a size.
                self.used.fetch_add(bytes, Ordering::Relaxed);
                self.used.fetch_sub(old.bytes(), Ordering::Relaxed);
            }
        }
    }

    /// Queues what came into an empty place.
    fn admit<T: Cached>(&self, slots: &Arc<Slots<T>>, at: usize, bytes: usize, guard: &Guard) {
        // Relaxed: a size; the queues are behind their lock.
        self.used.fetch_add(bytes, Ordering::Relaxed);
        let (table, shelf) = (slots.table, Arc::downgrade(slots));
        let mut queues = self.shards[at % SHARDS].lock();
        queues.push(Entry { shelf, table, at, bytes });
        while self.is_over() && queues.evict(|it| self.out(it, guard)) {}
    }

    fn is_over(&self) -> bool {
        // Relaxed: a size.
        self.used() + self.pinned() + self.lent.load(Ordering::Relaxed) > self.capacity
    }

    /// Takes so much of the room, for as long as the loan lives.
    pub(crate) fn lend(self: &Arc<Self>, bytes: usize) -> Loan {
        // Relaxed: a size.
        self.lent.fetch_add(bytes, Ordering::Relaxed);
        Loan { cache: Arc::clone(self), bytes }
    }

    /// Lets go what is too much since something was lent.
    pub(crate) fn trim(&self) {
        self.trim_to(0);
    }

    /// The same by whoever is about to take so many bytes, twice as many at most: the thread that
    /// trims may wait for a processor, and what is too much must not grow meanwhile.
    #[inline]
    pub(crate) fn give_way(&self, bytes: usize) {
        if self.is_over() {
            self.trim_to(self.used().saturating_sub(2 * bytes));
        }
    }

    /// Lets go what is too much, until so many bytes are left.
    fn trim_to(&self, goal: usize) {
        let is_done = || !self.is_over() || self.used() <= goal;
        // Whoever trims little at a time does not begin with the same shard each time.
        let start = self.used() / TRIMMED_AT_ONCE;
        let mut is_any_left = true;
        while is_any_left && !is_done() {
            is_any_left = false;
            // A little of each in turn: who misses meanwhile does not wait long for a lock.
            for turn in 0..SHARDS {
                let guard = epoch::pin();
                let mut queues = self.shards[(start + turn) % SHARDS].lock();
                for _ in 0..TRIMMED_AT_ONCE {
                    is_any_left |= !is_done() && queues.evict(|it| self.out(it, &guard));
                }
            }
        }
    }

    /// Empties the slots of a table that is closed.
    pub(crate) fn forget<T: Cached>(&self, slots: &Arc<Slots<T>>, bytes: usize, guard: &Guard) {
        // Relaxed: a size.
        self.pinned.fetch_sub(bytes + slots.bytes(), Ordering::Relaxed);
        for slot in &slots.places {
            if let Some(block) = slot.replace(None, guard) {
                self.used.fetch_sub(block.bytes(), Ordering::Relaxed);
            }
        }
        for shard in &self.shards {
            shard.lock().forget(slots.table);
        }
    }

    /// Takes a block out, unless it is gone or was used; says which.
    fn out(&self, entry: &Entry, guard: &Guard) -> Outcome {
        let Some(shelf) = entry.shelf.upgrade() else { return Outcome::Gone };
        let outcome = shelf.out(entry.at, guard);
        if let Outcome::Evicted(bytes) = outcome {
            // Relaxed: a size.
            self.used.fetch_sub(bytes, Ordering::Relaxed);
        }
        outcome
    }
}

/// Room of the cache that somebody else uses.
#[derive(Debug)]
pub(crate) struct Loan {
    cache: Arc<Cache>,
    bytes: usize,
}

impl Drop for Loan {
    fn drop(&mut self) {
        // Relaxed: a size.
        self.cache.lent.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Slots of whatever kind, for the queues.
trait Shelf: fmt::Debug + Send + Sync {
    fn out(&self, at: usize, guard: &Guard) -> Outcome;
}

impl<T: Cached> Shelf for Slots<T> {
    fn out(&self, at: usize, guard: &Guard) -> Outcome {
        match self.look(at, guard) {
            None => Outcome::Gone,
            Some(inside) if inside.uses().take() => Outcome::Used,
            Some(_) => match self.places[at].replace(None, guard) {
                None => Outcome::Gone,
                Some(gone) => Outcome::Evicted(gone.bytes()),
            },
        }
    }
}

/// What became of a block that was to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Its table is closed, or somebody else took it out.
    Gone,
    /// It was used since the last look, and stays.
    Used,
    /// It left, and so many bytes are free.
    Evicted(usize),
}

/// Slots of a table that may be closed by now.
type WeakShelf = Weak<dyn Shelf>;

#[cfg(test)]
mod tests;
