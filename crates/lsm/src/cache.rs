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
//! gives way: while a full memtable is on its way to the disk, the next one has its room from here,
//! and each of them that of the tree which grows with it; for that slabs of the cache's memory go
//! back to the system: `cache/slabs.rs`.

mod queues;
mod slabs;
mod uses;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use crossbeam_epoch::{self as epoch, Guard};
use parking_lot::Mutex;

use self::queues::{Entry, Queues};
pub(crate) use self::slabs::Bytes;
use self::slabs::{Slabs, Tenant};
pub(crate) use self::uses::Uses;
use crate::slot::Slot;
use crate::tally::Tally;

/// Misses of so many threads go on side by side.
const SHARDS: usize = 8;
/// So many blocks leave one shard before the next has its turn.
const TRIMMED_AT_ONCE: usize = 32;
/// Of so many slabs the one goes in which least was used.
const SLABS_COMPARED: usize = 4;
/// So much of the slabs may be free, and of a large cache one part in 128: what readers have just
/// left comes in bursts, and is for what is read next.
const FREE_MAX: usize = 1 << 20;
const FREE_SHARE: usize = 128;
/// What something takes that is cached, beside itself: the counts of its `Arc`, what the allocator
/// keeps of each piece, and its places in a queue and in a slab.
pub(crate) const BESIDE: usize = 4 * size_of::<usize>() + size_of::<(Entry, Tenant)>();

/// What can be cached.
pub(crate) trait Cached: fmt::Debug + Send + Sync + 'static {
    /// What it takes of memory, [`BESIDE`] included.
    fn bytes(&self) -> usize;

    /// The same with its bytes elsewhere.
    fn moved(self, to: impl FnOnce(Bytes) -> Bytes) -> Self
    where
        Self: Sized;

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
    /// Whether slabs were cleared since the queues last forgot what is gone.
    has_cleared: AtomicBool,
    /// Made for the first block; none where the cache is too small.
    slabs: OnceLock<Option<Arc<Slabs>>>,
    /// What its readers met.
    pub(crate) tally: Tally,
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
        let (has_cleared, slabs) = (AtomicBool::new(false), OnceLock::new());
        let tally = Tally::default();
        Arc::new(Self { capacity, used, pinned, lent, shards, has_cleared, slabs, tally })
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

    /// Something that is about to be cached in a place, in the memory of the cache.
    pub(crate) fn house<T: Cached>(
        &self,
        slots: &Arc<Slots<T>>,
        at: usize,
        value: T,
        guard: &Guard,
    ) -> T {
        let Some(slabs) = self.slabs.get_or_init(|| Slabs::new(self.capacity)) else {
            return value;
        };
        let shelf: WeakShelf = Arc::<Slots<T>>::downgrade(slots);
        let value = value.moved(|bytes| bytes.housed(slabs, (shelf, at)));
        let free_max = FREE_MAX + self.capacity / FREE_SHARE;
        if self.taken() + slabs.free() > self.capacity + free_max {
            self.clear_slab(slabs, guard);
        }
        if self.is_late(slabs) {
            guard.flush();
        }
        value
    }

    /// The same for memory that is needed: what readers have left by now is gone afterwards.
    fn give_back(&self, slabs: &Slabs) -> usize {
        let guard = epoch::pin();
        let cleared = self.clear_slab(slabs, &guard);
        guard.flush();
        cleared
    }

    /// Lets go what is in the slab of some in which least was used. Returns how much that was. A
    /// slab that was cleared, and stays as long as a reader may be in it, does not count.
    fn clear_slab(&self, slabs: &Slabs, guard: &Guard) -> usize {
        let is_used =
            |(shelf, at): &Tenant| shelf.upgrade().is_some_and(|it| it.is_used(*at, guard));
        let uses = |tenants: &Vec<Tenant>| tenants.iter().filter(|it| is_used(it)).count();
        let is_there = |(shelf, at): &Tenant| shelf.upgrade().is_some_and(|it| !it.is_empty(*at));
        let mut some = slabs.next(SLABS_COMPARED);
        some.retain(|tenants| tenants.iter().any(is_there));
        let least = some.into_iter().min_by_key(uses);
        // Relaxed: the queues are behind their locks, and one that is thinned too early is later.
        self.has_cleared.store(true, Ordering::Relaxed);
        let mut cleared = 0;
        for (shelf, at) in least.into_iter().flatten() {
            let outcome = shelf.upgrade().map(|it| it.clear(at, guard));
            if let Some(Outcome::Evicted(bytes)) = outcome {
                // Relaxed: a size.
                self.used.fetch_sub(bytes, Ordering::Relaxed);
                cleared += bytes;
            }
        }
        cleared
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
        self.taken() > self.capacity
    }

    /// Whether what has left is in memory still, so that there is too much.
    fn is_late(&self, slabs: &Slabs) -> bool {
        slabs.used() + self.bound() > self.capacity
    }

    fn taken(&self) -> usize {
        self.used() + self.bound()
    }

    /// Bytes that are not for blocks.
    fn bound(&self) -> usize {
        // Relaxed: a size.
        self.pinned() + self.lent.load(Ordering::Relaxed)
    }

    fn made_slabs(&self) -> Option<&Arc<Slabs>> {
        self.slabs.get().and_then(Option::as_ref)
    }

    /// Takes so much of the room, for as long as the loan lives.
    pub(crate) fn lend(self: &Arc<Self>, bytes: usize) -> Loan {
        // Relaxed: a size.
        self.lent.fetch_add(bytes, Ordering::Relaxed);
        Loan { cache: Arc::clone(self), bytes: AtomicUsize::new(bytes) }
    }

    /// Lets go what is too much since something was lent.
    pub(crate) fn trim(&self) {
        self.trim_to(0);
    }

    /// The same by whoever is about to take so many bytes, twice as many and a slab at most: the
    /// thread that trims may wait for a processor, and what is too much must not grow meanwhile.
    #[inline]
    pub(crate) fn give_way(&self, bytes: usize) {
        if self.is_over() {
            self.trim_to(self.used().saturating_sub(2 * bytes));
        } else if self.made_slabs().is_some_and(|it| self.is_late(it)) {
            epoch::pin().flush();
        }
    }

    /// Lets go what is too much, until so many bytes are left.
    fn trim_to(&self, goal: usize) {
        let is_done = || !self.is_over() || self.used() <= goal;
        // Whoever trims little at a time does not begin with the same shard each time.
        let start = self.used() / TRIMMED_AT_ONCE;
        let mut is_any_left = true;
        while is_any_left && !is_done() {
            if self.made_slabs().is_some_and(|it| self.give_back(it) > 0) {
                continue;
            }
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

    /// Empties the slots of a table that is closed. Then queues also lose what names places that
    /// were emptied with their slab: there is a merge for every few memtables that have room here.
    pub(crate) fn forget<T: Cached>(&self, slots: &Arc<Slots<T>>, bytes: usize, guard: &Guard) {
        // Relaxed: a size.
        self.pinned.fetch_sub(bytes + slots.bytes(), Ordering::Relaxed);
        for slot in &slots.places {
            if let Some(block) = slot.replace(None, guard) {
                self.used.fetch_sub(block.bytes(), Ordering::Relaxed);
            }
        }
        // Relaxed: as above.
        let has_cleared = self.has_cleared.swap(false, Ordering::Relaxed);
        for shard in &self.shards {
            let mut queues = shard.lock();
            queues.forget(slots.table);
            if has_cleared {
                let is_there = |shelf: Arc<dyn Shelf>, at| !shelf.is_empty(at);
                queues.thin(|it| it.shelf.upgrade().is_some_and(|shelf| is_there(shelf, it.at)));
            }
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
    bytes: AtomicUsize,
}

impl Loan {
    /// How much room it is.
    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        // Relaxed: a size.
        self.bytes.load(Ordering::Relaxed)
    }

    /// Makes it as much as `bytes`, if it is less. One thread at a time.
    pub(crate) fn grow_to(&self, bytes: usize) {
        let more = bytes.saturating_sub(self.bytes());
        // Relaxed, both: a size.
        self.bytes.fetch_add(more, Ordering::Relaxed);
        self.cache.lent.fetch_add(more, Ordering::Relaxed);
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        // Relaxed: a size.
        self.cache.lent.fetch_sub(self.bytes(), Ordering::Relaxed);
    }
}

/// Slots of whatever kind, for the queues.
trait Shelf: fmt::Debug + Send + Sync {
    /// Takes out what is in a place, unless it was used.
    fn out(&self, at: usize, guard: &Guard) -> Outcome;

    /// Takes it out.
    fn clear(&self, at: usize, guard: &Guard) -> Outcome;

    /// Whether nothing is in it.
    fn is_empty(&self, at: usize) -> bool;

    /// Whether it was used since the last look.
    fn is_used(&self, at: usize, guard: &Guard) -> bool;
}

impl<T: Cached> Shelf for Slots<T> {
    fn out(&self, at: usize, guard: &Guard) -> Outcome {
        match self.look(at, guard) {
            None => Outcome::Gone,
            Some(inside) if inside.uses().take() => Outcome::Used,
            Some(_) => self.clear(at, guard),
        }
    }

    fn clear(&self, at: usize, guard: &Guard) -> Outcome {
        let gone = self.places[at].replace(None, guard);
        gone.map_or(Outcome::Gone, |it| Outcome::Evicted(it.bytes()))
    }

    fn is_empty(&self, at: usize) -> bool {
        self.places[at].is_empty()
    }

    fn is_used(&self, at: usize, guard: &Guard) -> bool {
        self.look(at, guard).is_some_and(|it| it.uses().are_any())
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
